"""What lies in a staging folder: `staging/<sha256>`, partial or whole, unverified. Shared by transports.

A partial file is the beginning of its object; a transfer only adds at its end. What a power cut may
do to that: the file system can have counted bytes into a file that never reached the disk, which then
read as zeros. So, once after each start of the machine, zeros at the end of partial files are cut off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sync.durable import disk_errors
from sync.transport import Arrived, Wanted

#: The file that tells during which run of the machine the partial files were last looked at.
BOOT_NAME = ".boot"
#: Most zeros cut off a partial file, in bytes: more than a transfer leaves unflushed (SYNC_EVERY_S).
MOST_CUT_BYTES = 4 * 1024 * 1024
#: How often the file that is growing is flushed to the disk, in seconds: what a power cut can cost.
SYNC_EVERY_S = 2.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOOK_BYTES = 4096


def unfinished(wanted: Sequence[Wanted], staging: Path, arrived: Arrived,
               boot_id: Callable[[], str] = lambda: _BOOT_ID.read_text().strip()) -> list[Wanted]:
    """Those of `wanted` (each once) that are not yet in `staging` with their full size.

    Tells `arrived` of those that are. Removes a file that is longer than its object.
    Raises NoRoom, Broken as `disk_errors` says.
    """
    with disk_errors(staging):
        after_power_cut = _new_boot(staging, boot_id)
    missing: dict[str, Wanted] = {}
    whole: set[str] = set()
    for one in wanted:
        if one.sha256 in whole:
            continue
        path = staging / one.sha256
        size = size_of(path)
        if size > one.size:
            path.unlink()
            size = -1
        elif after_power_cut and size > 0:
            size = _cut_zeros(path, size)
        if size == one.size:
            whole.add(one.sha256)
            arrived(one.sha256)
        else:
            missing.setdefault(one.sha256, one)
    return list(missing.values())


def size_of(path: Path) -> int:
    """The size of a file in bytes; -1 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


class Growing:
    """The files of one running transfer, in the order in which they come: how much has arrived, and
    the one that grows kept flushed."""

    #: How far ahead of the last file that came a growing one is looked for: a few may not be there.
    AHEAD = 16

    def __init__(self, wanted: Sequence[Wanted], staging: Path) -> None:
        self._staging = staging
        self._order = [one.sha256 for one in wanted]
        self._sizes = {one.sha256: one.size for one in wanted}
        self._before = {name: max(size_of(staging / name), 0) for name in self._order}
        self._next = 0
        self._whole_bytes = 0
        self.whole: set[str] = set()

    def finished(self, name: str) -> bool:
        """Note that `name` is said to be whole; True if it is, by its size, and was not noted before."""
        if name not in self._sizes or name in self.whole:
            return False
        if size_of(self._staging / name) != self._sizes[name]:
            return False
        self.whole.add(name)
        self._whole_bytes += self._sizes[name] - self._before[name]
        while self._next < len(self._order) and self._order[self._next] in self.whole:
            self._next += 1
        return True

    def arrived_bytes(self) -> int:
        """Bytes that came since the beginning of this transfer."""
        return self._whole_bytes + sum(
            max(size_of(self._staging / name) - self._before[name], 0) for name in self._ahead())

    def flush(self) -> None:
        """Bring what has arrived of the growing file to the disk."""
        for name in self._ahead():
            if size_of(self._staging / name) > self._before[name]:
                with contextlib.suppress(OSError):  # it may have gone; an error shows at the next write
                    descriptor = os.open(self._staging / name, os.O_RDONLY)
                    try:
                        os.fdatasync(descriptor)
                    finally:
                        os.close(descriptor)

    def _ahead(self) -> list[str]:
        return [name for name in self._order[self._next:self._next + self.AHEAD] if name not in self.whole]


def _new_boot(staging: Path, boot_id: Callable[[], str]) -> bool:
    """Is this the first look at `staging` since the machine started? Notes that it was done."""
    note = staging / BOOT_NAME
    try:
        now = boot_id()
    except OSError:
        return False
    with contextlib.suppress(OSError):
        if note.read_text() == now:
            return False
    note.write_text(now)
    return True


def _cut_zeros(path: Path, size: int) -> int:
    """Cut zeros off the end of a file, MOST_CUT_BYTES at most; the size it then has."""
    kept = size
    with path.open("r+b") as handle:
        while kept > 0 and size - kept < MOST_CUT_BYTES:
            start = max(kept - _LOOK_BYTES, 0)
            handle.seek(start)
            if handle.read(kept - start).strip(b"\0"):
                break
            kept = start
        if kept < size:
            handle.truncate(kept)
    return kept
