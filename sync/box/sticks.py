"""Sticks that are plugged in: taken without being asked, and told of until they are pulled out.

Linux tells of each mount and unmount through `/proc/self/mountinfo` (proc(5): poll gives POLLPRI). A new
mount below one of the watched folders is looked at; only one that carries our tree for this site (it has a
`feed/`) is synced with. Any other stick is a teacher's own, and stays untouched.

What comes of it stands in the setting `stick` of box.db, as JSON: `state` (`working`, `done`, `failed`),
`path`, `at`, and the report of the sync or the error. It goes when the stick goes.
"""

from __future__ import annotations

import json
import os
import re
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sync.box.problems import facts_kept
from sync.box.setting import drop_setting, read_setting, write_setting
from sync.box.state import Box, open_box
from sync.clock import SYSTEM, Clock
from sync.errors import TeachpointError
from sync.logs import log

#: Where systems mount what is plugged in.
WATCHED = (Path("/media"), Path("/run/media"))
#: The setting that tells of the stick.
STICK = "stick"
#: How often mounts are looked at although nothing was told, in seconds.
LOOK_S = 30.0

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounts(text: str, folders: Sequence[Path]) -> dict[str, Path]:
    """Mount id → mount point, of all mounts of a `mountinfo` below one of `folders` (proc(5))."""
    found: dict[str, Path] = {}
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) < 5:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), words[4])
                     .encode("latin-1", "replace").decode("utf-8", "replace"))
        if any(folder in point.parents for folder in folders):
            found[words[0]] = point
    return found


def stick_told(box: Box) -> dict[str, Any] | None:
    """What is to be told of the stick that is plugged in; None where there is none."""
    text = read_setting(box.database, STICK)
    told: dict[str, Any] | None = json.loads(text) if text else None
    return told


class Sticks:
    """The thread that watches. `alone()` keeps the sync over the line away meanwhile."""

    def __init__(self, data: Path, alone: Callable[[], AbstractContextManager[None]],
                 folders: Sequence[Path] = WATCHED, *, clock: Clock = SYSTEM) -> None:
        self._data, self._alone, self._folders, self._clock = data, alone, tuple(folders), clock
        self._known: dict[str, Path] = {}
        self._told: str | None = None  # the mount id that the setting tells of
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sticks", daemon=True)

    def start(self) -> None:
        """Begin; a stick that is plugged in already is taken at once."""
        self._thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """End it; a sync that is under way is left to be cut off with the process."""
        self._ending.set()
        os.write(self._end_write, b"x")
        self._thread.join(patience_s)

    def _run(self) -> None:
        box: Box | None = None
        with _MOUNTS.open("rb", buffering=0) as file:
            waiting = select.poll()
            waiting.register(file, select.POLLPRI | select.POLLERR)
            waiting.register(self._end_read, select.POLLIN)
            while not self._ending.is_set():
                try:
                    box = box or open_box(self._data, self._clock)
                    file.seek(0)
                    self.look(box, (file.readall() or b"").decode("latin-1"))
                except TeachpointError as error:
                    log("box.sticks").error("stick-not-told", code=error.code)
                    box = None
                except Exception as error:  # the next stick is another one
                    log("box.sticks").error("sticks-broke", exc_info=error)
                    box = None
                waiting.poll(LOOK_S * 1000)

    def look(self, box: Box, mountinfo: str) -> None:
        """Compare with what was there before: take what came, forget what went."""
        now = mounts(mountinfo, self._folders)
        if self._told is None and read_setting(box.database, STICK):
            drop_setting(box.database, STICK)  # of a run before this one
        if self._told is not None and self._told not in now:
            drop_setting(box.database, STICK)
            self._told = None
        new = [key for key in now if key not in self._known]
        self._known = now
        for key in new:
            if (now[key] / "feed").is_dir():
                self._told = key
                self.take(box, now[key])

    def take(self, box: Box, stick: Path) -> None:
        """One sync with a stick, both directions; what came of it is told."""
        # Loaded with the first stick: who only asks what was told of one need not wait for it.
        from sync.box.session import sync_once
        from sync.directory import Directory

        log("box.sticks").info("stick-plugged-in", path=str(stick))
        self._tell(box, stick, "working")
        try:
            with self._alone():
                report = sync_once(box, Directory(stick, box.pairing.site))
        except TeachpointError as error:
            log("box.sticks").warning("stick-failed", path=str(stick), code=error.code)
            self._tell(box, stick, "failed", error={"code": error.code, "facts": facts_kept(error)})
            return
        log("box.sticks").info("stick-done", path=str(stick), **report.as_json())
        self._tell(box, stick, "done", report=report.as_json())

    def _tell(self, box: Box, stick: Path, state: str, **more: Any) -> None:
        told = {"state": state, "path": str(stick), "at": int(self._clock.now()), **more}
        write_setting(box.database, STICK, json.dumps(told, ensure_ascii=False, sort_keys=True))
