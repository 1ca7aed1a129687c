"""The classroom beside Kolibri: pages and search with many resources, an idle box's memory, its start.

`--full` adds a box with 1,000,000 resources.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from bench.catalogue import CLIENTS, GRADES, RESOURCES_OF_A_LESSON, SUBJECTS, WORDS, fill
from bench.kolibri import LEARN, VERSION, Kolibri, kolibri
from bench.load import Flood, flood
from bench.memory import pss_bytes
from bench.pacing import Paced, pace
from bench.results import spread, table
from sync.box.state import open_box
from sync.database import transaction
from tests.e2e.stage import Service, Stage, ask, get, wait_for

LESSONS = 1000
#: So many copies of them make the large box.
COPIES = 49
ROUNDS, ROUND_S = 3, 4
#: What a client of a class asks for, in pages a second, where answers are timed.
PAGES_PER_S, PACED_S = 5, 8
LEAST_TIMES, MOST_MS, MOST_IDLE_BYTES, MOST_START_S = 10, 10, 80_000_000, 1.0


@dataclass(frozen=True)
class _Kind:
    """A kind of page: its name, our addresses, and theirs (asked for one after the other by their page)."""

    name: str
    ours: list[str]
    theirs: list[list[str]]


def run(full: bool, stage: Stage) -> str:
    """The text of the section."""
    stage.set_up()
    fill(stage)
    rows: list[list[str]] = []
    with kolibri(stage.place / "kolibri", LESSONS, RESOURCES_OF_A_LESSON, list(WORDS)) as peer:
        peer_memory = pss_bytes(peer.pids)
        service = _serve(stage)
        kinds = _kinds(peer)
        worst = min(_beside(stage, peer, kind, rows) for kind in kinds if kind.theirs)
        paced = {kind.name: pace(stage.url, kind.ours, CLIENTS, PAGES_PER_S, PACED_S) for kind in kinds}
        service.stop()
    memory, start_s = _idle(stage)
    timed = [_timed(LESSONS, name, found) for name, found in paced.items()]
    reached = {"pages": worst >= LEAST_TIMES, "memory": memory <= MOST_IDLE_BYTES,
               "start": start_s <= MOST_START_S,
               "answers": all(found.p95_ms <= MOST_MS for found in paced.values())}
    if full:
        _enlarge(stage)
        service = _serve(stage, patience_s=3600)
        for kind in kinds:
            found = pace(stage.url, kind.ours, CLIENTS, PAGES_PER_S, PACED_S)
            timed.append(_timed(LESSONS * (1 + COPIES), kind.name, found))
            reached["answers"] &= found.p95_ms <= MOST_MS
        service.stop()
    said = "; ".join(f"{name}: {'reached' if good else 'NOT reached'}" for name, good in reached.items())
    return f"""\
{LESSONS * RESOURCES_OF_A_LESSON:,} resources in {LESSONS:,} lessons; Kolibri {VERSION} beside it in the same
run, with a channel of as many nodes. Flat out: {CLIENTS} clients as fast as they are answered, {ROUNDS} times
{ROUND_S} s in turn. Kolibri's pages are a script that asks for lists: its shell and the list are one page.

{table(["flat out", "pages/s", "p95 ms", "Kolibri: shell/s", "list/s", "pages/s", "ours / theirs"], rows)}

A class asks for few different pages, and often: most of these come from memory. {CLIENTS} clients, each
asking for {PAGES_PER_S} pages a second (a class of 40 asks for fewer), at last for what nobody asked for yet:

{table(["resources", "page", "answers", "p50 ms", "p95 ms", "p99 ms"], timed)}

|  | box | Kolibri |
| --- | --- | --- |
| idle, all processes (PSS) | {memory / 1e6:.0f} MB | {peer_memory / 1e6:.0f} MB |
| from start to the first page | {start_s:.2f} s | {peer.start_s:.2f} s |

Goal: pages ≥ {LEAST_TIMES} × Kolibri's rate ({worst:.0f} × at worst), p95 ≤ {MOST_MS} ms, \
idle ≤ {MOST_IDLE_BYTES // 10**6} MB, start ≤ {MOST_START_S:.0f} s: {said}."""


def _kinds(peer: Kolibri) -> list[_Kind]:
    listed = f"/api/content/contentnode/?{urlencode({'parent': peer.channel, 'max_results': 25})}"
    return [
        _Kind("first page", ["/"], [[LEARN], [listed]]),
        _Kind("browse", [f"/browse?{urlencode({'grade': grade, 'subject': subject})}" for grade in GRADES
                         for subject in SUBJECTS], [[LEARN], [listed]]),
        _Kind("search", [f"/search?{urlencode({'q': word[:2] + more})}" for word in WORDS
                         for more in ("", " 朗读")],
              [[LEARN], [f"/api/content/contentnode/?{urlencode({'keywords': word, 'max_results': 25})}"
                         for word in WORDS]]),
        _Kind("suggestions", [f"/suggest?{urlencode({'q': word[:letters]})}" for word in WORDS
                              for letters in (1, 2)], []),
        _Kind("search, each for something else", [
            f"/search?{urlencode({'q': f'{word[:letters]} {place}'})}" for word in WORDS
            for letters in (1, 2, 3) for place in range(RESOURCES_OF_A_LESSON)], []),
    ]


def _beside(stage: Stage, peer: Kolibri, kind: _Kind, rows: list[list[str]]) -> float:
    """A row; how many times Kolibri's rate ours is."""
    ours: list[Flood] = []
    theirs: list[list[Flood]] = [[] for _ in kind.theirs]
    for _ in range(ROUNDS):
        ours.append(flood("ask.lua", stage.url, *kind.ours, connections=CLIENTS, seconds=ROUND_S))
        for found, paths in zip(theirs, kind.theirs, strict=True):
            found.append(flood("ask.lua", peer.url, *paths, connections=CLIENTS, seconds=ROUND_S))
    if any(one.errors for floods in (ours, *theirs) for one in floods):
        raise RuntimeError(f"{kind.name}: errors in {ours} or {theirs}")
    rate = spread([one.requests_per_s for one in ours])
    whole = [1 / sum(1 / one.requests_per_s for one in turn) for turn in zip(*theirs, strict=True)]
    times: float = statistics.median(
        one.requests_per_s / other for one, other in zip(ours, whole, strict=True))
    rows.append([kind.name, rate, spread([one.p95_ms for one in ours], 1),
                 *(spread([one.requests_per_s for one in floods]) for floods in theirs), spread(whole),
                 f"{times:.0f}"])
    return times


def _timed(lessons: int, name: str, found: Paced) -> list[str]:
    return [f"{lessons * RESOURCES_OF_A_LESSON:,}", name, f"{found.answers:,}",
            *(f"{value:.1f}" for value in (found.p50_ms, found.p95_ms, found.p99_ms))]


def _serve(stage: Stage, patience_s: float = 600.0) -> Service:
    service = stage.serve_box("--no-mdns", "--no-sync")
    wait_for("the search index", lambda: ask(stage.url + "api/v1/resources?q=langdu")["total"], patience_s)
    return service


def _idle(stage: Stage) -> tuple[int, float]:
    """The memory of a box that does nothing, with background sync and mDNS; seconds from start to page."""
    began = time.monotonic()
    stage.serve_box("--sticks", "/media")  # as ever; without a word of ours a stage would leave mDNS away
    status, _, body = get(stage.url)
    took = time.monotonic() - began
    if status != 200 or not body:
        raise RuntimeError(f"no first page: {status}")
    time.sleep(20)
    memory = pss_bytes(list(stage.processes()))
    stage.stop()
    return memory, took


def _enlarge(stage: Stage) -> None:
    """Copies of all lessons, made in the database."""
    box = open_box(stage.box_data)
    database = box.database
    for table_name, key in (("package", "id"), ("resource", "package"), ("file", "package")):
        columns = [one.name for one in database.table(table_name).columns]
        copied = ", ".join(f"{one} || '-' || ?" if one == key else one for one in columns)
        own = " AND id NOT LIKE '%-%-%'" if table_name == "package" else f" AND {key} NOT LIKE '%-%-%'"
        with transaction(database):
            for copy in range(COPIES):
                database.execute(f"INSERT INTO {table_name} ({', '.join(columns)}) SELECT {copied} "
                                 f"FROM {table_name} WHERE true{own}", [copy])
    with transaction(database):
        database.execute("UPDATE setting SET value = CAST(value AS INTEGER) + 1 WHERE name = 'generation'")
    database.close()
