"""Structured log lines: one JSON object a line on standard error, with role and site, no secrets.

`log("box.sync")` gives a logger; call it with an event in kebab-case and facts as keywords:
`log("box.sync").info("fetched", objects=3, bytes=1200)`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

#: Names of facts whose values never reach a log, whoever passes them.
SECRET_NAMES = frozenset({"private", "password", "secret", "token", "pin", "key", "identity"})


def set_up(*, verbose: bool = False, **always: str) -> None:
    """Configure logging for this process; `always` (role=…, site=…) stands on each line."""
    _configure(logging.DEBUG if verbose else logging.INFO)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**always)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)
    logging.getLogger("sh").setLevel(logging.ERROR)


def log(part: str) -> Any:
    """A logger for one part of the program, such as `hub.publish`."""
    return structlog.get_logger(part=part)


#: Where it happened, frame by frame, but never the values of the frames: they hold keys and children's names.
_with_traceback = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20))


def _hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    return {name: "(hidden)" if name in SECRET_NAMES else value for name, value in event.items()}


def _configure(lowest: int) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_traceback,
            _hide_secrets,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=_to_stderr,
    )


def _to_stderr(*_: Any) -> structlog.PrintLogger:
    # Looked up when the logger is made: standard error may have been replaced since (tests).
    return structlog.PrintLogger(sys.stderr)


#: A command that ends by itself tells of warnings only, and never on standard output.
_configure(logging.WARNING)
