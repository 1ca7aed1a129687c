"""The timetable of this box: the hub's, or one that was set here; and what it needs next (docs/sync.md).

One that is set at the box holds until it is taken away, because who teaches there knows best; the hub's is
kept beside it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlite_utils import Database

from sync.box import contact
from sync.box.journal import Journal
from sync.box.line import policy_of
from sync.box.problems import clear_problem, set_problem
from sync.box.setting import drop_setting, read_setting, write_setting
from sync.box.wall_clock import site_time
from sync.canonical import canonical
from sync.clock import Clock
from sync.database import transaction
from sync.desired import Desired
from sync.errors import Refused
from sync.order import teaching_key
from sync.policy import week_minute
from sync.timetable import NO_TIMETABLE, Timetable, as_plain, due, parse_timetable, rows

#: Settings: the hub's timetable, as in the feed; the one that was set here.
FROM_HUB, OWN = "timetable", "timetable_own"

Source = Literal["hub", "box", ""]


def take_timetable(journal: Journal, desired: Desired) -> bool:
    """Take over the timetable of a believed feed; True if that is news. One that is refused leaves the one
    before and becomes the problem `timetable-bad`."""
    try:
        timetable = parse_timetable({} if desired.timetable is msgspec.UNSET else desired.timetable)
    except Refused as error:
        set_problem(journal, error)
        return False
    clear_problem(journal, "timetable-bad")
    return _keep(journal.database, FROM_HUB, timetable)


def set_own_timetable(journal: Journal, timetable: Timetable) -> bool:
    """Set the timetable at this box, durably, with a record of it; NO_TIMETABLE takes it away, so that the
    hub's holds. True if that is news. Raises as `transaction`."""
    with transaction(journal.database):
        changed = _keep(journal.database, OWN, timetable)
        if changed:
            journal.append("timetable", {"periods": len(timetable.periods)})
    return changed


def timetable_of(database: Database) -> tuple[Timetable, Source]:
    """The timetable that holds, and who set it."""
    sources: tuple[tuple[str, Source], ...] = ((OWN, "box"), (FROM_HUB, "hub"))
    for name, source in sources:
        if text := read_setting(database, name):
            return parse_timetable(msgspec.json.decode(text)), source
    return NO_TIMETABLE, ""


def timetable_told(database: Database) -> dict[str, Any]:
    """For `box status`: who set it, and its periods."""
    timetable, source = timetable_of(database)
    return {"source": source, "periods": rows(timetable)}


def needed(database: Database, clock: Clock) -> dict[str, int]:
    """Package → seconds until the timetable of the next days needs it (`sync.timetable.due`). By the hub's
    signed time where the clock can't be believed: it is a day old at most while the hub can be reached."""
    timetable, _ = timetable_of(database)
    now = site_time(database, clock) or contact.hub_time(database)
    if not timetable.periods or now is None:
        return {}
    packages = database.execute("SELECT educationalLevel, about, edition, volume, isPartOf, position, name, "
                                "id FROM package").fetchall()
    packages.sort(key=lambda row: (*teaching_key(*row[:7]), row[7]))
    opened = dict(database.execute("SELECT package, seq FROM opened").fetchall())
    wait = due(timetable, week_minute(policy_of(database), now),
               [(id_, grade, subject) for grade, subject, *_, id_ in packages], opened)
    return {package: 60 * minutes for package, minutes in wait.items()}


def _keep(database: Database, name: str, timetable: Timetable) -> bool:
    if not timetable.periods:
        return drop_setting(database, name)
    return write_setting(database, name, canonical(as_plain(timetable)).decode())
