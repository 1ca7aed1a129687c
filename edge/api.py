"""The box's HTTP API for programs: docs/api.md says what each address takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from edge.answers import Kept, answer, answer_errors, fresh, text, whole_number
from edge.catalogue import ResourceRow
from edge.search import MOST_OFFSET
from edge.snapshot import PackageRow
from edge.state import EdgeState, page_url, rendition_url, thumbnail_url

#: Most items of one answer, and how many there are where nobody says.
MOST_ITEMS = 500
USUAL_ITEMS = 50
#: Most packages of one answer: as many as a site can have.
MOST_PACKAGES = 10_000

Status = Mapping[str, Any]


def blueprint(state: EdgeState, ask_status: Callable[[], Status], version: str) -> Blueprint:
    """`/healthz` and `/api/v1/…`. `ask_status` is `sync.box.status.box_status` of this box."""
    routes = Blueprint("api", __name__)
    answer_errors(routes)
    kept = Kept()

    @routes.get("/healthz")
    def health() -> Response:
        state.catalogue().generation()
        return fresh({"ok": True, "version": version, "site": state.site, "role": "box"})

    @routes.get("/api/v1/status")
    def status() -> Response:
        return fresh(dict(ask_status()))

    @routes.get("/api/v1/packages")
    def packages() -> Response:
        catalogue = state.catalogue()
        limit = whole_number("limit", MOST_PACKAGES, 0, MOST_PACKAGES)
        offset = whole_number("offset", 0, 0, MOST_OFFSET)
        return answer(kept, (version, catalogue.generation()), lambda: [
            package_facts(row) for row in catalogue.packages(
                text("grade"), text("subject"), limit=limit, offset=offset)])

    @routes.get("/api/v1/resources")
    def resources() -> Response:
        limit = whole_number("limit", USUAL_ITEMS, 0, MOST_ITEMS)
        offset = whole_number("offset", 0, 0, MOST_OFFSET)
        return answer(kept, (version, *resources_age(state)), lambda: found(
            state, limit, offset, lambda row: resource_facts(state, row, request.host)))

    return routes


def resources_age(state: EdgeState) -> tuple[int, int | None]:
    """What a list of resources depends on: the catalogue, and for a search the index."""
    return state.catalogue().generation(), state.search.generation() if text("q") else None


def found(state: EdgeState, limit: int, offset: int, show: Callable[[ResourceRow], Any]) -> dict[str, Any]:
    """The resources that the request's `q`, `grade`, `subject`, `type` and `package` ask for."""
    catalogue, q = state.catalogue(), text("q")
    grade, subject, sort, package = text("grade"), text("subject"), text("type"), text("package")
    if q is None:
        rows = catalogue.resources(grade, subject, type=sort, package=package, limit=limit, offset=offset)
        return {"total": rows.total, "items": [show(row) for row in rows.items]}
    total, keys = state.search.search(q, grade=grade, subject=subject, type=sort, package=package,
                                      limit=limit, offset=offset)
    return {"total": total, "items": [show(row) for row in catalogue.several(keys)]}


def package_facts(row: PackageRow) -> dict[str, Any]:
    """A package as the API tells it; names of fields are those of the manifest."""
    return {
        "id": row.id, "version": row.version, "name": row.name, "educationalLevel": row.grade,
        "about": row.subject, "isPartOf": row.book, "position": row.position, "complete": row.complete,
        "resources": row.resources, "resourcesComplete": row.resources_complete, "edition": row.edition,
        "volume": row.volume, "learningResourceType": row.kind, "inLanguage": row.language,
        "creator": row.creator, "license": row.license, "description": row.description,
        "bytes": row.bytes, "bytesLeft": row.bytes_left,
    }


def resource_facts(state: EdgeState, row: ResourceRow, host: str) -> dict[str, Any]:
    """A resource as the API tells it."""
    return {
        "id": row.id, "package": row.package, "version": row.parent.version, "name": row.name,
        "type": row.type, "url": state.resource_url(row, host), "mediaType": row.media_type,
        "size": row.size, "sha256": row.sha256, "complete": row.complete,
        "packageName": row.package_name, "educationalLevel": row.grade, "about": row.subject,
        "timeRequired": row.time_required, "pages": row.pages, "position": row.position,
        "page": page_url(row), "thumbnail": thumbnail_url(row), "pdf": rendition_url(row),
    }
