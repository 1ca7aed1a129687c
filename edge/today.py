"""The day by the timetable: each period's grades side by side, with the lesson that comes next for each.

What the first page shows of it depends on the catalogue, on what was opened, and on which period runs; it is
put together anew only when one of these has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge import shown
from edge.catalogue import Catalogue
from sync.clock import utc
from sync.policy import Policy
from sync.timetable import DAY_MIN, DUE_DAYS, Course, Period, courses, following, read_time


class Day:
    """The periods of a day for the first page; keeps the last answer, for all threads."""

    def __init__(self) -> None:
        self._kept: tuple[object, list[dict[str, Any]]] = (None, [])  # replaced as a whole

    def values(self, catalogue: Catalogue, status: Mapping[str, Any], now: float) -> dict[str, Any] | None:
        """The day that `status` (`box_status`) tells of: today while it has periods to come, else the next
        day that has any; None where nobody set a timetable or the clock can't be believed.

        `day` 0 Monday, `today`; `periods` that run or come, `earlier` those that are over; of each `from`,
        `to`, `now`, `entries`.
        """
        told = (status.get("timetable") or {}).get("periods") or []
        if not told or not (status.get("clock") or {}).get("believed", True):
            return None
        offset_min = (status.get("line") or {}).get("utc_offset_min", Policy().utc_offset_min)
        local = utc(now + 60 * offset_min)
        today, minute = local.weekday(), 60 * local.hour + local.minute
        week = [_period(row) for row in told]
        ahead = min((one.day - today) % DUE_DAYS if one.day != today or one.end > minute else DUE_DAYS
                    for one in week)
        day = (today + ahead) % DUE_DAYS
        chosen = [one for one in week if one.day == day]
        key = (catalogue.generation(), catalogue.last_record(), tuple(chosen))
        kept, made = self._kept
        if kept != key:
            made = _made(catalogue, chosen)
            self._kept = (key, made)
        if ahead:
            minute = -1
        periods = [{**one, "now": one["start"] <= minute < one["end"]} for one in made if one["end"] > minute]
        return {"day": day, "today": not ahead, "periods": periods,
                "earlier": [{**one, "now": False} for one in made if one["end"] <= minute]}


def _period(row: Mapping[str, Any]) -> Period:
    return Period(day=row["day"], start=read_time(row["from"]) or 0, end=read_time(row["to"]) or DAY_MIN,
                  subject=row["subject"], grades=tuple(row["grades"]))


def _made(catalogue: Catalogue, chosen: list[Period]) -> list[dict[str, Any]]:
    """Periods of one time together, in order."""
    opened = catalogue.opened()
    times: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for period in chosen:
        for grade, course in zip(period.grades or ("",), courses(period), strict=True):
            times.setdefault((period.start, period.end), []).append(
                _entry(catalogue, grade, period.subject, course, opened))
    return [{"start": start, "end": end, "entries": times[start, end],
             "from": f"{start // 60:02}:{start % 60:02}", "to": f"{end // 60:02}:{end % 60:02}"}
            for start, end in sorted(times)]


def _entry(catalogue: Catalogue, grade: str, subject: str, course: Course,
           opened: Mapping[str, int]) -> dict[str, Any]:
    """What one grade learns in a period: `next` and `last` lesson to open, `waits`: what would be next and
    has not come."""
    rows = {row.id: row for row in catalogue.course(course)}
    last, coming = following(list(rows), opened)
    ready = [one for one in coming if rows[one].resources_complete]
    waits = rows[coming[0]] if coming and not rows[coming[0]].resources_complete else None
    first = next(iter(rows.values()), None)
    return {
        "grade": grade, "subject": subject, "colour": shown.colour(subject),
        "character": shown.character(subject),
        "next": shown.lesson(rows[ready[0]]) if ready else None,
        "last": shown.lesson(rows[last]) if last is not None and rows[last].resources_complete else None,
        "waits": shown.lesson(waits) if waits else None,
        "all": shown.address("/browse", grade=first.grade, subject=first.subject) if first else None}
