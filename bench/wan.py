"""A bad line on this machine, made by `wanlink` (root; two network namespaces): how a benchmark uses one."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync import programs
from tests.e2e.stage import Service, Stage, free_port, wait_for

HUB = "10.213.0.1"
#: A full packet, and what of it is content: IPv4, TCP and its timestamps take 52 bytes.
PACKET_BYTES, CONTENT_BYTES = 1500, 1448
SEED = 7


@dataclass(frozen=True)
class Shape:
    """What a line is like: bits a second both ways, round trip in ms, share of packets lost, and the hub's
    congestion control."""

    bits_per_s: int
    round_trip_ms: int
    loss: float = 0.0
    congestion: str = "bbr"

    def bound_s(self, content: int) -> float:
        """The shortest time for so many bytes of content over TCP: one way of delay, then full packets."""
        return self.round_trip_ms / 2000 + content * 8 * PACKET_BYTES / CONTENT_BYTES / self.bits_per_s

    def share(self, content: int, seconds: float) -> str:
        """What part of the line's rate became content, and of what TCP lets through of it."""
        rate = content * 8 / seconds / self.bits_per_s
        return f"{rate:.1%} ({rate * PACKET_BYTES / CONTENT_BYTES:.1%})"

    def __str__(self) -> str:
        lost = f", {self.loss:.0%} lost" if self.loss else ""
        return f"{self.bits_per_s / 1e6:g} Mbit/s, {self.round_trip_ms} ms round trip{lost}"


class Line:
    """A line while the block runs; `stage` is set up with a hub at one end and a box at the other."""

    def __init__(self, stage: Stage, shape: Shape, *options: str) -> None:
        self.stage, self.shape = stage, shape
        self._prefix = f"bench{os.getpid()}"
        self._arguments = [
            _wanlink(), "run", "--prefix", self._prefix, "--rate", str(shape.bits_per_s), "--delay",
            f"{shape.round_trip_ms / 2}ms", "--loss", str(shape.loss), "--seed", str(SEED),
            *(word for end in ("hub", "point") for word in (
                "--sysctl", f"{end}:net.ipv4.tcp_congestion_control={shape.congestion}")), *options]

    def __enter__(self) -> Line:
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.DEVNULL)
        wait_for("wanlink", lambda: self._process.poll() is None and self._control("stats").returncode == 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stage.inside = []
        self.stage.stop()
        self._process.terminate()
        self._process.wait(20)

    def inside(self, end: str) -> list[str]:
        """Words before a command that runs at this end."""
        return ["ip", "netns", "exec", f"{self._prefix}-{end}"]

    def set_up(self) -> None:
        """A hub and its box, not running."""
        stage = self.stage
        stage.hub("init", "--name", "中心校", "--address", HUB, "--ssh-port", str(stage.ssh_port),
                  "--https-port", str(stage.https_port))
        stage.hub("site", "add", stage.site, "--name", "一号教学点", "--pairing", str(stage.pairing))
        stage.box("init", "--pairing", str(stage.pairing))

    def serve_hub(self) -> Service:
        """`hub serve` at its end, up."""
        stage = self.stage
        stage.inside = self.inside("hub")
        service = stage.begin("hub", "serve", "--data", str(stage.hub_data), "--http",
                              f"{HUB}:{stage.hub_port}", "--ssh", f"{HUB}:{stage.ssh_port}",
                              "--https", f"{HUB}:{stage.https_port}")
        stage.inside = []
        wait_for("hub serve", lambda: service.up() and self.listens(stage.ssh_port))
        return service

    def serve_box(self) -> Service:
        """`box serve` at its end, with its background sync."""
        stage = self.stage
        stage.inside = self.inside("point")
        service = stage.begin("box", "serve", "--data", str(stage.box_data), "--http",
                              f"127.0.0.1:{stage.box_port}", "--content", f"127.0.0.1:{stage.content_port}",
                              "--no-mdns")
        stage.inside = []
        return service

    def sync(self) -> Any:
        """`box sync --once` over the line; its report, whose `seconds` begin before the connection."""
        self.stage.inside = self.inside("point")
        try:
            return self.stage.sync()
        finally:
            self.stage.inside = []

    def stats(self) -> Any:
        """The line's counters."""
        return json.loads(self._control("stats").stdout)

    def cut(self, seconds: float) -> None:
        """Nothing passes for so long."""
        self._control("down", "--for", str(seconds))

    def crossed(self, act: Callable[[], Any]) -> tuple[Any, int, int]:
        """What `act` returned, and the bytes of packets that reached the point and the hub meanwhile."""
        before = self.stats()
        found = act()
        time.sleep(self.shape.round_trip_ms / 1000)
        after = self.stats()
        down, up = (after[way]["delivered_bytes"] - before[way]["delivered_bytes"] for way in ("down", "up"))
        return found, down, up

    def _control(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([_wanlink(), action, "--prefix", self._prefix, *words], capture_output=True,
                              text=True, check=False)

    def listens(self, port: int) -> bool:
        """Does anything listen on this port at the hub's end?"""
        done = subprocess.run([*self.inside("hub"), "ss", "-ltnH", f"sport = :{port}"], capture_output=True,
                              text=True, check=True)
        return bool(done.stdout.strip())


@dataclass(frozen=True)
class Copied:
    """A copy by hand: seconds, bytes both ways as ssh counted them."""

    seconds: float
    received: int
    sent: int


class ByHand:
    """rsync over a fresh SSH connection from an sshd at the hub's end, as Debian sets it up."""

    def __init__(self, line: Line) -> None:
        self._line = line
        place = line.stage.place / "sshd"
        place.mkdir(mode=0o700)
        for name in ("key", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)],
                           check=True)
        port = free_port()
        (place / "config").write_text(
            f"ListenAddress {HUB}:{port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/key.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\n", "utf-8")
        self._server = subprocess.Popen(
            [*line.inside("hub"), programs.require("sshd"), "-D", "-e", "-f", str(place / "config")],
            env=line.stage.environment, stderr=subprocess.DEVNULL)
        wait_for("sshd", lambda: line.listens(port))
        self._ssh = (f"ssh -v -F none -i {place}/key -p {port} -o IdentitiesOnly=yes -o BatchMode=yes "
                     "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null")

    def copy(self, source: Path, target: Path, *options: str) -> Copied:
        """`rsync -a` of a folder or file to the point."""
        slash = "/" if source.is_dir() else ""
        began = time.monotonic()
        done = subprocess.run(
            [*self._line.inside("point"), "rsync", "-a", *options, "-e", self._ssh,
             f"{getpass.getuser()}@{HUB}:{source}{slash}", f"{target}{slash}"],
            capture_output=True, text=True, check=True, timeout=3600)
        seconds = time.monotonic() - began
        found = re.search(r"Transferred: sent (\d+), received (\d+) bytes", done.stderr)
        if found is None:
            raise RuntimeError(done.stderr)
        return Copied(seconds, int(found[2]), int(found[1]))

    def stop(self) -> None:
        """End the sshd."""
        self._server.terminate()
        self._server.wait(10)


def late(stats: Mapping[str, Any]) -> str:
    """How late the emulator was at worst: a sentence."""
    worst = max(stats[way]["late_ms_max"] for way in ("down", "up"))
    return f"The emulator was {worst:.0f} ms late at worst."


def lesson(place: Path, files: Mapping[str, bytes]) -> Path:
    """A folder to publish, with these files."""
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def why_not() -> str | None:
    """Why no line can be made here; None where one can."""
    if os.geteuid():
        return "making network namespaces needs root"
    if _found() is None:
        return "wanlink is not on the PATH and $WANLINK does not name it"
    missing = [program for program in ("ip", "ss", "zstd") if shutil.which(program) is None]
    return f"missing: {', '.join(missing)}" if missing else None


def _wanlink() -> str:
    found = _found()
    if found is None:
        raise RuntimeError("there is no wanlink")
    return found


def _found() -> str | None:
    given: Sequence[str | None] = (os.environ.get("WANLINK"), shutil.which("wanlink"))
    beside = [str(folder / "shared" / "tools" / "wanlink") for folder in Path(__file__).resolve().parents]
    return next((path for path in (*given, *beside) if path and Path(path).is_file()), None)
