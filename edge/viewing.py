"""How one resource is shown: which player, which addresses, the text of a text, the chapters of a book."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from edge import players, shown, subtitles
from edge.catalogue import ResourceRow
from edge.decoded import decoded
from edge.epub import BadBook, Book, read_book, resolve
from edge.reader import book_file, chapter_address
from edge.state import EdgeState, active, page_url, rendition_url
from edge.written import written
from sync.canonical import sha256_hex
from sync.layout import object_path
from sync.logs import log

#: Most of a text that is looked at, in bytes: the longest novels; the whole can be downloaded.
MOST_TEXT_BYTES = 4 * 1024 * 1024


def viewed(state: EdgeState, resource: ResourceRow, host: str, chapter: int | None,
           part: int = 1) -> dict[str, Any]:
    """The values `item`, `book`, `written` and `player` of the template: all that the page shows of the
    resource itself. `chapter` is that of a book, `part` that of a long text or a course."""
    item = {**shown.item(resource), "file_name": shown.file_name(resource), "pdf": False, "text_cut": False,
            "broken": False, "original": False, "subtitles": [], "key": "", "bytes_address": None,
            "content_address": None, "download_address": None}
    found: dict[str, Any] = {"item": item, "book": None, "written": None, "player": None}
    if not resource.complete:
        return found
    address = state.resource_url(resource, host)
    if resource.bundle and (player := _player(state, resource, host, part)) is not None:
        found["player"] = player
        item["content_address"] = player["address"]
        return found
    if resource.bundle or resource.type == "page":
        if resource.entry.lower().endswith((".html", ".htm", ".xhtml")):
            item["content_address"] = address
        return found
    item["bytes_address"] = address
    item["download_address"] = f"{address}?download=1" if active(resource.media_type) else address
    item["pdf"] = is_paper(resource)
    if rendition := rendition_url(resource):
        item["bytes_address"], item["original"] = rendition, True
    if resource.type in ("video", "audio"):
        item["subtitles"] = subtitles.beside(state, resource)
        item["key"] = f"{resource.package}/{resource.id}/{(resource.sha256 or '')[:12]}"
    if resource.type == "text" or (resource.type == "file" and resource.media_type.startswith("text/")):
        found["written"], item["text_cut"] = _written(state, resource, host, part)
    if resource.type == "book" and book_file(state, resource):
        found["book"] = _book(state, resource, host, chapter)
        item["broken"] = found["book"] is None
    return found


def is_paper(resource: ResourceRow) -> bool:
    """Is it shown as a PDF, its own or one that was made of it?"""
    return resource.rendition is not None or resource.media_type.lower().startswith("application/pdf")


def _player(state: EdgeState, resource: ResourceRow, host: str, number: int) -> dict[str, Any] | None:
    """What plays a bundle that is no plain page; `number` is the page of a course."""
    if players.is_h5p(resource):
        return players.h5p_values(state, resource, host)
    opened = players.open_course(state, resource, number)
    return players.course_values(state, resource, opened, host) if opened is not None else None


def _written(state: EdgeState, resource: ResourceRow, host: str,
             part: int) -> tuple[dict[str, Any] | None, bool]:
    """What is shown of a text, and whether the file is longer than what is looked at."""
    try:
        with (state.layout.library / object_path(resource.sha256 or "")).open("rb") as file:
            data = file.read(MOST_TEXT_BYTES + 1)
    except OSError as error:
        log("edge.viewing").error("text-unreadable", resource=resource.id, reason=str(error))
        return None, False
    if len(data) <= MOST_TEXT_BYTES and sha256_hex(data) != resource.sha256:
        log("edge.viewing").error("text-rotten", resource=resource.id, sha256=resource.sha256)
        return None, False

    def turn(link: str, kind: str) -> str | None:
        target = resolve(resource.entry, link)
        row = state.catalogue().file(resource.package, target[0]) if target else None
        if row is None or not row.complete or kind == "media":
            return None
        if kind == "picture":
            return state.file_url(row, host) if row.media_type.startswith("image/") else None
        return f"/r/{quote(row.package)}/{row.resource}"

    markdown = resource.media_type.startswith("text/markdown")
    found = written(decoded(data[:MOST_TEXT_BYTES]), part, turn if markdown else None)
    return {"html": Markup(found.html), "text": found.text,  # noqa: S704 - cleaned by edge.chapter
            "pages": shown.pages(page_url(resource), found.number, found.count)}, len(data) > MOST_TEXT_BYTES


def _book(state: EdgeState, resource: ResourceRow, host: str, chapter: int | None) -> dict[str, Any] | None:
    path = book_file(state, resource)
    try:
        if path is None:
            return None
        book = read_book(path)
    except (BadBook, OSError) as error:
        log("edge.viewing").warning("book-refused", package=resource.package, resource=resource.id,
                                    reason=str(error))
        return None
    count = len(book.chapters)
    number = min(max(chapter or 1, 1), count)
    return {
        "title": book.title, "creators": list(book.creators), "language": book.language, "number": number,
        "count": count, "chapter_name": book.name_of(number) or resource.name,
        "chapter_address": chapter_address(state.content.url(host), resource.package, resource.id, number),
        "previous": _turned(resource, number - 1, count), "next": _turned(resource, number + 1, count),
        "contents": _contents(book, resource, number),
    }


def _turned(resource: ResourceRow, number: int, count: int) -> str | None:
    return shown.address(page_url(resource), chapter=number) if 1 <= number <= count else None


def _contents(book: Book, resource: ResourceRow, number: int) -> list[dict[str, Any]]:
    """The table of contents; the line of the chapter that is shown is marked, once."""
    lines = [{"name": part.name, "depth": part.depth, "chapter": part.chapter, "here": False,
              "address": shown.address(page_url(resource), chapter=part.chapter)} for part in book.contents]
    here = [line for line in lines if line["chapter"] == number]
    if here:
        here[0]["here"] = True
    return lines
