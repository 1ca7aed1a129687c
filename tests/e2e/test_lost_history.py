"""Backups that are put back, cards that are cloned, databases that are gone: told at both ends, mended by one
command, and no number ever stands for two facts."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sync.box.journal import Journal
from sync.box.state import open_box
from tests.e2e.stage import Stage

pytestmark = pytest.mark.e2e


def lesson(stage: Stage, number: int) -> Any:
    folder = stage.place / "人教版" / "三年级上册" / "语文" / f"第{number:02}课 课{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "课文.txt").write_text(f"第{number}课的课文")
    return stage.publish(folder)


@contextmanager
def serving(stage: Stage) -> Iterator[None]:
    service = stage.serve_hub()
    try:
        yield
    finally:
        service.stop()


def settle(stage: Stage, data: Path | None = None, syncs: int = 3) -> None:
    """Sync and take in, until nothing is on its way."""
    for _ in range(syncs):
        stage.box("sync", "--once", data=data)
        stage.hub("ingest")


def opening(data: Path, name: str) -> None:
    """A record that only this box can have written, as the classroom's server writes it."""
    box = open_box(data)
    Journal(box.database).append("resource-opened",
                                 {"package": name, "version": 1, "resource": "a", "name": "a"})
    box.database.close()


def records(stage: Stage) -> list[tuple[str, int, str, str]]:
    with sqlite3.connect(stage.hub_data / "hub.db") as database:
        return database.execute("SELECT box, seq, kind, body FROM record ORDER BY box, seq").fetchall()


def opened(stage: Stage) -> list[str]:
    """Which openings the hub knows of, each as often as it knows it."""
    return sorted(body.split('"package":"')[1].split('"')[0] for _, _, kind, body in records(stage)
                  if kind == "resource-opened")


#: No backup holds them.
SOCKETS = shutil.ignore_patterns("*.sock")


def codes(problems: list[dict[str, Any]]) -> set[str]:
    return {one["code"] for one in problems}


def test_a_hub_restored_from_a_backup(paired: Stage) -> None:
    lesson(paired, 1)
    opening(paired.box_data, "before")
    with serving(paired):
        settle(paired)
    backup = paired.place / "backup"
    shutil.copytree(paired.hub_data, backup, symlinks=True, ignore=SOCKETS)
    lesson(paired, 2)
    opening(paired.box_data, "lost")
    with serving(paired):
        settle(paired)
    was = paired.box("status")
    assert was["journal"]["unacknowledged"] == 0 and was["packages"]["complete"] == 2
    shutil.rmtree(paired.hub_data)
    shutil.copytree(backup, paired.hub_data, symlinks=True, ignore=SOCKETS)
    opening(paired.box_data, "after")

    with serving(paired):
        assert paired.sync(status=3)["code"] == "feed-rollback"
        assert "hub restored" in paired.box("status")["hub"]["last_error"]["advice"]
        assert paired.hub("restored") == {"sites": ["s1"]}
        settle(paired, syncs=4)
        now = paired.box("status")
        assert now["box"] != was["box"] and now["journal"]["unacknowledged"] == 0
        assert now["problems"] == []
    assert opened(paired) == ["after", "before"], "what was confirmed and lost is said to be lost"
    [site] = paired.hub("status")
    assert site["packages"] == {"assigned": 1, "complete": 1}
    [told] = site["problems"]
    assert told["code"] == "records-lost" and told["facts"]["box"] == was["box"]
    assert (told["facts"]["first"], told["facts"]["last"]) == (3, was["journal"]["last_seq"])
    assert not list((paired.hub_data / "inbox" / "s1" / "segments").rglob("*.segment"))


def test_a_cloned_card_is_told_and_renewed(paired: Stage) -> None:
    lesson(paired, 1)
    with serving(paired):
        settle(paired)
        clone = paired.place / "clone"
        shutil.copytree(paired.box_data, clone, symlinks=True, ignore=SOCKETS)
        opening(paired.box_data, "first")
        opening(clone, "clone")
        settle(paired)
        settle(paired, clone)
        assert codes(paired.box("status", data=clone)["problems"]) == {"ack-mismatch"}
        assert "box renew" in paired.box("status", data=clone)["problems"][0]["advice"]
        [site] = paired.hub("status")
        assert codes(site["problems"]) == {"segment-conflict"}
        assert opened(paired) == ["first"], "one number, one fact"

        renewed = paired.box("renew", data=clone)
        settle(paired, clone)
        settle(paired)
    assert opened(paired) == ["clone", "first"]
    for data in (paired.box_data, clone):
        status = paired.box("status", data=data)
        assert (status["problems"], status["journal"]["unacknowledged"]) == ([], 0)
    assert {one["box"] for one in paired.hub("status")[0]["boxes"]} == {renewed["before"], renewed["box"]}


def test_a_box_restored_from_a_backup_gives_no_number_twice(paired: Stage) -> None:
    lesson(paired, 1)
    with serving(paired):
        settle(paired)
        backup = paired.place / "backup"
        shutil.copytree(paired.box_data, backup, symlinks=True, ignore=SOCKETS)
        opening(paired.box_data, "newer")
        settle(paired)
        shutil.rmtree(paired.box_data)
        shutil.copytree(backup, paired.box_data, symlinks=True, ignore=SOCKETS)
        opening(paired.box_data, "other")
        settle(paired)
        assert codes(paired.box("status")["problems"]) == {"ack-mismatch"}
        paired.box("renew")
        settle(paired)
        assert paired.box("status")["problems"] == []
    assert opened(paired) == ["newer", "other"]


@pytest.mark.parametrize("what", ["database", "everything"])
def test_a_box_whose_database_is_gone_or_that_was_made_anew_is_a_new_box(paired: Stage, what: str) -> None:
    lesson(paired, 1)
    with serving(paired):
        settle(paired)
        before = paired.box("status")["box"]
        if what == "database":
            for file in paired.box_data.glob("box.db*"):
                file.unlink()
        else:
            shutil.rmtree(paired.box_data)
            paired.box("init", "--pairing", str(paired.pairing))
        settle(paired)
        status = paired.box("status")
    assert status["box"] != before and status["packages"]["complete"] == 1 and status["problems"] == []
    [site] = paired.hub("status")
    assert [one["box"] for one in site["boxes"]] == [status["box"], before]
    assert site["packages"] == {"assigned": 1, "complete": 1}


def test_a_hub_without_its_database_says_so_and_goes_on_with_the_backup(paired: Stage) -> None:
    lesson(paired, 1)
    with serving(paired):
        settle(paired)
    kept = paired.place / "kept.db"
    # As a backup is made: what a hub that was ended hard left in its write-ahead log belongs to it.
    with closing(sqlite3.connect(paired.hub_data / "hub.db")) as now, closing(sqlite3.connect(kept)) as copy:
        now.backup(copy)
    for file in paired.hub_data.glob("hub.db*"):
        file.unlink()
    assert paired.hub("status", status=1)["code"] == "hub-database-missing"
    assert not (paired.hub_data / "hub.db").exists()
    shutil.copy(kept, paired.hub_data / "hub.db")
    paired.hub("restored")
    with serving(paired):
        settle(paired)
    assert paired.box("status")["problems"] == [] and paired.hub("status")[0]["problems"] == []
