"""How much may be asked for at once: fills the line, makes others wait little. A line of numbers, no time."""

from __future__ import annotations

import random
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from sync.box.window import FIRST_BYTES, LEAST_BYTES, LEAST_PIECE_BYTES, MOST_BYTES, MOST_PIECE_BYTES, Window


class Line:
    """A line that carries so many bytes a second and answers after so long; what is asked beyond queues. An
    answer tells of what was asked a round trip ago."""

    def __init__(self, bytes_per_s: float, idle_s: float) -> None:
        self.bytes_per_s, self.idle_s = bytes_per_s, idle_s
        self.now = 0.0
        self.others = 0  # bytes of somebody else in the queue
        self._asked: deque[tuple[float, int]] = deque()  # when the window was how large

    def queue_s(self, size: int) -> float:
        beyond = size - self.bytes_per_s * self.idle_s
        return (max(beyond, 0.0) + self.others) / self.bytes_per_s

    def run(self, window: Window, answers: int, chance: random.Random | None = None) -> list[float]:
        """Let so many pings be answered; how long each took."""
        took = []
        for _ in range(answers):
            self._asked.append((self.now, window.size))
            while len(self._asked) > 1 and self._asked[1][0] <= self.now - self.idle_s:
                self._asked.popleft()
            size = self._asked[0][1]
            took_s = self.idle_s + self.queue_s(size)
            late = chance.choice([0.0] * 19 + [self.idle_s * 2]) if chance else 0.0  # a lost packet
            took.append(took_s + late)
            window.answered(took[-1], self.now, used=True,
                            bytes_per_s=min(size / took_s, self.bytes_per_s))
            self.now += max(self.idle_s / 4, 0.1)
        return took


def satellite() -> tuple[Line, Window]:
    window = Window()
    window.answered(0.6, 0.0, used=False, bytes_per_s=0.0)  # the handshake, on a line that is idle
    return Line(250_000, 0.6), window


def test_it_fills_the_line_and_lets_others_wait_a_quarter_longer() -> None:
    line, window = satellite()
    line.run(window, 100)
    took = sorted(line.run(window, 100))
    assert window.size >= 250_000 * 0.6
    assert took[95] <= 0.6 * 1.5


def test_lost_packets_do_not_make_it_small() -> None:
    line, window = satellite()
    line.run(window, 300, random.Random(1))
    assert window.size >= 250_000 * 0.6


def test_it_gives_way_to_others_and_comes_back() -> None:
    line, window = satellite()
    line.run(window, 100)
    before = window.size
    line.others = 100_000
    line.run(window, 40)
    assert window.size < before / 2
    line.others = 0
    line.run(window, 60)
    assert window.size >= 250_000 * 0.6


def test_a_fast_line_is_filled_soon() -> None:
    line, window = Line(10_000_000, 0.05), Window()
    window.answered(0.05, 0.0, used=False, bytes_per_s=0.0)
    line.run(window, 10)
    sizes = []
    for _ in range(10):
        line.run(window, 1)
        sizes.append(window.size)
    assert sum(min(size, 500_000) for size in sizes) >= 10 * 450_000


def test_it_does_not_grow_while_it_is_not_full() -> None:
    window = Window()
    for second in range(50):
        window.answered(0.1, float(second), used=False, bytes_per_s=1e6)
    assert window.size == FIRST_BYTES


def test_what_the_idle_line_is_like_is_learned_anew() -> None:
    """The route has changed: after ten minutes the longer way is the normal one."""
    line, window = satellite()
    line.run(window, 50)
    line.idle_s = 0.9
    line.run(window, 3000)
    assert window.idle_s >= 0.9
    assert window.size >= 250_000 * 0.9 * 0.9


def test_it_does_not_grow_beyond_what_comes() -> None:
    """A sender that is slow itself: a larger window would bring nothing more."""
    window = Window()
    for second in range(50):
        window.answered(0.5, second / 2, used=True, bytes_per_s=100_000)
    assert window.size == FIRST_BYTES


def test_late_answers_of_one_round_trip_make_it_only_a_little_smaller() -> None:
    """After it has shrunk, answers tell for a round trip yet of the queue of before."""
    line, window = satellite()
    line.run(window, 200)
    before = window.size
    line.others = 60_000
    line.run(window, 8)
    assert before * 0.65 <= window.size < before


@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans(), st.floats(0, 1e9)), max_size=200))
def test_it_stays_within_its_limits_whatever_comes(answers: list[tuple[float, bool, float]]) -> None:
    window, now = Window(), 0.0
    for took, used, rate in answers:
        window.answered(took, now, used=used, bytes_per_s=rate)
        now += took
        assert LEAST_BYTES <= window.size <= MOST_BYTES
        assert LEAST_PIECE_BYTES <= window.piece <= MOST_PIECE_BYTES
