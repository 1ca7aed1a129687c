from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sync.box.journal import CLOCK_QUALITY
from sync.box.outbox import Outbox
from sync.clock import ManualClock
from sync.database import transaction
from sync.errors import NoRoom, Refused
from tests.sync_box.outbox_fixture import ack_of, make_outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return make_outbox(tmp_path)


def rows(outbox: Outbox) -> list[tuple[Any, ...]]:
    return list(outbox.database.execute(
        "SELECT seq, time, clock_quality, kind, body FROM journal ORDER BY seq"))


def test_records_are_numbered_and_dated(outbox: Outbox) -> None:
    assert outbox.journal.append("box-paired", {"version": "1"}) == 1
    outbox.database.execute("INSERT INTO setting VALUES (?, 'hub')", [CLOCK_QUALITY])
    assert outbox.journal.append("package-removed", {"id": "b", "a": "三"}) == 2
    assert rows(outbox) == [(1, 1_700_000_000, "unknown", "box-paired", '{"version":"1"}'),
                            (2, 1_700_000_000, "hub", "package-removed", '{"a":"三","id":"b"}')]
    assert outbox.journal.last_seq() == 2


def test_a_record_is_written_with_what_it_tells_of_or_not_at_all(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="no"), transaction(outbox.database):
        outbox.database.execute("INSERT INTO setting VALUES ('a', 'b')")
        outbox.journal.append("box-paired", {})
        raise ValueError("no")
    assert rows(outbox) == []
    with transaction(outbox.database):
        assert outbox.journal.append("box-paired", {}) == 1


def test_a_number_is_never_used_again_after_its_record_was_deleted(outbox: Outbox, tmp_path: Path) -> None:
    for _ in range(3):
        outbox.journal.append("box-paired", {})
    outbox.cut()
    outbox.acknowledge(ack_of(outbox, 1))
    assert rows(outbox) == []
    assert make_outbox(tmp_path).journal.append("box-paired", {}) == 4


@pytest.mark.parametrize(("now", "written"), [(-5.0, 0), (0.9, 0), (4e9, 4_000_000_000), (1e300, 2**53 - 1)])
def test_any_clock_can_be_written_down(outbox: Outbox, now: float, written: int) -> None:
    outbox.journal.clock = ManualClock(now)
    outbox.journal.append("box-paired", {})
    assert rows(outbox)[0][1] == written


@pytest.mark.parametrize(("kind", "body"), [
    ("No Kind", {}), ("", {}), ("a" * 33, {}), ("problem", {"a": "x" * 70_000}), ("problem", {"a": "\ud800"}),
    ("problem", {"a": 2**60}), ("problem", {"a": object()})])
def test_what_could_not_be_sent_is_not_written(outbox: Outbox, kind: str, body: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        outbox.journal.append(kind, body)
    assert caught.value.code == "record-bad"
    assert rows(outbox) == []


def test_a_full_disk_fails_cleanly_and_reading_goes_on(outbox: Outbox) -> None:
    outbox.journal.append("box-paired", {})
    pages = outbox.database.execute("PRAGMA page_count").fetchone()[0]
    outbox.database.execute(f"PRAGMA max_page_count={pages}")
    written = 1
    with pytest.raises(NoRoom) as caught:
        for _ in range(1000):
            outbox.journal.append("problem", {"a": "x" * 3000})
            written += 1
    assert caught.value.code == "disk-full"
    assert len(rows(outbox)) == written
    outbox.database.execute(f"PRAGMA max_page_count={pages + 100}")
    assert outbox.journal.append("box-paired", {}) == written + 1
