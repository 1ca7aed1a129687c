"""Many boxes that ask "anything new?": HTTPS beside a login over SSH for each, at a real `hub serve`."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.load import TICKS
from bench.memory import pss_bytes
from bench.results import table
from sync.hub.settings import open_hub
from sync.hub.sites import add_site
from sync.pairing import write as write_pairing
from tests.e2e.https_client import Client, credentials
from tests.e2e.sshd_stage import key_file, rsync_as_thief
from tests.e2e.stage import Stage, ask, wait_for

BOXES = 500
#: Polls over SSH: a sample, because each costs a hundred times as much.
SSH_BOXES = 50
#: All of them within so many seconds, evenly.
MINUTE_S = 50.0
#: The hub is watched idle for so long first, and what it uses then is taken off, in seconds.
IDLE_S = 15.0
#: What is extrapolated to: boxes that each ask twice a minute.
MANY, TURNS_PER_MINUTE = 10_000, 2
AT_ONCE = 16


@dataclass
class Load:
    """What the hub's processes used during a block: CPU seconds (those of ended children too), and the most
    memory they had together (PSS), with how many processes there were then."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    idle_cpu_s: float = 0.0
    memory: int = 0
    processes: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def per_poll_ms(self, polls: int) -> float:
        """Milliseconds of CPU for one poll, what the idle hub uses taken off."""
        return max(self.cpu_s - self.idle_cpu_s, 0.0) / polls * 1000


def run(stage: Stage) -> str:
    """500 polls over HTTPS, 50 over SSH; the text of the section."""
    stage.set_up()
    lesson = stage.place / "lessons" / "课"
    lesson.mkdir(parents=True)
    (lesson / "a.txt").write_text("早晨", "utf-8")
    stage.publish(lesson)
    pairings = _sites(stage)
    service = stage.serve_hub()
    wait_for("nginx", lambda: '"nginx-started"' in service.text())
    wait_for("all that is done at a start", lambda: ask(f"http://127.0.0.1:{stage.hub_port}/healthz")["ok"])
    time.sleep(5)
    with watched(stage) as idle:
        time.sleep(IDLE_S)
    per_second = idle.cpu_s / idle.seconds
    clients = [Client(stage.https_port, credentials(pairing, pairing.parent)) for pairing in pairings]
    tags = _tags(clients)
    with watched(stage) as https:
        _spread(MINUTE_S, [partial(_poll, client, tag, https)
                           for client, tag in zip(clients, tags, strict=True)])
    https.idle_cpu_s = per_second * https.seconds
    for client in clients:
        client.close()
    key = key_file(stage, stage.place)
    with watched(stage) as ssh:
        _spread(MINUTE_S * SSH_BOXES / BOXES, [partial(_login, stage, key, number, ssh)
                                               for number in range(SSH_BOXES)])
    ssh.idle_cpu_s = per_second * ssh.seconds
    return _text(idle, https, ssh)


def _text(idle: Load, https: Load, ssh: Load) -> str:
    rows = [[name, f"{polls}", f"{load.seconds:.0f}", f"{load.per_poll_ms(polls):.2f}",
             f"{statistics.median(load.latencies_ms):.0f}", f"{load.memory / 2**20:.0f}", str(load.processes)]
            for name, polls, load in (("HTTPS, a fresh connection each", BOXES, https),
                                      ("SSH, a login and rsync of the feed each", SSH_BOXES, ssh))]
    rate = MANY * TURNS_PER_MINUTE / 60
    cpus = [load.per_poll_ms(polls) / 1000 * rate for polls, load in ((BOXES, https), (SSH_BOXES, ssh))]
    idle_ms = idle.cpu_s / idle.seconds * 1000
    a_box = max(https.memory - idle.memory, 0) / BOXES
    return f"""\
{BOXES} boxes, each a site with a certificate of its own, ask `GET /v1/news` with `If-None-Match` (304),
evenly over {MINUTE_S:.0f} s, each on a fresh TLS connection that stays open until the end, so that memory is
that of {BOXES} connected boxes. Beside it a sample of {SSH_BOXES} logins at the same rate, each with the
`rsync` of the feed that a sync did before. CPU is that of all processes of the hub, kernel time
included, the clients' left out, and what the idle hub uses ({idle_ms:.0f} ms a second) taken off; memory is
PSS of all of them together at its peak ({idle.memory / 2**20:.0f} MiB when nobody asks). All on one machine.

{table(["", "polls", "seconds", "hub CPU ms a poll", "median ms", "peak MiB", "processes"], rows)}

Extrapolated to {MANY:,} boxes that ask {TURNS_PER_MINUTE} times a minute ({rate:.0f} a second):
{cpus[0]:.2f} CPUs over HTTPS, {cpus[1]:.1f} over SSH; {a_box / 1024:.0f} KiB for each box connected by HTTPS,
{a_box * MANY / 2**20:.0f} MiB if all of them stay connected."""


def _sites(stage: Stage) -> list[Path]:
    """The pairing files of all boxes."""
    hub = open_hub(stage.hub_data)
    found = []
    for number in range(BOXES):
        folder = stage.place / "boxes" / f"{number}"
        folder.mkdir(parents=True)
        path = folder / "pairing.toml"
        add_site(hub, f"b{number}", f"{number}号", deliver=partial(write_pairing, path))
        found.append(path)
    hub.database.close()
    return found


def _tags(clients: Sequence[Client]) -> list[str]:
    """What each box knows already: the ETag of its news."""
    def one(client: Client) -> str:
        status, headers, _ = client.ask("GET", "/v1/news")
        client.close()
        if status != 200:
            raise RuntimeError(f"no news: {status}")
        return headers["etag"]

    with ThreadPoolExecutor(AT_ONCE) as several:
        return list(several.map(one, clients))


def _poll(client: Client, tag: str, load: Load) -> None:
    began = time.monotonic()
    try:
        status = client.ask("GET", "/v1/news", If_None_Match=tag)[0]
    except (http.client.HTTPException, ssl.SSLError, OSError) as error:
        raise RuntimeError("a poll failed") from error
    if status != 304:
        raise RuntimeError(f"a poll was answered with {status}")
    load.latencies_ms.append((time.monotonic() - began) * 1000)


def _login(stage: Stage, key: Path, number: int, load: Load) -> None:
    began = time.monotonic()
    feed = stage.place / "feeds" / f"{number}"
    feed.mkdir(parents=True)
    done: subprocess.CompletedProcess[str] = rsync_as_thief(
        stage, key, "--recursive", "--times", "hub::feed/", f"{feed}/")
    if done.returncode:
        raise RuntimeError(done.stderr)
    load.latencies_ms.append((time.monotonic() - began) * 1000)


def _spread(seconds: float, work: Sequence[Callable[[], None]]) -> None:
    """Do each at its time, evenly, in a few threads."""
    began = time.monotonic()

    def at_its_time(number: int) -> None:
        time.sleep(max(began + seconds * number / len(work) - time.monotonic(), 0))
        work[number]()

    with ThreadPoolExecutor(AT_ONCE) as several:
        list(several.map(at_its_time, range(len(work))))


@contextlib.contextmanager
def watched(stage: Stage) -> Iterator[Load]:
    """Watch the hub's processes for the block."""
    load, ended = Load(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):
            pids = _hubs(stage)
            memory = pss_bytes(pids)
            if memory > load.memory:
                load.memory, load.processes = memory, len(pids)

    before, began = _cpu_s(stage), time.monotonic()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield load
        time.sleep(0.5)  # what has just ended is counted by its parent
    finally:
        ended.set()
        thread.join()
    load.cpu_s, load.seconds = _cpu_s(stage) - before, time.monotonic() - began


def _hubs(stage: Stage) -> list[int]:
    """`hub serve` and what it started, at this moment."""
    own = {os.getpid()}
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    [serve] = [pid for pid, words in stage.processes().items() if "serve" in words and pid not in own]
    found = [serve]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _cpu_s(stage: Stage) -> float:
    """CPU seconds of the hub's processes and of their children that have ended."""
    total = 0.0
    for pid in _hubs(stage):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            total += sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS
    return total
