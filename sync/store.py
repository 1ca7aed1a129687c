"""The object store: a folder of files named by their SHA-256, written once, never edited.

Promises
* An object that `has` says is there was verified when it came in, and its bytes are durable.
* Order of writing (DESIGN.md §9): write, SHA-256, fsync file, rename, fsync folder. Only after
  that may a database tell of it.
* What an add, an adopt or a batch has returned is durable, also where another process brought it.
* Only `Store` writes here; only `Store.remove` removes, and only `Store.quarantine` sets aside.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from sync.canonical import is_sha256, sha256_hex
from sync.durable import (
    disk_errors,
    make_folder,
    move_into_place,
    sweep_temporary,
    sync_directories,
    temporary_beside,
)
from sync.errors import Refused

#: How much is read at a time while hashing or copying, in bytes. A file up to this size is read once.
CHUNK_BYTES = 1024 * 1024
#: Objects can be read by whoever may enter the library (the web server that sends their bytes),
#: whatever the umask of the process that stored them.
OBJECT_MODE = 0o644

State = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Added:
    """What an add found: the object's name and size, and whether it was new."""

    sha256: str
    size: int
    new: bool


class Store:
    """Objects below `library/objects`; unfinished ones in `library/incoming`, rotten in `quarantine`."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self.objects = library / "objects"
        self.incoming = library / "incoming"
        self.rotten = library / "quarantine"
        for folder in (self.objects, self.incoming):
            make_folder(folder)

    def path(self, sha256: str) -> Path:
        """Where the object is or would be. Raises ValueError if `sha256` is no hash."""
        if not is_sha256(sha256):
            raise ValueError("not a SHA-256")
        return self.objects / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Is the object here?"""
        return self.path(sha256).is_file()

    def read(self, sha256: str, most_bytes: int) -> bytes:
        """The bytes of a small object, verified again.

        Raises Refused: `object-missing`; `object-damaged` (it is then in quarantine);
        `object-too-large` if it is larger than `most_bytes`.
        """
        data = b""
        try:
            with self.path(sha256).open("rb") as handle:
                data = handle.read(most_bytes + 1)
        except FileNotFoundError:
            raise Refused("object-missing", sha256=sha256) from None
        except OSError as error:
            if error.errno != errno.EIO:
                raise Refused("file-unreadable", path=self.path(sha256), reason=error.strerror) from error
        if len(data) > most_bytes:
            raise Refused("object-too-large", sha256=sha256, most_bytes=most_bytes)
        if sha256_hex(data) != sha256:
            self.quarantine(sha256)
            raise Refused("object-damaged", sha256=sha256)
        return data

    def add_bytes(self, data: bytes) -> Added:
        """Store `data`. Raises NoRoom `disk-full`."""
        with self.batch() as batch:
            added = batch.add_bytes(data)
            batch.commit()
        return added

    def add_file(self, source: Path) -> Added:
        """Copy a file in, hashing while reading; a file already here costs one reading, no write.

        Raises as `Batch.add_file`.
        """
        with self.batch() as batch:
            added = batch.add_file(source)
            batch.commit()
        return added

    def batch(self) -> Batch:
        """Begin to add many objects that come in together, or not at all; use it in a `with`."""
        return Batch(self)

    def adopt(self, staged: Iterable[tuple[Path, str]]) -> tuple[list[str], list[Path]]:
        """Verify files that a transport staged and take them in, by renaming them.

        `staged` are (file, expected SHA-256) on the store's file system. Returns the names now
        stored, and the files whose bytes were wrong (left where they are, for the caller to drop);
        one that is not there at all is in neither. After the return the stored ones are durable:
        the caller may tell the database.
        """
        good: dict[str, Path] = {}
        here: list[str] = []
        wrong: list[Path] = []
        for file, name in staged:
            if self.has(name) or name in good:
                if file != good.get(name):
                    file.unlink(missing_ok=True)
                here.append(name)
                continue
            try:
                regular = stat.S_ISREG(file.lstat().st_mode)
                whole = regular and hash_file(file) == name
            except FileNotFoundError:
                continue
            if whole:
                good[name] = file
            else:
                wrong.append(file)
        for file in good.values():
            with disk_errors(file):
                file.chmod(OBJECT_MODE)
        move_into_place((file, self.path(name)) for name, file in good.items())
        sync_directories(self.path(name).parent for name in here)
        return list(dict.fromkeys([*good, *here])), wrong

    def remove(self, sha256: str) -> int:
        """Remove an object for good; the bytes freed. The only function that removes stored data."""
        path = self.path(sha256)
        with disk_errors(path):
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
        return size

    def quarantine(self, sha256: str) -> Path | None:
        """Set a rotten object aside, so that it is fetched again and can be looked at; where it went."""
        make_folder(self.rotten)
        target = self.rotten / sha256
        with disk_errors(target):
            try:
                self.path(sha256).replace(target)
            except FileNotFoundError:
                return None
        return target

    def quarantined(self) -> list[str]:
        """The names of what was set aside as rotten and is not back."""
        there = self.rotten.iterdir() if self.rotten.is_dir() else ()
        return [path.name for path in there if is_sha256(path.name) and not self.has(path.name)]

    def forget_quarantined(self, sha256: str) -> None:
        """Remove what was set aside as rotten and nobody needs."""
        with disk_errors(self.rotten):
            (self.rotten / self.path(sha256).name).unlink(missing_ok=True)

    def empty_quarantine(self) -> int:
        """Remove what was set aside as rotten: nobody reads it, and room is needed; how many files."""
        count = 0
        with disk_errors(self.rotten):
            for path in list(self.rotten.iterdir()) if self.rotten.is_dir() else ():
                path.unlink(missing_ok=True)
                count += 1
        return count

    def size(self, sha256: str) -> int | None:
        """The bytes of an object; None where it is not here."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def size_bytes(self) -> int:
        """The bytes of all objects and of what is in quarantine; walks the folders."""
        return sum(path.stat().st_size for folder in (self.objects, self.rotten)
                   for path in folder.rglob("*") if path.is_file())

    def names(self) -> Iterator[str]:
        """The names of all objects, in order."""
        for folder in sorted(self.objects.iterdir()) if self.objects.is_dir() else ():
            if folder.is_dir():
                yield from sorted(f.name for f in folder.iterdir() if is_sha256(f.name))

    def check(self, sha256: str) -> bool:
        """Read the object again: True if whole; else it is quarantined and False returned.

        An object that the disk cannot read any more is not whole. Raises Refused `object-missing`.
        """
        try:
            whole = hash_file(self.path(sha256)) == sha256
        except FileNotFoundError:
            raise Refused("object-missing", sha256=sha256) from None
        except Refused as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EIO:
                raise
            whole = False
        if not whole:
            self.quarantine(sha256)
        return whole

    def sweep(self) -> int:
        """At start: remove unfinished writes; how many there were.

        Nothing is removed while another process is writing here (it holds a lock on `incoming`).
        """
        with _lock(self.incoming, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
            return sweep_temporary(self.incoming) if alone else 0


class Batch:
    """Objects on their way in. They wait in a folder of their own below `incoming`; `commit` makes
    them durable and visible at once, with one fsync for each folder instead of three for each
    object. Left without `commit`, the `with` removes all of it and the library is as it was.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        #: Sizes of the objects that are staged here, by name.
        self.staged: dict[str, int] = {}
        self._here: set[str] = set()  # asked for, and already in the store
        self._folder = temporary_beside(store.incoming / "batch")
        self._guard = _lock(store.incoming, fcntl.LOCK_SH)

    def __enter__(self) -> Batch:
        self._guard.__enter__()
        try:
            with disk_errors(self._folder):
                self._folder.mkdir(mode=0o755)
        except BaseException:
            self._guard.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            for name in self.staged:
                (self._folder / name).unlink(missing_ok=True)
            for rest in self._folder.iterdir():
                rest.unlink()
            self._folder.rmdir()
        except OSError:  # a disk that fails now is told by what failed before; `sweep` removes the rest
            pass
        finally:
            self._guard.__exit__(kind, value, trace)

    def path(self, sha256: str) -> Path:
        """Where the bytes of an object can be read now: staged here, or in the store."""
        return self._folder / sha256 if sha256 in self.staged else self.store.path(sha256)

    def has(self, sha256: str) -> bool:
        """Is the object staged here or in the store?"""
        if sha256 in self.staged:
            return True
        if self.store.has(sha256):
            self._here.add(sha256)
            return True
        return False

    def add_bytes(self, data: bytes) -> Added:
        """Stage `data`. Raises NoRoom `disk-full`."""
        name = sha256_hex(data)
        if self.has(name):
            return Added(name, len(data), new=False)
        self._write(name, data)
        return Added(name, len(data), new=True)

    def add_file(self, source: Path, expected: State | None = None) -> Added:
        """Stage a copy of a file; one already here costs one reading, no write.

        `expected` is the `state` that an earlier look at the file saw: it must be the same still.

        Raises Refused: `file-vanished`, `file-unreadable` (also: not a regular file, a link),
        `file-changed` (before and after reading its size, time or identity differ); NoRoom
        `disk-full`.
        """
        with _reading(source) as (handle, before):
            if expected is not None and state(before) != expected:
                raise Refused("file-changed", path=source)
            if before.st_size <= CHUNK_BYTES:
                data = _read(handle, source, CHUNK_BYTES + 1)
                _same(source, before, handle, len(data))
                return self.add_bytes(data)
            digest = hashlib.sha256()
            while chunk := _read(handle, source, CHUNK_BYTES):
                digest.update(chunk)
            name = digest.hexdigest()
            if not self.has(name):
                handle.seek(0)
                self._copy(handle, source, name)
                _same(source, before, handle, before.st_size)
                self.staged[name] = before.st_size
                return Added(name, before.st_size, new=True)
            _same(source, before, handle, before.st_size)
            return Added(name, before.st_size, new=False)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for files of the moment, gone with the block; after a kill `Store.sweep` removes it."""
        folder = temporary_beside(self._folder)
        with disk_errors(folder):
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self) -> int:
        """Make all staged objects durable and visible; how many bytes were new.

        After it a database may tell of every object that was added or asked for here.
        """
        staged, self.staged = self.staged, {}
        try:
            move_into_place((self._folder / name, self.store.path(name)) for name in staged)
        except BaseException:
            self.staged = staged
            raise
        sync_directories({self.store.path(name).parent for name in self._here})
        self._here.clear()
        return sum(staged.values())

    def _write(self, name: str, data: bytes) -> None:
        with disk_errors(self.store.path(name)), (self._folder / name).open("xb") as copy:
            os.fchmod(copy.fileno(), OBJECT_MODE)
            copy.write(data)
        self.staged[name] = len(data)

    def _copy(self, handle: BinaryIO, source: Path, name: str) -> None:
        unfinished = self._folder / "unfinished"
        with disk_errors(self.store.path(name)):
            digest = hashlib.sha256()
            with unfinished.open("wb") as copy:
                os.fchmod(copy.fileno(), OBJECT_MODE)
                while chunk := _read(handle, source, CHUNK_BYTES):
                    digest.update(chunk)
                    copy.write(chunk)
            if digest.hexdigest() != name:
                raise Refused("file-changed", path=source)
            unfinished.rename(self._folder / name)


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes. Raises Refused `file-unreadable` (EACCES, EIO)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while chunk := handle.read(CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    return digest.hexdigest()


def state(found: os.stat_result) -> State:
    """What changes when a file is written to or replaced; the first is its size."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


@contextmanager
def _lock(folder: Path, how: int) -> Iterator[bool]:
    """Hold a lock on `folder` (the kernel drops it when the process ends); False: another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        taken = False
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, how)
            taken = True
        yield taken
    finally:
        os.close(descriptor)


@contextmanager
def _reading(path: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file: no link is followed, a pipe put in its place does not block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        reason = "not a regular file" if error.errno in (errno.ELOOP, errno.ENXIO) else error.strerror
        raise Refused("file-unreadable", path=path, reason=reason) from error
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise Refused("file-unreadable", path=path, reason="not a regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as handle:
        yield handle, before


def _read(handle: BinaryIO, path: Path, most_bytes: int) -> bytes:
    """Up to `most_bytes`, fewer only at the end of the file."""
    parts: list[bytes] = []
    left = most_bytes
    try:
        while left and (part := handle.read(left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _same(path: Path, before: os.stat_result, handle: BinaryIO, read_bytes: int) -> None:
    try:
        after = path.lstat()
    except FileNotFoundError:
        raise Refused("file-changed", path=path) from None
    if not state(before) == state(after) == state(os.fstat(handle.fileno())) or read_bytes != before.st_size:
        raise Refused("file-changed", path=path)
