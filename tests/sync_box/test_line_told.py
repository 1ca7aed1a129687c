"""The hub knows how fast a site's line is, what is left, when it is whole; told only where that is news."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kiosk_ui.i18n import LANGUAGES
from sync.box import line
from sync.box.line_told import LEAST_S, is_news
from sync.box.setting import write_setting
from sync.box.status import box_status
from sync.errors import Unreachable
from sync.hub.console import create_console
from sync.hub.status import hub_status
from sync.policy import Policy
from tests.edge.page_html import Page, broken_rules
from tests.sync_box.shelf_stage import SITE, Joined, Link, join

NOW = 1_790_000_000
KNOWN = {"state": "open", "left": 1000, "rate": 100, "finish": NOW + 40_000, "at": NOW}


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tmp_path)


class Line(Link):
    """The directory as a line."""

    carrier = False


def over_the_line(joined: Joined, **faults: object) -> None:
    joined.sync(Line(joined.hub.layout.data, SITE, **faults))  # type: ignore[arg-type]


def told(joined: Joined) -> list[dict[str, Any]]:
    return [json.loads(body) for (body,) in joined.hub.database.execute(
        "SELECT body FROM record WHERE kind = 'line' ORDER BY seq")]


@pytest.mark.parametrize(("change", "after_s", "news"), [
    ({}, LEAST_S, False), ({"left": 0}, 1, True), ({"state": "hours"}, 1, True), ({"left": 700}, 1, False),
    ({"left": 700}, LEAST_S, True), ({"left": 800}, LEAST_S, False), ({"rate": 126}, LEAST_S, True),
    ({"rate": 120}, LEAST_S, False), ({"rate": None}, LEAST_S, True), ({"finish": None}, LEAST_S, True),
    ({"finish": NOW + 43_000}, LEAST_S, False), ({"finish": NOW + 60_000}, LEAST_S, True),
    ({"left": 700}, -50, True)])
def test_what_is_news(change: dict[str, Any], after_s: int, news: bool) -> None:
    body = {name: value for name, value in (KNOWN | change).items() if value is not None and name != "at"}
    assert is_news(KNOWN, body, NOW + after_s) is news


def test_of_a_box_that_lacks_nothing_there_is_nothing_to_tell() -> None:
    assert not is_news(None, {"state": "open", "left": 0}, NOW)
    assert is_news(None, {"state": "open", "left": 1}, NOW)


def test_a_cut_off_sync_tells_what_is_left_and_the_next_that_all_is_there(joined: Joined) -> None:
    joined.lesson("课一", a="甲" * 1000, b="乙" * 2000)
    write_setting(joined.box.database, line.RATE, "50")
    with pytest.raises(Unreachable):
        over_the_line(joined, cut_after=2)
    with pytest.raises(Unreachable):  # its first push says it
        over_the_line(joined, cut_after=0)
    joined.ingest()
    first = told(joined)[-1]
    assert first["state"] == "open" and first["rate"] == 50 and first["left"] > 0
    status = hub_status(joined.hub, SITE)[0]["line"]["told"]
    assert status["rate_bytes_per_s"] == 50 and status["left_bytes"] == first["left"]
    assert status["finish"] == pytest.approx(joined.clock.now() + first["left"] / 50, abs=100)
    over_the_line(joined)
    joined.ingest()
    assert told(joined)[-1]["left"] == 0
    count = len(told(joined))
    over_the_line(joined)
    over_the_line(joined)
    joined.ingest()
    assert len(told(joined)) == count, "nothing new is not told"


def test_the_hub_shows_it_on_its_page_and_to_monitors(joined: Joined) -> None:
    joined.lesson("课一", a="甲" * 1000)
    write_setting(joined.box.database, line.RATE, "50")
    for _ in range(2):
        with pytest.raises(Unreachable):
            over_the_line(joined, cut_after=0)
    joined.ingest()
    browser = create_console(joined.hub).test_client()
    for language, words in zip(LANGUAGES, ("线路：", "Line:"), strict=True):
        page = browser.get("/", headers={"Accept-Language": language}).get_data(as_text=True)
        assert words in page and broken_rules(Page(page), language) == []
    found = {f"{sample.name}{sorted(sample.labels.values())}": sample.value for family in
             text_string_to_metric_families(browser.get("/metrics").get_data(as_text=True))
             for sample in family.samples}
    assert found["teachpoint_hub_site_line_rate_bytes_per_second['s1']"] == 50
    assert found["teachpoint_hub_site_line_left_bytes['s1']"] == told(joined)[-1]["left"]
    assert found["teachpoint_hub_site_line_finish_time_seconds['s1']"] > NOW
    assert found["teachpoint_hub_site_line_state['open', 's1']"] == 1
    assert found["teachpoint_hub_scrub_rounds[]"] == 0


@pytest.mark.parametrize("body", [
    {}, {"rate": -1, "left": "x", "finish": 2**53, "state": "fast"}, {"rate": True, "left": [], "state": {}},
    {"rate": 1, "left": 2**53 - 1, "state": None}, {"rate": 0, "left": 5}])
def test_what_a_bad_box_says_is_left_out(joined: Joined, body: dict[str, Any]) -> None:
    hub = joined.hub
    hub.database.execute("INSERT INTO segment VALUES (?, ?, 1, '', 1, 1, ?)", [SITE, "0" * 16, NOW])
    hub.database.execute("INSERT INTO record VALUES (?, ?, 1, 0, 'hub', 'line', ?)",
                         [SITE, "0" * 16, json.dumps(body)])
    hub.database.conn.commit()
    shown = hub_status(hub, SITE)[0]["line"]["told"]
    assert shown["state"] is None and shown["finish"] is None and shown["at"] == NOW
    assert create_console(hub).test_client().get("/").status_code == 200


def test_bytes_are_counted_by_class(joined: Joined, tmp_path: Path) -> None:
    joined.lesson("课一", a="甲" * 1000)
    over_the_line(joined)
    first = box_status(joined.box)["line"]["carried"]
    assert first["lessons"] > 3000 and first["records"] > 2000 and first["uploads"] == 0
    joined.ingest()
    over_the_line(joined)
    again = box_status(joined.box)["line"]["carried"]
    assert again["lessons"] == first["lessons"] and again["records"] > first["records"]
    used = line.used_bytes(joined.box.database, line.month(joined.box.database, joined.clock, Policy()))
    assert sum(again.values()) == used
