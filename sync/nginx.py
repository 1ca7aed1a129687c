"""An nginx of our own: found, started, watched, started again, told of changes, ended.

What it serves is its configuration's matter (`edge.nginx`, `sync.hub.https`). No path stands in there that is
not ours to choose: nginx runs in the data folder and every path is relative to it. So a data folder may be
called anything (nginx cannot quote a `$`), unix sockets stay short enough, and workers of another user
need no right on the folders above. nginx dies with us; if it dies alone it is started again.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sync import programs
from sync.clock import SYSTEM
from sync.errors import Broken
from sync.logs import log

#: Called with the reason when nginx cannot be kept running, and with None each time it has come up.
Told = Callable[[str | None], None]


def installed() -> bool:
    """Is nginx on this machine?"""
    return programs.find("nginx") is not None


def sweep(data: Path) -> int:
    """End nginx processes that an earlier run in this data folder left; how many. Ours alone: they are known
    by their working directory."""
    left = processes(data)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    if left:
        _wait_until(lambda: not left & processes(data))
    return len(left)


def processes(data: Path) -> set[int]:
    """The nginx processes that run in this data folder: masters and workers."""
    place = str(data.resolve())
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                name = (entry / "comm").read_text().strip()
                if name == "nginx" and str((entry / "cwd").readlink()) == place:
                    found.add(int(entry.name))
    return found


class Nginx:
    """nginx with the configuration `<folder>/nginx.conf`, which names `<folder>/nginx.pid`; `folder` lies
    below the data folder. A thread of its own starts it and watches it until `stop`."""

    #: How long it may take from its start to answering, in seconds.
    START_S = 5.0
    #: Waits before it is started again, in seconds; after them it is given up, or tried at long intervals.
    BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
    LONGEST_WAIT_S = 60.0
    #: Alive for so long, a death is a new story, in seconds.
    SETTLED_S = 60.0

    def __init__(self, data: Path, folder: str, *, part: str, heard: Callable[[str], None], told: Told,
                 give_up: Callable[[], None] | None = None, listeners: Sequence[socket.socket] = ()) -> None:
        """`part`: of the program, in the log. `heard` gets each line it says. `give_up` is called, from the
        watching thread, when it has died too often; without it, it is tried for ever. `listeners`: sockets of
        ours that it inherits, so that callers wait while it is started again instead of being refused.
        """
        self._data, self._folder, self._log = data, folder, log(part)
        self._heard, self._told, self._give_up, self._listeners = heard, told, give_up, listeners
        self._stopping = threading.Event()
        self._wake = threading.Event()     # something is to be done before the next look
        self._changed = threading.Event()  # the configuration has changed
        self._cut = threading.Event()      # … and who is connected must not go on under the one before
        self._first = threading.Event()    # the first start has succeeded or failed
        self._service: programs.Service | None = None  # set by the watching thread
        self._thread = threading.Thread(target=self._watch, name="nginx", daemon=True)

    def begin(self) -> None:
        """Start it and keep it running; it may take a moment until it answers."""
        self._thread.start()

    def runs(self) -> bool:
        """Wait for what `begin` began: True when it answers, False when it cannot (told already)."""
        self._first.wait(self.START_S + 2)
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """The process id of its master, while it runs."""
        service = self._service
        return service.pid if service is not None and service.alive() else None

    def reload(self, *, cut: bool) -> None:
        """Let it read its configuration again, soon. Connections that are open go on under the one before;
        with `cut` they are ended as soon as the new one holds. Also while it is being started."""
        if cut:
            self._cut.set()
        self._changed.set()
        self._wake.set()

    def stop(self) -> None:
        """End it, answers cut off; returns when it has gone."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    # -- the watching thread -------------------------------------------------------------------------

    def _watch(self) -> None:
        """Starts nginx and lives as long as it: the child gets our death signal from this thread."""
        deaths = 0
        try:
            while not self._stopping.is_set():
                begun = SYSTEM.monotonic()
                reason = self._run_once()
                if self._stopping.is_set():
                    return
                never_ran = not self._first.is_set()
                deaths = deaths + 1 if SYSTEM.monotonic() - begun < self.SETTLED_S else 1
                self._log.error("nginx-ended", reason=reason, deaths=deaths)
                if self._give_up is None:
                    self._told(reason)
                    self._first.set()
                elif never_ran or deaths > len(self.BACKOFF_S):
                    self._told(reason)
                    self._service = None
                    if not never_ran:
                        self._give_up()
                    return
                sweep(self._data)  # workers whose master was killed
                patient = deaths > len(self.BACKOFF_S)
                self._stopping.wait(self.LONGEST_WAIT_S if patient else self.BACKOFF_S[deaths - 1])
        finally:
            self._first.set()

    def _run_once(self) -> str:
        """Run it until it ends or we stop; why it ended."""
        said: list[str] = []

        def on_line(line: str) -> None:
            said.append(line)
            del said[:-20]
            self._take(line)

        numbers = [listener.fileno() for listener in self._listeners]
        environment = dict(os.environ)
        if numbers:
            environment["NGINX"] = "".join(f"{number};" for number in numbers)
        self._changed.clear()  # what changes from here on is read again
        self._cut.clear()
        try:
            service = self._service = programs.Service(
                "nginx", "-p", "./", "-c", f"{self._folder}/nginx.conf", "-e", "stderr", env=environment,
                on_line=on_line, cwd=self._data, pass_fds=numbers)
        except Broken as error:
            return str(error)
        up = False
        try:
            while service.alive() and not self._stopping.is_set():
                if not up and self._answers(service):
                    up = True
                    self._log.info("nginx-started", pid=service.pid)
                    self._told(None)
                    self._first.set()
                if up and self._changed.is_set():
                    self._read_again(service)
                self._wake.wait(0.2 if up else 0.01)
                self._wake.clear()
        finally:
            service.stop(patience_s=3)
        return " ".join(said)[-1000:].strip() or "it ended without a word"

    def _read_again(self, service: programs.Service) -> None:
        self._changed.clear()
        cut = self._cut.is_set()
        self._cut.clear()
        before = processes(self._data) - {service.pid}
        service.signal(signal.SIGHUP)
        if not cut:
            return
        # Not before a new worker is there: until then the master has not read the signal, and would start
        # another worker under the configuration before in the place of one that ends.
        if not _wait_until(lambda: processes(self._data) - {service.pid} - before):
            self._log.error("nginx-deaf", pid=service.pid)
            service.stop(patience_s=3)  # started again it knows only the new one
            return
        for pid in before:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def _answers(self, service: programs.Service) -> bool:
        """Is its pid file there? It is written after the configuration was read and the sockets taken."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._data / self._folder / "nginx.pid").read_text()) == service.pid
        return False

    def _take(self, line: str) -> None:
        """A line of nginx's error log: to who listens, and into our log."""
        self._heard(line)
        text = re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line.strip())
        if text and "using inherited sockets from" not in text:
            self._log.warning("nginx-says", text=text[:1000])


def _wait_until(there: Callable[[], object], patience_s: float = 5.0) -> bool:
    """Look until it is there; False where it does not come."""
    last = SYSTEM.monotonic() + patience_s
    while not there():
        if SYSTEM.monotonic() >= last:
            return False
        SYSTEM.sleep(0.02)
    return True
