"""`POST /api/v1/results`: what a class has answered in H5P and SCORM, into the journal (docs/api.md).

Sent by the pages of lessons, which have it from foreign code in its sandbox. So: only from our own pages,
only of lessons that are here and play, only few kinds and short texts (`sync.results`), and never so many
that they fill the disk or the line. No sign-in: nothing of it is proof, and it says so.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request

from edge import players
from edge.answers import answer_errors, error_answer, fresh
from edge.catalogue import ResourceRow
from edge.origin import same_origin
from edge.state import EdgeState
from sync.box.journal import Journal
from sync.clock import Clock
from sync.database import transaction
from sync.errors import Misused, Refused
from sync.logs import log
from sync.results import KIND, MOST_MESSAGE_BYTES, Told, read_message, statement
from sync.text import one_line

#: Most names of results that are remembered, so that one which is sent twice is kept once.
MOST_REMEMBERED = 20_000
#: Most devices and addresses whose allowance is remembered; a school has some hundred.
MOST_KNOWN = 4096


@dataclass(frozen=True)
class Allowance:
    """So many at once, and so many a second after that."""

    at_once: float
    per_s: float


#: One child, one device behind one address (or a room behind a router), and the whole box: a record has some
#: 500 bytes, so it keeps 13 MB a day at most, however many children (or programs) there are.
OF_DEVICE = Allowance(30, 0.5)
OF_ADDRESS = Allowance(300, 5)
OF_BOX = Allowance(5000, 0.25)


class Meter:
    """Who may send how much. Safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: (left, when that was so) by who; guarded by _lock.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, wanted: Sequence[tuple[str, Allowance]], count: int) -> float:
        """Take `count` from all of these, or nothing; how many seconds to wait (0: taken)."""
        now = self._clock.monotonic()
        with self._lock:
            lefts = {}
            for who, allowance in wanted:
                left, at = self._left.get(who, (allowance.at_once, now))
                lefts[who] = min(left + (now - at) * allowance.per_s, allowance.at_once)
            waits = [(count - lefts[who]) / allowance.per_s
                     for who, allowance in wanted if lefts[who] < count]
            if waits:
                return max(waits)
            for who in lefts:
                self._left[who] = (lefts[who] - count, now)
                self._left.move_to_end(who)
            while len(self._left) > MOST_KNOWN:
                self._left.popitem(last=False)
        return 0.0


def blueprint(state: EdgeState, journal: Callable[[], Journal]) -> Blueprint:
    """The address. `journal` gives this thread's journal."""
    routes = Blueprint("results", __name__)
    answer_errors(routes)
    meter = Meter(state.clock)
    remembered: OrderedDict[str, None] = OrderedDict()
    guard = threading.Lock()  # guards remembered

    @routes.post("/api/v1/results")
    def take() -> Response:
        # A page of another origin cannot send this type without asking first, and is never answered.
        if not same_origin(request) or request.mimetype != "application/json":
            raise Refused("results-foreign")
        if (request.content_length or MOST_MESSAGE_BYTES + 1) > MOST_MESSAGE_BYTES:
            raise Misused("results-too-large", most=MOST_MESSAGE_BYTES)
        told = read_message(request.get_data(cache=False))
        rows = {(one.package, one.resource): _playable(state, one) for one in told}
        with guard:
            new = {one.id: one for one in told
                   if one.id not in remembered and rows[one.package, one.resource] is not None}
        if new:
            wait_s = meter.take([(f"device {told[0].device}", OF_DEVICE),
                                 (f"address {request.remote_addr}", OF_ADDRESS), ("box", OF_BOX)], len(new))
            if wait_s:
                return _busy(wait_s)
            _keep(journal(), list(new.values()), rows)
        with guard:
            remembered.update(dict.fromkeys(new))
            while len(remembered) > MOST_REMEMBERED:
                remembered.popitem(last=False)
        return fresh({"kept": len(new)})

    return routes


def _playable(state: EdgeState, told: Told) -> ResourceRow | None:
    """The resource, if it is here and of a kind that has results."""
    row = state.catalogue().resource(told.package, told.resource)
    return row if row is not None and row.complete and players.plays(state, row) else None


def _keep(journal: Journal, told: Sequence[Told], rows: Mapping[tuple[str, str], ResourceRow | None]) -> None:
    """All of them, durably, or none. Raises as `Journal.append`."""
    with transaction(journal.database):
        for one in told:
            row = rows[one.package, one.resource]
            if row is not None:
                journal.append(KIND, {"package": row.package, "version": row.parent.version,
                                      "resource": row.id, "name": one_line(row.name, 200),
                                      "statement": statement(one)})


def _busy(wait_s: float) -> Response:
    error = Refused("results-busy", wait_s=math.ceil(wait_s))
    log("edge.results").warning("results-busy", address=request.remote_addr, wait_s=math.ceil(wait_s))
    response = error_answer(error)
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
