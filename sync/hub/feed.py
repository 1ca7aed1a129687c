"""Writing the feeds: what each site shall have and what the hub has of it, signed (docs/format.md §4, §5).

`feed/<site>/` is derived: from hub.db (assignments, packages, segments, uploads, the numbers given so
far) and from `keys/`. It may be deleted; the next `write_feed` makes it again under new numbers.

Promises
* Cut off between any two writes, the feed verifies: the old one or the new one.
* A version number is given once: it is in hub.db, durably, before a file bears it.
* Nothing new: nothing is written.
* `news/<site>`, the feed as one file (`sync.news`), is never newer than the feed, and a write that was cut
  off is made good by the next; a revoked site has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from sync.canonical import canonical, sha256_hex
from sync.clock import utc
from sync.database import transaction
from sync.desired import (
    ACKS_FORMAT,
    ACKS_NAME,
    DESIRED_FORMAT,
    DESIRED_NAME,
    MOST_BOXES,
    MOST_TOLD,
    MOST_WANTED,
    Ack,
    Acks,
    Assigned,
    Desired,
    Told,
    dump,
)
from sync.durable import make_folder, move_into_place, sweep_temporary, temporary_beside, write_file
from sync.errors import Broken, Refused
from sync.file_lock import HeldByAnother, exclusive
from sync.hub import keys, roots
from sync.hub.clock import believed_time, time_now
from sync.hub.settings import Hub
from sync.layout import HubLayout
from sync.news import dump as dump_news
from sync.news import parse as parse_news
from sync.policy import Policy, as_plain, parse_policy
from sync.timetable import Timetable, parse_timetable
from sync.timetable import as_plain as timetable_plain
from sync.trust import (
    FEED_FILE,
    MOST_TIME,
    SITE_FIELD,
    TARGETS_META,
    TIME_FIELD,
    TIMESTAMP_NAME,
    Believed,
    Trusted,
    believe,
    most_bytes,
    signed_time,
)

#: Lives from the hub time on, in seconds; what has half of its life behind it is signed again. The
#: timestamp's is short because it carries the hub's time to the boxes, not because of any danger.
TIMESTAMP_LIFE_S = 2 * 86400
SNAPSHOT_LIFE_S = 365 * 86400
TARGETS_LIFE_S = 365 * 86400
#: Generations of metadata kept beside the newest, so that a copy made meanwhile is whole.
KEPT_GENERATIONS = 2
#: How long to wait for another process that writes the same feed, in seconds; a write takes 0.1.
LOCK_PATIENCE_S = 30.0


Role = TypeVar("Role", Timestamp, Snapshot, Targets)


@dataclass
class _Numbers:
    """The version numbers given last, and the last time written (docs/format.md §4.3)."""

    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0
    time: int = 0


def write_feed(hub: Hub, site: str) -> bool:
    """Bring the feed of `site` up to date; True if anything was written.

    Call it after the transaction that changed something, never inside one. Idempotent: the next call
    finishes what a crash cut off.

    Raises Refused `site-unknown`; Broken `key-missing`, `feed-busy` (another process writes it and
    does not end); NoRoom `disk-full`, Broken `disk-failing`: the feed is then the old one.
    """
    _hold_site(hub, site)
    with feed_lock(hub.layout, site):
        written = _Writing(hub, site).run()
        return _write_news(hub, site) or written


def remove_news(hub: Hub, site: str) -> None:
    """Take the news of a revoked site away. Raises Broken `feed-busy`."""
    with feed_lock(hub.layout, site):
        _write_news(hub, site)


def refresh_feeds(hub: Hub) -> list[str]:
    """Bring the feeds of all valid sites up to date (also: sign again what has half of its life
    behind it); the sites whose feed changed. Raises as `write_feed`."""
    rows = hub.database.execute("SELECT site FROM site WHERE revoked IS NULL ORDER BY site").fetchall()
    return [site for (site,) in rows if write_feed(hub, site)]


@contextmanager
def feed_lock(layout: HubLayout, site: str) -> Iterator[None]:
    """Keep other processes and threads from this site's feed and feed keys. Take it before a
    transaction, not inside one. Raises Broken `feed-busy`."""
    make_folder(layout.run, 0o700)
    try:
        with exclusive(layout.run / f"feed-{site}.lock", LOCK_PATIENCE_S):
            yield
    except HeldByAnother:
        raise Broken("feed-busy", site=site) from None


def _hold_site(hub: Hub, site: str) -> None:
    if hub.database.execute("SELECT 1 FROM site WHERE site = ?", [site]).fetchone() is None:
        raise Refused("site-unknown", site=site)


def hub_time(hub: Hub, site: str) -> int:
    """The time to sign with: the hub's clock as it is believed, never before what the site was told."""
    return _within(time_now(hub), _numbers(hub, site).time)


def desired_packages(hub: Hub, site: str) -> list[Assigned]:
    """What the site shall have now: the newest version of each assigned package, by id."""
    rows = hub.database.execute(
        "SELECT a.package, p.version, p.manifest, p.manifest_bytes, p.bytes, a.priority, "
        "a.now_version = p.version "
        "FROM assignment a JOIN package p ON p.id = a.package AND p.version = "
        "(SELECT max(version) FROM package WHERE id = a.package) WHERE a.site = ? ORDER BY a.package",
        [site])
    return [Assigned(id=package, version=version, manifest=manifest, size=size, bytes=total,
                     priority=priority, now=True if now else UNSET)
            for package, version, manifest, size, total, priority, now in rows]


def site_policy(hub: Hub, site: str) -> Policy:
    """The policy of the site; NO_POLICY where none was set."""
    row = hub.database.execute("SELECT policy FROM policy WHERE site = ?", [site]).fetchone()
    return parse_policy(msgspec.json.decode(row[0]) if row else {})


def site_timetable(hub: Hub, site: str) -> Timetable:
    """The timetable of the site; NO_TIMETABLE where none was set."""
    row = hub.database.execute("SELECT timetable FROM timetable WHERE site = ?", [site]).fetchone()
    return parse_timetable(msgspec.json.decode(row[0]) if row else {})


def current_acks(hub: Hub, site: str) -> Acks:
    """What the hub has of the site's journals now: for each box all segments up to the first gap."""
    boxes: dict[str, Ack] = {}
    rows = hub.database.execute(
        "SELECT box, max(number), count(*) FROM segment WHERE site = ? GROUP BY box "
        "ORDER BY max(ingested) DESC, box LIMIT ?", [site, MOST_BOXES]).fetchall()
    for box, highest, count in rows:
        whole = highest if highest == count else _before_gap(hub, site, box)
        if whole:
            sha256, seq = hub.database.execute(
                "SELECT sha256, last_seq FROM segment WHERE site = ? AND box = ? AND number = ?",
                [site, box, whole]).fetchone()
            boxes[box] = Ack(segment=whole, chain=sha256, seq=seq)
    wanted = hub.database.execute(
        "SELECT DISTINCT sha256 FROM upload WHERE site = ? AND received IS NULL ORDER BY sha256 LIMIT ?",
        [site, MOST_WANTED])
    told = [Told(sha256=sha256, state=verdict, note=note) for sha256, verdict, note in hub.database.execute(
        "SELECT sha256, verdict, note FROM review WHERE sha256 IN (SELECT sha256 FROM upload WHERE site = ?) "
        "ORDER BY at DESC, sha256 LIMIT ?", [site, MOST_TOLD])]
    return Acks(format=ACKS_FORMAT, site=site, boxes=boxes, wanted=[sha256 for (sha256,) in wanted],
                told=told or UNSET)


def _before_gap(hub: Hub, site: str, box: str) -> int:
    whole = 0
    for (number,) in hub.database.execute(
            "SELECT number FROM segment WHERE site = ? AND box = ? ORDER BY number", [site, box]):
        if number != whole + 1:
            break
        whole = number
    return whole


def _numbers(hub: Hub, site: str) -> _Numbers:
    row = hub.database.execute("SELECT timestamp, snapshot, targets, time FROM feed WHERE site = ?",
                               [site]).fetchone()
    return _Numbers(*row) if row else _Numbers()


def _within(clock: float, last: int) -> int:
    return min(max(int(clock), last, 0), MOST_TIME)


class _Writing:
    """One `write_feed`, under the lock."""

    def __init__(self, hub: Hub, site: str) -> None:
        self._hub = hub
        self._site = site
        self._folder = hub.layout.feed(site)
        make_folder(self._folder)
        self._there = _Files(self._folder)
        self._numbers = _numbers(hub, site)
        self._go_on_after_files()

    def run(self) -> bool:
        layout, site, numbers = self._hub.layout, self._site, self._numbers
        numbers.time = _within(believed_time(self._hub), numbers.time)
        root_bytes = roots.ensure_root(layout, site, numbers.time)
        root = Metadata[Root].from_bytes(root_bytes).signed
        # With the root key offline and the clock beyond the root's end, stay before that end: the
        # boxes would otherwise learn a time at which nothing of this hub is valid any more.
        numbers.time = min(numbers.time, int(root.expires.timestamp()) - TIMESTAMP_LIFE_S)
        new_roots = {f"{version}.root.json": data for version, data in roots.roots(layout, site).items()}
        new_roots = {name: data for name, data in new_roots.items() if self._there.get(name) != data}
        new = self._new_files(root_bytes, self._signers(changing_over=bool(new_roots)))
        if new:
            self._give_numbers()
        for name, data in new.items():
            write_file(self._folder / name, data)
        # The highest root first: one without its predecessor means nothing to a box yet, so it meets
        # a whole series of changed keys or none of it.
        for name in reversed(new_roots):
            write_file(self._folder / name, new_roots[name])
        keys.forget_previous_feed_key(layout, site)
        if new or new_roots:
            self._remove_superseded()
        return bool(new or new_roots)

    def _go_on_after_files(self) -> None:
        """Numbers go on after those of the files too: hub.db may be older than the feed."""
        numbers = self._numbers
        for version, role in _versions(self._there):
            if role == Snapshot.type:
                numbers.snapshot = max(numbers.snapshot, version)
            elif role == Targets.type:
                numbers.targets = max(numbers.targets, version)
        data = self._there.get(TIMESTAMP_NAME)
        timestamp = _parsed(data)
        if timestamp is not None and self._signed_by_us(data):  # a rotten one would set the hub's time
            numbers.timestamp = max(numbers.timestamp, timestamp.version)
            numbers.time = max(numbers.time, signed_time(data))

    def _signed_by_us(self, data: bytes | None) -> bool:
        """Does the feed key of today, or the one before, stand behind these bytes?"""
        metadata = Metadata[Timestamp].from_bytes(data or b"")
        for path in (keys.feed_key(self._hub.layout, self._site),
                     keys.previous_feed_key(self._hub.layout, self._site)):
            key = keys.signer(path).public_key if path.is_file() else None
            if key is not None and key.keyid in metadata.signatures:
                with suppress(UnverifiedSignatureError):
                    key.verify_signature(metadata.signatures[key.keyid], metadata.signed_bytes)
                    return True
        return False

    def _signers(self, changing_over: bool) -> list[CryptoSigner]:
        """The feed key; while the newest root is not in the feed yet, the key before it as well."""
        layout, site = self._hub.layout, self._site
        found = [keys.signer(keys.feed_key(layout, site))]
        if changing_over and keys.previous_feed_key(layout, site).is_file():
            found.append(keys.signer(keys.previous_feed_key(layout, site)))
        return found

    def _new_files(self, root: bytes, signers: Sequence[CryptoSigner]) -> dict[str, bytes]:
        """The files to write, in order; empty if the feed that lies there says all there is to say."""
        numbers, current = self._numbers, self._current(root)
        desired, acks = self._desired(current), dump(current_acks(self._hub, self._site))
        files: dict[str, bytes] = {}
        signed: dict[str, bytes] = {}
        if current is not None:
            signed = {Timestamp.type: current.trusted.timestamp or b"",
                      Snapshot.type: current.trusted.snapshot or b"",
                      Targets.type: current.trusted.targets or b""}
        if (current is None or desired != dump(current.desired) or acks != dump(current.acks)
                or self._ageing(signed[Targets.type], TARGETS_LIFE_S)):
            numbers.targets += 1
            names = {DESIRED_NAME: desired, ACKS_NAME: acks}
            files |= {f"{sha256_hex(data)}.{name}": data for name, data in names.items()}
            targets = Targets(numbers.targets, targets={
                name: TargetFile(len(data), {"sha256": sha256_hex(data)}, name)
                for name, data in names.items()})
            signed[Targets.type] = self._sign(targets, TARGETS_LIFE_S, signers)
            files[f"{numbers.targets}.targets.json"] = signed[Targets.type]
        if files or self._ageing(signed[Snapshot.type], SNAPSHOT_LIFE_S):
            numbers.snapshot += 1
            snapshot = Snapshot(numbers.snapshot, meta={TARGETS_META: _meta(signed[Targets.type])})
            signed[Snapshot.type] = self._sign(snapshot, SNAPSHOT_LIFE_S, signers)
            files[f"{numbers.snapshot}.snapshot.json"] = signed[Snapshot.type]
        if files or self._ageing(signed[Timestamp.type], TIMESTAMP_LIFE_S):
            numbers.timestamp += 1
            timestamp = Timestamp(numbers.timestamp, snapshot_meta=_meta(signed[Snapshot.type]),
                                  unrecognized_fields={TIME_FIELD: numbers.time})
            files[TIMESTAMP_NAME] = self._sign(timestamp, TIMESTAMP_LIFE_S, signers)
        return {name: data for name, data in files.items()
                if name == TIMESTAMP_NAME or self._there.get(name) != data}

    def _current(self, root: bytes) -> Believed | None:
        """The feed as it lies there, if a box that knows nothing but the newest root believes it."""
        try:
            return believe(self._site, Trusted(root), _Files(self._folder, with_roots=False))
        except Refused:
            return None

    def _desired(self, current: Believed | None) -> bytes:
        packages = desired_packages(self._hub, self._site)
        policy = as_plain(site_policy(self._hub, self._site))
        timetable = timetable_plain(site_timetable(self._hub, self._site)) or UNSET
        if current is not None and (current.desired.packages, current.desired.policy,
                                    current.desired.timetable) == (packages, policy, timetable):
            return dump(current.desired)
        return dump(Desired(format=DESIRED_FORMAT, site=self._site, time=self._numbers.time,
                            packages=packages, policy=policy, timetable=timetable))

    def _ageing(self, data: bytes, life_s: int) -> bool:
        signed = _parsed(data)
        return signed is None or utc(self._numbers.time) >= signed.expires - timedelta(seconds=life_s / 2)

    def _sign(self, signed: Role, life_s: int, signers: Sequence[CryptoSigner]) -> bytes:
        signed.unrecognized_fields[SITE_FIELD] = self._site
        signed.expires = utc(self._numbers.time + life_s)
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        return canonical(metadata.to_dict())

    def _give_numbers(self) -> None:
        with transaction(self._hub.database):
            self._hub.database.execute("INSERT OR REPLACE INTO feed VALUES (?, ?, ?, ?, ?)",
                                       [self._site, *astuple(self._numbers)])

    def _remove_superseded(self) -> None:
        """Drop what is older than KEPT_GENERATIONS before the newest, and unfinished writes."""
        files = _Files(self._folder)
        names = set(files)
        kept = {name for name in names if name == TIMESTAMP_NAME or name.endswith(".root.json")}
        for role in (Snapshot.type, Targets.type):
            versions = sorted((v for v, r in _versions(names) if r == role), reverse=True)
            kept |= {f"{version}.{role}.json" for version in versions[:KEPT_GENERATIONS + 1]}
        for name in [name for name in kept if name.endswith(".targets.json")]:
            targets = _parsed(files.get(name))
            if isinstance(targets, Targets):
                kept |= {f"{file.hashes.get('sha256')}.{target}" for target, file in targets.targets.items()}
        for name in names - kept:
            (self._folder / name).unlink(missing_ok=True)
        sweep_temporary(self._folder)


def _write_news(hub: Hub, site: str) -> bool:
    """Make the site's news say what its feed says, under the lock; True if it was written."""
    path, folder = hub.layout.news(site), hub.layout.feed(site)
    valid = hub.database.execute("SELECT 1 FROM site WHERE site = ? AND revoked IS NULL", [site]).fetchone()
    if valid is None:
        path.unlink(missing_ok=True)
        return False
    files = _newest(_Files(folder))
    timestamp = _parsed(files.get(TIMESTAMP_NAME))
    if timestamp is None:  # rotten: the next write of the feed makes it again
        return False
    try:
        # The time of change is the timestamp's number: a web server makes the ETag of it and of the size.
        if int(path.stat().st_mtime) == timestamp.version and parse_news(path.read_bytes(), site) == files:
            return False
    except (OSError, Refused):
        pass
    make_folder(path.parent)
    # In the folder of the feed, which the lock is for: what is unfinished there is nobody else's.
    staged = temporary_beside(folder / path.name)
    write_file(staged, dump_news(site, files), mtime=timestamp.version)
    move_into_place([(staged, path)])
    sweep_temporary(folder)
    return True


def _newest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of a feed what a box needs: all roots, the timestamp, and what that leads to."""
    names = [name for name in files if name.endswith(".root.json")] + [TIMESTAMP_NAME]
    timestamp = _parsed(files.get(TIMESTAMP_NAME))
    if isinstance(timestamp, Timestamp):
        names.append(f"{timestamp.snapshot_meta.version}.{Snapshot.type}.json")
        snapshot = _parsed(files.get(names[-1]))
        if isinstance(snapshot, Snapshot):
            names.append(f"{snapshot.meta[TARGETS_META].version}.{Targets.type}.json")
            targets = _parsed(files.get(names[-1]))
            if isinstance(targets, Targets):
                names += [f"{file.hashes['sha256']}.{name}" for name, file in targets.targets.items()]
    return {name: files[name] for name in names if name in files}


class _Files(Mapping[str, bytes]):
    """The files of the feed in a folder, read when asked for. One too large to be ours counts as absent."""

    def __init__(self, folder: Path, *, with_roots: bool = True) -> None:
        self._folder = folder
        self._names = sorted(path.name for path in folder.iterdir() if FEED_FILE.fullmatch(path.name)
                             and (with_roots or not path.name.endswith(".root.json")))

    def __getitem__(self, name: str) -> bytes:
        most = most_bytes(name)
        if most is None or name not in self._names:
            raise KeyError(name)
        try:
            with (self._folder / name).open("rb") as handle:
                data = handle.read(most + 1)
        except OSError:  # rotten or gone: it is written anew
            raise KeyError(name) from None
        if len(data) > most:
            raise KeyError(name)
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _versions(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    for match in map(FEED_FILE.fullmatch, names):
        if match is not None and match["role"]:
            yield int(match["version"]), match["role"]


def _parsed(data: bytes | None) -> Signed | None:
    """Metadata of our own, for its numbers; None where it is not there or damaged."""
    if data is None:
        return None
    try:
        return Metadata[Targets].from_bytes(data).signed
    except DeserializationError:
        return None


def _meta(data: bytes) -> MetaFile:
    return MetaFile(Metadata[Targets].from_bytes(data).signed.version, len(data),
                    {"sha256": sha256_hex(data)})
