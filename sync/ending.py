"""Waiting to be told to end: SIGTERM or Ctrl-C, at whatever instant it comes.

A `threading.Event` that a signal handler sets does not do: where the signal comes while the main thread is
inside `wait` and holds the event's lock, the handler waits for that lock for ever. Here the interpreter
itself writes to a pipe (signal.set_wakeup_fd), in whatever thread the signal arrives.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType

from sync.clock import SYSTEM

#: The signals that end a service.
ENDING = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """From its making on, SIGTERM and SIGINT are kept for `wait`. In the main thread, once at a time; at the
    end of the block the signals do again what they did before."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._come = False
        os.set_blocking(self._write, False)
        self._before = {number: signal.signal(number, _noted) for number in ENDING}
        self._pipe_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def __enter__(self) -> Ending:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _value: BaseException | None,
                 _trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._pipe_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, most_s: float | None = None) -> bool:
        """Return once one of them has come, at once where it came already; after `most_s` seconds at the
        latest. Has one come?"""
        last = SYSTEM.monotonic() + most_s if most_s is not None else None
        while not self._come:
            left_s = max(last - SYSTEM.monotonic(), 0.0) if last is not None else None
            if not select.select([self._read], [], [], left_s)[0]:
                return False
            # Others come as well that somebody handles, such as SIGCHLD.
            self._come = os.read(self._read, 1)[0] in ENDING
        return True


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The interpreter has written the signal's number already; without a handler it would end us."""
