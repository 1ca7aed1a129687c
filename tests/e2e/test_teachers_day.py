"""A teacher's day (docs/teachers-day.md): each of its tasks by touch at 390 px, by keyboard alone at 1024 px,
by arrows, OK and Back alone at 1920 px.

The tests of a size follow the day, one after the other, with one box and one device; a second device is the
TV, or a child's tablet. `tests/kiosk_ui/test_teacher_pages.py` holds that document and tests name the same
tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from kiosk_ui.pages import has_static
from sync.layout import object_path
from tests.e2e.browser import MISSING, open_browser
from tests.e2e.class_lessons import ffmpeg
from tests.e2e.hands import SIZES, Finger, Hands, Remote, hands, take
from tests.e2e.pages import CROOKED, complaints, find, found, inside
from tests.e2e.stage import Stage, ask, wait_for
from tests.e2e.viewer_files import pdf
from tests.edge.books import make_epub
from tests.lesson_packages import h5p, packed

pytestmark = [pytest.mark.e2e, pytest.mark.browser,
              pytest.mark.skipif(MISSING, reason="no chromium and chromedriver here")]

#: The languages of the devices: the words that are pressed are looked up in the catalogue.
LANGUAGES = {390: "zh-CN", 1024: "en", 1920: "zh-CN"}
LESSON, FIRST_GRADE, FIFTH_GRADE, LATE = "大青树下的小学", "天地人", "抛出去的球", "秋天的雨"
FILM, PAPER, BOOK, EXERCISE = "课文朗读", "课文", "课外读物", "选一选"
#: Under what word each is listed: the film's subtitles have its name, too.
KINDS = {FILM: "Video", PAPER: "Document", BOOK: "Book", EXERCISE: "Interactive"}
FILM_S, PAGES, WORD, WORD_ON = 60, 4, "绒球花", 3


def write_lessons(place: Path) -> list[Path]:
    """Lessons of three grades, and last one that comes late."""
    folders = [place / "人教版" / path for path in (
        f"三年级上册/语文/第01课 {LESSON}", f"一年级上册/语文/第02课 {FIRST_GRADE}",
        f"五年级下册/科学/第03课 {FIFTH_GRADE}", f"三年级上册/语文/第02课 {LATE}")]
    for folder in folders:
        folder.mkdir(parents=True)
    lesson, *others = folders
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=5:duration={FILM_S}", "-c:v", "libvpx", "-g",
           "5", "-deadline", "realtime", "-cpu-used", "8", str(lesson / f"{FILM}.webm"))
    (lesson / f"{FILM}.srt").write_text("1\n00:00:00,000 --> 00:01:00,000\n早晨\n", "utf-8")
    (lesson / f"{PAPER}.pdf").write_bytes(pdf([
        f"第{number}页 {WORD if number == WORD_ON else '山坡上'}" for number in range(1, PAGES + 1)]))
    (lesson / f"{BOOK}.epub").write_bytes(make_epub({
        "第一章 早晨": "<h1>早晨</h1><p>公鸡叫了。</p>", "第二章 上学": "<h1>上学</h1><p>走进校园。</p>"}))
    (lesson / f"{EXERCISE}.h5p").write_bytes(packed(h5p()))
    for folder in others:
        (folder / "生字.txt").write_text(f"{folder.name}\n" * 20, "utf-8")
    return folders


@dataclass
class School:
    """The hub school: its data, the ids of its lessons, the file that comes late."""

    hub_data: Path
    lessons: list[str]
    late: Path


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    """Lessons are published; boxes get them by stick, so none has met its hub and learned the time."""
    assert has_static("h5p/main.bundle.js") and has_static("pdfjs/pdf.min.js"), "run `make install`"
    stage = Stage(tmp_path_factory.mktemp("school"))
    stage.hub("init", "--name", "青山镇中心学校", "--address", "127.0.0.1", "--ssh-port", str(stage.ssh_port))
    folders = write_lessons(stage.place / "lessons")
    published = stage.hub("publish", *map(str, folders))
    return School(stage.hub_data, [one["id"] for one in published], folders[-1] / "生字.txt")


@pytest.fixture(scope="module")
def other() -> Iterator[Any]:
    """The browser of the second device."""
    driver = open_browser(1920, 1080)
    try:
        yield driver
    finally:
        driver.quit()


@dataclass
class Day:
    """A box on one day, the device in the teacher's hands, and the other device's browser."""

    width: int
    box: Stage
    hands: Hands
    other: Any
    password: str

    @property
    def driver(self) -> Any:
        return self.hands.driver

    def word(self, text: str) -> str:
        return self.hands.say(text)

    def press(self, words: str, selector: str = "a, button, summary") -> None:
        """Press what has these words (a msgid), and come to another page; its buttons stand in line."""
        self.hands.follow(selector, self.word(words))
        assert self.driver.execute_script(CROOKED) == [], words

    def switch(self, words: str, selector: str = "button") -> None:
        """Press what has these words, and stay."""
        self.hands.press(selector, self.word(words))

    def at_home(self) -> None:
        """The first page, by its name in the head of every page."""
        if self.driver.current_url == self.box.url:
            return
        self.hands.follow("a.brand")

    def open(self, name: str) -> None:
        """From the first page in two touches to something in the lesson."""
        self.at_home()
        self.hands.follow("a.card", LESSON)
        self.hands.follow("ol.rows a.row", self.row(name))

    def row(self, name: str) -> str:
        """How something is listed in its lesson."""
        return f"{name} {self.word(KINDS[name])}"

    def signed_in(self) -> None:
        self.hands.follow("nav.places a[href='/teacher']")
        if found(self.driver, "#login"):
            self.hands.write("#login", f"wang{self.width}")
            self.hands.write("#password", self.password)
            self.hands.press("#own")
            self.press("Sign in", "main button")


@pytest.fixture(scope="module", params=list(SIZES))
def day(request: pytest.FixtureRequest, school: School, other: Any,
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A box that was filled by stick and switched on this morning, with a teacher who may switch it off."""
    width = request.param
    box = Stage(tmp_path_factory.mktemp(f"day{width}"), f"day{width}")
    box.hub_data = school.hub_data
    stick = box.place / "stick"
    stick.mkdir()
    week = box.place / "week.csv"
    week.write_text("".join(
        f"{day},{start:02}:00-{start + 3:02}:00,{grade},{subject}\n"
        for day in range(1, 8) for start in range(0, 24, 3)
        for grade, subject in (("一年级", "语文"), ("三年级", "语文"), ("五年级", "科学"))), "utf-8")
    try:
        box.hub("site", "add", box.site, "--name", "大青山教学点", "--pairing", str(box.pairing))
        box.hub("timetable", box.site, "--from", str(week))
        box.hub("assign", *school.lessons, "--to", box.site)
        box.box("init", "--pairing", str(box.pairing))
        password = box.box("teacher", "add", "王老师", "--login", f"wang{width}")["password"]
        box.box("power", "--off-command", f"touch '{box.place / 'off'}'")
        box.hub("carry", box.site, "--to", str(stick))
        late = hashlib.sha256(school.late.read_bytes()).hexdigest()
        (stick / "library" / object_path(late)).unlink()
        box.box("sync", "--once", "--from", str(stick))
        box.serve_box("--no-mdns", "--no-sync")
        wait_for("the search", lambda: ask(box.url + "api/v1/resources?q=dq")["total"])
        with hands(width, LANGUAGES[width]) as mine:
            mine.go(box.url)
            yield Day(width, box, mine, other, password)
    finally:
        box.stop()


# -- the day -------------------------------------------------------------------------------------------

def test_01_open_the_first_page(day: Day) -> None:
    """Nobody signs in."""
    day.hands.see("h1", day.word("What shall we learn today?"))
    assert found(day.driver, "a.card") and not day.driver.get_cookies()
    assert complaints(day.driver) == []


def test_02_set_the_clock(day: Day) -> None:
    assert day.box.box("clock")["quality"] == "unknown"
    day.press("About this box")
    day.press("Set the clock of the box from this device", "main a")
    day.press("Set the clock of the box from this device", "main button")
    day.hands.see(".notice.good")
    assert day.box.box("clock")["quality"] == "device"


def test_03_see_todays_timetable(day: Day) -> None:
    day.at_home()
    day.hands.see(".period .card", FIRST_GRADE)
    cards = {card.text.split("\n")[-1] for card in found(day.driver, ".period")[0].find_elements(
        "css selector", ".card")}
    assert cards == {LESSON, FIRST_GRADE, FIFTH_GRADE}, "the next lesson of each grade, side by side"
    day.press("Timetable", ".day a")
    assert find(day.driver, "[name=s0-0]").get_attribute("value")
    day.hands.back()
    day.hands.see("h1", day.word("What shall we learn today?"))


def test_04_open_a_lesson_in_two_touches(day: Day) -> None:
    day.at_home()
    day.hands.follow(".period a.card", LESSON)
    day.hands.follow("ol.rows a.row", day.row(FILM))
    assert find(day.driver, "video").is_displayed()
    day.hands.back()
    day.hands.back()
    day.hands.see("h1", day.word("What shall we learn today?"))


def test_05_find_a_lesson_or_a_word(day: Day) -> None:
    """Two letters of pinyin for a lesson; a word that stands only inside a PDF, which opens at its page."""
    day.at_home()
    day.hands.write("#q", "dq")
    choose(day, LESSON)
    assert find(day.driver, "h1").text == LESSON
    day.hands.write("#q", WORD)
    choose(day, PAPER)
    shows(day, WORD_ON)


def choose(day: Day, name: str) -> None:
    """Open the suggestion of that name: the first one."""
    suggestion = ".suggestions a"
    day.hands.see(suggestion, name)
    before = day.hands.mark()
    if isinstance(day.hands, Finger):
        day.hands.press(suggestion, name)
    else:
        day.hands.keys(Keys.ARROW_DOWN)
        wait_for("its frame", lambda: day.hands.look(
            "return document.activeElement.matches(arguments[0])", suggestion))
        day.hands.keys(Keys.ENTER)
    day.hands.wait_other(before)


def shows(day: Day, page: int) -> None:
    """Wait until this page of a document is drawn."""
    wait_for(f"page {page}", lambda: find(day.driver, "[data-paper]").get_attribute(
        "data-paper-state") == f"page-{page}")


def test_06_play_a_film(day: Day) -> None:
    day.open(FILM)
    wait_for("its length", lambda: film(day, "readyState >= 1"))
    assert day.hands.look(SAID) is None, "halted at the beginning"
    if isinstance(day.hands, Finger):
        day.switch("Play on the whole screen")
    else:
        day.hands.reach("video")
        day.hands.keys(Keys.ENTER)
    wait_for("it plays", lambda: film(day, "currentTime > 0.2"))
    wait_for("its subtitles", lambda: day.hands.look(SAID) == "早晨")
    if isinstance(day.hands, Finger):
        day.hands.slide_film("video", 0.7)
    else:
        day.hands.keys(*[Keys.ARROW_RIGHT] * 4)
    wait_for("another place of it", lambda: film(day, f"currentTime > {FILM_S / 2}"))
    if isinstance(day.hands, Finger):
        day.driver.execute_script("return document.exitFullscreen()")  # Back, on a phone
    else:
        day.hands.keys(Keys.ENTER)
        wait_for("it halts", lambda: film(day, "paused"))
    day.switch("Subtitles")
    wait_for("no subtitles", lambda: day.hands.look(SAID) is None)


SAID = """const t = [...document.querySelector('video').textTracks].find(t => t.mode === 'showing');
return t && t.activeCues && t.activeCues.length ? t.activeCues[0].text : null"""


def film(day: Day, expression: str, driver: Any = None) -> Any:
    """What the first film of a page is like."""
    return (driver or day.driver).execute_script(
        f"const f = document.querySelector('video'); return f && f.{expression}")


def test_07_turn_pages_and_chapters(day: Day) -> None:
    day.open(PAPER)
    shows(day, 1)
    if isinstance(day.hands, Finger):
        day.switch("Next page")
        shows(day, 2)
        day.hands.swipe("[data-paper-view]", -200)
        shows(day, 3)
    else:
        day.hands.reach("[data-paper-view]")
        day.hands.keys(Keys.ARROW_RIGHT)
        shows(day, 2)
        day.hands.reach("[data-paper-do=before]")
        at = int(find(day.driver, "[data-paper-page]").get_attribute("value"))  # arrows turn on the way, too
        day.switch("Page before")
        shows(day, at - 1)
    day.open(BOOK)
    assert "公鸡叫了" in words_inside(day)
    day.press("Next chapter")
    assert "走进校园" in words_inside(day)
    day.hands.follow(".contents a", "第一章")
    assert "公鸡叫了" in words_inside(day)


def words_inside(day: Day) -> str:
    """What is written in the page's frame."""
    try:
        return str(find(inside(day.driver), "body").text)
    finally:
        day.driver.switch_to.default_content()


def test_08_make_the_tv_a_screen(day: Day) -> None:
    day.hands.follow("nav.places a", day.word("Help"))
    before = day.hands.mark()
    day.switch("Make this device a screen", "a")
    day.hands.see(".screen-code")
    day.hands.wait_other(before)
    day.switch("Whole screen, with sound")
    wait_for("the whole screen", lambda: day.hands.look("return Boolean(document.fullscreenElement)"))
    day.driver.execute_script("return document.exitFullscreen()")  # Back, or Escape
    day.press("Back to the lessons")
    day.hands.see("h1", day.word("What shall we learn today?"))


def room_screen(day: Day) -> str:
    """The TV of the room shows its code; that."""
    take(day.other, 1920, "zh-CN").go(day.box.url + "screen")
    code = wait_for("its code", lambda: [one.text for one in found(day.other, ".screen-code") if one.text])[0]
    return str(code).replace(" ", "")


def show_on_screen(day: Day, name: str, code: str = "") -> None:
    """Open it and show it; where this device drives no screen yet, type the code."""
    day.open(name)
    if name == PAPER:
        shows(day, 1)
    day.press("Show on the screen")
    if found(day.driver, "#code"):
        day.hands.write("#code", code)
        day.press("Connect", "main button")
    day.hands.see("#remote")


def test_09_drive_a_film_on_the_screen(day: Day) -> None:
    show_on_screen(day, FILM, room_screen(day))
    wait_for("it plays there", lambda: film(day, "currentTime > 0.2", day.other))
    day.switch("Pause")
    wait_for("it halts", lambda: film(day, "paused", day.other))
    day.hands.see("#seek")
    if isinstance(day.hands, Finger):
        day.hands.slide("#seek", 0.7)
    else:
        day.hands.reach("#seek")
        at = film(day, "currentTime", day.other)
        day.hands.keys(*[Keys.ARROW_RIGHT] * 5)
        wait_for("the bar", lambda: day.hands.look("return +document.getElementById('seek').value") >= at + 4)
    wait_for("another place", lambda: film(day, "currentTime >= 4", day.other))
    day.switch("10 seconds on")
    day.switch("Play")
    wait_for("it plays on", lambda: not film(day, "paused", day.other))
    day.switch("Make it dark")
    wait_for("dark", lambda: find(day.other, "#dark").is_displayed())
    day.switch("Show it again")
    wait_for("light", lambda: not find(day.other, "#dark").is_displayed())
    day.switch("Take it off the screen")
    wait_for("its code again", lambda: find(day.other, ".screen-code").is_displayed())


def test_10_turn_pages_and_point_on_the_screen(day: Day) -> None:
    show_on_screen(day, PAPER)
    wait_for("its first page", lambda: found(day.other, "[data-drawn='1'] canvas"))
    day.switch("Next page")
    wait_for("the next", lambda: found(day.other, "[data-drawn='2'] canvas"))
    day.other.execute_script("window.red = 0; setInterval(() => { " + RED + " }, 50)")
    if isinstance(day.hands, Finger):
        day.hands.swipe("#pad", 150)
    else:
        day.hands.press("#pad")
        day.hands.keys(*[Keys.ARROW_RIGHT] * 5)
    wait_for("a line on the screen", lambda: day.other.execute_script("return window.red > .1"))
    if not isinstance(day.hands, Finger):
        day.hands.keys(Keys.ENTER)
    day.switch("Take it off the screen")
    wait_for("its code again", lambda: find(day.other, ".screen-code").is_displayed())


#: How wide the red line on the screen is at most, as a share of the screen.
RED = """const c = document.getElementById('pointer');
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let left = c.width, right = 0;
for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && d[i] > 200 && d[i + 1] < 120) {
  const x = (i / 4) % c.width; left = Math.min(left, x); right = Math.max(right, x); }
window.red = Math.max(window.red, (right - left) / c.width);"""


def test_11_do_an_exercise(day: Day) -> None:
    day.open(EXERCISE)
    wait_for("its question", lambda: "怎么读" in words_inside(day))
    if isinstance(day.hands, Remote):
        day.switch("Open on the whole screen")
        wait_for("the whole screen", lambda: day.hands.look("return Boolean(document.fullscreenElement)"))
    with day.hands.inside("main iframe"):
        day.hands.press("#h5p button", "róng")
        day.hands.see(".said", "对")
    if isinstance(day.hands, Remote):
        day.driver.execute_script("return document.exitFullscreen()")  # Back
    day.hands.see("[data-lesson-told=kept]", day.word("The result is noted."))
    day.at_home()


def test_12_sign_in(day: Day) -> None:
    day.signed_in()
    assert find(day.driver, "h1").text == "王老师"
    [cookie] = [one for one in day.driver.get_cookies() if one["name"] == "teachpoint-teacher"]
    assert "expiry" in cookie, "the tick was set: this device stays signed in"


def test_13_make_a_lesson_plan(day: Day) -> None:
    """Two things are put into it and put in order; a child's device opens the plan, and what is in it."""
    day.signed_in()
    day.open(PAPER)
    shows(day, 1)
    day.press("Put it into a lesson plan")
    day.hands.write("#name", "周一第一节")
    day.hands.write("#note", "先读两遍")
    day.press("Put it in", "main button")
    day.open(EXERCISE)
    day.press("Put it into a lesson plan")
    day.press("Put it in", "main button")
    day.press("Change this plan")
    day.press("Earlier", "main button")
    day.press("Keep it", "main .turns button")
    day.hands.see("ol.plan li:first-child", EXERCISE)
    day.hands.see("ol.plan li:last-child", "先读两遍")
    child = take(day.other, day.width, "zh-CN")
    child.go(day.box.url + urlsplit(find(day.driver, ".qr code").text).path[1:])
    assert find(day.other, "h1").text == "周一第一节"
    child.follow("ol.plan a.row", "课文")
    wait_for("it is open", lambda: find(day.other, "[data-paper]").get_attribute(
        "data-paper-state") == "page-1")
    assert "teachpoint-teacher" not in {one["name"] for one in day.other.get_cookies()}


def test_14_send_a_file(day: Day, tmp_path: Path) -> None:
    sheet = tmp_path / "卷子.txt"
    sheet.write_text(f"{day.width}", "utf-8")
    day.signed_in()
    day.hands.follow("nav.places a", day.word("Send a file"))
    day.hands.choose_file("#file", sheet)
    day.hands.write("#title", "加法卷子")
    day.press("Send", "#send button")
    assert "加法卷子" in day.hands.see(".notice.good").text
    day.hands.follow("nav.places a", day.word("Me"))
    day.hands.see("ul.sent li", "加法卷子")
    day.hands.see("ul.sent li", day.word("Safe in the box, waiting for the line"))


def test_15_see_what_is_still_coming(day: Day) -> None:
    day.at_home()
    day.hands.see("section.side h2", day.word("Still coming"))
    day.hands.follow(".coming-list a", LATE)
    assert not found(day.driver, "ol.rows a.row") and found(day.driver, ".row.waiting")
    day.press("About this box")
    assert LATE in day.hands.see(".coming-list").text


def test_16_hang_the_address_on_the_wall(day: Day) -> None:
    day.hands.follow("nav.places a", day.word("Help"))
    day.press("Poster for the wall")
    assert found(day.driver, ".poster svg") and f":{day.box.box_port}" in find(
        day.driver, ".poster-address").text
    day.hands.write("#wifi", "ketang")
    day.press("Put it on the poster", "main button")
    assert "ketang" in find(day.driver, ".poster").text and len(found(day.driver, ".poster .qr svg")) == 2
    assert find(day.driver, "[data-print]").is_displayed()


def test_17_sign_out(day: Day) -> None:
    day.signed_in()
    day.press("Sign out", "main button")
    assert found(day.driver, "input[type=password]")


def test_18_switch_the_box_off(day: Day) -> None:
    day.signed_in()
    day.hands.follow("nav.places a", day.word("Help"))
    day.press("Switch the box off safely")
    assert not (day.box.place / "off").exists()
    day.press("Switch it off now", "main button")
    day.hands.see("[role=status]", day.word("The box switches itself off now."))
    wait_for("the system to end", (day.box.place / "off").exists)
