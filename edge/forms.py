"""Forms that change something come from our own pages: a signed double-submit token. No sessions.

The browser holds a random cookie (HttpOnly, SameSite=Strict); the form carries its HMAC under a secret
of this box. A page of another origin can neither read the one nor make the other. The secret is derived
from the pairing, so that a form that stood open while the box restarted, or for a week, still works.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from flask import Request, Response, abort, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from edge.origin import same_origin
from kiosk_ui import pages
from sync.errors import Broken, NoRoom, TeachpointError
from sync.pairing import Pairing

COOKIE = "teachpoint-form"
#: How long the cookie lives, in seconds: a year; it says nothing about anybody.
COOKIE_AGE_S = 365 * 86400
_VALUE = re.compile(r"[0-9a-f]{32}")


def form_secret(pairing: Pairing) -> bytes:
    """The secret that signs tokens: known to this box alone, the same after a restart."""
    return hmac.new(pairing.journal.private.encode(), b"teachpoint form token 1", hashlib.sha256).digest()


def cookie_of(request: Request) -> str:
    """The browser's value, or a fresh one where it has none (or a malformed one)."""
    given = request.cookies.get(COOKIE, "")
    return given if _VALUE.fullmatch(given) else secrets.token_hex(16)


def token_for(secret: bytes, cookie: str) -> str:
    """What the form carries for the browser that holds `cookie`."""
    return hmac.new(secret, cookie.encode(), hashlib.sha256).hexdigest()


def keep_cookie(response: Response, cookie: str, *, secure: bool) -> None:
    """Give the browser its value."""
    response.set_cookie(COOKIE, cookie, max_age=COOKIE_AGE_S, httponly=True, samesite="Strict", secure=secure)


def genuine(request: Request, secret: bytes, token: str) -> bool:
    """Was this form filled in on one of our pages?"""
    cookie = request.cookies.get(COOKIE, "")
    return (same_origin(request) and bool(_VALUE.fullmatch(cookie))
            and hmac.compare_digest(token.encode("utf-8", "replace"), token_for(secret, cookie).encode()))


def must_be_ours(secret: bytes) -> None:
    """Refuse (403) what none of our pages sent; of another origin's nothing is read."""
    if not same_origin(request) or not genuine(request, secret, request.form.get("token", "")):
        abort(403)


def form_page(template: str, secret: bytes, values: dict[str, Any],
              error: TeachpointError | None = None) -> Response:
    """The answer with the page `template` in the language of the request, with a token for this browser;
    nobody keeps it. `error` as in `page_with_form`."""
    cookie = cookie_of(request)
    body = pages.render(template, g.language, **{
        "token": token_for(secret, cookie), "error": in_words(error, g.language), **values})
    return page_with_form(body, cookie, error)


def page_with_form(html: str, cookie: str, error: TeachpointError | None = None) -> Response:
    """The answer with a page whose form is for the browser that holds `cookie`; nobody keeps it. `error`:
    why what was sent was not taken, which the page tells."""
    response = Response(html.encode("utf-8", "replace"), mimetype="text/html")
    if error is not None:
        response.status_code = {NoRoom: 507, Broken: 503}.get(type(error), 400)
    response.headers["Cache-Control"] = "no-store"
    keep_cookie(response, cookie, secure=request.is_secure)
    return response


def in_words(error: TeachpointError | None, language: str) -> dict[str, Any] | None:
    """An error for a template, in the language of the page."""
    short = language.split("-")[0]
    return {"message": error.message(short), "advice": error.advice(short)} if error else None


def see_other(address: str) -> AnyResponse:
    """What was sent has been taken: the browser goes on to a page that can be loaded again."""
    answer = redirect(address, 303)
    answer.headers["Cache-Control"] = "no-store"
    return answer
