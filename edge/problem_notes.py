"""Problems that serving meets, put into box.db from a thread of its own: no request waits for the disk.

An object that the catalogue promises and the disk does not hold is taken off the shelf, so that the next
sync fetches it again; the problem goes when it is back, or when nothing asks for it any more.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from sync.box.journal import Journal
from sync.box.problems import clear_problem, set_problem
from sync.box.shelf import Shelf
from sync.box.state import Box
from sync.canonical import is_sha256
from sync.errors import Broken, TeachpointError
from sync.logs import log

#: Most notes waiting, if the disk hangs; beyond it they are dropped (the same object is met again).
MOST_WAITING = 1000
#: How often it is looked whether lost objects are back, in seconds.
LOOK_AGAIN_S = 30.0

LOST = "object-lost"


class ProblemNotes:
    """`open_box` opens the box for the thread; `wake` is called when there is something to fetch again."""

    def __init__(self, open_box: Callable[[], Box], wake: Callable[[], None]) -> None:
        self._open_box = open_box
        self._wake = wake
        self._waiting: queue.Queue[tuple[str, TeachpointError | None] | None] = queue.Queue(MOST_WAITING)
        self._lost: set[str] = set()  # of the thread alone
        self._thread = threading.Thread(target=self._run, name="problem-notes", daemon=True)

    def start(self) -> None:
        """Begin; a problem that an earlier run left is looked at again."""
        self._put((LOST, None))
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._put(None)
        self._thread.join(timeout=3)

    def lost(self, sha256: str) -> None:
        """An object is not where the catalogue says. Never waits, never raises."""
        if is_sha256(sha256):
            self._put((LOST, Broken("object-lost", sha256=sha256)))

    def tell(self, code: str, error: TeachpointError | None) -> None:
        """There is this problem; or, with None, it has gone. Never waits, never raises."""
        self._put((code, error))

    def flush(self) -> None:
        """Wait until all notes so far are written."""
        self._waiting.join()

    def _put(self, note: tuple[str, TeachpointError | None] | None) -> None:
        try:
            self._waiting.put_nowait(note)
        except queue.Full:
            log("edge.problems").warning("problem-dropped", code=note[0] if note else "")

    def _run(self) -> None:
        box: Box | None = None
        while True:
            try:
                note = self._waiting.get(timeout=LOOK_AGAIN_S if self._lost else None)
            except queue.Empty:
                self._waiting.put((LOST, None))  # are they back?
                continue
            try:
                if note is None:
                    return
                box = box or self._open_box()
                self._take(box, *note)
            except Exception as error:  # a problem that cannot be written must not end the classroom
                box = None
                log("edge.problems").error("problem-not-kept", reason=str(error))
            finally:
                self._waiting.task_done()

    def _take(self, box: Box, code: str, error: TeachpointError | None) -> None:
        journal = Journal(box.database, box.clock)
        if code == LOST:
            name = str(error.facts["sha256"]) if error else ""
            if error and not box.store.has(name):
                Shelf(box.database, box.store, journal, box.clock).lost([name])
                if set_problem(journal, error) or name not in self._lost:
                    log("edge.problems").error("object-lost", sha256=name)
                    self._wake()
                self._lost.add(name)
            self._lost |= {name for (name,) in box.database.execute(
                "SELECT json_extract(facts, '$.sha256') FROM problem WHERE code = ?", [LOST])}
            shelf = Shelf(box.database, box.store, journal, box.clock)
            self._lost = {one for one in self._lost if not box.store.has(one) and shelf.names(one)}
            if not self._lost:
                clear_problem(journal, LOST)
        elif error is None:
            clear_problem(journal, code)
        else:
            set_problem(journal, error)
