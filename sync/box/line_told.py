"""What the hub is told of the line: the record `line`, when it has changed noticeably (docs/format.md §6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sync.box.journal import Journal
from sync.box.line import line_status
from sync.box.setting import read_setting, write_setting
from sync.box.shelf import Shelf
from sync.box.state import Box
from sync.canonical import canonical
from sync.database import transaction

#: Setting: the body of the newest `line` record, and `at`, when it was written (the box's clock).
TOLD = "line_told"
#: Seconds between two records at least, unless lessons begin or cease to wait or to be lacking: a record
#: costs about 1 KB with the acknowledgement.
LEAST_S = 900
#: What counts as a change: this share of the rate, of what is left, and of the time until the end, which must
#: also be so many seconds.
SHARE, FINISH_S = 0.25, 3600


def tell_line(box: Box, journal: Journal, shelf: Shelf) -> bool:
    """Write a record if there is news of the line; True if so. Raises as `transaction`."""
    left = sum(int(str(one["left"])) for one in shelf.progress())
    status = line_status(box, left)
    measured, finish = status["rate_bytes_per_s"], status["finish"]
    told: dict[str, Any] = {"left": status["left"]["lessons"], "state": status["state"]}
    told |= {"rate": round(measured)} if measured is not None else {}
    told |= {"finish": round(finish)} if finish is not None else {}
    text = read_setting(box.database, TOLD)
    now = int(box.clock.now())
    if not is_news(json.loads(text) if text else None, told, now):
        return False
    with transaction(box.database):
        write_setting(box.database, TOLD, canonical({**told, "at": now}).decode())
        journal.append("line", told)
    return True


def is_news(known: Mapping[str, Any] | None, told: Mapping[str, Any], now: int) -> bool:
    """Is `told` worth a record after `known` (with its `at`)? Of a box that lacks nothing and has measured
    nothing there is nothing to tell at first."""
    if known is None:
        return bool(told["left"] or "rate" in told)
    if told["state"] != known["state"] or bool(told["left"]) != bool(known["left"]):
        return True
    if known["at"] <= now < known["at"] + LEAST_S:
        return False
    for name in ("rate", "finish"):
        if (name in told) != (name in known):
            return True
    if any(abs(told.get(name, 0) - known.get(name, 0)) > SHARE * known.get(name, 0)
           for name in ("rate", "left")):
        return True
    ends, ended = told.get("finish", 0), known.get("finish", 0)
    return bool(abs(ends - ended) > max(FINISH_S, SHARE * (ended - now)))
