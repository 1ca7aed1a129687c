"""A hub's feed in memory, written apart from `sync.hub.feed`: a second implementation of
docs/format.md §4 that also lies on request. Each test changes one thing and lets the box look.

    feed = RepositorySimulator()
    feed.publish()                    # the next version of everything, honest
    feed.timestamp.version = 1        # a lie …
    feed.write_timestamp()            # … signed all the same
    feed.files                        # what a box would read

Keys come from small numbers, so that every run makes the same bytes; they exist in tests only.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from sync.canonical import canonical, sha256_hex
from sync.clock import utc
from sync.desired import ACKS_FORMAT, DESIRED_FORMAT, Acks, Assigned, Desired, dump

DAY_S = 86400
START = 1_700_000_000

ROOT_KEY = 1
FEED_KEY = 2


def key(number: int) -> CryptoSigner:
    """The key with this number, always the same one."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def sign(signed: Signed, *numbers: int) -> bytes:
    """The bytes of a role's file, signed with these keys."""
    metadata = Metadata(signed)
    for number in numbers:
        metadata.sign(key(number), append=True)
    return canonical(metadata.to_dict())


def a_package(number: int) -> Assigned:
    """A package that differs from those with other numbers."""
    return Assigned(id=f"yuwen-{number:02}", version=number, manifest=sha256_hex(b"%d" % number),
                    size=1000 + number, bytes=1_000_000 * number, priority=number % 10)


class RepositorySimulator:
    """One site's feed. `files` is what lies in the folder; the roles are free to be changed."""

    def __init__(self, site: str = "dali", root_key: int = ROOT_KEY, feed_key: int = FEED_KEY,
                 time: int = START) -> None:
        self.site = site
        self.time = time
        self.root_key = root_key
        self.feed_key = feed_key
        self.files: dict[str, bytes] = {}
        self.packages: list[Assigned] = []
        self.acks = Acks(format=ACKS_FORMAT, site=site, boxes={})
        self.root, self.targets = Root(), Targets()
        self.snapshot, self.timestamp = Snapshot(), Timestamp()
        for role in (self.root, self.targets, self.snapshot, self.timestamp):
            role.version = 0  # nothing published yet
        self.new_root()

    @property
    def pairing_root(self) -> bytes:
        """The newest root, as a pairing file would carry it."""
        return self.files[f"{self.root.version}.root.json"]

    def new_root(self, *, feed_key: int | None = None, root_key: int | None = None,
                 signed_by: Sequence[int] | None = None, threshold: int = 1) -> bytes:
        """The next root, signed by the root key before and the one after, unless `signed_by` says so."""
        signers = list(signed_by) if signed_by is not None else [self.root_key]
        self.feed_key = feed_key or self.feed_key
        if root_key is not None:
            self.root_key = root_key
            signers += [root_key] if signed_by is None else []
        self.root = Root(version=self.root.version + 1, expires=utc(self.time + 20 * 365 * DAY_S),
                         unrecognized_fields={"site": self.site})
        self.root.add_key(key(self.root_key).public_key, "root")
        for role in ("targets", "snapshot", "timestamp"):
            self.root.add_key(key(self.feed_key).public_key, role)
            self.root.roles[role].threshold = threshold
        return self.write_root(*signers)

    def write_root(self, *signers: int) -> bytes:
        """Sign the root as it is now."""
        data = sign(self.root, *(signers or (self.root_key,)))
        self.files[f"{self.root.version}.root.json"] = data
        return data

    def publish(self, *packages: Assigned, after_s: int = 60) -> dict[str, bytes]:
        """The next version of everything, `after_s` later; the files then."""
        self.time += after_s
        self.packages = list(packages) or self.packages
        self.write_contents()
        self.targets.version += 1
        self.write_targets()
        self.snapshot.version += 1
        self.write_snapshot()
        self.timestamp.version += 1
        self.write_timestamp()
        return dict(self.files)

    def write_contents(self) -> None:
        """`desired.json` and `acks.json` as they are now, named by the targets."""
        desired = Desired(format=DESIRED_FORMAT, site=self.site, time=self.time, packages=self.packages)
        self.set_target("desired.json", dump(desired))
        self.set_target("acks.json", dump(self.acks))

    def set_target(self, name: str, data: bytes) -> None:
        """Let the targets name `data` as `name`, and put its file there."""
        self.targets.targets[name] = TargetFile(len(data), {"sha256": sha256_hex(data)}, name)
        self.files[f"{sha256_hex(data)}.{name}"] = data

    def write_targets(self, *signers: int) -> bytes:
        """Sign the targets as they are now; the snapshot will name them."""
        data = self._sign(self.targets, 365 * DAY_S, signers)
        self.files[f"{self.targets.version}.targets.json"] = data
        self.snapshot.meta["targets.json"] = _meta(self.targets, data)
        return data

    def write_snapshot(self, *signers: int) -> bytes:
        """Sign the snapshot as it is now; the timestamp will name it."""
        data = self._sign(self.snapshot, 365 * DAY_S, signers)
        self.files[f"{self.snapshot.version}.snapshot.json"] = data
        self.timestamp.snapshot_meta = _meta(self.snapshot, data)
        return data

    def write_timestamp(self, *signers: int) -> bytes:
        """Sign the timestamp as it is now, with the time it is now."""
        self.timestamp.unrecognized_fields["time"] = self.time
        data = self._sign(self.timestamp, 2 * DAY_S, signers)
        self.files["timestamp.json"] = data
        return data

    def rewrite(self) -> None:
        """Sign all online roles again as they are, the hashes going along."""
        self.write_targets()
        self.write_snapshot()
        self.write_timestamp()

    def _sign(self, signed: Signed, life_s: int, signers: Sequence[int]) -> bytes:
        signed.unrecognized_fields["site"] = self.site
        signed.expires = utc(self.time + life_s)
        return sign(signed, *(signers or (self.feed_key,)))


def _meta(signed: Signed, data: bytes) -> MetaFile:
    return MetaFile(signed.version, len(data), {"sha256": sha256_hex(data)})
