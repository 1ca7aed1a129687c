"""What a class may see, asked of box.db: read only, plain frozen data, nothing to query in a template.

`Catalogue` belongs to one thread; `Shared` is what all catalogues of a process have in common: the
packages of the newest generation, sorted as teachers expect (`sync.order`), read once for each
generation. Everything about resources is asked of SQLite through an index, so that a page costs the
same with a thousand and with a million of them (`tests/edge/test_catalogue_plans.py` holds that).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from sync.database import open_read_only, thawed
from sync.errors import Broken
from sync.order import edition_key, grade_key, subject_key, teaching_key, volume_key
from sync.timetable import Course, courses_of

#: Most rows one call returns, whatever is asked: bounds the memory of a request.
MOST_ROWS = 1000
#: Most resources `named` finds: nobody pages further, and it bounds what is sorted.
MOST_NAMED = 10_000
#: How many answers that depend only on the generation are kept in memory (cumulative counts, menus).
MOST_MEMOS = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageRow:
    """A package as teachers see it. `grade` is LRMI `educationalLevel`, `subject` is `about`,
    `book` is `isPartOf`, `kind` is `learningResourceType`. `counts` is resources by type."""

    id: str
    version: int
    manifest: str
    name: str
    language: str
    grade: str
    subject: str
    kind: str
    book: str
    edition: str
    volume: str
    position: int
    creator: str
    license: str
    description: str
    priority: int
    complete: bool
    arrived: float
    resources: int
    resources_complete: int
    bytes: int
    bytes_left: int
    counts: tuple[tuple[str, int], ...] = ()


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
class MenuRow:
    """A grade or a subject with what stands below it."""

    name: str
    packages: int
    packages_complete: int
    resources: int
    resources_complete: int


@dataclass(frozen=True, slots=True)
class BookRow:
    """The lessons of one edition and volume, in order."""

    edition: str
    volume: str
    packages: tuple[PackageRow, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One page of resources out of `total`."""

    total: int
    items: tuple[ResourceRow, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """The whole catalogue in numbers."""

    packages: int
    packages_complete: int
    resources: int
    resources_complete: int
    bytes: int
    bytes_left: int


@dataclass(frozen=True)
class _Snapshot:
    generation: int
    packages: tuple[PackageRow, ...]
    by_id: dict[str, PackageRow]
    #: package → type → (resources, complete)
    tallies: dict[str, dict[str, tuple[int, int]]]
    memos: dict[Any, Any] = field(default_factory=dict)


class Shared:
    """What the catalogues of one process have in common. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None  # guarded by _lock for writing

    def snapshot(self, generation: int, read: Callable[[], _Snapshot]) -> _Snapshot:
        """The packages of `generation`, read by the first thread that asks for them."""
        found = self._snapshot
        if found is not None and found.generation == generation:
            return found
        with self._lock:
            found = self._snapshot
            if found is None or found.generation != generation:
                found = self._snapshot = read()
            return found


_RESOURCE = ("id, name, type, mediaType, entry, size, sha256, thumbnail, text, timeRequired, pages,"
             " position, complete, arrived, rendition")

GENERATION = "SELECT value FROM setting WHERE name = 'generation'"
PACKAGES = ("SELECT id, version, manifest, name, inLanguage, educationalLevel, about,"
            " learningResourceType, isPartOf, edition, volume, position, creator, license,"
            " description, priority, complete, arrived FROM package")
TALLIES = "SELECT package, type, resources, complete, bytes, bytes_left FROM tally"
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
                 edition: str | None = None, volume: str | None = None, complete: bool | None = None,
                 limit: int | None = None, offset: int = 0) -> list[PackageRow]:
        """Packages in teaching order. None means any; an empty text means those that name none."""
        chosen = self._chosen(self._now(), grade, subject, edition, volume, complete)
        end = None if limit is None else offset + max(limit, 0)
        return list(chosen[offset:end])

    def count_packages(self, grade: str | None = None, subject: str | None = None, *,
                       edition: str | None = None, volume: str | None = None,
                       complete: bool | None = None) -> int:
        """How many `packages` there are without limit and offset."""
        return len(self._chosen(self._now(), grade, subject, edition, volume, complete))

    def package(self, package: str) -> PackageRow | None:
        """One package, or None."""
        return self._now().by_id.get(package)

    def newest_packages(self, limit: int, grade: str | None = None,
                        subject: str | None = None) -> list[PackageRow]:
        """Packages with something to open, the last arrived first."""
        chosen = [p for p in self._chosen(self._now(), grade, subject) if p.resources_complete]
        chosen.sort(key=lambda p: p.arrived, reverse=True)
        return chosen[:limit]

    def grades(self) -> list[MenuRow]:
        """Grades that have packages, from kindergarten up; packages without a grade last, as ""."""
        now = self._now()
        return list(_memo(now, ("grades",), lambda: _menu(now.packages, lambda p: p.grade, grade_key)))

    def subjects(self, grade: str | None = None) -> list[MenuRow]:
        """Subjects (of a grade) that have packages, as on a timetable."""
        now = self._now()
        return list(_memo(now, ("subjects", grade), lambda: _menu(
            self._chosen(now, grade), lambda p: p.subject, subject_key)))

    def books(self, grade: str | None, subject: str | None) -> list[BookRow]:
        """The packages of a grade and subject, by edition and volume, each in order."""
        books: dict[tuple[str, str], list[PackageRow]] = {}
        for package in self._chosen(self._now(), grade, subject):
            books.setdefault((package.edition, package.volume), []).append(package)
        ordered = sorted(books, key=lambda book: (edition_key(book[0]), volume_key(book[1])))
        return [BookRow(edition, volume, tuple(books[edition, volume])) for edition, volume in ordered]

    def course(self, course: Course) -> Sequence[PackageRow]:
        """The packages of a course, in teaching order."""
        now = self._now()
        return _memo(now, ("courses",), lambda: _courses(now.packages)).get(course, ())

    def opened(self) -> dict[str, int]:
        """Package → the number of the record of its last opening."""
        return dict(self._all(OPENED))

    def last_record(self) -> int:
        """The number of the journal's newest record: what was opened has not changed while it is the same."""
        row = self._one(LAST_RECORD)
        return int(row[0]) if row else 0

    def coming(self, limit: int = 20) -> list[PackageRow]:
        """Packages that are not whole yet, the most urgent first (`bytes_left` says how much)."""
        late = [p for p in self._now().packages if not p.complete or p.resources_complete < p.resources]
        late.sort(key=lambda p: (-p.priority, p.bytes_left))
        return late[:limit]

    def counts(self) -> Counts:
        """The whole catalogue in numbers."""
        now = self._now()
        return _memo(now, ("counts",), lambda: Counts(
            len(now.packages), sum(p.complete for p in now.packages),
            sum(p.resources for p in now.packages), sum(p.resources_complete for p in now.packages),
            sum(p.bytes for p in now.packages), sum(p.bytes_left for p in now.packages)))

    # -- resources --------------------------------------------------------------------------------

    def resources(self, grade: str | None = None, subject: str | None = None, *,
                  type: str | None = None, package: str | None = None, complete: bool | None = None,
                  limit: int = 50, offset: int = 0) -> Found:
        """Resources in teaching order: by package, then by their place in it."""
        now = self._now()
        limit, offset = min(max(limit, 0), MOST_ROWS), max(offset, 0)
        packages, ends = _memo(now, ("ends", grade, subject, type, package, complete),
                               lambda: self._ends(now, grade, subject, type, package, complete))
        items: list[ResourceRow] = []
        at = bisect_right(ends, offset)
        skip = offset - (ends[at - 1] if at else 0)
        while len(items) < limit and at < len(packages):
            wanted = limit - len(items)
            rows = self._all(OF_PACKAGE, packages[at], type, type, complete, complete, wanted, skip)
            items += self._load(now, [(packages[at], row[0]) for row in rows])
            at, skip = at + 1, 0
        return Found(ends[-1] if ends else 0, tuple(items))

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
        return self._load(now, _memo(now, ("newest", limit, grade, subject),
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
        order = _memo(now, ("order",), lambda: {p.id: place for place, p in enumerate(now.packages)})
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

    def _now(self) -> _Snapshot:
        return self._shared.snapshot(self.generation(), self._read_snapshot)

    def _read_snapshot(self) -> _Snapshot:
        """Read all packages at one moment, so that they fit the generation they are kept under."""
        self._all("BEGIN")
        try:
            generation = self.generation()
            sums: dict[str, list[tuple[Any, ...]]] = {}
            for row in self._all(TALLIES):
                sums.setdefault(row[0], []).append(row)
            packages = [_package(row, sums.get(row[0], [])) for row in self._all(PACKAGES)]
        finally:
            self._all("COMMIT")
        packages.sort(key=teaching_order)
        tallies = {package: {row[1]: (row[2], row[3]) for row in rows} for package, rows in sums.items()}
        return _Snapshot(generation, tuple(packages), {p.id: p for p in packages}, tallies)

    @staticmethod
    def _chosen(now: _Snapshot, grade: str | None = None, subject: str | None = None,
                edition: str | None = None, volume: str | None = None,
                complete: bool | None = None) -> tuple[PackageRow, ...]:
        if all(wish is None for wish in (grade, subject, edition, volume, complete)):
            return now.packages
        return _memo(now, ("chosen", grade, subject, edition, volume, complete), lambda: tuple(
            p for p in now.packages
            if (grade is None or p.grade == grade) and (subject is None or p.subject == subject)
            and (edition is None or p.edition == edition) and (volume is None or p.volume == volume)
            and (complete is None or p.complete == complete)))

    def _ends(self, now: _Snapshot, grade: str | None, subject: str | None, type: str | None,
              package: str | None, complete: bool | None) -> tuple[list[str], list[int]]:
        """Packages that have matching resources, and how many there are up to the end of each."""
        if package is None:
            ids = [p.id for p in self._chosen(now, grade, subject)]
        else:
            row = now.by_id.get(package)
            fits = (row is not None and grade in (None, row.grade) and subject in (None, row.subject))
            ids = [package] if fits else []
        sizes = [(one, _matching(now.tallies.get(one, {}), type, complete)) for one in ids]
        some = [(one, size) for one, size in sizes if size]
        return [one for one, _ in some], list(accumulate(size for _, size in some))

    def _newest_of(self, now: _Snapshot, limit: int, grade: str | None,
                   subject: str | None) -> list[tuple[str, str]]:
        """The newest `limit` are in the `limit` packages whose own newest is the newest."""
        latest = [(self._one(LATEST, p.id)[0] or 0.0, p.id) for p in self._chosen(now, grade, subject)
                  if p.resources_complete]
        latest.sort(reverse=True)
        rows = [(row[0], package, row[1]) for _, package in latest[:limit]
                for row in self._all(NEWEST_OF_PACKAGE, package, limit)]
        rows.sort(reverse=True)
        return [(package, resource) for _, package, resource in rows[:limit]]

    def _load(self, now: _Snapshot, keys: Sequence[tuple[str, str]]) -> list[ResourceRow]:
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


def teaching_order(package: PackageRow) -> tuple[Any, ...]:
    """The order of packages: grade, subject, edition, volume, position, name, id."""
    return (*teaching_key(package.grade, package.subject, package.edition, package.volume, package.position,
                          package.name), package.id)


_DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?")


def seconds_of(duration: str) -> int:
    """Whole seconds of an ISO 8601 duration such as `PT3M20S`; 0 where it is none."""
    match = _DURATION.fullmatch(duration)
    if not match:
        return 0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _package(row: tuple[Any, ...], sums: list[tuple[Any, ...]]) -> PackageRow:
    totals = (sum(s[column] for s in sums) for column in (2, 3, 4, 5))
    values = (*row[:16], bool(row[16]), row[17], *totals, tuple((s[1], s[2]) for s in sums))
    return PackageRow(*values)


def _file(row: tuple[Any, ...]) -> FileRow:
    values = (*row[:8], bool(row[8]))
    return FileRow(*values)


def _matching(tally: dict[str, tuple[int, int]], type: str | None, complete: bool | None) -> int:
    chosen: Iterator[tuple[int, int]] = (pair for name, pair in tally.items() if type in (None, name))
    if complete is None:
        return sum(pair[0] for pair in chosen)
    return sum(pair[1] if complete else pair[0] - pair[1] for pair in chosen)


def _menu(packages: Sequence[PackageRow], name: Callable[[PackageRow], str],
          order: Callable[[str], Any]) -> tuple[MenuRow, ...]:
    rows: dict[str, list[PackageRow]] = {}
    for package in packages:
        rows.setdefault(name(package), []).append(package)
    return tuple(MenuRow(key, len(rows[key]), sum(p.complete for p in rows[key]),
                         sum(p.resources for p in rows[key]),
                         sum(p.resources_complete for p in rows[key]))
                 for key in sorted(rows, key=order))


def _courses(packages: Sequence[PackageRow]) -> dict[Course, list[PackageRow]]:
    found: dict[Course, list[PackageRow]] = {}
    for package in packages:
        for course in courses_of(package.grade, package.subject):
            found.setdefault(course, []).append(package)
    return found


def _memo(now: _Snapshot, key: Any, make: Callable[[], T]) -> T:
    """`make()`, remembered as long as the generation lasts. Two threads may both make it: no harm."""
    found = now.memos.get(key)
    if found is None:
        if len(now.memos) >= MOST_MEMOS:
            now.memos.clear()
        found = now.memos[key] = make()
    answer: T = found  # one dict holds answers of many types
    return answer
