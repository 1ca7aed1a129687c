"""The transport over a directory that holds the tree: a USB stick, a mirror, another box's copy.

    root/library/objects/…   root/feed/<site>/…   root/inbox/<site>/…

What a stick may do to us is told in `sync.carrier`.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sync.carrier import CHUNK_BYTES, Carrier, TooLarge, files_below
from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, place_file
from sync.errors import Refused
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


class Directory:
    """A `Transport` over the folder `root`, for one site."""

    name = "directory"
    carrier = True

    def __init__(self, root: Path, site: str) -> None:
        self.root = root
        self.site = site
        self._carrier = Carrier(root)

    def fetch_feed(self, into: Path) -> Moved:
        """As `Transport.fetch_feed`. Raises Unreachable `carrier-gone`; Refused `stick-without-feed`,
        `stick-leads-elsewhere`."""
        feed = f"feed/{self.site}"
        self._carrier.there()
        names = self._carrier.files(feed)
        if not self._carrier.path(feed).is_dir():
            self._carrier.there()
            raise Refused("stick-without-feed", path=self.root, site=self.site)
        with disk_errors(into):
            make_folder(into)
            for name in set(files_below(into)) - set(names):
                (into / name).unlink()
            _remove_empty_folders(into)
        moved = Moved()
        for name in names:
            target = into / name
            with self._carrier.errors(), self._carrier.open(f"{feed}/{name}") as source:
                data = source.read(MOST_FEED_FILE_BYTES + 1)
            if len(data) > MOST_FEED_FILE_BYTES:
                log("directory").warning("feed-file-too-large", site=self.site, path=name)
                continue
            if target.is_file() and target.read_bytes() == data:
                continue
            with disk_errors(target):
                make_folder(target.parent)
                place_file(target, data)
            moved += Moved(received_bytes=len(data), files=1)
        return moved

    def limit(self, bytes_per_s: float | None) -> None:
        """As `Transport.limit`: a carrier is not limited."""

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path,
                      progress: Progress = silent, arrived: Arrived = unheard) -> Moved:
        """As `Transport.fetch_objects`. An object that cannot be read is left out, like a missing one."""
        self._carrier.there()
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
        self._carrier.there()
        self._carrier.sweep(f"inbox/{self.site}")
        sent = files = 0
        for name in segments_first(paths):
            source, target = outbox / name, f"inbox/{self.site}/{name}"
            if source.is_symlink() or not source.is_file():
                continue
            if self._carrier.size(target) >= 0:
                with self._carrier.errors():
                    self._carrier.hold_inside(target)
                    if filecmp.cmp(source, self._carrier.path(target), shallow=False):
                        continue
                log("directory").warning("inbox-file-replaced", site=self.site, path=name)
            try:
                sent += self._carrier.put(source, target, _beyond(progress, sent))
            except TooLarge:
                log("directory").warning("file-too-large-for-carrier", site=self.site, path=name)
                continue
            files += 1
            progress(sent)
        return Moved(sent_bytes=sent, files=files)

    def beside(self) -> None:
        """None: there is only this one."""

    def close(self) -> Moved:
        """Let go of the folder; nothing was moved beside."""
        self._carrier.close()
        return Moved()

    def _append(self, one: Wanted, target: Path) -> Iterator[int]:
        """Add what is missing of an object; yields the bytes of each piece added. Nothing where the
        carrier does not have it or cannot read it."""
        try:
            source = self._carrier.open(f"library/{object_path(one.sha256)}")
        except OSError as error:
            self._left_out(one, error)
            return
        with _let_go(source), disk_errors(target), target.open("ab") as copy:
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
                self._carrier.there()  # what is held open can be read a while after it was pulled out
                yield len(piece)

    def _left_out(self, one: Wanted, error: OSError) -> None:
        self._carrier.there()
        if not isinstance(error, FileNotFoundError):
            log("directory").warning("object-unreadable", sha256=one.sha256, reason=error.strerror)


@contextlib.contextmanager
def _let_go(source: BinaryIO) -> Iterator[None]:
    """Close it in the end. What a carrier that is gone says then tells nothing about what was read."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            source.close()


def _beyond(progress: Progress, before: int) -> Progress:
    return lambda done: progress(before + done)


def _remove_empty_folders(top: Path) -> None:
    for directory, _, _ in os.walk(top, topdown=False):
        if directory != str(top):
            with contextlib.suppress(OSError):  # not empty
                Path(directory).rmdir()
