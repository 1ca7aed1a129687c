"""What is known of the hub: last contact, last failure, its time; settings of box.db."""

from __future__ import annotations

import json
from typing import Any

from sqlite_utils import Database

from sync.box.journal import Journal
from sync.box.setting import drop_setting, read_setting, write_setting
from sync.box.wall_clock import HUB_TIME, check_clock
from sync.clock import Clock
from sync.errors import TeachpointError

#: Settings: when this box last believed a feed (its own clock); the last failure as JSON (code, facts, at),
#: gone after the next success.
LAST_CONTACT, LAST_ERROR = "last_contact", "last_error"
#: Setting: when the next sync is due.
NEXT_ATTEMPT = "next_attempt"
#: A sync due within so many seconds is due "soon".
SOON_S = 60


def note_hub_time(journal: Journal, hub_time: int, *, old_news: bool) -> None:
    """A feed was believed now; its signed time is kept, and looks after the box's clock (`check_clock`).
    `old_news`: a stick brought it, which may have been filled before what is known."""
    newest = max(hub_time, int(read_setting(journal.database, HUB_TIME, "0"))) if old_news else hub_time
    write_setting(journal.database, HUB_TIME, str(newest))
    check_clock(journal, hub_time, old_news=old_news)
    write_setting(journal.database, LAST_CONTACT, str(int(journal.clock.now())))


def note_failure(database: Database, clock: Clock, error: TeachpointError) -> None:
    """Keep why the last sync failed; the time stays that of the first of equal failures."""
    known = last_error(database)
    facts = {name: str(value) for name, value in error.facts.items()}
    if known is None or (known["code"], known["facts"]) != (error.code, facts):
        kept = {"code": error.code, "facts": facts, "at": int(clock.now())}
        write_setting(database, LAST_ERROR, json.dumps(kept, ensure_ascii=False, sort_keys=True))


def note_success(database: Database) -> None:
    """The last sync went through."""
    drop_setting(database, LAST_ERROR)


def note_next(database: Database, clock: Clock, wait_s: float) -> None:
    """The next sync is due in `wait_s`. Written only where that is news by a minute: a box that asks every
    half minute, or knocks every few seconds, leaves the disk alone."""
    due = int(clock.now() + wait_s) if wait_s >= SOON_S else 0
    known = next_attempt(database)
    if known is None or abs(known - due) >= SOON_S:
        write_setting(database, NEXT_ATTEMPT, str(due))


def next_attempt(database: Database) -> int | None:
    """When `box serve` syncs next (the box's clock); 0: within a minute; None: it never served."""
    text = read_setting(database, NEXT_ATTEMPT)
    return int(text) if text else None


def last_error(database: Database) -> dict[str, Any] | None:
    """The last failure: code, facts, at (seconds since 1970); None after a success."""
    text = read_setting(database, LAST_ERROR)
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def last_contact(database: Database) -> int | None:
    """When this box last believed a feed, by its own clock; None if never."""
    text = read_setting(database, LAST_CONTACT)
    return int(text) if text else None


def hub_time(database: Database) -> int | None:
    """The hub's newest signed time, seconds since 1970; None if never."""
    text = read_setting(database, HUB_TIME)
    return int(text) if text else None
