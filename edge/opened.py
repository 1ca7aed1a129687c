"""Noting that a resource was opened, without a page ever waiting for the disk or failing by it.

Pages put a note in a queue; one thread appends the journal's records. What is lost when the power goes
within those milliseconds is a count, nothing that anybody was told is safe.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from sync.logs import log

#: Most notes waiting, if the disk hangs: beyond it notes are dropped, and the log says so.
MOST_WAITING = 1000

Append = Callable[[str, dict[str, Any]], object]


class OpenedNotes:
    """Appends `resource-opened` records from a thread of its own.

    `connect` gives the journal's `append` for that thread; it is called again after a failure.
    """

    def __init__(self, connect: Callable[[], Append]) -> None:
        self._connect = connect
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None  # guarded by _lock

    def add(self, *, package: str, version: int, resource: str, name: str) -> None:
        """Note that somebody opened it. Never waits, never raises."""
        note = {"package": package, "version": version, "resource": resource, "name": name}
        try:
            self._waiting.put_nowait(note)
        except queue.Full:
            log("edge.opened").warning("note-dropped", package=package, resource=resource)
            return
        self._start()

    def flush(self) -> None:
        """Wait until all notes so far are written (or have failed)."""
        self._waiting.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="opened-notes", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        append: Append | None = None
        while True:
            note = self._waiting.get()
            try:
                append = append or self._connect()
                append("resource-opened", note)
            except Exception as error:  # a count is not worth a page, nor this thread
                append = None
                log("edge.opened").error("note-failed", reason=str(error), **note)
            finally:
                self._waiting.task_done()
