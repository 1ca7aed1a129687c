"""Uploads that go up while lessons come down: a thread with a link of its own.

The two directions of a line do not take from each other, so neither waits: an upload of 2 GB delays no lesson
and no record. One `Uploading` for one list of files; the session starts another for what comes later.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from sync.transport import Moved, Transport


class _Stopped(Exception):
    """The session wants the upload to end; what was sent of it stays at the hub."""


class Uploading:
    """Sends `paths` (below `outbox`) over `transport`, which it closes at the end."""

    def __init__(self, transport: Transport, outbox: Path, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        #: Bytes sent so far, of this transport's own counting.
        self.sent_bytes = 0
        self._transport, self._outbox = transport, outbox
        self._moved = Moved()
        self._whole = False
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._thread.start()

    def ended(self, wait_s: float = 0.0) -> bool:
        """Has it ended, one way or the other? Waits for that at most so long."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End it soon; returns when it has ended."""
        self._stopping.set()
        self._thread.join()

    def result(self) -> tuple[Moved, bool]:
        """After its end: what was moved, and whether all was sent. Raises what the transport raised."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._moved, self._whole

    def _run(self) -> None:
        try:
            self._moved = self._transport.push_outbox(self._outbox, self.paths, self._tell)
            self._whole = True
        except _Stopped:
            pass
        except BaseException as error:  # it is the session's, which has a caller
            self._error = error
        finally:
            self._moved += self._transport.close()

    def _tell(self, sent_bytes: int) -> None:
        self.sent_bytes = sent_bytes
        if self._stopping.is_set():
            raise _Stopped
