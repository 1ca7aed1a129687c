"""The drop folder: a file that lies quiet in `uploads/` becomes an upload.

Promise: a file is removed only after the outbox has it, durably, and only if it is still the same then.
A file that is refused stays where it is, and a problem tells why.

Quiet means: unchanged for a moment and open for writing nowhere. The kernel is asked for the latter by a
lease (fcntl(2)), which it gives only on a file that nobody writes; where it cannot say (some network file
systems), the file must have been unchanged for longer. Only files directly in the folder are taken, never
links: who may write here must not be able to have another file read.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from sync.box.outbox import Outbox
from sync.clock import SYSTEM, Clock
from sync.durable import make_folder, sync_directory
from sync.errors import Broken, Refused, TeachpointError
from sync.logs import log
from sync.text import file_name

#: Unchanged for so long, a file that nobody writes is taken, in seconds.
QUIET_S = 2.0
#: The same where the system cannot tell whether somebody writes it: a copy over a bad line may pause.
UNSURE_QUIET_S = 30.0
#: The folder is looked at so often even if nobody tells of a change, in seconds.
LOOK_EVERY_S = 60.0
#: After a failure that is not the file's, it is tried again after so many seconds.
AGAIN_S = 60.0
#: Most files of one look; the others wait for the next.
MOST_FILES = 1000

#: Names of what is not finished, or was never meant: copies under way, and what systems leave about.
_NOT_MEANT = ("~$", "thumbs.db", "desktop.ini")
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp", ".swp")

#: (inode, size, time of change): another one means another or a changed file.
Signature = tuple[int, int, int]


@dataclass
class _Seen:
    signature: Signature
    since: float
    #: When it may be tried again after a failure; infinite: not before it has changed.
    not_before: float = 0.0
    error: TeachpointError | None = None


@dataclass
class DropFolder:
    """`outbox` opens the outbox for the calling thread; `taken` is called after each upload; `told` with a
    problem, or None when there is none."""

    folder: Path
    outbox: Callable[[], Outbox]
    taken: Callable[[], None]
    told: Callable[[TeachpointError | None], None]
    clock: Clock = SYSTEM
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _first: bool = True
    _told: TeachpointError | None = None
    _awake: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch from now on, in the background."""
        self._thread = threading.Thread(target=self._run, name="drop-folder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a file that is being copied stays, and is taken after the next start."""
        self._ending.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(timeout=3)

    def _run(self) -> None:
        observer = Observer()
        watching = False
        while not self._ending.is_set():
            self._awake.clear()
            wait_s = LOOK_EVERY_S
            try:
                if not watching:
                    make_folder(self.folder)
                    observer.schedule(_Wakes(self._awake), str(self.folder))
                    observer.start()
                    watching = True
            except Exception as error:  # looking now and then is enough
                log("edge.drop").warning("not-watching", reason=str(error))
                watching, wait_s = True, QUIET_S * 5
            try:
                wait_s = min(self.look(), wait_s)
            except Exception as error:
                log("edge.drop").error("look-failed", reason=str(error))
            self._awake.wait(wait_s)
        with contextlib.suppress(RuntimeError):
            observer.stop()

    def look(self) -> float:
        """Take what is quiet; how long until the next look is worth it, in seconds."""
        now = self.clock.monotonic()
        wait_s = LOOK_EVERY_S
        found = self._files()
        for name in set(self._seen) - set(found):
            del self._seen[name]
        for name, signature in found.items():
            seen = self._seen.get(name)
            if seen is None or seen.signature != signature:
                seen = self._seen[name] = _Seen(signature, now)
            if self._ending.is_set():
                break
            wait_s = min(wait_s, self._consider(name, seen, now))
        self._first = False
        self._tell()
        return wait_s

    def _files(self) -> dict[str, Signature]:
        found: dict[str, Signature] = {}
        make_folder(self.folder)
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if _meant(entry.name) and len(found) < MOST_FILES:
                    with contextlib.suppress(FileNotFoundError):
                        about = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(about.st_mode):
                            found[entry.name] = (about.st_ino, about.st_size, about.st_mtime_ns)
        return found

    def _consider(self, name: str, seen: _Seen, now: float) -> float:
        """Take the file if it is time; else how long until it may be, in seconds."""
        if seen.not_before > now:
            return min(seen.not_before - now, LOOK_EVERY_S)
        path = self.folder / name
        written = is_written(path)
        if written:
            seen.since = now
            return QUIET_S
        left = (UNSURE_QUIET_S if written is None else QUIET_S) - (now - seen.since)
        if left > 0:
            return left
        try:
            self._take(path, name, seen.signature)
            seen.error = None
        except Refused as error:
            if error.code in ("file-vanished", "file-changed"):
                seen.since = now
                return QUIET_S
            seen.error, seen.not_before = error, float("inf")
        except TeachpointError as error:
            seen.error, seen.not_before = error, now + AGAIN_S
        return min(max(seen.not_before - now, QUIET_S), LOOK_EVERY_S)

    def _take(self, path: Path, name: str, signature: Signature) -> None:
        outbox = self.outbox()
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if not (self._first and _known(outbox, path, shown, signature)):
            number = outbox.add_upload(path, name=shown)
            log("edge.drop").info("upload-taken", name=shown, bytes=signature[1], record=number)
            self.taken()
        try:
            about = path.lstat()
            if (about.st_ino, about.st_size, about.st_mtime_ns) == signature:
                path.unlink()
                sync_directory(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            # It is in the outbox; taken again at each look, it would fill the disk.
            raise Refused("file-unreadable", path=path, reason=error.strerror) from error

    def _tell(self) -> None:
        name, error = next(((name, seen.error) for name, seen in self._seen.items() if seen.error),
                           ("", None))
        if error is not self._told:
            self._told = error
            self.told(error and Broken("drop-failed", name=name, folder=self.folder, reason=error.message()))


class _Wakes(FileSystemEventHandler):
    def __init__(self, awake: threading.Event) -> None:
        self._awake = awake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("opened", "closed_no_write"):
            self._awake.set()


def is_written(path: Path) -> bool | None:
    """Has anybody the file open for writing? None where the system cannot tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Who opens it for writing meanwhile makes the kernel signal us: with one that nobody heeds.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False


def _meant(name: str) -> bool:
    small = name.lower()
    return not small.startswith((".", *_NOT_MEANT)) and not small.endswith(_UNFINISHED)


def _known(outbox: Outbox, path: Path, name: str, signature: Signature) -> bool:
    """Did a run that was cut off before it removed the file make an upload of it already?"""
    rows = outbox.database.execute(
        "SELECT sha256 FROM upload WHERE name = ? AND size = ? AND time >= ?",
        [file_name(name), signature[1], signature[2] / 1e9 - 1]).fetchall()
    if not rows:
        return False
    try:
        with path.open("rb") as handle:
            return (hashlib.file_digest(handle, "sha256").hexdigest(),) in rows
    except OSError:
        return False
