"""`/clock`: setting the clock of a box that has none, from the device in the teacher's hand.

Offered only while the box's own clock cannot be believed; a good clock is no pupil's business. A script
takes the device's time; without one it is typed in, by the clock of the site.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Blueprint, Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from edge.forms import form_page, must_be_ours, see_other
from edge.web import Classroom
from sync.box.journal import Journal
from sync.box.line import policy_of
from sync.box.wall_clock import read_time, set_clock, site_time
from sync.clock import utc
from sync.errors import Refused, TeachpointError
from sync.logs import log

#: Seconds since 1970, as a script gives them.
_SECONDS = re.compile(r"\d{1,11}")


def register(app: Flask, classroom: Classroom, secret: bytes, journal: Callable[[], Journal]) -> None:
    """Add the page and its form to the classroom's app. `journal` opens the journal for a thread."""
    app.register_blueprint(_Clock(classroom, secret, journal).blueprint())


class _Clock:
    def __init__(self, classroom: Classroom, secret: bytes, journal: Callable[[], Journal]) -> None:
        self.classroom, self.secret, self.journal = classroom, secret, journal

    def blueprint(self) -> Blueprint:
        routes = Blueprint("clock", __name__)
        routes.add_url_rule("/clock", "show", self.show)
        routes.add_url_rule("/clock", "set", self.set, methods=["POST"])
        return routes

    def show(self) -> Response:
        """What the box takes for the time, and the form where that may be wrong."""
        return self.page()

    def set(self) -> AnyResponse:
        """Set the clock."""
        must_be_ours(self.secret)
        journal = self.journal()
        try:
            if site_time(journal.database, journal.clock) is not None:
                raise Refused("clock-believed")
            set_clock(journal, self.wished(journal), "device")
        except TeachpointError as error:
            log("edge.clock").warning("clock-not-set", code=error.code)
            return self.page(error)
        log("edge.clock").info("clock-set", by="device")
        self.classroom.facts.forget()
        return see_other("/clock")

    def wished(self, journal: Journal) -> float:
        """The time that the form gives. Raises Refused `clock-unreadable`."""
        seconds, typed = request.form.get("seconds", "").strip(), request.form.get("time", "").strip()[:100]
        if _SECONDS.fullmatch(seconds):
            return float(seconds)
        return read_time(typed, policy_of(journal.database).utc_offset_min)

    def page(self, error: TeachpointError | None = None) -> Response:
        """The page, with what is wrong with what was sent."""
        journal = self.journal()
        known = site_time(journal.database, journal.clock)
        local = utc(journal.clock.now() + 60 * policy_of(journal.database).utc_offset_min)
        return form_page("clock.html", self.secret, {
            **self.classroom.common("status"), "believed": known is not None,
            "time": local.strftime("%Y-%m-%d %H:%M")}, error)
