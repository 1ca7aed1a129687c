"""The catalogue as OPDS 2.0, for reading apps: feeds to browse, publications to fetch, a search.

Rules kept (drafts.opds.io/opds-2.0, Readium Web Publication Manifest), held by tests/edge/opds_rules.py:
a feed has `metadata.title`, `links` with one `self`, and `navigation`, `publications` or `groups`; links of a
navigation have a title; a publication has `metadata.title`, a `self` link, at least one acquisition link
and at least one JPEG, PNG or GIF in `images`; search is one templated link with `query`; pages say
`numberOfItems`, `itemsPerPage`, `currentPage` and link to `first`, `previous`, `next`, `last`.

A publication is a resource that can be opened now. Every address is whole, because not every app resolves
relative ones.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, request

from edge.answers import Kept, answer, answer_errors, chosen_language, text, whole_number
from edge.catalogue import ResourceRow
from edge.search import MOST_OFFSET
from edge.snapshot import MenuRow
from edge.state import EdgeState, page_url, thumbnail_url
from sync.clock import iso
from sync.errors import Refused
from sync.manifest import TYPES

FEED = "application/opds+json"
PUBLICATION = "application/opds-publication+json"
OPEN_ACCESS = "http://opds-spec.org/acquisition/open-access"
NEWEST = "http://opds-spec.org/sort/new"

#: Publications on one page of a feed, and among the newest on the first feed.
PER_PAGE = 50
NEWEST_SHOWN = 12

_WORDS = {
    "new": ("最新到达", "New"), "all": ("全部资源", "Everything"), "grades": ("按年级", "By grade"),
    "subjects": ("按学科", "By subject"), "types": ("类型", "Kind"), "search": ("搜索", "Search"),
    "other": ("其他", "Other"),
    "video": ("视频", "Video"), "audio": ("音频", "Audio"), "picture": ("图片", "Pictures"),
    "document": ("文档", "Documents"), "book": ("图书", "Books"), "page": ("网页", "Pages"),
    "bundle": ("互动", "Interactive"), "text": ("文本", "Texts"), "file": ("文件", "Files"),
}
_SCHEMA_ORG = {
    "video": "VideoObject", "audio": "AudioObject", "picture": "ImageObject", "document": "DigitalDocument",
    "book": "Book", "page": "WebPage", "text": "TextDigitalDocument",
}
#: Colours of the plain covers, by type: red, green, blue.
_COLOURS = {
    "video": (178, 58, 72), "audio": (110, 74, 158), "picture": (38, 120, 130), "document": (46, 94, 170),
    "book": (140, 90, 40), "page": (60, 110, 60), "bundle": (190, 110, 20), "text": (90, 90, 90),
    "file": (110, 110, 120),
}
#: Size of a plain cover in pixels: small, flat, a few hundred bytes.
COVER_WIDTH, COVER_HEIGHT = 240, 320


def blueprint(state: EdgeState, version: str) -> Blueprint:
    """`/opds/v2` and what lies below it."""
    routes = Blueprint("opds", __name__)
    answer_errors(routes)
    kept = Kept()

    def feed(make: Callable[[], dict[str, Any]], mimetype: str = FEED, *depends: object) -> Response:
        return answer(kept, (version, state.catalogue().generation(), *depends), make, mimetype)

    @routes.get("/opds/v2")
    def root() -> Response:
        return feed(lambda: _root(state))

    @routes.get("/opds/v2/publications")
    def publications() -> Response:
        page = whole_number("page", 1, 1, MOST_OFFSET // PER_PAGE)
        return feed(lambda: _listing(state, page))

    @routes.get("/opds/v2/search")
    def search() -> Response:
        page = whole_number("page", 1, 1, MOST_OFFSET // PER_PAGE)
        return feed(lambda: _found(state, page), FEED, state.search.generation())

    @routes.get("/opds/v2/publications/<package>/<resource>")
    def publication(package: str, resource: str) -> Response:
        row = state.catalogue().resource(package, resource)
        if row is None or not row.complete:
            raise Refused("resource-unknown", package=package, resource=resource)
        return feed(lambda: _publication(state, row), PUBLICATION)

    @routes.get("/opds/v2/covers/<kind>.png")
    def cover(kind: str) -> Response:
        response = Response(plain_cover(kind if kind in _COLOURS else "file"), mimetype="image/png")
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response

    return routes


def _root(state: EdgeState) -> dict[str, Any]:
    catalogue = state.catalogue()
    groups = []
    newest = catalogue.newest(NEWEST_SHOWN)
    if newest:
        groups.append({"metadata": {"title": _word("new")},
                       "publications": [_publication(state, row) for row in newest]})
    for title, rows, field in (("grades", catalogue.grades(), "grade"),
                               ("subjects", catalogue.subjects(), "subject")):
        named = [row for row in rows if row.name and row.resources_complete]
        if named:
            groups.append({"metadata": {"title": _word(title)},
                           "navigation": [_menu_link(row, field) for row in named]})
    whole = {
        "metadata": {"title": state.name or state.site},
        "links": _links("/opds/v2"),
        "navigation": [_link("/opds/v2/publications", _word("all"), rel="subsection"),
                       _link("/opds/v2/publications?sort=new", _word("new"), rel=NEWEST)],
    }
    return {**whole, "groups": groups} if groups else whole


def _listing(state: EdgeState, page: int) -> dict[str, Any]:
    """Publications by `grade`, `subject`, `type`, `package`, in teaching order; or the newest."""
    catalogue = state.catalogue()
    chosen = {name: value for name in ("grade", "subject", "type", "package") if (value := text(name))}
    grade, subject = chosen.get("grade"), chosen.get("subject")
    if text("sort") == "new":
        rows = catalogue.newest(PER_PAGE, grade, subject)
        return _feed(state, " ".join([_word("new"), *filter(None, (grade, subject))]),
                     {"sort": "new", **chosen}, "/opds/v2/publications", rows, len(rows), 1)
    found = catalogue.resources(grade, subject, type=chosen.get("type"), package=chosen.get("package"),
                                complete=True, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
    title = " ".join(filter(None, (grade, subject))) or _word("all")
    feed = _feed(state, title, chosen, "/opds/v2/publications", found.items, found.total, page)
    facets = [_facet(_word("subjects"), chosen, "subject", catalogue.subjects(grade)),
              _facet(_word("grades"), chosen, "grade", catalogue.grades()), _types(chosen)]
    feed["facets"] = [facet for facet in facets if facet["links"]]
    return feed


def _found(state: EdgeState, page: int) -> dict[str, Any]:
    query = text("query") or ""
    found = state.search.results(query, complete=True, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
    rows = [row for row in state.catalogue().several(found.keys) if row.complete]
    title = f"{_word('search')}: {query}"
    return _feed(state, title, {"query": query}, "/opds/v2/search", rows, found.total, page)


def _feed(state: EdgeState, title: str, chosen: dict[str, str], address: str,
          rows: Sequence[ResourceRow], total: int, page: int) -> dict[str, Any]:
    last = max(1, -(-total // PER_PAGE))

    def place(number: int) -> str:
        return f"{address}?{urlencode({**chosen, 'page': number}, errors='replace')}"

    links = _links(place(page))
    for rel, number, there in (("first", 1, True), ("previous", page - 1, page > 1),
                               ("next", page + 1, page < last), ("last", last, True)):
        if there:
            links.append({"rel": rel, "href": _whole(place(min(number, last))), "type": FEED})
    return {
        "metadata": {"title": title, "numberOfItems": total, "itemsPerPage": PER_PAGE, "currentPage": page},
        "links": links,
        "publications": [_publication(state, row) for row in rows],
    }


def _publication(state: EdgeState, row: ResourceRow) -> dict[str, Any]:
    parent = row.parent
    metadata: dict[str, Any] = {
        "@type": f"http://schema.org/{_SCHEMA_ORG.get(row.type, 'LearningResource')}",
        "identifier": f"urn:teachpoint:{row.package}:{row.id}",
        "title": row.name or row.package_name or row.id,
    }
    more = {
        "language": parent.language, "author": parent.creator, "description": parent.description,
        "modified": iso(row.arrived) if row.arrived else "", "numberOfPages": row.pages,
        "duration": row.duration_s,
        "subject": [{"name": name} for name in (row.subject, row.grade) if name],
    }
    metadata |= {name: value for name, value in more.items() if value}
    if row.package_name:
        series: dict[str, Any] = {"name": row.package_name}
        if row.position:
            series["position"] = row.position
        metadata["belongsTo"] = {"series": series}
    address = f"/opds/v2/publications/{quote(row.package)}/{row.id}"
    thumbnail = thumbnail_url(row)
    image = ({"href": _whole(thumbnail), "type": "image/jpeg"} if thumbnail else
             {"href": _whole(f"/opds/v2/covers/{row.type}.png"), "type": "image/png",
              "width": COVER_WIDTH, "height": COVER_HEIGHT})
    return {
        "metadata": metadata,
        "links": [
            {"rel": "self", "href": _whole(address), "type": PUBLICATION},
            {"rel": OPEN_ACCESS, "href": _whole(state.resource_url(row, request.host)),
             "type": row.media_type},
            {"rel": "alternate", "href": _whole(page_url(row)), "type": "text/html"},
        ],
        "images": [image],
    }


def _links(here: str) -> list[dict[str, Any]]:
    return [
        {"rel": "self", "href": _whole(here), "type": FEED},
        {"rel": "start", "href": _whole("/opds/v2"), "type": FEED},
        {"rel": "search", "href": _whole("/opds/v2/search") + "{?query}", "type": FEED, "templated": True},
    ]


def _link(address: str, title: str, **more: Any) -> dict[str, Any]:
    return {"href": _whole(address), "title": title, "type": FEED, **more}


def _menu_link(row: MenuRow, field: str) -> dict[str, Any]:
    return _link(f"/opds/v2/publications?{urlencode({field: row.name})}", row.name, rel="subsection",
                 properties={"numberOfItems": row.resources_complete})


def _facet(title: str, chosen: dict[str, str], field: str, rows: Sequence[MenuRow]) -> dict[str, Any]:
    links = [_choice(chosen, field, row.name, row.name) for row in rows
             if row.name and row.resources_complete]
    return {"metadata": {"title": title}, "links": links}


def _types(chosen: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"title": _word("types")},
            "links": [_choice(chosen, "type", kind, _word(kind)) for kind in TYPES]}


def _choice(chosen: dict[str, str], field: str, value: str, title: str) -> dict[str, Any]:
    """A link of a facet; `self` marks the one that is chosen."""
    query = urlencode({**chosen, field: value}, errors="replace")
    mark = {"rel": "self"} if chosen.get(field) == value else {}
    return _link(f"/opds/v2/publications?{query}", title, **mark)


def _whole(address: str) -> str:
    """An address with scheme and host; one that has them already stays as it is."""
    return address if "://" in address else request.host_url.rstrip("/") + address


def _word(name: str) -> str:
    return _WORDS[name][chosen_language() == "en"]


@lru_cache(maxsize=16)
def plain_cover(kind: str) -> bytes:
    """A PNG of one colour, for what has no picture of its own."""
    line = b"\0" + bytes(_COLOURS[kind]) * COVER_WIDTH

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", COVER_WIDTH, COVER_HEIGHT, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(line * COVER_HEIGHT, 9)) + chunk(b"IEND", b""))
