"""The scrub of the hub: what is rotten is set aside, mended from its source, or told (`library-damaged`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sync.clock import SYSTEM, Clock
from sync.database import transaction
from sync.hub.damage import mend, note_damage
from sync.hub.settings import Hub, open_hub
from sync.logs import log
from sync.scrub import SHARE, part_done, read_again


def scrub_step(hub: Hub, share: float = SHARE) -> int:
    """Read the next objects, their `share` of all, and see to what is damaged; how many were read.

    Mending reads sources, so it is tried when something new is found, and once a round. Raises Broken
    `disk-failing`, NoRoom `disk-full`, and as `transaction`.
    """
    (at,) = hub.database.execute("SELECT at FROM scrub").fetchone()
    step = read_again(hub.store, at, share)
    for name in step.damaged:
        log("hub.scrub").error("damaged", sha256=name)
    with transaction(hub.database):
        hub.database.execute("UPDATE scrub SET at = ?, rounds = rounds + ?, damaged = damaged + ?",
                             [step.at, int(not step.at), len(step.damaged)])
    if note_damage(hub, step.damaged) or not step.at:
        mend(hub)
    return step.count


def scrub_hub(data: Path, clock: Clock = SYSTEM) -> None:
    """A step for the hub in `data`, with a database of its own. Raises as `open_hub` and `scrub_step`."""
    hub = open_hub(data, clock)
    try:
        scrub_step(hub)
    finally:
        hub.database.close()


def scrubbed(hub: Hub) -> dict[str, Any]:
    """Rounds done, objects found damaged, and how far the round is, 0 … 1."""
    at, rounds, damaged = hub.database.execute("SELECT at, rounds, damaged FROM scrub").fetchone()
    return {"rounds": rounds, "damaged": damaged, "done": part_done(at)}
