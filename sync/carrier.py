"""A stick, or any folder that carries the tree: opened with care, because it may come from anybody.

Promises
* Only regular files are read, and nothing is read or written through a link of the carrier.
* A file appears on it whole and durable, or not at all.
* It may be pulled out at any time: that is told as `carrier-gone`, whatever the system called it.
* A file system of a stick (FAT, exFAT) needs no rights, no links and no case of names from us.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sync.durable import (
    TEMPORARY_PREFIX,
    disk_errors,
    make_folder,
    move_into_place,
    sync_directories,
    temporary_beside,
)
from sync.errors import Broken, NoRoom, Refused, Unreachable
from sync.transport import silent

#: How much is copied at a time, in bytes.
CHUNK_BYTES = 1024 * 1024

#: Names of `sync.durable.temporary_beside`.
_UNFINISHED = re.compile(re.escape(TEMPORARY_PREFIX) + r"[0-9a-f]{16}")


class TooLarge(Exception):
    """A file is larger than the carrier's file system can hold (FAT: 4 GiB less one byte)."""


class Carrier:
    """The folder `root`; paths are relative to it.

    It is held open while it is used, and reached through what is held: when a stick is pulled out, nothing
    lands in the empty folder where it was mounted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._identity: tuple[int, int] | None = None  # device and inode, from the first call on
        self._close: Callable[[], object] | None = None
        self._held = Path()

    def there(self) -> None:
        """Raise Unreachable `carrier-gone` where it is gone; also where its mount point is still a folder."""
        try:
            found = self.root.stat()
            if stat.S_ISDIR(found.st_mode) and self._close is None:
                descriptor = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                self._close = weakref.finalize(self, os.close, descriptor)
                self._held = Path(f"/proc/self/fd/{descriptor}")
                found = os.fstat(descriptor)
        except OSError as error:
            raise Unreachable("carrier-gone", path=self.root, reason=error.strerror) from error
        identity = (found.st_dev, found.st_ino)
        if not stat.S_ISDIR(found.st_mode) or identity != (self._identity or identity):
            raise Unreachable("carrier-gone", path=self.root, reason=os.strerror(errno.ENOENT))
        self._identity = identity

    def close(self) -> None:
        """Let go of it, so that it can be unmounted; the next `there` holds it again."""
        if self._close is not None:
            self._close()
            self._close = None

    def path(self, path: str) -> Path:
        """Where `path` can be reached now, on this carrier and no other. Raises as `there`."""
        if self._close is None:
            self.there()
        return self._held / path

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors about the carrier into ours: NoRoom `carrier-full`, Unreachable `carrier-gone`."""
        try:
            with disk_errors(self.root):
                yield
        except NoRoom as error:
            raise NoRoom("carrier-full", path=self.root) from error
        except OSError as error:
            raise Unreachable("carrier-gone", path=self.root, reason=error.strerror) from error
        except Broken as error:
            reason = error.facts.get("reason") or error.message()
            raise Unreachable("carrier-gone", path=self.root, reason=reason) from error

    def hold_inside(self, path: str) -> None:
        """Refuse what is reached through a link of the carrier: it may lie anywhere.

        Raises Refused `stick-leads-elsewhere`.
        """
        inside = PurePosixPath(path)
        for part in (*reversed(inside.parents), inside):
            if part != PurePosixPath() and self.path(str(part)).is_symlink():
                raise Refused("stick-leads-elsewhere", path=self.root / part)

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading. Raises OSError for anything else: a link may lead to this
        machine's own files, a pipe or a device would be read for ever."""
        whole = self.path(path)
        descriptor = os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", str(whole))

    def size(self, path: str) -> int:
        """The size of a regular file, in bytes; -1 where there is none."""
        try:
            found = self.path(path).lstat()
        except OSError:
            return -1
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def files(self, folder: str) -> list[str]:
        """The regular files below `folder`, relative to it, in order. Raises as `hold_inside`, `errors`."""
        with self.errors():
            self.hold_inside(folder)
            return sorted(files_below(self.path(folder)))

    def put(self, source: Path, path: str, progress: Callable[[int], None] = silent) -> int:
        """Copy the file `source` to `path`, whole and durable, replacing what is there; its size.

        `progress` gets the bytes copied so far. Raises TooLarge; as `there`, `errors`, `hold_inside`.
        """
        self.there()
        target = self.path(path)
        with self.errors():
            self.hold_inside(path if not target.is_symlink() else str(PurePosixPath(path).parent))
            make_folder(target.parent)
            temporary = temporary_beside(target)
            try:
                with source.open("rb") as original, temporary.open("xb") as copy:
                    size = 0
                    while chunk := original.read(CHUNK_BYTES):
                        copy.write(chunk)
                        size += len(chunk)
                        progress(size)
                move_into_place([(temporary, target)])
            except BaseException as error:
                with contextlib.suppress(OSError):  # the carrier may be gone
                    temporary.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno == errno.EFBIG:
                    raise TooLarge(path) from error
                raise
        return size

    def remove(self, path: str) -> int:
        """Remove a regular file; the bytes freed, 0 where there was none."""
        size = self.size(path)
        if size < 0:
            return 0
        with self.errors():
            self.hold_inside(path)
            self.path(path).unlink()
        return size

    def sweep(self, folder: str) -> None:
        """Remove what a write that was cut off left below `folder` (the carrier was pulled out)."""
        for path in self.files(folder):
            if _UNFINISHED.fullmatch(path.rpartition("/")[2]):
                self.remove(f"{folder}/{path}")

    def settle(self, *folders: str) -> None:
        """Make the entries of folders durable: after this the carrier may be pulled out."""
        with self.errors():
            sync_directories(self.path(folder) for folder in folders if self.path(folder).is_dir())

    def free_bytes(self) -> int:
        """Room on it, in bytes."""
        with self.errors():
            return shutil.disk_usage(self.path("")).free


def files_below(folder: Path) -> Iterator[str]:
    """The regular files below `folder`, relative to it; no symbolic link is followed."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder))
