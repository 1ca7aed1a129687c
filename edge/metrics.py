"""`/metrics`: how the box is doing, as Prometheus text.

Asked from the box itself it is open; from elsewhere it needs `Authorization: Bearer` with the token that
stands in `metrics-token` of the data folder (made at the first start, for the box's own account only).
Few series: one for each address and status that occurred, one each for the rest.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from edge.answers import answer_errors
from edge.ready import count_by
from edge.state import EdgeState
from sync.clock import Clock
from sync.durable import write_file
from sync.errors import Refused
from sync.logs import log

#: Bytes of the token, before hexadecimal.
TOKEN_BYTES = 24
#: Largest token file read, in bytes.
MOST_TOKEN_BYTES = 1024

Status = Mapping[str, Any]


class BoxCollector:
    """Asks `box_status` for each scrape and tells it as gauges."""

    def __init__(self, ask_status: Callable[[], Status], state: EdgeState, version: str) -> None:
        self._ask_status = ask_status
        self._state = state
        self._version = version

    def describe(self) -> list[Metric]:
        """Nothing is asked while it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges; where the status cannot be had, `teachpoint_status_ok` 0 and no more."""
        about = GaugeMetricFamily("teachpoint_info", "Which box this is.", labels=["site", "version"])
        about.add_metric([self._state.site, self._version], 1)
        yield about
        try:
            status: Status = self._ask_status()
            gauges = list(_gauges(status, self._state.clock)) + list(self._catalogue())
            ok = 1
        except Exception as error:  # a scrape must say that something is wrong, not fail
            log("edge.metrics").error("status-failed", reason=str(error))
            gauges, ok = [], 0
        yield GaugeMetricFamily("teachpoint_status_ok", "Could the box tell how it is doing?", value=ok)
        yield from gauges

    def _catalogue(self) -> Iterator[Metric]:
        catalogue = self._state.catalogue()
        counts = catalogue.counts()
        yield GaugeMetricFamily("teachpoint_resources", "Resources in the catalogue.", value=counts.resources)
        yield GaugeMetricFamily("teachpoint_resources_complete", "Resources that can be opened.",
                                value=counts.resources_complete)
        indexed = self._state.search.generation()
        yield GaugeMetricFamily("teachpoint_search_index_current", "Is the search index up to date?",
                                value=int(indexed == catalogue.generation()))


def _gauges(status: Status, clock: Clock) -> Iterator[Metric]:
    hub, packages = _part(status, "hub"), _part(status, "packages")
    disk, journal, uploads = _part(status, "disk"), _part(status, "journal"), _part(status, "uploads")
    for name, meaning, value in (
            ("packages_assigned", "Packages the hub wants the box to have.", packages.get("assigned")),
            ("packages_complete", "Assigned packages that are whole.", packages.get("complete")),
            ("bytes_left", "Bytes of assigned packages still to come.", status.get("bytes_left")),
            ("disk_free_bytes", "Room left where the data lies.", disk.get("free")),
            ("disk_budget_bytes", "Most that lessons may take on the disk.", disk.get("budget")),
            ("clock_believed", "Is the clock taken for the time?", _part(status, "clock").get("believed")),
            ("disk_total_bytes", "Size of the disk where the data lies.", disk.get("total")),
            ("journal_last_seq", "Number of the last record of the journal.", journal.get("last_seq")),
            ("journal_unacknowledged", "Records the hub has not confirmed.", journal.get("unacknowledged")),
            ("scrub_rounds", "How often all objects were read again.", _part(status, "scrub").get("rounds")),
            ("scrub_damaged", "Objects found damaged, ever.", _part(status, "scrub").get("damaged")),
            ("uploads_waiting", "Uploaded files the hub does not have yet.", uploads.get("waiting")),
            ("problems", "Problems a person should know of.", len(status.get("problems") or ()))):
        if isinstance(value, int | float):
            yield GaugeMetricFamily(f"teachpoint_{name}", meaning, value=value)
    yield from _line_gauges(_part(status, "line"))
    lacking = [one.get("bytes", 0) for one in status.get("no_room") or ()]
    yield GaugeMetricFamily("teachpoint_no_room_packages", "Packages that have no room.", value=len(lacking))
    yield GaugeMetricFamily("teachpoint_no_room_bytes", "Bytes they lack.", value=sum(lacking))
    if error := hub.get("last_error"):
        failed = GaugeMetricFamily("teachpoint_last_error", "Why the last sync failed.", labels=["code"])
        failed.add_metric([str(error.get("code"))], 1)
        yield failed
    contact = hub.get("last_contact")
    if isinstance(contact, int | float):
        yield GaugeMetricFamily("teachpoint_last_contact_age_seconds",
                                "Time since the hub was last reached, by the box's clock.",
                                value=max(clock.now() - contact, 0.0))
        yield GaugeMetricFamily("teachpoint_last_sync_ok", "Did the last sync end without an error?",
                                value=int(not hub.get("last_error")))


def _line_gauges(line: Status) -> Iterator[Metric]:
    left = _part(line, "left")
    waiting = GaugeMetricFamily("teachpoint_line_left_bytes", "Bytes that still have to go over the line.",
                                labels=["class"])
    for name in ("records", "lessons", "uploads"):
        if isinstance(left.get(name), int | float):
            waiting.add_metric([name], left[name])
    yield waiting
    carried = CounterMetricFamily("teachpoint_line_carried_bytes", "Bytes the line has carried, ever, both "
                                  "directions.", labels=["class"])
    for name, value in _part(line, "carried").items():
        carried.add_metric([name], value)
    yield carried
    for name, meaning, value in (
            ("rate_bytes_per_second", "Measured rate of lessons.", line.get("rate_bytes_per_s")),
            ("limit_bits_per_second", "What the policy allows now.", line.get("bits_per_s")),
            ("month_bytes", "Bytes carried in this month, both directions.", line.get("month_used_bytes")),
            ("finish_time_seconds", "When all lessons will be here (Unix time).", line.get("finish")),
            ("next_attempt_time_seconds", "When the next sync is due; 0: within a minute.",
             line.get("next_attempt"))):
        if isinstance(value, int | float):
            yield GaugeMetricFamily(f"teachpoint_line_{name}", meaning, value=value)
    if line.get("state"):
        yield GaugeMetricFamily("teachpoint_line_open", "Does the policy let lessons and uploads move now?",
                                value=int(line["state"] in ("open", "unsure")))


def _part(status: Status, name: str) -> Mapping[str, Any]:
    found = status.get(name)
    return found if isinstance(found, Mapping) else {}


def blueprint(state: EdgeState, ask_status: Callable[[], Status], version: str) -> Blueprint:
    """`/metrics`, and a count of every request of the app. Has a registry of its own."""
    routes = Blueprint("metrics", __name__)
    answer_errors(routes)
    registry = CollectorRegistry()
    requests = Counter("teachpoint_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
    registry.register(BoxCollector(ask_status, state, version))
    token_file = state.layout.metrics_token

    @routes.after_app_request
    def count(response: Response) -> Response:
        counter = requests.labels(request.endpoint or "none", str(response.status_code))
        counter.inc()
        count_by(request.environ, counter.inc)
        return response

    @routes.get("/metrics")
    def metrics() -> Response:
        allowed = (_from_here(request.remote_addr)
                   or _has_token(request.headers.get("Authorization"), token_file))
        if not allowed:
            raise Refused("metrics-forbidden", file=token_file.name)
        response = Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes


def make_token(file: Path) -> None:
    """Make the token file, mode 0600, unless there is one. Raises NoRoom `disk-full`."""
    if not file.exists():
        write_file(file, f"{secrets.token_hex(TOKEN_BYTES)}\n".encode(), mode=0o600)


def _from_here(address: str | None) -> bool:
    """Is it a loopback address? (Behind nginx the server has put the asker's own address there.)"""
    try:
        found = ipaddress.ip_address((address or "").split("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _has_token(header: str | None, file: Path) -> bool:
    kind, _, given = (header or "").partition(" ")
    try:
        with file.open("rb") as handle:
            token = handle.read(MOST_TOKEN_BYTES).strip()
    except OSError:
        return False
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token)
    return bool(token) and kind.lower() == "bearer" and same
