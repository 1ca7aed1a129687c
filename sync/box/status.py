"""How the box is doing, as `box status --json` and the API tell it. Reads only."""

from __future__ import annotations

import json
import shutil
from typing import Any

from sync.box import contact
from sync.box.journal import Journal
from sync.box.line import line_status
from sync.box.problems import facts_kept
from sync.box.room import disk_budget, no_room
from sync.box.scrub import scrubbed
from sync.box.shelf import Shelf
from sync.box.state import Box
from sync.box.sticks import stick_told
from sync.box.timetable import timetable_told
from sync.box.wall_clock import quality, site_time
from sync.durable import check_writable
from sync.errors import TeachpointError, in_words, language
from sync.reserve import FILES, reserve_files
from sync.version import VERSION


def box_status(box: Box) -> dict[str, Any]:
    """The facts: times in seconds since 1970, sizes in bytes (docs/api.md)."""
    database = box.database
    journal = Journal(database, box.clock)
    partial = Shelf(database, box.store, journal, box.clock).progress()
    disk = shutil.disk_usage(box.layout.data)
    assigned = database.execute("SELECT count(*) FROM assigned").fetchone()[0]
    complete = database.execute("SELECT count(*) FROM package WHERE complete = 1").fetchone()[0]
    waiting = database.execute("SELECT count(*) FROM upload WHERE acknowledged = 0").fetchone()[0]
    error = contact.last_error(database)
    left = sum(int(str(one["left"])) for one in partial)
    return {
        "site": box.pairing.site,
        "name": box.pairing.name,
        "box": box.box_id,
        "version": VERSION,
        "hub": {
            "name": box.pairing.hub.name,
            "last_contact": contact.last_contact(database),
            "hub_time": contact.hub_time(database),
            "last_error": _in_words(error["code"], error["facts"]) if error else None,
        },
        "packages": {"assigned": assigned, "complete": complete, "partial": partial},
        "bytes_left": left,
        "line": line_status(box, left),
        "disk": {"free": disk.free, "total": disk.total, "budget": disk_budget(database),
                 "reserve_whole": reserve_files(box.layout.data) == FILES},
        "no_room": no_room(database),
        "scrub": scrubbed(database),
        "journal": {"last_seq": journal.last_seq(), "unacknowledged": journal.unacknowledged()},
        "uploads": {"waiting": waiting},
        "clock": clock_told(box),
        "timetable": timetable_told(database),
        "stick": _stick(box),
        "problems": [{**_in_words(code, json.loads(facts)), "since": since} for code, facts, since in
                     database.execute("SELECT code, facts, since FROM problem ORDER BY since, code")]
        + _found_problems(box),
    }


def clock_told(box: Box) -> dict[str, Any]:
    """The clock: its time, what it is worth, is it believed, does it differ from the machine's?"""
    return {"now": int(box.clock.now()), "quality": quality(box.database),
            "believed": site_time(box.database, box.clock) is not None, "corrected": bool(box.clock.kept())}


def _stick(box: Box) -> dict[str, Any] | None:
    told = stick_told(box)
    if told is not None and "error" in told:
        told["error"] = _in_words(told["error"]["code"], told["error"]["facts"])
    return told


def _found_problems(box: Box) -> list[dict[str, Any]]:
    """What is seen by looking: a disk that takes no writes cannot keep a problem either."""
    try:
        check_writable(box.layout.run)
    except TeachpointError as error:
        return [{**_in_words(error.code, facts_kept(error)), "since": box.clock.now()}]
    except OSError:  # another account than the box's own asks
        pass
    return []


def _in_words(code: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {**in_words({"code": code, "facts": facts}, language()), "facts": facts}
