"""Making room for something more urgent: what goes, in which order. Nothing else removes what was stored.

    1. what is in quarantine, and objects that nothing names any more (of old versions, of a cut-off eviction)
    2. packages that are not assigned any more, the one opened longest ago first
    3. resources of assigned packages of lower priority than what needs the room, the least urgent first

Never: the journal, the outbox, what is assigned with the same or a higher priority, what the timetable of the
next days needs (`sync.box.timetable`). Nothing goes in vain: if all that may go would not be enough, all of 2
and 3 stays.

Order of each removal: the rows and the record that tells the hub in one transaction, then the objects. Cut
off between the two, an object without a row is left, which is used again or goes with 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sync.box.shelf import Shelf
from sync.box.state import Box
from sync.box.timetable import needed
from sync.logs import log
from sync.plan import Room


@dataclass(frozen=True)
class Candidate:
    """What may go: a whole package that is not assigned (`resource` is ""), or a resource of one that is."""

    package: str
    resource: str


class Eviction:
    """Room for units of one priority. Used within a sync, after `Shelf.settle`."""

    def __init__(self, box: Box, shelf: Shelf, priority: int) -> None:
        self._box, self._shelf, self._priority = box, shelf, priority
        self._needed = needed(box.database, box.clock).keys()
        self._fixed = shelf.waiting() | self._of_needed() | self._names(
            "SELECT manifest FROM assigned UNION SELECT p.manifest FROM package p "
            "JOIN assigned a ON a.package = p.id") | self._names(
            "SELECT r.thumbnail FROM resource r JOIN assigned a ON a.package = r.package "
            "WHERE a.priority >= :priority UNION SELECT r.text FROM resource r "
            "JOIN assigned a ON a.package = r.package WHERE a.priority >= :priority UNION "
            "SELECT r.rendition FROM resource r JOIN assigned a ON a.package = r.package "
            "WHERE a.priority >= :priority", priority=priority)
        #: How many resources that can be opened have the object as picture, text or rendition (one may be a
        #: file, too).
        self._about = Counter(name for three in box.database.execute(
            "SELECT thumbnail, text, rendition FROM resource WHERE complete = 1") for name in three if name)

    def free(self, lacking: Room) -> bool:
        """Free so much, if it can be done; False if nothing went. Afterwards call `Shelf.settle`.

        Raises Broken `disk-failing`; NoRoom, Broken as `transaction`.
        """
        if self._leftovers():
            return True
        candidates = list(self._candidates())
        if not self._enough(candidates, lacking):
            return False
        freed_bytes = freed_files = 0
        for one in candidates:
            if freed_bytes >= lacking.bytes and freed_files >= lacking.files:
                break
            names = self._objects(one)
            about = Counter(name for three in self._box.database.execute(
                "SELECT thumbnail, text, rendition FROM resource WHERE package = ? AND ? IN (id, '') "
                "AND complete = 1", [one.package, one.resource]) for name in three if name)
            if not one.resource:
                self._shelf.drop(one.package)
            elif any(not self._kept(name) and self._box.store.has(name) for name in names):
                self._shelf.give_up(one.package, one.resource)
            else:
                continue
            self._about -= about
            sizes = [self._box.store.remove(name) for name in names if self._removable(name)]
            freed_bytes += sum(sizes)
            freed_files += len(sizes)
            log("box.room").info("evicted", package=one.package, resource=one.resource, bytes=sum(sizes))
        return True

    def _leftovers(self) -> bool:
        count = self._box.store.empty_quarantine()
        named = self._fixed | self._names(
            "SELECT sha256 FROM file UNION SELECT manifest FROM package UNION SELECT thumbnail FROM resource "
            "UNION SELECT text FROM resource UNION SELECT rendition FROM resource")
        for name in list(self._box.store.names()):
            if name not in named:
                self._box.store.remove(name)
                count += 1
        if count:
            log("box.room").info("leftovers-removed", files=count)
        return count > 0

    def _candidates(self) -> Iterator[Candidate]:
        """What may go, in the order in which it goes. Order comes from record numbers, not from a clock."""
        for (package,) in self._box.database.execute(
                "SELECT p.id FROM package p LEFT JOIN opened o ON o.package = p.id "
                "WHERE p.id NOT IN (SELECT package FROM assigned) "
                "ORDER BY coalesce(o.seq, 0), p.id").fetchall():
            if package not in self._needed:
                yield Candidate(package, "")
        for package, resource in self._box.database.execute(
                "SELECT r.package, r.id FROM assigned a JOIN resource r ON r.package = a.package "
                "LEFT JOIN opened o ON o.package = a.package WHERE a.priority < ? "
                "ORDER BY a.priority, coalesce(o.seq, 0), a.package, r.size DESC, r.id",
                [self._priority]).fetchall():
            if package not in self._needed:
                yield Candidate(package, resource)

    def _of_needed(self) -> set[str]:
        """The objects of what the timetable needs."""
        return {name for package in self._needed for name in self._objects(Candidate(package, ""))}

    def _enough(self, candidates: Iterable[Candidate], lacking: Room) -> bool:
        names = {name for one in candidates for name in self._objects(one)}
        going = [self._box.store.size(name) for name in names if not self._kept(name)]
        here = [size for size in going if size is not None]
        return bool(here) and sum(here) >= lacking.bytes and len(here) >= lacking.files

    def _objects(self, one: Candidate) -> list[str]:
        """What goes with it. (The manifest of an assigned package stays: it says what to fetch again.)"""
        found = self._names(
            "SELECT sha256 FROM file WHERE package = :package AND :resource IN (resource, '') UNION "
            "SELECT thumbnail FROM resource WHERE package = :package AND :resource IN (id, '') UNION "
            "SELECT text FROM resource WHERE package = :package AND :resource IN (id, '') UNION "
            "SELECT rendition FROM resource WHERE package = :package AND :resource IN (id, '') UNION "
            "SELECT manifest FROM package WHERE id = :package AND :resource = ''",
            package=one.package, resource=one.resource)
        return sorted(found)

    def _kept(self, name: str) -> bool:
        """Does anything need the object that may not go?"""
        return name in self._fixed or self._box.database.execute(
            "SELECT 1 FROM file f JOIN assigned a ON a.package = f.package "
            "WHERE f.sha256 = ? AND a.priority >= ? LIMIT 1", [name, self._priority]).fetchone() is not None

    def _removable(self, name: str) -> bool:
        """Is the object here, and does nothing need it that is whole or may not go?"""
        if self._about[name] or self._kept(name) or not self._box.store.has(name):
            return False
        return self._box.database.execute(
            "SELECT 1 FROM file f JOIN resource r ON r.package = f.package AND r.id = f.resource "
            "WHERE f.sha256 = ? AND r.complete = 1 LIMIT 1", [name]).fetchone() is None

    def _names(self, query: str, **values: object) -> set[str]:
        return {name for (name,) in self._box.database.execute(query, values) if name}
