"""The watch folder: what is dropped into it is published, once it has stopped changing.

Each file or folder that lies directly in the watch folder is an item. An item is published when,
over a whole quiet period, nothing in it changed, no file in it is open for writing, and no
unfinished download lies in it; the publish itself refuses what changes under its hands. So nothing
is ever published half-copied. Changes publish again, with the same ids.

What is refused is kept as one problem of the hub (`watch-failed`, naming each item) until the item
is published or gone, and tried again when it changes; what may pass by itself (no room, a busy
database) is tried again after a while too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    FileClosedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from sync.clock import SYSTEM, Clock
from sync.database import transaction
from sync.errors import NoRoom, Refused, TeachpointError
from sync.hub.folder import is_junk, is_partial
from sync.hub.publish import Published, publish_tree
from sync.hub.settings import Hub, open_hub
from sync.logs import log
from sync.store import State, state

#: How long nothing may change before an item is published, in seconds. A copy over the network that
#: stalls longer than this still has its file open, which is seen too.
QUIET_S = 3.0
#: How often the folder is looked through although nothing was heard, in seconds: network shares send
#: no events, and inotify may run out of watches.
LOOK_S = 60.0
#: After how many seconds what failed for a reason that may pass is tried again.
RETRY_S = 60.0

#: What an item looked like: the state of each file and folder in it.
Snapshot = dict[str, State]


@dataclass
class _Item:
    """What is known of one item; None: not yet, or to be done again."""

    snapshot: Snapshot | None = None
    #: When it was first seen to look like `snapshot` (monotonic).
    since: float = 0.0
    #: How it looked when it was last published or refused.
    settled: Snapshot | None = None
    retry_at: float | None = None
    failed: TeachpointError | None = None


class WatchFolder:
    """Publishes what appears in `folder` to the hub in `data`. `start` begins, `stop` ends it."""

    def __init__(self, data: Path, folder: Path, *, quiet_s: float = QUIET_S, look_s: float = LOOK_S,
                 clock: Clock = SYSTEM) -> None:
        self._data = data
        self.folder = folder
        self._quiet_s = quiet_s
        self._look_s = look_s
        self._clock = clock
        self._items: dict[str, _Item] = {}  # used by the working thread only
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._observer: BaseObserver | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch from now on; what lies there already is published too.

        Raises Refused `watch-folder-bad` if the folder is not there or cannot be read.
        """
        if not self.folder.is_dir() or not os.access(self.folder, os.R_OK | os.X_OK):
            raise Refused("watch-folder-bad", path=self.folder)
        self._thread = threading.Thread(target=self._work, name="watch-folder", daemon=True)
        self._thread.start()
        observer = Observer()
        try:
            observer.schedule(_Wake(self._woken), str(self.folder), recursive=True)
            observer.start()
            self._observer = observer
        except OSError as error:  # no inotify watches left: the slow look finds everything
            log("hub.watch").warning("no-events", folder=str(self.folder), reason=str(error))

    def stop(self) -> None:
        """End it; a publish that is running is finished first."""
        self._stopping.set()
        self._woken.set()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        hub = open_hub(self._data)
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                waits = self.step(hub)
            except TeachpointError as error:  # the database or the folder: the next look tries again
                log("hub.watch").error("failed", code=error.code, reason=str(error))
                waits = self._look_s
            except Exception:
                log("hub.watch").exception("failed")
                waits = self._look_s
            if self._woken.wait(waits):
                # Events come in thousands while something is copied: look at most twice a second.
                self._stopping.wait(min(0.5, self._quiet_s / 2))

    def step(self, hub: Hub) -> float:
        """Look once, publish what is ready; after how many seconds to look again (sooner if woken)."""
        waits = self._look_s
        names = self._names()
        for name in names:
            if self._stopping.is_set():
                return 0.0
            item = self._items.setdefault(name, _Item())
            waits = min(waits, self._look(hub, name, item))
        gone = self._items.keys() - set(names)
        for name in gone:
            del self._items[name]
        if gone or not self._items:
            self._remember(hub)
        return max(waits, 0.05)

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - names that are not UTF-8 too
        except OSError as error:
            raise Refused("watch-folder-bad", path=self.folder) from error
        return sorted(name for name in names if not is_junk(name) and not is_partial(name))

    def _look(self, hub: Hub, name: str, item: _Item) -> float:
        now = self._clock.monotonic()
        path = self.folder / name
        snapshot = take_snapshot(path)
        if snapshot != item.snapshot:
            item.snapshot, item.since = snapshot, now
        due_again = item.retry_at is not None and now >= item.retry_at
        if snapshot == item.settled and not due_again:
            return self._look_s if item.retry_at is None else item.retry_at - now
        quiet = now - item.since
        if quiet < self._quiet_s:
            return self._quiet_s - quiet
        if any(is_partial(Path(key).name) for key in snapshot) or being_written(path, snapshot):
            item.since = now
            return self._quiet_s
        self._publish(hub, name, item, snapshot)
        return self._look_s if item.retry_at is None else self._retry_s(item)

    def _retry_s(self, item: _Item) -> float:
        return (item.retry_at or 0.0) - self._clock.monotonic()

    def _publish(self, hub: Hub, name: str, item: _Item, snapshot: Snapshot) -> None:
        item.failed, item.retry_at = None, None
        for result in publish_tree(hub, self.folder / name):
            if isinstance(result, Published):
                log("hub.watch").info("published" if result.changed else "unchanged", item=name, id=result.id,
                                      version=result.version)
                continue
            if result.code in ("file-changed", "file-vanished"):
                # Still being copied after all: wait until it is quiet again, that is no problem.
                item.since = self._clock.monotonic()
                item.settled = None
                return
            if result.code == "nothing-to-publish":
                continue  # an empty folder: somebody has only begun
            log("hub.watch").warning("refused", item=name, code=result.code, reason=str(result))
            item.failed = item.failed or result
            if result.retry_helps or isinstance(result, NoRoom) or result.code == "database-busy":
                item.retry_at = self._clock.monotonic() + RETRY_S
        item.settled = snapshot
        self._remember(hub)

    def _remember(self, hub: Hub) -> None:
        """Keep what failed as one problem of the hub, or drop it."""
        failed = [{"item": name.encode("utf-8", "backslashreplace").decode(), "code": item.failed.code,
                   "reason": str(item.failed)}
                  for name, item in sorted(self._items.items()) if item.failed]
        with transaction(hub.database):
            if not failed:
                hub.database.execute("DELETE FROM problem WHERE site = '' AND code = 'watch-failed'")
                return
            facts = {"folder": str(self.folder), "items": failed, "count": len(failed),
                     "first": f"{failed[0]['item']}: {failed[0]['reason']}"}
            hub.database.execute(
                "INSERT INTO problem VALUES ('', 'watch-failed', ?, ?)"
                " ON CONFLICT (site, code) DO UPDATE SET facts = excluded.facts",
                (json.dumps(facts, ensure_ascii=False), hub.clock.now()))


class _Wake(FileSystemEventHandler):
    """Wakes the working thread for whatever may have changed bytes or names."""

    def __init__(self, woken: threading.Event) -> None:
        self._woken = woken

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Our own reading opens and closes files; that is no change.
        if event.event_type in ("created", "modified", "moved", "deleted") or isinstance(
                event, FileClosedEvent | DirCreatedEvent):
            self._woken.set()


def take_snapshot(path: Path) -> Snapshot:
    """The state of everything at and below `path`, links not followed; what vanishes meanwhile is
    left out, and the next look sees it gone."""
    found: Snapshot = {}
    for each in _walk(str(path)):
        with contextlib.suppress(OSError):
            found[each] = state(os.lstat(each))
    return found


def being_written(path: Path, snapshot: Snapshot) -> bool:
    """Has any process a file of it open for writing? Asked with a read lease (fcntl(2)), which the
    kernel grants only if nobody writes. Where it cannot be asked (another owner's file, a network
    file system) the quiet period must do.
    """
    for each in snapshot:
        try:
            descriptor = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                # Who opens it for writing just now sends us this signal; the usual one (SIGIO) kills.
                fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            log("hub.watch").info("still-written", item=str(path), file=each)
            return True
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return False


def _walk(path: str) -> Iterator[str]:
    yield path
    try:
        with os.scandir(path) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries
                     if not is_junk(entry.name) or is_partial(entry.name)]
    except OSError:
        return
    for each, folder in found:
        if folder:
            yield from _walk(each)
        else:
            yield each
