"""A site's policy: when its line may be used, how fast, how much in a month (docs/format.md §5.3). No I/O.

`decide` says what may move at a moment; `finish` when what is left will have come. Times of the week are
minutes since Monday 00:00 of the site's own time, which is UTC and a fixed offset.
"""

from __future__ import annotations

import bisect
import calendar
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sync.clock import utc
from sync.errors import Misused, Refused

POLICY_FORMAT = "teachpoint-policy/1"
DAY_MIN = 1440
WEEK_MIN = 7 * DAY_MIN
#: Most spans in each list of a policy: more than a school bell rings in a week.
MOST_SPANS = 100
#: Slowest cap in bits per second: rsync counts in KiB/s, and below that no sync ends in a day.
LEAST_BITS_PER_S = 8_000
MOST_BITS_PER_S = 10**12
#: Where the site's time is not known and times matter, and for records while lessons must not move at all:
#: slow enough that a class notices nothing on a line of 2 Mbit/s, in bits per second.
SLOW_BITS_PER_S = 256_000
#: The end of a month's budget belongs to records and the feed: this share of it, at most so many bytes.
RECORDS_SHARE, MOST_RECORDS_BYTES = 0.05, 50_000_000
#: `finish` looks no further ahead, in seconds.
HORIZON_S = 400 * 86400
#: Days from Monday to 1970-01-01, a Thursday.
_EPOCH_DAY = 3

Minute = Annotated[int, Meta(ge=0, le=WEEK_MIN)]
Span = tuple[Minute, Minute]
Rate = Annotated[int, Meta(ge=LEAST_BITS_PER_S, le=MOST_BITS_PER_S)]

#: Why lessons and uploads may move (`open`; `unsure`: the time is not known, so slowly) or not: outside the
#: hours; a class hour in which nothing moves; the month's budget but for records; all of the budget.
Why = Literal["open", "unsure", "hours", "class", "budget", "spent"]


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """At most `bits_per_s` during `times`."""

    times: Annotated[tuple[Span, ...], Meta(min_length=1, max_length=MOST_SPANS)]
    bits_per_s: Rate


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of one site; the defaults limit nothing.

    utc_offset_min    the site's time minus UTC, in minutes
    hours             when lessons and uploads may move by themselves; none: always
    caps              how fast; where several hold, the lowest
    class_hours       when classes are held, and class_bits_per_s, what a sync may take of the line then; 0:
                      lessons and uploads wait
    month_bytes       both directions together in a calendar month of the site; None: no limit
    """

    format: str = POLICY_FORMAT
    utc_offset_min: Annotated[int, Meta(ge=-12 * 60, le=14 * 60)] = 8 * 60
    hours: Annotated[tuple[Span, ...], Meta(max_length=MOST_SPANS)] = ()
    caps: Annotated[tuple[Cap, ...], Meta(max_length=MOST_SPANS)] = ()
    class_hours: Annotated[tuple[Span, ...], Meta(max_length=MOST_SPANS)] = ()
    class_bits_per_s: Annotated[int, Meta(ge=0, le=MOST_BITS_PER_S)] = 0
    month_bytes: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None


#: Nothing is limited.
NO_POLICY = Policy()


@dataclass(frozen=True)
class Decision:
    """What may move at a moment.

    bits_per_s   how fast, in both directions each; None: as the line can
    until        when another decision holds, as time alone goes; None: not by time, or not known
    opens        when lessons and uploads may move, if not now; None: they may, or that is not known
    """

    why: Why
    bits_per_s: int | None
    until: float | None = None
    opens: float | None = None

    @property
    def lessons(self) -> bool:
        """May lessons come and uploads go?"""
        return self.why in ("open", "unsure")

    @property
    def records(self) -> bool:
        """May records, acknowledgements and the feed move, as they always may but for a spent budget?"""
        return self.why != "spent"


def parse_policy(value: Mapping[str, Any]) -> Policy:
    """Read the field `policy` of `desired.json`; `{}` is no policy. Raises Refused `policy-bad`."""
    if not value:
        return NO_POLICY
    try:
        policy = msgspec.convert(value, Policy)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Refused("policy-bad", reason=str(error)) from error
    if value.get("format") != POLICY_FORMAT:
        raise Refused("policy-bad", reason=f"unknown format {str(value.get('format'))[:100]!r}")
    for start, end in _spans(policy):
        if start >= end:
            raise Refused("policy-bad", reason=f"a time ends at minute {end} before it begins at {start}")
    if 0 < policy.class_bits_per_s < LEAST_BITS_PER_S:
        raise Refused("policy-bad", reason=f"a rate is below {LEAST_BITS_PER_S} bit/s")
    return policy


def as_plain(policy: Policy) -> dict[str, Any]:
    """What `parse_policy` reads; `{}` where nothing is limited and the site's time is the usual one."""
    if policy == NO_POLICY:
        return {}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(policy))
    return {name: value for name, value in plain.items() if value is not None}


# -- deciding -----------------------------------------------------------------------------------


def decide(policy: Policy, now: float | None, used_bytes: int) -> Decision:
    """What may move at `now` (seconds since 1970; None: the clock can't be believed), when `used_bytes`
    have moved in this month."""
    if now is None:
        return _decide_unsure(policy, used_bytes)
    week = _week(policy)
    _, why, rate = week[bisect.bisect_right(week, week_minute(policy, now), key=lambda piece: piece[0]) - 1]
    month_ends = month_end(policy, now)
    over = _over(policy, used_bytes)
    if over is not None:
        opens = _next(policy, month_ends, lambda piece: piece[1] == "open", here=True)
        turns = _next(policy, now, lambda piece: piece[2] != rate)
        return Decision(over, rate, month_ends if turns is None else min(turns, month_ends), opens)
    until = _next(policy, now, lambda piece: piece[1:] != (why, rate))
    opens = None if why == "open" else _next(policy, now, lambda piece: piece[1] == "open")
    return Decision(why, rate, until, opens)


def _decide_unsure(policy: Policy, used_bytes: int) -> Decision:
    """Hours can't be kept without a clock; a box that waited for one would wait for ever, since it learns the
    time by syncing. So it goes on, at the lowest rate that the policy ever asks for."""
    rates = [rate for _, _, rate in _week(policy) if rate is not None]
    if policy.hours or (policy.class_hours and not policy.class_bits_per_s):
        rates.append(SLOW_BITS_PER_S)
    rate = min(rates, default=None)
    over = _over(policy, used_bytes)
    return Decision(over or ("unsure" if rate is not None else "open"), rate)


def _over(policy: Policy, used_bytes: int) -> Literal["budget", "spent"] | None:
    if policy.month_bytes is None or used_bytes < lesson_bytes(policy.month_bytes):
        return None
    return "spent" if used_bytes >= policy.month_bytes else "budget"


def lesson_bytes(month_bytes: int) -> int:
    """What of a month's budget lessons and uploads may use."""
    return month_bytes - min(int(month_bytes * RECORDS_SHARE), MOST_RECORDS_BYTES)


def finish(policy: Policy, now: float | None, used_bytes: int, left_bytes: int,
           bytes_per_s: float) -> float | None:
    """When `left_bytes` will have moved over a line that carries `bytes_per_s`; None: not within HORIZON_S,
    or not to be said."""
    if left_bytes <= 0:
        return now
    if now is None or bytes_per_s <= 0:
        return None
    at, used, left = now, float(used_bytes), float(left_bytes)
    while at < now + HORIZON_S:
        decision = decide(policy, at, int(used))
        ends = decision.until if decision.until is not None else now + HORIZON_S
        ends = min(ends, month_end(policy, at)) if policy.month_bytes else ends
        if decision.lessons:
            rate = min(bytes_per_s, (decision.bits_per_s or MOST_BITS_PER_S) / 8)
            most = left if policy.month_bytes is None else min(
                left, max(lesson_bytes(policy.month_bytes) - int(used), 1))
            if most <= rate * (ends - at):
                left, used, at = left - most, used + most, at + most / rate
                if left <= 0:
                    return at
                continue
            moved = rate * (ends - at)
            left, used = left - moved, used + moved
        if month_of(policy, at) != month_of(policy, ends):
            used = 0.0
        at = ends
    return None


@lru_cache(maxsize=64)
def _week(policy: Policy) -> tuple[tuple[int, Literal["open", "hours", "class"], int | None], ...]:
    """The week as pieces (first minute, why, rate), the first at 0, no two neighbours alike."""
    pieces: list[tuple[int, Literal["open", "hours", "class"], int | None]] = []
    for minute in sorted({0, *(edge for span in _spans(policy) for edge in span if edge < WEEK_MIN)}):
        rates = [cap.bits_per_s for cap in policy.caps if _within(minute, cap.times)]
        why: Literal["open", "hours", "class"] = "open"
        if _within(minute, policy.class_hours):
            rates.append(policy.class_bits_per_s or SLOW_BITS_PER_S)
            why = "open" if policy.class_bits_per_s else "class"
        if policy.hours and not _within(minute, policy.hours):
            why = "hours"
        rate = min(rates, default=None)
        if not pieces or pieces[-1][1:] != (why, rate):
            pieces.append((minute, why, rate))
    return tuple(pieces)


def _spans(policy: Policy) -> tuple[Span, ...]:
    return (*policy.hours, *policy.class_hours, *(span for cap in policy.caps for span in cap.times))


def _within(minute: int, spans: Iterable[Span]) -> bool:
    return any(start <= minute < end for start, end in spans)


def week_minute(policy: Policy, now: float) -> int:
    """The minute of the site's week."""
    return int((now // 60 + policy.utc_offset_min + _EPOCH_DAY * DAY_MIN) % WEEK_MIN)


def _next(policy: Policy, now: float, fits: Callable[[tuple[int, str, int | None]], bool],
          *, here: bool = False) -> float | None:
    """The first moment after `now` (`here`: or now) at which a piece of the week begins that `fits`."""
    week = _week(policy)
    minute = week_minute(policy, now)
    place = bisect.bisect_right(week, minute, key=lambda piece: piece[0]) - 1
    if here and fits(week[place]):
        return now
    begun = now // 60 * 60
    for step in range(1, len(week) + 1):
        piece = week[(place + step) % len(week)]
        if fits(piece):
            return float(begun + 60 * ((piece[0] - minute - 1) % WEEK_MIN + 1))
    return None


def month_of(policy: Policy, now: float) -> str:
    """The site's calendar month, as `2026-11`."""
    return utc(now + 60 * policy.utc_offset_min).strftime("%Y-%m")


def local_words(policy: Policy, at: float) -> str:
    """A moment at the site, as `2026-11-25 18:00`."""
    return utc(at + 60 * policy.utc_offset_min).strftime("%Y-%m-%d %H:%M")


def month_end(policy: Policy, now: float) -> float:
    """When the site's next calendar month begins."""
    local = utc(now + 60 * policy.utc_offset_min)
    year, month = divmod(local.year * 12 + local.month, 12)
    return float(calendar.timegm((year, month + 1, 1, 0, 0, 0)) - 60 * policy.utc_offset_min)


# -- what people write and read -----------------------------------------------------------------

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = {name: number for number, day in enumerate(_DAYS) for name in (day, day[:2])} | {
    f"{before}{sign}": number for before in ("周", "星期") for number, sign in enumerate("一二三四五六日")}
_EVERY_DAY = ("daily", "每天")
_TIME = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kmgt]?)(?:b|bit/s)?", re.IGNORECASE)
_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def read_times(text: str) -> tuple[Span, ...]:
    """`mon-fri 18:00-06:00; sat,sun 00:00-24:00` as spans; a time that ends before it begins ends on the next
    day. Raises Misused `policy-times-bad`."""
    spans: list[Span] = []
    for part in filter(None, (part.strip() for part in re.split(r"[;；]", text.lower()))):
        words = part.split()
        times = [_TIME.fullmatch(one) for one in words[-1].split(",")]
        for day in _read_days("".join(words[:-1]) or "daily", text):
            for time in times:
                if time is None:
                    raise Misused("policy-times-bad", text=text)
                spans += _day_spans(day, time, text)
    if not spans:
        raise Misused("policy-times-bad", text=text)
    return merged(spans)


def _read_days(text: str, whole: str) -> list[int]:
    if text in _EVERY_DAY:
        return list(range(7))
    days: list[int] = []
    for part in re.split("[,，、]", text):
        ends = [_DAY_NAMES.get(name) for name in re.split("[-至到]", part)]
        first, last = ends[0], ends[-1]
        if len(ends) > 2 or first is None or last is None:
            raise Misused("policy-times-bad", text=whole)
        days += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return days


def _day_spans(day: int, time: re.Match[str], whole: str) -> list[Span]:
    hour, minute, end_hour, end_minute = (int(number) for number in time.groups())
    start, end = 60 * hour + minute, 60 * end_hour + end_minute
    if max(minute, end_minute) > 59 or start >= DAY_MIN or end > DAY_MIN or start == end:
        raise Misused("policy-times-bad", text=whole)
    start, end = day * DAY_MIN + start, day * DAY_MIN + (end if end > start else end + DAY_MIN)
    if end > WEEK_MIN:
        return [(start, WEEK_MIN), (0, end - WEEK_MIN)]
    return [(start, end)]


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same times in order, without overlaps."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def read_offset(text: str) -> int:
    """`+08:00` in minutes. Raises Misused `policy-times-bad`."""
    found = re.fullmatch(r"([+-])(\d{1,2}):([0-5]\d)", text.strip())
    minutes = 60 * int(found[2]) + int(found[3]) if found else 0
    minutes = -minutes if found and found[1] == "-" else minutes
    if found is None or not -12 * 60 <= minutes <= 14 * 60:
        raise Misused("policy-times-bad", text=text)
    return minutes


def read_amount(text: str) -> int:
    """`2G`, `512k`, `1.5M` as a number; thousands are 1,000. Raises Misused `policy-amount-bad`."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Misused("policy-amount-bad", text=text)
    return int(float(found[1]) * _THOUSANDS[found[2].lower()])


def read_rate(text: str) -> int:
    """`512k` in bits per second; 0 or at least LEAST_BITS_PER_S. Raises Misused `policy-amount-bad`."""
    rate = read_amount(text)
    if rate and not LEAST_BITS_PER_S <= rate <= MOST_BITS_PER_S:
        raise Misused("policy-amount-bad", text=text)
    return rate


@dataclass(frozen=True)
class Row:
    """A line of a timetable: on these days (0: Monday) from one time to another (`24:00`: midnight)."""

    days: tuple[int, ...]
    start: str
    end: str


def rows(spans: Sequence[Span]) -> list[Row]:
    """Spans as people read them: equal times of several days in one line."""
    days: dict[tuple[int, int], list[int]] = {}
    for start, end in _over_midnight(merged(spans)):
        if end - start < DAY_MIN:
            days.setdefault((start % DAY_MIN, (end - 1) % DAY_MIN + 1), []).append(start // DAY_MIN % 7)
            continue
        while start < end:
            midnight = start // DAY_MIN * DAY_MIN
            stop = min(end - midnight, DAY_MIN)
            days.setdefault((start - midnight, stop), []).append(midnight // DAY_MIN % 7)
            start = midnight + DAY_MIN
    return [Row(tuple(sorted(set(on))), _clock(start), _clock(end))
            for (start, end), on in sorted(days.items(), key=lambda item: (item[1], item[0]))]


def _over_midnight(spans: Sequence[Span]) -> list[Span]:
    """What ends with the week and goes on at its beginning as one span."""
    if len(spans) > 1 and spans[0][0] == 0 and spans[-1][1] == WEEK_MIN:
        return [*spans[1:-1], (spans[-1][0], WEEK_MIN + spans[0][1])]
    return list(spans)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def day_ranges(days: Sequence[int]) -> list[tuple[int, int]]:
    """Days as ranges of neighbours: (first, last)."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day - 1:
            found[-1] = found[-1][0], day
        else:
            found.append((day, day))
    return found


def facts(policy: Policy) -> dict[str, Any] | None:
    """The policy for JSON and pages, times as rows; None where nothing is limited."""
    if policy == Policy(utc_offset_min=policy.utc_offset_min):
        return None
    return {"utc_offset_min": policy.utc_offset_min, "hours": _plain_rows(policy.hours),
            "caps": [{**row, "bits_per_s": cap.bits_per_s} for cap in policy.caps
                     for row in _plain_rows(cap.times)],
            "class_hours": _plain_rows(policy.class_hours), "class_bits_per_s": policy.class_bits_per_s,
            "month_bytes": policy.month_bytes}


def _plain_rows(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [{"days": list(row.days), "from": row.start, "to": row.end} for row in rows(spans)]


def policy_shown(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What `facts` tells, as templates show it: days as ranges, rates in words."""
    if not told:
        return None
    return {"hours": [timetable_row(row) for row in told["hours"]],
            "caps": [{**timetable_row(row), "rate": rate_words(row["bits_per_s"])} for row in told["caps"]],
            "class_hours": [timetable_row(row) for row in told["class_hours"]],
            "class_rate": rate_words(told["class_bits_per_s"]), "month": int(told["month_bytes"] or 0)}


def timetable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Days as ranges of numbers (0: Monday), and the times."""
    return {"days": [] if len(row["days"]) == 7 else day_ranges(row["days"]), "from": row["from"],
            "to": row["to"], "always": (len(row["days"]), row["from"], row["to"]) == (7, "00:00", "24:00")}


def rate_words(bits_per_s: float | None) -> str:
    """`256 kbit/s`, `1.5 Mbit/s`; "" for none."""
    if not bits_per_s:
        return ""
    return f"{bits_per_s / 1e6:g} Mbit/s" if bits_per_s >= 10**6 else f"{bits_per_s / 1e3:g} kbit/s"


def moment(at: float | None, offset_min: int, now: float) -> str:
    """A moment by the site's clock, `18:00`, on another day `11-27 18:00`; "" for none."""
    if at is None:
        return ""
    there, today = utc(at + 60 * offset_min), utc(now + 60 * offset_min)
    return there.strftime("%H:%M" if there.date() == today.date() else "%m-%d %H:%M")


def in_words(policy: Policy) -> list[str]:
    """The policy for a terminal, in English, a line each."""
    lines = [f"lessons and uploads only {_row_words(row)}" for row in rows(policy.hours)]
    lines += [f"at most {rate_words(cap.bits_per_s)} {_row_words(row)}"
              for cap in policy.caps for row in rows(cap.times)]
    taught = (f"at most {rate_words(policy.class_bits_per_s)}" if policy.class_bits_per_s
              else "nothing but records")
    lines += [f"class hours {_row_words(row)}: {taught}" for row in rows(policy.class_hours)]
    if policy.month_bytes is not None:
        lines.append(f"at most {policy.month_bytes / 1e9:g} GB in a month, both directions together")
    hours, minutes = divmod(abs(policy.utc_offset_min), 60)
    sign = "-" if policy.utc_offset_min < 0 else "+"
    return [*lines, f"times are UTC{sign}{hours:02}:{minutes:02}"] if lines else ["no limits"]


def _row_words(row: Row) -> str:
    days = ", ".join(_DAYS[first].capitalize() if first == last
                     else f"{_DAYS[first].capitalize()}-{_DAYS[last].capitalize()}"
                     for first, last in day_ranges(row.days))
    days = "daily" if len(row.days) == len(_DAYS) else days
    return "at all times" if (days, row.start, row.end) == ("daily", "00:00", "24:00") else (
        f"{days} {row.start}-{row.end}")
