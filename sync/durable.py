"""The only place that replaces files. Power is cut here, weekly; so each write ends on the disk.

Promise of `write_file` and `move_into_place`: after they return, the new content is there even if the
power goes; if the power goes before, the old content is there, whole. At most a temporary
file (`TEMPORARY_PREFIX`) stays, which `sweep_temporary` removes at the next start.
Not promised: anything about other files of the same folder.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sync.errors import Broken, NoRoom

#: Names that begin so are unfinished writes; nobody reads them, the next start removes them.
TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about `path` into ours: no room, or a failing disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom("disk-full", path=path) from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise Broken("disk-failing", path=path, reason=error.strerror) from error
        raise


def sync_directory(path: Path) -> None:
    """Make the entries of the folder `path` durable (POSIX: a rename is safe only after this)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of the file `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A fresh name in the folder of `path` for its unfinished successor."""
    return path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`, whole or not at all; the folder must exist.

    Raises NoRoom (`disk-full`) and Broken (`disk-failing`); the old file is then as it was.
    """
    temporary = temporary_beside(path)
    with disk_errors(path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as handle:
                os.fchmod(handle.fileno(), mode)
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
            sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def move_into_place(moves: Iterable[tuple[Path, Path]]) -> None:
    """Rename each (from, to) after its bytes are durable; each folder is made durable once.

    All pairs must be on one file system. Raises as `write_file`.
    """
    pairs = list(moves)
    folders: set[Path] = set()
    for source, target in pairs:
        with disk_errors(target):
            sync_file(source)
            if not target.parent.is_dir():
                make_folder(target.parent)
            source.replace(target)
            folders.add(target.parent)
    for folder in folders:
        with disk_errors(folder):
            sync_directory(folder)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make `path` and its missing parents, durably. An existing folder is left as it is."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with disk_errors(path):
        path.mkdir(mode=mode, exist_ok=True)
        path.chmod(mode)
        sync_directory(path.parent)


def sweep_temporary(folder: Path) -> int:
    """Remove what unfinished writes left anywhere below `folder`; the count of removed files.

    Call it at start, while no other process of the same role writes.
    """
    removed = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                (Path(directory) / name).unlink(missing_ok=True)
                removed += 1
    return removed
