"""Answers for programs: JSON with an ETag by generation, kept in memory; parameters with their bounds;
every error in the one shape of `sync.errors`. Shared by the API, OPDS and metrics.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, g, request

from sync.errors import Misused, NoRoom, TeachpointError, Unreachable
from sync.logs import log

#: Most bytes of answers kept in memory by each kind of address.
MOST_KEPT_BYTES = 4 * 1024 * 1024

#: HTTP status by code, where the kind of error does not say enough.
_STATUS = {"resource-unknown": 404, "metrics-forbidden": 403, "results-foreign": 403, "results-busy": 429,
           "results-too-large": 413}


class Kept:
    """Bodies by ETag, the least recently asked for out first. Safe to use from many threads."""

    def __init__(self, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()  # guarded by _lock
        self._bytes = 0                                        # guarded by _lock

    def get(self, tag: str) -> bytes | None:
        """The body with this ETag, if it is kept."""
        with self._lock:
            body = self._bodies.get(tag)
            if body is not None:
                self._bodies.move_to_end(tag)
            return body

    def keep(self, tag: str, body: bytes) -> None:
        """Keep a body, unless it would push out half of all others."""
        if len(body) * 2 > self._most_bytes:
            return
        with self._lock:
            self._bytes += len(body) - len(self._bodies.pop(tag, b""))
            self._bodies[tag] = body
            while self._bytes > self._most_bytes:
                _, gone = self._bodies.popitem(last=False)
                self._bytes -= len(gone)


def answer(kept: Kept, depends: tuple[object, ...], make: Callable[[], Any],
           mimetype: str = "application/json") -> Response:
    """The JSON of `make()`, with an ETag of the address, the host, the language and `depends`.

    304 where the asker has it already; `make` is called only for what is not kept.
    """
    facts = (request.full_path, request.host, chosen_language(), *depends)
    tag = hashlib.blake2b(repr(facts).encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        body = kept.get(tag)
        if body is None:
            body = encode(make())
            kept.keep(tag, body)
        response = Response(body, mimetype=mimetype)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Language"
    return response


def fresh(value: Any) -> Response:
    """JSON that nobody may keep."""
    response = Response(encode(value), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def encode(value: Any) -> bytes:
    """`value` as JSON in UTF-8; text that is not Unicode loses what is not."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that came from a damaged database
        return msgspec.json.encode(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value


def text(name: str) -> str | None:
    """A parameter of the address; None where it is missing or empty."""
    return request.args.get(name) or None


def whole_number(name: str, default: int, least: int, most: int) -> int:
    """A parameter that is a whole number. Raises Misused `parameter-bad` if it is none, or out of bounds."""
    given = request.args.get(name) or ""
    if not given:
        return default
    if given.isascii() and given.isdigit() and len(given) <= 18 and least <= int(given) <= most:
        return int(given)
    raise Misused("parameter-bad", name=name, value=given[:100], least=least, most=most)


def chosen_language() -> str:
    """`zh` or `en`: as the pages decided, else what the request says, else Chinese."""
    chosen = g.get("language") or request.accept_languages.best_match(["zh", "zh-CN", "en"]) or "zh"
    return "en" if str(chosen).startswith("en") else "zh"


def answer_errors(routes: Blueprint) -> None:
    """Answer our own errors of these addresses in the one shape of JSON errors."""

    @routes.errorhandler(TeachpointError)
    def known(error: TeachpointError) -> Response:
        response = error_answer(error)
        if response.status_code >= 500:
            log("edge.api").error("request-failed", code=error.code, address=request.path, reason=str(error))
        return response


def error_answer(error: TeachpointError) -> Response:
    """An error as the answer to a program, with its status."""
    response = fresh(error_facts(error))
    response.status_code = status_of(error)
    return response


def error_facts(error: TeachpointError) -> dict[str, Any]:
    """An error in JSON, in the language of the request."""
    shown: dict[str, Any] = error.as_json()
    language = chosen_language()
    shown["error"] |= {"message": error.message(language), "advice": error.advice(language)}
    return shown


def status_of(error: TeachpointError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    if isinstance(error, NoRoom):
        return 507
    if isinstance(error, Misused):
        return 400
    if isinstance(error, Unreachable):
        return 504
    return 500 if error.exit_code != 1 else 503
