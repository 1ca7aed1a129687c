"""The transport over a directory that holds the tree: a USB stick, a mirror, another box's copy.

    root/library/objects/…   root/feed/<site>/…   root/inbox/<site>/…

A stick may come from anybody: only regular files are read, nothing is written through its links.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, move_into_place, temporary_beside
from sync.errors import Broken, NoRoom, Refused, Unreachable
from sync.layout import object_path
from sync.logs import log
from sync.staging import SYNC_EVERY_S, size_of, unfinished
from sync.transport import (
    MOST_FEED_FILE_BYTES,
    Arrived,
    Moved,
    Progress,
    Wanted,
    segments_first,
    silent,
    unheard,
)

#: How much is copied at a time, in bytes.
CHUNK_BYTES = 1024 * 1024


class Directory:
    """A `Transport` over the folder `root`, for one site."""

    name = "directory"
    _identity: tuple[int, int] | None = None  # device and inode of `root`, from the first call on

    def __init__(self, root: Path, site: str) -> None:
        self.root = root
        self.site = site

    def fetch_feed(self, into: Path) -> Moved:
        """As `Transport.fetch_feed`. Raises Unreachable `carrier-gone`; Refused `stick-without-feed`,
        `stick-leads-elsewhere`."""
        feed = self.root / "feed" / self.site
        self._there()
        with self._carrier():
            self._hold_inside(feed)
            names = sorted(_files_below(feed))
            missing = not feed.is_dir()
        if missing:
            self._there()
            raise Refused("stick-without-feed", path=self.root, site=self.site)
        with disk_errors(into):
            make_folder(into)
            for name in set(_files_below(into)) - set(names):
                (into / name).unlink()
            _remove_empty_folders(into)
        moved = Moved()
        for name in names:
            target = into / name
            with self._carrier(), _open_regular(feed / name) as source:
                data = source.read(MOST_FEED_FILE_BYTES + 1)
            if len(data) > MOST_FEED_FILE_BYTES:
                log("directory").warning("feed-file-too-large", site=self.site, path=name)
                continue
            if target.is_file() and target.read_bytes() == data:
                continue
            with disk_errors(target):
                make_folder(target.parent)
                temporary = temporary_beside(target)
                try:
                    temporary.write_bytes(data)
                    temporary.replace(target)
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
            moved += Moved(received_bytes=len(data), files=1)
        return moved

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path,
                      progress: Progress = silent, arrived: Arrived = unheard) -> Moved:
        """As `Transport.fetch_objects`. An object that cannot be read is left out, like a missing one."""
        self._there()
        received = files = 0
        for one in unfinished(wanted, staging, arrived):
            for size in self._append(one, staging / one.sha256):
                received += size
                progress(received)
            if size_of(staging / one.sha256) == one.size:
                files += 1
                arrived(one.sha256)
        return Moved(received_bytes=received, files=files)

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        """As `Transport.push_outbox`."""
        self._there()
        inbox = self.root / "inbox" / self.site
        sent = files = 0
        for name in segments_first(paths):
            source, target = outbox / name, inbox / name
            if source.is_symlink() or not source.is_file():
                continue
            self._there()
            with self._carrier():
                self._hold_inside(target.parent)
                if target.is_file():
                    if filecmp.cmp(source, target, shallow=False):
                        continue
                    log("directory").warning("inbox-file-replaced", site=self.site, path=name)
                make_folder(target.parent)
                temporary = temporary_beside(target)
                try:
                    with source.open("rb") as original, temporary.open("xb") as copy:
                        shutil.copyfileobj(original, copy, CHUNK_BYTES)
                    sent += temporary.stat().st_size
                    move_into_place([(temporary, target)])
                except BaseException:
                    with contextlib.suppress(OSError):  # the carrier may be gone
                        temporary.unlink(missing_ok=True)
                    raise
            files += 1
            progress(sent)
        return Moved(sent_bytes=sent, files=files)

    def close(self) -> Moved:
        """Nothing is held open, nothing was moved beside."""
        return Moved()

    def _append(self, one: Wanted, target: Path) -> Iterator[int]:
        """Add what is missing of an object; yields the bytes of each piece added. Nothing where the
        carrier does not have it or cannot read it."""
        try:
            source = _open_regular(self.root / "library" / object_path(one.sha256))
        except OSError as error:
            self._left_out(one, error)
            return
        with source, disk_errors(target), target.open("ab") as copy:
            source.seek(copy.tell())
            flushed = SYSTEM.monotonic()
            while True:
                try:
                    piece = source.read(min(CHUNK_BYTES, one.size - copy.tell()))
                except OSError as error:
                    self._left_out(one, error)
                    return
                copy.write(piece)
                copy.flush()
                if SYSTEM.monotonic() - flushed > SYNC_EVERY_S:
                    os.fdatasync(copy.fileno())
                    flushed = SYSTEM.monotonic()
                if not piece:
                    return
                yield len(piece)

    def _left_out(self, one: Wanted, error: OSError) -> None:
        self._there()
        if not isinstance(error, FileNotFoundError):
            log("directory").warning("object-unreadable", sha256=one.sha256, reason=error.strerror)

    def _there(self) -> None:
        """Raise Unreachable where the carrier is gone; also where its mount point is still a folder."""
        try:
            found = self.root.stat()
        except OSError as error:
            raise Unreachable("carrier-gone", path=self.root, reason=error.strerror) from error
        identity = (found.st_dev, found.st_ino)
        if not stat.S_ISDIR(found.st_mode) or identity != (self._identity or identity):
            raise Unreachable("carrier-gone", path=self.root, reason=os.strerror(errno.ENOENT))
        self._identity = identity

    def _hold_inside(self, folder: Path) -> None:
        """Refuse a folder of the carrier that is reached through a link: it may lie anywhere."""
        inside = folder.relative_to(self.root)
        for part in (*reversed(inside.parents), inside):
            if (self.root / part).is_symlink() and part != Path():
                raise Refused("stick-leads-elsewhere", path=self.root / part)

    @contextmanager
    def _carrier(self) -> Iterator[None]:
        """Turn errors about the carrier into ours."""
        try:
            with disk_errors(self.root):
                yield
        except NoRoom as error:
            raise NoRoom("carrier-full", path=self.root) from error
        except (OSError, Broken) as error:
            reason = error.facts.get("reason") if isinstance(error, Broken) else error.strerror
            raise Unreachable("carrier-gone", path=self.root, reason=reason) from error


def _open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError for anything else: a link may lead to this machine's
    own files, a pipe or a device would be read for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "no regular file", str(path))


def _files_below(folder: Path) -> Iterator[str]:
    """The regular files below `folder`, relative to it; no symbolic link is followed."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder))


def _remove_empty_folders(top: Path) -> None:
    for directory, _, _ in os.walk(top, topdown=False):
        if directory != str(top):
            with contextlib.suppress(OSError):  # not empty
                Path(directory).rmdir()
