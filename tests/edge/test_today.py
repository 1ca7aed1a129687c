"""The first page by the timetable, and the page on which a teacher sets it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from sync.box.journal import Journal
from sync.box.timetable import set_own_timetable, timetable_of, timetable_told
from sync.timetable import MOST_PERIODS, NO_TIMETABLE, in_words, read_file
from tests.edge.classroom import Room, add_package, make_room
from tests.edge.page_html import Page, broken_rules
from tests.edge.test_pages import MOST_PAGE_BYTES

#: Tuesday 2023-11-14 08:10 at the site.
TUESDAY_8_10 = 1_699_920_600.0
WEEK = """tue,08:00-08:40,三年级;四年级,语文
tue,08:50-09:30,三年级,数学
tue,08:50-09:30,四年级,英语
thu,08:00-08:40,三年级,语文
"""


def lesson(room: Room, id: str, grade: str, subject: str, position: int, **more: Any) -> None:
    add_package(room.database, id, f"第{position:02}课 {id}", [
        {"name": f"{id}的课文", "entry": "a.pdf", "size": 1_500_000, **more}],
        educationalLevel=grade, about=subject, position=position)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    for n in (1, 2, 3):
        lesson(made, f"yw3-{n}", "三年级", "语文", n)
    lesson(made, "yw4-1", "4年级", "语文", 1)
    lesson(made, "sx3-1", "三年级", "数学", 1, complete=0)
    lesson(made, "sx3-2", "三年级", "数学", 2)
    made.clock.set_wall(TUESDAY_8_10)
    return made


def goes_by(room: Room, week: str = WEEK) -> None:
    set_own_timetable(room.journal, read_file(week.encode(), "a.csv"))
    tell(room)


def tell(room: Room) -> None:
    """As `box_status` of the box that `room.journal` belongs to."""
    room.status["timetable"] = timetable_told(room.journal.database)
    room.status["clock"]["believed"] = True
    room.classroom.facts.forget()


def open_lesson(database: Database, package: str) -> None:
    note = {"package": package, "version": 1, "resource": "r", "name": "n"}
    Journal(database).append("resource-opened", note)


def day(page: str) -> str:
    """The part of the first page that goes by the timetable."""
    found = re.search(r'<section class="day".*?</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def periods(page: str) -> list[str]:
    return re.findall(r'<li class="period[^"]*">.*?(?=<li class="period|</section>)', page, re.DOTALL)


def links(part: str) -> list[str]:
    return re.findall(r'href="(/p/[^"]+)"', part)


@pytest.mark.parametrize(("language", "today", "now"), [
    ("en", "Today, Tue", "Now"), ("zh-CN", "今天，周二", "现在")])
def test_the_periods_of_today_with_grades_side_by_side(room: Room, language: str, today: str,
                                                        now: str) -> None:
    goes_by(room)
    page = room.page("/", language)
    first, second = periods(page)
    assert today in day(page) and now in first and now not in second and "08:50" in second
    assert links(first) == ["/p/yw3-1", "/p/yw4-1"]
    assert links(second) == ["/p/sx3-2"], "what can be opened, not what is still on its way"
    assert "sx3-1" in second and "1.5" in second
    assert broken_rules(Page(page), language) == []


def test_what_was_opened_moves_it_on_and_can_be_opened_again(room: Room) -> None:
    goes_by(room)
    before = room.client().get("/")
    open_lesson(room.database, "yw3-2")
    assert before.headers["ETag"] != room.client().get("/").headers["ETag"]
    first = periods(room.page("/"))[0]
    assert links(first) == ["/p/yw3-3", "/p/yw3-2", "/p/yw4-1"] and "Last time: 第02课 yw3-2" in first
    for package in ("yw3-1", "yw3-3"):
        open_lesson(room.database, package)
    assert links(periods(room.page("/"))[0])[0] == "/p/yw3-3"
    assert "That was the last lesson here." in periods(room.page("/"))[0]
    assert "No lesson of it is here." in periods(room.page("/"))[1]


@pytest.mark.parametrize(("at", "heading", "now", "earlier", "count"), [
    (TUESDAY_8_10 - 11 * 60, "Today, Tue", "", "", 2), (TUESDAY_8_10 + 29 * 60, "Today, Tue", "08:00", "", 2),
    (TUESDAY_8_10 + 30 * 60, "Today, Tue", "", "08:00", 2),
    (TUESDAY_8_10 + 40 * 60, "Today, Tue", "08:50", "08:00", 2),
    (TUESDAY_8_10 + 81 * 60, "Next: Thu", "", "", 1),
    (TUESDAY_8_10 + 2 * 86400, "Today, Thu", "08:00", "", 1),
    (TUESDAY_8_10 + 3 * 86400, "Next: Tue", "", "", 2)])
def test_it_goes_by_the_sites_own_clock(room: Room, at: float, heading: str, now: str, earlier: str,
                                        count: int) -> None:
    goes_by(room)
    room.clock.set_wall(at)
    page = room.page("/")
    assert heading in day(page) and len(periods(page)) == count
    running = [part for part in periods(page) if 'class="period now"' in part]
    assert [now] * bool(now) == [re.search(r'period-from">([\d:]+)', part)[1] for part in running]  # type: ignore[index]
    over = page.partition("<details")[2]
    assert bool(earlier) == bool(over) and earlier in over


def test_the_sites_offset_counts(room: Room) -> None:
    goes_by(room)
    room.status["line"] = {"utc_offset_min": 0}
    room.classroom.facts.forget()
    assert 'class="period now"' not in room.page("/")
    room.clock.set_wall(TUESDAY_8_10 + 8 * 3600)
    assert 'class="period now"' in room.page("/")


@pytest.mark.parametrize("why", ["no clock", "no timetable", "no status"])
def test_without_a_clock_or_a_timetable_it_shows_what_is_new(room: Room, why: str) -> None:
    if why != "no timetable":
        goes_by(room)
    if why == "no clock":
        room.status["clock"]["believed"] = False
    if why == "no status":
        room.status_fails = RuntimeError("gone")
    room.classroom.facts.forget()
    page = room.page("/")
    assert day(page) == "" and "yw3-1" in page and "What is new" not in page


def test_a_full_week_of_nine_grades_stays_a_light_page(room: Room) -> None:
    subjects = ("语文", "数学", "英语", "科学", "音乐", "美术")
    grades = [f"{sign}年级" for sign in "一二三四五六七八九"]
    for grade in grades:
        for subject in subjects:
            for n in (1, 2, 3):
                lesson(room, f"x-{grades.index(grade)}-{subjects.index(subject)}-{n}", grade, subject, n)
    goes_by(room, "".join(f"tue,{8 + n}:00-{8 + n}:40,{grade},{subject}\n"
                          for n, subject in enumerate(subjects) for grade in grades))
    for grade in range(9):
        for subject in range(6):
            open_lesson(room.database, f"x-{grade}-{subject}-1")
    assert len(room.client().get("/").data) <= MOST_PAGE_BYTES
    assert len(periods(room.page("/"))) == 6


# -- the page on which it is set ------------------------------------------------------------------


def form_of(page: str) -> dict[str, str]:
    """The fields of the sheet as a browser would send them."""
    inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(
        r"<input[^>]*>", page.split("<main")[1].split("</form>")[0])]
    return {one["name"]: one.get("value", "") for one in inputs}


@pytest.mark.parametrize(("language", "words"), [("en", "Keep this week"), ("zh-CN", "保存课程表")])
def test_a_teacher_fills_in_the_week(room: Room, language: str, words: str) -> None:
    browser = room.client(language)
    page = browser.get("/timetable").get_data(as_text=True)
    assert words in page and broken_rules(Page(page), language) == []
    fields = form_of(page)
    assert fields["grade"] == "三年级"
    fields |= {"from0": "08:00", "to0": "08:40", "s0-0": "语文", "s0-4": " 数学 ",
               "from1": "9:00", "to1": "9:40"}
    answer = browser.post("/timetable", data=fields)
    assert answer.status_code == 303
    assert in_words(timetable_of(room.journal.database)[0]) == [
        "mon,08:00-08:40,三年级,语文", "fri,08:00-08:40,三年级,数学"]
    after = browser.get(answer.location).get_data(as_text=True)
    assert form_of(after)["s0-4"] == "数学"
    assert broken_rules(Page(after), language) == []


def test_each_grade_has_its_own_sheet_and_the_others_stay(room: Room) -> None:
    goes_by(room, WEEK + "fri,15:00-15:40,,体育\n")
    browser = room.client()
    fields = form_of(browser.get("/timetable?grade=四年级").get_data(as_text=True))
    assert (fields["s0-1"], fields["s1-1"], fields["s2-4"]) == ("语文", "英语", "")
    fields["s0-1"] = ""
    fields["s1-1"] = "科学"
    browser.post("/timetable", data=fields)
    assert in_words(timetable_of(room.journal.database)[0]) == [
        "tue,08:00-08:40,三年级,语文", "tue,08:50-09:30,三年级,数学", "tue,08:50-09:30,四年级,科学",
        "thu,08:00-08:40,三年级,语文", "fri,15:00-15:40,,体育"]
    fields = form_of(browser.get("/timetable?grade=").get_data(as_text=True))
    assert fields["s2-4"] == "体育"
    browser.post("/timetable", data={**fields, "s2-4": ""})
    assert "体育" not in " ".join(in_words(timetable_of(room.journal.database)[0]))


def test_what_cannot_be_right_is_said_and_stays_filled_in(room: Room) -> None:
    browser = room.client()
    fields = form_of(browser.get("/timetable").get_data(as_text=True))
    for start, end in (("08:40", "08:00"), ("", "08:00"), ("x", "y")):
        answer = browser.post("/timetable", data={**fields, "from0": start, "to0": end, "s0-2": "语文"})
        page = answer.get_data(as_text=True)
        assert answer.status_code == 400 and 'role="alert"' in page and form_of(page)["s0-2"] == "语文"
    assert timetable_of(room.journal.database) == (NO_TIMETABLE, "")


def test_what_was_set_here_can_be_taken_away(room: Room) -> None:
    goes_by(room)
    browser = room.client()
    fields = form_of(browser.get("/timetable").get_data(as_text=True))
    browser.post("/timetable", data={"token": fields["token"], "grade": "", "clear": "1"})
    assert timetable_of(room.journal.database) == (NO_TIMETABLE, "")
    assert 'name="clear"' not in browser.get("/timetable").get_data(as_text=True)


def test_a_form_of_somebody_else_sets_nothing(room: Room) -> None:
    browser = room.client()
    fields = form_of(browser.get("/timetable").get_data(as_text=True)) | {
        "from0": "08:00", "to0": "08:40", "s0-0": "语文"}
    assert browser.post("/timetable", data={**fields, "token": "0" * 64}).status_code == 403
    assert browser.post("/timetable", data=fields, headers={"Origin": "http://evil"}).status_code == 403
    assert room.client().post("/timetable", data=fields).status_code == 403
    assert timetable_of(room.journal.database) == (NO_TIMETABLE, "")


def test_a_sheet_that_is_too_much_is_refused(room: Room) -> None:
    goes_by(room, "".join(f"{day_},{n // 60 + 5}:{n % 60:02}-23:59,,语文\n"
                          for day_ in range(1, 8) for n in range(114)))
    assert 7 * 114 <= MOST_PERIODS < 7 * 114 + 7
    browser = room.client()
    fields = form_of(browser.get("/timetable?grade=一年级").get_data(as_text=True))
    answer = browser.post("/timetable", data={**fields, **{f"s0-{day}": "数学" for day in range(7)}})
    assert answer.status_code == 400 and "too long" in answer.get_data(as_text=True)
