"""A class's browser on a real box: lessons that came by a sync are found, opened, played, attacked with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e import axe, pictures
from tests.e2e.browser import MISSING, open_browser, resize
from tests.e2e.class_lessons import FILM_S, make_lessons
from tests.e2e.pages import (
    SMALL,
    WIDE,
    answers,
    complaints,
    find,
    follow,
    found,
    go,
    inside,
    page_of,
    resources,
    violations,
)
from tests.e2e.stage import Stage, ask, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A served box with lessons, which came over SSH."""
    stage = Stage(tmp_path_factory.mktemp("class"))
    try:
        stage.set_up()
        for lesson in make_lessons(stage.place / "source", stage.box_port):
            stage.publish(lesson)
        hub = stage.serve_hub()
        assert stage.sync()["ok"]
        hub.stop()
        stage.serve_box("--no-mdns", "--no-sync")
        wait_for("the search", lambda: ask(stage.url + "api/v1/resources?q=dqs")["total"])
        yield stage
    finally:
        stage.stop()


# -- a teacher's way -----------------------------------------------------------------------------------

def test_two_touches_from_the_first_page_to_a_lesson(box: Stage, browser: Any) -> None:
    go(browser, box.url)
    assert browser.execute_script("return document.documentElement.lang") == "zh-CN"
    fetched = {address for address, _ in answers(browser)}
    assert len(fetched) <= 6 and all(address.startswith(box.url) for address in fetched), fetched
    [card] = [card for card in found(browser, "a.card") if "大青树下的小学" in card.text]
    follow(browser, card)
    [row] = [row for row in found(browser, "a.row") if "课文朗读" in row.text]
    follow(browser, row)
    assert find(browser, "video").is_displayed()
    assert complaints(browser) == []


def test_two_characters_find_the_lesson(box: Stage, browser: Any) -> None:
    go(browser, box.url)
    find(browser, "input[name=q]").send_keys("青树", Keys.ENTER)
    wait_for("results", lambda: "/search" in browser.current_url and found(browser, "a.row"))
    assert all("大青树" in row.text for row in found(browser, "a.row"))
    field = find(browser, "input[name=q]")
    field.clear()
    field.send_keys("dqs", Keys.ENTER)
    wait_for("pinyin", lambda: "q=dqs" in browser.current_url and found(browser, "a.row"))
    follow(browser, find(browser, "a.row"))
    assert "大青树下的小学" in find(browser, ".crumbs").text


def test_a_film_plays_and_goes_to_any_second(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "课文朗读"))
    film = find(browser, "video")

    def of(name: str) -> Any:
        return browser.execute_script(f"return arguments[0].{name}", film)
    wait_for("its length", lambda: of("readyState") >= 1)
    assert abs(of("duration") - FILM_S) < 1 and of("videoWidth") == 480 and of("error") is None
    browser.execute_script("arguments[0].muted = true; arguments[0].focus()", film)
    film.send_keys(Keys.ENTER)
    wait_for("it plays", lambda: of("currentTime") > 0.2 and not of("paused"))
    answers(browser)
    browser.execute_script("arguments[0].currentTime = 25", film)
    wait_for("the second asked for", lambda: (
        not of("seeking") and of("currentTime") >= 25 and of("readyState") >= 2))
    film.send_keys(Keys.ENTER)
    wait_for("it halts", lambda: of("paused"))
    ranges = [status for address, status in answers(browser) if "/files/" in address]
    assert 206 in ranges and set(ranges) <= {206}, ranges
    button = find(browser, "[data-full]")
    button.click()
    wait_for("the whole screen", lambda: browser.execute_script(
        "return document.fullscreenElement && document.fullscreenElement.tagName") == "VIDEO")
    browser.execute_script("return document.exitFullscreen()")
    assert complaints(browser) == []


def test_sound_picture_and_text_are_there(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "生字读音"))
    sound = find(browser, "audio")
    wait_for("its length", lambda: browser.execute_script("return arguments[0].duration > 11", sound))
    browser.execute_script("const a = arguments[0]; a.muted = true; a.currentTime = 8; a.play()", sound)
    wait_for("it plays", lambda: browser.execute_script("return arguments[0].currentTime > 8.1", sound))
    go(browser, page_of(box, "插图"))
    picture = find(browser, ".stage img")
    wait_for("it", lambda: browser.execute_script("return arguments[0].naturalWidth", picture) == 800)
    go(browser, page_of(box, "词语表"))
    assert "绒球花" in find(browser, "pre").text
    assert complaints(browser) == []


def test_a_book_is_read_chapter_by_chapter(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "课外读物"))
    assert find(inside(browser), "h1").text == "早晨"
    assert find(browser, "body").value_of_css_property("font-family").startswith('"PingFang SC"')
    browser.switch_to.default_content()
    follow(browser, find(browser, "a[rel=next]"))
    assert "走进校园" in find(inside(browser), "body").text
    browser.switch_to.default_content()
    [first] = [a for a in found(browser, ".contents a") if "第一章" in a.text]
    follow(browser, first)
    assert "公鸡叫了" in find(inside(browser), "body").text
    browser.switch_to.default_content()
    follow(browser, find(browser, "a.button.strong"))
    assert "早晨" in find(browser, "h1").text and f":{box.content_port}/e/" in browser.current_url
    assert complaints(browser) == []


# -- what strangers wrote ------------------------------------------------------------------------------

def test_a_bundle_runs_on_the_second_origin(box: Stage, browser: Any) -> None:
    go(browser, page_of(box, "笔顺练习"))
    assert f":{box.content_port}/c/" in find(browser, "main iframe").get_attribute("src")
    inside(browser)
    wait_for("its script", lambda: find(browser, "#out").text == "脚本在运行")
    wait_for("its data", lambda: find(browser, "body").get_attribute("data-word") == "大青树")
    assert browser.execute_script("return document.getElementById('p').naturalWidth") == 80
    assert find(browser, "#out").value_of_css_property("color").replace(" ", "") in (
        "rgba(1,2,3,1)", "rgb(1,2,3)")
    find(browser, "#b").click()
    assert find(browser, "#out").text == "第二笔"


@pytest.mark.parametrize("where", ["frame", "alone"])
def test_a_hostile_bundle_gets_nothing(box: Stage, browser: Any, where: str) -> None:
    """It tries what a page can try against the teacher's session; also opened on the whole screen."""
    go(browser, box.url + "upload")
    go(browser, f"{box.url}language/en?next=/")
    assert len(browser.get_cookies()) == 2, "the session that it is after"
    address = page_of(box, "坏课件")
    go(browser, address)
    if where == "frame":
        inside(browser)
    else:
        find(browser, "a.button.strong").click()
    wait_for("all attacks", lambda: found(browser, "[data-name=end]"))
    told = {one.get_attribute("data-name"): one.text for one in found(browser, "li")}
    assert told.pop("end") and told.pop("origin") == "null"
    assert len(told) >= (20 if where == "frame" else 14)
    assert {name: text for name, text in told.items() if not text.startswith("no: ")} == {}
    for name in ("fetch", "fetch-blind", "xhr", "post", "script", "cookie", "localStorage", "indexedDB",
                 "worker"):
        assert told[name] != "no: nothing", name
    if where == "frame":
        assert told["parent"] == "no: SecurityError" and told["top"] == "no: SecurityError", told
        browser.switch_to.default_content()
        assert browser.current_url == address, "our page stays where it is"
        assert len(browser.window_handles) == 1
    assert ask(box.url + "api/v1/status")["uploads"]["waiting"] == 0
    browser.get(box.url)
    assert {cookie["name"] for cookie in browser.get_cookies()} == {"teachpoint-form", "teachpoint-language"}


# -- other devices -------------------------------------------------------------------------------------

def test_without_scripts_everything_opens(box: Stage) -> None:
    driver = open_browser(390, 844, scripts=False, touch=True)
    try:
        go(driver, box.url)
        driver.get("data:text/html,<title>off</title><script>document.title='on'</script>")
        assert driver.title == "off"
        go(driver, box.url)
        find(driver, "input[name=q]").send_keys("青树")
        follow(driver, find(driver, "form.search button"))
        assert any("课文朗读" in row.text for row in found(driver, "a.row"))
        go(driver, box.url + "browse")
        [grade] = [tile for tile in found(driver, "a.tile") if "三年级" in tile.text]
        follow(driver, grade)
        [subject] = [tile for tile in found(driver, "a.tile") if "语文" in tile.text]
        follow(driver, subject)
        follow(driver, find(driver, "a.card"))
        [row] = [row for row in found(driver, "a.row") if "课文朗读" in row.text]
        follow(driver, row)
        assert find(driver, "video").get_attribute("controls")
        assert not find(driver, "[data-full]").is_displayed(), "no button that does nothing"
        go(driver, page_of(box, "课外读物"))
        follow(driver, find(driver, "a[rel=next]"))
        assert "走进校园" in find(inside(driver), "body").text
        go(driver, box.url + "upload")
        sheet = box.place / "卷子.txt"
        sheet.write_text("一", "utf-8")
        find(driver, "input[type=file]").send_keys(str(sheet))
        find(driver, ".form button").click()
        wait_for("it is safe", lambda: "卷子.txt”已" in driver.page_source)
    finally:
        driver.quit()


FOCUSED = "const e = document.activeElement; return e === document.body ? -1 : window.all.indexOf(e)"
ALL = """window.all = [...document.querySelectorAll('a[href], button, input, select')].filter(e =>
  !e.classList.contains('skip') && e.type !== 'hidden' && e.getBoundingClientRect().width > 1);
  return window.all.map(e => e.getAttribute('href') || e.tagName)"""


@pytest.mark.parametrize("width", [1024, 1920])
@pytest.mark.parametrize("path", ["", "browse", "search?q=大青树", "help"])
def test_arrow_keys_reach_everything(box: Stage, browser: Any, width: int, path: str) -> None:
    """As with a TV's remote: from nothing in focus, arrow by arrow; each place is left again."""
    resize(browser, width, width * 9 // 16)
    go(browser, box.url + path)
    names = browser.execute_script(ALL)
    body = find(browser, "body")
    ways = (Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_UP)
    seen: dict[int, set[int]] = {}
    waiting = [-1]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen[here] = set()
        for way in ways:
            browser.execute_script("scrollTo(0, 0); document.activeElement.blur();"
                                   "if (arguments[0] >= 0) window.all[arguments[0]].focus()", here)
            (browser.switch_to.active_element if here >= 0 else body).send_keys(way)
            there = browser.execute_script(FOCUSED)
            if there not in (here, -1):
                seen[here].add(there)
                waiting.append(there)
    assert {names[n] for n in range(len(names)) if n not in seen} == set()
    assert [names[n] for n in seen if n >= 0 and not seen[n]] == [], "a place one cannot leave"


def test_a_remote_control_opens_a_lesson_and_a_film(box: Stage, browser: Any) -> None:
    resize(browser, 1920, 1080)
    go(browser, box.url)
    find(browser, "body").send_keys(Keys.ARROW_DOWN)
    for _ in range(12):
        here = browser.switch_to.active_element
        if "card" in (here.get_attribute("class") or ""):
            break
        here.send_keys(Keys.ARROW_DOWN)
    assert "card" in here.get_attribute("class")
    assert browser.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight", here)
    name = here.find_element(By.CSS_SELECTOR, ".card-name").text
    here.send_keys(Keys.ENTER)
    wait_for("the lesson", lambda: "/p/" in browser.current_url and find(browser, "h1").text == name)
    browser.back()
    assert browser.current_url == box.url


def test_arrows_pass_a_list_of_choices_that_ok_takes_in_hand(box: Stage, browser: Any) -> None:
    """Else what stands below it cannot be reached, or the choice changes on the way past."""
    go(browser, box.url + "upload")
    choices = find(browser, "#license")
    browser.execute_script("arguments[0].focus()", choices)

    def arrow(key: str, times: int = 1) -> tuple[int, bool]:
        """What is chosen after these keys, and whether the list still has the frame."""
        ActionChains(browser).send_keys(*[key] * times).perform()
        return (browser.execute_script("return arguments[0].selectedIndex", choices),
                browser.switch_to.active_element == choices)
    assert arrow(Keys.ENTER) == (0, True)
    assert arrow(Keys.ARROW_DOWN, 2) == (2, True)
    assert arrow(Keys.ARROW_UP) == (1, True)
    assert arrow(Keys.ENTER) == (1, True)
    assert arrow(Keys.ARROW_DOWN) == (1, False)
    assert arrow(Keys.ARROW_UP) == (1, True)
    assert arrow(Keys.ARROW_UP) == (1, False)


def test_what_has_the_focus_is_plain_to_see(box: Stage, browser: Any) -> None:
    for path in ("", "browse", "upload", "search?q=青树"):
        go(browser, box.url + path)
        for _ in range(1, len(browser.execute_script(ALL)) + 2):
            ActionChains(browser).send_keys(Keys.TAB).perform()
            style = browser.execute_script(
                "const e = document.activeElement, s = getComputedStyle(e); return [e.outerHTML.slice(0, 90),"
                "s.outlineStyle, parseFloat(s.outlineWidth), s.boxShadow, e.getBoundingClientRect().width]")
            if style[0].startswith("<body"):
                break
            assert style[1] == "solid" and style[2] >= 3 and style[3] != "none" and style[4] > 1, style


PAGES = ["", "browse", "browse?grade=三年级", "search?q=树", "search?q=没有", "upload", "help", "status",
         "nothing"]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_everything_fits_and_can_be_touched(box: Stage, browser: Any, width: int,
                                                       language: str) -> None:
    resize(browser, width, 800, touch=True)
    lesson = resources(box)["课文朗读"]["package"]
    addresses = [box.url + path for path in (*PAGES, f"p/{lesson}")]
    addresses += [page_of(box, name) for name in ("课文朗读", "教案", "课外读物", "笔顺练习", "词语表")]
    go(browser, f"{box.url}language/{language}")
    for address in addresses:
        go(browser, address)
        assert browser.execute_script(SMALL) == [], address
        assert browser.execute_script(WIDE) == [False], address


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("state", [*pictures.STATES, "hub"])
def test_every_state_of_box_and_hub_fits_a_phone_and_pleases_axe(
        browser: Any, tmp_path: Path, state: str, language: str) -> None:
    app = pictures.hub_in(tmp_path) if state == "hub" else pictures.room_in(tmp_path, pictures.STATES[state])
    script = axe.source()
    with pictures.served(app) as address:
        go(browser, f"{address}language/{language}")
        assert violations(browser, script) == []
        resize(browser, 360, 800, touch=True)
        go(browser, address)
        assert browser.execute_script(SMALL) == []
        assert browser.execute_script(WIDE) == [False]
        pictures.take(browser, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == 720 and picture.height > 1200
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_axe_finds_nothing(box: Stage, browser: Any, language: str) -> None:
    script = axe.source()
    go(browser, f"{box.url}language/{language}")
    lesson = resources(box)["课文朗读"]["package"]
    addresses = [box.url + path for path in (*PAGES, f"p/{lesson}")]
    names = ("课文朗读", "教案", "课外读物", "笔顺练习", "词语表", "插图", "生字读音")
    addresses += [page_of(box, name) for name in names]
    for address in addresses:
        go(browser, address)
        assert violations(browser, script) == [], address


def test_pages_are_answered_while_films_are_held_open(box: Stage, browser: Any) -> None:
    """As many as this browser's six connections allow; each of them gets its bytes, and the box answers."""
    go(browser, page_of(box, "课文朗读"))
    browser.execute_script("""
        const address = document.querySelector('video').src;
        for (let n = 0; n < 4; n += 1) {
          const v = document.createElement('video'); v.muted = true; v.loop = true;
          v.src = address + '?player=' + n; document.body.appendChild(v); v.play(); }""")
    wait_for("all have data", lambda: browser.execute_script(
        "return [...document.querySelectorAll('body > video')].filter(v => v.readyState >= 2).length") == 4)
    assert ask(box.url + "healthz")["ok"]


def test_by_another_name_all_is_there(box: Stage, browser: Any) -> None:
    """Bundles too: no address of the box is fixed in its pages."""
    address = page_of(box, "笔顺练习").replace("127.0.0.1", "localhost")
    go(browser, address)
    frame = find(browser, "main iframe").get_attribute("src")
    assert frame.startswith(f"http://localhost:{box.content_port}/c/")
    inside(browser)
    wait_for("its script", lambda: find(browser, "#out").text == "脚本在运行")
