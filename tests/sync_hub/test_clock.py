"""The time that a hub signs with while its clock jumps."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.clock import ManualClock
from sync.hub.clock import HOLD_S, believed_time
from sync.hub.feed import refresh_feeds
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site
from sync.hub.status import hub_problems
from sync.trust import TIMESTAMP_NAME, signed_time

SITE = "s1"
DAY_S = 86400.0
IN_2040 = 2_208_988_800.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(tmp_path: Path, clock: ManualClock) -> Hub:
    init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    found = open_hub(tmp_path / "hub", clock)
    add_site(found, SITE, "一号")
    return found


def signed(hub: Hub) -> int:
    """The time in the site's feed, after it was brought up to date."""
    refresh_feeds(hub)
    return signed_time((hub.layout.feed(SITE) / TIMESTAMP_NAME).read_bytes())


def told(hub: Hub) -> list[object]:
    return [one["facts"]["days"] for one in hub_problems(hub) if one["code"] == "clock-jumped"]


@pytest.mark.parametrize("days", [2, 5000, -5000])
def test_a_jump_for_seconds_is_told_and_never_signed(hub: Hub, clock: ManualClock, days: int) -> None:
    before, right = signed(hub), clock.now()
    clock.set_wall(right + days * DAY_S)
    other_process = open_hub(hub.layout.data, clock)
    clock.advance(HOLD_S - 1)
    assert before <= signed(other_process) <= right + HOLD_S and told(hub) == [days]
    clock.set_wall(right + HOLD_S)
    clock.advance(1.5 * DAY_S)
    assert signed(hub) == int(right + HOLD_S + 1.5 * DAY_S) and told(hub) == []


def test_a_clock_that_was_set_is_believed_after_a_while(hub: Hub, clock: ManualClock) -> None:
    clock.set_wall(IN_2040)
    signed(hub)
    clock.advance(HOLD_S)
    assert signed(hub) == int(IN_2040 + HOLD_S)
    assert told(hub) == []


def test_one_jump_after_another_holds_nothing(hub: Hub, clock: ManualClock) -> None:
    right = clock.now()
    for year in range(1, 10):
        clock.set_wall(right + year * 365 * DAY_S)
        clock.advance(HOLD_S / 2)
        assert believed_time(hub) == right + year * HOLD_S / 2


def test_after_a_start_of_the_machine_its_clock_is_taken(hub: Hub, clock: ManualClock) -> None:
    clock.reboot(clock.now() + 60 * DAY_S)
    assert signed(hub) == int(clock.now()) and told(hub) == []


def test_small_steps_and_what_is_slow_are_no_jump(hub: Hub, clock: ManualClock) -> None:
    for _ in range(30):
        clock.advance(20 * 3600)
        clock.set_wall(clock.now() + 3600)
        assert believed_time(hub) == clock.now()
    assert told(hub) == []


def test_looking_writes_nothing_while_there_is_nothing_new(hub: Hub, clock: ManualClock) -> None:
    believed_time(hub)
    before = hub.database.conn.total_changes
    clock.advance(60)
    believed_time(hub)
    assert hub.database.conn.total_changes == before
