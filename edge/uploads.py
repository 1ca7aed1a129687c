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

from edge.forms import form_page, genuine, must_be_ours, see_other
from edge.origin import same_origin
from edge.sign_in import SignIn
from edge.state import EdgeState
from edge.web import Classroom
from kiosk_ui.i18n import mark, translations
from sync.box.outbox import Outbox
from sync.box.receiving import Receiving
from sync.durable import disk_errors
from sync.errors import Refused, TeachpointError
from sync.logs import log
from sync.segment import MOST_UPLOAD_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: Largest body of a form, in bytes: an hour of video. What is larger goes by the drop folder.
MOST_BODY_BYTES = 2 * 1024**3
#: Parts of the form, and bytes of it held in memory: its texts, and what was read of a file (64 KiB at a
#: time, and what might be the beginning of its end) before it goes to the disk.
MOST_PARTS, MOST_MEMORY_BYTES = 16, 512 * 1024
#: What the hub may say of a file (docs/format.md §5.2).
SAID = ("reviewed", "declined", "spread")
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
        routes.add_url_rule("/upload/give-up", "give_up", self.give_up, methods=["POST"])
        return routes

    def form(self) -> Response:
        """The form, and what was sent before; after a sending, that it is safe."""
        if self.sign_in.needed():
            return self.sign_in.ask("/upload")
        return self.page(taken=self.taken())

    def taken(self) -> str | None:
        """What to call the file that was sent just now, by this form or by the page's script."""
        seq, came = request.args.get("sent", type=int), request.args.get("came", "")
        row = seq and self.outbox().database.execute(
            "SELECT title, name FROM upload WHERE seq = ?", [min(max(seq, 0), 2**53)]).fetchone()
        if came:
            teacher = self.sign_in.teacher()
            try:
                one = Receiving(self.outbox()).find(came, teacher.id if teacher else None)
            except Refused:
                return None
            row = (one.texts.get("title", ""), one.name) if one.received == one.size else None
        return (row[0] or row[1]) if row else None

    def give_up(self) -> AnyResponse:
        """Drop a file that has not come whole."""
        must_be_ours(self.secret)
        teacher = self.sign_in.teacher()
        if teacher is None:
            abort(403)
        with suppress(Refused):  # it has gone, or is whole: the page shows it
            Receiving(self.outbox()).give_up(request.form.get("id", ""), teacher.id)
        return see_other("/teacher")

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
        teacher = self.sign_in.teacher()
        return self.outbox().add_upload(Path(str(file.stream.name)), name=file.filename,
                                        teacher=teacher.id if teacher else None, **fields)

    def page(self, *, fields: dict[str, str] | None = None, taken: str | None = None,
             error: TeachpointError | None = None) -> Response:
        """The page: the form, and what was sent before."""
        if fields is None and (teacher := self.sign_in.teacher()):
            fields = {"creator": teacher.name}
        words = translations(g.language).gettext
        catalogue = self.state.catalogue()
        return form_page("upload.html", self.secret, {
            **self.classroom.common("upload"), "action": "/upload",
            "fields": {name: (fields or {}).get(name, "") for name in FIELDS}, "taken": taken,
            "subjects": [row.name for row in catalogue.subjects() if row.name],
            "grades": catalogue.grades(), "most_bytes": MOST_BODY_BYTES,
            "licences": [(value, words(label)) for value, label in LICENCES],
            "most_resumable_bytes": MOST_UPLOAD_BYTES, **self.sent()}, error)

    def sent(self) -> dict[str, Any]:
        """The newest uploads, for the list beside the form: the teacher's own; all where nobody signs in."""
        teacher = self.sign_in.teacher()
        return sent_by(self.outbox(), teacher.id if teacher else None)


def sent_by(outbox: Outbox, teacher: int | None) -> dict[str, Any]:
    """What a teacher has sent, the newest first, and where each file is; and what has not come whole."""
    now = outbox.clock.now()
    rows = outbox.database.execute(
        "SELECT title, name, about, educationalLevel, size, time, acknowledged, sent, said, note FROM upload "
        "WHERE ? IS NULL OR teacher = ? ORDER BY id DESC LIMIT ?", [teacher, teacher, MOST_LISTED])
    coming = Receiving(outbox)
    return {"uploads": [
        *({"title": one.texts["title"], "name": one.name, "subject": one.texts["about"], "note": "",
           "grade": one.texts["educationalLevel"], "size": one.size, "ago": max(now - one.changed, 0.0),
           "state": "box"} for one in coming.whole(teacher)),
        *({"title": title, "name": name, "subject": about, "grade": level, "size": size, "note": note,
           "ago": max(now - time, 0.0), "state": _where(bool(acknowledged), sent is not None, said)}
          for title, name, about, level, size, time, acknowledged, sent, said, note in rows)],
        "unfinished": [
            {"id": one.id, "title": one.texts["title"], "name": one.name, "size": one.size,
             "received": one.received, "percent": 100 * one.received // one.size}
            for one in (coming.of(teacher) if teacher is not None else ())]}


def _where(acknowledged: bool, sent: bool, said: str) -> str:
    """Where a file is: at the `box`, on its `way`, at the `hub`; or what the hub said of it."""
    if not acknowledged:
        return "way" if sent else "box"
    return said if said in SAID else "hub"
