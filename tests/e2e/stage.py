"""A stage for end-to-end tests: a hub and a box in a temporary folder, driven by the installed command.

Nothing here knows the insides of the product: what a test learns, it learns from commands, addresses, files.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

#: Longest waits, in seconds: no measure of anything, only the end of a test whose event never comes. A busy
#: machine may take a minute for what takes a second.
COMMAND_TIMEOUT_S = 300.0
PATIENCE_S = 180.0

#: Where nginx is, if it is installed.
SYSTEM_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
#: Set in every process a stage starts, so that what is left of it can be found.
MARK = "TEACHPOINT_TEST_STAGE"


def command() -> str:
    """The installed `teachpoint`, or the one that TEACHPOINT_COMMAND names (the PyInstaller executable)."""
    return os.environ.get("TEACHPOINT_COMMAND") or str(Path(sys.executable).parent / "teachpoint")


class Ended(AssertionError):
    """A command ended otherwise than expected."""


class Stage:
    """`hub` and `box` run commands there; `serve_hub` and `serve_box` start the services."""

    def __init__(self, place: Path, site: str = "s1") -> None:
        self.place, self.site = place, site
        self.hub_data, self.box_data = place / "hub", place / "box"
        self.pairing = place / f"{site}.toml"
        self.ssh_port, self.hub_port, self.box_port, self.content_port = (free_port() for _ in range(4))
        self.https_port = free_port()
        self.inside: list[str] = []  # words before each command: where it runs (ip netns exec …)
        self.environment = {**os.environ, MARK: str(place), "TEACHPOINT_LANG": "en"}
        self._running: list[Service] = []

    # -- commands

    def run(self, *words: str, status: int = 0) -> Any:
        """Run `teachpoint … --json`; its facts, or its error object where `status` is not 0."""
        done = self.start(*words)
        out, err = done.communicate(timeout=COMMAND_TIMEOUT_S)
        if done.returncode != status:
            raise Ended(f"teachpoint {' '.join(words)}: {done.returncode}, not {status}\n"
                        f"{out[-1500:]}\n{err[-3000:]}")
        assert "Traceback" not in err, err
        if status:
            return json.loads(err.strip().splitlines()[-1])["error"]
        return json.loads(out) if out.strip() else None

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `teachpoint … --json` and do not wait."""
        return subprocess.Popen([*self.inside, command(), *words, "--json"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                env=self.environment, encoding="utf-8", errors="backslashreplace")

    def hub(self, *words: str, status: int = 0) -> Any:
        """`teachpoint hub …` on this stage's hub."""
        return self.run("hub", *words, "--data", str(self.hub_data), status=status)

    def box(self, *words: str, status: int = 0, data: Path | None = None) -> Any:
        """`teachpoint box …` on this stage's box (or another data folder)."""
        return self.run("box", *words, "--data", str(data or self.box_data), status=status)

    def sync(self, status: int = 0) -> Any:
        """One whole sync over SSH."""
        return self.box("sync", "--once", status=status)

    # -- usual beginnings

    def set_up(self) -> None:
        """A hub with one site, and its box."""
        self.hub("init", "--name", "中心校", "--address", "127.0.0.1", "--ssh-port", str(self.ssh_port),
                 "--https-port", str(self.https_port))
        self.hub("site", "add", self.site, "--name", "一号教学点", "--pairing", str(self.pairing))
        self.box("init", "--pairing", str(self.pairing))

    def publish(self, folder: Path, *words: str, assign: bool = True, priority: int = 5) -> Any:
        """Publish one folder as one package and assign it to the site; what publish says of it."""
        [published] = self.hub("publish", str(folder), *words)
        if assign:
            self.hub("assign", published["id"], "--to", self.site, "--priority", str(priority))
        return published

    # -- services

    def serve_hub(self, *words: str) -> Service:
        """`hub serve`, up."""
        service = self.begin("hub", "serve", "--data", str(self.hub_data), "--http",
                              f"127.0.0.1:{self.hub_port}", "--ssh", f"127.0.0.1:{self.ssh_port}", "--https",
                              f"127.0.0.1:{self.https_port}", *words)
        wait_for("hub serve", lambda: service.up() and can_connect(self.ssh_port)
                 and (can_connect(self.https_port) or shutil.which("nginx", path=SYSTEM_PATH) is None)
                 and ask(f"http://127.0.0.1:{self.hub_port}/healthz")["ok"])
        return service

    def serve_box(self, *words: str) -> Service:
        """`box serve`, up; without mDNS unless the test wants it."""
        service = self.begin("box", "serve", "--data", str(self.box_data), "--http",
                              f"127.0.0.1:{self.box_port}", "--content", f"127.0.0.1:{self.content_port}",
                              *(words or ("--no-mdns",)))
        wait_for("box serve", lambda: service.up() and ask(self.url + "healthz")["ok"])
        return service

    def begin(self, *words: str) -> Service:
        """Start `teachpoint …` as a service and do not wait until it is up."""
        service = Service(self, words)
        self._running.append(service)
        return service

    @property
    def url(self) -> str:
        """The box's first page."""
        return f"http://127.0.0.1:{self.box_port}/"

    def stop(self) -> None:
        """End everything that this stage started, also what was left without a parent."""
        for service in self._running:
            service.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> dict[int, list[str]]:
        """pid → argument list of every process of this stage (by its mark, a path of ours, its folder)."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                marked = f"{MARK}={self.place}\0".encode() in (entry / "environ").read_bytes()
                inside = str((entry / "cwd").readlink()).startswith(f"{self.place}/")  # nginx hides the rest
                if words and (marked or inside or any(f"{self.place}/" in word for word in words)):
                    found[int(entry.name)] = words
        return found


class Service:
    """A running `… serve`; its log is kept."""

    def __init__(self, stage: Stage, words: tuple[str, ...]) -> None:
        self.log = stage.place / f"{words[0]}-{words[1]}.log"
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen([*stage.inside, command(), *words], stdout=sink, stderr=sink,
                                            stdin=subprocess.DEVNULL, env=stage.environment)

    def up(self) -> bool:
        """True while it runs; raises Ended if it has ended by itself."""
        if self.process.poll() is not None:
            raise Ended(f"ended with {self.process.returncode}:\n{self.text()[-3000:]}")
        return True

    def text(self) -> str:
        """What it logged."""
        return self.log.read_text("utf-8", errors="replace")

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL: the power is cut for this process."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)


#: The ports this process gives away: below those that Linux takes for outgoing connections (from 32768 on),
#: other ones for each of pytest's workers (gw0, gw1, …), none twice.
_FIRST_PORT = 11_000 + 2_500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
_PORTS = itertools.cycle(range(_FIRST_PORT, _FIRST_PORT + 2_500))


def free_port() -> int:
    """A port nobody listens on, and that nobody else is given."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def can_connect(port: int) -> bool:
    """Does somebody listen on this port?"""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def plain(address: str) -> str:
    """`address` with what is not ASCII percent-encoded."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=quote(parts.path, safe="/%"),
                                     query=quote(parts.query, safe="=&%+")))


def get(address: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers with lower-case names, body) of a GET; redirects are followed."""
    request = urllib.request.Request(plain(address), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def ask(address: str) -> Any:
    """The JSON of an answer that must be 200; None while nobody answers."""
    try:
        status, _, body = get(address)
    except OSError:
        return {"ok": False}
    assert status == 200, (address, status, body[:500])
    return json.loads(body)


def wait_for(what: str, look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Look until what `look` returns is true; that."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {patience_s:.0f} s for {what}")


def temporary_files(folder: Path) -> Iterator[Path]:
    """What unfinished writes left below `folder`: ours, and rsync's (`.name.XXXXXX`)."""
    for path in folder.rglob(".*"):
        if path.is_file() and re.fullmatch(r"\.tmp-.+|\..+\.[A-Za-z0-9]{6}", path.name):
            yield path
