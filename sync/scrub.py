"""The scrub: all objects of a library are read again, little by little; rot is found before it is needed.

Shared by box and hub. Where it is, each keeps in its own database, so that a machine that is switched off
each evening gets round all the same; what to do about rot is the role's.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sync.errors import Refused, TeachpointError
from sync.logs import log
from sync.store import Store

#: So long one round takes, in seconds of being switched on: a box runs perhaps a third of a month.
ROUND_S = 10 * 86400.0
#: Between two steps, in seconds. A step reads its share of the library, at least one object.
STEP_S = 300.0
#: The share of the library that a step reads.
SHARE = STEP_S / ROUND_S
#: How much the thread gives way to others.
NICE = 15


@dataclass
class Step:
    """What a step read: how many objects, which were damaged (they are in quarantine now), and the name of
    the last one; "" where the round is done."""

    count: int = 0
    damaged: list[str] = field(default_factory=list)
    at: str = ""


def read_again(store: Store, after: str, share: float = SHARE) -> Step:
    """Read the objects that follow on the name `after`, their `share` of all.

    Raises Broken `disk-failing`.
    """
    step = Step()
    names = list(store.names())
    most = sum(_size(store, name) for name in names) * share
    at = bisect_right(names, after)
    read_bytes = 0
    while at + step.count < len(names) and (not step.count or read_bytes < most):
        name = names[at + step.count]
        read_bytes += _size(store, name)
        with suppress(Refused):  # it was removed meanwhile
            if not store.check(name):
                step.damaged.append(name)
        step.count += 1
    if at + step.count < len(names):
        step.at = names[at + step.count - 1]
    return step


def part_done(at: str) -> float:
    """How far the round is whose last object was `at`, 0 … 1: names are spread evenly."""
    return round(int(at[:4], 16) / 0x10000, 3) if at else 0.0


class Scrub:
    """A thread that takes a `step` every STEP_S; `part` names it in the log."""

    def __init__(self, step: Callable[[], object], part: str) -> None:
        self._step, self._part = step, part
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
                self._step()
            except (TeachpointError, OSError) as error:
                log(self._part).warning("not-scrubbed", reason=str(error))


def _size(store: Store, name: str) -> int:
    """0 for one that cannot even be looked at: it is passed over here, and found damaged when read."""
    try:
        return store.path(name).stat().st_size
    except OSError:
        return 0
