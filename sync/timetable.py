"""A site's timetable: which grade learns what and when, week by week (docs/format.md §5.4). No I/O.

Days count from 0, Monday; times are minutes of the day, by the site's own time (its policy says how far that
is from UTC). What a timetable calls a grade or subject is matched as `sync.order` understands it, so that
3年级 and 三年级 are one.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sync.errors import Misused, Refused
from sync.order import Key, grade_key, same_kind, subject_key
from sync.text import one_line

TIMETABLE_FORMAT = "teachpoint-timetable/1"
DAY_MIN = 1440
#: Most periods: twelve a day for nine grades that never learn together.
MOST_PERIODS = 800
#: Most grades that learn together, and longest name of a grade or subject, in characters.
MOST_GRADES, MOST_NAME = 20, 40
#: Largest file that a timetable is read from, in bytes: MOST_PERIODS lines of 300 bytes.
MOST_FILE_BYTES = 256 * 1024
#: The next days that a timetable makes lessons due for: a week, so that each period comes once.
DUE_DAYS = 7

Name = Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One lesson of the week. `end` no longer belongs to it; no `grades`: all learn together."""

    day: Annotated[int, Meta(ge=0, le=6)]
    start: Annotated[int, Meta(ge=0, lt=DAY_MIN)]
    end: Annotated[int, Meta(ge=1, le=DAY_MIN)]
    subject: Name
    grades: Annotated[tuple[Name, ...], Meta(max_length=MOST_GRADES)] = ()


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """The week of one site, in order."""

    format: str = TIMETABLE_FORMAT
    periods: Annotated[tuple[Period, ...], Meta(max_length=MOST_PERIODS)] = ()


#: Nobody has set one.
NO_TIMETABLE = Timetable()


@dataclass(frozen=True, slots=True)
class Course:
    """What the lessons of a grade and subject have in common; `grade` None: of any grade."""

    grade: Key | None
    subject: Key


def parse_timetable(value: Mapping[str, Any]) -> Timetable:
    """Read the field `timetable` of `desired.json`; `{}` is none. Raises Refused `timetable-bad`."""
    if not value:
        return NO_TIMETABLE
    try:
        found = msgspec.convert(value, Timetable)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Refused("timetable-bad", reason=str(error)) from error
    if value.get("format") != TIMETABLE_FORMAT:
        raise Refused("timetable-bad", reason=f"unknown format {str(value.get('format'))[:100]!r}")
    for period in found.periods:
        if period.start >= period.end:
            raise Refused("timetable-bad", reason=f"a period ends at minute {period.end} before it begins")
        for name in (period.subject, *period.grades):
            if one_line(name, MOST_NAME) != name:
                raise Refused("timetable-bad", reason=f"malformed name {name!r}")
    return found


def as_plain(timetable: Timetable) -> dict[str, Any]:
    """What `parse_timetable` reads; `{}` where there are no periods."""
    plain: dict[str, Any] = msgspec.to_builtins(timetable) if timetable.periods else {}
    return plain


def ordered(periods: Iterable[Period]) -> Timetable:
    """A timetable of these, in order; what several grades learn at one time stands in one period.

    Raises Misused `timetable-too-long`.
    """
    grades: dict[tuple[int, int, int, str], list[str]] = {}
    everybody: set[tuple[int, int, int, str]] = set()
    for one in periods:
        key = (one.day, one.start, one.end, one.subject)
        there = grades.setdefault(key, [])
        there += [grade for grade in one.grades if grade not in there]
        if not one.grades:
            everybody.add(key)
    found = tuple(
        Period(day=key[0], start=key[1], end=key[2], subject=key[3],
               grades=() if key in everybody else tuple(sorted(grades[key], key=grade_key)))
        for key in sorted(grades, key=lambda key: (*key[:3], subject_key(key[3]))))
    if len(found) > MOST_PERIODS or any(len(one.grades) > MOST_GRADES for one in found):
        raise Misused("timetable-too-long", most=MOST_PERIODS)
    return Timetable(periods=found)


# -- what it asks for -----------------------------------------------------------------------------


def courses(period: Period) -> list[Course]:
    """What is learned in a period: a course for each grade."""
    subject = same_kind(subject_key(period.subject))
    return [Course(same_kind(grade_key(grade)), subject) for grade in period.grades] or [
        Course(None, subject)]


def courses_of(grade: str, subject: str) -> tuple[Course, Course]:
    """The courses that a lesson of this grade and subject belongs to."""
    about = same_kind(subject_key(subject))
    return Course(same_kind(grade_key(grade)), about), Course(None, about)


def following(lessons: Sequence[str], opened: Mapping[str, int]) -> tuple[str | None, Sequence[str]]:
    """The lesson of a course that was opened last, and those to come, the next first.

    `lessons` are in teaching order; `opened` numbers openings, a later one higher. What comes after the one
    opened last is next; after the end of the book, what was never opened.
    """
    last = max((one for one in lessons if one in opened), key=lambda one: opened[one], default=None)
    if last is None:
        return None, lessons
    after = lessons[lessons.index(last) + 1:]
    return last, after or [one for one in lessons if one not in opened]


def due(timetable: Timetable, week_min: int, lessons: Iterable[tuple[str, str, str]],
        opened: Mapping[str, int]) -> dict[str, int]:
    """Lesson → minutes until the timetable of the next DUE_DAYS needs it, from `week_min` (minutes since
    Monday 00:00) on; what is in use now at 0.

    `lessons` are (id, grade, subject) in teaching order. The first period of a course needs its next lesson,
    the period after that the one after, and so on; what was opened last may be looked at again.
    """
    of_course: dict[Course, list[str]] = defaultdict(list)
    for id_, grade, subject in lessons:
        for course in courses_of(grade, subject):
            of_course[course].append(id_)
    coming: dict[Course, list[str]] = {}
    found: dict[str, int] = {}
    for wait_min, period in _upcoming(timetable, week_min):
        for course in courses(period):
            if course not in coming:
                last, following_ = following(of_course.get(course, ()), opened)
                coming[course] = list(reversed(following_))
                if last is not None:
                    found[last] = min(wait_min, found.get(last, wait_min))
            if coming[course]:
                next_ = coming[course].pop()
                found[next_] = min(wait_min, found.get(next_, wait_min))
    return found


def _upcoming(timetable: Timetable, week_min: int) -> list[tuple[int, Period]]:
    """The periods of the next DUE_DAYS, and in how many minutes each begins; 0: it has begun."""
    today, minute = divmod(week_min, DAY_MIN)
    found = []
    for period in timetable.periods:
        days = (period.day - today) % 7
        if days == 0 and period.end <= minute:
            days = DUE_DAYS
        found.append((max(days * DAY_MIN + period.start - minute, 0), period))
    found.sort(key=lambda one: one[0])
    return found


# -- what people write ----------------------------------------------------------------------------

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = {name: number for number, day in enumerate(_DAYS) for name in (day, str(number + 1))} | {
    f"{before}{sign}": number for before in ("", "周", "星期", "礼拜")
    for number, sign in enumerate("一二三四五六日")} | {
    f"{before}天": 6 for before in ("周", "星期", "礼拜")}
_TIME = re.compile(r"([01]?\d|2[0-4])[:：]([0-5]\d)")
_UNTIL = re.compile(r"\s*[-–—~～至到]\s*")
_GRADES = re.compile(r"[;；、/+]")


def read_file(data: bytes, name: str) -> Timetable:
    """A timetable from a CSV file (weekday, period, grades, subject) or, where `name` ends in `.toml`, from
    `[[period]]` tables with those names.

    Raises Misused `timetable-row-bad` (which row), `timetable-too-long`, `timetable-file-bad`.
    """
    if len(data) > MOST_FILE_BYTES:
        raise Misused("timetable-too-long", most=MOST_PERIODS)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030", "replace")  # as a Chinese spreadsheet saves it
    rows = _toml_rows(text) if name.lower().endswith(".toml") else _csv_rows(text)
    return ordered(read_row(number, *row) for number, row in rows)


def read_row(number: int, day: str, period: str, grades: str, subject: str) -> Period:
    """A row as people write it: `mon`, `周一` or `1`; `08:00-08:40`; `三年级;四年级`. `number` is told
    where it cannot be read. Raises Misused `timetable-row-bad`."""
    on = _day(day)
    times = [read_time(part) for part in _UNTIL.split(period.strip())]
    names = [one_line(grade, 200) for grade in _GRADES.split(grades) if grade.strip()]
    about = one_line(subject, 200)
    if (on is None or len(times) != 2 or times[0] is None or times[1] is None or times[0] >= times[1]
            or not about or max(map(len, [about, *names])) > MOST_NAME):
        raise Misused("timetable-row-bad", row=number,
                      text=one_line(", ".join((day, period, grades, subject)), 200))
    return Period(day=on, start=times[0], end=times[1], subject=about, grades=tuple(dict.fromkeys(names)))


def read_time(text: str) -> int | None:
    """`8:05` as minutes of the day; None for what is no time."""
    match = _TIME.fullmatch(text.strip())
    minute = 60 * int(match[1]) + int(match[2]) if match else DAY_MIN + 1
    return minute if minute <= DAY_MIN else None


def time_words(minute: int) -> str:
    """Minutes of the day as `08:05`."""
    return f"{minute // 60:02}:{minute % 60:02}"


def rows(timetable: Timetable) -> list[dict[str, Any]]:
    """The periods for JSON and terminals: `day` 0 … 6, `from`, `to`, `grades`, `subject`."""
    return [{"day": one.day, "from": time_words(one.start), "to": time_words(one.end),
             "grades": list(one.grades), "subject": one.subject} for one in timetable.periods]


def in_words(timetable: Timetable) -> list[str]:
    """The timetable for a terminal, a period a line: what `read_file` reads."""
    return [f"{_DAYS[one.day]},{time_words(one.start)}-{time_words(one.end)},{';'.join(one.grades)},"
            f"{one.subject}" for one in timetable.periods]


def _day(text: str) -> int | None:
    plain = text.strip().lower()
    return _DAY_NAMES.get(plain, _DAY_NAMES.get(plain[:3]) if plain.isascii() else None)


def _csv_rows(text: str) -> list[tuple[int, tuple[str, str, str, str]]]:
    lines = text.splitlines()
    delimiter = max(",\t", key=lines[0].count) if lines else ","  # a tab: copied out of a spreadsheet
    found: list[tuple[int, tuple[str, str, str, str]]] = []
    try:
        for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), 1):
            if not any(cell.strip() for cell in cells):
                continue
            if not found and _day(cells[0]) is None and len(cells) > 1 and not _TIME.search(cells[1]):
                continue  # the names of the columns
            filled = (*cells, "", "", "", "")
            if len(cells) > 4 and any(cell.strip() for cell in cells[4:]):
                raise Misused("timetable-row-bad", row=number, text=one_line(", ".join(cells), 200))
            found.append((number, (filled[0], filled[1], filled[2], filled[3])))
    except csv.Error as error:
        raise Misused("timetable-file-bad", reason=error) from None
    return found


def _toml_rows(text: str) -> list[tuple[int, tuple[str, str, str, str]]]:
    try:
        tables = tomllib.loads(text).get("period", [])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Misused("timetable-file-bad", reason=error) from None
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise Misused("timetable-file-bad", reason="there are no [[period]] tables")
    found = []
    for number, one in enumerate(tables, 1):
        grades = one.get("grades", [])
        joined = ";".join(map(str, grades)) if isinstance(grades, list) else str(grades)
        found.append((number, (str(one.get("weekday", "")), str(one.get("period", "")), joined,
                               str(one.get("subject", "")))))
    return found
