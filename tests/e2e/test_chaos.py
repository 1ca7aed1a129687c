"""Everything is killed at random while people work; at the end nothing that was promised is lacking.

`TEACHPOINT_KILLS` says how many kills, `TEACHPOINT_SEED` repeats the choices of a run (not its timing).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sync.programs import find as find_program
from tests.e2e import victims
from tests.e2e.people import Admin, Person, Teacher, Technician
from tests.e2e.stage import Service, Stage, get, temporary_files, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

KILLS = int(os.environ.get("TEACHPOINT_KILLS", "200"))
SEED = int(os.environ.get("TEACHPOINT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
#: How often each is chosen. A service that is killed costs a start; a transfer ends soon by itself.
CHANCES = {"hub serve": 3, "box serve": 3, "hub publish": 5, "box sync": 4, "rsync at the box": 6,
           "rsync at the hub": 12, "ssh": 6, victims.SESSION: 6, "nginx": 2}
#: How long a victim of the kind chosen is waited for, in seconds; then another kind is chosen.
LOOK_S = 2.0
#: Syncs that may be needed at the end: what was sent and got lost is sent again after 32 feeds at most.
MOST_SYNCS = 70


class Chaos:
    """The services, the people, and who is killed next."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.chance = stage, random.Random(SEED)
        self.killed: Counter[str] = Counter()
        self.services = {"hub serve": self._hub(), "box serve": self._box()}
        self.admin, self.teacher = Admin(stage, SEED), Teacher(stage, SEED)
        self.people: list[Person] = [self.admin, self.teacher, Technician(stage, SEED)]
        if find_program("nginx") is None:
            del CHANCES["nginx"]

    def _hub(self) -> Service:
        return self.stage.begin("hub", "serve", "--data", str(self.stage.hub_data),
                                "--http", f"127.0.0.1:{self.stage.hub_port}",
                                "--ssh", f"127.0.0.1:{self.stage.ssh_port}")

    def _box(self) -> Service:
        return self.stage.begin("box", "serve", "--data", str(self.stage.box_data), "--no-mdns",
                                "--http", f"127.0.0.1:{self.stage.box_port}",
                                "--content", f"127.0.0.1:{self.stage.content_port}")

    def run(self, kills: int) -> None:
        """Let the people work, and kill so often."""
        for person in self.people:
            person.begin()
        while self.killed.total() < kills:
            kind = self.chance.choices(list(CHANCES), list(CHANCES.values()))[0]
            if self._strike(kind):
                self.killed[kind] += 1
            for service in self.services.values():
                service.up()
            for person in self.people:
                person.check()
            time.sleep(self.chance.uniform(0.0, 0.3))

    def rest(self) -> None:
        """No more kills; the people finish what they are at."""
        for person in self.people:
            person.tell_over()
        stopped = [person.wait_over() for person in self.people]
        for person in self.people:
            print(type(person).__name__, dict(sorted(person.did.items())), flush=True)
        assert all(stopped)

    def _strike(self, kind: str) -> bool:
        end = time.monotonic() + LOOK_S
        while not (found := victims.find(self.stage, kind)):
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        hit = victims.kill_after(self.chance.choice(found), self.chance.choice((0.0, 0.02, 0.1, 0.5)))
        if hit and kind in self.services:
            self.services[kind].process.wait(10)
            time.sleep(self.chance.choice((0.0, 0.3)))
            self.services[kind] = self._hub() if kind == "hub serve" else self._box()
        return hit


@pytest.fixture
def short_tmp(stage: Stage) -> Iterator[Path]:
    """The folder for temporary files of all processes of the stage."""
    folder = Path(tempfile.mkdtemp(prefix="tp-", dir="/tmp"))
    stage.environment["TMPDIR"] = str(folder)
    yield folder
    shutil.rmtree(folder)


def test_whatever_is_killed_nothing_promised_is_lost(stage: Stage, short_tmp: Path) -> None:
    print(f"\nTEACHPOINT_SEED={SEED} TEACHPOINT_KILLS={KILLS}", flush=True)
    stage.set_up()
    chaos = Chaos(stage)
    try:
        chaos.run(KILLS)
    finally:
        print(", ".join(f"{kind} {count}" for kind, count in sorted(chaos.killed.items())),
              f"= {chaos.killed.total()} kills", flush=True)
        chaos.rest()
    for person in chaos.people:
        person.check()
    teacher = chaos.teacher
    print(f"{len(teacher.confirmed)} of {teacher.sent} uploads confirmed, {teacher.opened} openings, "
          f"{len(chaos.admin.published)} packages", flush=True)
    assert chaos.admin.published and teacher.confirmed

    wait_for("both services", lambda: all(one.up() for one in chaos.services.values()) and answers(stage))
    status = converge(stage)
    assert status["problems"] == []
    assert status["packages"]["complete"] == status["packages"]["assigned"] == len(chaos.admin.published)
    hold_lessons(stage, chaos.admin.published)
    hold_records(stage, status["journal"]["last_seq"], teacher)
    hold_uploads(stage, teacher.confirmed)
    stage.hub("fsck")
    stage.box("fsck")
    hold_nothing_left(stage, chaos, short_tmp)


def answers(stage: Stage) -> bool:
    """Do box and hub answer?"""
    with contextlib.suppress(OSError):
        return get(stage.url + "healthz")[0] == get(f"http://127.0.0.1:{stage.hub_port}/healthz")[0] == 200
    return False


def converge(stage: Stage) -> dict[str, Any]:
    """Sync until nothing is on its way in either direction; the box's status then."""
    for _ in range(MOST_SYNCS):
        running = stage.start("box", "sync", "--once", "--data", str(stage.box_data))
        _, said = running.communicate(timeout=120)
        assert running.returncode == 0 or "sync-running" in said, said
        status: dict[str, Any] = stage.box("status")
        if not (status["journal"]["unacknowledged"] or status["uploads"]["waiting"] or status["bytes_left"]):
            return status
    raise AssertionError(f"still on its way after {MOST_SYNCS} syncs: {status}")


def hold_lessons(stage: Stage, published: dict[str, dict[str, bytes]]) -> None:
    """Every file of every package comes over HTTP as it was published."""
    for package, files in published.items():
        for path, data in files.items():
            address = f"{stage.url}files/{package}/{quote(path)}"
            if path.startswith("练习/"):  # the bundle
                address = f"http://127.0.0.1:{stage.content_port}/c/{package}/{quote(path)}"
            status, _, body = get(address)
            assert (status, hashlib.sha256(body).digest()) == (200, hashlib.sha256(data).digest()), address


def hold_records(stage: Stage, last_seq: int, teacher: Teacher) -> None:
    """The hub has each record of the box once, from the first to the last."""
    rows = query(stage, "SELECT box, seq, kind FROM record ORDER BY seq")
    assert len({box for box, _, _ in rows}) == 1
    assert [seq for _, seq, _ in rows] == list(range(1, last_seq + 1))
    assert last_seq >= teacher.last_seq
    kinds = Counter(kind for _, _, kind in rows)
    assert kinds["resource-opened"] <= teacher.opened
    assert len(teacher.confirmed) <= kinds["upload"] <= teacher.sent
    print(f"{last_seq} records: {dict(kinds)}", flush=True)


def hold_uploads(stage: Stage, confirmed: dict[str, bytes]) -> None:
    """The hub has each confirmed upload once, byte for byte."""
    told = Counter(name for (name,) in query(stage, "SELECT sha256 FROM upload WHERE received IS NOT NULL"))
    assert {name: told[name] for name in confirmed} == dict.fromkeys(confirmed, 1)
    for name, data in confirmed.items():
        assert (stage.hub_data / "library" / "objects" / name[:2] / name).read_bytes() == data


def hold_nothing_left(stage: Stage, chaos: Chaos, short_tmp: Path) -> None:
    """After the end of the services no process is left; after one more start no unfinished file."""
    services = list(chaos.services.values())
    hold_end(stage, services)
    again = [stage.serve_hub(), stage.serve_box()]
    with contextlib.suppress(AssertionError):  # what is left is told below
        wait_for("the end of unfinished files", lambda: not unfinished(stage, short_tmp), 20)
    hold_end(stage, again)
    assert unfinished(stage, short_tmp) == []
    for service in services:
        assert "Traceback" not in service.text() and '-broke"' not in service.text()


def unfinished(stage: Stage, short_tmp: Path) -> list[Path]:
    """What is left of writes and transfers that were cut off."""
    left = [*temporary_files(stage.hub_data), *temporary_files(stage.box_data), *short_tmp.iterdir()]
    left += [path for data in (stage.hub_data, stage.box_data) for path in data.rglob(".tmp-*/*")]
    return left + [path for path in (stage.box_data / "staging").iterdir() if path.name != ".boot"]


def hold_end(stage: Stage, services: list[Service]) -> None:
    """They end well when they are asked to, and so does all that they started."""
    for service in services:
        assert service.stop() == 0
    wait_for("the end of all processes",
             lambda: not stage.processes() and not victims.sessions(stage.ssh_port))


def query(stage: Stage, sql: str) -> list[Any]:
    """Rows of the hub's database."""
    with contextlib.closing(sqlite3.connect(f"file:{stage.hub_data}/hub.db?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()
