"""`/api/v1/uploads`: files that go on where they stopped, by tus 1.0 (core, creation, termination).

The page's own script speaks it (`kiosk_ui/static/upload.js`), and any tus client may. In a browser only a
script of our own origin can: the headers need a preflight, which nothing here answers, and the session's
cookie goes to no other site. Where the box has teachers, a file is its teacher's; elsewhere who knows its
name may go on with it.

A whole file is handed to the outbox by a thread of its own: hashing gigabytes must hold up no page.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable

from flask import Blueprint, Flask, Response, abort, request

from edge.answers import error_answer
from edge.origin import same_origin
from edge.sign_in import SignIn
from edge.uploads import LICENCES
from sync.box.outbox import Outbox
from sync.box.receiving import TEXTS, Receiving, Unfinished
from sync.errors import Broken, Refused, TeachpointError
from sync.logs import log
from sync.segment import MOST_UPLOAD_BYTES

PLACE = "/api/v1/uploads"
VERSION, EXTENSIONS = "1.0.0", "creation,termination"
#: Longest value of a text, in characters, and of all of them in their header, in bytes.
MOST_CHARACTERS, MOST_METADATA_BYTES = 200, 8192
#: After a failure the outbox is tried again after so many seconds.
AGAIN_S = 60.0
#: How long a stop waits for the file that is being hashed, in seconds: it is done again after the next start.
STOP_S = 3.0

_STATUS = {"sign-in-first": 401, "upload-gone": 404, "upload-elsewhere": 409, "upload-busy": 423,
           "upload-over": 413, "uploads-many": 429}


def register(app: Flask, sign_in: SignIn, outbox: Callable[[], Outbox],
             whole: Callable[[], object]) -> None:
    """Add the addresses. `outbox` opens the outbox for the calling thread; `whole` is called when all bytes
    of a file are there, durably."""
    app.register_blueprint(_Tus(sign_in, outbox, whole).blueprint())


class _Tus:
    def __init__(self, sign_in: SignIn, outbox: Callable[[], Outbox], whole: Callable[[], object]) -> None:
        self.sign_in, self.outbox, self.whole = sign_in, outbox, whole

    def blueprint(self) -> Blueprint:
        routes = Blueprint("tus", __name__)
        routes.add_url_rule(PLACE, "options", self.options, methods=["OPTIONS"],
                            provide_automatic_options=False)
        routes.add_url_rule(PLACE, "create", self.create, methods=["POST"], provide_automatic_options=False)
        one = f"{PLACE}/<id_>"
        for method, act in (("HEAD", self.how_far), ("PATCH", self.append), ("DELETE", self.give_up)):
            # Flask adds HEAD to each GET by itself; here nothing is to be got.
            routes.add_url_rule(one, method.lower(), act, methods=[method], provide_automatic_options=False)
        routes.before_request(_ours)
        routes.after_request(_versioned)
        routes.errorhandler(TeachpointError)(_in_words)
        return routes

    def options(self) -> Response:
        """What is spoken here."""
        return Response(status=204, headers={"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS,
                                             "Tus-Max-Size": str(MOST_UPLOAD_BYTES)})

    def create(self) -> Response:
        """A file is to come: is there room for it?"""
        size = request.headers.get("Upload-Length", "")
        if not (size.isascii() and size.isdigit() and len(size) < 19):
            abort(400)
        texts = metadata(request.headers.get("Upload-Metadata", ""))
        name = texts.pop("filename", "") or texts.pop("name", "")
        if texts.get("license") not in dict(LICENCES):
            texts.pop("license", None)
        one = self.receiving().begin(self.mine(), int(size), name, texts)
        if one.size == 0:
            self.whole()
        return Response(status=201, headers={"Location": f"{PLACE}/{one.id}", "Upload-Offset": "0"})

    def how_far(self, id_: str) -> Response:
        """How many bytes are here."""
        answer = _told(self.receiving().find(id_, self.mine()), 200)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def append(self, id_: str) -> Response:
        """More bytes."""
        if request.mimetype != "application/offset+octet-stream":
            abort(415)
        offset = request.headers.get("Upload-Offset", "")
        if not (offset.isascii() and offset.isdigit() and len(offset) < 19):
            abort(400)
        one = self.receiving().append(id_, self.mine(), int(offset), request.stream)
        if one.received == one.size:
            self.whole()
        return _told(one, 204)

    def give_up(self, id_: str) -> Response:
        """Drop it."""
        self.receiving().give_up(id_, self.mine())
        return Response(status=204)

    def receiving(self) -> Receiving:
        """This thread's."""
        return Receiving(self.outbox())

    def mine(self) -> int | None:
        """The account of who asks; None where the box has no teachers. Raises Refused `sign-in-first`."""
        if self.sign_in.needed():
            raise Refused("sign-in-first")
        teacher = self.sign_in.teacher()
        return teacher.id if teacher else None


class Finishing:
    """Hands whole files to the outbox, in a thread of its own. `outbox` opens it for that thread; `taken` is
    called after each; `told` with a problem, or None when there is none."""

    def __init__(self, outbox: Callable[[], Outbox], taken: Callable[[], None],
                 told: Callable[[TeachpointError | None], None]) -> None:
        self._outbox, self._taken, self._told = outbox, taken, told
        self._awake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="finishing", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run left."""
        self._awake.set()
        self._thread.start()

    def stop(self) -> None:
        """End; what is whole waits for the next start."""
        self._ending.set()
        self._awake.set()
        self._thread.join(STOP_S)

    def wake(self) -> None:
        """There is something whole. Never waits."""
        self._awake.set()

    def _run(self) -> None:
        swept, wait_s = False, None
        while True:
            self._awake.wait(wait_s)
            self._awake.clear()
            if self._ending.is_set():
                return
            try:
                receiving = Receiving(self._outbox())
                if not swept:
                    receiving.sweep()
                    swept = True
                if receiving.finish():
                    self._taken()
                wait_s = None
                self._told(None)
            except Exception as error:  # whatever it is, the file stays and others are served
                log("edge.uploads").error("not-finished", reason=str(error))
                wait_s = AGAIN_S
                reason = error.message() if isinstance(error, TeachpointError) else str(error)
                self._told(Broken("upload-unfinished", reason=reason))


def metadata(header: str) -> dict[str, str]:
    """The texts of `Upload-Metadata`: names and base64 of UTF-8. What is not understood is left out."""
    found: dict[str, str] = {}
    if len(header) > MOST_METADATA_BYTES:
        abort(400)
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        if name in ("filename", "name", *TEXTS):
            try:
                text = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                abort(400)
            found[name] = text.strip() if name in ("filename", "name") else text.strip()[:MOST_CHARACTERS]
    return found


def _ours() -> None:
    """Only what our own pages, or a program that is no browser, can send."""
    if not same_origin(request):
        abort(403)
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        abort(Response(status=412, headers={"Tus-Version": VERSION}))


def _versioned(answer: Response) -> Response:
    answer.headers["Tus-Resumable"] = VERSION
    return answer


def _told(one: Unfinished, status: int) -> Response:
    return Response(status=status, headers={"Upload-Offset": str(one.received),
                                            "Upload-Length": str(one.size)})


def _in_words(error: TeachpointError) -> Response:
    answer = error_answer(error)
    answer.status_code = _STATUS.get(error.code, answer.status_code)
    log("edge.uploads").warning("upload-refused", code=error.code, reason=str(error))
    return answer
