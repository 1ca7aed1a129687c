"""The one source of time. Nothing else calls `time.time`, `time.monotonic` or `time.sleep`.

A box may have no battery clock: wall time can be wrong by decades. Order therefore never comes
from here, but from sequence numbers; wall time is information for people (DESIGN.md §9).
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol


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


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM: Clock = SystemClock()


class ManualClock:
    """A clock that a test or a simulation moves; sleeping moves it too."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
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
        """Jump the wall time, as a dead battery or a wrong hand does; the monotonic scale stays."""
        self._now = now


def utc(seconds: float) -> dt.datetime:
    """`seconds` since 1970 as an aware UTC datetime, clamped to what datetime can hold."""
    lowest, highest = 0.0, 253402300799.0
    return dt.datetime.fromtimestamp(min(max(seconds, lowest), highest), dt.UTC)


def iso(seconds: float) -> str:
    """`seconds` since 1970 as `2026-11-24T15:00:00Z` (RFC 3339, whole seconds, UTC)."""
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
