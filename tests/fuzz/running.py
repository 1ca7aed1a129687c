"""How each of these tests runs: a bounded number of examples, or as long as FUZZ_SECONDS says; and what all
of them hold: nothing hangs, and nothing is written beside the data folders."""

from __future__ import annotations

import hashlib
import inspect
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, settings

from sync.clock import SYSTEM
from sync.errors import TeachpointError

#: One example may take so long at most, in seconds: far more than any needs; a hang becomes a failure.
HANGS_S = 20
#: For how many seconds all tests together run, of `make fuzz`; 0: each its number of examples, once.
SECONDS = float(os.environ.get("TEACHPOINT_FUZZ_SECONDS", "0"))
#: How many tests share that time: what pytest has collected (`conftest.py`).
sharing = [1]

ALL_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
              HealthCheck.filter_too_much, HealthCheck.large_base_example]


def fuzz(examples: int, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test by hypothesis: `examples` of them, again and again with other ones where time was given."""

    def wrap(check: Callable[..., None]) -> Callable[..., None]:
        @wraps(check)
        def watched(*args: Any, **named: Any) -> None:
            with no_hang():
                check(*args, **named)

        once = settings(max_examples=examples, deadline=None, suppress_health_check=ALL_CHECKS,
                        print_blob=True)(given(**strategies)(watched))

        @wraps(once)
        def run(*args: Any, **named: Any) -> None:
            began = SYSTEM.monotonic()
            once(*args, **named)
            while SYSTEM.monotonic() - began < SECONDS / sharing[0]:
                once(*args, **named)

        run.__signature__ = inspect.signature(once)  # type: ignore[attr-defined]
        return run

    return wrap


class Hangs(BaseException):
    """It went on for HANGS_S."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail what does not come to an end."""
    def late(_signal: int, _frame: FrameType | None) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(HANGS_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def named_errors(*codes: str) -> Iterator[None]:
    """What comes out is an error of ours (of these codes, or that begin so), fit to be shown, or nothing."""
    try:
        yield
    except TeachpointError as error:
        for language in ("zh", "en"):
            assert error.message(language)
            error.advice(language)
            assert error.as_json()
        assert not codes or error.code.startswith(codes), repr(error)


@contextmanager
def nothing_written(place: Path, *data: Path) -> Iterator[None]:
    """Below `place` nothing changes but in the folders `data`."""
    before = _snapshot(place, data)
    yield
    after = _snapshot(place, data)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert not changed, changed


def _snapshot(place: Path, data: tuple[Path, ...]) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for directory, folders, names in os.walk(os.fsencode(place)):
        folders[:] = [name for name in folders if Path(os.fsdecode(directory + b"/" + name)) not in data]
        for name in (*folders, *names):
            path = directory + b"/" + name
            about = os.lstat(path)
            content = b""
            if stat.S_ISREG(about.st_mode) and about.st_size < 1_000_000:
                content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()
            found[os.fsdecode(path)] = (about.st_mode, about.st_ino, content, stat.S_ISREG(about.st_mode) and
                                        about.st_size)
    return found
