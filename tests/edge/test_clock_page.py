"""`/clock`: offered while the box's clock cannot be believed, by a form of our own, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sync.box.journal import CLOCK_QUALITY
from sync.box.setting import write_setting
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules

NOW = 1_790_000_000


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A box whose clock says 1970."""
    made = make_room(tmp_path)
    made.clock.set_wall(60.0)
    made.journal.clock.set_wall(60.0)
    return made


def token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def times(room: Room) -> list[tuple[str, str]]:
    return list(room.database.execute("SELECT clock_quality, body FROM journal WHERE kind = 'clock-set'"))


@pytest.mark.parametrize(("language", "words"), [
    ("en", "from this device"), ("zh-CN", "用这台设备的时间校准")])
def test_it_is_offered_where_the_clock_is_not_believed(room: Room, language: str, words: str) -> None:
    assert 'href="/clock"' not in room.page("/status", language)
    room.status["clock"]["believed"] = False
    room.classroom.facts.forget()
    for address in ("/status", "/help"):
        page = room.page(address, language)
        assert words in page and 'href="/clock"' in page
    page = room.page("/clock", language)
    assert words in page and "1970-01-01" in page and broken_rules(Page(page), language) == []


@pytest.mark.parametrize("fields", [
    {"seconds": str(NOW), "time": ""}, {"seconds": "", "time": "2026-09-21T22:13:20"},
    {"time": "2026-09-21 22:13:20"}])
def test_a_device_or_a_hand_sets_it_once(room: Room, fields: dict[str, str]) -> None:
    browser = room.client()
    form = token(browser.get("/clock").get_data(as_text=True))
    answer = browser.post("/clock", data={**fields, "token": form})
    assert (answer.status_code, answer.location) == (303, "/clock")
    assert [quality for quality, _ in times(room)] == ["device"]
    page = browser.get("/clock").get_data(as_text=True)
    assert "2026-09-2" in page and "<form" not in page.split("<main")[1].split("</main")[0]
    again = browser.post("/clock", data={"seconds": str(NOW + 86400 * 300), "token": form})
    assert again.status_code == 400 and len(times(room)) == 1, "a clock that is believed is nobody's business"


@pytest.mark.parametrize("fields", [
    {"seconds": "0"}, {"seconds": "99999999999"}, {"time": "yesterday"}, {"time": ""}, {"seconds": "-5"},
    {"seconds": "9" * 400}, {"time": "2026-99-99T00:00"}, {"time": "1999-01-01 00:00"}])
def test_what_is_no_time_or_cannot_be_right_changes_nothing(room: Room, fields: dict[str, str]) -> None:
    browser = room.client()
    form = token(browser.get("/clock").get_data(as_text=True))
    answer = browser.post("/clock", data={**fields, "token": form})
    assert answer.status_code == 400 and 'role="alert"' in answer.get_data(as_text=True)
    assert times(room) == []


def test_only_our_own_form_sets_it(room: Room) -> None:
    browser = room.client()
    form = token(browser.get("/clock").get_data(as_text=True))
    assert browser.post("/clock", data={"seconds": str(NOW)}).status_code == 403
    assert browser.post("/clock", data={"seconds": str(NOW), "token": "0" * 64}).status_code == 403
    assert browser.post("/clock", data={"seconds": str(NOW), "token": form},
                        headers={"Origin": "http://elsewhere.test"}).status_code == 403
    assert room.client().post("/clock", data={"seconds": str(NOW), "token": form}).status_code == 403
    assert times(room) == []


def test_a_clock_that_the_hub_has_checked_is_shown_without_a_form(room: Room) -> None:
    room.journal.clock.set_wall(float(NOW))
    write_setting(room.database, CLOCK_QUALITY, "hub")
    assert "2026-09-2" in room.page("/clock") and 'id="clock"' not in room.page("/clock")
