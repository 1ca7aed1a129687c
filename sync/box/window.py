"""How many bytes may be asked of the hub that have not come yet. A state machine: no I/O, no clock.

The line carries other things than lessons: a page that a teacher looks up, a video call. What is asked for at
once waits in a queue before the line's narrowest point, and all others wait behind it. So the window grows
while a question is answered as quickly as on an idle line, and shrinks when answers take longer: LEDBAT
(RFC 6817), with the window at the end that asks instead of the one that sends.

With 2 Mbit/s and 600 ms a window of 150 KB fills the line; TARGET_SHARE lets another 37 KB queue up, which
makes another's round trip 1.25 times as long.
"""

from __future__ import annotations

from collections import deque

#: The first window (what the connections send in two round trips), the smallest, the largest, in bytes.
FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 160 * 1024, 24 * 1024, 8 * 1024 * 1024
#: How much longer than on an idle line an answer may take: a share of that, and at least so many seconds.
TARGET_SHARE, LEAST_TARGET_S = 0.25, 0.05
#: In one round trip the window becomes larger by at most so much: while it has never been too large; below
#: what was too large last; and near it or beyond, where it becomes quicker with each CALM_TRIPS that all
#: was well (the line has room now that it had not, or we were slow ourselves to hear the answers).
FIRST_GROWTH, GROWTH_BELOW, GROWTH = 0.7, 0.4, 0.1
NEAR_SHARE, CALM_TRIPS = 0.9, 3
#: Smaller by SHRINKING for each time that the queue is longer than it may be; at first not below LEAST_SHARE
#: of what was too large, because answers stay late for a round trip after it has shrunk enough.
SHRINKING, MOST_SHRINKING, LEAST_SHARE = 0.7, 0.8, 0.72
#: In so many round trips of the idle line it must have become short.
PATIENCE_TRIPS = 2.5
#: A window is not what limits where it is more than what comes in a round trip of the idle line and so many
#: times the target; senders that only begin bring less than the line would carry.
MOST_TARGETS, FIRST_MOST_TARGETS = 2.4, 8.0
#: The best rate of so many answers counts. (Any lower one follows the window down: what the window held back
#: counted as all that the line can carry, 74 % of it over 40 MB.)
RATES = 32
#: The quicker of so many answers counts: a lost packet makes one of them late and says nothing of a queue.
FILTER = 2
#: The idle line is the quickest answer of so many portions of so many seconds: routes change.
PORTIONS, PORTION_S = 10, 60.0
#: Pieces of a file that are asked for in one request: of this share of the window, within these limits.
PIECE_SHARE = 8
LEAST_PIECE_BYTES, MOST_PIECE_BYTES = 16 * 1024, 256 * 1024


class Window:
    """`size` in bytes; told of each answer."""

    def __init__(self) -> None:
        self.size = FIRST_BYTES
        self._quickest: deque[tuple[float, float]] = deque(maxlen=PORTIONS)
        self._last: deque[float] = deque(maxlen=FILTER)
        self._came: deque[float] = deque(maxlen=RATES)
        self._too_large: float | None = None  # the window that last made others wait too long
        self._over_since: float | None = None
        self._calm_since: float | None = None
        self._answered = float("-inf")

    @property
    def idle_s(self) -> float:
        """The round trip of the idle line, in seconds; 0.0 before the first answer."""
        return min((quickest for _, quickest in self._quickest), default=0.0)

    @property
    def target_s(self) -> float:
        """How much longer an answer may take, in seconds."""
        return max(TARGET_SHARE * self.idle_s, LEAST_TARGET_S)

    @property
    def piece(self) -> int:
        """How much to ask for in one request, in bytes: a power of two."""
        wanted = min(max(self.size // PIECE_SHARE, LEAST_PIECE_BYTES), MOST_PIECE_BYTES)
        return 1 << (wanted.bit_length() - 1)

    def answered(self, took_s: float, now: float, *, used: bool, bytes_per_s: float) -> None:
        """A question was answered after `took_s`; `now` in seconds of any steady clock. `used`: the window
        was full meanwhile. `bytes_per_s`: what has come in the last round trips."""
        self._note(took_s, now)
        self._last.append(took_s)
        took_s = min(self._last)
        turn = min((now - self._answered) / took_s, 1.0) if took_s > 0 else 1.0  # of a round trip
        self._answered = now
        self._came.append(bytes_per_s)
        over = (took_s - self.idle_s) / self.target_s - 1.0  # -1: no queue; 0: as long as it may be
        if over > 0:
            self._calm_since = None
            size = self._smaller(min(SHRINKING * over, MOST_SHRINKING) * turn, now)
        else:
            self._over_since = None
            self._calm_since = now if self._calm_since is None else self._calm_since
            size = float(self.size)
            if used and self._may_grow():
                size *= 1 - over * self._growth(now) * turn
        self.size = min(max(round(size), LEAST_BYTES), MOST_BYTES)

    def _smaller(self, change: float, now: float) -> float:
        if self._over_since is None or self._too_large is None \
                or now - self._over_since > PATIENCE_TRIPS * self.idle_s:
            self._over_since, self._too_large = now, float(self.size)
        return min(max(self.size * (1 - change), self._too_large * LEAST_SHARE), self.size)

    def _growth(self, now: float) -> float:
        if self._too_large is None:
            return FIRST_GROWTH
        if self.size < NEAR_SHARE * self._too_large or self._calm_since is None:
            return GROWTH_BELOW
        trips = (now - self._calm_since) / max(self.idle_s, 1e-3)
        return min(GROWTH * max(trips / CALM_TRIPS, 1.0), GROWTH_BELOW)

    def _may_grow(self) -> bool:
        targets = FIRST_MOST_TARGETS if self._too_large is None else MOST_TARGETS
        return self.size < max(self._came) * (self.idle_s + targets * self.target_s)

    def _note(self, took_s: float, now: float) -> None:
        if self._quickest and now - self._quickest[-1][0] < PORTION_S:
            began, quickest = self._quickest[-1]
            self._quickest[-1] = (began, min(quickest, took_s))
        else:
            self._quickest.append((now, took_s))
