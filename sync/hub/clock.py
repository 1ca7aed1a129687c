"""The time that feeds are signed with: the hub's clock, unless that has just jumped (decision 3).

A box keeps the largest hub time it has believed for ever; a clock that is wrong for seconds must not get in
there. What is kept in hub.db is the clock as it was last believed beside the time since the machine's start,
which no setting changes; so every process of the hub, short as it may run, sees a jump.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from sync.database import transaction
from sync.hub.settings import Hub

#: A clock that is further than this from where it must be has jumped, in seconds. Less does no harm: feeds
#: are good for longer.
MOST_JUMP_S = 86400.0
#: After so long at the new time a jump is believed, in seconds: somebody has set the clock.
HOLD_S = 600.0
#: How often a clock that goes as it should is written down, in seconds.
KEEP_S = 3600.0


@dataclass(frozen=True)
class Seen:
    """The clock when it was last believed; `jumped_to` at `jumped_at`: a jump that is not believed yet. Times
    are seconds; `since_boot` and `jumped_at` since the machine's start, the others since 1970."""

    boot: str
    since_boot: float
    wall: float
    jumped_at: float | None = None
    jumped_to: float | None = None


def judge(seen: Seen | None, boot: str, since_boot: float, wall: float) -> tuple[float, Seen]:
    """The time to sign with, and what to remember. After a start of the machine its clock is taken: nobody
    knows how long it was off."""
    if seen is None or seen.boot != boot:
        return wall, Seen(boot, since_boot, wall)
    due = seen.wall + since_boot - seen.since_boot
    if abs(wall - due) <= MOST_JUMP_S:
        goes_on = seen.jumped_at is None and since_boot - seen.since_boot < KEEP_S
        return wall, seen if goes_on else Seen(boot, since_boot, wall)
    if seen.jumped_at is None or seen.jumped_to is None or (
            abs(wall - seen.jumped_to - (since_boot - seen.jumped_at)) > MOST_JUMP_S):
        return due, replace(seen, jumped_at=since_boot, jumped_to=wall)
    if since_boot - seen.jumped_at < HOLD_S:
        return due, seen
    return wall, Seen(boot, since_boot, wall)


def believed_time(hub: Hub) -> float:
    """The time to sign with now; a jump is written down and told (`clock-jumped`), and so is its end.

    Raises as `transaction`.
    """
    time, after, changed = _look(hub)
    if changed:
        with transaction(hub.database) as database:
            time, after, _ = _look(hub)  # another process may have looked meanwhile
            database.execute("DELETE FROM clock")
            database.execute("INSERT INTO clock VALUES (?, ?, ?, ?, ?)", astuple(after))
            database.execute("DELETE FROM problem WHERE site = '' AND code = 'clock-jumped'")
            if after.jumped_to is not None:
                database.execute(
                    "INSERT INTO problem "
                    "VALUES ('', 'clock-jumped', json_object('days', ?, 'minutes', ?), ?)", [
                        round((after.jumped_to - time) / 86400), int(HOLD_S / 60), time])
    return time


def waits(hub: Hub) -> bool:
    """Is there a jump that is not believed yet?"""
    return hub.database.execute("SELECT 1 FROM clock WHERE jumped_at IS NOT NULL").fetchone() is not None


def time_now(hub: Hub) -> float:
    """As `believed_time`, but nothing is written."""
    return _look(hub)[0]


def _look(hub: Hub) -> tuple[float, Seen, bool]:
    row = hub.database.execute("SELECT boot, since_boot, wall, jumped_at, jumped_to FROM clock").fetchone()
    seen = Seen(*row) if row else None
    time, after = judge(seen, hub.clock.boot(), hub.clock.since_boot(), hub.clock.now())
    return time, after, after != seen
