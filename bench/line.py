"""How well a sync uses a bad line: each case beside the least it can cost and rsync by hand."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.results import table
from bench.wan import CONTENT_BYTES, HUB, PACKET_BYTES, SEED, ByHand, Line, Shape, late, lesson
from tests.e2e.stage import Stage, free_port, wait_for

MIB = 1024 * 1024
SATELLITE = Shape(2_000_000, 600, 0.01)
_HEAD = ["", "seconds", "content: share of the line (of TCP's share)", "bytes received", "bytes sent"]


def steady(full: bool, stage: Stage) -> str:
    """A large object over a clean line."""
    size = (100 if full else 25) * MIB
    return _one_object(stage, Shape(4_000_000, 40), size, "≥ 96 %", 0.96,
                       "" if full else "A quarter of the 100 MB of the goal, to take 55 s and not 220 s. ")


def satellite(full: bool, stage: Stage) -> str:
    """A large object over a long line that loses packets."""
    size = (40 if full else 8) * MIB
    short = "" if full else "A fifth of the 40 MB of the goal, on which the beginning weighs more. "
    return _one_object(stage, SATELLITE, size, "≥ 85 %", 0.85, short)


def satellite_cubic(full: bool, stage: Stage) -> str:
    """The same with cubic (where a namespace may use it: net.ipv4.tcp_allowed_congestion_control)."""
    size = (40 if full else 8) * MIB
    return _one_object(stage, Shape(2_000_000, 600, 0.01, "cubic"), size, "none; what cubic gives", 0.0, "")


def cold(_full: bool, stage: Stage) -> str:
    """A package of six files of a megabyte: what the set-up costs."""
    return _objects(stage, SATELLITE, {f"{n}.mp4": _noise(MIB, n) for n in range(6)}, "≥ 75 %", 0.75, "")


def small(_full: bool, stage: Stage) -> str:
    """2,000 text files beside one archive of them."""
    shape = Shape(2_000_000, 600)
    with Line(stage, shape) as line:
        line.set_up()
        folder = lesson(stage.place / "小文件", {f"{n:04}.txt": _words(n) for n in range(2000)})
        stage.publish(folder)
        line.serve_hub()
        hand = ByHand(line)
        archive = stage.place / "archive.tar.zst"
        subprocess.run(["tar", "-C", str(folder), "--sort=name", "--mtime=@0", "-I", "zstd -19 -T2", "-cf",
                        str(archive), "."], check=True)
        ours = line.sync()
        one = hand.copy(archive, stage.place / "got.tar.zst")
        each = hand.copy(folder, stage.place / "got", "--zc=zstd", "--zl=19")
        hand.stop()
        lateness = late(line.stats())
    size = archive.stat().st_size
    content = sum(file.stat().st_size for file in folder.iterdir())
    reached = ours["received_bytes"] <= 1.02 * size and ours["seconds"] <= 1.3 * one.seconds
    rows = [["box sync", f"{ours['seconds']:.1f}", f"{ours['received_bytes'] / size:.2f}",
             f"{ours['received_bytes']:,}", f"{ours['sent_bytes']:,}"],
            ["lower bound: the archive's bytes", f"{shape.bound_s(size):.1f}", "1.00", f"{size:,}", ""],
            ["rsync of the archive", f"{one.seconds:.1f}", f"{one.received / size:.2f}", f"{one.received:,}",
             f"{one.sent:,}"],
            ["rsync -a --zc=zstd --zl=19", f"{each.seconds:.1f}", f"{each.received / size:.2f}",
             f"{each.received:,}", f"{each.sent:,}"]]
    return f"""\
{shape}. 2,000 text files, {content:,} bytes, in a new package; the archive is tar with zstd -19. The box
also gets the names (SHA-256) of 2,000 objects in the manifest, 64 KB that no compressor can shorten, and asks
by name.

{table(["", "seconds", "of the archive's bytes", "bytes received", "bytes sent"], rows)}

Goal: ≤ 1.02 × the archive's bytes, ≤ 1.3 × its time: {_said(reached)}, \
{ours['received_bytes'] / size:.2f} × and \
{ours['seconds'] / one.seconds:.2f} ×. {lateness}"""


def changed(_full: bool, stage: Stage) -> str:
    """An object of 20 MB of which a part is other now."""
    before = _noise(20 * MIB, 1)
    new = {"replaced": before[:8 * MIB] + _noise(MIB // 10, 2) + before[8 * MIB + MIB // 10:],
           "inserted": before[:8 * MIB] + _noise(MIB // 10, 3) + before[8 * MIB:],
           "appended": before + _noise(MIB // 10, 4)}
    rows, worst = [], 0.0
    with Line(stage, Shape(0, 0)) as line:
        line.set_up()
        folder = lesson(stage.place / "lesson", {"film.mp4": before})
        stage.publish(folder)
        line.serve_hub()
        hand = ByHand(line)
        line.sync()
        for name, data in new.items():
            source = lesson(stage.place / name, {"film.mp4": data})
            mine = lesson(stage.place / f"{name} mine", {"film.mp4": before})
            lesson(folder, {"film.mp4": data})
            stage.publish(folder)
            ours = line.sync()
            rsync = hand.copy(source, mine, "--no-whole-file", "--ignore-times")
            both, theirs = ours["received_bytes"] + ours["sent_bytes"], rsync.received + rsync.sent
            worst = max(worst, both / theirs)
            rows += [[name, "box sync", f"{ours['received_bytes']:,}", f"{ours['sent_bytes']:,}",
                      f"{both / theirs:.2f}"],
                     ["", "rsync by hand", f"{rsync.received:,}", f"{rsync.sent:,}", "1.00"],
                     ["", "lower bound", f"{MIB // 10:,}", "0", ""]]
            before = data
        hand.stop()
    return f"""\
A film of 20 MiB, of which 100 KB are replaced, inserted, appended, one version after another. Bytes are those
of the SSH connections with all that belongs to a sync (feed, manifest, records).

{table(["changed", "", "bytes received", "bytes sent", "of rsync's"], rows)}

Goal: ≤ 1.1 × what rsync's delta sends: {_said(worst <= 1.1)}, {worst:.2f} × at worst."""


def idle(_full: bool, stage: Stage) -> str:
    """Nothing new."""
    shape = Shape(2_000_000, 600)
    with Line(stage, shape) as line:
        line.set_up()
        stage.publish(lesson(stage.place / "lesson", {"a.txt": _words(1)}))
        line.serve_hub()
        line.sync()
        line.sync()
        ours, down, up = line.crossed(line.sync)
        hand = ByHand(line)
        target = stage.place / "got"
        hand.copy(stage.hub_data / "feed", target)
        rsync, hand_down, hand_up = line.crossed(lambda: hand.copy(stage.hub_data / "feed", target))
        hand.stop()
        lateness = late(line.stats())
    with Line(Stage(stage.place / "near"), Shape(0, 0)) as line:
        line.stage.place.mkdir()
        line.set_up()
        line.stage.publish(lesson(line.stage.place / "lesson", {"a.txt": _words(1)}))
        line.serve_hub()
        line.sync()
        line.sync()
        near = line.sync()
    trips = (ours["seconds"] - near["seconds"]) / (shape.round_trip_ms / 1000)
    both = ours["received_bytes"] + ours["sent_bytes"]
    rows = [["box sync", f"{ours['seconds']:.1f}", f"{trips:.1f}", f"{ours['received_bytes']:,}",
             f"{ours['sent_bytes']:,}", f"{down + up:,}"],
            ["rsync -a of the feed", f"{rsync.seconds:.1f}", "", f"{rsync.received:,}", f"{rsync.sent:,}",
             f"{hand_down + hand_up:,}"]]
    return f"""\
{shape}. A sync that finds nothing new. Round trips: how much longer than on a line without delay
({near['seconds']:.1f} s), divided by 0.6 s. Lower bound: 2 (TCP, a question and its answer).

{table(["", "seconds", "round trips", "bytes received", "bytes sent", "bytes of packets, both ways"], rows)}

Goal: ≤ 6 KB both ways (of the SSH connection), ≤ 8 round trips: {_said(both <= 6000 and trips <= 8)}, \
{both:,} bytes, {trips:.1f}. {lateness}"""


def outages(_full: bool, stage: Stage) -> str:
    """Three cuts of 20 s in 10 MB."""
    size = 10 * MIB
    shape = Shape(2_000_000, 200)

    def cuts(line: Line, come: Callable[[], int]) -> list[float]:
        waited = []
        for at in (2 * MIB, 5 * MIB, 8 * MIB):
            wait_for("bytes", lambda: come() > at, 300)  # noqa: B023 - called before the next turn
            line.cut(20)
            time.sleep(19)
            wait_for("the line", lambda: line.stats()["link"] == "up")
            waited.append(_flows_again(come))
        return waited
    return _cut(stage, shape, size, "three outages of 20 s", cuts)


def flapping(_full: bool, stage: Stage) -> str:
    """Up for 30 s, down for 10 s."""
    shape = Shape(2_000_000, 200)

    def cuts(line: Line, come: Callable[[], int]) -> list[float]:
        waited: list[float] = []
        while come() < 19 * MIB and len(waited) < 10:
            time.sleep(30)
            if come() >= 19 * MIB:
                break
            line.cut(10)
            time.sleep(9)
            wait_for("the line", lambda: line.stats()["link"] == "up")
            waited.append(_flows_again(come))
        return waited
    return _cut(stage, shape, 20 * MIB, "up for 30 s, down for 10 s", cuts)


def interactive(_full: bool, stage: Stage) -> str:
    """A page that somebody looks up over the line of a sync."""
    shape = Shape(2_000_000, 600)
    with Line(stage, shape) as line:
        line.set_up()
        folder = lesson(stage.place / "lesson", {"film.mp4": _noise(12 * MIB, 1)})
        stage.publish(folder)
        line.serve_hub()
        page = lesson(stage.place / "page", {"page.html": _noise(20_000, 2)})
        port = free_port()
        server = subprocess.Popen([*line.inside("hub"), sys.executable, "-m", "http.server", "--bind", HUB,
                                   "--directory", str(page), str(port)], stderr=subprocess.DEVNULL)
        wait_for("the page", lambda: line.listens(port))
        idle = _pages(line, port, lambda: time.sleep(40))
        ours = _pages(line, port, line.sync)
        hand = ByHand(line)
        rsync = _pages(line, port, lambda: hand.copy(folder, stage.place / "got"))
        hand.stop()
        server.terminate()
        server.wait(10)
        lateness = late(line.stats())
    rows = [[name, str(len(trips)), *(f"{_at(trips, share):.2f} s" for share in (0.5, 0.95)),
             *(f"{_at(loads, share):.2f} s" for share in (0.5, 0.95))]
            for name, (trips, loads) in (("idle line", idle), ("during box sync", ours),
                                         ("during rsync by hand", rsync))]
    worse = _at(ours[0], 0.95) / _at(idle[0], 0.95)
    theirs = _at(rsync[0], 0.95) / _at(idle[0], 0.95)
    head = ["", "pages", "round trip, median", "95th percentile", "page of 20 KB, median", "95th percentile"]
    return f"""\
{shape}, {shape.congestion} at both ends, a queue of half a second before the line. 12 MiB come; meanwhile
a page is looked up over the same line again and again. Round trip: of its TCP connection.

{table(head, rows)}

Goal: round trip at the 95th percentile ≤ 1.5 × that of the idle line: {_said(worse <= 1.5)}, {worse:.2f} × \
(rsync: {theirs:.2f} ×). {lateness}"""


def _pages(line: Line, port: int, act: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Round trips and loading times of a page, in seconds, while `act` runs; the first seconds do not count:
    a transfer finds out then how fast the line is."""
    loader = subprocess.Popen([*line.inside("point"), sys.executable, "-c", _LOADER, HUB, str(port)],
                              stdout=subprocess.PIPE, text=True)
    try:
        act()
    finally:
        loader.terminate()
    found = [[float(word) for word in row.split()] for row in loader.communicate()[0].splitlines()]
    whole = [row for row in found if len(row) == 3 and row[0] > SETTLED_S]
    return [row[1] for row in whole], [row[2] for row in whole]


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


#: Prints, for each page: when it was asked for, the round trip, until it was there.
_LOADER = """
import socket, sys, time
began = time.monotonic()
while True:
    start = time.monotonic()
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as page:
        trip = time.monotonic() - start
        page.sendall(b"GET /page.html HTTP/1.0\\r\\n\\r\\n")
        while page.recv(65536):
            pass
    print(start - began, trip, time.monotonic() - start, flush=True)
    time.sleep(0.2)
"""
#: How long a transfer may take to find out how fast the line is, in seconds.
SETTLED_S = 10.0

CASES: dict[str, Callable[[bool, Stage], str]] = {
    "steady": steady, "satellite": satellite, "satellite-cubic": satellite_cubic, "cold": cold,
    "small": small, "changed": changed, "idle": idle, "interactive": interactive, "outages": outages,
    "flapping": flapping}


def _one_object(stage: Stage, shape: Shape, size: int, goal: str, least: float, note: str) -> str:
    return _objects(stage, shape, {"film.mp4": _noise(size, 1)}, goal, least, note)


def _objects(stage: Stage, shape: Shape, files: dict[str, bytes], goal: str, least: float, note: str) -> str:
    """A new package of bytes that cannot be compressed, ours and by hand."""
    size = sum(map(len, files.values()))
    with Line(stage, shape) as line:
        line.set_up()
        folder = lesson(stage.place / "lesson", files)
        stage.publish(folder)
        line.serve_hub()
        ours = line.sync()
        if ours["left"]:
            raise RuntimeError(f"not all has come: {ours}")
        hand = ByHand(line)
        rsync = hand.copy(folder, stage.place / "got")
        hand.stop()
        lateness = late(line.stats())
    bound = shape.bound_s(size)
    rows = [["box sync", f"{ours['seconds']:.1f}", shape.share(size, ours["seconds"]),
             f"{ours['received_bytes']:,}", f"{ours['sent_bytes']:,}"],
            ["lower bound", f"{bound:.1f}", shape.share(size, bound), f"{size:,}", "0"],
            ["rsync by hand", f"{rsync.seconds:.1f}", shape.share(size, rsync.seconds), f"{rsync.received:,}",
             f"{rsync.sent:,}"]]
    share = size * 8 * PACKET_BYTES / CONTENT_BYTES / ours["seconds"] / shape.bits_per_s
    reached = f": {_said(share >= least)}" if least else ""
    return f"""\
{shape}, {shape.congestion} at both ends. {size / MIB:.0f} MiB that cannot be compressed, from a cold start.
{note}

{table(_HEAD, rows)}

Goal: {goal} of the line (of what TCP and IP leave of it){reached}. {lateness}"""


def _cut(stage: Stage, shape: Shape, size: int, what: str,
         cuts: Callable[[Line, Callable[[], int]], list[float]]) -> str:
    """`box serve` gets one object while the line is cut; what it cost."""
    with Line(stage, shape) as line:
        line.set_up()
        stage.publish(lesson(stage.place / "lesson", {"film.mp4": _noise(size, 1)}))
        line.serve_hub()
        before = line.stats()
        line.serve_box()
        growing = Growing(stage.box_data)
        waited = cuts(line, growing.bytes)
        wait_for("the rest", lambda: growing.bytes() >= size, 600)
        after = line.stats()
        growing.stop()
        lateness = late(after)
    packets = after["down"]["delivered_bytes"] - before["down"]["delivered_bytes"]
    content = packets * CONTENT_BYTES // PACKET_BYTES
    up_s = after["seconds"] - before["seconds"] - (after["seconds_down"] - before["seconds_down"])
    again = growing.again
    worst = max(waited)
    rows = [[what, f"{up_s:.0f}", shape.share(size, up_s), f"{content:,}", f"{again:,}",
             ", ".join(f"{one:.1f}" for one in waited)],
            ["lower bound", f"{shape.bound_s(size):.0f}", "", f"{size:,}", "0", "0"]]
    head = ["", "seconds up", "share of the line while up", "bytes arrived", "sent again",
            "seconds until it flows again"]
    return f"""\
{shape}, no packet lost while it is up. `box serve` gets {size / MIB:.0f} MiB. Sent again: by how many bytes
the box's copy became shorter. Bytes arrived: packets at the point, less their headers, all logins and TCP's
own repeats included.

{table(head, rows)}

Goal: sent again under 1 %, flowing at most 5 s after the line is back: \
{_said(again < size / 100 and worst <= 5)}, \
{again / size:.2%}, {worst:.1f} s. {lateness}"""


class Growing:
    """What a box has of one large object, looked at ten times a second."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.again = 0
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def bytes(self) -> int:
        """Bytes of the largest object that the box has or gets."""
        largest = 0
        for folder in (self._data / "staging", self._data / "library" / "objects"):
            for path in folder.rglob("?" * 64):
                try:
                    largest = max(largest, path.stat().st_size)
                except FileNotFoundError:
                    continue
        return largest

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            now = self.bytes()
            self.again += max(self._most - now, 0) if now else 0
            self._most = now or self._most


def _flows_again(come: Callable[[], int]) -> float:
    """Seconds until bytes come again."""
    began, had = time.monotonic(), come()
    wait_for("bytes after the cut", lambda: come() > had, 120)
    return time.monotonic() - began


def _said(reached: Any) -> str:
    return "reached" if reached else "NOT reached"


def _noise(size: int, seed: int) -> bytes:
    return random.Random(SEED * 1000 + seed).randbytes(size)


def _words(seed: int) -> bytes:
    """A page of text: 200 to 800 words of a vocabulary of 4,000, by Zipf's law."""
    chance = random.Random(SEED)
    words = ["".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(chance.randint(1, 3)))
             for _ in range(4000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    chance.seed(seed)
    return "，".join(chance.choices(words, weights, k=chance.randint(200, 800))).encode()
