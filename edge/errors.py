"""Errors as pages: what happened, what still works, what to do, in the reader's language.

Addresses for programs (`/api/`) get the one JSON shape of all errors instead (`sync.errors`).
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response as AnyResponse

from kiosk_ui.i18n import mark, translations
from sync.errors import Broken, NoRoom, Refused, TeachpointError
from sync.logs import log

Show = Callable[[str, dict[str, Any]], str]

#: status → (what happened, what to do)
_WORDS = {
    400: (mark("The box did not understand this request."),
          mark("Go back and try again; open the box by its address, as the help page says.")),
    403: (mark("This form was not sent from the box’s own page."),
          mark("Nothing was changed. Open the page again and fill it in once more; allow cookies.")),
    404: (mark("There is nothing at this address."),
          mark("The lesson may have been replaced or taken back by the hub school. Look for it by name.")),
    405: (mark("This address cannot be used like that."), mark("Go back to the page you came from.")),
    411: (mark("The box did not understand this request."), mark("Go back and try again.")),
    413: (mark("That is too large for the box."),
          mark("Nothing was kept. Make the file smaller, or split it, and send it again.")),
    429: (mark("Too many at once."), mark("Wait a moment and try again.")),
    500: (mark("Something went wrong inside the box."),
          mark("The lessons are safe. Try again; if it stays so, tell the technician when and where.")),
    503: (mark("The box’s disk cannot be read properly."),
          mark("Switch the box off and on again. If it stays so, the disk may have to be replaced.")),
    507: (mark("There is no room left on the box."),
          mark("Lessons can still be opened. Tell the technician, or the hub school, to make room.")),
}

#: Errno that mean the disk, not the request.
_DISK = (errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EUCLEAN, errno.ENODEV)


def register(app: Flask, language: Callable[[], str], show: Show) -> None:
    """Handle every error of `app`. `show(template, values)` renders without asking the catalogue."""

    def answer(status: int, *, message: str = "", advice: str = "", code: str = "") -> Response:
        words = translations(language()).gettext
        what, todo = _WORDS.get(status, _WORDS[400 if status < 500 else 500])
        message, advice = message or words(what), advice or words(todo)
        if request.path.startswith("/api/"):
            response = jsonify(error={"code": code or f"http-{status}", "message": message, "advice": advice,
                                      "facts": {}})
        else:
            response = Response(show("error.html", {
                "heading": message, "message": advice, "advice": "", "code": code or f"{status}"}))
        response.status_code = status
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> AnyResponse:
        if error.response is not None:
            return error.response
        response = answer(error.code or 500)
        for name, value in error.get_headers(request.environ):
            if name.lower() in ("allow", "retry-after", "content-range"):
                response.headers[name] = value
        return response

    @app.errorhandler(TeachpointError)
    def known_error(error: TeachpointError) -> Response:
        short = language().split("-")[0]
        status = 507 if isinstance(error, NoRoom) else 503 if isinstance(error, Broken) else \
            400 if isinstance(error, Refused) else 500
        log("edge.web").error("request-failed", code=error.code, address=request.path, reason=str(error))
        return answer(status, message=error.message(short), advice=error.advice(short), code=error.code)

    @app.errorhandler(Exception)
    def unknown_error(error: Exception) -> Response:
        log("edge.web").error("request-failed", address=request.path, reason=repr(error), exc_info=error)
        if isinstance(error, sqlite3.DatabaseError) or (isinstance(error, OSError) and error.errno in _DISK):
            return answer(503)
        return answer(500)
