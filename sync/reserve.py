"""Room that is kept for the database: files of known size beside it, given up one by one on a full disk.
Both roles keep it.

Why files and not free pages inside SQLite: a transaction first makes the WAL grow, and that is gone whenever
the last process closes the database. Measured in docs/decisions/0005-room-for-the-journal.md. The files hold
inodes as well.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sync.durable import hold_room, make_folder
from sync.errors import Broken, NoRoom

FOLDER = "reserve"
#: How many files, and the size of each at most, in bytes; on a small disk an eighth of it in all.
FILES = 16
FILE_BYTES = 1024 * 1024
SHARE = 1 / 8
#: A write of the database is not begun with less than this free: bytes, and files (WAL and its index, a
#: segment and its temporary file).
LEAST_BYTES = 1024 * 1024
LEAST_FILES = 8


def keep_reserve(data: Path) -> bool:
    """Make what is lacking of the reserve of the data folder, while there is ample room; True if it is all
    there. A disk that takes no more is no error here: what is needed of it says so itself."""
    folder = data / FOLDER
    try:
        make_folder(folder, 0o700)
        size = max(min(FILE_BYTES, int(_disk_bytes(folder) * SHARE / FILES)), 4096)
        for number in range(FILES):
            path = folder / f"{number:02}"
            if path.is_file() and path.stat().st_size == size:
                continue
            free, files = _free(folder)
            if free < 2 * LEAST_BYTES + size or files < 4 * LEAST_FILES:
                return False
            hold_room(path, size)
    except (NoRoom, Broken, OSError):
        return False
    return True


def give_reserve(data: Path) -> int:
    """Before a write: where less than LEAST_BYTES or LEAST_FILES is free, give up as many files as it takes;
    how many. Never raises."""
    given = 0
    with suppress(OSError):
        free, files = _free(data)
        while free < LEAST_BYTES or files < LEAST_FILES:
            held = sorted((data / FOLDER).iterdir()) if (data / FOLDER).is_dir() else []
            if not held:
                break
            held[-1].unlink()
            given += 1
            free, files = _free(data)
    return given


def reserve_files(data: Path) -> int:
    """How many files of the reserve are there; FILES when it is whole."""
    try:
        return sum(1 for _ in (data / FOLDER).iterdir())
    except OSError:
        return 0


def in_need(data: Path) -> bool:
    """Is there less room than a write of the database asks for, or has some of the reserve been given up?"""
    try:
        free, files = _free(data)
    except OSError:
        return False
    given_up = (data / FOLDER).is_dir() and reserve_files(data) < FILES
    return free < LEAST_BYTES or files < LEAST_FILES or given_up


def _free(folder: Path) -> tuple[int, int]:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_favail if disk.f_files else 2**62


def _disk_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_blocks * disk.f_frsize
