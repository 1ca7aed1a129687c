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
from sync.errors import in_words
from sync.hub.scrub import scrubbed
from sync.hub.settings import Hub, open_hub
from sync.hub.status import hub_problems, hub_status
from sync.policy import Policy, moment, policy_shown
from sync.version import VERSION

LANGUAGE_COOKIE = "teachpoint-language"
#: Rows of a list on the page; the commands show all.
MOST_ROWS = 200
#: Missing packages named for a site.
MOST_MISSING = 6
#: Sites named beside a package.
MOST_SITES = 12
#: The states of a site in the order in which they want an admin's eye.
_ORDER = ("alarm", "never", "coming", "whole", "idle", "revoked")

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
    now, status = clock.now(), hub_status(hub)
    newest = hub.database.execute(
        "SELECT p.id, p.version, p.name, p.resources, p.bytes, p.published FROM package p JOIN "
        "(SELECT id, max(version) AS version FROM package GROUP BY id) USING (id, version) "
        "ORDER BY p.published DESC").fetchall()
    names = {id_: title for id_, _, title, *_ in newest}
    sites = sorted((_site(one, names, now, language) for one in status),
                   key=lambda one: _ORDER.index(one["state"]))
    at_sites = _at_sites(hub, status)
    uploads = hub.database.execute(
        "SELECT coalesce(s.name, u.site), u.name, u.size, u.received, coalesce(v.verdict, '') FROM upload u "
        "LEFT JOIN review v USING (sha256) LEFT JOIN site s ON s.site = u.site "
        "ORDER BY u.site, u.seq DESC LIMIT ?", [MOST_ROWS])
    return {
        "hub": {"name": name}, "version": VERSION, "sites": sites,
        "problems": [in_words(one, language) for one in hub_problems(hub)],
        "other_language": next(other for other in i18n.LANGUAGES if other != language),
        "sums": {"sites": sum(one["state"] != "revoked" for one in sites), "packages": len(newest),
                 **{state: sum(one["state"] == state for one in sites) for state in ("alarm", "whole")}},
        "packages": [{"id": id_, "version": version, "name": title, "resources": resources, "bytes": size,
                      "ago": max(0.0, now - published), "sites": at_sites.get(id_, [])[:MOST_SITES],
                      "sites_more": max(0, len(at_sites.get(id_, [])) - MOST_SITES)}
                     for id_, version, title, resources, size, published in newest[:MOST_ROWS]],
        "uploads": [{"site": site, "name": title, "size": size, "received": received is not None,
                     "verdict": verdict} for site, title, size, received, verdict in uploads]}


def _site(one: dict[str, Any], names: dict[str, str], now: float, language: str) -> dict[str, Any]:
    """A site as the page shows it; `names` are those of the packages."""
    heard, missing = one["last_contact"], one["missing"]
    state = ("revoked" if one["revoked"] else "alarm" if one["problems"] else "never" if heard is None
             else "coming" if missing else "whole" if one["packages"]["assigned"] else "idle")
    return {
        "site": one["site"], "name": one["name"], "state": state, "packages": one["packages"],
        "ago": None if heard is None else max(0.0, now - heard),
        "bytes": one["bytes"], "bytes_left": one["bytes_left"],
        "problems": [in_words(problem, language) for problem in one["problems"]],
        "missing": [{"name": names[lack["id"]], "bytes": lack["bytes"]} for lack in missing[:MOST_MISSING]],
        "policy": policy_shown(one["policy"]), "waits": moment(
            one["line"]["opens"], one["policy"]["utc_offset_min"], now) if one["line"]["opens"] else "",
        "told": _line_shown(one, now), "timetable": one["timetable"],
        "missing_more": max(0, len(missing) - MOST_MISSING),
        "records": sum(int(box["last_seq"] or 0) for box in one["boxes"])}


def _line_shown(one: dict[str, Any], now: float) -> dict[str, Any] | None:
    """What the box said of its line: rate, what is left, when that will be there, why it waits."""
    told, policy = one["line"]["told"], one["policy"]
    if told is None:
        return None
    offset_min = policy["utc_offset_min"] if policy else Policy().utc_offset_min
    return {"rate": told["rate_bytes_per_s"] or 0, "left": told["left_bytes"] or 0, "state": told["state"],
            "finish": moment(told["finish"], offset_min, now) if told["left_bytes"] else "",
            "ago": max(0.0, now - told["at"])}


def _at_sites(hub: Hub, status: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Package → the sites it is assigned to, and whether it is whole there."""
    lacks = {one["site"]: {missing["id"] for missing in one["missing"]}
             for one in status if not one["revoked"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for package, site, name in hub.database.execute(
            "SELECT a.package, a.site, s.name FROM assignment a JOIN site s USING (site) ORDER BY s.name"):
        if site in lacks:
            found.setdefault(package, []).append({"name": name, "whole": package not in lacks[site]})
    return found


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
    told = {name: Gauge(f"teachpoint_hub_site_line_{name}", meaning, labels, registry=registry)
            for name, meaning in (("rate_bytes_per_second", "The measured rate of lessons, as the box told."),
                                  ("left_bytes", "Bytes of lessons left, as the box told."),
                                  ("finish_time_seconds", "When they will be there (Unix time)."))}
    state = Gauge("teachpoint_hub_site_line_state", "What the policy lets the line do, as the box told.",
                  [*labels, "state"], registry=registry)
    scrub = scrubbed(hub)
    for name, meaning in (("rounds", "How often all objects were read again."),
                          ("damaged", "Objects found damaged, ever.")):
        Gauge(f"teachpoint_hub_scrub_{name}", meaning, registry=registry).set(scrub[name])
    for one in hub_status(hub):
        site = one["site"]
        line = one["line"]["told"] or {}
        for gauge, fact in (("rate_bytes_per_second", "rate_bytes_per_s"), ("left_bytes", "left_bytes"),
                            ("finish_time_seconds", "finish")):
            if line.get(fact) is not None:
                told[gauge].labels(site).set(line[fact])
        if line.get("state"):
            state.labels(site, line["state"]).set(1)
        contact.labels(site).set(one["last_contact"] or 0)
        left.labels(site).set(one["bytes_left"])
        whole.labels(site).set(one["packages"]["complete"])
        assigned.labels(site).set(one["packages"]["assigned"])
        alarms.labels(site).set(len(one["problems"]))
    alarms.labels("").set(len(hub_problems(hub)))
    return generate_latest(registry)
