"""A TV that becomes a screen of the room, and a phone that drives it: two browsers and a real box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e import axe
from tests.e2e.browser import MISSING, open_browser, resize
from tests.e2e.class_lessons import make_lessons
from tests.e2e.pages import SMALL, WIDE, complaints, find, follow, found, go, page_of, violations
from tests.e2e.stage import Stage, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A served box with lessons."""
    stage = Stage(tmp_path_factory.mktemp("room"))
    try:
        stage.set_up()
        for lesson in make_lessons(stage.place / "source", stage.box_port):
            stage.publish(lesson)
        hub = stage.serve_hub()
        assert stage.sync()["ok"]
        hub.stop()
        stage.serve_box("--no-mdns", "--no-sync")
        yield stage
    finally:
        stage.stop()


@pytest.fixture(scope="module")
def browsers() -> Iterator[tuple[Any, Any]]:
    screen, phone = open_browser(1920, 1080), open_browser(390, 844, touch=True)
    try:
        yield screen, phone
    finally:
        screen.quit()
        phone.quit()


class Room:
    """A screen and a phone, as new; `connect` enters the code."""

    def __init__(self, box: Stage, screen: Any, phone: Any) -> None:
        self.box, self.screen, self.phone = box, screen, phone
        resize(screen, 1920, 1080)
        for driver in (screen, phone):
            go(driver, "about:blank")
            driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
            driver.get_log("browser")
        go(screen, box.url + "screen")
        wait_for("its code", lambda: found(screen, ".screen-code"))

    def code(self) -> str:
        """What stands on the screen; under what it shows, too."""
        return words(self.screen, ".screen-code").replace(" ", "")

    def connect(self, name: str = "") -> None:
        """The phone opens a resource, and enters the code."""
        go(self.phone, page_of(self.box, name) if name else self.box.url + "remote")
        if name:
            self.phone.find_element(By.CSS_SELECTOR, "[data-show-on-screen]").click()
            wait_for("the field", lambda: found(self.phone, "#code"))
        find(self.phone, "#code").send_keys(self.code())
        follow(self.phone, find(self.phone, "main .form button"))

    def show(self, name: str) -> None:
        """One touch: this phone drives one screen."""
        go(self.phone, page_of(self.box, name))
        find(self.phone, "[data-show-on-screen]").click()
        wait_for("the remote", lambda: found(self.phone, "#remote"))

    def press(self, action: str, value: str = "") -> None:
        """A button of the remote."""
        for form in found(self.phone, f"form[data-command={action}]"):
            if form.is_displayed() and value in (
                    "", form.find_element(By.NAME, "value").get_attribute("value")):
                form.find_element(By.TAG_NAME, "button").click()
                return
        raise AssertionError(f"no button for {action} {value}")

    def film(self, of: str) -> Any:
        return self.screen.execute_script(
            f"const f = document.querySelector('[data-film]'); return f && f.{of}")


@pytest.fixture
def room(box: Stage, browsers: tuple[Any, Any]) -> Room:
    return Room(box, *browsers)


def test_a_film_is_put_on_the_screen_and_driven(room: Room) -> None:
    room.connect("课文朗读")
    wait_for("it plays", lambda: room.film("currentTime > 0.2"))
    room.press("pause")
    wait_for("it halts", lambda: room.film("paused"))
    wait_for("play is offered again", lambda: find(room.phone, "form[data-command=play]").is_displayed())
    room.press("play")
    wait_for("it plays on", lambda: not room.film("paused"))
    wait_for("its length", lambda: find(room.phone, "#time").is_displayed())
    room.phone.execute_script("const s = document.getElementById('seek'); s.value = 20;"
                              "s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change'))")
    wait_for("the second asked for", lambda: room.film("currentTime >= 20"))
    wait_for("a halt is offered", lambda: find(room.phone, "form[data-command=pause]").is_displayed())
    room.press("pause")  # or a busy machine would be at the end before it goes back
    wait_for("it halts there", lambda: room.film("paused"))
    room.press("skip", "-10")
    wait_for("ten seconds back", lambda: 9 < room.film("currentTime") < 20)
    room.press("blank")
    wait_for("dark", lambda: find(room.screen, "#dark").is_displayed())
    wait_for("light is offered", lambda: find(room.phone, "form[data-command=light]").is_displayed())
    room.press("light")
    wait_for("light", lambda: not find(room.screen, "#dark").is_displayed())
    room.press("close")
    wait_for("its code again", lambda: find(room.screen, ".screen-code").is_displayed())
    wait_for("nothing on the remote", lambda: found(room.phone, ".empty"))
    assert complaints(room.screen) == [] and complaints(room.phone) == []


def test_pictures_papers_books_texts_and_games_come_one_after_the_other(room: Room) -> None:
    room.connect()
    room.show("插图")
    wait_for("the picture", lambda: room.screen.execute_script(
        "const i = document.querySelector('#stage img'); return i && i.naturalWidth") == 800)
    room.show("课外读物")
    wait_for("its first chapter", lambda: inside(room.screen, "h1") == "早晨")
    room.press("turn", "1")
    wait_for("its second chapter", lambda: "走进校园" in inside(room.screen, "body"))
    wait_for("told", lambda: find(room.phone, "#page").text == "2 / 2")
    room.press("turn", "1")
    room.press("turn", "-1")
    wait_for("the first again", lambda: inside(room.screen, "h1") == "早晨")
    room.show("教案")
    wait_for("its first page", lambda: found(room.screen, "[data-drawn='1'] canvas"))
    wait_for("how many there are", lambda: words(room.phone, "#page") == "1 / 3")
    room.press("turn", "1")
    wait_for("the next", lambda: found(room.screen, "[data-drawn='2'] canvas"))
    room.show("笔顺练习")
    wait_for("its script", lambda: inside(room.screen, "#out") == "脚本在运行")
    room.show("词语表")
    wait_for("the text", lambda: "绒球花" in find(room.screen, "#stage").text)
    room.press("before")
    wait_for("what stands before it", lambda: words(room.phone, "main .lead") not in ("", "词语表"))


def words(driver: Any, selector: str) -> str:
    """The words of an element; "" while it is not there: a page may just be coming."""
    return "".join(one or "" for one in driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector))


def inside(driver: Any, selector: str) -> str:
    """The words of an element in the screen's frame; "" while it is not there."""
    try:
        driver.switch_to.default_content()
        driver.switch_to.frame(find(driver, "#stage iframe"))
        return str(find(driver, selector).text)
    except Exception:
        return ""
    finally:
        driver.switch_to.default_content()


def test_after_a_power_cut_it_shows_the_same_again(box: Stage, room: Room) -> None:
    room.connect("课文朗读")
    wait_for("it plays", lambda: room.film("currentTime > 0.2"))
    room.phone.execute_script("const s = document.getElementById('seek'); s.value = 12;"
                              "s.dispatchEvent(new Event('change'))")
    wait_for("there", lambda: room.film("currentTime >= 12"))
    room.press("pause")
    wait_for("it halts", lambda: room.film("paused"))
    service = box._running[-1]
    service.kill()
    wait_for("it says so", lambda: find(room.screen, "#away").is_displayed())
    assert room.film("currentTime >= 12"), "it goes on showing"
    box.serve_box("--no-mdns", "--no-sync")
    wait_for("it is back", lambda: not find(room.screen, "#away").is_displayed())
    room.press("play")
    wait_for("the same phone drives it", lambda: not room.film("paused"))
    box._running[-1].kill()
    room.screen.get("about:blank")  # the TV's power, too
    box.serve_box("--no-mdns", "--no-sync")
    go(room.screen, box.url + "screen")
    wait_for("the film stands where it was", lambda: room.film("readyState >= 1 && document.querySelector("
                                                               "'[data-film]').currentTime >= 12"))
    assert room.film("paused"), "the class may not be there"
    go(room.phone, room.phone.current_url)
    room.press("close")
    wait_for("its code", lambda: find(room.screen, ".screen-code").is_displayed())


# -- the finger, the keys, the touches -----------------------------------------------------------------

RED = """const c = document.getElementById('pointer');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let left = c.width, right = -1, n = 0;
for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && d[i] > 200 && d[i + 1] < 120) {
  n += 1; const x = (i / 4) % c.width; left = Math.min(left, x); right = Math.max(right, x); }
return n ? [left / c.width, right / c.width] : null"""


def test_what_the_finger_draws_stands_on_the_screen_for_a_moment(room: Room) -> None:
    room.connect("插图")
    pad = find(room.phone, "#pad")
    room.phone.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
    room.screen.execute_script("window.most = [1, 0]; setInterval(() => { const r = (() => {" + RED + "})();"
                               "if (r) { most = [Math.min(most[0], r[0]), Math.max(most[1], r[1])] } }, 50)")
    box = pad.rect
    for x in (-0.3, 0.3):  # from the middle of the pad
        ActionChains(room.phone).move_to_element_with_offset(pad, int(x * box["width"]), 0).click_and_hold() \
            .move_by_offset(10, 5).release().perform()
    wait_for("both places", lambda: room.screen.execute_script("return most[0] < .25 && most[1] > .75"))
    wait_for("it goes by itself", lambda: room.screen.execute_script(RED) is None)


def test_keys_of_a_tv_drive_its_own_screen(room: Room) -> None:
    room.connect("课文朗读")
    wait_for("it plays", lambda: room.film("currentTime > 0.2"))
    keys = ActionChains(room.screen)
    keys.send_keys(Keys.ENTER).perform()
    wait_for("OK halts it", lambda: room.film("paused"))
    wait_for("the phone knows", lambda: find(room.phone, "form[data-command=play]").is_displayed())
    before = room.film("currentTime")
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    wait_for("ten seconds on", lambda: room.film("currentTime") > before + 9)
    room.show("课外读物")
    wait_for("the first chapter", lambda: inside(room.screen, "h1") == "早晨")
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    wait_for("the second chapter", lambda: "走进校园" in inside(room.screen, "body"))
    wait_for("the phone knows", lambda: words(room.phone, "#page") == "2 / 2")
    room.press("close")
    wait_for("the code", lambda: find(room.screen, ".screen-code").is_displayed())
    places = set()
    for _ in range(4):
        keys.send_keys(Keys.ARROW_RIGHT).perform()
        places.add(room.screen.execute_script("return document.activeElement.className"))
    assert any("button" in one for one in places)


def test_two_touches_with_one_screen_or_several(box: Stage, room: Room) -> None:
    """The remote's page is there after one touch where one screen is on; else after the choice of one."""
    room.connect()
    room.show("插图")  # one touch
    wait_for("the picture", lambda: found(room.screen, "#stage img"))
    second = open_browser(1024, 768)
    try:
        other = Room(box, second, room.phone)  # the phone begins anew
        for code in (room.code(), other.code()):
            go(room.phone, box.url + "remote")
            find(room.phone, "#code").send_keys(code)
            follow(room.phone, find(room.phone, "main .form button"))
        go(room.phone, page_of(box, "词语表"))
        find(room.phone, "[data-show-on-screen]").click()
        wait_for("the choice", lambda: len(found(room.phone, "button.choice")) == 2)
        follow(room.phone, found(room.phone, "button.choice")[1])
        wait_for("it", lambda: sum("绒球花" in words(one, "#stage") for one in (room.screen, second)) == 1)
    finally:
        second.quit()


# -- who may not ---------------------------------------------------------------------------------------

def test_foreign_html_on_the_screen_drives_nothing(box: Stage, room: Room) -> None:
    """A hostile lesson on the screen itself: it reaches neither the screen's page nor its addresses."""
    room.connect("坏课件")
    told: dict[str, str] = {}

    def done() -> bool:
        room.screen.switch_to.default_content()
        room.screen.switch_to.frame(find(room.screen, "#stage iframe"))
        told.update({one.get_attribute("data-name"): one.text for one in found(room.screen, "li")})
        return "end" in told
    wait_for("its frame", lambda: found(room.screen, "#stage iframe"))
    wait_for("all attacks", done)
    more = room.screen.execute_async_script("""
        const done = arguments[1], main = arguments[0], got = {};
        const form = document.createElement('form');
        form.action = main + 'screen/said'; form.method = 'post';
        document.body.appendChild(form); form.submit();
        const ways = {
          remote: () => fetch(main + 'remote/screens', {credentials: 'include'}).then(r => r.text()),
          blind: () => fetch(main + 'screen/here', {method: 'POST', mode: 'no-cors'}).then(r => r.type),
          view: () => fetch(main + 'screen/wait').then(r => r.text()),
          above: () => Promise.resolve().then(() => parent.document.body.getAttribute('data-token'))};
        Promise.all(Object.keys(ways).map(n => ways[n]().then(t => { got[n] = 'YES ' + t; },
          e => { got[n] = 'no ' + e.name; }))).then(() => done(got));""", box.url)
    room.screen.switch_to.default_content()
    assert told.pop("origin") == "null" and told.pop("end")
    assert {name: text for name, text in told.items() if not text.startswith("no: ")} == {}
    assert set(more) == {"remote", "blind", "view", "above"}
    assert {name: text for name, text in more.items() if not text.startswith("no ")} == {}
    assert room.screen.current_url.startswith(box.url + "screen")
    room.press("close")
    wait_for("the code", lambda: find(room.screen, ".screen-code").is_displayed())


def test_without_scripts_the_screen_says_so_and_the_remote_works(box: Stage, room: Room) -> None:
    driver = open_browser(390, 844, "en", scripts=False, touch=True)
    try:
        go(driver, box.url + "screen")
        assert "A screen needs scripts" in find(driver, "main").text
        go(driver, page_of(box, "插图"))
        follow(driver, find(driver, "[data-show-on-screen]"))
        find(driver, "#code").send_keys(room.code())
        follow(driver, find(driver, "main .form button"))
        wait_for("the picture", lambda: found(room.screen, "#stage img"))
        follow(driver, find(driver, "form[data-command=blank] button"))
        wait_for("dark", lambda: find(room.screen, "#dark").is_displayed())
        follow(driver, find(driver, "form[data-command=close] button"))
        wait_for("the code", lambda: find(room.screen, ".screen-code").is_displayed())
    finally:
        driver.quit()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_screen_and_remote_please_axe_and_fit(box: Stage, room: Room, language: str) -> None:
    script = axe.source()
    for driver in (room.screen, room.phone):
        go(driver, f"{box.url}language/{language}?next=/help")
    go(room.screen, box.url + "screen")
    assert violations(room.screen, script) == []
    assert room.screen.execute_script("const s = document.scrollingElement;"
                                      "return s.scrollHeight <= innerHeight && s.scrollWidth <= innerWidth")
    room.connect()
    assert violations(room.phone, script) == []
    for name in ("课文朗读", "插图", "教案"):
        room.show(name)
        wait_for("it", lambda: found(room.screen, "#stage > *"))
        assert violations(room.phone, script) == [], name
        assert violations(room.screen, script) == [], name
        assert room.phone.execute_script(SMALL) == [] and room.phone.execute_script(WIDE) == [False], name
    go(room.phone, box.url + "remote")
    assert violations(room.phone, script) == []
    assert room.phone.execute_script(SMALL) == [] and room.phone.execute_script(WIDE) == [False]
