"""Subtitles: the file beside a film that has its name (`课文.srt` beside `课文.mp4`), sent as WebVTT.

Browsers show WebVTT only, in UTF-8 only; what teachers have is SRT, often as Chinese Windows wrote it.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from flask import Blueprint, Response, abort, request

from edge.catalogue import FileRow, ResourceRow
from edge.decoded import decoded
from edge.state import EdgeState
from sync.errors import Broken
from sync.store import Store

#: Largest file taken for subtitles, in bytes: three hours of talk have 300 KB.
MOST_BYTES = 2 * 1024 * 1024
ENDINGS = ("vtt", "srt")
#: What may stand between the film's name and the ending, → its language; "" where nobody says.
LANGUAGES = {"": "", "zh": "zh-CN", "zh-CN": "zh-CN", "chs": "zh-CN", "cn": "zh-CN", "zh-TW": "zh-TW",
             "cht": "zh-TW", "en": "en", "eng": "en"}

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_CUE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
#: Marks that WebVTT knows; all others (`<font>`, `{\an8}`) are left out.
_KEPT = re.compile(r"&lt;(/?[biu])&gt;", re.I)


def beside(state: EdgeState, film: ResourceRow) -> list[dict[str, str]]:
    """The subtitles of a film or a sound: address, language (or ""), each language once."""
    catalogue = state.catalogue()
    stem = film.entry.removesuffix(PurePosixPath(film.entry).suffix)
    found: dict[str, dict[str, str]] = {}
    for mark, language in LANGUAGES.items():
        for ending in ENDINGS:
            row = catalogue.file(film.package, f"{stem}.{mark}.{ending}" if mark else f"{stem}.{ending}")
            if row is not None and row.complete and row.size <= MOST_BYTES:
                found.setdefault(language, {"address": address(row), "language": language})
    return list(found.values())


def address(row: FileRow) -> str:
    """Where a file is as WebVTT."""
    return f"/subtitles/{quote(row.package, safe='')}/{quote(row.path)}"


def blueprint(state: EdgeState) -> Blueprint:
    """`/subtitles/<package>/<path>` of the main origin."""
    routes = Blueprint("subtitles", __name__)
    store = Store(state.layout.library)

    @routes.get("/subtitles/<package>/<path:path>")
    def subtitles(package: str, path: str) -> Response:
        row = state.catalogue().file(package, path)
        if row is None or not row.complete or row.size > MOST_BYTES or not path.lower().endswith(ENDINGS):
            abort(404)
        tag = f"{row.sha256}-vtt1"
        response: Response
        if tag in request.if_none_match:
            response = Response(status=304)
        else:
            response = Response(webvtt(read(store, row)), mimetype="text/vtt")
        response.set_etag(tag)
        response.headers["Cache-Control"] = "no-cache"
        return response

    return routes


def read(store: Store, row: FileRow) -> str:
    """The words of the file. Raises Broken `disk-failing`."""
    path = store.path(row.sha256)
    try:
        return decoded(path.read_bytes()[:MOST_BYTES])
    except OSError as error:
        raise Broken("disk-failing", path=path, reason=error.strerror) from error


def webvtt(text: str) -> str:
    """SRT or WebVTT as plain WebVTT: times and words. What is no cue is left out."""
    cues: list[str] = []
    for block in re.split(r"\n\s*\n", re.sub(r"\r\n?", "\n", text)):
        lines = block.split("\n")
        at = next((n for n, line in enumerate(lines[:3]) if _CUE.match(line)), None)
        if at is None:
            continue
        match = _CUE.match(lines[at])
        words = "\n".join(line for line in map(_words, lines[at + 1:]) if line)
        if match and words:
            times = match.groups()
            cues.append(f"{_stamp(*times[:4])} --> {_stamp(*times[4:])}\n{words}")
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _stamp(hours: str | None, minutes: str, seconds: str, part: str) -> str:
    return f"{int(hours or 0):02}:{int(minutes):02}:{int(seconds):02}.{part:0<3}"


def _words(line: str) -> str:
    bare = re.sub(r"\{\\[^}]{0,200}\}|</?(?![biu]>)[a-zA-Z][^<>]{0,200}>", "", line).strip()
    escaped = re.sub(r"&(?!(?:amp|lt|gt|nbsp|lrm|rlm);)", "&amp;", bare)
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;")
    return _KEPT.sub(r"<\1>", escaped)
