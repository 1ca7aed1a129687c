"""Serving films: the box (nginx that asks Flask first) beside a plain nginx over the same file."""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from bench.load import Flood, Held, cpu_of, flood, hold_streams
from bench.results import spread, table
from sync import programs
from tests.e2e.stage import Service, Stage, ask, can_connect, free_port, get, plain, wait_for

FILE_BYTES = 200_000_000
PLAYERS = 40
ROUNDS = 4
#: Seconds of a round of seeking players, and of one with held streams.
SEEK_S, HOLD_S = 6, 8
#: What the box must reach of nginx's rate.
GOAL = 0.85

#: Directives of the box's nginx that say how bytes are sent; the plain one gets the same.
_SAME = ("sendfile", "sendfile_max_chunk", "aio", "tcp_nopush", "tcp_nodelay", "keepalive_timeout",
         "keepalive_requests", "open_file_cache", "open_file_cache_valid", "send_timeout")


@dataclass
class Server:
    """One way of serving: where the film and a page are, the processes that do it, what was measured."""

    name: str
    film: str
    page: str
    pids: list[int]
    floods: list[Flood] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def run(stage: Stage) -> str:
    """Alternating rounds; the text of the section."""
    film = _film(stage)
    with contextlib.ExitStack() as running:
        boxed = running.enter_context(_box(stage, "box: nginx + Flask (X-Accel)"))
        alone = running.enter_context(_box(_second(stage), "box without nginx", "--no-nginx"))
        servers = [running.enter_context(_plain(stage, film)), boxed, alone]
        for turn in range(ROUNDS):
            for server in servers[turn % 3:] + servers[:turn % 3]:
                with cpu_of(server.pids) as spent:
                    server.floods.append(flood("seek.lua", server.film, str(FILE_BYTES), str(turn),
                                               connections=PLAYERS, seconds=SEEK_S))
                server.cpu_s.append(spent.seconds)
        for server in servers:
            server.held.append(hold_streams(server.film, server.page, PLAYERS, HOLD_S))
    return _text(servers)


def _text(servers: list[Server]) -> str:
    reference, box = servers[0], servers[1]
    share = [ours.bytes_per_s / theirs.bytes_per_s
             for ours, theirs in zip(box.floods, reference.floods, strict=True)]
    ratio = sum(f.bytes_per_s for f in box.floods) / sum(f.bytes_per_s for f in reference.floods)
    held = box.held[0]
    rows = [[
        one.name, spread([f.bytes_per_s / 1e6 for f in one.floods]),
        f"{sum(f.bytes_per_s for f in one.floods) / sum(f.bytes_per_s for f in reference.floods):.0%}",
        spread([f.p99_ms for f in one.floods]),
        spread([cpu / f.bytes * 1e9 for cpu, f in zip(one.cpu_s, one.floods, strict=True)], 2),
        spread([f.client_cpu_s / f.seconds for f in one.floods], 2),
        str(sum(f.errors for f in one.floods)),
        f"{one.held[0].held}/{one.held[0].streams}", f"{one.held[0].page_p95_ms:.0f}",
    ] for one in servers]
    verdict = "reached" if ratio >= GOAL and held.held == held.streams else "NOT reached"
    head = ["server", "MB/s", "of nginx", "p99 ms", "server CPU s/GB", "wrk's CPUs", "errors", "held",
            "page p95 ms"]
    return f"""\
{PLAYERS} players seek in a film of {FILE_BYTES / 1e6:.0f} MB (each asks for 1 to 4 MB from a random
place, as soon as it has the last), {ROUNDS} rounds of {SEEK_S} s in turn; then {PLAYERS} streams of
4 Mbit/s are held for {HOLD_S} s while the first page (for nginx: a small file) is asked for ten times a
second. The plain nginx is the same program with the same number of workers and the same directives for
sending.

{table(head, rows)}

Goal: at least {GOAL:.0%} of nginx's rate and all {PLAYERS} held: {verdict}, {ratio:.0%} (by round \
{", ".join(f"{one:.0%}" for one in share)}), {held.held}/{held.streams}.
Median and (least-most) of the rounds; wrk's CPUs: how many it kept busy (it has one thread)."""


def _film(stage: Stage) -> Path:
    """Hub and box with one lesson of one film; the film's file."""
    stage.set_up()
    lesson = stage.place / "lessons" / "第01课"
    lesson.mkdir(parents=True)
    film = lesson / "film.mp4"
    film.write_bytes(random.Random(1).randbytes(FILE_BYTES))
    stage.publish(lesson)
    stage.box("sync", "--once", "--from", str(stage.hub_data))
    return film


def _second(stage: Stage) -> Stage:
    """Another box with the same lesson."""
    other = Stage(stage.place / "second", "s2")
    other.place.mkdir()
    other.hub_data = stage.hub_data
    other.hub("site", "add", other.site, "--name", "二号", "--pairing", str(other.pairing))
    other.box("init", "--pairing", str(other.pairing))
    [package] = other.hub("packages")
    other.hub("assign", package["id"], "--to", other.site)
    other.box("sync", "--once", "--from", str(other.hub_data))
    return other


@contextlib.contextmanager
def _box(stage: Stage, name: str, *words: str) -> Iterator[Server]:
    """`box serve`."""
    service: Service = stage.serve_box("--no-mdns", "--no-sync", *words)
    try:
        [one] = ask(stage.url + "api/v1/resources")["items"]
        film = urljoin(stage.url, plain(one["url"]))
        status, headers, _ = get(film, Range="bytes=0-0")
        if (status, headers["content-range"]) != (206, f"bytes 0-0/{FILE_BYTES}"):
            raise RuntimeError(f"{name}: {status} {headers}")
        yield Server(name, film, stage.url, sorted(
            pid for pid, words in stage.processes().items()
            if pid == service.process.pid or words[0].startswith("nginx")))
    finally:
        service.stop()


@contextlib.contextmanager
def _plain(stage: Stage, film: Path) -> Iterator[Server]:
    """nginx over the folder of the film, with the box's directives for sending."""
    theirs = (stage.box_data / "run/nginx/nginx.conf").read_text("utf-8")
    same = "\n".join(line for line in theirs.splitlines() if line.strip().partition(" ")[0] in _SAME)
    main = "\n".join(re.findall(r"^(?:user|worker_processes) .*;$", theirs, re.M))
    port = free_port()
    place = stage.place / "plain"
    place.mkdir()
    page = film.with_name("page.html")
    page.write_text("<!doctype html>" + "<p>早晨" * 1000, "utf-8")
    temporary = "\n".join(f"{kind}_temp_path {kind};"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(f"""\
daemon off;
{main}
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
access_log off;
types {{ video/mp4 mp4; text/html html; }}
{temporary}
{same}
server {{ listen 127.0.0.1:{port}; root {film.parent}; }}
}}
""", "utf-8")
    program = programs.require("nginx")
    server = subprocess.Popen([program, "-p", f"{place}/", "-c", "nginx.conf", "-e", "stderr"],
                              cwd=place, env=stage.environment)
    try:
        wait_for("nginx", lambda: can_connect(port))
        pids = [pid for pid, words in stage.processes().items() if words[0].startswith("nginx")
                and Path(f"/proc/{pid}/cwd").readlink() == place]
        yield Server("nginx alone", f"http://127.0.0.1:{port}/{film.name}",
                     f"http://127.0.0.1:{port}/{page.name}", pids)
    finally:
        server.terminate()
        server.wait(10)
