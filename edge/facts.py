"""How the box is doing, in words for the pages: `box_status` made short, kept for a moment.

A page must not wait for it nor fail by it: where the status cannot be had, that itself is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from edge import shown
from sync.box.contact import SOON_S
from sync.clock import Clock
from sync.errors import Broken, TeachpointError, in_words
from sync.logs import log
from sync.policy import moment, policy_shown, rate_words

#: How long one answer serves all pages, in seconds: a class of 40 opens the first page at once.
KEPT_S = 2.0
#: Without contact for so long the pages say so, in seconds. A reachable hub is asked every half minute.
OFFLINE_S = 600.0
#: How many packages that are still coming a page names.
MOST_COMING = 8

Status = Mapping[str, Any]


class BoxFacts:
    """The status of the box, for all threads of the process."""

    def __init__(self, ask: Callable[[], Status], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Status = {}  # guarded by _lock
        self._until = float("-inf")  # guarded by _lock for writing

    def status(self) -> Status:
        """As `box_status`; a fresh one at most every KEPT_S. Never raises."""
        with self._lock:
            if self._clock.monotonic() >= self._until:
                try:
                    self._kept = self._ask()
                except Exception as error:
                    log("edge.facts").error("status-failed", reason=str(error))
                    if not isinstance(error, TeachpointError):
                        error = Broken("database-broken", path="box.db", reason=error)
                    self._kept = {"problems": [{"code": error.code, "facts": error.facts}]}
                self._until = self._clock.monotonic() + KEPT_S
            return self._kept

    def age(self) -> object:
        """Is another one as soon as `status` would be, or was, asked anew. Never waits."""
        until = self._until
        return until if self._clock.monotonic() < until else object()

    def forget(self) -> None:
        """Something has changed that the next page must show."""
        with self._lock:
            self._until = float("-inf")

    def values(self, language: str) -> dict[str, Any]:
        """What templates show of it: plain values, times already rounded to what is said of them."""
        status = self.status()
        hub, packages = status.get("hub") or {}, status.get("packages") or {}
        partial = list(packages.get("partial") or ())
        contact = hub.get("last_contact")
        ago = None if contact is None else rounded(self._clock.now() - seconds(contact))
        error = hub.get("last_error")
        return {
            "hub": {
                "name": str(hub.get("name") or ""),
                "last_contact_ago": ago,
                "offline": ago is not None and (bool(error) or ago > OFFLINE_S),
                "error": in_words(error, language) if error else None,
            },
            "line": line_shown(status.get("line") or {}, self._clock.now()),
            "stick": stick_shown(status.get("stick"), language),
            "problems": [in_words(problem, language) for problem in status.get("problems") or ()],
            "packages": {name: int(packages.get(name) or 0) for name in ("complete", "assigned")},
            "coming": [{"id": p["id"], "name": p.get("name") or p["id"], "bytes": int(p.get("bytes") or 0),
                        "left": int(p.get("left") or 0), "address": shown.package_address(p["id"])}
                       for p in partial[:MOST_COMING]],
            "coming_more": max(0, len(partial) - MOST_COMING),
            "bytes_left": int(status.get("bytes_left") or 0),
            "disk": {name: int((status.get("disk") or {}).get(name) or 0) for name in ("free", "total")},
            "uploads_waiting": int((status.get("uploads") or {}).get("waiting") or 0),
            "clock_unsure": not (status.get("clock") or {}).get("believed", True),
            "version": str(status.get("version") or ""),
        }


def stick_shown(told: Mapping[str, Any] | None, language: str) -> dict[str, Any] | None:
    """What a page says of the stick that is plugged in: `state` (`working`, `done`, `failed`), how much came
    and went, the error in words."""
    if not told:
        return None
    report, error = told.get("report") or {}, told.get("error")
    return {"state": str(told.get("state")), "packages": int(report.get("packages") or 0),
            "came": int(report.get("received_bytes") or 0), "records": int(report.get("records_up") or 0),
            "left": int(report.get("left") or 0), "news": bool(report.get("news", True)),
            "error": in_words(error, language) if error else None}


def line_shown(told: Mapping[str, Any], now: float) -> dict[str, Any]:
    """What a page says of the line: rates in words, moments of the site's own time. `finish` is rounded up to
    the quarter of an hour."""
    offset_min = int(told.get("utc_offset_min") or 0)
    finish, left, next_attempt = told.get("finish"), told.get("left") or {}, told.get("next_attempt")
    return {
        "state": str(told.get("state") or "open"), "limit": rate_words(told.get("bits_per_s")),
        "opens": moment(told.get("opens"), offset_min, now),
        "rate": int(float(told.get("rate_bytes_per_s") or 0)),
        "finish": moment(-(-float(finish) // 900) * 900 if finish else None, offset_min, now),
        "left": {name: int(left.get(name) or 0) for name in ("records", "lessons", "uploads")},
        "month_used": int(told.get("month_used_bytes") or 0),
        "next": "" if next_attempt is None else "soon" if next_attempt - now < SOON_S
                else moment(next_attempt, offset_min, now),
        "policy": policy_shown(told.get("policy"))}


def rounded(ago_s: float) -> float:
    """Seconds ago, cut to the minute, hour or day that is said of them: the page then stays the same."""
    for step in (86400, 3600, 60):
        if ago_s >= step:
            return float(ago_s // step * step)
    return 0.0


def seconds(time: object) -> float:
    """A time of the status: seconds since 1970."""
    return float(time) if isinstance(time, int | float) else 0.0
