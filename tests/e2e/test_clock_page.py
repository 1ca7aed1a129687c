"""A teacher's device sets the clock of a box that never met its hub, in a real browser; so does a command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.e2e import axe
from tests.e2e.browser import MISSING, open_browser
from tests.e2e.pages import find, follow, violations
from tests.e2e.stage import Stage, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]


@pytest.fixture
def browser() -> Iterator[Any]:
    driver = open_browser()
    try:
        yield driver
    finally:
        driver.quit()


def clock(stage: Stage) -> dict[str, Any]:
    told: dict[str, Any] = stage.box("clock")
    return told


def test_a_touch_sets_the_clock(paired: Stage, browser: Any) -> None:
    paired.serve_box("--no-mdns", "--no-sync")
    assert clock(paired)["quality"] == "unknown"
    browser.get(paired.url + "status")
    follow(browser, find(browser, "a[href='/clock']"))
    assert not find(browser, "#time").is_displayed()
    assert violations(browser, axe.source()) == []
    follow(browser, find(browser, "#main button"))
    wait_for("the clock", lambda: clock(paired)["quality"] == "device")
    assert clock(paired)["believed"] and browser.find_elements(By.CSS_SELECTOR, "#clock") == []
    browser.get(paired.url + "status")
    assert browser.find_elements(By.CSS_SELECTOR, "a[href='/clock']") == []


def test_without_scripts_the_time_is_typed(paired: Stage, browser: Any) -> None:
    paired.serve_box("--no-mdns", "--no-sync")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(paired.url + "clock")
    assert find(browser, "#time").is_displayed()
    assert clock(paired)["quality"] == "unknown"


def test_the_command_sets_it_for_all_processes_and_no_other_clock(paired: Stage) -> None:
    told = paired.box("clock", "--set", "2030-05-06T07:08")
    assert told["iso"] == "2030-05-05T23:08:00Z" and told["corrected"] and told["believed"]
    assert paired.box("status")["clock"]["now"] - told["now"] in range(120)
    assert paired.box("clock", "--set", "1999-01-01T00:00", status=3)["code"] == "clock-bad"
    assert paired.box("clock", "--set", "noon", status=3)["code"] == "clock-unreadable"
