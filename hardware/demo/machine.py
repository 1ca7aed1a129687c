"""The demo's two machines: `teachpoint` commands run to their end, services kept running, HTTP asked.

It knows nothing but the installed command and addresses (CONTRACT): what works here works for a user.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

#: Longest wait for a service to come up or a thing to come true, in seconds.
PATIENCE_S = 60.0
#: Longest run of one command, in seconds.
COMMAND_TIMEOUT_S = 300.0


class Failed(Exception):
    """The demo did not see what it must see; the text says what."""


def teachpoint(*words: str) -> Any:
    """Run `teachpoint … --json` and return its facts. Raises Failed with what it said."""
    done = subprocess.run([_command(), *words, "--json"], capture_output=True, text=True, check=False,
                          timeout=COMMAND_TIMEOUT_S, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed(f"teachpoint {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout) if done.stdout.strip() else None


class Running:
    """A `teachpoint … serve` that runs until `stop`; what it logs goes to `log`."""

    def __init__(self, log: Path, *words: str) -> None:
        self.log = log
        with log.open("ab") as sink:
            self._process = subprocess.Popen([_command(), *words], stdout=sink, stderr=sink,
                                             stdin=subprocess.DEVNULL)

    def check(self) -> None:
        """Raises Failed if it has ended."""
        if self._process.poll() is not None:
            raise Failed(f"it ended with {self._process.returncode}:\n{self.log.read_text('utf-8')[-2000:]}")

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
                raise Failed("it did not end within 20 s of being asked") from None


def _command() -> str:
    return str(Path(sys.executable).parent / "teachpoint")


def get(address: str, **headers: str) -> bytes:
    """The body of `address`. Raises Failed unless the answer is 2xx."""
    parts = urlsplit(address)
    plain = urlunsplit(parts._replace(path=quote(parts.path, safe="/%"),
                                      query=quote(parts.query, safe="=&%+")))
    request = urllib.request.Request(plain, headers=headers)  # noqa: S310 - the demo's own servers
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError) as error:
        raise Failed(f"{address}: {error}") from error


def ask(address: str) -> Any:
    """The JSON that `address` answers."""
    return json.loads(get(address))


def wait_for(what: str, look: Callable[[], Any], *running: Running, patience_s: float = PATIENCE_S) -> Any:
    """Look until something is there (anything that is true); what was found. Raises Failed."""
    end = time.monotonic() + patience_s
    last: object = "nothing"
    while time.monotonic() < end:
        for service in running:
            service.check()
        try:
            if found := look():
                return found
        except Failed as error:
            last = error
        time.sleep(0.2)
    raise Failed(f"waited {patience_s:.0f} s for {what}; last: {last}")


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, else a free port."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return int(probe.getsockname()[1])
    raise Failed("no free port")


def addresses() -> list[str]:
    """The addresses under which other devices may reach this machine; loopback if there is no other."""
    names = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} \
        if _resolves(socket.gethostname()) else set()
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): nothing is sent by a UDP connect
        names.add(probe.getsockname()[0])
    return sorted(str(name) for name in names if not str(name).startswith("127.")) or ["127.0.0.1"]


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None, socket.AF_INET)
    except OSError:
        return False
    return True
