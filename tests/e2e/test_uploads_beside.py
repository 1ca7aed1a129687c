"""A large upload goes up beside all else: it delays no lesson and no record, and never fails a sync."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from sync.box import session, ssh_link
from sync.box.https import Https
from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.session import SyncReport, sync_once
from sync.box.state import Box, open_box
from tests.e2e.relay import Relay
from tests.e2e.stage import Stage, wait_for
from tests.e2e.test_delta import MIB, has, noise, publish

pytestmark = pytest.mark.e2e


@pytest.fixture
def relay(paired: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """What goes over SSH can be held here; HTTPS goes past it."""
    monkeypatch.setattr(session, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(session, "UPLOADS_LOOK_S", 0.2)
    monkeypatch.setattr(ssh_link, "ALIVE_MOST", 100)  # what stands is not given up however slow we are
    paired.serve_hub()
    found = Relay(paired.ssh_port)
    try:
        yield found
    finally:
        found.stop()


def opened(stage: Stage, ssh_port: int) -> tuple[Box, Https]:
    box = open_box(stage.box_data)
    to = replace(box.pairing, hub=replace(box.pairing.hub, ssh_port=ssh_port))
    return box, Https(to, box.layout.run, box.layout.library)


def add_upload(stage: Stage, place: Path, size: int) -> None:
    box = open_box(stage.box_data)
    (place / "film.mp4").write_bytes(noise(size, 9))
    journal = Journal(box.database, box.clock)
    outbox = Outbox(box.layout, box.database, journal, box.pairing, box.box_id, box.clock)
    outbox.add_upload(place / "film.mp4", name="film.mp4")


def records_at_hub(stage: Stage, kind: str) -> int:
    with sqlite3.connect(stage.hub_data / "hub.db") as database:
        return int(database.execute("SELECT count(*) FROM record WHERE kind = ?", [kind]).fetchone()[0])


def test_lessons_and_records_pass_an_upload_that_stands_still(
        paired: Stage, relay: Relay, tmp_path: Path) -> None:
    first, second = noise(MIB, 1), noise(MIB, 2)
    publish(paired, {"one.mp4": first}, "first")
    add_upload(paired, tmp_path, 12 * MIB)
    relay.hold(up=3 * MIB)
    reports: list[SyncReport] = []

    def sync() -> None:
        reports.append(sync_once(*opened(paired, relay.port)))

    thread = threading.Thread(target=sync)
    thread.start()
    wait_for("the upload on its way", relay.held)
    wait_for("the first lesson", lambda: has(paired, first))
    publish(paired, {"two.mp4": second}, "second")
    wait_for("what was assigned meanwhile", lambda: has(paired, second))
    box = open_box(paired.box_data)
    Journal(box.database, box.clock).append("opened", {"package": "first"})
    wait_for("a record of meanwhile", lambda: records_at_hub(paired, "opened"))
    assert not reports, "the upload still stands"
    relay.free()
    thread.join(60)
    [report] = reports
    assert report.ok and report.packages == 2
    assert report.sent_bytes >= 12 * MIB
    wait_for("the upload at the hub", lambda: has_upload(paired))


def test_an_upload_that_finds_no_way_is_told_of_and_fails_nothing(
        paired: Stage, relay: Relay, tmp_path: Path) -> None:
    """The hub's SSH port is closed off somewhere between; HTTPS is not."""
    lesson = noise(MIB, 1)
    publish(paired, {"one.mp4": lesson}, "first")
    add_upload(paired, tmp_path, MIB)
    relay.stop()
    report = sync_once(*opened(paired, relay.port))
    assert report.ok and report.packages == 1 and has(paired, lesson)
    assert "uploads-wait" in alarms(paired)
    report = sync_once(*opened(paired, paired.ssh_port))
    assert report.ok and report.sent_bytes >= MIB
    assert "uploads-wait" not in alarms(paired)
    wait_for("the upload at the hub", lambda: has_upload(paired))


def test_what_is_dropped_in_meanwhile_goes_with_the_same_sync(
        paired: Stage, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks before the lessons are there: the upload begins only then, and is waited for."""
    monkeypatch.setattr(session, "LOOK_EVERY_S", 1000.0)
    publish(paired, {"one.mp4": noise(MIB, 1)}, "first")
    dropped: list[int] = []

    def watch(done: int, _total: int) -> None:
        if not dropped:
            dropped.append(done)
            add_upload(paired, tmp_path, MIB)

    report = sync_once(*opened(paired, relay.port), watch)
    assert dropped and report.ok and report.packages == 1
    assert report.sent_bytes >= MIB
    wait_for("the upload at the hub", lambda: has_upload(paired))


def has_upload(stage: Stage) -> bool:
    with sqlite3.connect(stage.hub_data / "hub.db") as database:
        return bool(database.execute("SELECT count(*) FROM upload WHERE received IS NOT NULL").fetchone()[0])


def alarms(stage: Stage) -> set[str]:
    return {one["code"] for one in stage.box("status")["problems"]}
