"""`/timetable`: the week of each grade as on paper, periods down and days across.

What is set here goes before the hub's. No sign-in: whoever stands in the classroom may, as with chalk; the
hub is told that it was set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from edge import shown
from edge.forms import form_page, must_be_ours, see_other
from edge.web import Classroom
from sync.box.journal import Journal
from sync.box.timetable import set_own_timetable, timetable_of
from sync.errors import Misused, TeachpointError
from sync.logs import log
from sync.order import grade_key, same_kind, subject_key
from sync.text import one_line
from sync.timetable import (
    MOST_NAME,
    NO_TIMETABLE,
    Period,
    Timetable,
    ordered,
    read_time,
    time_words,
)

#: Rows of the sheet: at least so many, and how many stay empty below what is there; at most.
LEAST_ROWS, EMPTY_ROWS, MOST_ROWS = 8, 2, 24
DAYS = range(7)


def register(app: Flask, classroom: Classroom, secret: bytes, journal: Callable[[], Journal]) -> None:
    """Add the page and its form to the classroom's app. `journal` opens the journal for a thread."""
    app.register_blueprint(_Sheet(classroom, secret, journal).blueprint())


class _Sheet:
    def __init__(self, classroom: Classroom, secret: bytes, journal: Callable[[], Journal]) -> None:
        self.classroom, self.secret, self.journal = classroom, secret, journal

    def blueprint(self) -> Blueprint:
        routes = Blueprint("timetable", __name__)
        routes.add_url_rule("/timetable", "show", self.show)
        routes.add_url_rule("/timetable", "set", self.set, methods=["POST"])
        return routes

    def show(self) -> Response:
        """The week of one grade, to be read and changed."""
        timetable, _ = timetable_of(self.journal().database)
        grade = self.grade(timetable, request.args.get("grade"))
        return self.page(grade, _sheet(timetable, grade), saved="saved" in request.args)

    def set(self) -> AnyResponse:
        """Take over the sheet of one grade, or go back to the hub's timetable."""
        must_be_ours(self.secret)
        journal, grade = self.journal(), one_line(request.form.get("grade", ""), MOST_NAME)
        try:
            if "clear" in request.form:
                set_own_timetable(journal, NO_TIMETABLE)
            else:
                timetable, _ = timetable_of(journal.database)
                set_own_timetable(journal, ordered([*_others(timetable, grade), *_typed(grade)]))
        except TeachpointError as error:
            log("edge.timetable").warning("timetable-not-set", code=error.code)
            return self.page(grade, _typed_again(), error)
        self.classroom.facts.forget()
        self.classroom.state.wake()
        return see_other(shown.address("/timetable", grade=grade, saved=1))

    def grades(self, timetable: Timetable) -> list[str]:
        """The grades of the lessons that are here and of the timetable, each once."""
        named = [row.name for row in self.classroom.state.catalogue().grades() if row.name]
        named += [grade for period in timetable.periods for grade in period.grades]
        kinds: dict[object, str] = {}
        for name in named:
            kinds.setdefault(same_kind(grade_key(name)), name)
        return sorted(kinds.values(), key=grade_key)

    def grade(self, timetable: Timetable, wish: str | None) -> str:
        """The grade whose week is asked for; "": all together."""
        if wish is not None:
            return one_line(wish, MOST_NAME)
        return next(iter(self.grades(timetable)), "")

    def page(self, grade: str, sheet: list[dict[str, Any]], error: TeachpointError | None = None, *,
             saved: bool = False) -> Response:
        """The page, with what is wrong with what was sent."""
        timetable, source = timetable_of(self.journal().database)
        subjects = {row.name for row in self.classroom.state.catalogue().subjects() if row.name}
        subjects |= {period.subject for period in timetable.periods}
        return form_page("timetable.html", self.secret, {
            **self.classroom.common("timetable"),
            "grade": grade, "sheet": sheet, "source": source, "saved": saved, "days": list(DAYS),
            "grades": [{"name": name, "here": same_kind(grade_key(name)) == same_kind(grade_key(grade)),
                        "address": shown.address("/timetable", grade=name)}
                       for name in [*self.grades(timetable), ""]],
            "subjects": sorted(subjects, key=subject_key)}, error)


def _of(period: Period, grade: str) -> bool:
    """Does it stand on the sheet of this grade?"""
    kind = same_kind(grade_key(grade))
    return any(same_kind(grade_key(name)) == kind for name in period.grades or ("",))


def _sheet(timetable: Timetable, grade: str) -> list[dict[str, Any]]:
    """The rows of the sheet: the times of the whole school, with this grade's subjects."""
    times = sorted({(one.start, one.end) for one in timetable.periods})
    cells = {(one.start, one.end, one.day): one.subject for one in timetable.periods if _of(one, grade)}
    rows = [{"from": time_words(start), "to": time_words(end),
             "subjects": [cells.get((start, end, day), "") for day in DAYS]} for start, end in times]
    empty = max(LEAST_ROWS - len(rows), EMPTY_ROWS)
    return [*rows, *({"from": "", "to": "", "subjects": [""] * len(DAYS)} for _ in range(empty))][:MOST_ROWS]


def _others(timetable: Timetable, grade: str) -> list[Period]:
    """What stands on the sheets of other grades."""
    found = []
    for one in timetable.periods:
        left = tuple(name for name in one.grades if same_kind(grade_key(name)) != same_kind(grade_key(grade)))
        if left or (not one.grades and grade):
            found.append(Period(day=one.day, start=one.start, end=one.end, subject=one.subject, grades=left))
    return found


def _typed_again() -> list[dict[str, Any]]:
    """The sheet as it was filled in."""
    return [{"from": _field(f"from{row}"), "to": _field(f"to{row}"),
             "subjects": [_field(f"s{row}-{day}") for day in DAYS]}
            for row in range(MOST_ROWS) if f"from{row}" in request.form]


def _typed(grade: str) -> list[Period]:
    """The periods of the sheet that was filled in. Raises Misused `timetable-row-bad`."""
    found = []
    for number, row in enumerate(_typed_again(), 1):
        start, end = read_time(row["from"]), read_time(row["to"])
        for day, subject in enumerate(row["subjects"]):
            if not subject:
                continue
            if start is None or end is None or start >= end:
                raise Misused("timetable-row-bad", row=number, text=f"{row['from']}-{row['to']} {subject}")
            found.append(Period(day=day, start=start, end=end, subject=subject,
                                grades=(grade,) if grade else ()))
    return found


def _field(name: str) -> str:
    return one_line(request.form.get(name, ""), MOST_NAME)
