"""The one source of time. Nothing else calls `time.time`, `time.monotonic` or `time.sleep`.

A box may have no battery clock: wall time can be wrong by decades. Order therefore never comes
from here, but from sequence numbers; wall time is information for people (DESIGN.md §9).
"""

from __future__ import annotations

import datetime as dt
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

#: Where the system allows it, and this environment variable is `1`, the machine's own clock is set: for an
#: appliance. Elsewhere other programs live with that clock, and only what we call the time is corrected.
SET_MACHINE = "TEACHPOINT_SET_MACHINE_CLOCK"
#: Names the running boot; another after each start of the machine.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What the rest of the code may ask of time."""

    def now(self) -> float:
        """Wall time as seconds since 1970-01-01 UTC. May jump, may be wrong by years."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment of this boot; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...

    def machine(self) -> float:
        """The machine's own wall time, whatever `now` was corrected to."""
        ...

    def correct(self, now: float) -> None:
        """From here on `now` goes on from this time."""
        ...

    def follow_machine(self) -> None:
        """From here on `now` is the machine's own wall time again."""
        ...

    def kept(self) -> str:
        """What `keep_to` needs, also in another process; "" while the machine's own time is taken."""
        ...

    def since_boot(self) -> float:
        """Seconds since the machine was started, sleep included; no setting of a clock changes it."""
        ...

    def boot(self) -> str:
        """Names the running boot; another after each start of the machine."""
        ...

    def keep_to(self, kept: str) -> bool:
        """Go on by a correction that was kept; False (and nothing changed) where the machine was started
        since: nobody knows how long it was off."""
        ...


class _Corrected:
    """A wall time that can be corrected where the machine's own is not to be set: kept as a distance to the
    time since the machine's start, which nothing but that start changes."""

    _own: float | None = None  # the wall time at the machine's start; None: the machine's own time is taken

    def machine(self) -> float:
        """The machine's own wall time."""
        raise NotImplementedError

    def since_boot(self) -> float:
        raise NotImplementedError

    def boot(self) -> str:
        raise NotImplementedError

    def now(self) -> float:
        return self.machine() if self._own is None else self._own + self.since_boot()

    def correct(self, now: float) -> None:
        self._own = now - self.since_boot()

    def follow_machine(self) -> None:
        self._own = None

    def kept(self) -> str:
        return "" if self._own is None else f"{self.boot()} {self._own:.3f}"

    def keep_to(self, kept: str) -> bool:
        boot, _, own = kept.partition(" ")
        if kept and boot != self.boot():
            return False
        self._own = float(own) if own else None
        return True


class SystemClock(_Corrected):
    """The machine's own clock, and what it was corrected by."""

    def machine(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def correct(self, now: float) -> None:
        if os.environ.get(SET_MACHINE) == "1":
            with suppress(OSError):  # not allowed to: the own one then
                time.clock_settime(time.CLOCK_REALTIME, now)
                self.follow_machine()
                return
        super().correct(now)

    def since_boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        try:
            return _BOOT_ID.read_text("ascii").strip()
        except OSError:  # without it a correction holds until this process ends
            return f"process-{os.getpid()}"


SYSTEM: Clock = SystemClock()


class ManualClock(_Corrected):
    """A clock that a test or a simulation moves; sleeping moves it too."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0
        self._boots = 1

    def machine(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both scales."""
        self._now += seconds
        self._monotonic += seconds

    def set_wall(self, now: float) -> None:
        """Jump the machine's wall time, as a dead battery or a wrong hand does; the monotonic scale stays."""
        self._now = now

    def reboot(self, now: float) -> None:
        """Start the machine again; its wall time is `now` then, and corrections are gone."""
        self._now, self._boots, self._own = now, self._boots + 1, None

    def since_boot(self) -> float:
        return self._monotonic

    def boot(self) -> str:
        return f"boot-{self._boots}"


def utc(seconds: float) -> dt.datetime:
    """`seconds` since 1970 as an aware UTC datetime, clamped to what datetime can hold."""
    lowest, highest = 0.0, 253402300799.0
    return dt.datetime.fromtimestamp(min(max(seconds, lowest), highest), dt.UTC)


def iso(seconds: float) -> str:
    """`seconds` since 1970 as `2026-11-24T15:00:00Z` (RFC 3339, whole seconds, UTC)."""
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
