"""Filling a stick for sites: their feeds, and of the library what they lack (docs/format.md §6.8).

    <stick>/feed/<site>/…   <stick>/library/objects/…   <stick>/inbox/<site>/… (what came back)

The order of a visit: take in what the stick brought, remove from it what is safe here, make room, copy
what is lacking in the order of the plan, and each site's feed last. Pulled out at any moment, what lies on
the stick is whole files; the box verifies all of it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sync.canonical import is_sha256, sha256_hex
from sync.carrier import Carrier, TooLarge
from sync.desired import Assigned
from sync.errors import Broken, NoRoom, Refused
from sync.hub.feed import desired_packages, feed_lock, write_feed
from sync.hub.ingest import ingest_stick
from sync.hub.settings import Hub
from sync.hub.sites import get_site, list_sites
from sync.hub.status import told_to_have
from sync.layout import object_path
from sync.logs import log
from sync.manifest import MOST_MANIFEST_BYTES, Manifest, parse
from sync.plan import Room, Unit, plan
from sync.store import hash_file
from sync.transport import Wanted
from sync.trust import TIMESTAMP_NAME

#: Left free on a stick, in bytes: for what the boxes put on it for the hub.
RESERVE_BYTES = 64 * 1024 * 1024
#: The priority of manifests in the plan: before all resources.
MANIFESTS_FIRST = 10

Progress = Callable[[int, int], None]


@dataclass
class SiteCarried:
    """What was done for one site. `known`: the hub has heard from its box, so that only what it lacks goes
    on the stick; `bytes`: what it lacks; `left_bytes`: how much of that found no room."""

    site: str
    known: bool
    packages: int = 0
    objects: int = 0
    bytes: int = 0
    left_bytes: int = 0


@dataclass
class Carried:
    """What a visit did. `written_bytes`: of objects that were not on the stick; `removed_bytes`: of what
    nobody on it needs any more; `too_large`: objects its file system cannot hold; `damaged`: objects that
    are rotten or missing here, `hurt_packages` what needs them; `records`, `uploads`: taken in from it."""

    sites: list[SiteCarried] = field(default_factory=list)
    written_objects: int = 0
    written_bytes: int = 0
    removed_bytes: int = 0
    records: int = 0
    uploads: int = 0
    too_large: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    hurt_packages: list[str] = field(default_factory=list)

    @property
    def left_bytes(self) -> int:
        """What found no room, all sites together."""
        return sum(site.left_bytes for site in self.sites)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "left_bytes": self.left_bytes}


def carry(hub: Hub, sites: Sequence[str], carrier: Carrier, *, everything: bool = False, check: bool = False,
          progress: Progress = lambda _done, _total: None) -> Carried:
    """Fill a stick for `sites`. `everything`: also what their boxes have already; `check`: read again what
    lies on the stick, instead of trusting sizes. `progress` gets (bytes done, bytes in all).

    What does not fit is left out, the least urgent first, and counted: no error. Can be repeated, and
    goes on where it was cut off.

    Raises Refused `site-unknown`, `site-revoked`, `stick-leads-elsewhere`; Broken `library-damaged` (a
    manifest); Unreachable `carrier-gone`; NoRoom `carrier-full` (not even the feeds fit), `disk-full`.
    """
    return _Visit(hub, carrier, everything, check, progress).run(sites)


class _Visit:
    def __init__(self, hub: Hub, carrier: Carrier, everything: bool, check: bool, progress: Progress) -> None:
        self._hub, self._carrier = hub, carrier
        self._everything, self._check, self._progress = everything, check, progress
        self._done = Carried()

    def run(self, sites: Sequence[str]) -> Carried:
        for name in sites:
            if get_site(self._hub, name).revoked is not None:
                raise Refused("site-revoked", site=name)
        self._carrier.there()
        for folder in ("library", "feed"):
            self._carrier.sweep(folder)
        if self._carrier.path("inbox").is_dir():
            self._take_in()
        chosen = list(dict.fromkeys(sites))
        lacking = {site: self._units(site) for site in chosen}
        self._make_room(chosen, lacking)
        self._copy_objects(lacking)
        for site in chosen:
            self._copy_feed(site)
        return self._done

    # -- what came back

    def _take_in(self) -> None:
        self._carrier.hold_inside("inbox")
        taken = ingest_stick(self._hub, self._carrier.root)
        self._done.records, self._done.uploads = taken.records, taken.objects
        for site in list_sites(self._hub):
            inbox = f"inbox/{site.site}"
            for path in self._carrier.files(inbox):
                if self._safe_here(site.site, path):
                    self._done.removed_bytes += self._carrier.remove(f"{inbox}/{path}")

    def _safe_here(self, site: str, path: str) -> bool:
        """Does the hub have, for good, what lies at `path` of the site's inbox?"""
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == "segments" and parts[2].endswith(".segment"):
            stem = parts[2].removesuffix(".segment")
            row = self._hub.database.execute(
                "SELECT sha256 FROM segment WHERE site = ? AND box = ? AND number = ?",
                [site, parts[1], int(stem) if stem.isascii() and stem.isdigit() else -1]).fetchone()
            return row is not None and hash_file(
                self._carrier.path(f"inbox/{site}/{path}")) == row[0]
        if len(parts) == 3 and parts[0] == "objects" and is_sha256(parts[2]):
            row = self._hub.database.execute(
                "SELECT count(*) - count(received) FROM upload WHERE site = ? AND sha256 = ? "
                "HAVING count(*) > 0", [site, parts[2]]).fetchone()
            return row is not None and row[0] == 0 and self._hub.store.has(parts[2])
        return False

    # -- what they lack

    def _units(self, site: str) -> list[Unit]:
        """What the site's box lacks, a unit for each resource, as the box itself would fetch it."""
        told = None if self._everything else told_to_have(self._hub, site)
        carried = SiteCarried(site, known=told is not None)
        self._done.sites.append(carried)
        has: dict[str, int] = {}
        for package, (_, manifest) in (told or {}).items():
            if self._hub.store.has(manifest):
                has |= {manifest: 0, **self._manifest(manifest, package).objects()}
        units = []
        for assigned in desired_packages(self._hub, site):
            lacks = list(self._lacks(assigned, has))
            carried.packages += bool(lacks)
            units += lacks
        wanted = {one.sha256: one.size for unit in units for one in unit.lacks}
        carried.objects, carried.bytes = len(wanted), sum(wanted.values())
        return units

    def _lacks(self, package: Assigned, has: dict[str, int]) -> Iterator[Unit]:
        if package.manifest not in has:
            yield Unit(package.id, "", MANIFESTS_FIRST, (Wanted(package.manifest, package.size),))
        for resource in self._manifest(package.manifest, package.id).resources:
            lacks = tuple(Wanted(sha256, size) for sha256, size in dict(resource.objects()).items()
                          if sha256 not in has)
            if lacks:
                yield Unit(package.id, resource.id, package.priority, lacks)

    def _manifest(self, sha256: str, package: str) -> Manifest:
        try:
            return parse(self._hub.store.read(sha256, MOST_MANIFEST_BYTES))
        except Refused as error:
            raise Broken("library-damaged", objects=1, packages=package) from error

    # -- the stick

    def _make_room(self, chosen: Sequence[str], lacking: dict[str, list[Unit]]) -> None:
        """Remove objects that none of the sites on the stick needs. Where it also serves sites that were
        not named now (or of another hub), nothing is removed: nobody here knows what they lack."""
        there = {path.split("/")[0] for path in self._carrier.files("feed")}
        if not there or there - set(chosen):
            return
        needed = {one.sha256 for units in lacking.values() for unit in units for one in unit.lacks}
        for path in self._carrier.files("library/objects"):
            name = path.rpartition("/")[2]
            if not is_sha256(name) or name not in needed:
                self._done.removed_bytes += self._carrier.remove(f"library/objects/{path}")

    def _copy_objects(self, lacking: dict[str, list[Unit]]) -> None:
        units = [unit for each in lacking.values() for unit in each]
        there = {one.sha256: one.size for unit in units for one in unit.lacks if self._on_stick(one)}
        room = max(self._carrier.free_bytes() - RESERVE_BYTES, 0)
        planned = plan(units, there, Room(room))
        missing = {one.sha256 for unit in planned.left_out for one in unit.lacks} - there.keys()
        missing -= {one.sha256 for batch in planned.batches for one in batch.objects}
        done, total = 0, planned.bytes
        for batch in planned.batches:
            for one in batch.objects:
                if one.sha256 not in there:
                    if not self._copy(one, self._beyond(done, total)):
                        missing.add(one.sha256)
                    done += one.size
                    self._progress(done, total)
        for carried in self._done.sites:
            wanted = {one.sha256: one.size for unit in lacking[carried.site] for one in unit.lacks}
            carried.left_bytes = sum(size for name, size in wanted.items() if name in missing)
        damaged = set(self._done.damaged)
        self._done.hurt_packages = sorted({unit.package for unit in units
                                           if any(one.sha256 in damaged for one in unit.lacks)})

    def _beyond(self, before: int, total: int) -> Callable[[int], None]:
        return lambda done: self._progress(before + done, total)

    def _on_stick(self, one: Wanted) -> bool:
        path = f"library/{object_path(one.sha256)}"
        if self._carrier.size(path) != one.size:
            return False
        return not self._check or self._whole(path, one.sha256)

    def _whole(self, path: str, sha256: str) -> bool:
        try:
            return hash_file(self._carrier.path(path)) == sha256
        except (Refused, OSError):  # the stick cannot read it: it is written anew
            self._carrier.there()
            return False

    def _copy(self, one: Wanted, progress: Callable[[int], None]) -> bool:
        """Put one object on the stick; False where it cannot be there."""
        store = self._hub.store
        if not store.has(one.sha256) or not store.check(one.sha256):
            log("hub.carry").error("object-damaged", sha256=one.sha256)
            self._done.damaged.append(one.sha256)
            return False
        try:
            size = self._carrier.put(store.path(one.sha256), f"library/{object_path(one.sha256)}", progress)
        except TooLarge:
            self._done.too_large.append(one.sha256)
            return False
        except NoRoom as error:
            if error.code != "carrier-full":
                raise
            return False  # others were counted in vain: blocks of a stick are large
        self._done.written_objects += 1
        self._done.written_bytes += size
        return True

    def _copy_feed(self, site: str) -> None:
        """The site's feed, as it is now; the file that all hangs on comes last."""
        write_feed(self._hub, site)
        folder = self._hub.layout.feed(site)
        with feed_lock(self._hub.layout, site):
            names = sorted((path.name for path in folder.iterdir() if not path.name.startswith(".")),
                           key=lambda name: (name == TIMESTAMP_NAME, name))
            for name in names:
                path = f"feed/{site}/{name}"
                data = (folder / name).read_bytes()
                if self._carrier.size(path) != len(data) or not self._whole(path, sha256_hex(data)):
                    self._carrier.put(folder / name, path)
        for name in set(self._carrier.files(f"feed/{site}")) - set(names):
            self._carrier.remove(f"feed/{site}/{name}")
        self._carrier.settle(f"feed/{site}", "feed", "library/objects", "library", ".")


