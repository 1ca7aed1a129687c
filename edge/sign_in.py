"""`/teacher`: signing in, and what a teacher has here. Nothing that a class opens ever asks for it.

The browser holds a random token, signed, HttpOnly and SameSite=Strict: of it the box keeps a hash, so a
session can be ended from here, and a copy of box.db signs nobody in. What comes from another origin, also
from the sandboxed lessons of the content origin, brings no such cookie, and no form's token.

Working out an argon2 hash takes a core and 32 MiB for a moment: one at a time does, a few wait for it, and
who comes then is told when to come again. So sixty who sign in at once hold up no page.
"""

from __future__ import annotations

import hmac
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.wrappers import Response as AnyResponse

from edge.forms import cookie_of, form_page, must_be_ours, page_with_form, see_other
from edge.web import Classroom, local_address
from kiosk_ui import pages
from sync.box.journal import Journal
from sync.box.passwords import MOST_CHARACTERS, hashed, right
from sync.box.teachers import OWN_S, Caller, Teacher, Teachers, device_of
from sync.errors import Broken, Refused, TeachpointError
from sync.logs import log

COOKIE = "teachpoint-teacher"
#: How many may wait for the one whose hash is worked out: so many of the main origin's threads
#: (`edge.wsgi.THREADS`) at most are not there for pages meanwhile.
MOST_WAITING = 3
#: When to come again if there are more, in seconds: their hashes have been worked out by then.
BUSY_S = 3
#: What was typed and is kept while one signs in again: so many fields, so many characters in all.
MOST_KEPT, MOST_KEPT_CHARACTERS = 200, 40 * 1024

#: Status of the answer to what was refused.
_STATUS = {"sign-in-wait": 429, "sign-in-busy": 503, "sign-in-wrong": 403}


class SignIn:
    """Who is signed in, for all pages that ask. `journal` opens the journal for the calling thread; `own` is
    what a teacher's page shows of what is theirs."""

    def __init__(self, classroom: Classroom, secret: bytes, journal: Callable[[], Journal],
                 own: Callable[[Teacher], dict[str, Any]]) -> None:
        self.classroom, self.secret, self.journal, self.own = classroom, secret, journal, own
        self.turns = Turns()

    def teachers(self) -> Teachers:
        """The accounts, for this thread."""
        return Teachers(self.journal())

    def teacher(self) -> Teacher | None:
        """Who is signed in in the browser that asks; looked up once for each request."""
        if "teacher" not in g:
            token = self._token()
            g.teacher = self.teachers().of_session(token) if token else None
        found: Teacher | None = g.teacher
        return found

    def needed(self) -> bool:
        """Does the one who asks have to sign in for what teachers do? Not where the box has no teachers."""
        return self.teacher() is None and self.teachers().any()

    def ask(self, then: str, kept: Mapping[str, str] | None = None) -> Response:
        """The sign-in page; `then` is where to go on, with the form `kept` that was sent there, if any."""
        return self.page(then, _few(kept or {}))

    # -- pages --------------------------------------------------------------------------------------

    def blueprint(self) -> Blueprint:
        routes = Blueprint("teacher", __name__)
        routes.add_url_rule("/teacher", "show", self.show)
        for name, act in (("sign-in", self.sign_in), ("sign-out", self.sign_out),
                          ("password", self.change_password)):
            routes.add_url_rule(f"/teacher/{name}", name, act, methods=["POST"])
        return routes

    def show(self) -> Response:
        """The teacher's own page, or the sign-in."""
        teacher = self.teacher()
        if teacher is None:
            return self.page(local_address(request.args.get("next", "/teacher")), {})
        return self.own_page(teacher, changed="changed" in request.args)

    def sign_in(self) -> AnyResponse:
        """Sign in, and go on where one was, with what was typed there."""
        must_be_ours(self.secret)
        login, then = request.form.get("login", "")[:100], local_address(request.form.get("then", "/teacher"))
        kept, own = _read_kept(request.form.get("kept", "")), "own" in request.form
        try:
            teacher = self._checked(login, request.form.get("password", ""))
            token = self.teachers().begin(teacher, self._caller().device, own=own)
        except TeachpointError as error:
            log("edge.sign_in").warning("not-signed-in", code=error.code, address=self._caller().address)
            return self.page(then, kept, error, login=login, own=own)
        log("edge.sign_in").info("signed-in", login=teacher.login)
        answer = self._go_on(then, kept) if kept else see_other(then)
        self._give(answer, token, own=own)
        return answer

    def sign_out(self) -> AnyResponse:
        """Sign out of this browser."""
        must_be_ours(self.secret)
        self.teachers().end(self._token())
        answer = see_other("/teacher")
        answer.delete_cookie(COOKIE)
        return answer

    def change_password(self) -> AnyResponse:
        """Another password; all other devices are signed out."""
        must_be_ours(self.secret)
        teacher = self.teacher()
        if teacher is None:
            return self.ask("/teacher")
        before, after = request.form.get("before", ""), request.form.get("after", "")
        try:
            if after != request.form.get("again", ""):
                raise Refused("password-differs")
            self._checked(teacher.login, before)
            with self.turns.turn():
                new = hashed(after, teacher.login)
            self.teachers().set_password(teacher, new)
            token = self.teachers().begin(teacher, self._caller().device, own=True)
        except TeachpointError as error:
            return self._with_status(self.own_page(teacher, error), error)
        answer = see_other("/teacher?changed=1")
        self._give(answer, token, own=True)
        return answer

    def page(self, then: str, kept: dict[str, str], error: TeachpointError | None = None, *, login: str = "",
             own: bool = False) -> Response:
        """The sign-in page."""
        answer = form_page("sign_in.html", self.secret, {
            **self.classroom.common("teacher"), "then": then,
            "kept": json.dumps(kept, ensure_ascii=False) if kept else "", "login": login, "own": own,
            "any": self.teachers().any()}, error)
        return self._with_status(answer, error)

    def own_page(self, teacher: Teacher, error: TeachpointError | None = None, *,
                 changed: bool = False) -> Response:
        """What a signed-in teacher has here."""
        return form_page("teacher.html", self.secret, {
            **self.classroom.common("teacher"), "teacher": {"name": teacher.name, "login": teacher.login},
            "changed": changed, **self.own(teacher)}, error)

    def _go_on(self, then: str, kept: dict[str, str]) -> Response:
        """What was typed before signing in again, to be sent with one touch."""
        body = pages.render("go_on.html", g.language, **{
            **self.classroom.common("teacher"), "then": then, "kept": kept})
        return page_with_form(body, cookie_of(request))

    # -- what stands behind them ----------------------------------------------------------------------

    def _checked(self, login: str, password: str) -> Teacher:
        """The teacher whose login and password these are. Raises Refused `sign-in-wrong`, `sign-in-wait`;
        Broken `sign-in-busy`."""
        with self.turns.turn():  # also what counts failures goes one by one: no guess is for nothing
            teachers, caller = self.teachers(), self._caller()
            teacher = teachers.find(login)
            wait_s = teachers.must_wait_s(teacher, caller)
            if wait_s > 0:
                raise Refused("sign-in-wait", seconds=math.ceil(wait_s))
            if not right(teachers.password_of(teacher), password[:MOST_CHARACTERS + 1]) or teacher is None:
                teachers.failed(teacher, caller)
                raise Refused("sign-in-wrong")
            teachers.succeeded(teacher, caller)
            return teacher

    def _caller(self) -> Caller:
        return Caller(request.remote_addr or "", device_of(cookie_of(request)))

    def _give(self, answer: AnyResponse, token: str, *, own: bool) -> None:
        answer.set_cookie(COOKIE, f"{token}.{self._signature(token)}", max_age=int(OWN_S) if own else None,
                          httponly=True, samesite="Strict", secure=request.is_secure)

    def _token(self) -> str:
        """The token of the browser that asks; "" where it holds none that this box has signed."""
        token, _, signature = request.cookies.get(COOKIE, "").partition(".")
        genuine_ = hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(token).encode())
        return token if genuine_ else ""

    def _signature(self, token: str) -> str:
        return hmac.new(self.secret, f"teacher {token}".encode("utf-8", "replace"), "sha256").hexdigest()[:32]

    @staticmethod
    def _with_status(answer: Response, error: TeachpointError | None) -> Response:
        if error is not None:
            answer.status_code = _STATUS.get(error.code, answer.status_code)
            if "seconds" in error.facts:
                answer.headers["Retry-After"] = str(error.facts["seconds"])
        return answer


class Turns:
    """One at a time; MOST_WAITING wait; more are turned away."""

    def __init__(self) -> None:
        self._room = threading.BoundedSemaphore(1 + MOST_WAITING)
        self._one = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn. Raises Broken `sign-in-busy`, at once."""
        if not self._room.acquire(blocking=False):
            raise Broken("sign-in-busy", seconds=BUSY_S)
        try:
            with self._one:
                yield
        finally:
            self._room.release()


def register(app: Flask, classroom: Classroom, secret: bytes, journal: Callable[[], Journal],
             own: Callable[[Teacher], dict[str, Any]]) -> SignIn:
    """Add the pages to the classroom's app; what other pages ask who is signed in. `own`: what a teacher's
    page shows of what is theirs."""
    made = SignIn(classroom, secret, journal, own)
    app.register_blueprint(made.blueprint())
    classroom.has_teachers = lambda: made.teachers().any()
    return made


def _few(kept: Mapping[str, str]) -> dict[str, str]:
    """The fields of a form that are worth keeping, within bounds."""
    found, left = {}, MOST_KEPT_CHARACTERS
    for name, value in list(kept.items())[:MOST_KEPT]:
        left -= len(name) + len(value)
        if left < 0:
            break
        found[name] = value
    return found


def _read_kept(text: str) -> dict[str, str]:
    """What the sign-in page carried; nothing where somebody has changed it into something else."""
    try:
        kept: Any = json.loads(text[:4 * MOST_KEPT_CHARACTERS] or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return _few({name: value for name, value in kept.items() if isinstance(value, str)})
