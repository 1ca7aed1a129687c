"""When to sync: a thread that keeps the box and its hub in step while `box serve` runs.

While the hub cannot be reached, only its port is knocked at, every few seconds (one small packet); the sync
begins at the first answer. After other failures the waits grow. After a sync that moved something it asks
again soon (the hub confirms within a second what it was given; an admin who assigns one lesson assigns more),
then less and less often, down to every `POLL_S`; and at once when woken (an upload).
While the policy of the line lets lessons wait, it asks every quarter of an hour, and begins when they may.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sync.box import contact, line
from sync.box.session import sync_once
from sync.box.state import Box, open_box
from sync.clock import SYSTEM, Clock
from sync.errors import TeachpointError, Unreachable
from sync.logs import log
from sync.pairing import Pairing
from sync.transport import Transport

#: Between two syncs that found the hub: after one that moved something, and at most; in seconds. A poll that
#: finds nothing new costs about 4 KB.
SOON_S, POLL_S = 4.0, 30.0
#: Between two knocks at a hub that does not answer, in seconds: with the wait for an answer, a line that is
#: back is noticed within 4 s. A knock is one packet of 60 bytes.
KNOCK_S = 1.0
#: The first and the longest wait after a failure of another kind, in seconds.
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
#: Each wait is changed by up to this share, so that a hub that comes back is not asked by all at once.
JITTER = 0.2
#: How long a knock waits for an answer, in seconds: five round trips of a satellite line.
KNOCK_TIMEOUT_S = 3.0
#: A sync that broke off after so many seconds had a line that worked: a dead one is noticed after 9 s.
USED_S = 8.0

Connect = Callable[[Box], Transport]
Knock = Callable[[Pairing], bool]


def knock(pairing: Pairing) -> bool:
    """Does anything answer at one of the hub's addresses and ports? All are asked at once."""
    ports = [port for port in (pairing.hub.https_port, pairing.hub.ssh_port) if port]
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as waiting:
        for address in pairing.hub.addresses:
            for port in ports:
                with contextlib.suppress(OSError):
                    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
                    door = opened.enter_context(socket.socket(*found[:3]))
                    door.setblocking(False)
                    door.connect_ex(found[4])
                    waiting.register(door, selectors.EVENT_WRITE)
        last = SYSTEM.monotonic() + KNOCK_TIMEOUT_S
        while waiting.get_map() and (left_s := last - SYSTEM.monotonic()) > 0:
            for key, _ in waiting.select(left_s):
                door = cast(socket.socket, key.fileobj)
                if not door.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return True
                waiting.unregister(door)
    return False


class Rhythm:
    """How long to wait after what. No I/O, no clock: a state machine of its own."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0
        self._next_poll_s = SOON_S
        #: Knock before the next sync: the hub did not answer last time.
        self.silent = False

    def synced(self, *, moved: bool) -> float:
        """A sync went through, and lessons or records `moved` or not; the wait in seconds."""
        self._failures, self.silent = 0, False
        wait_s = SOON_S if moved else self._next_poll_s
        self._next_poll_s = min(2 * wait_s, POLL_S)
        return self._jittered(wait_s)

    def unanswered(self) -> float:
        """The hub did not answer; the wait until the next knock, in seconds."""
        self.silent = True
        return self._jittered(KNOCK_S)

    def failed(self, error: TeachpointError, lasted_s: float = 0.0) -> float:
        """A sync failed after so many seconds; the wait in seconds."""
        if isinstance(error, Unreachable):
            # A line that worked until it broke is used again as soon as it answers; a hub that breaks each
            # connection at once is left more and more in peace.
            if error.code == "hub-unreachable" or lasted_s >= USED_S:
                self._failures = 0
                return self.unanswered()
            self.silent = True
        else:
            self.silent = False
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(self._failures, 10), LONGEST_WAIT_S)
        self._failures += 1
        return self._jittered(wait_s)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + JITTER * (2 * self._chance() - 1))


class _Aside(Exception):
    """Ends a running sync for somebody else's."""


class SyncLoop:
    """The thread. `start`, `wake`, `stop`; it opens the box for itself."""

    def __init__(self, data: Path, connect: Connect, *, knocks: Knock = knock, clock: Clock = SYSTEM) -> None:
        self._data, self._connect, self._knock, self._clock = data, connect, knocks, clock
        self._rhythm = Rhythm()
        self._awake = threading.Event()
        self._ending = threading.Event()
        self._aside = threading.Event()  # somebody else wants to sync: end the one that runs
        self._turning = threading.Lock()  # held while one runs
        self._not_before = float("-inf")  # monotonic; the month's budget is used up until then
        self._thread = threading.Thread(target=self._run, name="sync-loop", daemon=True)

    def start(self) -> None:
        """Begin, with a sync at once."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to sync: do not wait any longer."""
        self._awake.set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For the block nothing syncs over the line: a sync that runs is ended (it goes on where it stopped),
        and afterwards begun again."""
        self._aside.set()
        with self._turning:
            self._aside.clear()
            yield
        self.wake()

    def stop(self, patience_s: float = 10.0) -> None:
        """Ask it to end; a sync that is under way is left to be cut off with the process."""
        self._ending.set()
        self._awake.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        box: Box | None = None
        while not self._ending.is_set():
            self._awake.clear()
            try:
                box = box or open_box(self._data, self._clock)
                wait_s = self.turn(box)
            except TeachpointError as error:
                box = None
                log("box.loop").error("sync-impossible", code=error.code)
                wait_s = self._rhythm.failed(error)
            except Exception as error:  # the classroom goes on whatever happens to one sync
                box = None
                log("box.loop").error("sync-broke", exc_info=error)
                wait_s = LONGEST_WAIT_S
            self._awake.wait(wait_s)

    def turn(self, box: Box) -> float:
        """One knock or sync; how long to wait then, in seconds."""
        with self._turning:
            return self._turn(box)

    def _turn(self, box: Box) -> float:
        left_s = self._not_before - self._clock.monotonic()
        if left_s > 0 and not line.decision(box).records:
            return left_s
        wait_s = self._one(box)
        pause_s = line.pause_s(box) * (1 + JITTER * random.random())  # noqa: S311 - to spread boxes in time
        self._not_before = self._clock.monotonic() + pause_s
        if pause_s > wait_s:
            log("box.loop").info("policy-waits", why=line.decision(box).why, wait_s=round(pause_s))
        wait_s = max(wait_s, pause_s)
        contact.note_next(box.database, box.clock, wait_s)
        return wait_s

    def _one(self, box: Box) -> float:
        if self._rhythm.silent and not self._knock(box.pairing):
            return self._rhythm.unanswered()
        began = self._clock.monotonic()
        try:
            report = sync_once(box, self._connect(box), self._watch)
        except _Aside:
            return SOON_S
        except TeachpointError as error:
            if error.code == "sync-running":
                return self._rhythm.synced(moved=True)
            contact.note_failure(box.database, box.clock, error)
            return self._rhythm.failed(error, self._clock.monotonic() - began)
        return self._rhythm.synced(moved=any((
            report.objects, report.packages, report.records_up, report.records_down)))

    def _watch(self, _done: int, _total: int) -> None:
        if self._aside.is_set():
            raise _Aside
