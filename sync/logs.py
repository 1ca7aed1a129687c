"""Structured log lines: one JSON object a line on standard error, with role and site, no secrets.

`log("box.sync")` gives a logger; call it with an event in kebab-case and facts as keywords:
`log("box.sync").info("fetched", objects=3, bytes=1200)`.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from sync.clock import SYSTEM, utc

#: Names of facts whose values never reach a log, whoever passes them.
SECRET_NAMES = frozenset({"private", "password", "secret", "token", "pin", "key", "identity"})
#: Frames told of an exception, the innermost, and how many of those that led to it.
MOST_FRAMES, MOST_CAUSES = 20, 5


class _Lines:
    """What all lines of this process share. A command that ends by itself tells of warnings only."""

    lowest = logging.WARNING
    always: dict[str, str] = {}  # noqa: RUF012 - replaced as a whole by `set_up`


def set_up(*, verbose: bool = False, **always: str) -> None:
    """Configure logging for this process; `always` (role=…, site=…) stands on each line."""
    _Lines.lowest = logging.DEBUG if verbose else logging.INFO
    _Lines.always = always
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    logging.getLogger("sh").setLevel(logging.ERROR)


class Logger:
    """For one part of the program. A fact `exc_info` that is an exception is told with where it happened."""

    def __init__(self, part: str) -> None:
        self._part = part

    def debug(self, event: str, /, **facts: Any) -> None:
        """Of use to us alone."""
        self._write(logging.DEBUG, "debug", event, facts)

    def info(self, event: str, /, **facts: Any) -> None:
        """As it should be."""
        self._write(logging.INFO, "info", event, facts)

    def warning(self, event: str, /, **facts: Any) -> None:
        """Something does not go as it should, and the work goes on."""
        self._write(logging.WARNING, "warning", event, facts)

    def error(self, event: str, /, **facts: Any) -> None:
        """Something was not done."""
        self._write(logging.ERROR, "error", event, facts)

    def exception(self, event: str, /, **facts: Any) -> None:
        """An error, with the exception that is being handled."""
        self.error(event, exc_info=sys.exception(), **facts)

    def _write(self, weight: int, level: str, event: str, facts: dict[str, Any]) -> None:
        if weight < _Lines.lowest:
            return
        error = facts.pop("exc_info", None)
        told: dict[str, Any] = {
            "part": self._part, "event": event, **facts, **_Lines.always, "level": level,
            "timestamp": utc(SYSTEM.machine()).isoformat()}
        if isinstance(error, BaseException):
            told["exception"] = _told(error)
        line = json.dumps({name: "(hidden)" if name in SECRET_NAMES else value
                           for name, value in told.items()}, ensure_ascii=False, default=str)
        # In one piece: threads write at the same time. Looked up now: it may have been replaced (tests).
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def log(part: str) -> Logger:
    """A logger for one part of the program, such as `hub.publish`."""
    return Logger(part)


def _told(error: BaseException) -> list[dict[str, Any]]:
    """An exception and what led to it: where it happened, frame by frame, but never the values of the frames:
    they hold keys and children's names."""
    told: list[dict[str, Any]] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < MOST_CAUSES:
        stack = traceback.StackSummary.extract(
            traceback.walk_tb(cause.__traceback__), limit=-MOST_FRAMES, lookup_lines=False)
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
        told.append({"type": type(cause).__name__, "value": str(cause), "frames": frames})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return told
