"""What the box's wall clock is worth, and setting it: by the hub's signed time, from a device, by hand.

Its quality is a setting, and stands in each record of the journal (docs/format.md §6.4). A time that is set
is kept with the name of the running boot: a box without a battery clock starts in 1970 again, and what was
set before says nothing then.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Literal

from sqlite_utils import Database

from sync.box.journal import CLOCK_QUALITY, UNKNOWN_QUALITY, Journal
from sync.box.setting import read_setting, write_setting
from sync.clock import Clock, iso
from sync.database import transaction
from sync.errors import Refused, TeachpointError

#: Settings: the hub's newest signed time; the clock's correction (`Clock.kept`); the last time that was set.
HUB_TIME, KEPT, SET_TO = "hub_time", "clock_kept", "clock_set_to"
#: A box's clock is called good while it is within this of the hub's signed time, in seconds: a timestamp is
#: signed anew at least once a day.
GOOD_WITHIN_S = 2 * 86400
#: What the hub's time corrects in a clock that it has set already, in seconds; less is not worth a record.
STEP_S = 120
#: No box was made before 2026-01-01, and none is set further ahead of what it knows than so many seconds.
EARLIEST, MOST_AHEAD_S = 1_767_225_600, 20 * 365 * 86400

#: Set by the hub's signed time, which may be a day old: the day is right, the hour may not be. Next to that
#: the qualities `hub` (checked by it), `device` and `hand` (set by them), `wrong` and `unknown`.
ROUGH = "hub-time"
UNSURE = (UNKNOWN_QUALITY, "wrong", ROUGH)
By = Literal["device", "hand"]


def read_time(text: str, offset_min: int) -> float:
    """What a hand or a device writes, `2026-11-25T18:00`, as seconds since 1970; without an offset of its own
    it is local time, UTC and `offset_min`. Raises Refused `clock-unreadable`."""
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
        return found.timestamp()
    except (ValueError, OverflowError):
        raise Refused("clock-unreadable", text=text[:100]) from None


def quality(database: Database) -> str:
    """What the clock is worth, as records tell it."""
    return read_setting(database, CLOCK_QUALITY, UNKNOWN_QUALITY)


def site_time(database: Database, clock: Clock) -> float | None:
    """The box's clock; None where it can't be believed: nothing has checked it, the hub's signed time spoke
    against it, or it has fallen behind what is known since (a dead battery)."""
    now = clock.now()
    behind = now < max(_number(database, HUB_TIME), _number(database, SET_TO)) - GOOD_WITHIN_S
    return None if behind or quality(database) in UNSURE else now


def recall(database: Database, clock: Clock) -> None:
    """Go on by the correction that was kept, at each opening of the box: another process may have made it.
    Where the machine was started since, the clock is worth nothing again."""
    kept = read_setting(database, KEPT)
    if not clock.keep_to(kept):
        with suppress(TeachpointError), transaction(database):  # on a full or failing disk lessons open, too
            write_setting(database, KEPT, "")
            write_setting(database, CLOCK_QUALITY, UNKNOWN_QUALITY)


def set_clock(journal: Journal, at: float, by: By) -> None:
    """Set the clock to `at` (seconds since 1970), durably, with a record of it.

    Raises Refused `clock-bad`: before what is known (the hub's signed time, the year 2026) or absurdly far
    ahead; and as `transaction`.
    """
    known = _number(journal.database, HUB_TIME)
    earliest = max(EARLIEST, known - GOOD_WITHIN_S)
    latest = max(EARLIEST, known) + MOST_AHEAD_S
    if not earliest <= at <= latest:
        raise Refused("clock-bad", time=iso(at), earliest=iso(earliest), latest=iso(latest))
    _set(journal, at, by)


def check_clock(journal: Journal, hub_time: int, *, old_news: bool) -> None:
    """A feed was believed now: its signed time says what the clock is worth, and sets one that is wrong.

    `old_news`: a stick brought it, which may have been filled long ago; it speaks against a clock that is
    behind it, but not against one that is ahead.
    """
    database, clock = journal.database, journal.clock
    if clock.kept() and _good(clock.machine(), hub_time, old_news) and quality(database) == ROUGH:
        clock.follow_machine()  # somebody has set the machine's own clock meanwhile
        write_setting(database, KEPT, "")
        write_setting(database, CLOCK_QUALITY, "wrong" if old_news else "hub")
    now, before = clock.now(), quality(database)
    if not _good(now, hub_time, old_news) or (before == ROUGH and now < hub_time - STEP_S):
        _set(journal, hub_time, ROUGH)
    elif not old_news and before in (UNKNOWN_QUALITY, "wrong"):
        write_setting(database, CLOCK_QUALITY, "hub")


def _good(time: float, hub_time: int, old_news: bool) -> bool:
    return time >= hub_time - GOOD_WITHIN_S and (old_news or time <= hub_time + GOOD_WITHIN_S)


def _set(journal: Journal, at: float, by: str) -> None:
    clock, database = journal.clock, journal.database
    before = clock.now()
    clock.correct(at)
    with transaction(database):
        write_setting(database, KEPT, clock.kept())
        write_setting(database, SET_TO, str(int(at)))
        write_setting(database, CLOCK_QUALITY, by)
        journal.append("clock-set", {"before": max(int(before), 0), "after": int(at), "by": by})


def _number(database: Database, name: str) -> int:
    return int(read_setting(database, name, "0"))
