"""Which feed is believed: the rules of docs/format.md §4.2. No I/O.

`believe` takes what was believed before and the files of a feed, and says what is believed now, or
refuses the whole feed. It decides on versions, signatures and the hub's own signed time; it never
asks this machine's clock.

Built on the data types of python-tuf (`tuf.api.metadata`); its client is not used, because that
holds expiry against the machine's clock, and boxes have none that could be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sync.canonical import canonical, sha256_hex
from sync.clock import utc
from sync.desired import (
    ACKS_NAME,
    DESIRED_NAME,
    MOST_ACKS_BYTES,
    MOST_DESIRED_BYTES,
    Acks,
    Desired,
    parse_acks,
    parse_desired,
)
from sync.errors import Refused

#: Field of every role's signed part: the site this feed is for.
SITE_FIELD = "site"
#: Field of the timestamp's signed part: the hub's clock when it was signed, whole seconds.
TIME_FIELD = "time"
#: Largest hub time, in seconds (the year 2242): keeps every date within what TUF can write down.
MOST_TIME = 2**33
#: Largest version number: what any second implementation can hold in 32 signed bits.
MOST_VERSION = 2**31 - 1

TIMESTAMP_NAME = "timestamp.json"
#: The target of the snapshot's `meta`.
TARGETS_META = "targets.json"
SNAPSHOT_META = "snapshot.json"

#: Largest file of each kind, in bytes. Real ones: root 1.2 KB, the others under 1 KB; ten times
#: that and more is left for later fields. A larger file is refused before it is parsed.
MOST_BYTES = {Root.type: 65_536, Timestamp.type: 16_384, Snapshot.type: 16_384, Targets.type: 65_536,
              DESIRED_NAME: MOST_DESIRED_BYTES, ACKS_NAME: MOST_ACKS_BYTES}

#: The files of a feed: their names, and nothing else, have a meaning in it.
FEED_FILE = re.compile(
    rf"timestamp\.json|(?P<version>[1-9][0-9]{{0,9}})\.(?P<role>root|snapshot|targets)\.json"
    rf"|(?P<sha256>[0-9a-f]{{64}})\.(?P<target>{re.escape(DESIRED_NAME)}|{re.escape(ACKS_NAME)})")

#: The roles whose keys are the site's feed key.
ONLINE_ROLES = (Timestamp.type, Snapshot.type, Targets.type)

Role = TypeVar("Role", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True)
class Trusted:
    """What a box believed last; kept in one piece, replaced in one piece.

    root, timestamp, snapshot, targets   the bytes of the metadata (None: none believed yet)
    time     the largest hub time that believed metadata told, in seconds; 0 where none did
    anchor   SHA-256 of the pairing file's root that this grew from; "" where that does not matter
    """

    root: bytes
    timestamp: bytes | None = None
    snapshot: bytes | None = None
    targets: bytes | None = None
    time: int = 0
    anchor: str = ""


@dataclass(frozen=True)
class Believed:
    """A feed that is believed. `changed`: `trusted` differs from what was given, so keep it."""

    trusted: Trusted
    desired: Desired
    acks: Acks
    changed: bool


def most_bytes(name: str) -> int | None:
    """The largest size of a feed's file with this name, in bytes; None if no feed has such a file."""
    match = FEED_FILE.fullmatch(name)
    if match is None:
        return None
    return MOST_BYTES[match["role"] or match["target"] or Timestamp.type]


def read_root(site: str, data: bytes) -> Root:
    """The root of a pairing file: well-formed, for `site`, signed by its own keys.

    Raises Refused `pairing-bad`.
    """
    try:
        return _first_root(site, data)
    except Refused as error:
        raise Refused("pairing-bad", reason=f"its root: {error.message()}") from error


def believe(site: str, trusted: Trusted, feed: Mapping[str, bytes]) -> Believed:
    """Hold the files of a feed (name → bytes) to every rule, given what was believed before.

    Raises Refused, whatever the bytes are, and nothing else: `feed-incomplete` (a file is missing),
    `feed-bad` (too large, malformed), `feed-signature`, `feed-wrong-site`, `feed-wrong-root`
    (another hub), `feed-rollback` (older than what is known), `feed-mixed` (parts of different
    feeds), `feed-expired` (by the hub's own signed time); `desired-bad`, `acks-bad`.
    """
    first = _first_root(site, trusted.root)
    root, root_bytes = _walk(site, first, trusted.root, feed)
    if _online(root) != _online(first):
        trusted = Trusted(root=trusted.root, anchor=trusted.anchor)

    data = _file(feed, TIMESTAMP_NAME)
    timestamp = _load(Timestamp, TIMESTAMP_NAME, data, site, root)
    now = max(trusted.time, _time(timestamp))
    snapshot_meta = _meta(timestamp.snapshot_meta, TIMESTAMP_NAME)
    _not_older(timestamp, snapshot_meta, data, trusted)
    _alive(root, f"{root.version}.root.json", now)
    _alive(timestamp, TIMESTAMP_NAME, now)

    name = f"{snapshot_meta.version}.snapshot.json"
    snapshot_bytes = _matching(feed, name, snapshot_meta)
    snapshot = _load(Snapshot, name, snapshot_bytes, site, root)
    _same_version(snapshot, snapshot_meta, name)
    targets_meta = _meta(snapshot.meta.get(TARGETS_META), name)
    before = _known(Snapshot, trusted.snapshot)
    known = before.meta.get(TARGETS_META) if before is not None else None
    if known is not None and targets_meta.version < known.version:
        raise Refused("feed-rollback", file=name, version=targets_meta.version,
                      known=known.version)
    _alive(snapshot, name, now)

    name = f"{targets_meta.version}.targets.json"
    targets_bytes = _matching(feed, name, targets_meta)
    targets = _load(Targets, name, targets_bytes, site, root)
    _same_version(targets, targets_meta, name)
    _alive(targets, name, now)

    desired = parse_desired(_target(feed, targets, DESIRED_NAME, name), site)
    acks = parse_acks(_target(feed, targets, ACKS_NAME, name), site)
    if trusted.timestamp is not None and _same_signed(data, trusted.timestamp):
        data = trusted.timestamp
    after = Trusted(root=root_bytes, timestamp=data, snapshot=snapshot_bytes, targets=targets_bytes,
                    time=now, anchor=trusted.anchor)
    return Believed(after, desired, acks, changed=after != trusted)


def signed_time(timestamp: bytes | None) -> int:
    """The hub time in a timestamp's bytes, unverified; 0 where there is none or it is malformed."""
    found = _known(Timestamp, timestamp)
    try:
        return _time(found) if found is not None else 0
    except Refused:
        return 0


def _first_root(site: str, data: bytes) -> Root:
    return _load(Root, "root", data, site, None)


def _walk(site: str, root: Root, data: bytes, feed: Mapping[str, bytes]) -> tuple[Root, bytes]:
    """Step 1: from the root held to the newest one the feed proves, one version at a time."""
    while (name := f"{root.version + 1}.root.json") in feed:
        data = feed[name]
        following = _load(Root, name, data, site, root)
        if following.version != root.version + 1:
            raise Refused("feed-mixed", file=name)
        root = following
    there = [int(match["version"]) for match in map(FEED_FILE.fullmatch, feed)
             if match is not None and match["role"] == Root.type]
    if there and max(there) < root.version:
        raise Refused("feed-rollback", file=f"{max(there)}.root.json", version=max(there),
                      known=root.version)
    name = f"{root.version}.root.json"
    if not _same_signed(beside := feed.get(name, data), data):
        _load(Root, name, beside, site, None)  # a damaged root is nobody's
        raise Refused("feed-wrong-root", file=name)
    return root, data


def _load(kind: type[Role], name: str, data: bytes, site: str, delegator: Root | None) -> Role:
    """Parse one role's metadata, for `site`, signed as `delegator` says. A root must be signed by
    its own keys too, and by them alone where there is no delegator."""
    if len(data) > MOST_BYTES[kind.type]:
        raise Refused("feed-bad", file=name, reason=f"larger than {MOST_BYTES[kind.type]} bytes")
    # The one border to python-tuf's parsing of foreign bytes: it raises whatever a malformed value
    # happens to raise (TypeError, AttributeError, OverflowError, …), and all of it means the same.
    try:
        metadata: Metadata[Role] = Metadata.from_bytes(data)
        payload = metadata.signed_bytes
        well_formed = type(metadata.signed.version) is int and metadata.signed.version <= MOST_VERSION
        # Also what JSON readers would not agree about: keys twice, defaults left to the reader.
        is_canonical = canonical(metadata.to_dict()) == data
    except Exception as error:
        raise Refused("feed-bad", file=name, reason=_reason(error)) from error
    signed = metadata.signed
    if not isinstance(signed, kind) or not well_formed:
        raise Refused("feed-bad", file=name, reason=f"no {kind.type} metadata, or no version")
    if not is_canonical:
        raise Refused("feed-bad", file=name, reason="not canonical JSON (RFC 8785)")
    if signed.unrecognized_fields.get(SITE_FIELD) != site:
        raise Refused("feed-wrong-site", file=name, site=site,
                      other=signed.unrecognized_fields.get(SITE_FIELD))
    verifiers = [delegator] if delegator is not None else []
    verifiers += [signed] if isinstance(signed, Root) else []
    try:
        for verifier in verifiers:
            verifier.verify_delegate(kind.type, payload, metadata.signatures)
    except UnsignedMetadataError as error:
        raise Refused("feed-signature", file=name) from error
    except Exception as error:
        raise Refused("feed-bad", file=name, reason=_reason(error)) from error
    return signed


def _known(kind: type[Role], data: bytes | None) -> Role | None:
    """Metadata that was believed before; our own store keeps its bytes, so it is not verified anew."""
    if data is None:
        return None
    try:
        signed = Metadata.from_bytes(data).signed
    except Exception:  # see _load; what cannot be read can't be compared with
        return None
    return signed if isinstance(signed, kind) else None


def _same_signed(data: bytes, known: bytes | None) -> bool:
    """Do two files say the same? Signatures and what else nobody signed may differ: were they
    compared, whoever carries a feed could change them and so make a box refuse the honest file."""
    if data == known:
        return True
    try:
        return known is not None and bool(
            Metadata.from_bytes(data).signed_bytes == Metadata.from_bytes(known).signed_bytes)
    except Exception:  # see _load
        return False


def _online(root: Root) -> list[tuple[list[str], int, list[object]]]:
    """Who may sign the online roles: keys and thresholds, in a form that can be compared."""
    return [(sorted(root.roles[role].keyids), root.roles[role].threshold,
             [root.keys[keyid].to_dict() for keyid in sorted(root.roles[role].keyids) if keyid in root.keys])
            for role in ONLINE_ROLES]


def _time(timestamp: Timestamp) -> int:
    time = timestamp.unrecognized_fields.get(TIME_FIELD)
    if type(time) is not int or not 0 <= time <= MOST_TIME:
        raise Refused("feed-bad", file=TIMESTAMP_NAME, reason="no hub time")
    return time


def _not_older(timestamp: Timestamp, snapshot_meta: MetaFile, data: bytes, trusted: Trusted) -> None:
    """Step 3: neither the timestamp nor the snapshot it names goes back behind what is known."""
    before = _known(Timestamp, trusted.timestamp)
    if before is None:
        return
    if timestamp.version < before.version or (
            timestamp.version == before.version and not _same_signed(data, trusted.timestamp)):
        raise Refused("feed-rollback", file=TIMESTAMP_NAME, version=timestamp.version,
                      known=before.version)
    if snapshot_meta.version < before.snapshot_meta.version:
        raise Refused("feed-rollback", file=f"{snapshot_meta.version}.snapshot.json",
                      version=snapshot_meta.version, known=before.snapshot_meta.version)


def _alive(signed: Signed, name: str, now: int) -> None:
    if signed.is_expired(utc(now)):
        raise Refused("feed-expired", file=name, expires=signed.expires.isoformat(),
                      hub_time=utc(now).isoformat())


def _same_version(signed: Signed, meta: MetaFile, name: str) -> None:
    if signed.version != meta.version:
        raise Refused("feed-mixed", file=name)


def _meta(meta: MetaFile | None, name: str) -> MetaFile:
    """What timestamp or snapshot say of the next file: version, length and SHA-256, all there."""
    if meta is None or type(meta.version) is not int or not 1 <= meta.version <= MOST_VERSION \
            or meta.length is None or not meta.hashes or "sha256" not in meta.hashes:
        raise Refused("feed-bad", file=name, reason="it does not say version, length and hash")
    return meta


def _file(feed: Mapping[str, bytes], name: str) -> bytes:
    data = feed.get(name)
    if data is None:
        raise Refused("feed-incomplete", file=name)
    return data


def _matching(feed: Mapping[str, bytes], name: str, meta: MetaFile | TargetFile) -> bytes:
    data = _file(feed, name)
    hashes = cast(dict[str, str], meta.hashes)
    if len(data) != meta.length or sha256_hex(data) != hashes["sha256"]:
        raise Refused("feed-mixed", file=name)
    return data


def _target(feed: Mapping[str, bytes], targets: Targets, target: str, name: str) -> bytes:
    """The bytes of a target, which the consistent snapshot names by their hash."""
    described = targets.targets.get(target)
    if described is None or not isinstance(described.hashes.get("sha256"), str):
        raise Refused("feed-bad", file=name, reason=f"it does not name {target}")
    return _matching(feed, f"{described.hashes['sha256']}.{target}", described)


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"[:200]
