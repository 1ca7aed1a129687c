"""The timetable: what people write is read, what breaks a rule refused, and lessons are due when it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.canonical import canonical
from sync.desired import DESIRED_FORMAT, Desired, dump, parse_desired
from sync.errors import Misused, Refused
from sync.timetable import (
    MOST_FILE_BYTES,
    NO_TIMETABLE,
    TIMETABLE_FORMAT,
    Period,
    Timetable,
    as_plain,
    due,
    following,
    in_words,
    ordered,
    parse_timetable,
    read_file,
)
from tests.golden_files import same_as_golden

WEEK = """星期,节次,年级,科目
周一,8:00-8:40,三年级;四年级,语文
周一,08:50-09:30,三年级,数学
周一,08:50-09:30,四年级,英语
周三,08:00-08:40,3年级,Chinese
星期五,15:00～15:40,,体育
"""


def read(text: str, name: str = "week.csv") -> Timetable:
    return read_file(text.encode(), name)


def test_a_spreadsheet_is_read_in_any_of_its_ways() -> None:
    week = read(WEEK)
    assert in_words(week) == [
        "mon,08:00-08:40,三年级;四年级,语文", "mon,08:50-09:30,三年级,数学", "mon,08:50-09:30,四年级,英语",
        "wed,08:00-08:40,3年级,Chinese", "fri,15:00-15:40,,体育"]
    assert read_file(WEEK.encode("gb18030"), "week.csv") == week
    assert read_file(b"\xef\xbb\xbf" + WEEK.replace("\n", "\r\n").encode(), "week.csv") == week
    assert read(WEEK.replace(",", "\t"), "week.txt") == week
    assert read("\n".join(in_words(week))) == week
    toml = "\n".join(f'[[period]]\nweekday = "{day}"\nperiod = "{time}"\ngrades = {grades}\n'
                     f'subject = "{about}"'
                     for day, time, grades, about in (
                         ("mon", "08:00-08:40", '["三年级", "四年级"]', "语文"),
                         ("1", "08:50-09:30", '["三年级"]', "数学"),
                         ("Monday", "08:50-09:30", '"四年级"', "英语"),
                         ("三", "08:00-08:40", '["3年级"]', "Chinese"), ("fri", "15:00-15:40", "[]", "体育")))
    assert read(toml, "week.TOML") == week
    assert read("") == read("weekday,period,grades,subject\n") == NO_TIMETABLE


def test_grades_of_one_period_are_joined() -> None:
    week = read("mon,08:00-08:40,四年级,语文\nmon,08:00-08:40,一年级,语文\nmon,08:00-08:40,四年级,语文\n")
    assert in_words(week) == ["mon,08:00-08:40,一年级;四年级,语文"]


@pytest.mark.parametrize(("text", "row"), [
    ("mon,08:00-08:40,三年级,语文\nmon,08:40,三年级,语文", 2), ("noday,08:00-08:40,三年级,语文", 1),
    ("mon,08:40-08:00,三年级,语文", 1), ("mon,08:00-08:00,三年级,语文", 1),
    ("mon,24:01-24:02,三年级,语文", 1),
    ("mon,08:00-08:40,三年级,", 1), ("mon,08:00-08:40,三年级," + "长" * 41, 1), ("mon,08:00-08:40", 1),
    ("mon,08:00-08:40,三年级,语文,更多", 1), ("mon,a-b,三年级,语文\n", 1)])
def test_a_row_that_cannot_be_read_is_named(text: str, row: int) -> None:
    with pytest.raises(Misused) as caught:
        read(text)
    assert (caught.value.code, caught.value.facts["row"]) == ("timetable-row-bad", row)


def test_bounds_are_held() -> None:
    many = "\n".join(f"mon,00:00-{n // 60:02}:{n % 60:02},,语文" for n in range(1, 802))
    for data, name, code in ((many.encode(), "a.csv", "timetable-too-long"),
                             (b"x" * (MOST_FILE_BYTES + 1), "a.csv", "timetable-too-long"),
                             (b"period = 1", "a.toml", "timetable-file-bad"),
                             (b"= =", "a.toml", "timetable-file-bad")):
        with pytest.raises(Misused) as caught:
            read_file(data, name)
        assert caught.value.code == code


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.toml"]))
def test_any_file_is_read_or_refused(data: bytes, name: str) -> None:
    try:
        week = read_file(data, name)
    except Misused:
        return
    assert parse_timetable(as_plain(week)) == week


GOOD: dict[str, Any] = {"day": 0, "start": 480, "end": 520, "subject": "语文", "grades": ["三年级"]}


@pytest.mark.parametrize("plain", [
    {"format": "teachpoint-timetable/2", "periods": []}, {"periods": []},
    *({"format": TIMETABLE_FORMAT, "periods": [{**GOOD, **bad}]} for bad in (
        {"day": 7}, {"start": 520}, {"start": -1}, {"end": 1441}, {"subject": ""}, {"subject": "a\nb"},
        {"grades": ["\u202ex"]}, {"grades": [""]}, {"grades": "三年级"})),
    {"format": TIMETABLE_FORMAT, "periods": [GOOD] * 801}])
def test_a_timetable_of_a_feed_that_breaks_a_rule_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        parse_timetable(plain)
    assert caught.value.code == "timetable-bad"


def test_it_travels_in_the_desired_state_and_old_boxes_do_not_see_it() -> None:
    week = read(WEEK)
    desired = Desired(format=DESIRED_FORMAT, site="dali", time=1_764_000_000, packages=[],
                      timetable=as_plain(week))
    same_as_golden("desired-timetable.json", dump(desired))
    told = parse_desired(dump(desired), "dali").timetable
    assert isinstance(told, dict) and parse_timetable(told) == week
    later = {**as_plain(week), "later": 1}
    assert parse_timetable(later) == week
    assert b"timetable" not in dump(Desired(format=DESIRED_FORMAT, site="dali", time=0, packages=[]))
    assert canonical(as_plain(week)) in dump(desired)


LESSONS = [("y1", "三年级", "语文"), ("y2", "三年级", "语文"), ("y3", "三年级", "语文"),
           ("s1", "三年级", "数学"), ("e1", "四年级", "英语"), ("p1", "", "体育"), ("z1", "五年级", "语文")]
DAY = 1440


def test_the_lesson_after_the_one_opened_last_is_next() -> None:
    books = ["1", "2", "3"]
    assert following(books, {}) == (None, ["1", "2", "3"])
    assert following(books, {"1": 7}) == ("1", ["2", "3"])
    assert following(books, {"2": 9, "1": 8}) == ("2", ["3"])
    assert following(books, {"3": 9, "1": 8}) == ("3", ["2"])
    assert following(books, {"1": 1, "2": 2, "3": 3}) == ("3", [])
    assert following([], {"1": 1}) == (None, [])


def test_each_period_of_the_next_week_makes_one_lesson_due() -> None:
    week = read(WEEK)
    sunday = 6 * DAY + 20 * 60
    monday_8 = 4 * 60 + 8 * 60
    assert due(week, sunday, LESSONS, {}) == {
        "y1": monday_8, "s1": monday_8 + 50, "e1": monday_8 + 50, "y2": monday_8 + 2 * DAY,
        "p1": monday_8 + 4 * DAY + 7 * 60}
    assert due(week, sunday, LESSONS, {"y1": 3}) == {
        "y1": monday_8, "y2": monday_8, "y3": monday_8 + 2 * DAY, "s1": monday_8 + 50, "e1": monday_8 + 50,
        "p1": monday_8 + 4 * DAY + 7 * 60}


def test_a_period_that_runs_needs_its_lesson_now_and_one_that_is_over_next_week() -> None:
    week = ordered([Period(day=2, start=480, end=520, subject="语文", grades=("三年级",))])
    for minute, wait in ((479, 1), (480, 0), (519, 0), (520, 7 * DAY - 40)):
        assert due(week, 2 * DAY + minute, LESSONS, {}) == {"y1": wait}
    assert due(NO_TIMETABLE, 0, LESSONS, {}) == {}
