"""A site's policy: what may move when; held against a model that looks at each minute by itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import policy as policies
from sync.errors import Misused, Refused
from sync.policy import (
    LEAST_BITS_PER_S,
    MOST_SPANS,
    NO_POLICY,
    POLICY_FORMAT,
    SLOW_BITS_PER_S,
    WEEK_MIN,
    Cap,
    Policy,
    Row,
    Span,
    as_plain,
    decide,
    finish,
    lesson_bytes,
    merged,
    month_end,
    month_of,
    parse_policy,
    read_amount,
    read_times,
    rows,
)

LIMITED = settings(max_examples=150, deadline=None)
SPANS = st.lists(st.tuples(st.integers(0, WEEK_MIN - 1), st.integers(1, WEEK_MIN)).filter(
    lambda span: span[0] < span[1]), max_size=4).map(tuple)
RATES = st.integers(LEAST_BITS_PER_S, 10**9)
POLICIES = st.builds(
    Policy, utc_offset_min=st.integers(-720, 840), hours=SPANS, class_hours=SPANS,
    caps=st.lists(st.builds(Cap, times=SPANS.filter(bool), bits_per_s=RATES), max_size=3).map(tuple),
    class_bits_per_s=st.just(0) | RATES, month_bytes=st.none() | st.integers(1, 2**50))
TIMES = st.integers(1_000_000, 4_000_000_000).map(float)
USED = st.integers(0, 2**51)
NOON = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp()  # a Wednesday


def at(day: int, hour: int, minute: int = 0) -> float:
    """A time of November 2026 at the site (UTC+8)."""
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp()


def model(policy: Policy, now: float) -> tuple[bool, int | None]:
    """Do the hours let lessons move, and how fast: said once more, minute by minute, with a calendar."""
    local = dt.datetime.fromtimestamp(now, dt.timezone(dt.timedelta(minutes=policy.utc_offset_min)))
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute

    def within(spans: tuple[Span, ...]) -> bool:
        return any(start <= minute < end for start, end in spans)

    rates = [cap.bits_per_s for cap in policy.caps if within(cap.times)]
    if within(policy.class_hours):
        rates.append(policy.class_bits_per_s or SLOW_BITS_PER_S)
    open_ = (not policy.hours or within(policy.hours)) and (
        policy.class_bits_per_s > 0 or not within(policy.class_hours))
    return open_, min(rates, default=None)


# -- deciding -----------------------------------------------------------------------------------


@LIMITED
@given(POLICIES, TIMES)
def test_the_decision_is_what_the_calendar_says(policy: Policy, now: float) -> None:
    decision = decide(policy, now, 0)
    assert (decision.lessons, decision.bits_per_s) == model(policy, now)
    assert decision.records


@LIMITED
@given(POLICIES, TIMES, USED, st.lists(st.floats(0.0, 0.999), min_size=8, max_size=8))
def test_a_decision_holds_until_it_says_and_not_longer(
        policy: Policy, now: float, used: int, shares: list[float]) -> None:
    decision = decide(policy, now, used)
    same = ("why", "bits_per_s")
    if decision.until is None:
        moments = [now + share * 8 * 86400 for share in shares]
        moments = [moment for moment in moments if month_of(policy, moment) == month_of(policy, now)]
    else:
        assert now < decision.until
        moments = [now + share * (decision.until - now) for share in shares]
        new_month = month_of(policy, decision.until) != month_of(policy, now)
        after = decide(policy, decision.until, 0 if new_month else used)
        assert (after.why, after.bits_per_s) != (decision.why, decision.bits_per_s) or new_month
    for moment in moments:
        then = decide(policy, moment, used)
        assert [getattr(then, name) for name in same] == [getattr(decision, name) for name in same]


@LIMITED
@given(POLICIES, TIMES, USED)
def test_what_is_closed_says_when_it_opens(policy: Policy, now: float, used: int) -> None:
    decision = decide(policy, now, used)
    if decision.lessons:
        assert decision.opens is None
    elif decision.opens is None:
        assert not any(model(policy, now + 60.0 * minute)[0] for minute in range(0, WEEK_MIN, 7))
    else:
        assert decision.opens > now and decide(policy, decision.opens, 0).lessons


@LIMITED
@given(POLICIES, TIMES, USED)
def test_a_budget_is_kept_and_its_end_left_to_records(policy: Policy, now: float, used: int) -> None:
    for moment in (now, None):
        decision = decide(policy, moment, used)
        if policy.month_bytes is None:
            assert decision.records
            continue
        assert lesson_bytes(policy.month_bytes) <= policy.month_bytes
        if used >= lesson_bytes(policy.month_bytes):
            assert not decision.lessons
        assert decision.records == (used < policy.month_bytes)


@LIMITED
@given(POLICIES, TIMES)
def test_without_a_clock_a_sync_is_never_faster_than_at_any_time_nor_locked_out(
        policy: Policy, now: float) -> None:
    decision = decide(policy, None, 0)
    assert decision.until is None
    assert decision.lessons or policy.month_bytes is not None
    known = decide(policy, now, 0)
    if known.bits_per_s is not None:
        assert decision.bits_per_s is not None and decision.bits_per_s <= known.bits_per_s
    if not known.lessons and decision.lessons:
        assert decision.bits_per_s is not None and decision.bits_per_s <= SLOW_BITS_PER_S


@LIMITED
@given(POLICIES, TIMES)
def test_a_month_ends_where_the_next_begins(policy: Policy, now: float) -> None:
    ends = month_end(policy, now)
    assert now < ends <= now + 31 * 86400
    assert month_of(policy, ends - 1) == month_of(policy, now) != month_of(policy, ends)


def test_a_night_and_a_class_by_the_clock_on_the_wall() -> None:
    policy = Policy(hours=read_times("mon-fri 18:00-06:00; sat,sun 00:00-24:00"))
    closed = decide(policy, NOON, 0)
    assert (closed.why, closed.opens) == ("hours", at(25, 18))
    assert decide(policy, at(26, 5, 59), 0).until == at(26, 6)
    assert decide(policy, at(28, 12), 0).until == at(30, 0), "Monday's small hours belong to no night here"
    taught = Policy(class_hours=read_times("mon-fri 08:00-16:00"), class_bits_per_s=64_000)
    assert decide(taught, NOON, 0) == policies.Decision("open", 64_000, at(25, 16), None)
    quiet = decide(Policy(class_hours=taught.class_hours), NOON, 0)
    assert (quiet.why, quiet.lessons, quiet.records, quiet.opens) == ("class", False, True, at(25, 16))
    metered = decide(Policy(month_bytes=10**9), NOON, 10**9)
    assert (metered.why, metered.records, metered.opens) == ("spent", False, dt.datetime(
        2026, 12, 1, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp())


# -- when all will have come --------------------------------------------------------------------


def slow_finish(policy: Policy, now: float, used: int, left: int, bytes_per_s: float) -> float | None:
    """Minute by minute."""
    moment, got, spent = now, 0.0, float(used)
    for _ in range(60 * 24 * 21):
        decision = decide(policy, moment, int(spent))
        if decision.lessons:
            step = min(bytes_per_s, (decision.bits_per_s or 10**12) / 8) * 60
            if policy.month_bytes:
                step = min(step, max(lesson_bytes(policy.month_bytes) - spent, 0))
            got, spent = got + step, spent + step
        if month_of(policy, moment + 60) != month_of(policy, moment):
            spent = 0.0
        moment += 60
        if got >= left:
            return moment
    return None


@settings(max_examples=25, deadline=None)
@given(POLICIES, st.integers(0, 60_000_000).map(lambda minute: minute * 60.0), st.integers(0, 10**9),
       st.integers(1, 10**10), st.integers(1_000, 10**7))
def test_the_end_foretold_is_the_end(policy: Policy, now: float, used: int, left: int, rate: int) -> None:
    foretold, walked = finish(policy, now, used, left, rate), slow_finish(policy, now, used, left, rate)
    if walked is not None:
        assert foretold is not None and abs(foretold - walked) <= 121
    elif foretold is not None:
        assert foretold > now + 20 * 86400


def test_an_end_that_cannot_be_known_is_not_told() -> None:
    assert finish(NO_POLICY, NOON, 0, 1000, 0.0) is None
    assert finish(NO_POLICY, None, 0, 1000, 10.0) is None
    assert finish(NO_POLICY, NOON, 0, 0, 0.0) == NOON
    assert finish(NO_POLICY, NOON, 0, 1000, 10.0) == NOON + 100
    never = Policy(hours=read_times("mon 08:00-09:00"), class_hours=read_times("mon 07:00-10:00"))
    assert finish(never, NOON, 0, 1, 10.0**6) is None


# -- reading and writing ------------------------------------------------------------------------


@LIMITED
@given(POLICIES)
def test_a_policy_is_read_back(policy: Policy) -> None:
    plain = as_plain(policy)
    assert parse_policy(plain) == (policy if plain else NO_POLICY)
    assert parse_policy({**plain, "later": [1]} if plain else {}) == parse_policy(plain)


GOOD: dict[str, Any] = {"format": POLICY_FORMAT, "hours": [[0, 10]]}


@pytest.mark.parametrize("change", [
    {"format": "teachpoint-policy/2"}, {"format": None}, {"hours": [[10, 10]]}, {"hours": [[10, 5]]},
    {"hours": [[0, WEEK_MIN + 1]]}, {"hours": [[-1, 5]]}, {"hours": [[0]]},
    {"hours": [[0, 1]] * (MOST_SPANS + 1)},
    {"caps": [{"times": [], "bits_per_s": 9000}]}, {"caps": [{"times": [[0, 1]], "bits_per_s": 7999}]},
    {"caps": [{"times": [[0, 1]]}]}, {"class_bits_per_s": 1}, {"class_bits_per_s": -1}, {"month_bytes": 0},
    {"month_bytes": 1.5}, {"utc_offset_min": 841}, {"utc_offset_min": "+08:00"}])
def test_a_policy_that_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    assert parse_policy(GOOD).hours == ((0, 10),)
    with pytest.raises(Refused) as caught:
        parse_policy({**GOOD, **change})
    assert caught.value.code == "policy-bad"


def test_a_policy_without_a_format_is_refused_and_nothing_is_no_policy() -> None:
    with pytest.raises(Refused):
        parse_policy({"hours": [[0, 10]]})
    assert parse_policy({}) == NO_POLICY and as_plain(NO_POLICY) == {}


@pytest.mark.parametrize(("text", "spans"), [
    ("mon 08:00-09:30", ((480, 570),)), ("sun 22:00-06:00", ((0, 360), (9960, 10080))),
    ("每天 00:00-24:00", ((0, 10080),)),
    ("12:00-12:30", tuple((day * 1440 + 720, day * 1440 + 750) for day in range(7))),
    ("sat-mon 10:00-11:00", ((600, 660), (7800, 7860), (9240, 9300))),
    ("周一-周二 10:00-11:00,10:30-12:00", ((600, 720), (2040, 2160))),
    ("mo,we 10:00-11:00; tu 1:00-2:00", ((600, 660), (1500, 1560), (3480, 3540)))])
def test_times_are_read_as_people_write_them(text: str, spans: tuple[Span, ...]) -> None:
    assert read_times(text) == spans


@pytest.mark.parametrize("text", [
    "", ";", "mon", "mon 8-9", "mon 08:00", "xyz 08:00-09:00", "mon 25:00-26:00", "mon 08:60-09:00",
    "mon 08:00-08:00", "mon-tue-wed 08:00-09:00", "mon 08:00-24:01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Misused) as caught:
        read_times(text)
    assert caught.value.code == "policy-times-bad"


def test_amounts() -> None:
    assert [read_amount(text) for text in ("2G", "512k", "1.5M", "8000", "3 GB")] == [
        2 * 10**9, 512_000, 1_500_000, 8000, 3 * 10**9]
    for text in ("", "G", "-1", "1e9", "5x", "1" * 12):
        with pytest.raises(Misused):
            read_amount(text)


@LIMITED
@given(SPANS)
def test_the_timetable_that_people_read_says_the_same_times(spans: tuple[Span, ...]) -> None:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    text = "; ".join(f"{','.join(names[day] for day in row.days)} {row.start}-{row.end}"
                     for row in rows(spans))
    assert (read_times(text) if text else ()) == merged(spans)


def test_the_timetable_is_short() -> None:
    assert rows(read_times("daily 18:00-06:00")) == [Row(tuple(range(7)), "18:00", "06:00")]
    assert rows(((0, WEEK_MIN),)) == [Row(tuple(range(7)), "00:00", "24:00")]
