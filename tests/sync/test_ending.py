from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from sync.ending import Ending

#: Calls and returns inside `wait`, and a few beyond.
INSTANTS = range(1, 9)
PATIENCE_S = 60


def ended_well(child: int) -> bool:
    """Did the child end by itself with 0, within PATIENCE_S?"""
    descriptor = os.pidfd_open(child)
    stuck = threading.Timer(PATIENCE_S, signal.pidfd_send_signal, (descriptor, signal.SIGKILL))
    stuck.start()
    _, status = os.waitpid(child, 0)
    stuck.cancel()
    os.close(descriptor)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("instant", INSTANTS)
def test_a_signal_at_any_instant_of_the_waiting_ends_it(instant: int, number: signal.Signals) -> None:
    child = os.fork()
    if child == 0:
        try:
            left = instant

            def look(_frame: FrameType, _event: str, _value: Any) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), number)

            ending = Ending()
            # Beyond the last instant inside, the signal comes from outside, to a thread that sleeps.
            threading.Timer(1.0, os.kill, (os.getpid(), number)).start()
            sys.setprofile(look)
            ending.wait()
            sys.setprofile(None)
            os._exit(0)
        finally:
            os._exit(1)
    assert ended_well(child)


def test_a_signal_before_the_waiting_is_kept() -> None:
    with Ending() as ending:
        os.kill(os.getpid(), signal.SIGTERM)
        ending.wait()


def test_a_while_without_a_signal_and_one_after_it() -> None:
    with Ending() as ending:
        assert not ending.wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert ending.wait(60.0) and ending.wait(60.0)


def test_other_signals_end_nothing_and_afterwards_all_is_as_before() -> None:
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    old = signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    try:
        with Ending() as ending:
            os.kill(os.getpid(), signal.SIGUSR1)
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            ending.wait()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert heard == [signal.SIGUSR1]
    assert before == {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    assert signal.set_wakeup_fd(-1) == -1
