"""Folders that a stranger can write to: an inbox while its box is connected, a stick.

Anything may lie there and may be exchanged under our hands: symbolic links, FIFOs, devices, trees a
thousand levels deep, a million files, names that are no UTF-8. So: every folder is held open and
entered by descriptor, never through a link; only regular files are read, and never more than asked
for; lists are bounded; nothing is walked recursively.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sync.durable import disk_errors

#: What `os.open` says of a thing that is not what we open it as: no folder, a link, a device that
#: nobody answers, a file without the right to read it.
_NOT_THAT = (errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.EINVAL)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFile(Exception):
    """It is no regular file, too large, or may not be read; the reason is the argument."""


class Foreign:
    """One folder that a stranger can write to, held open. Names are those of `os.fsdecode`."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path  # for messages only

    def folder(self, name: str) -> Foreign | None:
        """The folder `name` in it, to be closed; None if there is none (or it is a link, or shut)."""
        return _open(name, self._descriptor, self.path / name)

    def names(self, most: int) -> list[str]:
        """At most `most` of the names in it, in no order."""
        with disk_errors(self.path), os.scandir(self._descriptor) as entries:
            return [entry.name for entry in itertools.islice(entries, most)]

    def stat(self, name: str) -> os.stat_result | None:
        """What `name` is, links not followed; None if it is not there."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def opened(self, name: str) -> Iterator[int | None]:
        """A descriptor of the regular file `name`; None if it is not there. Raises NotAFile."""
        descriptor = self._open_file(name)
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """The bytes of the file `name`; None if it is not there. Raises NotAFile, also when it has
        more than `most_bytes`."""
        with self.opened(name) as descriptor:
            if descriptor is None:
                return None
            with disk_errors(self.path / name), os.fdopen(descriptor, "rb", closefd=False) as handle:
                data = handle.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise NotAFile(f"larger than {most_bytes} bytes")
        return data

    def move_out(self, name: str, target: Path) -> bool:
        """Move what `name` is (not what a link points to) to `target`; False if it cannot be moved."""
        try:
            os.rename(name, target, src_dir_fd=self._descriptor)
        except PermissionError:
            if not self._unlock(name):
                return False
            with suppress(OSError):
                os.rename(name, target, src_dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EROFS, errno.ENOSPC):
                with disk_errors(self.path):
                    raise
        return self.stat(name) is None

    def move_in(self, source: Path, name: str) -> None:
        """Move a file of ours into it, replacing a file of that name. Raises OSError."""
        os.rename(source, name, dst_dir_fd=self._descriptor)

    def make_folder(self, name: str) -> Foreign | None:
        """A folder in it, made if missing; None if something else has that name."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._descriptor)
        return self.folder(name)

    def close(self) -> None:
        """Let go of it; twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Foreign:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_file(self, name: str) -> int | None:
        found = self.stat(name)
        if found is None:
            return None
        if not stat.S_ISREG(found.st_mode):  # a device must not even be opened
            raise NotAFile("not a regular file")
        try:
            descriptor = os.open(name, _FILE, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NOT_THAT:
                raise NotAFile(error.strerror) from error
            with disk_errors(self.path / name):
                raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotAFile("not a regular file")
        return descriptor

    def _unlock(self, name: str) -> bool:
        """A folder is moved only if it may be written to: give ourselves that right."""
        try:
            descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                                 dir_fd=self._descriptor)
        except OSError:
            return False
        try:
            Path(f"/proc/self/fd/{descriptor}").chmod(0o700)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


def open_foreign(path: Path) -> Foreign | None:
    """The folder `path`, to be closed; None if there is none. Its parents are ours."""
    return _open(path, None, path)


def _open(name: str | Path, descriptor: int | None, path: Path) -> Foreign | None:
    try:
        return Foreign(os.open(name, _FOLDER, dir_fd=descriptor), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NOT_THAT:
            return None
        with disk_errors(path):
            raise


def is_private(path: Path) -> bool:
    """Is the file at `path` (in a folder of ours) reachable through nothing else: no second name, and
    nobody holds it open for writing? What is not sure is False."""
    descriptor = os.open(path, _FILE)
    try:
        if os.fstat(descriptor).st_nlink != 1:
            return False
        # A read lease is given only while nobody has the file open for writing (fcntl(2)). Nobody
        # can open it by name here, so it is given back before it could be broken.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:  # EAGAIN: somebody writes; EINVAL: this file system has no leases
        return False
    finally:
        os.close(descriptor)
    return True


class Trash:
    """A folder of ours where a stranger's things are thrown, whatever they are: one rename each."""

    def __init__(self, path: Path) -> None:
        self.path = path  # exists; on the file system of what is thrown in

    def throw(self, folder: Foreign, name: str) -> bool:
        """Take `name` out of the stranger's folder; False if it cannot be moved."""
        return folder.move_out(name, self._fresh())

    def empty(self, most: int) -> bool:
        """Remove at most `most` things of it for good, however deep they lie; True if it is empty then.

        No recursion: what lies in a folder is first moved up, then the folder is removed.
        """
        left = most
        while left > 0:
            with os.scandir(self.path) as entries:
                batch = list(itertools.islice(entries, left))
            if not batch:
                return True
            removed = sum(self._remove(Path(entry.path), left) for entry in batch)
            if not removed:
                return False
            left -= removed
        return not any(self.path.iterdir())

    def _remove(self, path: Path, most: int) -> int:
        """Remove a file, or move the content of a folder up and remove it; how many steps that took."""
        if path.is_symlink() or not path.is_dir():
            with suppress(OSError):
                path.unlink()
                return 1
            return 0
        steps = 0
        with suppress(OSError):
            path.chmod(0o700)
            with os.scandir(path) as entries:
                for entry in itertools.islice(entries, most):
                    inner = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        inner.chmod(0o700)
                        inner.rename(self._fresh())
                    else:
                        inner.unlink()
                    steps += 1
            path.rmdir()
            steps += 1
        return steps

    def _fresh(self) -> Path:
        return self.path / secrets.token_hex(8)
