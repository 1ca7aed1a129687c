"""What a class may see, asked of box.db: read only, plain frozen data, nothing to query in a template.

`Catalogue` belongs to one thread. All catalogues of a process have the packages of the newest generation in
common (`edge.snapshot`); of a new generation only those packages are read that were touched. Everything about
resources is asked of SQLite through an index, so that a page costs the same with a thousand and with a
million of them (`tests/edge/test_catalogue_plans.py` holds that).
"""

from __future__ import annotations

import heapq
import re
import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

from edge.snapshot import BookRow, Counts, Group, MenuRow, PackageRow, Shared, Snapshot, matching
from sync.database import open_read_only, thawed
from sync.errors import Broken
from sync.timetable import Course

#: Most rows one call returns, whatever is asked: bounds the memory of a request.
MOST_ROWS = 1000
#: Most resources `named` finds: nobody pages further, and it bounds what is sorted.
MOST_NAMED = 10_000
#: Where more than this part of all packages was touched, all are read anew.
REREAD_PART = 0.25


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One thing a teacher opens. `parent` is its package; `entry` the path of the file to open.

    `sha256` names the bytes of a single file (None for a bundle); `thumbnail`, `text` and
    `rendition` (the PDF that is shown in its place) name objects or are None; `arrived` is when it became
    whole (seconds since 1970) or None.
    """

    parent: PackageRow
    id: str
    name: str
    type: str
    media_type: str
    entry: str
    size: int
    sha256: str | None
    thumbnail: str | None
    text: str | None
    time_required: str
    pages: int
    position: int
    complete: bool
    arrived: float | None
    rendition: str | None

    @property
    def package(self) -> str:
        """The id of its package."""
        return self.parent.id

    @property
    def package_name(self) -> str:
        """The name of its package."""
        return self.parent.name

    @property
    def grade(self) -> str:
        """The grade of its package."""
        return self.parent.grade

    @property
    def subject(self) -> str:
        """The subject of its package."""
        return self.parent.subject

    @property
    def bundle(self) -> bool:
        """Is it made of many files with an entry page?"""
        return self.type == "bundle"

    @property
    def duration_s(self) -> int:
        """How long it takes in seconds, 0 where nobody said."""
        return seconds_of(self.time_required)

    @property
    def left(self) -> int:
        """Bytes that may still have to come before it can be opened, at most; 0 when it is whole."""
        return 0 if self.complete else self.size


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a resource. `complete` says whether the whole resource is here."""

    package: str
    resource: str
    path: str
    sha256: str
    size: int
    type: str
    media_type: str
    entry: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One page of resources out of `total`."""

    total: int
    items: tuple[ResourceRow, ...]


_RESOURCE = ("id, name, type, mediaType, entry, size, sha256, thumbnail, text, timeRequired, pages,"
             " position, complete, arrived, rendition")

GENERATION = "SELECT value FROM setting WHERE name = 'generation'"
_PACKAGE = ("SELECT id, version, manifest, name, inLanguage, educationalLevel, about,"
            " learningResourceType, isPartOf, edition, volume, position, creator, license,"
            " description, priority, complete, arrived FROM package")
_TALLY = "SELECT package, type, resources, complete, bytes, bytes_left FROM tally"
PACKAGES, TALLIES = f"{_PACKAGE} ORDER BY id", f"{_TALLY} ORDER BY package"
ONE_PACKAGE, TALLIES_OF = f"{_PACKAGE} WHERE id = ?", f"{_TALLY} WHERE package = ?"
LAST_TOUCHED = "SELECT max(number) FROM touched"
TOUCHED = "SELECT package FROM touched WHERE number > ?"
ONE_RESOURCE = f"SELECT {_RESOURCE} FROM resource WHERE package = ? AND id = ?"  # noqa: S608 - constants only
OF_PACKAGE = ("SELECT id FROM resource INDEXED BY resource_order WHERE package = ?"
              " AND (? IS NULL OR type = ?) AND (? IS NULL OR complete = ?)"
              " ORDER BY position, id LIMIT ? OFFSET ?")
NEWEST = "SELECT package, id FROM resource WHERE arrived > 0 AND complete = 1 ORDER BY arrived DESC LIMIT ?"
LATEST = "SELECT max(arrived) FROM resource WHERE package = ? AND arrived > 0"
NEWEST_OF_PACKAGE = ("SELECT arrived, id FROM resource WHERE package = ? AND arrived > 0 AND complete = 1"
                     " ORDER BY arrived DESC LIMIT ?")
BEFORE = ("SELECT id FROM resource INDEXED BY resource_order WHERE package = ? AND (position, id) < (?, ?)"
          " ORDER BY position DESC, id DESC LIMIT 1")
AFTER = ("SELECT id FROM resource INDEXED BY resource_order WHERE package = ? AND (position, id) > (?, ?)"
         " ORDER BY position, id LIMIT 1")
BY_ID = "SELECT package FROM resource WHERE id = ? ORDER BY package LIMIT 2"
_FILE = ("SELECT f.package, f.resource, f.path, f.sha256, f.size, r.type, r.mediaType, r.entry, r.complete"
         " FROM file f JOIN resource r ON r.package = f.package AND r.id = f.resource")
FILES = f"{_FILE} WHERE f.package = ? AND f.resource = ? ORDER BY f.path"
FILE = f"{_FILE} WHERE f.package = ? AND f.path = ?"
MARKED = (f"{_FILE} WHERE f.package = ? AND f.resource = ? AND (lower(f.path) = ? OR lower(f.path) LIKE ?)"
          " ORDER BY length(f.path) LIMIT 1")
NAMED = ("SELECT r.package, r.id, r.position FROM package p CROSS JOIN resource r ON r.package = p.id"
         " WHERE (? IS NULL OR p.id = ?) AND (? IS NULL OR r.type = ?)"
         " AND (? IS NULL OR r.complete = ?) AND (? IS NULL OR p.educationalLevel = ?)"
         " AND (? IS NULL OR p.about = ?)")
OPENED = "SELECT package, seq FROM opened"
LAST_RECORD = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
THUMBNAIL = "SELECT 1 FROM resource WHERE thumbnail = ? LIMIT 1"


class Catalogue:
    """The catalogue of one box, for one thread. Never writes.

    Raises Broken `database-broken` where the database cannot be read.
    """

    def __init__(self, path: Path, shared: Shared | None = None) -> None:
        self.path = path
        self._shared = shared or Shared()
        self._database = open_read_only(path)
        self._connection: sqlite3.Connection = self._database.conn

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def thawed(self) -> bool:
        """Was it opened on a disk that was read-only and is not any more? Then open another."""
        return thawed(self._database)

    def generation(self) -> int:
        """Counts up with every visible change: the ETag of pages, the age of the search index."""
        row = self._one(GENERATION)
        return int(row[0]) if row else 0

    # -- packages ---------------------------------------------------------------------------------

    def packages(self, grade: str | None = None, subject: str | None = None, *,
                 limit: int | None = None, offset: int = 0) -> list[PackageRow]:
        """Packages in teaching order. None means any; an empty text means those that name none."""
        end = None if limit is None else offset + max(limit, 0)
        return list(islice(self._now().packages(grade, subject), offset, end))

    def package(self, package: str) -> PackageRow | None:
        """One package, or None."""
        return self._now().by_id.get(package)

    def newest_packages(self, limit: int, grade: str | None = None,
                        subject: str | None = None) -> list[PackageRow]:
        """Packages with something to open, the last arrived first."""
        return list(islice(self._now().newest(grade, subject), limit))

    def grades(self) -> Sequence[MenuRow]:
        """Grades that have packages, from kindergarten up; packages without a grade last, as ""."""
        return self._now().grades()

    def subjects(self, grade: str | None = None) -> Sequence[MenuRow]:
        """Subjects (of a grade) that have packages, as on a timetable."""
        return self._now().subjects(grade)

    def types(self) -> Collection[str]:
        """The types of resources that are here at all."""
        return self._now().types()

    def books(self, grade: str | None, subject: str | None) -> list[BookRow]:
        """The packages of a grade and subject, by edition and volume, each in order."""
        return self._now().books(grade, subject)

    def course(self, course: Course) -> Sequence[PackageRow]:
        """The packages of a course, in teaching order."""
        return self._now().course(course)

    def opened(self) -> dict[str, int]:
        """Package → the number of the record of its last opening."""
        return dict(self._all(OPENED))

    def last_record(self) -> int:
        """The number of the journal's newest record: what was opened has not changed while it is the same."""
        row = self._one(LAST_RECORD)
        return int(row[0]) if row else 0

    def coming(self, limit: int = 20) -> list[PackageRow]:
        """Packages that are not whole yet, the most urgent first (`bytes_left` says how much)."""
        return list(islice(self._now().coming(), limit))

    def counts(self) -> Counts:
        """The whole catalogue in numbers."""
        return self._now().counts()

    # -- resources --------------------------------------------------------------------------------

    def resources(self, grade: str | None = None, subject: str | None = None, *,
                  type: str | None = None, package: str | None = None, complete: bool | None = None,
                  limit: int = 50, offset: int = 0) -> Found:
        """Resources in teaching order: by package, then by their place in it."""
        now = self._now()
        limit, offset = min(max(limit, 0), MOST_ROWS), max(offset, 0)
        items: list[ResourceRow] = []
        total = 0
        for packages, ends in _ends(now, grade, subject, type, package, complete):
            before, total = total, total + (ends[-1] if ends else 0)
            if total <= offset or len(items) == limit:
                continue
            at = bisect_right(ends, offset - before) if offset > before else 0
            skip = max(offset - before - (ends[at - 1] if at else 0), 0)
            while len(items) < limit and at < len(packages):
                rows = self._all(OF_PACKAGE, packages[at], type, type, complete, complete,
                                 limit - len(items), skip)
                items += self._load(now, [(packages[at], row[0]) for row in rows])
                at, skip = at + 1, 0
        return Found(total, tuple(items))

    def resource(self, package: str, resource: str) -> ResourceRow | None:
        """One resource, or None."""
        found = self._load(self._now(), [(package, resource)])
        return found[0] if found else None

    def several(self, keys: Sequence[tuple[str, str]]) -> list[ResourceRow]:
        """The resources named by (package, resource), in that order; those that are gone left out."""
        return self._load(self._now(), keys[:MOST_ROWS])

    def find(self, resource: str) -> ResourceRow | None:
        """The resource with this id, whatever its package; None if there is none, or more than one."""
        rows = self._all(BY_ID, resource)
        return self.resource(rows[0][0], resource) if len(rows) == 1 else None

    def neighbours(self, resource: ResourceRow) -> tuple[ResourceRow | None, ResourceRow | None]:
        """What stands before and after a resource in its package."""
        place = (resource.package, resource.position, resource.id)
        before, after = self._one(BEFORE, *place), self._one(AFTER, *place)
        return (self.resource(resource.package, before[0]) if before else None,
                self.resource(resource.package, after[0]) if after else None)

    def newest(self, limit: int, grade: str | None = None, subject: str | None = None) -> list[ResourceRow]:
        """Resources that may be opened, the last arrived first."""
        now = self._now()
        limit = min(max(limit, 0), MOST_ROWS)
        if grade is None and subject is None:
            return self._load(now, [(row[0], row[1]) for row in self._all(NEWEST, limit)])
        return self._load(now, now.memo(("newest", limit, grade, subject),
                                        lambda: self._newest_of(now, limit, grade, subject)))

    def named(self, words: Sequence[str], grade: str | None = None, subject: str | None = None, *,
              type: str | None = None, package: str | None = None, complete: bool | None = None,
              limit: int = 50, offset: int = 0) -> tuple[int, list[tuple[str, str]]]:
        """Resources that have every word in their own or their package's name, as (package, resource).

        Reads every name, so it costs more the more there are (bench/RESULTS.md): only for as long as
        there is no search index. Looks at no more than MOST_NAMED of what it finds.
        """
        now = self._now()
        patterns = ["%" + re.sub(r"([%_\\])", r"\\\1", word) + "%" for word in words]
        sql = NAMED + " AND (r.name LIKE ? ESCAPE '\\' OR p.name LIKE ? ESCAPE '\\')" * len(words)
        wishes = (package, type, complete, grade, subject, *patterns)  # each stands twice in the query
        rows = self._all(sql + " LIMIT ?", *(value for one in wishes for value in (one, one)), MOST_NAMED)
        order = now.order()
        rows.sort(key=lambda row: (order.get(row[0], 0), row[2], row[1]))
        limit, offset = min(max(limit, 0), MOST_ROWS), max(offset, 0)
        return len(rows), [(row[0], row[1]) for row in rows[offset:offset + limit]]

    def files(self, package: str, resource: str) -> list[FileRow]:
        """The files of a resource, by path."""
        return [_file(row) for row in self._all(FILES, package, resource)]

    def file(self, package: str, path: str) -> FileRow | None:
        """One file of a package, or None."""
        row = self._one(FILE, package, path)
        return _file(row) if row else None

    def marked(self, package: str, resource: str, name: str) -> FileRow | None:
        """The file of a resource that has this name (lower case) and lies highest, or None."""
        row = self._one(MARKED, package, resource, name, f"%/{name}")
        return _file(row) if row else None

    def is_thumbnail(self, sha256: str) -> bool:
        """May the object be shown as a thumbnail, because a resource names it as one?"""
        return self._one(THUMBNAIL, sha256) is not None

    # -- inside -----------------------------------------------------------------------------------

    def _now(self) -> Snapshot:
        return self._shared.snapshot(self.generation(), self._read_snapshot)

    def _read_snapshot(self, before: Snapshot | None) -> Snapshot:
        """Read the packages at one moment, so that they fit the generation they are kept under; only those
        that were touched since `before`, unless that is most of them."""
        self._all("BEGIN")
        try:
            generation, touched = self.generation(), self._one(LAST_TOUCHED)[0] or 0
            if before is not None and before.touched <= touched:
                changed = [row[0] for row in self._all(TOUCHED, before.touched)]
                if len(changed) <= REREAD_PART * len(before.by_id):
                    rows = {package: self._read_package(package) for package in changed}
                    return before.followed(generation, touched, rows)
            return Snapshot.of(generation, touched, self._read_packages())
        finally:
            self._all("COMMIT")

    def _read_packages(self) -> Iterator[PackageRow]:
        """All of them. Rows are taken one by one: a box with a million resources has many."""
        try:
            tallies = groupby(self._connection.execute(TALLIES), key=itemgetter(0))
            package, some = next(tallies, ("", iter(())))
            for row in self._connection.execute(PACKAGES):
                while package < row[0] and package:
                    package, some = next(tallies, ("", iter(())))
                yield _package(row, list(some) if package == row[0] else [])
        except sqlite3.DatabaseError as error:
            raise Broken("database-broken", path=self.path, reason=error) from error

    def _read_package(self, package: str) -> PackageRow | None:
        row = self._one(ONE_PACKAGE, package)
        return _package(row, self._all(TALLIES_OF, package)) if row else None

    def _newest_of(self, now: Snapshot, limit: int, grade: str | None,
                   subject: str | None) -> list[tuple[str, str]]:
        """The newest `limit` are in the `limit` packages whose own newest is the newest."""
        latest = heapq.merge(*(group.memo("latest", partial(self._latest, group))
                               for group in now.chosen(grade, subject)), reverse=True)
        rows = [(row[0], package, row[1]) for _, package in islice(latest, limit)
                for row in self._all(NEWEST_OF_PACKAGE, package, limit)]
        rows.sort(reverse=True)
        return [(package, resource) for _, package, resource in rows[:limit]]

    def _latest(self, group: Group) -> list[tuple[float, str]]:
        """When the newest resource of each package came, the last first."""
        return sorted(((self._one(LATEST, p.id)[0] or 0.0, p.id) for p in group.packages
                       if p.resources_complete), reverse=True)

    def _load(self, now: Snapshot, keys: Sequence[tuple[str, str]]) -> list[ResourceRow]:
        found = []
        for package, resource in keys:
            parent = now.by_id.get(package)
            row = self._one(ONE_RESOURCE, package, resource) if parent else None
            if parent and row:
                values = (parent, *row[:12], bool(row[12]), *row[13:])
                found.append(ResourceRow(*values))
        return found

    def _all(self, sql: str, *values: Any) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except UnicodeEncodeError:  # half a character in an address: nothing has that name
            return []
        except sqlite3.DatabaseError as error:
            raise Broken("database-broken", path=self.path, reason=error) from error

    def _one(self, sql: str, *values: Any) -> Any:
        rows = self._all(sql, *values)
        return rows[0] if rows else None


_DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?")


def seconds_of(duration: str) -> int:
    """Whole seconds of an ISO 8601 duration such as `PT3M20S`; 0 where it is none."""
    match = _DURATION.fullmatch(duration)
    if not match:
        return 0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _ends(now: Snapshot, grade: str | None, subject: str | None, type: str | None, package: str | None,
          complete: bool | None) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
    """For each group: packages that have matching resources, and how many there are up to each one's end."""
    if package is None:
        for group in now.chosen(grade, subject):
            yield group.ends(type, complete)
        return
    row = now.by_id.get(package)
    if row is not None and grade in (None, row.grade) and subject in (None, row.subject):
        yield [package], [matching(row, type, complete)]


def _package(row: tuple[Any, ...], sums: list[tuple[Any, ...]]) -> PackageRow:
    """One package; what many have alike is kept in memory once."""
    totals = (sum(s[column] for s in sums) for column in (2, 3, 4, 5))
    values = (*row[:4], *map(intern, row[4:11]), row[11], *map(intern, row[12:14]), *row[14:16],
              bool(row[16]), row[17], *totals, tuple((intern(s[1]), s[2], s[3]) for s in sums))
    return PackageRow(*values)


def _file(row: tuple[Any, ...]) -> FileRow:
    values = (*row[:8], bool(row[8]))
    return FileRow(*values)
