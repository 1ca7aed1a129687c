"""`/off`: a signed-in teacher switches the box off before pulling its plug, where the appliance allows it.

The command runs after the answer has gone out, since the system ends this service soon after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Blueprint, Flask, Response, abort, request
from werkzeug.wrappers import Response as AnyResponse

from edge.forms import form_page, must_be_ours, see_other
from edge.sign_in import SignIn
from edge.web import Classroom
from sync.box.journal import Journal
from sync.box.power import note_shutdown, shutdown_command, switch_off
from sync.clock import Clock
from sync.errors import Broken, TeachpointError
from sync.logs import log

#: So long after the answer the command runs, in seconds.
AFTER_S = 1.0

#: Called with a problem, or None when there is none.
Told = Callable[[TeachpointError | None], None]


def register(app: Flask, classroom: Classroom, secret: bytes, journal: Callable[[], Journal], sign_in: SignIn,
             told: Told) -> None:
    """Add the page; the pages that tell of the box lead there, for who may."""
    made = _Power(classroom, secret, journal, sign_in, told)
    classroom.may_switch_off = made.offered
    app.register_blueprint(made.blueprint())


class _Power:
    def __init__(self, classroom: Classroom, secret: bytes, journal: Callable[[], Journal], sign_in: SignIn,
                 told: Told) -> None:
        self.classroom, self.secret, self.journal = classroom, secret, journal
        self.sign_in, self.told = sign_in, told

    def blueprint(self) -> Blueprint:
        routes = Blueprint("power", __name__)
        routes.add_url_rule("/off", "show", self.show)
        routes.add_url_rule("/off", "switch", self.switch, methods=["POST"])
        return routes

    def offered(self) -> bool:
        """May the one who asks switch the box off?"""
        return self.sign_in.teacher() is not None and bool(shutdown_command(self.journal().database))

    def show(self) -> Response:
        """What it means, and the button; or that it is under way."""
        self._command()
        if self.sign_in.teacher() is None:
            return self.sign_in.ask("/off")
        return form_page("off.html", self.secret, {
            **self.classroom.common("status"), "going": "going" in request.args})

    def switch(self) -> AnyResponse:
        """Switch the box off, in a moment."""
        must_be_ours(self.secret)
        command, teacher = self._command(), self.sign_in.teacher()
        if teacher is None:
            return self.sign_in.ask("/off")
        try:
            note_shutdown(self.journal(), teacher.login)
        except TeachpointError as error:  # a full or failing disk is a reason more
            log("edge.power").warning("not-noted", code=error.code)
        log("edge.power").warning("switching-off", by=teacher.login)
        threading.Thread(target=_later, args=(self.classroom.state.clock, command, self.told),
                         name="switch-off", daemon=True).start()
        return see_other("/off?going=1")

    def _command(self) -> list[str]:
        """The command; 404 where the box may not be switched off."""
        command = shutdown_command(self.journal().database)
        if not command:
            abort(404)
        return command


def _later(clock: Clock, command: list[str], told: Told) -> None:
    clock.sleep(AFTER_S)
    try:
        switch_off(command)
    except TeachpointError as error:
        log("edge.power").error("not-switched-off", code=error.code, reason=str(error))
        told(Broken("shutdown-failed", reason=error.message()))
    else:
        told(None)
