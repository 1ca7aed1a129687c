"""The hub's status page, for the admin: sites, what they lack, alarms, packages. It changes nothing.

Read-only on purpose: what changes a hub is done with commands, by who may run them. Listens on loopback
unless `hub serve --http` says otherwise.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, redirect, request, send_from_directory
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from werkzeug.wrappers import Response as AnyResponse

from kiosk_ui import i18n, pages
from sync.clock import Clock
from sync.hub.settings import Hub, open_hub
from sync.hub.status import hub_problems, hub_status
from sync.version import VERSION

LANGUAGE_COOKIE = "teachpoint-language"
#: Rows of a list on the page; the commands show all.
MOST_ROWS = 200
#: Ids of missing packages named for a site.
MOST_MISSING = 12

_POLICY = "; ".join(("default-src 'none'", "style-src 'self'", "img-src 'self'", "base-uri 'none'",
                     "form-action 'none'", "frame-ancestors 'none'"))


def create_console(hub: Hub) -> Flask:
    """The page over the hub's data folder; each request opens the database for itself."""
    app = Flask("teachpoint-hub", static_folder=None)
    data, clock, name = hub.layout.data, hub.clock, hub.settings.name

    @app.before_request
    def language() -> None:
        g.language = i18n.choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language"))

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.get("/")
    def page() -> str:
        with_database = open_hub(data, clock)
        try:
            return pages.render("hub.html", g.language, **_facts(with_database, clock, name, g.language))
        finally:
            with_database.database.close()

    @app.get("/healthz")
    def health() -> Response:
        return jsonify({"ok": True, "version": VERSION, "role": "hub", "name": name})

    @app.get("/metrics")
    def metrics() -> Response:
        with_database = open_hub(data, clock)
        try:
            return Response(_metrics(with_database), mimetype="text/plain; version=0.0.4")
        finally:
            with_database.database.close()

    @app.get("/language/<wish>")
    def choose(wish: str) -> AnyResponse:
        answer = redirect("/", 303)
        if wish in i18n.LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, wish, samesite="Lax", httponly=True)
        return answer

    @app.get("/static/<path:name>")
    def static(name: str) -> Response:
        response = send_from_directory(pages.STATIC, name, max_age=86400)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response

    return app


def _facts(hub: Hub, clock: Clock, name: str, language: str) -> dict[str, Any]:
    now = clock.now()
    sites = []
    for one in hub_status(hub):
        heard = one["last_contact"]
        sites.append({
            "site": one["site"], "name": one["name"], "revoked": bool(one["revoked"]),
            "ago": None if heard is None else max(0.0, now - heard), "packages": one["packages"],
            "bytes_left": one["bytes_left"], "problems": one["problems"],
            "missing": [missing["id"] for missing in one["missing"][:MOST_MISSING]],
            "records": sum(int(box["last_seq"] or 0) for box in one["boxes"])})
    packages = hub.database.execute(
        "SELECT id, max(version), name, bytes FROM package GROUP BY id ORDER BY max(published) DESC LIMIT ?",
        [MOST_ROWS])
    uploads = hub.database.execute(
        "SELECT site, name, size, received FROM upload ORDER BY site, seq DESC LIMIT ?", [MOST_ROWS])
    return {
        "hub": {"name": name}, "version": VERSION, "sites": sites, "problems": hub_problems(hub),
        "other_language": next(other for other in i18n.LANGUAGES if other != language),
        "packages": [{"id": id_, "version": version, "name": title, "bytes": size}
                     for id_, version, title, size in packages],
        "uploads": [{"site": site, "name": title, "size": size, "received": received is not None}
                    for site, title, size, received in uploads]}


def _metrics(hub: Hub) -> bytes:
    registry = CollectorRegistry()
    labels = ["site"]
    contact = Gauge("teachpoint_hub_site_last_contact_seconds", "When a site was last connected (Unix time).",
                    labels, registry=registry)
    left = Gauge("teachpoint_hub_site_bytes_left", "Bytes a site lacks of what it is assigned.", labels,
                 registry=registry)
    whole = Gauge("teachpoint_hub_site_packages_complete", "Packages a site has whole.", labels,
                  registry=registry)
    assigned = Gauge("teachpoint_hub_site_packages_assigned", "Packages assigned to a site.", labels,
                     registry=registry)
    alarms = Gauge("teachpoint_hub_problems", "Problems that wait for a person.", labels, registry=registry)
    for one in hub_status(hub):
        site = one["site"]
        contact.labels(site).set(one["last_contact"] or 0)
        left.labels(site).set(one["bytes_left"])
        whole.labels(site).set(one["packages"]["complete"])
        assigned.labels(site).set(one["packages"]["assigned"])
        alarms.labels(site).set(len(one["problems"]))
    alarms.labels("").set(len(hub_problems(hub)))
    return generate_latest(registry)
