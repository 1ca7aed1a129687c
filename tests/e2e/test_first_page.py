"""The first page of a full box in a real browser: light, usable before any script, by timetable; and
suggestions by keyboard, touch and a TV's arrows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from bench.catalogue import GRADES, SUBJECTS, fill
from tests.e2e import axe
from tests.e2e.browser import MISSING, resize
from tests.e2e.pages import find, follow, found, go, violations
from tests.e2e.stage import Stage, ask, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]

#: What the first visit may cost.
MOST_BYTES, MOST_REQUESTS = 60_000, 8


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A box with 20,000 resources, six grades' timetable of every day, and a clock that is believed."""
    stage = Stage(tmp_path_factory.mktemp("first"))
    try:
        stage.set_up()
        fill(stage)
        week = Path(stage.place) / "week.csv"
        week.write_text("".join(
            f"{day},{start:02}:00-{start + 1:02}:00,{grade},{SUBJECTS[(place + 2 * start) % len(SUBJECTS)]}\n"
            for day in range(1, 8) for start in (9, 10, 14, 20)
            for place, grade in enumerate(GRADES)), "utf-8")
        stage.box("timetable", "--from", str(week))
        stage.box("clock", "--set", "2027-03-02T09:30")
        stage.serve_box("--no-mdns", "--no-sync")
        wait_for("the search", lambda: ask(stage.url + "api/v1/resources?q=dqs")["total"])
        yield stage
    finally:
        stage.stop()


@pytest.fixture
def browser(shared: Any) -> Iterator[Any]:
    """A tablet's browser in Chinese, as new."""
    resize(shared, 1024, 768)
    shared.get("about:blank")
    shared.execute_cdp_cmd("Network.clearBrowserCache", {})
    shared.get_log("performance")
    yield shared
    shared.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def cost(driver: Any) -> tuple[int, int]:
    """Requests and bytes on the wire since last asked."""
    told = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [one for one in told if one["method"] == "Network.requestWillBeSent"]
    return len(asked), sum(int(one["params"]["encodedDataLength"]) for one in told
                           if one["method"] == "Network.loadingFinished")


def test_the_first_visit_is_light(box: Stage, browser: Any) -> None:
    go(browser, box.url)
    assert found(browser, ".period.now") and len(found(browser, ".period .card")) >= 3 * len(GRADES)
    requests, transferred = cost(browser)
    assert 2 <= requests <= MOST_REQUESTS, requests
    assert 5_000 < transferred <= MOST_BYTES, transferred
    assert violations(browser, axe.source()) == []


def test_it_is_usable_before_any_script(box: Stage, browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    go(browser, box.url)
    card = find(browser, ".period.now a.card")
    name = card.find_element("css selector", ".card-name").text
    follow(browser, card)
    assert find(browser, "h1").text == name
    go(browser, box.url + "search?q=dqs")
    assert found(browser, "a.row")
    go(browser, box.url)
    assert found(browser, ".suggestions") == []


@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_the_week_is_filled_in(box: Stage, browser: Any, width: int) -> None:
    resize(browser, width, 800)
    go(browser, box.url + "timetable?grade=三年级")
    assert find(browser, "[name=from0]").get_attribute("value") == "09:00"
    assert violations(browser, axe.source()) == []
    field = find(browser, "[name=s0-0]")
    field.clear()
    field.send_keys(f"劳动{width}")
    follow(browser, find(browser, ".sheet-form button"))
    assert find(browser, "[name=s0-0]").get_attribute("value") == f"劳动{width}"
    assert any(one["subject"] == f"劳动{width}" for one in box.box("timetable")["periods"])


def suggestions(driver: Any) -> list[Any]:
    return found(driver, ".suggestions:not([hidden]) a")


@pytest.mark.parametrize("size", [(390, 844), (1024, 768), (1920, 1080)])
@pytest.mark.parametrize("page", ["", "browse"])
def test_what_is_typed_is_suggested_and_opened_by_arrows(box: Stage, browser: Any, size: tuple[int, int],
                                                          page: str) -> None:
    resize(browser, *size)
    go(browser, box.url + page)
    field = find(browser, "input[name=q]")
    field.send_keys("dqs")
    wait_for("suggestions", lambda: suggestions(browser))
    assert "大青树" in suggestions(browser)[0].text
    for link in suggestions(browser):
        assert link.size["height"] >= 44
    left, right = browser.execute_script(
        "const b = document.querySelector('.suggestions').getBoundingClientRect(); return [b.left, b.right]")
    assert left >= 0 and right <= size[0]
    # What lies half below the list is no small target: it goes back to its size when the list closes.
    assert violations(browser, axe.source(), but=["target-size"]) == []
    field.send_keys(Keys.ARROW_DOWN)
    assert browser.switch_to.active_element == suggestions(browser)[0]
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert browser.switch_to.active_element == suggestions(browser)[1]
    browser.switch_to.active_element.send_keys(Keys.ARROW_UP)
    browser.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert browser.switch_to.active_element == field
    field.send_keys(Keys.ESCAPE)
    assert suggestions(browser) == [] and browser.switch_to.active_element == field
    field.clear()
    field.send_keys("春晓")
    wait_for("other suggestions", lambda: suggestions(browser) and "春晓" in suggestions(browser)[0].text)
    field.send_keys(Keys.ARROW_DOWN)
    chosen = browser.switch_to.active_element.get_attribute("href")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_for("the lesson", lambda: browser.current_url == chosen)


def test_a_touch_opens_a_suggestion_and_leaving_closes_them(box: Stage, browser: Any) -> None:
    go(browser, box.url)
    find(browser, "input[name=q]").send_keys("静夜")
    wait_for("suggestions", lambda: suggestions(browser))
    find(browser, "h1").click()
    wait_for("no suggestions", lambda: not suggestions(browser))
    find(browser, "input[name=q]").send_keys("思")
    wait_for("suggestions", lambda: suggestions(browser))
    follow(browser, suggestions(browser)[0])
    assert "静夜思" in find(browser, "h1").text


def test_few_questions_are_asked_while_one_types(box: Stage, browser: Any) -> None:
    go(browser, box.url)
    browser.get_log("performance")
    browser.execute_script(
        "const f = document.querySelector('input[name=q]'); f.focus();"
        "for (const word of ['w', 'wa', 'wan', 'wang', '望']) { f.value = word;"
        " f.dispatchEvent(new Event('input', {bubbles: true})); }")
    wait_for("suggestions", lambda: suggestions(browser))
    assert cost(browser)[0] == 1
