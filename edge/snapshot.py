"""The packages of one generation of the catalogue, in memory, in teaching order: by grade and subject.

A group holds the packages of one grade and subject, and what was worked out about them; it never changes. The
next generation has the groups of the one before, except those in which something has changed: so a lesson
that arrives costs what its own grade and subject hold, not what the box holds.
"""

from __future__ import annotations

import heapq
import threading
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any, TypeVar

from sync.order import edition_key, grade_key, subject_key, teaching_key, volume_key
from sync.timetable import Course, courses_of

#: How many answers that depend only on a generation, or a group, are kept with it.
MOST_MEMOS = 256

T = TypeVar("T")
#: Resources of one type: which, how many, how many of them whole.
Tally = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class PackageRow:
    """A package as teachers see it. `grade` is LRMI `educationalLevel`, `subject` is `about`,
    `book` is `isPartOf`, `kind` is `learningResourceType`. `tallies` are its resources by type."""

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
    tallies: tuple[Tally, ...] = ()


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
class Counts:
    """Packages in numbers."""

    packages: int
    packages_complete: int
    resources: int
    resources_complete: int
    bytes: int
    bytes_left: int


class _Memos:
    """Answers that were worked out, kept as long as what they are about."""

    def __init__(self) -> None:
        self._memos: dict[Any, Any] = {}

    def memo(self, key: Any, make: Callable[[], T]) -> T:
        """`make()`, remembered. Two threads may both make it: no harm."""
        found = self._memos.get(key)
        if found is None:
            if len(self._memos) >= MOST_MEMOS:
                self._memos.clear()
            found = self._memos[key] = make()
        answer: T = found  # one dict holds answers of many types
        return answer


class Group(_Memos):
    """The packages of one grade and subject, in teaching order; at least one."""

    def __init__(self, packages: Iterable[PackageRow]) -> None:
        super().__init__()
        self.packages = tuple(packages)
        self.grade, self.subject = self.packages[0].grade, self.packages[0].subject

    def counts(self) -> Counts:
        """Its packages in numbers."""
        some = self.packages
        return self.memo("counts", lambda: Counts(
            len(some), sum(p.complete for p in some), sum(p.resources for p in some),
            sum(p.resources_complete for p in some), sum(p.bytes for p in some),
            sum(p.bytes_left for p in some)))

    def types(self) -> frozenset[str]:
        """The types of its resources."""
        return self.memo("types", lambda: frozenset(tally[0] for p in self.packages for tally in p.tallies))

    def newest(self) -> Sequence[PackageRow]:
        """Those with something to open, the last arrived first."""
        return self.memo("newest", lambda: sorted(
            (p for p in self.packages if p.resources_complete), key=_arrived_last))

    def coming(self) -> Sequence[PackageRow]:
        """Those that are not whole yet, the most urgent first."""
        return self.memo("coming", lambda: sorted(
            (p for p in self.packages if not p.complete or p.resources_complete < p.resources), key=_urgent))

    def books(self) -> Mapping[tuple[str, str], Sequence[PackageRow]]:
        """Edition and volume → their packages."""
        def make() -> dict[tuple[str, str], list[PackageRow]]:
            books: dict[tuple[str, str], list[PackageRow]] = {}
            for package in self.packages:
                books.setdefault((package.edition, package.volume), []).append(package)
            return books
        return self.memo("books", make)

    def ends(self, type: str | None, complete: bool | None) -> tuple[Sequence[str], Sequence[int]]:
        """Packages that have matching resources, and how many there are up to the end of each."""
        def make() -> tuple[list[str], list[int]]:
            sizes = [(p.id, matching(p, type, complete)) for p in self.packages]
            some = [(one, size) for one, size in sizes if size]
            return [one for one, _ in some], list(accumulate(size for _, size in some))
        return self.memo(("ends", type, complete), make)


class Snapshot(_Memos):
    """All packages of one generation. `touched` is the number of the last change that is in it."""

    def __init__(self, generation: int, touched: int, by_id: dict[str, PackageRow],
                 groups: Iterable[Group]) -> None:
        super().__init__()
        self.generation, self.touched, self.by_id = generation, touched, by_id
        self.groups = tuple(sorted(groups, key=_place))

    @classmethod
    def of(cls, generation: int, touched: int, rows: Iterable[PackageRow]) -> Snapshot:
        """One made of all its packages."""
        ordered = sorted(rows, key=teaching_order)
        groups: dict[tuple[str, str], list[PackageRow]] = {}
        for row in ordered:
            groups.setdefault((row.grade, row.subject), []).append(row)
        return cls(generation, touched, {row.id: row for row in ordered}, map(Group, groups.values()))

    def followed(self, generation: int, touched: int,
                 changed: Mapping[str, PackageRow | None]) -> Snapshot:
        """The next one: `changed` has the packages that were touched, None for those that have gone."""
        by_id = self.by_id.copy()
        gone: set[str] = set()
        stale: dict[tuple[str, str], list[PackageRow]] = {}  # group → its packages that are new or other ones
        for package, row in changed.items():
            before = by_id.pop(package, None)
            if before is not None:
                gone.add(package)
                stale.setdefault((before.grade, before.subject), [])
            if row is not None:
                by_id[package] = row
                stale.setdefault((row.grade, row.subject), []).append(row)
        groups = {(group.grade, group.subject): group for group in self.groups}
        for key, new in stale.items():
            old = groups.pop(key, None)
            rest = [p for p in old.packages if p.id not in gone] if old else []
            for row in new:
                insort(rest, row, key=teaching_order)
            if rest:
                groups[key] = Group(rest)
        return Snapshot(generation, touched, by_id, groups.values())

    def chosen(self, grade: str | None = None, subject: str | None = None) -> Sequence[Group]:
        """The groups of a grade and a subject; None means any."""
        if grade is None and subject is None:
            return self.groups
        return self.memo(("chosen", grade, subject), lambda: tuple(
            group for group in self.groups
            if grade in (None, group.grade) and subject in (None, group.subject)))

    def packages(self, grade: str | None = None, subject: str | None = None) -> Iterator[PackageRow]:
        """The packages of a grade and a subject, in teaching order."""
        return chain.from_iterable(group.packages for group in self.chosen(grade, subject))

    def grades(self) -> Sequence[MenuRow]:
        """Grades that have packages, from kindergarten up; packages without a grade last, as ""."""
        return self.memo("grades", lambda: _menu(self.groups, lambda group: group.grade, grade_key))

    def subjects(self, grade: str | None) -> Sequence[MenuRow]:
        """Subjects (of a grade) that have packages, as on a timetable."""
        return self.memo(("subjects", grade), lambda: _menu(
            self.chosen(grade), lambda group: group.subject, subject_key))

    def types(self) -> frozenset[str]:
        """The types of resources that are here at all."""
        return self.memo("types", lambda: frozenset().union(*(group.types() for group in self.groups)))

    def counts(self) -> Counts:
        """The whole catalogue in numbers."""
        return self.memo("counts", lambda: _sum(self.groups))

    def newest(self, grade: str | None, subject: str | None) -> Iterator[PackageRow]:
        """Packages with something to open, the last arrived first."""
        return heapq.merge(*(group.newest() for group in self.chosen(grade, subject)), key=_arrived_last)

    def coming(self) -> Iterator[PackageRow]:
        """Packages that are not whole yet, the most urgent first."""
        return heapq.merge(*(group.coming() for group in self.groups), key=_urgent)

    def books(self, grade: str | None, subject: str | None) -> list[BookRow]:
        """The packages of a grade and subject, by edition and volume, each in order."""
        books: dict[tuple[str, str], list[Sequence[PackageRow]]] = {}
        for group in self.chosen(grade, subject):
            for book, packages in group.books().items():
                books.setdefault(book, []).append(packages)
        ordered = sorted(books, key=lambda book: (edition_key(book[0]), volume_key(book[1])))
        return [BookRow(edition, volume, tuple(chain.from_iterable(books[edition, volume])))
                for edition, volume in ordered]

    def course(self, course: Course) -> list[PackageRow]:
        """The packages of a course, in teaching order."""
        def make() -> dict[Course, list[Group]]:
            found: dict[Course, list[Group]] = {}
            for group in self.groups:
                for one in courses_of(group.grade, group.subject):
                    found.setdefault(one, []).append(group)
            return found
        groups = self.memo("courses", make).get(course, [])
        return list(chain.from_iterable(group.packages for group in groups))

    def order(self) -> Mapping[str, int]:
        """Package → its place among all."""
        return self.memo("order", lambda: {p.id: place for place, p in enumerate(self.packages())})


@dataclass
class Shared:
    """The newest snapshot, for all threads of a process."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _snapshot: Snapshot | None = None  # guarded by _lock for writing

    def snapshot(self, generation: int, read: Callable[[Snapshot | None], Snapshot]) -> Snapshot:
        """The packages of `generation`, read by the first thread that asks for them; `read` is given those
        before."""
        found = self._snapshot
        if found is not None and found.generation == generation:
            return found
        with self._lock:
            found = self._snapshot
            if found is None or found.generation != generation:
                found = self._snapshot = read(found)
            return found


def teaching_order(package: PackageRow) -> tuple[Any, ...]:
    """The order of packages: grade, subject, edition, volume, unit, position, name, id. Two spellings of one
    grade or subject stand one after the other."""
    grade, subject, *more = teaching_key(package.grade, package.subject, package.edition, package.volume,
                                         package.book, package.position, package.name)
    return (grade, subject, package.grade, package.subject, *more, package.id)


def matching(package: PackageRow, type: str | None, complete: bool | None) -> int:
    """How many of its resources are of this type, and whole or not; None means any."""
    some = [tally for tally in package.tallies if type in (None, tally[0])]
    if complete is None:
        return sum(tally[1] for tally in some)
    return sum(tally[2] if complete else tally[1] - tally[2] for tally in some)


def _place(group: Group) -> tuple[Any, ...]:
    return grade_key(group.grade), subject_key(group.subject), group.grade, group.subject


def _arrived_last(package: PackageRow) -> float:
    return -package.arrived


def _urgent(package: PackageRow) -> tuple[int, int]:
    return -package.priority, package.bytes_left


def _sum(groups: Iterable[Group]) -> Counts:
    some = [group.counts() for group in groups]
    return Counts(sum(c.packages for c in some), sum(c.packages_complete for c in some),
                  sum(c.resources for c in some), sum(c.resources_complete for c in some),
                  sum(c.bytes for c in some), sum(c.bytes_left for c in some))


def _menu(groups: Iterable[Group], name: Callable[[Group], str], order: Callable[[str], Any]
          ) -> list[MenuRow]:
    rows: dict[str, list[Group]] = {}
    for group in groups:
        rows.setdefault(name(group), []).append(group)
    sums = {key: _sum(rows[key]) for key in sorted(rows, key=order)}
    return [MenuRow(key, one.packages, one.packages_complete, one.resources, one.resources_complete)
            for key, one in sums.items()]
