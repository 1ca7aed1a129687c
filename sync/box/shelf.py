"""What the box shall have and has: the only writer of `assigned`, `package`, `resource` and `file`.

Promises
* A resource is shown as whole only when all its objects are in the store, verified and durable.
* A new version takes the place of the old one in one transaction, and only when all of it is there; a
  package that was never whole gives way at once. What waits is not in the tables: it is the assigned
  manifest, an object like any other, so nothing has to be healed after a power cut but by `settle`.
* Each visible change counts `generation` up: pages and the search index follow it.
* What is no longer assigned stays in the catalogue until its room is needed: a class may be in the middle of
  it. It is what is in `package` and not in `assigned`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec
from sqlite_utils import Database

from sync import alike, pack
from sync.box.journal import Journal
from sync.box.problems import clear_problem, set_problem
from sync.box.setting import read_setting, write_setting
from sync.box.timetable import needed
from sync.clock import SYSTEM, Clock
from sync.database import transaction
from sync.desired import Assigned, Desired
from sync.errors import Refused
from sync.manifest import MOST_MANIFEST_BYTES, Blob, Manifest, Resource, parse
from sync.plan import AT_ONCE, NOT_DUE, Unit, compressible
from sync.store import Store
from sync.transport import Wanted

#: Setting: counts up with each change that pages show.
GENERATION = "generation"
#: Key of a whole version among units (`Unit.resource`).
WHOLE = ""


@dataclass(frozen=True)
class Lacking:
    """A unit that is not whole yet: the objects it lacks, by name."""

    package: str
    resource: str
    priority: int
    objects: dict[str, Wanted]


class Shelf:
    """The shelf of one box. One for each thread, as the database."""

    def __init__(self, database: Database, store: Store, journal: Journal, clock: Clock = SYSTEM) -> None:
        self.database = database
        self.store = store
        self.journal = journal
        self.clock = clock
        self._lacking: dict[tuple[str, str], Lacking] = {}
        self._waiting: dict[str, tuple[Assigned, Manifest]] = {}
        self._alike: dict[str, str] = {}  # new object → the one of the version before
        self._due: dict[str, int] = {}  # package → seconds until the timetable needs it
        self._packed: dict[str, str] = {}  # object → the manifest with whose pack it had best come

    # -- what shall be --------------------------------------------------------------------------

    def assign(self, desired: Desired) -> bool:
        """Take over what a believed feed says the box shall have; True if that is news."""
        rows = {one.id: _row(one) for one in desired.packages}
        if rows == {one.id: _row(one) for one in self.assigned()}:
            return False
        with transaction(self.database):
            self.database.execute("DELETE FROM assigned")
            for row in rows.values():
                self.database.execute("INSERT INTO assigned VALUES (?, ?, ?, ?, ?, ?, ?)", list(row))
                self.database.execute("UPDATE package SET priority = ? WHERE id = ? AND priority <> ?",
                                      [row[5], row[0], row[5]])
            self._changed()
        return True

    def assigned(self) -> list[Assigned]:
        """What the box shall have, the most urgent first."""
        rows = self.database.execute("SELECT package, version, manifest, manifest_bytes, bytes, priority, "
                                     "now FROM assigned ORDER BY priority DESC, package")
        return [Assigned(id=id_, version=version, manifest=manifest, size=size, bytes=total,
                         priority=priority, now=True if now else msgspec.UNSET)
                for id_, version, manifest, size, total, priority, now in rows]

    def manifests_missing(self, *, at_once: bool) -> list[Wanted]:
        """The manifests of assigned packages that are not in the store, as objects to fetch; `at_once`:
        only of those that are to come whatever the policy, or the others."""
        shown = dict(self.database.execute("SELECT id, manifest FROM package").fetchall())
        return [Wanted(one.manifest, one.size, compressible=True,
                       like=shown.get(one.id, "") if one.size >= alike.LEAST_BYTES else "")
                for one in self.assigned()
                if (one.now is True) == at_once and not self.store.has(one.manifest)]

    # -- bringing the tables in line ------------------------------------------------------------

    def settle(self) -> None:
        """Bring the catalogue in line with what is assigned and stored; afterwards `units` knows what
        is lacking. Cheap where everything is whole.

        A manifest that breaks a rule, or is of another package, becomes the problem `manifest-bad`;
        the other packages are not affected.
        """
        self._lacking.clear()
        self._waiting.clear()
        self._alike.clear()
        self._packed.clear()
        bad: Refused | None = None
        for one in self.assigned():
            row = self.database.execute("SELECT manifest, complete FROM package WHERE id = ?",
                                        [one.id]).fetchone()
            if (row == (one.manifest, 1)) or not self.store.has(one.manifest):
                continue
            try:
                self._settle(one, row)
            except Refused as error:
                bad = error
        if bad is not None:
            set_problem(self.journal, bad)
        for code in ("manifest-bad", "object-damaged"):  # a manifest that has rotted is the latter
            if bad is None or bad.code != code:
                clear_problem(self.journal, code)
        self._due = needed(self.database, self.clock) if self._lacking else {}

    def _settle(self, one: Assigned, row: tuple[str, int] | None) -> None:
        manifest = self._manifest(one)
        self._note_pack(one, manifest)
        shown = row[0] if row is not None else None
        if shown not in (None, one.manifest):
            self._alike |= alike.alike(self._pieces(one.id), manifest.resources)
        if shown == one.manifest:
            self._look_again(one, manifest)
        elif row is not None and row[1]:
            wanted = self._wanted(manifest.resources)
            lacks = {name: what for name, what in wanted.items() if not self.store.has(name)}
            if lacks:
                self._waiting[one.id] = (one, manifest)
                self._lacking[one.id, WHOLE] = Lacking(one.id, WHOLE, _urgency(one), lacks)
            else:
                self._show(one, manifest)
        else:
            self._show(one, manifest)

    def _manifest(self, one: Assigned) -> Manifest:
        manifest = parse(self.store.read(one.manifest, MOST_MANIFEST_BYTES))
        if (manifest.id, manifest.version) != (one.id, one.version):
            raise Refused("manifest-bad", reason=f"it is of {manifest.id} version {manifest.version}, "
                          f"assigned is {one.id} version {one.version}")
        return manifest

    def _look_again(self, one: Assigned, manifest: Manifest) -> None:
        """The version that is shown, and not whole yet: which of its resources are whole by now?"""
        open_ = {id_ for (id_,) in self.database.execute(
            "SELECT id FROM resource WHERE package = ? AND complete = 0", [one.id])}
        whole = [resource for resource in manifest.resources
                 if resource.id in open_ and not self._note_lacking(one, resource)]
        if whole or not open_:
            with transaction(self.database):
                self._complete(one.id, [resource.id for resource in whole])

    def _show(self, one: Assigned, manifest: Manifest) -> None:
        """Put a version into the catalogue, in the place of the one before."""
        now = self.clock.now()
        before = dict(self.database.execute(
            "SELECT id, arrived FROM resource WHERE package = ? AND complete = 1", [one.id]).fetchall())
        known = dict(self.database.execute("SELECT id, sha256 FROM resource WHERE package = ?",
                                           [one.id]).fetchall())
        with transaction(self.database):
            self.database.execute("DELETE FROM package WHERE id = ?", [one.id])
            self.database.execute(
                f"INSERT INTO package VALUES ({', '.join('?' * 18)})",  # noqa: S608 - question marks
                [manifest.id, manifest.version, one.manifest, manifest.name, manifest.inLanguage,
                 manifest.educationalLevel, manifest.about, manifest.learningResourceType,
                 manifest.isPartOf, manifest.edition, manifest.volume, manifest.position, manifest.creator,
                 manifest.license, manifest.description, one.priority, 0, now])
            whole = []
            for resource in manifest.resources:
                if not self._note_lacking(one, resource):
                    whole.append(resource.id)
                single = None if resource.bundle else resource.files[0].sha256
                same = single is not None and known.get(resource.id) == single
                self.database.execute(
                    f"INSERT INTO resource VALUES ({', '.join('?' * 16)})",  # noqa: S608 - question marks
                    [one.id, resource.id, resource.name, resource.type, resource.mediaType, resource.entry,
                     resource.size, single, _name(resource.thumbnail), _name(resource.text),
                     resource.timeRequired, resource.pages, resource.position, 0,
                     before.get(resource.id) if same else None, _name(_pdf(resource))])
                self.database.conn.executemany(
                    "INSERT INTO file VALUES (?, ?, ?, ?, ?)",
                    [(one.id, resource.id, file.path, file.sha256, file.size) for file in resource.files])
            self._complete(one.id, whole)
            self._changed()

    def _note_lacking(self, one: Assigned, resource: Resource) -> bool:
        """Does the resource lack anything? Then it becomes a unit."""
        lacks = {name: wanted for name, wanted in self._wanted([resource]).items()
                 if not self.store.has(name)}
        if lacks:
            self._lacking[one.id, resource.id] = Lacking(one.id, resource.id, _urgency(one), lacks)
        return bool(lacks)

    def _wanted(self, resources: Iterable[Resource]) -> dict[str, Wanted]:
        found: dict[str, Wanted] = {}
        for resource in resources:
            pays = compressible(resource.mediaType) or resource.bundle
            for file in resource.files:
                found[file.sha256] = self._as_wanted(file.sha256, file.size, pays)
            for blob in (resource.thumbnail, resource.text, resource.rendition):
                if blob is not None:
                    found[blob.sha256] = self._as_wanted(blob.sha256, blob.size, compressible(blob.mediaType))
        return found

    def _as_wanted(self, sha256: str, size: int, pays: bool) -> Wanted:
        packed = self._packed.get(sha256, "")
        return Wanted(sha256, size, pays, "" if packed else self._alike.get(sha256, ""), packed)

    def _note_pack(self, one: Assigned, manifest: Manifest) -> None:
        """Where most of what a pack holds is lacking, its objects had best come with it."""
        held = pack.members(manifest)
        lacking = {sha256: size for sha256, size in held.items() if not self.store.has(sha256)}
        if len(lacking) >= pack.LEAST_MEMBERS and 2 * sum(lacking.values()) >= sum(held.values()):
            self._packed |= dict.fromkeys(lacking, one.manifest)

    def _pieces(self, package: str) -> list[alike.Piece]:
        """The objects of the version that is shown."""
        files = self.database.execute(
            "SELECT resource, path, file.sha256, resource.sha256 IS NOT NULL FROM file JOIN resource "
            "ON resource.package = file.package AND resource.id = file.resource WHERE file.package = ?",
            [package]).fetchall()
        texts = self.database.execute(
            "SELECT id, '', text, 0 FROM resource WHERE package = ? AND text IS NOT NULL", [package])
        return [alike.Piece(resource, path, name, bool(alone))
                for resource, path, name, alone in (*files, *texts)]

    def _complete(self, package: str, resources: Collection[str]) -> None:
        """In a transaction: these resources are whole; the package too, if none is left."""
        now = self.clock.now()
        for resource in resources:
            self.database.execute("UPDATE resource SET complete = 1, arrived = coalesce(arrived, ?) "
                                  "WHERE package = ? AND id = ?", [now, package, resource])
        if resources:
            self._changed()
        left = self.database.execute("SELECT 1 FROM resource WHERE package = ? AND complete = 0 LIMIT 1",
                                     [package]).fetchone()
        row = self.database.execute("SELECT version, manifest, complete FROM package WHERE id = ?",
                                    [package]).fetchone()
        if left is None and row is not None and not row[2]:
            self.database.execute("UPDATE package SET complete = 1 WHERE id = ?", [package])
            self.journal.append("package", {"id": package, "version": row[0], "manifest": row[1],
                                            "complete": True})
            self._changed()

    def _changed(self) -> None:
        generation = int(read_setting(self.database, GENERATION, "0"))
        write_setting(self.database, GENERATION, str(generation + 1))

    # -- what is lacking ------------------------------------------------------------------------

    def units(self) -> list[Unit]:
        """What is not whole, as units for a plan; valid after `settle`, kept up by `stored`."""
        return [Unit(one.package, one.resource, one.priority, tuple(one.objects.values()),
                     self._due.get(one.package, NOT_DUE))
                for one in self._lacking.values()]

    def stored(self, names: Iterable[str]) -> int:
        """These objects are in the store now, durably: show what has become whole; how many packages
        have."""
        whole: dict[str, list[str]] = {}
        gone = set(names)
        for key, one in list(self._lacking.items()):
            for name in gone & one.objects.keys():
                del one.objects[name]
            if not one.objects:
                del self._lacking[key]
                whole.setdefault(one.package, []).append(one.resource)
        packages = 0
        for package, resources in whole.items():
            if WHOLE in resources:
                one_, manifest = self._waiting.pop(package)
                self._show(one_, manifest)
            else:
                with transaction(self.database):
                    self._complete(package, resources)
            packages += self.database.execute("SELECT complete FROM package WHERE id = ?",
                                              [package]).fetchone()[0]
        return packages

    def lost(self, names: Iterable[str]) -> int:
        """These objects turned out to be rotten and are in quarantine: what needs them is not whole any
        more and will be fetched again; how many resources."""
        count = 0
        with transaction(self.database):
            for name in names:
                rows = self.database.execute(
                    "SELECT package, resource FROM file WHERE sha256 = ? UNION "
                    "SELECT package, id FROM resource WHERE thumbnail = ? OR text = ? OR rendition = ?",
                    [name, name, name, name]).fetchall()
                for package, resource in rows:
                    count += self.database.execute(
                        "UPDATE resource SET complete = 0 WHERE package = ? AND id = ? AND complete = 1",
                        [package, resource]).rowcount
                    self.database.execute("UPDATE package SET complete = 0 WHERE id = ?", [package])
            if count:
                self._changed()
        return count

    def names(self, sha256: str) -> bool:
        """Does the catalogue name this object? A newer version may have replaced the one that did."""
        return self.database.execute(
            "SELECT 1 FROM file WHERE sha256 = :name UNION ALL "
            "SELECT 1 FROM resource WHERE :name IN (thumbnail, text, rendition) UNION ALL "
            "SELECT 1 FROM package WHERE manifest = :name LIMIT 1", {"name": sha256}).fetchone() is not None

    # -- giving room ----------------------------------------------------------------------------

    def drop(self, package: str) -> None:
        """Take a package that is not assigned any more out of the catalogue, and tell the hub. Its objects
        are the caller's to remove, after that."""
        with transaction(self.database):
            if self.database.execute("DELETE FROM package WHERE id = ?", [package]).rowcount:
                self.database.execute("DELETE FROM opened WHERE package = ?", [package])
                self.journal.append("package-removed", {"id": package})
                self._changed()

    def give_up(self, package: str, resource: str) -> None:
        """A resource of an assigned package has to make room: it is lacking from now on. The hub is told
        once that the package is not whole any more."""
        with transaction(self.database):
            self.database.execute("UPDATE resource SET complete = 0 WHERE package = ? AND id = ?",
                                  [package, resource])
            if self.database.execute("UPDATE package SET complete = 0 WHERE id = ? AND complete = 1",
                                     [package]).rowcount:
                self.journal.append("package-removed", {"id": package})
            self._changed()

    def waiting(self) -> set[str]:
        """The objects of new versions that are not shown before they are whole; valid after `settle`."""
        return {name for _, manifest in self._waiting.values() for name in manifest.objects()}

    def progress(self) -> list[dict[str, object]]:
        """Assigned packages that are not whole: id, name, bytes in all, bytes left. From the tables
        alone, so that any process can ask at any time."""
        rows = self.database.execute(
            "SELECT a.package, coalesce(p.name, a.package), a.bytes, "
            "CASE WHEN p.manifest = a.manifest THEN (SELECT coalesce(sum(bytes_left), 0) FROM tally "
            "WHERE tally.package = a.package) ELSE a.bytes END "
            "FROM assigned a LEFT JOIN package p ON p.id = a.package "
            "WHERE p.id IS NULL OR p.manifest <> a.manifest OR p.complete = 0 "
            "ORDER BY a.priority DESC, a.package")
        return [{"id": id_, "name": name, "bytes": total, "left": left} for id_, name, total, left in rows]


def _row(one: Assigned) -> tuple[str, int, str, int, int, int, int]:
    return one.id, one.version, one.manifest, one.size, one.bytes, one.priority, int(one.now is True)


def _urgency(one: Assigned) -> int:
    return AT_ONCE if one.now is True else one.priority


def _pdf(resource: Resource) -> Blob | None:
    """What is shown in the place of its file: no other kind is known here."""
    found = resource.rendition
    return found if found is not None and found.mediaType == "application/pdf" else None


def _name(blob: msgspec.Struct | None) -> str | None:
    return getattr(blob, "sha256", None)
