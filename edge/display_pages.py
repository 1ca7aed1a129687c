"""`/screen` and `/remote`: a TV or panel becomes a screen of the room, and a phone drives it.

A screen is known by a cookie, so it comes back by itself. A phone may drive it once it has entered its
code, kept as a signed cookie. Whatever changes anything comes by a form of ours (`edge.forms`); the scripts
send the same forms without leaving the page, and without scripts the remote still works by its buttons.
"""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Any, TypeVar
from urllib.parse import unquote

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from edge import shown
from edge.catalogue import ResourceRow
from edge.displays import (
    CODE_DIGITS,
    MOST_NAME,
    Display,
    Displays,
    Said,
    WrongCode,
    display_id,
    key_of,
    read_points,
)
from edge.forms import cookie_of, form_page, keep_cookie, must_be_ours, token_for
from edge.help_page import square
from edge.origin import checked_host
from edge.reader import chapter_address
from edge.state import EdgeState
from edge.viewing import is_paper, viewed
from edge.waiting import PLACE, Waiting
from edge.web import Classroom

#: What makes a device a screen, and what lets one drive screens.
SCREEN_COOKIE, KEYS_COOKIE = "teachpoint-screen", "teachpoint-screens"
#: How long they live, in seconds: longer than browsers keep any; each use begins it anew.
COOKIE_AGE_S = 400 * 86400
#: Screens that one device may drive; the newest stay.
MOST_KEYS = 12
#: How long a device waits before it asks again where no question can be held, in ms.
AGAIN_MS = 1000

Answer = TypeVar("Answer", bound=AnyResponse)

_SCREEN = re.compile(r"[0-9a-f]{32}")
_PAGE = re.compile(r"/r/([^/?#]+)/([^/?#]+)")
_KEY = re.compile(r"([0-9a-f]{16})\.([0-9a-f]{32})")


def register(app: Flask, state: EdgeState, classroom: Classroom, secret: bytes, displays: Displays,
             waiting: Waiting) -> None:
    """Add screens and remotes to the classroom's app."""
    app.register_blueprint(_DisplayPages(state, classroom, secret, displays, waiting).blueprint())


class _DisplayPages:
    def __init__(self, state: EdgeState, classroom: Classroom, secret: bytes, displays: Displays,
                 waiting: Waiting) -> None:
        self.state, self.classroom, self.secret = state, classroom, secret
        self.displays, self.waiting = displays, waiting

    def blueprint(self) -> Blueprint:
        routes = Blueprint("displays", __name__)
        for address, view, method in (
                ("/screen", self.screen, "GET"), ("/screen/here", self.screen_here, "POST"),
                ("/screen/wait", self.screen_wait, "GET"), ("/screen/said", self.screen_said, "POST"),
                ("/screen/view/<package>/<resource>", self.screen_view, "GET"),
                ("/remote", self.choose, "GET"), ("/remote", self.enter_code, "POST"),
                ("/remote/screens", self.screens, "GET"), ("/remote/<id>", self.remote, "GET"),
                ("/remote/<id>", self.drive, "POST"), ("/remote/<id>/wait", self.remote_wait, "GET")):
            routes.add_url_rule(address, view.__name__, view, methods=[method])
        return routes

    # -- the screen --------------------------------------------------------------------------------

    def screen(self) -> Response:
        """The page of a screen: its code while it shows nothing."""
        cookie = self.screen_cookie()
        display = self.displays.get(display_id(cookie)) if cookie else None
        address = self.classroom.addresses()[0] + "remote"
        return self.page("screen.html", {
            "display": display, "begun": "begun" in request.args, "address": address,
            "qr": square(f"{address}?code={display.code}") if display else None})

    def screen_here(self) -> AnyResponse:
        """The screen's script has started: it is a screen of the room from now on."""
        must_be_ours(self.secret)
        cookie = self.screen_cookie() or secrets.token_hex(16)
        self.displays.started(display_id(cookie))
        answer = no_store(Response(status=204))
        answer.set_cookie(SCREEN_COOKIE, cookie, max_age=COOKIE_AGE_S, httponly=True, samesite="Strict",
                          secure=request.is_secure)
        return answer

    def screen_wait(self) -> Response:
        """What the screen shall show, as soon as it is something else than `after`."""
        cookie = self.screen_cookie()
        display = self.displays.asked(display_id(cookie)) if cookie else None
        if display is None:
            abort(404)
        return self.wait(f"screen-{display.id}")

    def screen_said(self) -> Response:
        """How the screen is: where its film is, which page it shows."""
        must_be_ours(self.secret)
        cookie = self.screen_cookie()
        if not cookie:
            abort(403)

        def number(name: str, otherwise: float) -> float:
            found = request.form.get(name, otherwise, type=float)
            return found if abs(found) < 1e9 else otherwise  # also where it is no number at all
        self.displays.said(display_id(cookie), Said(
            version=int(number("version", -1)), playing=request.form.get("playing") == "1",
            at_s=number("at", 0), length_s=number("length", 0), page=int(number("page", 1)),
            pages=int(number("pages", 0)), muted=request.form.get("muted") == "1",
            shape=number("shape", 16 / 9)))
        return no_store(Response(status=204))

    def screen_view(self, package: str, resource: str) -> Response:
        """What the screen's script puts on the screen for a resource."""
        row = self.state.catalogue().resource(package, resource)
        values: dict[str, Any] = {"item": None, "book": None, "turn": ""}
        if row is not None:
            host = checked_host(request.headers.get("Host"))
            values |= viewed(self.state, row, host, None)
            values["turn"] = chapter_address(self.state.content.url(host), row.package, row.id, 0)[:-1]
        return self.page("screen_view.html", values)

    # -- the phone ---------------------------------------------------------------------------------

    def choose(self) -> Response:
        """The screens that this device may drive, and a field for the code of another one."""
        return self.choices(self.wanted(request.args), code=request.args.get("code", "")[:CODE_DIGITS + 4])

    def enter_code(self) -> AnyResponse:
        """A code was entered: from now on this device may drive that screen."""
        must_be_ours(self.secret)
        row = self.wanted(request.form)
        try:
            display = self.displays.with_code(request.form.get("code", ""), request.remote_addr or "")
        except WrongCode as error:
            response = self.choices(row, error="many" if error.too_many else "wrong")
            response.status_code = 429 if error.too_many else 400
            return response
        if row is not None:
            self.show(display, row)
        answer = no_store(redirect(f"/remote/{display.id}", 303))
        self.give_key(answer, display)
        return answer

    def screens(self) -> Response:
        """For the button on a resource's page: the screens that this device may drive, and a form's token."""
        cookie = cookie_of(request)
        answer = no_store(jsonify(token=token_for(self.secret, cookie), screens=[
            {"id": one.id, "here": self.displays.here(one.id)} for one in self.drivable()]))
        keep_cookie(answer, cookie, secure=request.is_secure)
        return answer

    def remote(self, id: str) -> AnyResponse:
        """The remote control of one screen."""
        display = self.displays.get(id)
        if display is None or not self.may_drive(display):
            return no_store(redirect("/remote", 303))
        row = self.shown_on(display)
        state = self.displays.state(display)
        before, after = self.state.catalogue().neighbours(row) if row else (None, None)
        return self.page("remote.html", {
            "display": display, "state": state, "item": shown.item(row) if row else None,
            "picture": self.picture(row), "kind": kind_of(row), "most_name": MOST_NAME,
            "lesson": shown.lesson(row.parent) if row else None,
            "previous": shown.item(before) if before and before.complete else None,
            "next": shown.item(after) if after and after.complete else None})

    def drive(self, id: str) -> AnyResponse:
        """A command for a screen, from a device that may drive it."""
        must_be_ours(self.secret)
        display = self.displays.get(id)
        if display is None or not self.may_drive(display):
            abort(403)
        action, value = request.form.get("action", ""), request.form.get("value", "")
        if action == "forget":
            answer = no_store(redirect("/remote", 303))
            self.keep_keys(answer, [(name, key) for name, key in self.keys().items() if name != id])
            return answer
        done: Display | None = display
        if action == "draw":
            points = read_points(value)
            if points is None:
                abort(400)
            self.displays.draw(id, points)
        elif action == "show":
            row = self.wanted(request.form)
            if row is None:
                abort(404)
            done = self.show(display, row)
        elif action in ("before", "next"):
            row = self.shown_on(display)
            around = self.state.catalogue().neighbours(row) if row else (None, None)
            found = around[action == "next"]
            done = self.show(display, found) if found else display
        elif action == "code":
            done = self.displays.new_code(id)
        else:
            done = self.displays.command(id, action, value)
        if done is None:
            abort(400)
        scripted = request.form.get("script") == "1"
        answer = no_store(Response(status=204) if scripted else redirect(f"/remote/{id}", 303))
        if action == "code":
            self.give_key(answer, done)
        return answer

    def remote_wait(self, id: str) -> Response:
        """How the screen is, as soon as it is otherwise than `after`."""
        display = self.displays.looked(id)
        if display is None or not self.may_drive(display):
            abort(403)
        return self.wait(f"remote-{id}")

    # -- parts -------------------------------------------------------------------------------------

    def wait(self, channel: str) -> Response:
        """Held by `edge.waiting`, or answered now where that cannot be reached."""
        after = request.args.get("after", "")
        if not re.fullmatch(r"[0-9a-z.]{0,80}", after):
            abort(400)
        if self.state.nginx:
            return no_store(Response(headers={"X-Accel-Redirect": f"{PLACE}{channel}/{after}"}))
        tag, body = self.waiting.now(channel)
        answer = Response(body, mimetype="application/json") if tag != after else Response(status=204)
        answer.headers["X-Again"] = str(AGAIN_MS)
        return no_store(answer)

    def choices(self, row: ResourceRow | None, code: str = "", error: str = "") -> Response:
        """The page with all screens."""
        screens = [{"id": one.id, "name": one.name, "number": one.number, "here": self.displays.here(one.id),
                    "shows": self.name_on(one)} for one in self.drivable()]
        return self.page("remotes.html", {
            "screens": screens, "item": shown.item(row) if row else None, "error": error, "code": code,
            "digits": CODE_DIGITS,
            "screen_address": self.classroom.addresses()[0] + "screen"})

    def show(self, display: Display, row: ResourceRow) -> Display | None:
        """Put it on the screen; noted as opened, as on any device."""
        if row.complete:
            self.classroom.opened.add(package=row.package, version=row.parent.version, resource=row.id,
                                      name=row.name)
        return self.displays.show(display.id, row.package, row.id)

    def wanted(self, fields: Any) -> ResourceRow | None:
        """The resource that is to be shown, if one is named by the address of its page."""
        match = _PAGE.fullmatch(fields.get("show", "")[:1000])
        return self.state.catalogue().resource(unquote(match[1]), match[2]) if match else None

    def shown_on(self, display: Display) -> ResourceRow | None:
        """The resource that a screen shows; None also where it is gone."""
        if not display.package or not display.resource:
            return None
        return self.state.catalogue().resource(display.package, display.resource)

    def name_on(self, display: Display) -> str:
        row = self.shown_on(display)
        return row.name if row else ""

    def picture(self, row: ResourceRow | None) -> str | None:
        """What lies under the finger on the phone: the picture itself, else its thumbnail."""
        if row is None or not row.complete:
            return None
        if row.type == "picture":
            return self.state.resource_url(row, checked_host(request.headers.get("Host")))
        thumbnail: str | None = shown.item(row)["thumbnail"]
        return thumbnail

    def screen_cookie(self) -> str:
        """What makes this device a screen; "" for another one."""
        cookie = request.cookies.get(SCREEN_COOKIE, "")
        return cookie if _SCREEN.fullmatch(cookie) else ""

    def keys(self) -> dict[str, str]:
        """The keys that this device holds, by screen."""
        return dict(_KEY.findall(request.cookies.get(KEYS_COOKIE, "")[:2000]))

    def may_drive(self, display: Display) -> bool:
        """Has this device entered the screen's code?"""
        return hmac.compare_digest(self.keys().get(display.id, ""), key_of(self.secret, display))

    def drivable(self) -> list[Display]:
        """The screens that this device may drive; those that are switched on first."""
        mine = [one for one in self.displays.all() if self.may_drive(one)]
        return sorted(mine, key=lambda one: not self.displays.here(one.id))

    def give_key(self, answer: AnyResponse, display: Display) -> None:
        """Let this device drive the screen."""
        keys = self.keys()
        keys.pop(display.id, None)
        self.keep_keys(answer, [*keys.items(), (display.id, key_of(self.secret, display))][-MOST_KEYS:])

    def keep_keys(self, answer: AnyResponse, kept: list[tuple[str, str]]) -> None:
        """These are the keys that this device holds from now on."""
        answer.set_cookie(KEYS_COOKIE, "-".join(f"{name}.{key}" for name, key in kept), max_age=COOKIE_AGE_S,
                          httponly=True, samesite="Strict", secure=request.is_secure)

    def page(self, template: str, values: dict[str, Any]) -> Response:
        """A page with a token for this browser; nobody keeps it."""
        return form_page(template, self.secret, {**self.classroom.common("remote"), **values})


def kind_of(row: ResourceRow | None) -> str:
    """What a remote can do with it: `film` (plays), `pages` (are turned) or `still`."""
    if row is None:
        return ""
    if row.type in ("video", "audio"):
        return "film"
    return "pages" if is_paper(row) or row.type in ("book", "text") else "still"


def no_store(response: Answer) -> Answer:
    """An answer that nobody keeps."""
    response.headers["Cache-Control"] = "no-store"
    return response
