"""When the box syncs: the rhythm by itself, and one turn of the loop with a link in the test's hands."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from sync.box.loop import (
    FIRST_WAIT_S,
    JITTER,
    KNOCK_S,
    LONGEST_WAIT_S,
    POLL_S,
    SOON_S,
    USED_S,
    Rhythm,
    SyncLoop,
    knock,
)
from sync.errors import Broken, Unreachable
from tests.sync_box.shelf_stage import join

UNREACHABLE = Unreachable("hub-unreachable", reason="down")
OTHER = Broken("disk-failing", path="/x", reason="EIO")


def near(seconds: float, wanted: float) -> bool:
    return wanted * (1 - JITTER) <= seconds <= wanted * (1 + JITTER)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_success_is_followed_by_a_poll_and_a_silent_hub_by_a_knock(chance: float) -> None:
    rhythm = Rhythm(lambda: chance)
    assert near(rhythm.synced(moved=True), SOON_S) and not rhythm.silent
    assert near(rhythm.failed(UNREACHABLE), KNOCK_S) and rhythm.silent
    assert near(rhythm.unanswered(), KNOCK_S) and rhythm.silent
    assert near(rhythm.synced(moved=True), SOON_S) and not rhythm.silent


def test_a_hub_with_nothing_new_is_asked_less_and_less_often_and_soon_again_after_something_moved() -> None:
    rhythm = Rhythm(lambda: 0.5)
    assert rhythm.synced(moved=True) == SOON_S
    waits = [rhythm.synced(moved=False) for _ in range(6)]
    assert waits[0] == 2 * SOON_S and waits == sorted(waits) and waits[-1] == POLL_S
    assert rhythm.synced(moved=True) == SOON_S and rhythm.synced(moved=False) == 2 * SOON_S


def test_other_failures_wait_longer_and_longer_up_to_a_limit() -> None:
    rhythm = Rhythm(lambda: 0.5)
    waits = [rhythm.failed(OTHER) for _ in range(8)]
    assert waits[0] == FIRST_WAIT_S and waits == sorted(waits) and waits[-1] == LONGEST_WAIT_S
    rhythm.synced(moved=False)
    assert rhythm.failed(OTHER) == FIRST_WAIT_S


def test_a_line_that_worked_is_knocked_at_once_it_broke_and_one_that_breaks_at_once_less_and_less() -> None:
    rhythm = Rhythm(lambda: 0.5)
    broken = Unreachable("link-broken", hub="h", reason="r")
    assert [rhythm.failed(broken, USED_S) for _ in range(3)] == [KNOCK_S] * 3 and rhythm.silent
    waits = [rhythm.failed(broken, 1.0) for _ in range(8)]
    assert waits[0] == FIRST_WAIT_S and waits == sorted(waits) and waits[-1] == LONGEST_WAIT_S
    assert rhythm.silent and rhythm.failed(broken, USED_S) == KNOCK_S


def test_a_silent_hub_is_only_knocked_at_and_synced_with_at_its_first_answer(tmp_path: Path) -> None:
    joined = join(tmp_path)
    package = joined.lesson("课一", a="甲")
    up = [False]
    tried: list[str] = []

    def connect(_box: object) -> object:
        tried.append("connect")
        if not up[0]:
            raise UNREACHABLE
        return joined.link()

    loop = SyncLoop(joined.box.layout.data, connect, knocks=lambda _p: up[0], clock=joined.clock)  # type: ignore[arg-type]
    loop.turn(joined.box)
    assert tried == ["connect"]
    for _ in range(5):
        loop.turn(joined.box)
    assert tried == ["connect"], "a silent hub costs a knock, no sync"
    up[0] = True
    loop.turn(joined.box)
    assert joined.packages() == {package: (1, True)}


def test_stopping_and_waking_do_not_wait(tmp_path: Path) -> None:
    joined = join(tmp_path)
    package = joined.lesson("课一", a="甲")
    loop = SyncLoop(joined.box.layout.data, lambda _box: joined.link(), clock=joined.clock)
    loop.start()
    loop.wake()
    loop.stop()
    assert not loop._thread.is_alive()
    assert joined.packages() == {package: (1, True)}


def test_a_knock_is_answered_at_either_port_and_by_nobody_else() -> None:
    """A hub whose HTTPS port is closed off is there all the same."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        open_port, closed_port = there.getsockname()[1], closed.getsockname()[1]

        def knocked(https: int, ssh: int) -> bool:
            hub = SimpleNamespace(addresses=["127.0.0.1"], https_port=https, ssh_port=ssh)
            return knock(SimpleNamespace(hub=hub))  # type: ignore[arg-type]

        assert knocked(open_port, closed_port)
        assert knocked(closed_port, open_port)
        assert not knocked(closed_port, closed_port)
