"""`/upload`: a teacher's own file, for the hub school. Who sends signs in, where the box has teachers.

The body of the form goes to the disk as it comes, never whole into the memory; what the page confirms is
in the outbox, durably. The answer to the form is a redirect, so that a reload sends nothing twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flask import Blueprint, Flask, Request, Response, abort, g, request
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from edge.forms import cookie_of, genuine, in_words, page_with_form, see_other, token_for
from edge.origin import same_origin
from edge.sign_in import SignIn
from edge.state import EdgeState
from edge.web import Classroom
from kiosk_ui import pages
from kiosk_ui.i18n import mark, translations
from sync.box.outbox import Outbox
from sync.durable import disk_errors
from sync.errors import Refused, TeachpointError
from sync.logs import log

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Largest body of a form, in bytes: an hour of video. What is larger goes by the drop folder.
MOST_BODY_BYTES = 2 * 1024**3
#: Parts of the form, and bytes of it held in memory: its texts, and what was read of a file (64 KiB at a
#: time, and what might be the beginning of its end) before it goes to the disk.
MOST_PARTS, MOST_MEMORY_BYTES = 16, 512 * 1024
#: How many uploads the page lists.
MOST_LISTED = 20

FIELDS = ("title", "about", "educationalLevel", "creator", "license")
#: Longest text of a field, in characters.
MOST_CHARACTERS = 200

#: What a teacher may choose: the value of the manifest's field `license`, and what it means.
LICENCES = (
    ("", mark("The schools of this hub")),
    ("CC BY-SA 4.0", mark("Anybody who names me and shares alike (CC BY-SA 4.0)")),
    ("CC BY 4.0", mark("Anybody who names me (CC BY 4.0)")),
    ("CC0 1.0", mark("Anybody, without conditions (CC0)")),
)


class FormRequest(Request):
    """A request whose files lie on the disk under a name, below the folder that `tempfile` uses.

    Whoever asks first for its form takes the files in, to their last byte: that may raise NoRoom `disk-full`,
    Broken `disk-failing`; nothing of them is left then.
    """

    max_form_parts = MOST_PARTS
    max_form_memory_size = MOST_MEMORY_BYTES

    def __init__(self, environ: WSGIEnvironment, *arguments: Any, **more: Any) -> None:
        super().__init__(environ, *arguments, **more)
        # More than those that come into `files`: what broke off in the middle does not.
        self._opened: list[IO[bytes]] = []

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        file = tempfile.NamedTemporaryFile(prefix="upload-")  # noqa: SIM115 - closed with the request
        self._opened.append(file)
        return file

    def _load_form_data(self) -> None:
        try:
            with disk_errors(Path(tempfile.gettempdir())):
                super()._load_form_data()
                for file in self._opened:
                    file.flush()
        except TeachpointError:
            for file in self._opened:
                with suppress(OSError):  # it would write the rest once more
                    file.close()
            raise


def register(app: Flask, state: EdgeState, classroom: Classroom, secret: bytes,
             outbox: Callable[[], Outbox], sign_in: SignIn) -> None:
    """Add the page and its form to the classroom's app. `outbox` opens the outbox for the calling thread."""
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    app.register_blueprint(_Upload(state, classroom, secret, outbox, sign_in).blueprint())


class _Upload:
    def __init__(self, state: EdgeState, classroom: Classroom, secret: bytes,
                 outbox: Callable[[], Outbox], sign_in: SignIn) -> None:
        self.state, self.classroom, self.secret, self.outbox = state, classroom, secret, outbox
        self.sign_in = sign_in

    def blueprint(self) -> Blueprint:
        routes = Blueprint("upload", __name__)
        routes.add_url_rule("/upload", "form", self.form)
        routes.add_url_rule("/upload", "send", self.send, methods=["POST"])
        return routes

    def form(self) -> Response:
        """The form, and what was sent before; after a sending, that it is safe."""
        if self.sign_in.needed():
            return self.sign_in.ask("/upload")
        seq = request.args.get("sent", type=int)
        row = seq and self.outbox().database.execute(
            "SELECT title, name FROM upload WHERE seq = ?", [min(max(seq, 0), 2**53)]).fetchone()
        return self.page(taken=(row[0] or row[1]) if row else None)

    def send(self) -> AnyResponse:
        """Take the file in."""
        if not same_origin(request):
            abort(403)
        try:
            form = request.form
        except TeachpointError as error:
            return self.refused(error, {})
        fields = {name: form.get(name, "").strip()[:MOST_CHARACTERS] for name in FIELDS}
        if not genuine(request, self.secret, form.get("token", "")):
            abort(403)
        if self.sign_in.needed():
            return self.sign_in.ask("/upload", {**fields, "token": form.get("token", "")})
        if fields["license"] not in (value for value, _ in LICENCES):
            fields["license"] = ""
        try:
            seq = self.take(request.files.get("file"), fields)
        except TeachpointError as error:
            return self.refused(error, fields)
        self.state.wake()
        return see_other(f"/upload?sent={seq}")

    def refused(self, error: TeachpointError, fields: dict[str, str]) -> Response:
        """The form again, with what was typed and why nothing was taken in."""
        log("edge.upload").warning("upload-refused", code=error.code, reason=str(error))
        return self.page(fields=fields, error=error)

    def take(self, file: FileStorage | None, fields: dict[str, str]) -> int:
        """Into the outbox with it; the number of its record."""
        if file is None or not file.filename:
            raise Refused("upload-empty")
        return self.outbox().add_upload(Path(str(file.stream.name)), name=file.filename, **fields)

    def page(self, *, fields: dict[str, str] | None = None, taken: str | None = None,
             error: TeachpointError | None = None) -> Response:
        """The page, with a token for this browser; nobody keeps it."""
        cookie, language = cookie_of(request), g.language
        if fields is None and (teacher := self.sign_in.teacher()):
            fields = {"creator": teacher.name}
        words = translations(language).gettext
        catalogue = self.state.catalogue()
        body = pages.render("upload.html", language, **{
            **self.classroom.common("upload"), "action": "/upload", "token": token_for(self.secret, cookie),
            "fields": {name: (fields or {}).get(name, "") for name in FIELDS}, "taken": taken,
            "error": in_words(error, language),
            "subjects": [row.name for row in catalogue.subjects() if row.name],
            "grades": catalogue.grades(), "most_bytes": MOST_BODY_BYTES,
            "licences": [(value, words(label)) for value, label in LICENCES], "uploads": self.sent_before()})
        return page_with_form(body, cookie, error)

    def sent_before(self) -> list[dict[str, Any]]:
        """The newest uploads, for the list beside the form."""
        now = self.state.clock.now()
        return [{"title": title, "name": name, "subject": about, "grade": level, "size": size,
                 "ago": max(now - time, 0.0), "at_hub": bool(acknowledged)}
                for title, name, about, level, size, time, acknowledged in self.outbox().database.execute(
                    "SELECT title, name, about, educationalLevel, size, time, acknowledged FROM upload "
                    "ORDER BY id DESC LIMIT ?", [MOST_LISTED])]
