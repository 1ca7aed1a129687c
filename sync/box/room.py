"""The room of a box: its disk budget, what a sync may still write, and what had no room (docs/sync.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from sync.box.journal import Journal
from sync.box.setting import drop_setting, read_setting, write_setting
from sync.box.state import Box
from sync.canonical import canonical
from sync.database import transaction
from sync.plan import Room, Unit, bytes_left

#: Room that a sync leaves free, in bytes: for the journal, the database and the search index.
RESERVE_BYTES = 64 * 1024 * 1024
#: On a small disk the reserve is this share of it.
RESERVE_SHARE = 1 / 16
#: Files (inodes) that a sync leaves free.
RESERVE_FILES = 1000
#: … and at most this share of them where there are few.
RESERVE_FILES_SHARE = 1 / 16

#: Setting: most bytes that lessons may take on the disk; not there: all but the reserve.
DISK_BUDGET = "disk_budget"
#: Setting: which packages had no room at the last sync, as the record `no-room` says it.
NO_ROOM = "no_room"
#: Most packages that one `no-room` record names, the most urgent first; `more` counts the others.
MOST_NAMED = 100


def disk_budget(database: Database) -> int | None:
    """Most bytes that lessons may take on the disk; None: all but the reserve."""
    text = read_setting(database, DISK_BUDGET)
    return int(text) if text else None


def set_disk_budget(database: Database, most_bytes: int | None) -> None:
    """Set the budget, or with None take it away. It holds from the next sync on. Raises as `transaction`."""
    if most_bytes is None:
        drop_setting(database, DISK_BUDGET)
    else:
        write_setting(database, DISK_BUDGET, str(most_bytes))


def room_left(box: Box) -> tuple[Room, bool]:
    """What a sync may still write, and whether it is the budget (not the disk) that ends it."""
    disk = os.statvfs(box.layout.library)
    total = disk.f_blocks * disk.f_frsize
    on_disk = max(disk.f_bavail * disk.f_frsize - min(RESERVE_BYTES, int(total * RESERVE_SHARE)), 0)
    files = 2**62
    if disk.f_files:
        files = max(disk.f_favail - min(RESERVE_FILES, int(disk.f_files * RESERVE_FILES_SHARE)), 0)
    budget = disk_budget(box.database)
    if budget is None:
        return Room(on_disk, files), False
    in_budget = max(budget - box.store.size_bytes() - _bytes_in(box.layout.staging), 0)
    return Room(min(on_disk, in_budget), files), in_budget <= on_disk


def tell_no_room(journal: Journal, left_out: Iterable[Unit], staged: Mapping[str, int]) -> None:
    """Keep which packages have no room and tell the hub, when that has changed. Raises as `transaction`."""
    by_package: dict[str, list[Unit]] = {}
    for unit in left_out:
        by_package.setdefault(unit.package, []).append(unit)
    named = [{"id": package, "bytes": bytes_left(units, staged)}
             for package, units in list(by_package.items())[:MOST_NAMED]]
    text = canonical(named).decode() if named else ""
    if text == read_setting(journal.database, NO_ROOM):
        return
    with transaction(journal.database):
        write_setting(journal.database, NO_ROOM, text)
        journal.append("no-room", {"packages": named, "more": max(len(by_package) - MOST_NAMED, 0)})


def no_room(database: Database) -> list[dict[str, Any]]:
    """What had no room at the last sync, the most urgent first: `[{id, bytes}]`, the bytes still lacking."""
    text = read_setting(database, NO_ROOM)
    found: list[dict[str, Any]] = json.loads(text) if text else []
    return found


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0
