"""The object store: a folder of files named by their SHA-256, written once, never edited.

Promises
* An object that `has` says is there was verified when it came in, and is durable.
* Order of writing (DESIGN.md §9): write, SHA-256, fsync file, rename, fsync folder. Only after
  that may a database tell of it.
* Only `Store` writes here; only `Store.remove` removes, and only `Store.quarantine` sets aside.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sync.canonical import is_sha256, sha256_hex
from sync.durable import (
    disk_errors,
    make_folder,
    move_into_place,
    sweep_temporary,
    temporary_beside,
)
from sync.errors import Refused

#: How much is read at a time while hashing or copying, in bytes.
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Added:
    """What `add_file` or `add_bytes` found: the object's name and size, and whether it was new."""

    sha256: str
    size: int
    new: bool


class Store:
    """Objects below `library/objects`; unfinished ones in `library/.tmp-*`, rotten in `quarantine`."""

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
        path = self.path(sha256)
        try:
            with path.open("rb") as handle:
                data = handle.read(most_bytes + 1)
        except FileNotFoundError:
            raise Refused("object-missing", sha256=sha256) from None
        if len(data) > most_bytes:
            raise Refused("object-too-large", sha256=sha256, most_bytes=most_bytes)
        if sha256_hex(data) != sha256:
            self.quarantine(sha256)
            raise Refused("object-damaged", sha256=sha256)
        return data

    def add_bytes(self, data: bytes) -> Added:
        """Store `data`. Raises NoRoom `disk-full`."""
        name = sha256_hex(data)
        if self.has(name):
            return Added(name, len(data), new=False)
        temporary = temporary_beside(self.incoming / name)
        with disk_errors(self.path(name)):
            try:
                temporary.write_bytes(data)
                move_into_place([(temporary, self.path(name))])
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return Added(name, len(data), new=True)

    def add_file(self, source: Path) -> Added:
        """Copy a file in, hashing while reading; a file already here costs one reading, no write.

        Raises Refused: `file-vanished`, `file-unreadable` (also: not a regular file),
        `file-changed` (size or time differ before and after); NoRoom `disk-full`.
        """
        before = _regular(source)
        name = hash_file(source)
        if self.has(name):
            _same(source, before)
            return Added(name, before.st_size, new=False)
        temporary = temporary_beside(self.incoming / name)
        with disk_errors(self.path(name)):
            try:
                digest = hashlib.sha256()
                with source.open("rb") as original, temporary.open("xb") as copy:
                    while chunk := original.read(CHUNK_BYTES):
                        digest.update(chunk)
                        copy.write(chunk)
                _same(source, before)
                if digest.hexdigest() != name:
                    raise Refused("file-changed", path=source)
                move_into_place([(temporary, self.path(name))])
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return Added(name, before.st_size, new=True)

    def adopt(self, staged: Iterable[tuple[Path, str]]) -> tuple[list[str], list[Path]]:
        """Verify files that a transport staged and take them in, by renaming them.

        `staged` are (file, expected SHA-256) on the store's file system. Returns the names now
        stored, and the files whose bytes were wrong (left where they are, for the caller to drop).
        After the return the stored ones are durable: the caller may tell the database.
        """
        good: list[tuple[Path, Path]] = []
        names: list[str] = []
        wrong: list[Path] = []
        for file, name in staged:
            if self.has(name):
                file.unlink(missing_ok=True)
                names.append(name)
            elif hash_file(file) == name:
                good.append((file, self.path(name)))
                names.append(name)
            else:
                wrong.append(file)
        move_into_place(good)
        return names, wrong

    def remove(self, sha256: str) -> int:
        """Remove an object for good; the bytes freed. The only function that removes stored data."""
        path = self.path(sha256)
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
        try:
            self.path(sha256).replace(target)
        except FileNotFoundError:
            return None
        return target

    def names(self) -> Iterator[str]:
        """The names of all objects, in order."""
        for folder in sorted(self.objects.iterdir()) if self.objects.is_dir() else ():
            if folder.is_dir():
                yield from sorted(f.name for f in folder.iterdir() if is_sha256(f.name))

    def check(self, sha256: str) -> bool:
        """Read the object again: True if whole; else it is quarantined and False returned.

        Raises Refused `object-missing`.
        """
        try:
            whole = hash_file(self.path(sha256)) == sha256
        except FileNotFoundError:
            raise Refused("object-missing", sha256=sha256) from None
        if not whole:
            self.quarantine(sha256)
        return whole

    def sweep(self) -> int:
        """At start: remove unfinished writes; how many there were."""
        return sweep_temporary(self.incoming)


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


def _regular(path: Path) -> os.stat_result:
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    if not stat.S_ISREG(found.st_mode):
        raise Refused("file-unreadable", path=path, reason="not a regular file")
    return found


def _same(path: Path, before: os.stat_result) -> None:
    try:
        after = path.lstat()
    except FileNotFoundError:
        raise Refused("file-changed", path=path) from None
    if (after.st_size, after.st_mtime_ns, after.st_ino) != (
            before.st_size, before.st_mtime_ns, before.st_ino):
        raise Refused("file-changed", path=path)



