"""The only place that replaces files. Power is cut here, weekly; so each write ends on the disk.

Promise of `write_file` and `move_into_place`: after they return, the new content is there even if the
power goes; if the power goes before, the old content is there, whole. At most a temporary
file (`TEMPORARY_PREFIX`) stays, which `sweep_temporary` removes at the next start.
Not promised: anything about other files of the same folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sync.clock import SYSTEM, Clock
from sync.errors import Broken, NoRoom

#: From this many files on, one `syncfs` makes a batch durable instead of an fsync each. 3,000 files of
#: 500 bytes: 0.16 s so, 0.83 s with an fsync each, on a disk that flushes in 0.2 ms (most need longer).
#: Smaller batches do not have to wait for what other programs wrote.
MANY_FILES = 32

_libc = ctypes.CDLL(None, use_errno=True)

#: Names that begin so are unfinished writes; nobody reads them, the next start removes them.
TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about `path` into ours: no room, a failing disk, not allowed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom("disk-full", path=path) from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise Broken("disk-failing", path=path, reason=error.strerror) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            folder = path if os.path.isdir(path) else path.parent  # noqa: PTH112 - no error of its own
            raise Broken("folder-not-writable", path=folder) from error
        raise


#: Within so many seconds of a change in a folder its disk is taken to be writable still.
PROBE_AGAIN_S = 20.0


def check_writable(folder: Path, clock: Clock = SYSTEM) -> None:
    """Does the disk of `folder` still take writes? After an error the kernel may refuse them without calling
    the file system read-only, so it is tried; but seldom, because it wears the disk.

    Raises Broken `disk-failing`; NoRoom `disk-full`.
    """
    with disk_errors(folder):
        if abs(clock.now() - folder.stat().st_mtime) >= PROBE_AGAIN_S:
            os.utime(folder)


def refuses_writes(folder: Path) -> bool:
    """As `check_writable`, tried now: is the disk of `folder` failing, or read-only?"""
    try:
        os.utime(folder)
    except OSError as error:
        return error.errno in (errno.EIO, errno.EROFS)
    return False


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


def sync_files(paths: Sequence[Path]) -> None:
    """Make the bytes of all these files, which lie on one file system, durable."""
    if len(paths) >= MANY_FILES and _sync_file_system(paths[0].parent):
        return
    for path in paths:
        sync_file(path)


def _sync_file_system(folder: Path) -> bool:
    """Write out all of the folder's file system (syncfs(2)); False where that cannot be had.

    Linux tells of write errors here since 5.8; each error that it tells of is raised.
    """
    syncfs = getattr(_libc, "syncfs", None)
    if syncfs is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(descriptor) == 0:
            return True
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EINVAL):
            return False
        raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A fresh name in the folder of `path` for its unfinished successor."""
    return path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"


def write_file(path: Path, data: bytes, mode: int = 0o644, mtime: int | None = None) -> None:
    """Replace `path` by `data`, whole or not at all; the folder must exist. `mtime`: its time of change, in
    seconds since 1970, where that is to say something else than when.

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
                if mtime is not None:
                    os.utime(handle.fileno(), (mtime, mtime))
                os.fsync(handle.fileno())
            temporary.replace(path)
            sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def place_file(path: Path, data: bytes | bytearray) -> None:
    """As `write_file`, but nothing is flushed: for what is verified later, or can be fetched again. Raises
    OSError."""
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, data: bytes, mode: int = 0o644) -> None:
    """As `write_file`, but a file that holds these bytes already is let be: a full disk does no harm then."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    write_file(path, data, mode)


def hold_room(path: Path, size: int) -> None:
    """Make `path` a file of `size` bytes whose room on the disk is really taken; its folder must exist.

    Raises NoRoom (`disk-full`) and Broken (`disk-failing`); there is no such file then.
    """
    with disk_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.fsync(descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def move_into_place(moves: Iterable[tuple[Path, Path]]) -> None:
    """Rename each (from, to) after the bytes of all are durable; each folder is made durable once.

    All pairs must be on one file system. Raises as `write_file`; some may then have been moved.
    """
    pairs = list(moves)
    if not pairs:
        return
    with disk_errors(pairs[0][1]):
        sync_files([source for source, _ in pairs])
    make_folders(target.parent for _, target in pairs)
    for source, target in pairs:
        with disk_errors(target):
            source.replace(target)
    sync_directories(target.parent for _, target in pairs)


def sync_directories(folders: Iterable[Path]) -> None:
    """Make the entries of each folder durable, each once."""
    for folder in sorted(set(folders)):
        with disk_errors(folder):
            sync_directory(folder)


def make_folders(folders: Iterable[Path]) -> None:
    """As `make_folder` for each, but each parent is made durable once."""
    missing = sorted({folder for folder in folders if not folder.is_dir()})
    for folder in missing:
        make_folder(folder.parent)
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
            _set_mode(folder, 0o755)
    sync_directories(folder.parent for folder in missing)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make `path` and its missing parents, durably. An existing folder is left as it is."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with disk_errors(path):
        path.mkdir(mode=mode, exist_ok=True)
        _set_mode(path, mode)
        sync_directory(path.parent)


def _set_mode(folder: Path, mode: int) -> None:
    """Give a new folder its mode. FAT has no modes: there, only a private folder is an error."""
    try:
        folder.chmod(mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS) or not mode & 0o077:
            raise


def sweep_temporary(folder: Path, *, deep: bool = True) -> int:
    """Remove what unfinished writes left in `folder` (`deep`: anywhere below it), files and folders; how
    many.

    Call it at start, while no other process of the same role writes.
    """
    removed = 0
    for directory, folders, names in os.walk(folder):
        for name in [name for name in folders if name.startswith(TEMPORARY_PREFIX)]:
            folders.remove(name)
            shutil.rmtree(Path(directory) / name, ignore_errors=True)
            removed += 1
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                (Path(directory) / name).unlink(missing_ok=True)
                removed += 1
        if not deep:
            break
    return removed
