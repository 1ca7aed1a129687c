"""A box whose clock is wrong by decades: set by the hub's time, a device, a hand; forgotten with the boot."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sync.box.journal import Journal
from sync.box.session import sync_once
from sync.box.state import open_box
from sync.box.status import box_status
from sync.box.wall_clock import EARLIEST, read_time, set_clock, site_time
from sync.carrier import Carrier
from sync.clock import SET_MACHINE, ManualClock, SystemClock
from sync.directory import Directory
from sync.errors import Refused
from sync.hub.carry import carry
from sync.hub.feed import write_feed
from tests.sync_box.shelf_stage import SITE, Joined, Link, join

NOW = 1_790_000_000
WRONG = [0.0, 2_208_988_800.0]


class Line(Link):
    """The directory as if it were a line: what it brings is the hub's word of now."""

    carrier = False


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    made = join(tmp_path)
    made.hub.clock = ManualClock(NOW)
    made.box = open_box(made.box.layout.data, made.clock)
    return made


def over_the_line(joined: Joined) -> None:
    write_feed(joined.hub, SITE)
    joined.sync(Line(joined.hub.layout.data, SITE))


def journal(joined: Joined) -> Journal:
    return Journal(joined.box.database, joined.clock)


def told(joined: Joined) -> tuple[int, str, bool]:
    facts = box_status(joined.box)["clock"]
    return facts["now"], facts["quality"], facts["believed"]


def settings_recorded(joined: Joined) -> list[tuple[str, int, int, str]]:
    rows = joined.box.database.execute("SELECT clock_quality, body FROM journal WHERE kind = 'clock-set' "
                                       "ORDER BY seq")
    return [(quality, body["before"], body["after"], body["by"])
            for quality, body in ((quality, json.loads(text)) for quality, text in rows)]


@pytest.mark.parametrize("wrong", WRONG)
def test_the_hubs_signed_time_sets_the_day_but_not_the_hour(joined: Joined, wrong: float) -> None:
    joined.clock.set_wall(wrong)
    assert told(joined) == (int(wrong), "unknown", False)
    over_the_line(joined)
    assert told(joined) == (NOW, "hub-time", False)
    assert settings_recorded(joined) == [("hub-time", int(wrong), NOW, "hub-time")]
    joined.clock.advance(10)
    over_the_line(joined)
    assert told(joined) == (NOW + 10, "hub-time", False) and len(settings_recorded(joined)) == 1
    joined.hub.clock = ManualClock(NOW + 7200)
    joined.lesson("课一", a="甲")
    over_the_line(joined)
    assert told(joined)[0] == NOW + 7200, "what is signed later than our now shows that we are behind"


@pytest.mark.parametrize("wrong", WRONG)
def test_a_device_sets_it_and_every_process_of_this_boot_believes_it(joined: Joined, wrong: float) -> None:
    joined.clock.set_wall(wrong)
    set_clock(journal(joined), NOW + 5, "device")
    assert told(joined) == (NOW + 5, "device", True)
    assert settings_recorded(joined) == [("device", int(wrong), NOW + 5, "device")]
    other = ManualClock(wrong)
    other.advance(60)
    box = open_box(joined.box.layout.data, other)
    assert site_time(box.database, other) == NOW + 65
    over_the_line(joined)
    assert told(joined)[1:] == ("device", True), "the hub's time does not speak against it"


def test_after_a_start_of_the_machine_it_is_worth_nothing(joined: Joined) -> None:
    joined.clock.set_wall(WRONG[1])
    set_clock(journal(joined), NOW, "device")
    joined.clock.reboot(WRONG[1])
    joined.box = open_box(joined.box.layout.data, joined.clock)
    assert told(joined) == (int(WRONG[1]), "unknown", False)


def test_a_machine_whose_own_clock_was_set_meanwhile_is_followed(joined: Joined) -> None:
    joined.clock.set_wall(0.0)
    over_the_line(joined)
    joined.clock.set_wall(NOW + 100.0)
    over_the_line(joined)
    assert told(joined) == (NOW + 100, "hub", True)


def test_a_good_clock_is_checked_and_left_alone(joined: Joined) -> None:
    joined.clock.set_wall(NOW + 40_000.0)
    over_the_line(joined)
    assert told(joined) == (NOW + 40_000, "hub", True) and settings_recorded(joined) == []


def test_a_stick_that_was_filled_long_ago_does_not_speak_against_a_good_clock(
        joined: Joined, tmp_path: Path) -> None:
    over_the_line(joined)
    joined.hub.clock = ManualClock(NOW + 3600)
    joined.lesson("课一", a="甲")
    (tmp_path / "stick").mkdir()
    carry(joined.hub, [SITE], Carrier(tmp_path / "stick"))
    joined.clock.set_wall(NOW + 20 * 86400.0)
    joined.box = open_box(joined.box.layout.data, joined.clock)
    assert sync_once(joined.box, Directory(tmp_path / "stick", SITE)).news
    assert told(joined) == (NOW + 20 * 86400, "hub", True)


@pytest.mark.parametrize("at", [0.0, EARLIEST - 1.0, NOW - 3 * 86400.0, NOW + 30 * 365 * 86400.0, 9e15, -1.0])
def test_what_cannot_be_right_changes_nothing(joined: Joined, at: float) -> None:
    over_the_line(joined)
    before = told(joined)
    with pytest.raises(Refused) as caught:
        set_clock(journal(joined), at, "hand")
    assert caught.value.code == "clock-bad" and caught.value.message("zh")
    assert told(joined) == before and settings_recorded(joined) == []


def test_times_as_people_write_them() -> None:
    assert read_time("2026-11-25T18:00", 480) == read_time("2026-11-25 10:00:00+00:00", 480)
    for text in ("", "now", "2026-13-01T00:00", "9" * 400, "2026-11-25T25:00", "０"):
        with pytest.raises(Refused) as caught:
            read_time(text, 480)
        assert caught.value.code == "clock-unreadable"


def test_the_machines_clock_is_set_only_where_that_was_asked_for_and_allowed(
        monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    allowed = False

    def settime(_clock: int, at: float) -> None:
        asked.append(at)
        if not allowed:
            raise PermissionError

    monkeypatch.setattr(time, "clock_settime", settime)
    monkeypatch.delenv(SET_MACHINE, raising=False)
    clock = SystemClock()
    clock.correct(NOW)
    assert asked == [] and abs(clock.now() - NOW) < 3600 and clock.kept()
    assert SystemClock().keep_to(clock.kept())
    monkeypatch.setenv(SET_MACHINE, "1")
    clock.correct(NOW + 1.0)
    assert asked == [NOW + 1.0] and clock.kept()
    allowed = True
    clock.correct(NOW + 2.0)
    assert asked[-1] == NOW + 2.0 and clock.kept() == ""
