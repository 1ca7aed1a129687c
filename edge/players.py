"""H5P and SCORM: which bundles they are, what their pages show, and what plays them on the content origin.

An H5P package is played by a page of ours there (h5p-standalone). A page of a SCORM course gets the API that
it looks for put at its beginning (scorm-again), as no script in the sandbox reaches another window's. Both
are foreign code from then on: what they tell is for `edge.results` to judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, request, send_from_directory
from markupsafe import escape

from edge import shown
from edge.catalogue import FileRow, ResourceRow
from edge.state import EdgeState, page_url
from kiosk_ui import pages
from sync.canonical import sha256_hex
from sync.course import MANIFEST, MOST_MANIFEST_BYTES, Course, Part, read_course
from sync.layout import object_path
from sync.logs import log
from sync.safe_xml import BadXml

#: What makes a bundle an H5P package.
H5P = "h5p.json"
#: Largest page of a course that gets the API, in bytes: pages with pictures written into them are below it.
MOST_PAGE_BYTES = 16 * 1024 * 1024
#: What of `kiosk_ui/static` the content origin gives out.
_GIVEN = ("h5p/", "scorm/", "content/", "keys.js")
#: How long a browser keeps it, in seconds; its address changes with it, but for what h5p-standalone names.
_AGE_S = 3600
_HTML = ("text/html", "application/xhtml+xml")
#: What plays a course of a version; one that does not say which gets both.
_LIBRARIES = {"1.2": "scorm/scorm12.min.js", "2004": "scorm/scorm2004.min.js"}
#: Where the scripts may stand: after the start of the head, else after the doctype, else at the beginning.
_HEAD = re.compile(rb"<!--.*?-->|(?P<head><head(?:\s[^>]{0,2000})?>)", re.I | re.S)
_DOCTYPE = re.compile(rb"\s*(?:<!--.*?-->\s*)*<!doctype[^>]{0,500}>", re.I | re.S)
#: How far into a page its head begins, in bytes.
_HEAD_WITHIN = 16 * 1024


@dataclass(frozen=True)
class Opened:
    """A course as the page shows it: its parts, those that are there with their path in the package, and
    which page of them is open."""

    course: Course
    parts: tuple[Part, ...]
    number: int

    @property
    def part(self) -> Part:
        """The one that is open."""
        return [part for part in self.parts if part.path][self.number - 1]


def is_h5p(resource: ResourceRow) -> bool:
    """Is this bundle an H5P package, and is there a player?"""
    return (resource.bundle and resource.entry.rsplit("/", 1)[-1].lower() == H5P
            and pages.has_static("h5p/main.bundle.js"))


def open_course(state: EdgeState, resource: ResourceRow, number: int) -> Opened | None:
    """The course that a bundle is, open at its page `number`; None where it is none, or names no page."""
    found = _course(state, resource.package, resource.id) if resource.bundle else None
    if found is None:
        return None
    course, root = found
    there = {file.path.lower(): file.path for file in state.catalogue().files(resource.package, resource.id)}
    parts = tuple(_found(part, root, there) for part in course.parts)
    count = sum(bool(part.path) for part in parts)
    return Opened(course, parts, min(max(number, 1), count)) if count else None


def plays(state: EdgeState, resource: ResourceRow) -> bool:
    """Is this a bundle that can tell of results?"""
    return is_h5p(resource) or (resource.bundle and _course(state, resource.package, resource.id) is not None)


def course_values(state: EdgeState, resource: ResourceRow, opened: Opened, host: str) -> dict[str, Any]:
    """What the template shows of a course, and what its script passes on to the page that is open."""
    part, lines, number = opened.part, [], 0
    for one in opened.parts:
        number += bool(one.path)
        lines.append({"name": one.title or resource.name, "level": one.level, "here": one is part,
                      "address": shown.address(page_url(resource), page=number if number > 1 else None)
                      if one.path else None})
    place = f"{quote(resource.package)}/{quote(part.path)}{part.query}"
    return {"kind": "scorm", "address": f"{state.content.url(host)}/c/{place}",
            "package": resource.package, "resource": resource.id,
            "key": f"{resource.package}/{resource.id}/{part.id or opened.number}",
            "title": part.title or resource.name,
            "given": {"version": opened.course.version, "data": part.data, "mastery": part.mastery},
            "contents": lines if len(opened.parts) > 1 else []}


def h5p_values(state: EdgeState, resource: ResourceRow, host: str) -> dict[str, Any]:
    """The same of an H5P package."""
    place = f"{quote(resource.package)}/{quote(resource.id)}"
    return {"kind": "h5p", "address": f"{state.content.url(host)}/play/lesson/{place}",
            "package": resource.package, "resource": resource.id,
            "key": f"{resource.package}/{resource.id}", "title": resource.name, "given": {}, "contents": []}


def blueprint(state: EdgeState) -> Blueprint:
    """`/play/…` of the content origin: the players, and the page that plays an H5P package."""
    routes = Blueprint("players", __name__)

    @routes.get("/play/<path:name>")
    def player(name: str) -> Response:
        if not name.startswith(_GIVEN) or ".." in name:
            abort(404)
        return send_from_directory(pages.STATIC, name, max_age=_AGE_S)

    @routes.get("/play/lesson/<package>/<resource>")
    def lesson(package: str, resource: str) -> Response:
        row = state.catalogue().resource(package, resource)
        if row is None or not row.complete or not is_h5p(row):
            abort(404)
        folder = quote(f"/c/{package}/{row.entry}".rpartition("/")[0])
        response = Response(_H5P_PAGE.format(name=escape(row.name), path=escape(folder),
                                             storage=_address("content/storage.js"),
                                             player=_address("h5p/main.bundle.js"),
                                             script=_address("content/h5p.js"),
                                             keys=_address("keys.js")), mimetype="text/html")
        response.headers["Cache-Control"] = "no-cache"
        return response

    return routes


_H5P_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><style>body {{ margin: .5rem; background: #fff; }}</style></head>
<body><main id="h5p" data-path="{path}"></main>
<script src="{storage}"></script><script src="{player}"></script><script src="{script}"></script>
<script src="{keys}"></script>
</body></html>
"""


def page_of_course(state: EdgeState, row: FileRow, media_type: str) -> Response | None:
    """The answer with a page of a course that has the API in it; None for any other file."""
    if row.type != "bundle" or media_type not in _HTML or row.size > MOST_PAGE_BYTES:
        return None
    found = _course(state, row.package, row.resource)
    if found is None:
        return None
    scripts = _scripts(found[0].version)
    etag = f"{row.sha256[:32]}-{sha256_hex(scripts)[:16]}"
    response = Response(status=304) if request.if_none_match.contains_weak(etag) else None
    if response is None:
        data = _read(state, row.sha256)
        if data is None:
            return None  # told and answered as any other file that is lost
        response = Response(with_scripts(data, scripts), content_type=_with_charset(media_type, data))
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    return response


def with_scripts(page: bytes, scripts: bytes) -> bytes:
    """An HTML page with `scripts` before any of its own; as it is where it is in UTF-16."""
    if page.startswith((b"\xff\xfe", b"\xfe\xff")):
        return page
    start = 3 if page.startswith(b"\xef\xbb\xbf") else 0
    heads = (found for found in _HEAD.finditer(page, 0, _HEAD_WITHIN) if found["head"])
    place = next(heads, None) or _DOCTYPE.match(page, start)
    at = place.end() if place else start
    return page[:at] + scripts + page[at:]


def _with_charset(media_type: str, page: bytes) -> str:
    """With UTF-8 where the page is that; else what it declares itself holds."""
    try:
        page.decode()
    except UnicodeDecodeError:
        return media_type
    return f"{media_type}; charset=utf-8"


def _scripts(version: str) -> bytes:
    libraries = ["content/storage.js", *(name for of, name in _LIBRARIES.items() if version in ("", of))]
    tags = "".join(f'<script src="{_address(name)}"></script>' for name in libraries)
    tags += f'<script src="{_address("content/scorm.js")}" data-version="{version}"></script>'
    return f'{tags}<script src="{_address("keys.js")}" defer></script>'.encode()


def _address(name: str) -> str:
    return pages.static_address(name).replace("/static/", "/play/", 1)


def _course(state: EdgeState, package: str, resource: str) -> tuple[Course, str] | None:
    row = state.catalogue().marked(package, resource, MANIFEST)
    if row is None or row.size > MOST_MANIFEST_BYTES or not pages.has_static(_LIBRARIES["2004"]):
        return None
    try:
        course = _parsed(state.layout.library / object_path(row.sha256), row.sha256)
    except (OSError, BadXml) as error:
        log("edge.players").warning("course-unread", sha256=row.sha256, reason=str(error))
        return None
    return course, row.path[:-len(MANIFEST)]


@lru_cache(maxsize=64)
def _parsed(path: Path, sha256: str) -> Course:
    """The course in an object. Raises BadXml where it is none, OSError where the disk has lost it."""
    data = path.read_bytes()
    if sha256_hex(data) != sha256:
        raise OSError("rotten")
    return read_course(data)


def _read(state: EdgeState, sha256: str) -> bytes | None:
    try:
        data = (state.layout.library / object_path(sha256)).read_bytes()
    except OSError:
        return None
    return data if sha256_hex(data) == sha256 else None


def _found(part: Part, root: str, there: dict[str, str]) -> Part:
    """The part with its path in the package; a heading where its page is not there."""
    path = there.get(f"{root}{part.path}".lower(), "") if part.path else ""
    return Part(part.id, part.title, part.level, path, part.query, part.data, part.mastery)
