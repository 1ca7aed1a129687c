"""Sending the bytes of objects: who asks may have them (the catalogue says so), and how they go out.

With nginx in front an answer is only its headers and X-Accel-Redirect: nginx sends the bytes. Without,
the file is opened, sought, and handed to the server, which sends the range in bounded pieces from its
own loop: no thread of ours waits for a slow player. Either way nothing is read here but a text's head, and
small objects whole, to see that they are what their name says (decision 13).

Ranges: one range is honoured (206, 416); several at once are answered with the whole file (RFC 9110
§14.2 allows it), by nginx through `max_ranges 1` likewise.
"""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, redirect, request
from waitress.buffers import ReadOnlyFileBasedBuffer
from werkzeug.wrappers import Response as AnyResponse

from edge.catalogue import FileRow
from edge.media import file_type, harmless, with_charset
from edge.state import EdgeState, active
from sync.canonical import is_sha256, sha256_hex
from sync.errors import Broken, NoRoom
from sync.media import UNKNOWN
from sync.store import Store

#: Where nginx finds objects, for X-Accel-Redirect only (edge.nginx makes it `internal`).
ACCEL = "/_objects/"

#: The answer may be kept, but is asked for again each time: another version may stand at this address.
REVALIDATE = "no-cache"
#: The address names the bytes: they never change. In seconds: a year.
IMMUTABLE = "public, max-age=31536000, immutable"

#: Objects up to this size are checked before each sending, in bytes: 0.04 ms, 0.12 ms without the
#: processor's instructions for SHA-256, beside a millisecond that an answer takes anyway.
MOST_CHECKED_BYTES = 64 * 1024

#: Called with the SHA-256 of an object that the catalogue promises and the disk does not hold.
Lost = Callable[[str], None]

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.I)

#: Bytes of a piece, where the server in front has no way of its own to send files.
PIECE_BYTES = 256 * 1024


def blueprint(state: EdgeState, lost: Lost) -> Blueprint:
    """`/files/<package>/<path>`, `/pdf/<package>/<resource>` and `/thumb/<sha256>` of the main origin."""
    routes = Blueprint("bytes", __name__)
    store = Store(state.layout.library)

    @routes.get("/files/<package>/<path:path>")
    def file(package: str, path: str) -> AnyResponse:
        row = state.catalogue().file(package, unicodedata.normalize("NFC", path))
        if row is None or not row.complete:
            abort(404)
        media_type = type_of(row)
        if active(media_type):
            address = f"{state.content.url(request.host)}/c/{quote(package)}/{quote(row.path)}"
            answer = redirect(address, 307)
            answer.headers["Cache-Control"] = REVALIDATE
            return answer
        shown = harmless(media_type)
        response = send_object(
            store.path(row.sha256), media_type if shown else UNKNOWN, row.path.rsplit("/", 1)[-1],
            row.sha256, nginx=state.nginx, download="download" in request.args or not shown, lost=lost)
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    @routes.get("/pdf/<package>/<resource>")
    def rendition(package: str, resource: str) -> Response:
        row = state.catalogue().resource(package, resource)
        if row is None or row.rendition is None or not row.complete:
            abort(404)
        stem = row.entry.rsplit("/", 1)[-1].rpartition(".")[0]
        response = send_object(store.path(row.rendition), "application/pdf", f"{stem}.pdf", row.rendition,
                               nginx=state.nginx, lost=lost)
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    @routes.get("/thumb/<sha256>")
    def thumbnail(sha256: str) -> Response:
        if not is_sha256(sha256) or not state.catalogue().is_thumbnail(sha256):
            abort(404)
        response = send_object(store.path(sha256), "image/jpeg", f"{sha256[:12]}.jpg", sha256,
                               nginx=state.nginx, cache=IMMUTABLE, lost=lost)
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    return routes


def type_of(row: FileRow) -> str:
    """The media type of a file of the catalogue."""
    return file_type(row.path, row.entry, row.media_type, bundle=row.type == "bundle")


def send_object(path: Path, media_type: str, filename: str, etag: str, *, nginx: bool,
                cache: str = REVALIDATE, download: bool = False,
                lost: Lost = lambda _sha256: None) -> Response:
    """The answer to the running request that sends the object at `path`.

    `etag` is its SHA-256; `filename` is what a browser calls it when it is saved.

    Raises Broken `object-lost` (after telling `lost`) where it is not on the disk or a small one has rotted,
    `disk-failing`.
    """
    try:
        size = path.stat().st_size
        if size <= MOST_CHECKED_BYTES:
            _hold_sound(path, etag, lost)
    except OSError as error:
        raise _gone(etag, path, error, lost) from error
    response = Response()
    headers = response.headers
    headers["ETag"] = f'"{etag}"'
    headers["Cache-Control"] = cache
    headers["X-Content-Type-Options"] = "nosniff"
    if not nginx:  # it says so itself; said twice, pdf.js does not understand it and takes whole books
        headers["Accept-Ranges"] = "bytes"
    if request.if_none_match.contains_weak(etag):
        response.status_code = 304
        return response
    headers["Content-Type"] = with_charset(media_type, path, etag)
    headers["Content-Disposition"] = disposition(filename, download=download)
    if nginx:
        headers["X-Accel-Redirect"] = f"{ACCEL}{path.parent.name}/{path.name}"
        return response
    wanted = asked_range(request.headers.get("Range", ""), size)
    if wanted is not None and not _range_holds(etag):
        wanted = None
    if wanted == ():
        response.status_code = 416
        headers["Content-Range"] = f"bytes */{size}"
        headers["Content-Type"] = "text/plain; charset=utf-8"
        del headers["Content-Disposition"]
        response.set_data("There are no such bytes in this file.\n")
        return response
    start, length = wanted or (0, size)
    if wanted:
        response.status_code = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    headers["Content-Length"] = str(length)
    if request.method != "HEAD" and length:
        try:
            response.response = _span(path, start, length)
        except OSError as error:
            raise _gone(etag, path, error, lost) from error
    response.direct_passthrough = True
    return response


def asked_range(header: str, size: int) -> tuple[int, int] | tuple[()] | None:
    """What a Range header asks of a file of `size` bytes: (first, length); () if there are no such bytes;
    None for the whole file (no range, several, or one that is not understood)."""
    match = _RANGE.fullmatch(header)
    if not match or (not match[1] and not match[2]):
        return None
    if not match[1]:  # the last bytes
        length = min(int(match[2]), size)
        return (size - length, length) if length else ()
    first = int(match[1])
    last = min(int(match[2]) if match[2] else size - 1, size - 1)
    if match[2] and int(match[2]) < first:
        return None
    return (first, last - first + 1) if first < size else ()


def disposition(filename: str, *, download: bool) -> str:
    """Content-Disposition with the name in ASCII and, where that loses something, in UTF-8 (RFC 6266)."""
    clean = "".join(c for c in filename if c.isprintable()) or "file"
    plain = re.sub(r'[^ -~]|["\\%]', "_", clean)
    kind = "attachment" if download else "inline"
    utf_8 = "" if plain == clean else f"; filename*=UTF-8''{quote(clean, safe='', errors='replace')}"
    return f'{kind}; filename="{plain}"{utf_8}'


def _range_holds(etag: str) -> bool:
    """Is the file still the one that If-Range names? A date is none: objects have no date."""
    given = request.headers.get("If-Range")
    return given is None or given == f'"{etag}"'


def _span(path: Path, start: int, length: int) -> Any:
    handle = path.open("rb")
    handle.seek(start)
    wrapper = request.environ.get("wsgi.file_wrapper")
    if wrapper is ReadOnlyFileBasedBuffer:  # waitress: sent by its loop, bounded by Content-Length
        return wrapper(handle, PIECE_BYTES)
    return _pieces(handle, length)


def _pieces(handle: IO[bytes], length: int) -> Iterator[bytes]:
    with handle:
        while length > 0 and (piece := handle.read(min(PIECE_BYTES, length))):
            length -= len(piece)
            yield piece


def _hold_sound(path: Path, sha256: str, lost: Lost) -> None:
    """What has rotted goes out of the library, so that the next sync brings it again."""
    if sha256_hex(path.read_bytes()) != sha256:
        with suppress(NoRoom, Broken):  # it is not sent, whether it can be set aside or not
            Store(path.parents[2]).quarantine(sha256)
        lost(sha256)
        raise Broken("object-lost", sha256=sha256)


def _gone(sha256: str, path: Path, error: OSError, lost: Lost) -> Broken:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        lost(sha256)
        return Broken("object-lost", sha256=sha256)
    return Broken("disk-failing", path=path, reason=error.strerror)
