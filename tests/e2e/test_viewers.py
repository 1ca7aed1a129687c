"""What a class opens is shown by the box itself: documents, films, texts; and broken ones of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import kiosk_ui
from kiosk_ui.pages import has_static
from tests.e2e import axe
from tests.e2e.browser import MISSING, open_browser, resize
from tests.e2e.class_lessons import FILM_S, ffmpeg, make_film
from tests.e2e.pages import SMALL, WIDE, complaints, find, follow, found, go, page_of, violations
from tests.e2e.stage import Stage, ask, wait_for
from tests.e2e.viewer_files import LANDSCAPE, heavy_pdf, locked_pdf, pdf

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]

PLAYER_JS = Path(kiosk_ui.__file__).parent / "static" / "player.js"
#: Pages of the long document.
PAGES = 5


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A served box with a lesson of such files, which came over the line."""
    assert has_static("pdfjs/pdf.min.js"), "run `make install`: it puts pdf.js below kiosk_ui/static/"
    stage = Stage(tmp_path_factory.mktemp("viewers"))
    try:
        stage.set_up()
        stage.publish(lesson(stage.place / "source"))
        hub = stage.serve_hub()
        assert stage.sync()["ok"]
        hub.stop()
        stage.serve_box("--no-mdns", "--no-sync")
        yield stage
    finally:
        stage.stop()


def lesson(place: Path) -> Path:
    """A folder of files to look at."""
    folder = place / "人教版" / "三年级上册" / "语文" / "第01课 大青树下的小学"
    folder.mkdir(parents=True)
    text = pdf([f"大青树第{number}页" for number in range(1, PAGES + 1)])
    for name, data in {"课文.pdf": text, "幻灯片.pdf": pdf(["第一张", "第二张"], LANDSCAPE),
                       "坏文档.pdf": b"%PDF-1.4\n" + b"\0garbage" * 200, "空文档.pdf": b"",
                       "上锁.pdf": locked_pdf(), "扫描.pdf": heavy_pdf(40)}.items():
        (folder / name).write_bytes(data)
    (folder / "教案.md").write_text("# 教案\n\n" + "## 目标\n\n" + "会认“绒”等生字。\n\n" * 40
                                   + "| 生字 | 读音 |\n|-|-|\n| 绒 | róng |\n\n[课文](课文.pdf)\n", "utf-8")
    (folder / "长文.txt").write_text("早晨，从山坡上，从坪坝里。\n" * 3000, "utf-8")
    (folder / "坏文本.txt").write_bytes(b"\0\1\2" * 100)
    make_film(folder / "朗读.webm")
    (folder / "朗读.srt").write_bytes("1\n00:00:00,000 --> 00:00:25,000\n山坡上".encode("gb18030"))
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=330:duration=40", str(folder / "听写.mp3"))
    (folder / "听写.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:40.000\n早晨", "utf-8")
    (folder / "坏录像.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"broken" * 500)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5:duration=3", "-c:v", "wmv2",
           str(folder / "老录像.wmv"))
    return folder


# -- documents -----------------------------------------------------------------------------------------

def shows(driver: Any, page: int) -> None:
    """Wait until this page is drawn."""
    wait_for(f"page {page}", lambda: state(driver) == f"page-{page}")


def state(driver: Any) -> str:
    return str(find(driver, "[data-paper]").get_attribute("data-paper-state"))


#: How many points of the drawn page are dark; words make some.
INK = """const c = document.querySelector('.paper-view canvas');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let dark = 0; for (let i = 0; i < d.length; i += 4) { if (d[i] + d[i + 1] + d[i + 2] < 200) dark += 1; }
return dark;"""


def test_a_document_is_drawn_with_its_words(box: Stage, browser: Any) -> None:
    """Chinese words whose font and character map are not in the file: the box has the map."""
    go(browser, page_of(box, "课文"))
    shows(browser, 1)
    assert browser.execute_script(INK) > 200
    wait_for("its words for a screen reader", lambda: find(
        browser, "[data-paper-text]").get_attribute("textContent") == "大青树第1页")
    assert find(browser, ".paper-view canvas").get_attribute("aria-label") == f"第 1 页，共 {PAGES} 页"
    assert complaints(browser) == []


def test_pages_turn_by_button_key_number_and_address(box: Stage, browser: Any) -> None:
    address = page_of(box, "课文")
    go(browser, address)
    shows(browser, 1)
    assert not find(browser, "[data-paper-do=before]").is_enabled()
    find(browser, "[data-paper-do=next]").click()
    shows(browser, 2)
    assert browser.current_url == f"{address}#page=2"
    view = find(browser, ".paper-view")
    for key, page in ((Keys.PAGE_DOWN, 3), (Keys.ARROW_RIGHT, 4), (Keys.ARROW_LEFT, 3), (Keys.END, PAGES),
                      (Keys.HOME, 1), (" ", 2), (Keys.PAGE_UP, 1)):
        view.send_keys(key)
        shows(browser, page)
    field = find(browser, "[data-paper-page]")
    field.click()
    field.send_keys("4", Keys.ENTER)
    shows(browser, 4)
    for asked, shown in ((f"{address}#page=3", 3), (f"{address}#page=999", PAGES)):
        browser.get("about:blank")
        go(browser, asked)
        shows(browser, shown)
    browser.execute_script("location.hash = 'page=2'")
    shows(browser, 2)
    assert len(found(browser, ".paper-view canvas")) == 1 and complaints(browser) == []


def test_a_remote_control_reads_a_document_and_leaves_it(box: Stage, browser: Any) -> None:
    """Down goes to the end of the page and then on; at the ends of the document left and right lead on."""
    resize(browser, 1920, 1080)
    go(browser, page_of(box, "课文"))
    shows(browser, 1)
    view = find(browser, ".paper-view")
    browser.execute_script("arguments[0].focus()", view)
    view.send_keys(Keys.ARROW_DOWN)
    assert browser.execute_script("return arguments[0].scrollTop", view) > 100
    for _ in range(12):
        browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    assert browser.switch_to.active_element != view
    browser.execute_script("arguments[0].focus()", view)
    for page in range(2, PAGES + 1):
        view.send_keys(Keys.ARROW_RIGHT)
        shows(browser, page)
    view.send_keys(Keys.ARROW_RIGHT)
    assert "row" in (browser.switch_to.active_element.get_attribute("class") or "")


WIDTHS = """const c = document.querySelector('.paper-view canvas').getBoundingClientRect(),
v = document.querySelector('.paper-view'); return [c.width, v.clientWidth, c.height, innerHeight];"""


@pytest.mark.parametrize("width", [390, 1024, 1920])
def test_a_page_fills_the_width_and_a_slide_the_screen(box: Stage, browser: Any, width: int) -> None:
    resize(browser, width, 844 if width == 390 else width * 9 // 16, touch=width == 390)
    go(browser, page_of(box, "课文"))
    shows(browser, 1)
    drawn, room, *_ = browser.execute_script(WIDTHS)
    assert room - 2 <= drawn <= room
    go(browser, page_of(box, "幻灯片"))
    shows(browser, 1)
    drawn, room, high, screen = browser.execute_script(WIDTHS)
    assert drawn <= room and high <= screen and (drawn >= room - 2 or high >= screen * 0.75)


def test_a_page_is_made_larger_smaller_and_whole(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "课文"))
    shows(browser, 1)
    before = browser.execute_script(WIDTHS)[0]
    find(browser, "[data-paper-do=larger]").click()
    wait_for("larger", lambda: browser.execute_script(WIDTHS)[0] > before * 1.2)
    find(browser, ".paper-view").send_keys("-")
    wait_for("as before", lambda: abs(browser.execute_script(WIDTHS)[0] - before) <= 1)
    whole = find(browser, "[data-paper-do=whole]")
    whole.click()
    wait_for("whole", lambda: browser.execute_script(WIDTHS)[2] < 768)
    assert whole.get_attribute("aria-pressed") == "true"


def test_the_whole_screen_shows_the_page_and_turns_it(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "课文"))
    shows(browser, 1)
    find(browser, "[data-paper-full]").click()
    wait_for("the whole screen", lambda: browser.execute_script(
        "return document.fullscreenElement && document.fullscreenElement.className") == "stage paper full")
    view = find(browser, ".paper-view")
    wait_for("its focus", lambda: browser.switch_to.active_element == view)
    view.send_keys(Keys.ARROW_RIGHT)
    shows(browser, 2)
    browser.execute_script("return document.exitFullscreen()")
    wait_for("the page again", lambda: find(browser, "[data-paper]").get_attribute("class") == "stage paper")


def test_a_finger_turns_pages(box: Stage, browser: Any) -> None:
    resize(browser, 390, 844, touch=True)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        go(browser, page_of(box, "课文"))
        shows(browser, 1)
        swipe(browser, -200)
        shows(browser, 2)
        swipe(browser, 200)
        shows(browser, 1)
        assert browser.execute_script("return innerWidth") == 390
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def swipe(driver: Any, by: int) -> None:
    """One finger goes `by` pixels sideways over the document."""
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(driver, ".paper-view"))
    x, y = driver.execute_script("const b = arguments[0].getBoundingClientRect();"
                                 "return [b.left + b.width / 2, b.top + b.height / 2]",
                                 find(driver, ".paper-view"))
    start = x - by / 2
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
        "type": "touchStart", "touchPoints": [{"x": start, "y": y}]})
    for step in range(1, 6):
        driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
            "type": "touchMove", "touchPoints": [{"x": start + by * step / 5, "y": y}]})
    driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_of_a_heavy_book_only_the_page_that_is_read_is_sent(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "扫描") + "#page=2")
    shows(browser, 2)
    whole = browser.execute_async_script("""
        const done = arguments[1]; fetch(arguments[0], {method: 'HEAD'})
        .then(r => done(Number(r.headers.get('Content-Length'))))""",
        find(browser, "[data-paper]").get_attribute("data-paper"))
    told = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    files = {one["params"]["requestId"] for one in told if one["method"] == "Network.responseReceived"
             and "/files/" in one["params"]["response"]["url"]}
    sent = sum(one["params"]["dataLength"] for one in told if one["method"] == "Network.dataReceived"
               and one["params"]["requestId"] in files)
    assert 0 < sent < whole / 2, (sent, whole)


@pytest.mark.parametrize(("name", "kind"), [("坏文档", "broken"), ("空文档", "broken"), ("上锁", "locked")])
def test_a_document_that_cannot_be_shown_says_why_and_can_be_had(
        box: Stage, browser: Any, name: str, kind: str) -> None:
    go(browser, page_of(box, name))
    wait_for("the reason", lambda: state(browser) == kind)
    [told] = [one for one in found(browser, "[data-paper-failed]") if one.is_displayed()]
    assert told.get_attribute("data-paper-failed") == kind and "下载" in told.text
    assert not find(browser, "[data-paper-bar]").is_displayed()
    assert find(browser, ".actions a[download]").is_displayed()
    assert violations(browser, axe.source()) == []


def test_without_scripts_a_document_is_still_offered(box: Stage) -> None:
    driver = open_browser(390, 844, scripts=False, touch=True)
    try:
        go(driver, page_of(box, "课文"))
        paper = find(driver, "noscript object[type='application/pdf']")
        assert paper.get_attribute("data").endswith(".pdf#view=FitH")
        assert find(driver, ".actions a[download]").get_attribute("href").endswith(".pdf")
        assert not find(driver, "[data-paper-bar]").is_displayed(), "no button that does nothing"
    finally:
        driver.quit()


def test_where_the_drawing_script_does_not_run_the_browser_shows_it(box: Stage, browser: Any) -> None:
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*pdf.min.js*"]})
    try:
        go(browser, page_of(box, "课文"))
        assert find(browser, "[data-paper] > object").get_attribute("data").endswith(".pdf#view=FitH")
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


# -- films and sounds ----------------------------------------------------------------------------------

def player_of(stage: Stage, name: str) -> str:
    """The page of a film or a sound; its subtitles have the same name."""
    [one] = [one for kind in ("video", "audio") for one in
             ask(f"{stage.url}api/v1/resources?limit=100&type={kind}")["items"] if one["name"] == name]
    return f"{stage.url}r/{one['package']}/{one['id']}"


def opened(driver: Any, address: str) -> Any:
    """The player of a page, when it knows what it plays."""
    go(driver, address)
    player = find(driver, "[data-player]")
    wait_for("its length and its bar", lambda: (
        of(driver, player, "readyState") >= 1 and find(driver, "[data-player-bar]").is_displayed()))
    driver.execute_script("arguments[0].muted = true; arguments[0].focus()", player)
    return player


def of(driver: Any, player: Any, name: str) -> Any:
    return driver.execute_script(f"return arguments[0].{name}", player)


SAID = """const t = [...arguments[0].textTracks].find(t => t.mode === 'showing');
return t && t.activeCues && t.activeCues.length ? t.activeCues[0].text : null"""


def test_subtitles_beside_a_film_are_shown_and_switched_off(box: Stage, browser: Any) -> None:
    """Written as SRT by a Chinese Windows."""
    film = opened(browser, player_of(box, "朗读"))
    browser.execute_script("arguments[0].currentTime = 3", film)  # halted: a busy machine takes its time
    wait_for("what is said", lambda: browser.execute_script(SAID, film) == "山坡上")
    button = find(browser, "[data-player-words]")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert browser.execute_script(SAID, film) is None and button.get_attribute("aria-pressed") == "false"
    film.send_keys("c")
    wait_for("them again", lambda: browser.execute_script(SAID, film) == "山坡上")
    assert complaints(browser) == []


def test_what_is_said_in_a_sound_is_read_below_it(box: Stage, browser: Any) -> None:
    sound = opened(browser, player_of(box, "听写"))
    sound.send_keys(" ")
    wait_for("it", lambda: find(browser, "[data-player-spoken]").text == "早晨")
    find(browser, "[data-player-words]").click()
    assert not find(browser, "[data-player-spoken]").is_displayed()


def test_a_film_obeys_keys_and_a_remote(box: Stage, browser: Any) -> None:
    film = opened(browser, player_of(box, "朗读"))
    browser.execute_script("arguments[0].currentTime = 0", film)
    film.send_keys(Keys.ARROW_RIGHT)
    wait_for("ten seconds on", lambda: abs(of(browser, film, "currentTime") - 10) < 0.5)
    film.send_keys(Keys.ARROW_LEFT)
    wait_for("and back", lambda: of(browser, film, "currentTime") < 0.5)
    film.send_keys(">")
    assert of(browser, film, "playbackRate") == 1.25
    assert find(browser, "[data-player-speed]").get_attribute("value") == "1.25"
    browser.execute_script("document.activeElement.blur()")
    for code, paused in ((179, False), (413, True), (415, False), (19, True)):
        browser.execute_script("""document.body.dispatchEvent(new KeyboardEvent('keydown', {
            bubbles: true, cancelable: true, keyCode: arguments[0]}))""", code)
        wait_for("what the remote said", lambda paused=paused: of(browser, film, "paused") is paused)


def test_a_film_goes_on_where_it_stopped(box: Stage, browser: Any) -> None:
    address = player_of(box, "朗读")
    film = opened(browser, address)
    browser.execute_script("localStorage.clear(); arguments[0].currentTime = 14; arguments[0].play()", film)
    wait_for("it plays", lambda: of(browser, film, "currentTime") > 14.1)
    browser.execute_script("arguments[0].pause()", film)
    wait_for("it is kept", lambda: browser.execute_script("return localStorage['teachpoint-stopped']"))
    browser.get("about:blank")
    film = opened(browser, address)
    wait_for("the place", lambda: 13 < of(browser, film, "currentTime") < 16)
    find(browser, "[data-player-again]").click()
    wait_for("the beginning", lambda: of(browser, film, "currentTime") < 1)
    browser.execute_script(f"arguments[0].currentTime = {FILM_S - 1}; arguments[0].play()", film)
    wait_for("its end", lambda: of(browser, film, "ended"))
    assert browser.execute_script("return localStorage['teachpoint-stopped']") == "[]", "seen whole"


def test_a_script_that_comes_before_the_browser_has_begun_to_load_calls_no_film_unplayable(
        box: Stage, browser: Any) -> None:
    """On a busy device it does: what is to be loaded is chosen after the scripts that stand ready."""
    film = opened(browser, player_of(box, "朗读"))
    state = browser.execute_script(
        "document.querySelector('[data-player-bar]').hidden = true; arguments[0].load();"
        "const state = arguments[0].networkState;" + PLAYER_JS.read_text("utf-8") + "return state", film)
    assert state == 3, "nothing is chosen yet: the moment this test is for"
    assert find(browser, "[data-player-bar]").is_displayed()
    assert not [one for one in found(browser, "[data-player-failed]") if one.is_displayed()]


@pytest.mark.parametrize("name", ["坏录像", "老录像"])
def test_a_film_that_this_device_cannot_play_says_so(box: Stage, browser: Any, name: str) -> None:
    go(browser, page_of(box, name))
    wait_for("the reason", lambda: found(browser, "[data-player-state=unplayable]"))
    [told] = [one for one in found(browser, "[data-player-failed]") if one.is_displayed()]
    assert "下载" in told.text and find(browser, ".actions a[download]").is_displayed()
    assert violations(browser, axe.source()) == []


# -- texts ---------------------------------------------------------------------------------------------

def test_markdown_is_a_page_with_links_into_the_lesson(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "教案"))
    prose = find(browser, ".prose")
    assert prose.find_element(By.CSS_SELECTOR, "h2").text == "教案"
    assert [cell.text for cell in prose.find_elements(By.CSS_SELECTOR, "td")] == ["绒", "róng"]
    browser.execute_script("arguments[0].focus()", prose)
    prose.send_keys(Keys.ARROW_DOWN)
    wait_for("it scrolls", lambda: of(browser, prose, "scrollTop") > 0)
    follow(browser, prose.find_element(By.LINK_TEXT, "课文"))
    shows(browser, 1)
    assert complaints(browser) == []


def test_a_long_text_is_turned_page_by_page(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "长文"))
    first = find(browser, "pre").text
    follow(browser, find(browser, ".pager a[rel=next]"))
    assert "page=2" in browser.current_url and find(browser, "pre").text.startswith("早晨")
    assert len(first) > 8000


def test_what_is_no_text_says_so(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "坏文本"))
    assert "下载" in find(browser, ".notice").text and find(browser, ".actions a[download]").is_displayed()
    assert violations(browser, axe.source()) == []


# -- all of them ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("width", [320, 390, 1024, 1920])
def test_each_fits_and_pleases_axe(box: Stage, browser: Any, width: int, language: str) -> None:
    script = axe.source()
    resize(browser, width, 800 if width < 1000 else width * 9 // 16, touch=width < 1000)
    go(browser, f"{box.url}language/{language}")
    for name in ("课文", "幻灯片", "朗读", "听写", "教案", "长文"):
        go(browser, player_of(box, name) if name in ("朗读", "听写") else page_of(box, name))
        if name in ("课文", "幻灯片"):
            shows(browser, 1)
        assert violations(browser, script) == [], name
        if width < 1000:
            assert browser.execute_script(SMALL) == [], name
            assert browser.execute_script(WIDE) == [False], name
    assert complaints(browser) == []
