"""The shelf: lessons by grade, subject, edition and volume, unit. What a page of it shows, as plain values.

A level at which there is nothing to choose is passed over: a grade with one subject, a subject with one book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge import shown
from edge.catalogue import Catalogue
from edge.snapshot import BookRow, MenuRow, PackageRow
from sync.order import unit_key, unit_of

#: Lessons on one page of a list; the rest is on further pages (60 KB a page).
LESSONS_A_PAGE = 48

Shelf = dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """How far somebody has chosen; None: not yet, "": what names none. `book` is (edition, volume)."""

    grade: str | None = None
    subject: str | None = None
    book: tuple[str, str] | None = None
    unit: str | None = None


def browsed(catalogue: Catalogue, chosen: Chosen, page: int, gettext: Callable[[str], str]) -> Shelf:
    """The values of `browse.html` for what was chosen."""
    grade, subject = chosen.grade, chosen.subject
    other, all_lessons = gettext("Other"), gettext("All lessons")
    shelf: Shelf = {"tiles": [], "groups": [], "books": [], "units": [], "heading": "",
                    "pages": shown.pages("/browse", 1, 1), "trail": [(all_lessons, None)]}
    if grade is None:
        shelf["tiles"] = [{**_tile(row, shown.address("/browse", grade=row.name)), "colour": 1 + place % 9}
                          for place, row in enumerate(catalogue.grades())]
        return shelf
    shelf["trail"] = [(all_lessons, "/browse"), (grade or other, None)]
    if subject is None and len(catalogue.subjects(grade)) > 1:
        shelf["heading"] = grade or other
        shelf["tiles"] = [_tile(row, shown.address("/browse", grade=grade, subject=row.name))
                          for row in catalogue.subjects(grade)]
        return shelf
    shelf["heading"] = " ".join(part for part in (grade, subject) if part) or other
    if subject is not None:
        above = shown.address("/browse", grade=grade)
        shelf["trail"][1:] = [(grade or other, above), (subject or other, None)]
    return shelf | _lessons(catalogue.books(grade, subject), chosen, page)


def _lessons(everything: list[BookRow], chosen: Chosen, page: int) -> Shelf:
    """The lessons of a grade and subject: which books and units can be chosen, and what is chosen."""
    books = [book for book in everything if chosen.book in (None, (book.edition, book.volume))]
    units = _units(books[0]) if len(books) == 1 else []
    rows = [(book, package) for book in books for package in book.packages
            if chosen.unit is None or unit_of(package.book) == chosen.unit]
    count = shown.page_count(len(rows), LESSONS_A_PAGE)
    page = min(page, count)
    edition, volume = chosen.book or (None, None)
    return {
        "books": [] if len(everything) < 2 else [
            (None, chosen.book is None, _address(chosen, None)),
            *((_book_name(book), chosen.book == (book.edition, book.volume),
               _address(chosen, (book.edition, book.volume))) for book in everything)],
        "units": [] if len(units) < 2 else [
            (None, chosen.unit is None, _address(chosen, chosen.book)),
            *((unit, chosen.unit == unit, _address(chosen, chosen.book, unit)) for unit in units)],
        "pages": shown.pages("/browse", page, count, grade=chosen.grade, subject=chosen.subject,
                             edition=edition, volume=volume, unit=chosen.unit),
        "groups": _groups(rows[(page - 1) * LESSONS_A_PAGE:page * LESSONS_A_PAGE]),
    }


def _groups(rows: list[tuple[BookRow, PackageRow]]) -> list[dict[str, Any]]:
    """Lessons that follow on each other, by book and unit; `begins` where a book does."""
    groups: list[dict[str, Any]] = []
    for book, package in rows:
        name, unit = _book_name(book), unit_of(package.book)
        if not groups or (groups[-1]["name"], groups[-1]["unit"]) != (name, unit):
            begins = not groups or groups[-1]["name"] != name
            groups.append({"name": name, "unit": unit, "begins": begins, "lessons": []})
        groups[-1]["lessons"].append(shown.lesson(package))
    return groups


def _units(book: BookRow) -> list[str]:
    return sorted({unit_of(package.book) for package in book.packages}, key=unit_key)


def _address(chosen: Chosen, book: tuple[str, str] | None, unit: str | None = None) -> str:
    edition, volume = book or (None, None)
    return shown.address("/browse", grade=chosen.grade, subject=chosen.subject, edition=edition,
                         volume=volume, unit=unit)


def _book_name(book: BookRow) -> str:
    return " ".join(part for part in (book.edition, book.volume) if part)


def _tile(row: MenuRow, address: str) -> dict[str, Any]:
    """A large button that leads to a grade or a subject."""
    return {"name": row.name, "count": row.packages, "address": address, "colour": shown.colour(row.name),
            "character": shown.character(row.name)}
