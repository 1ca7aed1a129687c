"""The scrub of a box: what is rotten is told (`object-lost`), and the next sync fetches it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from sync.box.setting import read_setting, write_setting
from sync.box.state import Box, open_box
from sync.clock import SYSTEM, Clock
from sync.logs import log
from sync.scrub import SHARE, part_done, read_again

#: Settings: the name of the object read last; rounds done; objects found damaged, ever.
AT, ROUNDS, DAMAGED = "scrub_at", "scrub_rounds", "scrub_damaged"


def scrub_step(box: Box, lost: Callable[[str], None], share: float = SHARE) -> int:
    """Read the next objects, their `share` of all; how many. `lost` is called with each that was rotten.

    Raises Broken `disk-failing`, and as `transaction`.
    """
    step = read_again(box.store, read_setting(box.database, AT), share)
    for name in step.damaged:
        log("box.scrub").error("damaged", sha256=name)
        write_setting(box.database, DAMAGED, str(_number(box.database, DAMAGED) + 1))
        lost(name)
    if not step.at:
        write_setting(box.database, ROUNDS, str(_number(box.database, ROUNDS) + 1))
    write_setting(box.database, AT, step.at)
    return step.count


def scrub_box(data: Path, lost: Callable[[str], None], clock: Clock = SYSTEM) -> None:
    """A step for the box in `data`, with a database of its own. Raises as `open_box` and `scrub_step`."""
    box = open_box(data, clock)
    try:
        scrub_step(box, lost)
    finally:
        box.database.close()


def scrubbed(database: Database) -> dict[str, Any]:
    """Rounds done, objects found damaged, and how far the round is, 0 … 1."""
    return {"rounds": _number(database, ROUNDS), "damaged": _number(database, DAMAGED),
            "done": part_done(read_setting(database, AT))}


def _number(database: Database, name: str) -> int:
    return int(read_setting(database, name, "0"))
