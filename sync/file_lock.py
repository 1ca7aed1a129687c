"""A lock between processes (and threads): a file that is held open under flock.

The lock goes with the process that holds it, however that ends; the file itself stays and says
nothing. It must lie where nobody unlinks it while the role runs.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync.clock import SYSTEM
from sync.durable import disk_errors

#: How often a waiter looks again, in seconds.
LOOK_AGAIN_S = 0.05


class HeldByAnother(Exception):
    """The lock was not free within the time given; the caller says it in its own words."""


@contextmanager
def exclusive(path: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock `path` (made if missing) for the block; wait at most `patience_s` for it.

    Not re-entrant: a thread that holds it and asks again waits in vain.

    Raises HeldByAnother; NoRoom `disk-full` and Broken `disk-failing` where the file cannot be made.
    """
    with disk_errors(path):
        descriptor = _open(path)
    try:
        last = SYSTEM.monotonic() + patience_s
        while not _taken(descriptor):
            if SYSTEM.monotonic() >= last:
                raise HeldByAnother(path)
            SYSTEM.sleep(LOOK_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS or not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a read-only disk can still be locked


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
