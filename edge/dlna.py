"""Films, sounds and pictures for TVs whose browser is of no use: a DLNA media server, by Debian's minidlna.

Promises
* It serves what a class may see anyway: whole files of lessons, below grade, subject and lesson. It gets a
  tree of links to the library and writes nothing there; it runs as the user that nginx's workers run as.
* It is off unless the technician asks for it (`box serve --dlna`): it takes 30 MB of memory.
* It dies with us, and is started again when it dies alone. That it cannot run keeps nothing else from it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from edge.catalogue import ResourceRow
from edge.nginx import worker_user
from edge.state import EdgeState
from sync import programs
from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, write_file
from sync.errors import Broken, NoRoom
from sync.layout import object_path
from sync.logs import log

PROGRAM = "minidlnad"
#: Its own files, below the data folder: the tree of links, its configuration, its database.
FOLDER = "run/dlna"
#: What a TV plays.
TYPES = ("video", "audio", "picture")
#: Most files shown: minidlna looks into each of them, which takes a second or two for a hundred.
MOST_FILES = 20_000
#: How often it is looked whether lessons have come, and whether it runs, in seconds.
LOOK_S = 3.0
#: Waits before it is started again, in seconds.
AGAIN_S = (1.0, 5.0, 30.0, 120.0)
_ROWS_AT_ONCE = 500
_CONTROL, _SEPARATOR = re.compile(r"[\x00-\x1f]+"), re.compile(r"[\x00-\x1f/\\]+")
#: Longest name of a file or folder, in bytes (ext4: 255).
_MOST_NAME_BYTES = 200


class Dlna:
    """Runs in a thread of its own from `start` to `stop`. `told` gets the problem that keeps it from running,
    and None when it runs."""

    def __init__(self, state: EdgeState, port: int, told: Callable[[Broken | NoRoom | None], None]) -> None:
        self._state, self._port, self._told = state, port, told
        self._folder = state.data.absolute() / FOLDER
        self._stopping = threading.Event()
        self._generation = -1
        self._service: programs.Service | None = None
        self._begun = self._not_before = float("-inf")
        self._deaths = 0
        self._thread = threading.Thread(target=self._run, name="dlna", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End it; returns when it has gone."""
        self._stopping.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    with disk_errors(self._folder):
                        self._look()
                except (Broken, NoRoom) as error:
                    log("edge.dlna").warning("dlna-failing", code=error.code, reason=str(error))
                    self._told(error)
                self._stopping.wait(LOOK_S)
        finally:
            if self._service is not None:
                self._service.stop(whole_tree=True)

    def _look(self) -> None:
        if self._generation < 0:
            self._prepare()
        generation = self._state.catalogue().generation()
        if generation != self._generation:
            lay_out(self._folder / "lessons", self._state.data.absolute() / "library",
                    islice(self._files(), MOST_FILES))
            self._generation = generation
        if self._service is not None and self._service.alive():
            if self._deaths and SYSTEM.monotonic() - self._begun > AGAIN_S[-1]:
                self._deaths = 0
            return
        if self._service is not None:
            reason = self._last_words()
            log("edge.dlna").error("dlna-ended", reason=reason)
            self._told(Broken("dlna-failing", reason=reason))
            self._service = None
            self._not_before = SYSTEM.monotonic() + AGAIN_S[min(self._deaths, len(AGAIN_S) - 1)]
            self._deaths += 1
        if SYSTEM.monotonic() >= self._not_before:
            self._service = programs.Service(
                PROGRAM, "-S", "-f", str(self._folder / "minidlna.conf"), "-P", str(self._folder / "pid"))
            self._begun = SYSTEM.monotonic()
            log("edge.dlna").info("dlna-started", pid=self._service.pid, port=self._port)
            self._told(None)

    def _prepare(self) -> None:
        """Its folder, new: what it noted of lessons that are gone would only be in the way."""
        shutil.rmtree(self._folder, ignore_errors=True)
        user = worker_user(self._state.data)
        if user and not all(parent.stat().st_mode & stat.S_IXOTH for parent in self._folder.parents[2:]):
            log("edge.dlna").warning("dlna-runs-as-root", reason="a folder above the data folder is closed")
            user = None
        make_folder(self._folder, 0o755 if user else 0o700)
        make_folder(self._folder / "lessons", 0o755)
        make_folder(self._folder / "db", 0o700)
        if user:
            number = pwd.getpwnam(user[0]).pw_uid
            (self._state.data / "run").chmod(0o711)
            for path in (self._folder, self._folder / "db"):
                os.chown(path, number, -1)
        text = configuration(self._state.name, self._state.site, self._folder, self._port, user)
        write_file(self._folder / "minidlna.conf", text.encode())

    def _last_words(self) -> str:
        """The end of its log: why it ended."""
        try:
            said = (self._folder / "db" / "minidlna.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            said = []
        return said[-1][:300] if said else "it ended without a word"

    def _files(self) -> Iterator[tuple[PurePosixPath, str]]:
        """Where each file shall be found, and its SHA-256."""
        catalogue = self._state.catalogue()
        for kind in TYPES:
            offset = 0
            while rows := catalogue.resources(type=kind, complete=True, limit=_ROWS_AT_ONCE,
                                              offset=offset).items:
                yield from ((place_of(row), row.sha256) for row in rows if row.sha256)
                offset += len(rows)


def configuration(name: str, site: str, folder: Path, port: int, user: tuple[str, str] | None) -> str:
    """The text of minidlna.conf (minidlna.conf(5)). A line is an option: no value may hold an end of line."""
    options = (
        ("port", port), ("media_dir", f"AVP,{folder / 'lessons'}"), ("friendly_name", name),
        ("uuid", uuid.uuid5(uuid.NAMESPACE_DNS, f"{site}.teachpoint.local")), ("serial", site),
        ("db_dir", folder / "db"), ("log_dir", folder / "db"), ("inotify", "yes"), ("notify_interval", 60),
        ("root_container", "B"), ("wide_links", "yes"), ("strict_dlna", "no"), ("max_connections", 60),
        *([("user", user[0])] if user else []))
    return "".join(f"{option}={_CONTROL.sub(' ', str(value))}\n" for option, value in options)


def place_of(row: ResourceRow) -> PurePosixPath:
    """Grade, subject, lesson, and the file by its place in the lesson and its name."""
    suffix = PurePosixPath(row.entry).suffix.lower()
    folders = [one for one in (row.grade, row.subject, row.package_name) if one]
    return PurePosixPath(*map(file_name, folders), file_name(f"{row.position:02} {row.name}", suffix))


def lay_out(tree: Path, library: Path, files: Iterator[tuple[PurePosixPath, str]]) -> None:
    """Make `tree` hold links to these objects of the library and nothing else. What is right stays as it is:
    minidlna sees each change, and looks into what is new. Raises OSError."""
    wanted: dict[PurePosixPath, Path] = {}
    for path, sha256 in files:
        target, place, number = library / object_path(sha256), path, 1
        while wanted.get(place, target) != target:  # two of one name
            number += 1
            place = path.with_name(file_name(path.stem, f" ({number}){path.suffix}"))
        wanted[place] = target
    for directory, folders, names in os.walk(tree, topdown=False):
        for name in (*names, *folders):
            whole = Path(directory) / name
            if whole.is_symlink():
                if wanted.get(PurePosixPath(whole.relative_to(tree))) == whole.readlink():
                    continue
                whole.unlink()
            elif whole.is_dir():
                with contextlib.suppress(OSError):  # not empty
                    whole.rmdir()
            else:
                whole.unlink()
    for path, target in wanted.items():
        whole = tree / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        if not whole.is_symlink():
            whole.symlink_to(target)


def file_name(text: str, suffix: str = "") -> str:
    """A file name that any system takes."""
    plain = _SEPARATOR.sub(" ", text).strip(". ") or "_"
    most = _MOST_NAME_BYTES - len(suffix.encode())
    return plain.encode("utf-8", "replace")[:most].decode("utf-8", "ignore").strip() + suffix
