"""Waiting to be told to end: SIGTERM or Ctrl-C, at whatever instant it comes.

A `threading.Event` that a signal handler sets does not do: where the signal comes while the main thread is
inside `wait` and holds the event's lock, the handler waits for that lock for ever. Here the interpreter
itself writes to a pipe (signal.set_wakeup_fd), in whatever thread the signal arrives.
"""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

#: The signals that end a service.
ENDING = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """From its making on, SIGTERM and SIGINT are kept for `wait`. In the main thread, once at a time; at the
    end of the block the signals do again what they did before."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
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

    def wait(self) -> None:
        """Return once one of them has come; at once where it came already."""
        while os.read(self._read, 1)[0] not in ENDING:
            pass  # another signal that somebody handles, such as SIGCHLD


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The interpreter has written the signal's number already; without a handler it would end us."""
