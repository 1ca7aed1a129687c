"""The scrub: all objects are read again, little by little, about once a month; rot is found before a class.

Rotten bytes go into quarantine and are told (`object-lost`); the next sync fetches them again. Where it is,
is remembered, so that a box that is switched off each evening gets round all the same.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from sync.box.setting import read_setting, write_setting
from sync.box.state import Box, open_box
from sync.clock import SYSTEM, Clock
from sync.errors import Refused, TeachpointError
from sync.logs import log

#: So long one round takes, in seconds of being switched on: a box runs perhaps a third of a month.
ROUND_S = 10 * 86400.0
#: Between two steps, in seconds. A step reads its share of the library, at least one object.
STEP_S = 300.0
#: How much the thread gives way to others.
NICE = 15

#: Settings: the name of the object read last; rounds done; objects found damaged, ever.
AT, ROUNDS, DAMAGED = "scrub_at", "scrub_rounds", "scrub_damaged"


def scrub_step(box: Box, lost: Callable[[str], None], share: float = STEP_S / ROUND_S) -> int:
    """Read the next objects, their `share` of all; how many. `lost` is called with each that was rotten.

    Raises Broken `disk-failing`, and as `transaction`.
    """
    names = list(box.store.names())
    most = sum(_size(box, name) for name in names) * share
    at = bisect_right(names, read_setting(box.database, AT))
    read_bytes = count = 0
    while at + count < len(names) and (not count or read_bytes < most):
        name = names[at + count]
        read_bytes += _size(box, name)
        with suppress(Refused):  # it made room meanwhile
            if not box.store.check(name):
                log("box.scrub").error("damaged", sha256=name)
                write_setting(box.database, DAMAGED, str(_number(box.database, DAMAGED) + 1))
                lost(name)
        count += 1
    if at + count >= len(names):
        write_setting(box.database, ROUNDS, str(_number(box.database, ROUNDS) + 1))
    write_setting(box.database, AT, names[at + count - 1] if at + count < len(names) else "")
    return count


def scrubbed(database: Database) -> dict[str, Any]:
    """Rounds done, objects found damaged, and how far the round is, 0 … 1."""
    at = read_setting(database, AT)
    return {"rounds": _number(database, ROUNDS), "damaged": _number(database, DAMAGED),
            "done": round(int(at[:4], 16) / 0x10000, 3) if at else 0.0}


class Scrub:
    """The thread of `box serve`."""

    def __init__(self, data: Path, lost: Callable[[str], None], clock: Clock = SYSTEM) -> None:
        self._data, self._lost, self._clock = data, lost, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def start(self) -> None:
        """Begin, after the first wait: a start has better things to do."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; an object that is being read is let be."""
        self._ending.set()

    def _run(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # of this thread alone
        while not self._ending.wait(STEP_S):
            try:
                box = open_box(self._data, self._clock)
                try:
                    scrub_step(box, self._lost)
                finally:
                    box.database.close()
            except (TeachpointError, OSError) as error:
                log("box.scrub").warning("not-scrubbed", reason=str(error))


def _size(box: Box, name: str) -> int:
    try:
        return box.store.path(name).stat().st_size
    except OSError:
        return 0


def _number(database: Database, name: str) -> int:
    return int(read_setting(database, name, "0"))
