"""Chapters of books, on the content origin: `/e/<package>/<resource>/<chapter>`.

The page of the book (main origin, `edge.web`) shows a chapter in a frame, and keeps the contents and the
buttons to turn pages itself. Without frames or scripts each chapter is still a page one can read.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from flask import Blueprint, Response, abort, request, send_from_directory
from markupsafe import escape

from edge.catalogue import ResourceRow
from edge.chapter import chapter_html
from edge.epub import MOST_MEDIA_BYTES, MOST_TEXT_BYTES, BadBook, Book, read_book, read_member, resolve
from edge.origin import checked_host, framed_by_pages, policy_source
from edge.state import EdgeState
from kiosk_ui.pages import LANGUAGE_TAG, STATIC
from sync.layout import object_path
from sync.logs import log

#: What a chapter may show from inside its book.
PICTURES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml"))

_PAGE = """<!doctype html>
<html{language}><head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/e/reader.css">
</head>
<body>{body}</body></html>
"""


def chapter_address(origin: str, package: str, resource: str, chapter: int, fragment: str = "") -> str:
    """The address of a chapter; `origin` is "" for one relative to the content origin itself."""
    address = f"{origin}/e/{quote(package, safe='')}/{resource}/{chapter}"
    return f"{address}#{quote(fragment)}" if fragment else address


def book_file(state: EdgeState, resource: ResourceRow | None) -> Path | None:
    """The file of a whole EPUB, or None where the resource is none."""
    if resource is None or not resource.complete or not resource.sha256:
        return None
    if resource.type != "book" or "epub" not in resource.media_type.lower():
        return None
    return state.layout.library / object_path(resource.sha256)


def blueprint(state: EdgeState) -> Blueprint:
    """The routes of the content origin that show books."""
    routes = Blueprint("reader", __name__)

    def opened(package: str, resource: str) -> tuple[Path, Book, ResourceRow]:
        row = state.catalogue().resource(package, resource)
        path = book_file(state, row)
        if path is None or row is None:
            abort(404)
        try:
            return path, read_book(path), row
        except (BadBook, OSError) as error:
            log("edge.reader").warning("book-refused", package=package, resource=resource, reason=str(error))
            abort(404)

    @routes.get("/e/reader.css")
    def style() -> Response:
        return send_from_directory(STATIC, "reader.css", mimetype="text/css")

    @routes.get("/e/<package>/<resource>/<int:chapter>")
    def chapter(package: str, resource: str, chapter: int) -> Response:
        path, book, row = opened(package, resource)
        if not 0 < chapter <= len(book.chapters):
            abort(404)
        tag = f"{row.sha256}-{chapter}-1"
        if tag in request.if_none_match:
            return _guard(Response(status=304))
        name = book.chapters[chapter - 1]
        try:
            source = read_member(path, name, MOST_TEXT_BYTES).decode("utf-8", "replace")
        except (BadBook, OSError) as error:
            log("edge.reader").warning("chapter-refused", package=package, resource=resource, chapter=chapter,
                                       reason=str(error))
            abort(404)

        def turn(link: str, kind: str) -> str | None:
            target = resolve(name, link)
            if target is None:
                return None
            inside, fragment = target
            number = book.chapter_of(inside)
            if kind == "link":
                return chapter_address("", package, resource, number, fragment) if number else None
            if _showable(book.media.get(inside, ""), kind):
                return f"/e/{quote(package, safe='')}/{resource}/file/{quote(inside)}"
            return None

        response = Response(_PAGE.format(
            language=f' lang="{book.language}"' if LANGUAGE_TAG.fullmatch(book.language) else "",
            title=escape(book.name_of(chapter) or book.title or row.name),
            body=chapter_html(source, turn)), mimetype="text/html")
        response.set_etag(tag)
        return _guard(response)

    @routes.get("/e/<package>/<resource>/file/<path:inside>")
    def file(package: str, resource: str, inside: str) -> Response:
        path, book, row = opened(package, resource)
        media = book.media.get(inside, "")
        if not (_showable(media, "picture") or _showable(media, "media")):
            abort(404)
        tag = f"{row.sha256}-{quote(inside)}"
        if tag in request.if_none_match:
            return _guard(Response(status=304))
        try:
            data = read_member(path, inside, MOST_MEDIA_BYTES)
        except (BadBook, OSError):
            abort(404)
        response = Response(data, mimetype=media)
        response.set_etag(tag)
        return _guard(response)

    return routes


def _showable(media: str, kind: str) -> bool:
    if kind == "picture":
        return media in PICTURES
    return media.startswith(("audio/", "video/")) and media.isascii() and len(media) < 60


def _guard(response: Response) -> Response:
    """No script, no forms, an origin of its own; to be framed by the box's own pages only."""
    host = checked_host(request.headers.get("Host"))
    own = policy_source(f"http://{host}")  # an opaque origin has no 'self' in some browsers
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; img-src 'self' {own}; media-src 'self' {own}; style-src 'self' {own}; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {framed_by_pages(host)}; sandbox")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
