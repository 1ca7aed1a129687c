"""A TV that becomes a screen of the room, and a phone that drives it: two browsers and a real box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.browser import MISSING, open_browser
from tests.e2e.class_lessons import make_lessons
from tests.e2e.stage import Stage, wait_for
from tests.e2e.test_browser import complaints, find, follow, found, go, page_of

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
        for driver in (screen, phone):
            go(driver, "about:blank")
            driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
            driver.get_log("browser")
        go(screen, box.url + "screen")
        wait_for("its code", lambda: found(screen, ".screen-code"))

    def code(self) -> str:
        return find(self.screen, ".screen-code").text.replace(" ", "")

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
