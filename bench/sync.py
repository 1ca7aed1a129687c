"""A sync over real SSH on this machine, beside rsync by hand over the same: time, bytes, connections."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.results import table
from sync import programs
from tests.e2e.stage import Stage, can_connect, free_port, wait_for

SMALL_FILES = 2000
LARGE_BYTES = 200 * 1024 * 1024
#: What a sync that finds nothing new may cost, in bytes both ways, and in rsync processes at the hub.
MOST_IDLE_BYTES, MOST_IDLE_PROCESSES = 10_000, 2


@dataclass(frozen=True)
class Run:
    """One transfer: seconds, bytes both ways as ssh counted them, logins, rsyncs started at the far end."""

    seconds: float
    received: int
    sent: int
    logins: int
    processes: int

    def row(self, name: str) -> list[str]:
        """As a row of the table."""
        return [name, f"{self.seconds:.1f}", f"{self.received:,}", f"{self.sent:,}", str(self.logins),
                str(self.processes)]


def run(stage: Stage) -> str:
    """Ours, then rsync by hand, each twice; the text of the section."""
    stage.set_up()
    lessons = _lessons(stage)
    counter = Counter(stage.place / "counter")
    counter.put_before_rsync(stage)
    for lesson in sorted(lessons.iterdir()):
        stage.publish(lesson)
    hub = stage.serve_hub()
    ours = [_ours(stage, counter, hub.log) for _ in range(2)]
    if stage.box("status")["packages"]["complete"] != 2:
        raise RuntimeError("the box has not got both packages")
    rows = [ours[0].row("box sync"), ours[1].row("box sync, nothing new")]
    with _by_hand(stage, counter) as rsync:
        for name, options in (("rsync -a", ()), ("rsync -a --fsync", ("--fsync",))):
            target = stage.place / f"by hand {len(options)}"
            rows += [rsync.copy(lessons, target, *options).row(name)]
            rows += [rsync.copy(lessons, target, *options).row(f"{name}, nothing new")]
            shutil.rmtree(target)
    idle = ours[1]
    reached = (ours[0].logins == 1 and idle.received + idle.sent < MOST_IDLE_BYTES
               and idle.processes <= MOST_IDLE_PROCESSES)
    return f"""\
A package of {SMALL_FILES:,} small text files and one of a film of {LARGE_BYTES / 2**20:.0f} MiB, from a
hub to a box on the same machine, through sshd; beside it `rsync -a` over SSH of the same folders. Bytes
are those of the SSH connections, encryption and handshakes included. A box makes each file durable, as
`--fsync` does, checks its SHA-256, and has a catalogue afterwards.

{table(["", "seconds", "bytes received", "bytes sent", "logins", "rsyncs at the hub"], rows)}

Goal: one login for both packages; nothing new costs under {MOST_IDLE_BYTES:,} bytes and at most
{MOST_IDLE_PROCESSES} rsync processes at the hub: {"reached" if reached else "NOT reached"}."""


def _lessons(stage: Stage) -> Path:
    chance = random.Random(3)
    lessons = stage.place / "lessons"
    small, large = lessons / "小文件", lessons / "大视频"
    small.mkdir(parents=True)
    for number in range(SMALL_FILES):
        (small / f"{number:04}.txt").write_bytes(f"第{number}课 ".encode() * chance.randint(1, 40))
    large.mkdir()
    (large / "film.mp4").write_bytes(chance.randbytes(LARGE_BYTES))
    return lessons


class Counter:
    """A script in the place of rsync, where a far end looks for it: writes a line, then becomes rsync."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._lines = folder, folder / "started"
        folder.mkdir()
        self._lines.touch()
        self.script = folder / "rsync"
        self.script.write_text(f'#!/bin/sh\ncase " $* " in *" --server "*) echo >>"{self._lines}";; esac\n'
                               f'exec {programs.require("rsync")} "$@"\n')
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)

    def put_before_rsync(self, stage: Stage) -> None:
        """Let the stage's hub find the script."""
        stage.environment["PATH"] = f"{self.folder}:{os.environ['PATH']}"

    def started(self) -> int:
        """How often rsync was started as a far end."""
        return len(self._lines.read_text().splitlines())


def _ours(stage: Stage, counter: Counter, log: Path) -> Run:
    def logins() -> int:
        return len(re.findall(r'"contact"', log.read_text("utf-8")))

    before = counter.started(), logins()
    began = time.monotonic()
    report = stage.sync()
    seconds = time.monotonic() - began
    if report["left"]:
        raise RuntimeError(f"not all has come: {report}")
    return Run(seconds, report["received_bytes"], report["sent_bytes"], logins() - before[1],
               counter.started() - before[0])


class ByHand:
    """rsync over an sshd that lets it in."""

    def __init__(self, place: Path, port: int, counter: Counter) -> None:
        self._counter = counter
        self._ssh = (f"ssh -v -F none -i {place}/key -p {port} -o IdentitiesOnly=yes -o BatchMode=yes "
                     "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null")

    def copy(self, source: Path, target: Path, *options: str) -> Run:
        """Copy the folder from the far end."""
        before = self._counter.started()
        began = time.monotonic()
        done = subprocess.run(
            ["rsync", "-a", *options, f"--rsync-path={self._counter.script}", "-e", self._ssh,
             f"{getpass.getuser()}@127.0.0.1:{source}/", f"{target}/"],
            capture_output=True, text=True, check=True, timeout=300)
        seconds = time.monotonic() - began
        found = re.search(r"Transferred: sent (\d+), received (\d+) bytes", done.stderr)
        if found is None:
            raise RuntimeError(done.stderr)
        return Run(seconds, int(found[2]), int(found[1]), done.stderr.count("Authenticated to"),
                   self._counter.started() - before)


@contextlib.contextmanager
def _by_hand(stage: Stage, counter: Counter) -> Iterator[ByHand]:
    """An sshd as Debian sets it up, with a key of ours."""
    place = stage.place / "sshd"
    place.mkdir(mode=0o700)
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    port = free_port()
    (place / "config").write_text(f"""\
ListenAddress 127.0.0.1:{port}
HostKey {place}/host
AuthorizedKeysFile {place}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
""", "utf-8")
    server = subprocess.Popen([programs.require("sshd"), "-D", "-e", "-f", str(place / "config")],
                              env=stage.environment, stderr=subprocess.DEVNULL)
    try:
        wait_for("sshd", lambda: can_connect(port))
        yield ByHand(place, port, counter)
    finally:
        server.terminate()
        server.wait(10)
