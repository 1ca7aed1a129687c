"""The content origin: the second port, where foreign HTML runs (docs/decisions/0010-content-origin.md).

What comes from here was written by strangers. Three walls stand between it and the main origin:
* another port, so another origin: its scripts cannot read what the main origin answers;
* `sandbox` without `allow-same-origin`: it has an origin that equals no other, so no cookies (which do not
  know of ports), no storage, no service worker, and no bundle reaches another one;
* a policy that lets it load and send only here.

A path is looked up in the catalogue's table of files and nowhere else: no path ever reaches the disk.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from flask import Flask, Response, redirect, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.sansio.response import Response as SansioResponse
from werkzeug.wrappers import Response as AnyResponse

from edge import players, reader
from edge.bytes import Lost, send_object, type_of
from edge.catalogue import FileRow
from edge.state import EXTENSION, EdgeState
from sync.errors import Broken, TeachpointError
from sync.logs import log
from sync.store import Store

#: What a sandboxed page may do. Not there, on purpose: allow-same-origin (see above), allow-top-navigation
#: (it would replace our page by its own), allow-popups-to-escape-sandbox.
SANDBOX = ("allow-scripts", "allow-forms", "allow-modals", "allow-popups", "allow-pointer-lock",
           "allow-downloads", "allow-orientation-lock", "allow-presentation")

#: Features of the browser that no lesson needs; a class of children sits before the camera.
_REFUSED_FEATURES = ("accelerometer", "ambient-light-sensor", "bluetooth", "browsing-topics", "camera",
                     "display-capture", "geolocation", "hid", "idle-detection", "local-fonts", "magnetometer",
                     "microphone", "midi", "payment", "publickey-credentials-get", "screen-wake-lock",
                     "serial", "usb", "xr-spatial-tracking")
PERMISSIONS = ", ".join(f"{name}=()" for name in _REFUSED_FEATURES)

#: The page of a folder inside a bundle.
INDEX = "index.html"


#: The Content-Security-Policy of all that strangers wrote. Bundles are written with inline scripts, eval,
#: data: and blob: as a matter of course; all of it stays inside the sandbox. What is not there: any other
#: host, also the main origin; and frame-ancestors: a frame in a bundle has an ancestor without an origin,
#: which no policy can name.
POLICY = "; ".join((
    "sandbox " + " ".join(SANDBOX), "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
    "object-src 'none'", "base-uri 'self'", "form-action 'self'"))


def create_content_app(state: EdgeState, lost: Lost) -> Flask:
    """The app of the content origin: `/c/<package>/<path>`, chapters of books, players, and nothing else."""
    app = Flask("teachpoint-content", static_folder=None, template_folder=None)
    app.extensions[EXTENSION] = state
    store = Store(state.layout.library)
    app.register_blueprint(reader.blueprint(state))
    app.register_blueprint(players.blueprint(state))

    @app.before_request
    def refuse_service_workers() -> AnyResponse | None:
        if request.headers.get("Service-Worker") or request.headers.get("Sec-Fetch-Dest") == "serviceworker":
            return Response("No service workers here.\n", 403, mimetype="text/plain")
        return None

    @app.get("/c/<package>/")
    @app.get("/c/<package>/<path:path>")
    def content(package: str, path: str = "") -> AnyResponse:
        row = _file(state, package, unicodedata.normalize("NFC", path))
        if isinstance(row, str):
            return redirect(row, 308)
        page = players.page_of_course(state, row, type_of(row)) if "download" not in request.args else None
        return page or send_object(store.path(row.sha256), type_of(row), row.path.rsplit("/", 1)[-1],
                                   row.sha256, nginx=state.nginx, download="download" in request.args,
                                   lost=lost)

    @app.after_request
    def headers(response: Response) -> Response:
        if "Content-Security-Policy" not in response.headers:  # a chapter has a stricter one of its own
            response.headers["Content-Security-Policy"] = POLICY
        fixed = {
            "X-Content-Type-Options": "nosniff",
            "Permissions-Policy": PERMISSIONS, "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            # A sandboxed page's own pictures, fonts and data are cross-origin to it (its origin equals no
            # other): it may load them only so. No cookie ever matters here, and all of it is public in
            # the classroom.
            "Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
            "Origin-Agent-Cluster": "?1"}
        response.headers.update(fixed)
        response.headers.pop("Set-Cookie", None)
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> SansioResponse:
        if error.code in (301, 307, 308) and error.response is not None:
            return error.response
        return _plain(error.code or 500, "There is nothing at this address. 此地址没有内容。"
                      if error.code == 404 else f"{error.code} {error.name}")

    @app.errorhandler(TeachpointError)
    def known_error(error: TeachpointError) -> Response:
        log("edge.content").error("request-failed", code=error.code, address=request.path, reason=str(error))
        return _plain(503 if isinstance(error, Broken) else 400,
                      "\n".join(f"{error.message(lang)} {error.advice(lang)}" for lang in ("zh", "en")))

    @app.errorhandler(Exception)
    def unknown_error(error: Exception) -> Response:
        log("edge.content").error("request-failed", address=request.path, reason=repr(error), exc_info=error)
        return _plain(500, "Something went wrong inside the box. 盒子内部出错。")

    return app


def _file(state: EdgeState, package: str, path: str) -> FileRow | str:
    """The file to send; or the address to go to where `path` is a folder without its last slash."""
    catalogue = state.catalogue()
    wanted = path + INDEX if not path or path.endswith("/") else path
    row = catalogue.file(package, wanted)
    if row is not None and row.complete:
        return row
    if row is None and wanted == path and catalogue.file(package, f"{path}/{INDEX}") is not None:
        return f"/c/{quote(package)}/{quote(path)}/"
    raise NotFound


def _plain(status: int, text: str) -> Response:
    response = Response(f"{text}\n", status, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return response
