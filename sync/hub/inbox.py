"""Where what a site sent comes from: its inbox at the hub, or a stick. And the hub's own folder, where
it is put so that no box can reach it any more.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from sync.durable import TEMPORARY_PREFIX, disk_errors, make_folder, sweep_temporary, write_file
from sync.errors import Refused
from sync.hub.foreign import Foreign, NotAFile, Trash, is_private, open_foreign
from sync.hub.ingested import Ingested, Problems
from sync.hub.settings import Hub

SEGMENTS, OBJECTS, REFUSED = "segments", "objects", "refused"

#: Names of a folder looked at in one round: bounds the memory; the next round goes on.
NAMES_PER_ROUND = 10_000
#: Unfinished transfers (names that begin with `.`) are removed after so long, in seconds. Until then
#: the box may go on where it stopped.
UNFINISHED_AGE_S = 7 * 86400.0
#: Where rsync moves the beginning of a file when it is cut off; it goes on from that.
BEGINNINGS = ".tmp-partial"
#: What was refused is kept for a person to look at: at most so many files of a site (the newest), each at
#: most the size of a segment, so 210 MiB at worst.
REFUSED_FILES = 50
#: Things of the trash removed in one go.
TRASH_PER_ROUND = 100_000
CHUNK_BYTES = 1024 * 1024


class Intake:
    """The hub's own folder beside the inboxes: what was taken out of them."""

    def __init__(self, hub: Hub) -> None:
        self.objects = hub.layout.intake / "objects"
        trash = hub.layout.intake / "trash"
        for folder in (self.objects, trash):
            make_folder(folder, 0o700)
        sweep_temporary(self.objects)
        self.trash = Trash(trash)

    def taken(self, site: str) -> Path:
        """Where the objects of a site are put until they are verified."""
        folder = self.objects / site
        make_folder(folder, 0o700)
        return folder


class Source:
    """A tree of one site, open: folders by name, entered by descriptor. Nothing in it is changed where
    `keeps` is true."""

    keeps = True

    def __init__(self, intake: Intake, root: Path, site: str, abandoned_before: float = 0.0) -> None:
        """`abandoned_before`: nobody writes any more what was last written before this time."""
        self.abandoned_before = abandoned_before
        self._intake = intake
        self._site = site
        self._root = open_foreign(root)
        self._open = ExitStack()

    def __enter__(self) -> Source:
        if self._root is not None:
            self._open.enter_context(self._root)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._open.close()

    @property
    def root(self) -> Foreign | None:
        """The tree's own folder; None if it is not there."""
        return self._root

    def top(self, name: str) -> Foreign | None:
        """A folder of the root, open as long as the source; None if it is no folder."""
        found = self._root.folder(name) if self._root is not None else None
        return self._open.enter_context(found) if found is not None else None

    def drop(self, folder: Foreign, name: str) -> bool:
        """Remove something for good; False if it stays."""
        raise NotImplementedError

    def set_aside(self, label: str, data: bytes) -> None:
        """Keep the bytes of something refused, for a person to look at."""
        raise NotImplementedError

    def take(self, folder: Foreign, sha256: str, most_bytes: int) -> Path | None:
        """Put an object's file into the intake; None if it is no file of at most `most_bytes`."""
        raise NotImplementedError


class Stick(Source):
    """A stick's tree: copied from, never changed."""

    def drop(self, folder: Foreign, name: str) -> bool:  # noqa: ARG002 - the stick keeps it
        """It stays."""
        return False

    def set_aside(self, label: str, data: bytes) -> None:
        """It stays where it is: on the stick."""

    def take(self, folder: Foreign, sha256: str, most_bytes: int) -> Path | None:
        """Copied."""
        target = self._intake.taken(self._site) / sha256
        try:
            with folder.opened(sha256) as descriptor:
                return _copy(descriptor, target, most_bytes) if descriptor is not None else None
        except NotAFile:
            return None


class Inbox(Source):
    """A site's inbox: what is done with is taken out of it."""

    keeps = False

    def drop(self, folder: Foreign, name: str) -> bool:
        """Thrown into the trash, whatever it is."""
        return self._intake.trash.throw(folder, name)

    def set_aside(self, label: str, data: bytes) -> None:
        """Into `refused/`, where the newest REFUSED_FILES stay."""
        if self._root is None:
            return
        folder = self._root.make_folder(REFUSED)
        if folder is None:
            self.drop(self._root, REFUSED)  # a link or a file: the box's doing
            folder = self._root.make_folder(REFUSED)
        if folder is None:
            return
        with folder:
            # Written in a folder of ours first: the box may exchange things in its own meanwhile.
            fresh = self._intake.taken(self._site) / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            write_file(fresh, data, 0o600)
            self.drop(folder, label)
            folder.move_in(fresh, label)
            by_age = sorted((_changed(folder, name), name) for name in folder.names(NAMES_PER_ROUND))
            for _, name in by_age[:-REFUSED_FILES]:
                self.drop(folder, name)

    def take(self, folder: Foreign, sha256: str, most_bytes: int) -> Path | None:
        """Renamed: no byte is copied, however large it is."""
        target = self._intake.taken(self._site) / sha256
        found = folder.stat(sha256)
        if found is None or not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
            return None
        return target if folder.move_out(sha256, target) else None


def make_own(taken: Path, most_bytes: int) -> bool:
    """Make sure that nobody but us can change a file in the intake: what a box may still hold open or
    reach by a second name is copied. False (and it is gone) if it is no file of at most `most_bytes`.
    """
    found = taken.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
        taken.unlink()
        return False
    taken.chmod(0o600)
    if is_private(taken):
        return True
    with taken.open("rb") as handle:
        return _copy(handle.fileno(), taken, most_bytes) is not None


def clear_junk(hub: Hub, source: Source, folder: Foreign, name: str, reason: object,
               problems: Problems, result: Ingested, *, resumed: bool = False) -> bool:
    """Remove what has no business in an inbox; unfinished transfers only when they are abandoned, and those
    from which another goes on (`resumed`) when they are old. True if it was removed."""
    if source.keeps:
        return False
    if name.startswith("."):
        found = folder.stat(name)
        if found is None:
            return False
        dead = not resumed and found.st_ctime < source.abandoned_before
        if not dead and hub.clock.now() - found.st_ctime < UNFINISHED_AGE_S:
            return False
    else:
        result.refused += 1
        problems.add(Refused("inbox-junk", path=folder.path / name, reason=reason))
    return source.drop(folder, name)


def _copy(descriptor: int, target: Path, most_bytes: int) -> Path | None:
    """Copy at most `most_bytes` into a file of ours at `target`; None (and no file) if there are more."""
    fresh = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    size = 0
    with disk_errors(target):
        try:
            with fresh.open("xb") as copy, os.fdopen(descriptor, "rb", closefd=False) as handle:
                while size <= most_bytes and (chunk := handle.read(CHUNK_BYTES)):
                    copy.write(chunk)
                    size += len(chunk)
            target.unlink(missing_ok=True)
            if size > most_bytes:
                return None
            fresh.rename(target)
        finally:
            fresh.unlink(missing_ok=True)
    return target


def _changed(folder: Foreign, name: str) -> float:
    found = folder.stat(name)
    return found.st_ctime if found is not None else 0.0
