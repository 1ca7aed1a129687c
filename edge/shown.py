"""Rows of the catalogue as the plain values that templates show. No I/O."""

from __future__ import annotations

import zlib
from typing import Any
from urllib.parse import quote, urlencode

from edge.catalogue import ResourceRow
from edge.snapshot import PackageRow
from edge.state import page_url, thumbnail_url

#: The colours of subjects, as classes s1 … s9 of the style sheet; another subject gets one by its name.
_COLOURS = {
    "语文": 1, "chinese": 1, "数学": 2, "math": 2, "maths": 2, "mathematics": 2, "英语": 3, "english": 3,
    "道德与法治": 4, "政治": 4, "历史": 4, "history": 4, "科学": 5, "science": 5, "物理": 5, "physics": 5,
    "音乐": 6, "music": 6, "体育": 7, "体育与健康": 7, "生物": 7, "生物学": 7, "biology": 7, "信息科技": 8,
    "信息技术": 8, "地理": 8, "geography": 8, "美术": 9, "art": 9, "劳动": 9, "化学": 9, "chemistry": 9,
}

#: The order of types on a card and among the filters.
TYPE_ORDER = ("video", "audio", "picture", "document", "book", "page", "bundle", "text", "file")

#: Longest file name offered for a download, in characters (255 bytes on most devices' disks).
MOST_FILE_NAME = 80


def address(path: str, **query: str | int | None) -> str:
    """A local address; arguments that are None are left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def package_address(package: str, page: int | None = None) -> str:
    """The page of a lesson."""
    return address(f"/p/{quote(package, safe='')}", page=page if page and page > 1 else None)


def colour(subject: str) -> int:
    """Which of the colours a subject has; 0 for none."""
    text = subject.strip().lower()
    if not text:
        return 0
    return _COLOURS.get(text) or zlib.crc32(text.encode("utf-8", "replace")) % 9 + 1


def character(text: str, otherwise: str = "") -> str:
    """The one character that stands for a subject or a lesson."""
    for candidate in (text, otherwise):
        for letter in candidate:
            if letter.isalnum():
                return letter.upper()
    return "·"


def lesson(package: PackageRow) -> dict[str, Any]:
    """A package as a card or a heading."""
    counts = {kind: count for kind, count, _ in package.tallies}
    return {
        "id": package.id, "name": package.name, "language": package.language, "grade": package.grade,
        "subject": package.subject, "book": package.book or " ".join(
            part for part in (package.edition, package.volume) if part),
        "edition": package.edition, "volume": package.volume,
        "part_of": "" if package.book in (package.edition, package.volume) else package.book,
        "creator": package.creator, "license": package.license, "description": package.description,
        "address": package_address(package.id), "colour": colour(package.subject),
        "character": character(package.subject, package.name),
        "types": tuple((kind, counts[kind]) for kind in TYPE_ORDER if counts.get(kind)),
        "left": package.bytes_left,
    }


def item(resource: ResourceRow) -> dict[str, Any]:
    """A resource as a row of a list."""
    return {
        "name": resource.name, "language": resource.parent.language, "type": resource.type,
        "address": page_url(resource), "complete": resource.complete, "size": resource.size,
        "left": resource.left, "time": resource.time_required, "pages": resource.pages,
        "thumbnail": thumbnail_url(resource), "lesson": resource.parent.name,
        "grade": resource.parent.grade, "subject": resource.parent.subject,
    }


def file_name(resource: ResourceRow) -> str:
    """The name a download is given: that of the file itself, cut where a disk would refuse it."""
    last = resource.entry.rsplit("/", 1)[-1]
    stem, dot, suffix = last.rpartition(".")
    if not dot or len(suffix) > 10:
        return last[:MOST_FILE_NAME]
    return f"{stem[:MOST_FILE_NAME - len(suffix) - 1]}.{suffix}"


def page_count(rows: int, rows_a_page: int) -> int:
    """How many pages a list of so many rows has: one at least."""
    return max(1, -(-rows // rows_a_page))


def pages(path: str, number: int, count: int, **query: str | int | None) -> dict[str, Any]:
    """The links before and after page `number` of `count`."""
    def at(page: int) -> str | None:
        return address(path, page=page if page > 1 else None, **query) if 1 <= page <= count else None
    return {"number": number, "count": count, "previous": at(number - 1), "next": at(number + 1)}
