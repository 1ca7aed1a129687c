"""Chaos: people work with a hub and a box while everything goes wrong under them; at the end nothing that was
promised is lacking.

    python -m tests.e2e.chaos --kills 600 --minutes 10 --seed 7 --json counts.json

Faults (`tests.e2e.faults`): kills of every process on both sides; a line that is cut, stalled, gone,
flapping, turning bits; files that travel in another order, twice, late, old ones again; rot on both disks;
full disks on both sides; clocks that jump. A seed repeats the choices of a run, not its timing.

Held all the time: the box sends no byte that nobody wrote (rot that no check can have seen yet is counted),
no record that was told of is gone, each command that fails has a reason. Held at the end: each record and
each confirmed upload is at the hub once; box and hub are whole; no unfinished file, no process, no problem
is left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sync.programs import find as find_program
from tests.e2e import victims
from tests.e2e.faults import VICTIMS, Carried, Clock, Fault, FileLimit, FullDisk, Kill, Line, Rot, World
from tests.e2e.people import Admin, Bytes, Person, Pupil, Teacher, Technician
from tests.e2e.relay import Relay
from tests.e2e.stage import Ended, Service, Stage, free_port, get, temporary_files, wait_for
from tests.small_disk import small_ext4

#: How often each kind of fault is chosen.
CHANCES = {"kill": 30, "line": 3, "files": 4, "rot": 5, "full disk": 2, "clock": 1}
#: How often it is quiet for a while, and for how long, in seconds: else no lesson ever became whole.
QUIET, QUIET_S = 0.02, (4.0, 10.0)
#: The small disks, in MiB. The hub keeps every version, the box those that are assigned.
DISKS_MIB = {"hub": 4096, "box": 768}
#: Syncs that may be needed at the end: what was sent and got lost is sent again after 32 feeds at most.
MOST_SYNCS = 70
#: Jumps of a day and less are believed; several may come together, in seconds.
MOST_AHEAD_S = 7 * 86400.0
#: Refused files are shown as a problem of the hub for a week.
REFUSALS_SHOWN_S = 8 * 86400.0


@dataclass(frozen=True)
class Options:
    """How long: until so many kills, or until `minutes` have gone (0: no such end). `mount`: small disks,
    where that is allowed."""

    kills: int = 600
    minutes: float = 10.0
    seed: int = 0
    mount: bool = True


@dataclass(frozen=True)
class Report:
    """What was done to them (fault and where → how often), and what was held."""

    seed: int
    seconds: float
    counts: Mapping[tuple[str, str], int]
    held: Mapping[str, int]

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(count for (fault, _), count in self.counts.items() if fault == "kill")

    def rows(self) -> list[list[str]]:
        """The table: fault, where, how often."""
        return [[fault, where, str(count)] for (fault, where), count in sorted(self.counts.items())]

    def text(self) -> str:
        """For a terminal."""
        wide = max((len(row[1]) for row in self.rows()), default=0)
        lines = [f"{fault:10} {where:{wide}} {count:>6}" for fault, where, count in self.rows()]
        lines.append(f"{'kills in all':{wide + 11}} {self.kills:>6}   seed {self.seed}, {self.seconds:.0f} s")
        return "\n".join([*lines, *(f"{name}: {count}" for name, count in self.held.items())])

    def as_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        return {"seed": self.seed, "seconds": round(self.seconds), "kills": self.kills,
                "counts": [{"fault": fault, "where": where, "count": count}
                           for (fault, where), count in sorted(self.counts.items())],
                "held": dict(self.held)}


def run(stage: Stage, options: Options) -> Report:
    """The whole of it on an empty stage. Raises AssertionError for a promise that was not kept."""
    with contextlib.ExitStack() as ending:
        disks = _disks(stage, ending) if options.mount else {}
        short_tmp = Path(tempfile.mkdtemp(prefix="tp-", dir="/tmp"))
        ending.callback(shutil.rmtree, short_tmp)
        stage.environment["TMPDIR"] = str(short_tmp)
        ending.callback(stage.stop)
        chaos = _Chaos(stage, options, disks)
        for relay in chaos.lines.values():
            ending.callback(relay.stop)
        try:
            chaos.run()
        finally:
            stopped = chaos.rest()
            print(chaos.report().text(), flush=True)
        assert stopped, "people who do not come to an end"
        return _Holding(chaos, short_tmp).run()


def _disks(stage: Stage, ending: contextlib.ExitStack) -> dict[str, Path]:
    """The small disks with the data folders on them; none where they cannot be mounted."""
    disks = {}
    for side, mebibytes in DISKS_MIB.items():
        place = stage.place / f"{side}-side"
        place.mkdir()
        try:
            disks[side] = ending.enter_context(small_ext4(place, mebibytes))
        except pytest.skip.Exception as reason:
            print(f"files are limited instead of disks: {reason}", flush=True)
            return {}
    stage.hub_data, stage.box_data = disks["hub"] / "hub", disks["box"] / "box"
    return disks


class _Chaos:
    """The services, the people, and what goes wrong next."""

    def __init__(self, stage: Stage, options: Options, disks: dict[str, Path]) -> None:
        self.stage, self.options = stage, options
        self.began = time.monotonic()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.world = World(stage, random.Random(options.seed))
        self.clock = Clock(self.world)
        self.lines = {name: Relay(port, port=free_port())
                      for name, port in (("ssh", stage.ssh_port), ("https", stage.https_port))}
        self._set_up()
        self.admin = Admin(stage, options.seed, self.world.trouble)
        self.rot = Rot(self.world, lambda sha256: sha256 not in self.teacher.tried)
        self.bytes = Bytes(self.admin.written, self.rot)
        self.teacher = Teacher(stage, options.seed, self.world.trouble, self.bytes)
        self.technician = Technician(stage, options.seed, self.world.trouble, self.rot)
        self.people: list[Person] = [self.admin, self.teacher, self.technician,
                                     Pupil(stage, options.seed, self.world.trouble, self.bytes)]
        self.carried = Carried(self.world)
        self.limit = FileLimit(self.world)
        self.faults: dict[str, Fault] = {
            "kill": Kill(self.world, self._again), "line": Line(self.world, [*self.lines.values()]),
            "files": self.carried, "rot": self.rot, "clock": self.clock,
            "full disk": FullDisk(self.world, disks) if disks else self.limit}
        if find_program("nginx") is None:
            for kind in victims.NGINX:
                del VICTIMS[kind]
        self._begun: dict[str, float] = {}
        self.services = {side: self._begin(side) for side in ("hub", "box")}

    def run(self) -> None:
        """Let the people work, and let things go wrong."""
        for person in self.people:
            person.begin()
        while not self._enough():
            kind = self.world.chance.choices(list(CHANCES), list(CHANCES.values()))[0]
            if where := self.faults[kind].strike():
                self.counts[kind, where] += 1
            quiet = self.world.chance.random() < QUIET
            self._pause(self.world.chance.uniform(*QUIET_S if quiet else (0.0, 0.15)))

    def rest(self) -> bool:
        """Nothing goes wrong any more; people finish what they are at. Have they?"""
        self.world.undo.work(everything=True)
        for person in self.people:
            person.tell_over()
        stopped = [person.wait_over() for person in self.people]
        for person in self.people:
            print(type(person).__name__, dict(sorted(person.did.items())), flush=True)
        return all(stopped)

    def report(self, held: Mapping[str, int] | None = None) -> Report:
        """What was done until now."""
        return Report(self.options.seed, time.monotonic() - self.began, dict(self.counts), held or {})

    def check(self) -> None:
        """Raise what a person found wrong; a box's service that has ended is begun again if there is a
        reason, a hub's has none."""
        for side, service in self.services.items():
            if service.process.poll() is None:
                continue
            if side == "hub" or not self.world.trouble.was((f"{side} disk",), self._begun[side]):
                raise Ended(f"{side} serve: {service.process.returncode}\n{service.text()[-3000:]}")
            self.counts["gave up", f"{side} serve"] += 1
            self.services[side] = self._begin(side)
        for person in self.people:
            person.check()

    def _set_up(self) -> None:
        stage = self.stage
        ports = [word for name, relay in self.lines.items() for word in (f"--{name}-port", str(relay.port))]
        stage.hub("init", "--name", "中心校", "--address", "127.0.0.1", *ports)
        stage.hub("site", "add", stage.site, "--name", "一号教学点", "--pairing", str(stage.pairing))
        stage.box("init", "--pairing", str(stage.pairing))

    def _enough(self) -> bool:
        kills, minutes = self.report().kills, (time.monotonic() - self.began) / 60
        return kills >= self.options.kills or (self.options.minutes > 0 and minutes >= self.options.minutes)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._look()
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.2))
            self._look()

    def _look(self) -> None:
        self.world.undo.work()
        self.carried.look()
        self.limit.work()
        self.check()

    def _begin(self, side: str) -> Service:
        stage = self.stage
        self._begun[side] = time.monotonic()
        if side == "hub":
            return stage.begin("hub", "serve", "--data", str(stage.hub_data), "--http",
                               f"127.0.0.1:{stage.hub_port}", "--ssh", f"127.0.0.1:{stage.ssh_port}",
                               "--https", f"127.0.0.1:{stage.https_port}")
        return stage.begin("box", "serve", "--data", str(stage.box_data), "--no-mdns", "--http",
                           f"127.0.0.1:{stage.box_port}", "--content", f"127.0.0.1:{stage.content_port}")

    def _again(self, kind: str) -> None:
        """After a kill: a service is begun again, at once or a moment later."""
        side = kind.partition(" ")[0]
        if kind == f"{side} serve":
            self.services[side].process.wait(10)
            time.sleep(self.world.chance.choice((0.0, 0.3)))
            self.services[side] = self._begin(side)


class _Holding:
    """What must be so when it is over."""

    def __init__(self, chaos: _Chaos, short_tmp: Path) -> None:
        self._chaos, self._stage, self._short_tmp = chaos, chaos.stage, short_tmp
        self._held: dict[str, int] = {}

    def run(self) -> Report:
        """Mend by the commands that the pages name, sync until all is there, and hold every promise."""
        chaos, teacher = self._chaos, self._chaos.teacher
        chaos.check()
        assert chaos.admin.published, "no package was published"
        wait_for("both services", lambda: chaos.check() or self._answer())
        self._hub_fsck()
        chaos.admin.publish()
        chaos.technician.read_again()
        status = self._converge()
        assert status["problems"] == [], status["problems"]
        assert (status["packages"]["complete"] == status["packages"]["assigned"]
                == len(chaos.admin.published)), status
        self._lessons()
        self._records(status["journal"]["last_seq"])
        self._uploads()
        assert self._hub_fsck() == 0, "the hub's library is not whole"
        assert chaos.technician.read_again() == 0, "the box's library is not whole"
        self._nothing_left()
        self._time()
        self._no_problem_at_the_hub()
        self._held |= {"files served whole": chaos.bytes.whole,
                       "files served that had rotted unseen": chaos.bytes.rotten,
                       "packages": len(chaos.admin.published),
                       "uploads confirmed": len(teacher.confirmed), "uploads tried": teacher.sent}
        return chaos.report(self._held)

    def _answer(self) -> bool:
        with contextlib.suppress(OSError):
            return all(get(f"http://127.0.0.1:{port}/healthz")[0] == 200
                       for port in (self._stage.box_port, self._stage.hub_port))
        return False

    def _hub_fsck(self) -> int:
        status, _ = self._chaos.admin.command("hub", "fsck", "--data", str(self._stage.hub_data))
        return status

    def _converge(self) -> dict[str, Any]:
        """Sync until nothing is on its way in either direction; the box's status then."""
        for _ in range(MOST_SYNCS):
            self._chaos.technician.command("box", "sync", "--once", "--data", str(self._stage.box_data))
            status: dict[str, Any] = self._stage.box("status")
            if not (status["journal"]["unacknowledged"] or status["uploads"]["waiting"]
                    or status["bytes_left"] or status["packages"]["complete"] < status["packages"]["assigned"]
                    or status["problems"]):
                return status
        raise AssertionError(f"still on its way after {MOST_SYNCS} syncs: {status}")

    def _lessons(self) -> None:
        """Every file of every package comes over HTTP as it was published."""
        stage = self._stage
        for package, files in self._chaos.admin.published.items():
            for path, data in files.items():
                address = f"{stage.url}files/{package}/{quote(path)}"
                if path.startswith("练习/"):  # the bundle
                    address = f"http://127.0.0.1:{stage.content_port}/c/{package}/{quote(path)}"
                status, _, body = get(address)
                assert status == 200 and body == data, (address, status, len(body), len(data))

    def _records(self, last_seq: int) -> None:
        """The hub has each record of the box once, from the first to the last."""
        teacher = self._chaos.teacher
        rows = self._query("SELECT box, seq, kind FROM record ORDER BY seq")
        assert len({box for box, _, _ in rows}) == 1
        assert [seq for _, seq, _ in rows] == list(range(1, last_seq + 1))
        assert last_seq >= teacher.last_seq
        kinds = Counter(kind for _, _, kind in rows)
        assert kinds["resource-opened"] <= teacher.opened
        assert len(teacher.confirmed) <= kinds["upload"] <= teacher.sent
        self._held |= {"records at the hub, each once": len(rows)}
        print(f"{last_seq} records: {dict(kinds)}", flush=True)

    def _uploads(self) -> None:
        """The hub has each confirmed upload once, byte for byte."""
        confirmed = self._chaos.teacher.confirmed
        told = Counter(name for (name,) in self._query(
            "SELECT sha256 FROM upload WHERE received IS NOT NULL"))
        assert {name: told[name] for name in confirmed} == dict.fromkeys(confirmed, 1)
        for name, data in confirmed.items():
            path = self._stage.hub_data / "library" / "objects" / name[:2] / name
            assert path.read_bytes() == data, name

    def _nothing_left(self) -> None:
        """After the end of the services no process is left; after one more start no unfinished file."""
        services = list(self._chaos.services.values())
        self._end(services)
        again = [self._stage.serve_hub(), self._stage.serve_box()]
        with contextlib.suppress(AssertionError):  # what is left is told below
            wait_for("the end of unfinished files", lambda: not self._unfinished(), 20)
        self._end(again)
        left = self._unfinished()
        assert not left, [(str(path), path.stat()) for path in left]
        for service in services:
            text = service.text()
            for word in ("Traceback", '-broke"'):
                assert word not in text, text[max(text.index(word) - 2000, 0):][:6000]

    def _unfinished(self) -> list[Path]:
        """What is left of writes and transfers that were cut off."""
        stage = self._stage
        left = [*temporary_files(stage.hub_data), *temporary_files(stage.box_data),
                *self._short_tmp.iterdir()]
        left += [path for data in (stage.hub_data, stage.box_data) for path in data.rglob(".tmp-*/*")]
        return left + [path for path in (stage.box_data / "staging").iterdir() if path.name != ".boot"]

    def _end(self, services: list[Service]) -> None:
        """They end well when they are asked to, and so does all that they started."""
        for service in services:
            assert service.stop() == 0
        wait_for("the end of all processes", lambda: not (
            self._stage.processes() or victims.sessions(self._stage.ssh_port)))

    def _no_problem_at_the_hub(self) -> None:
        """A week later no refusal is shown any more, and there was nothing else."""
        self._chaos.clock.set("hub", REFUSALS_SHOWN_S)
        self._stage.hub("ingest")
        self._chaos.clock.set("hub", 0.0)
        self._chaos.admin.publish()  # looks at the clock
        told = self._query("SELECT site, code, facts FROM problem")
        assert not told, told

    def _time(self) -> None:
        """No jump of the hub's clock has come into what it signs: it was wrong for seconds only."""
        [(signed,)] = self._query("SELECT max(time) FROM feed")
        assert signed < time.time() + MOST_AHEAD_S, signed - time.time()

    def _query(self, sql: str) -> list[Any]:
        """Rows of the hub's database."""
        address = f"file:{self._stage.hub_data}/hub.db?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            return database.execute(sql).fetchall()


@contextlib.contextmanager
def own_stage() -> Iterator[Stage]:
    """A stage in a folder of its own, gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="chaos-"))
    place.chmod(0o755)  # nginx's workers are another user where we are root
    stage = Stage(place)
    try:
        yield stage
    finally:
        stage.stop()
        shutil.rmtree(place)


def main(words: list[str]) -> int:
    """`python -m tests.e2e.chaos`."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.chaos")
    parser.add_argument("--kills", type=int, default=Options.kills, help="end after so many kills")
    parser.add_argument("--minutes", type=float, default=Options.minutes,
                        help="… or after so many minutes; 0: never")
    parser.add_argument("--seed", type=int, default=0, help="repeat the choices of a run; 0: a new one")
    parser.add_argument("--no-mount", action="store_true", help="limit files instead of filling small disks")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    given = parser.parse_args(words)
    options = Options(given.kills, given.minutes, given.seed or new_seed(), not given.no_mount)
    print(f"SEED={options.seed} KILLS={options.kills} MINUTES={options.minutes:g}", flush=True)
    with own_stage() as stage:
        report = run(stage, options)
    print(f"\n{report.text()}")
    if given.json is not None:
        given.json.write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def new_seed() -> int:
    """A seed that was not chosen by anybody."""
    return random.SystemRandom().randrange(1, 10**6)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
