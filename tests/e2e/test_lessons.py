"""H5P and SCORM in a class's browser: they open in the sandbox, go on where one was, results come home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from kiosk_ui.pages import has_static
from sync import programs
from tests.e2e import axe
from tests.e2e.browser import MISSING, open_browser, resize
from tests.e2e.pages import (
    SMALL,
    WIDE,
    complaints,
    find,
    follow,
    found,
    go,
    inside,
    page_of,
    violations,
)
from tests.e2e.stage import Stage, ask, get, wait_for
from tests.e2e.test_viewers import shows
from tests.lesson_packages import h5p, packed, scorm_12, scorm_12_in_frames, scorm_2004
from tests.office_files import docx

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A served box with a lesson of such packages, which came over the line, and its hub beside it."""
    assert has_static("h5p/main.bundle.js") and has_static("scorm/scorm12.min.js"), "run `make install`"
    stage = Stage(tmp_path_factory.mktemp("lessons"))
    try:
        stage.set_up()
        made = stage.publish(lesson(stage.place / "source"))
        assert [one for one in made["warnings"] if "坏练习" in one]
        stage.serve_hub()
        assert stage.sync()["ok"]
        stage.serve_box("--no-mdns", "--no-sync")
        yield stage
    finally:
        stage.stop()


def lesson(place: Path) -> Path:
    folder = place / "人教版" / "三年级上册" / "语文" / "第01课 大青树下的小学"
    folder.mkdir(parents=True)
    (folder / "识字测验.zip").write_bytes(packed(scorm_12("gb2312")))
    (folder / "分数的故事.zip").write_bytes(packed(scorm_2004()))
    (folder / "框架测验.zip").write_bytes(packed(scorm_12_in_frames()))
    (folder / "选一选.h5p").write_bytes(packed(h5p()))
    (folder / "教案.docx").write_bytes(docx(["早晨，从山坡上", "开着绒球花和太阳花"]))
    without = {name: data for name, data in h5p().items() if "TestQuestion" not in name}
    (folder / "坏练习.h5p").write_bytes(packed(without))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = open_browser()
    yield driver
    driver.quit()


def said(driver: Any) -> str:
    """What the page in the frame says."""
    inside(driver)
    text = str(wait_for("the lesson", lambda: [one.text for one in found(driver, "#said") if one.text])[0])
    driver.switch_to.default_content()
    return text


def press(driver: Any, button: str) -> None:
    inside(driver)
    wait_for("the button", lambda: found(driver, button))[0].click()
    driver.switch_to.default_content()


def noted(driver: Any) -> None:
    """The page says that the box has the result."""
    wait_for("it is noted", lambda: find(driver, "[data-lesson-told=kept]").is_displayed())


def test_scorm_1_2_goes_on_where_one_was(box: Stage, browser: Any) -> None:
    address = page_of(box, "识字测验")
    go(browser, address)
    assert f":{box.content_port}/c/" in str(wait_for("a page", lambda: find(
        browser, "main iframe").get_attribute("src")))
    assert said(browser) == "not attempted|||开始|80"
    press(browser, "#go-on")
    wait_for("it is kept", lambda: "第三页" in browser.execute_script(
        "return localStorage['teachpoint-lessons'] || ''"))
    go(browser, address)
    assert said(browser) == "incomplete|page-3|第三页|开始|80"
    follow(browser, find(browser, "[data-lesson-again]"))
    assert said(browser).startswith("not attempted||")
    name = find(browser, "#pupil")
    name.send_keys("王小明" + Keys.ENTER)
    press(browser, "#right")
    noted(browser)
    assert complaints(browser) == []


def test_scorm_2004_opens_part_by_part(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "分数的故事"))
    assert said(browser) == "unknown||"
    follow(browser, find(browser, ".contents a:not([aria-current])"))
    assert "page=2" in browser.current_url and said(browser) == "unknown||?level=2"
    press(browser, "#right")
    noted(browser)
    wait_for("it is kept", lambda: "第二节" in browser.execute_script(
        "return localStorage['teachpoint-lessons'] || ''"))
    go(browser, browser.current_url)
    assert said(browser) == "completed|第二节|?level=2"


def test_a_course_in_frames_counts_and_is_heard_when_it_is_left(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "框架测验"))
    inside(browser)
    wait_for("its frame", lambda: found(browser, "#f"))
    browser.switch_to.frame(find(browser, "#f"))
    wait_for("the question", lambda: found(browser, "#right"))[0].click()
    assert find(browser, "#right").text == "好"
    browser.switch_to.default_content()
    follow(browser, find(browser, ".side a.row:not([aria-current])"))
    wait_for("it was sent", lambda: browser.execute_script(
        "return (localStorage['teachpoint-results'] || '[]') === '[]'"))
    kept = browser.execute_script("return localStorage['teachpoint-lessons']")
    assert '"raw":"90"' in kept and '"status":"passed"' in kept


def test_h5p_is_played(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "选一选"))
    inside(browser)
    wait_for("the question", lambda: found(browser, "#h5p h2"))
    assert find(browser, "#h5p h2").text == "“绒”怎么读？"
    find(browser, "#h5p button + button").click()
    wait_for("the answer", lambda: found(browser, "#h5p .said"))
    assert find(browser, "#h5p .said").text == "对"
    browser.switch_to.default_content()
    noted(browser)
    follow(browser, find(browser, ".crumbs a:last-of-type"))  # leaving it, it is asked where it is
    go(browser, page_of(box, "选一选"))
    inside(browser)
    wait_for("the answer of before", lambda: found(browser, "#h5p .said"))
    browser.switch_to.default_content()
    follow(browser, find(browser, "[data-lesson-again]"))
    inside(browser)
    wait_for("the question", lambda: found(browser, "#h5p h2"))
    assert not found(browser, "#h5p .said")
    assert complaints(browser) == []


@pytest.mark.skipif(programs.find("soffice") is None, reason="no LibreOffice here")
def test_an_office_file_is_read_like_a_pdf(box: Stage, browser: Any) -> None:
    wait_for("the search", lambda: ask(box.url + "api/v1/resources?q=绒球花")["total"])
    go(browser, f"{box.url}search?q=绒球花")
    follow(browser, next(one for one in found(browser, "a.row") if "教案" in one.text))
    shows(browser, 2)
    original = find(browser, ".actions a[download]")
    assert original.get_attribute("download") == "教案.docx" and "下载原文件" in original.text
    status, _, data = get(original.get_attribute("href"))
    assert status == 200 and data == docx(["早晨，从山坡上", "开着绒球花和太阳花"])
    assert complaints(browser) == []


def test_what_an_exercise_lacks_is_told(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "坏练习"))
    wait_for("the reason", lambda: find(browser, "[data-lesson-failed]").is_displayed())
    assert "中心校" in find(browser, "[data-lesson-failed]").text


def test_results_come_home(box: Stage, browser: Any) -> None:
    """After the tests above: what was answered is at the hub after a sync."""
    assert box.sync()["ok"]
    wait_for("the results", lambda: len(box.hub("results", "--site", box.site)) >= 5)
    told = [(one["object"]["definition"]["name"]["und"], one["verb"]["id"].rsplit("/", 1)[1],
             one["actor"].get("name"), one.get("result", {}).get("score"))
            for one in box.hub("results")]
    assert ("识字测验", "passed", "王小明", {"raw": 17, "min": 0, "max": 20}) in told
    assert ("框架测验", "passed", "王小明", {"raw": 90, "max": 100}) in told
    assert ("分数的故事", "passed", "王小明", {"scaled": 0.75}) in told
    assert ("选一选", "answered", "王小明", {"raw": 1, "min": 0, "max": 1, "scaled": 1}) in told
    [answered] = [one for one in box.hub("results") if one["object"]["id"].endswith("#q1")]
    assert answered["result"] == {"response": "b", "success": True}


def test_a_foreign_page_cannot_send_results_itself(box: Stage, browser: Any) -> None:
    """It may tell its lesson's page; the box takes nothing from its origin, and the page not from itself."""
    before = len(box.hub("results"))
    go(browser, page_of(box, "选一选"))
    inside(browser)
    sent = browser.execute_async_script("""
        var done = arguments[1], message = JSON.stringify({results: []});
        fetch(arguments[0] + 'api/v1/results', {method: 'POST', mode: 'no-cors', body: message}).then(
          function () { done('sent'); }, function () { done('refused'); });""", box.url)
    assert sent == "refused", "the page's policy lets it send to its own port only"
    browser.switch_to.default_content()
    browser.execute_script("""
        window.postMessage({teachpoint: {kind: 'result', result: {verb: 'passed'}}}, '*');""")
    waiting = browser.execute_script("return JSON.parse(localStorage['teachpoint-results'] || '[]').length")
    assert waiting == 0 and len(box.hub("results")) == before


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_each_fits_and_pleases_axe(box: Stage, browser: Any, width: int, language: str) -> None:
    script = axe.source()
    resize(browser, width, 800 if width < 1000 else width * 9 // 16, touch=width < 1000)
    go(browser, f"{box.url}language/{language}")
    for name in ("识字测验", "分数的故事", "选一选"):
        go(browser, page_of(box, name))
        wait_for("a name", lambda: find(browser, "#pupil").is_displayed())
        assert violations(browser, script) == [], name
        if width < 1000:
            assert browser.execute_script(SMALL) == [], name
            assert browser.execute_script(WIDE) == [False], name
