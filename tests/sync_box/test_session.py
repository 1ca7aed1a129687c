"""One whole sync, and what it leaves when something goes wrong in the middle."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync import durable
from sync.alike import LEAST_BYTES
from sync.box import session, ssh_link
from sync.box.journal import Journal
from sync.box.problems import set_problem
from sync.box.session import sync_once
from sync.box.shelf import Shelf
from sync.box.status import box_status
from sync.canonical import sha256_hex
from sync.carrier import Carrier
from sync.directory import Directory
from sync.errors import Broken, NoRoom, Refused, TeachpointError, Unreachable
from sync.file_lock import exclusive
from sync.hub.carry import carry
from tests.sync_box.shelf_stage import SITE, Joined, join, sync_cut_off


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tmp_path)


def test_a_lesson_comes_and_is_told_of(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲", b="乙")
    report = joined.sync()
    assert (report.ok, report.packages, report.left) == (True, 1, 0)
    assert joined.packages() == {package: (1, True)}
    assert joined.texts(package) == {"a": "甲", "b": "乙"}
    kinds = [kind for (kind,) in joined.hub.database.execute("SELECT kind FROM record")]
    assert kinds == []
    joined.ingest()
    assert "package" in [kind for (kind,) in joined.hub.database.execute("SELECT kind FROM record")]


def test_what_a_killed_link_left_in_the_temporary_folder_goes(joined: Joined, monkeypatch: pytest.MonkeyPatch,
                                                              tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(ssh_link, "_fits", lambda folder: temporary in folder.parents)
    for folder in (joined.box.layout.run, joined.box.layout.run / "up"):
        ssh_link.SshLink(joined.box.pairing, folder)._write_files()  # then it was killed
    assert len([*temporary.iterdir()]) == 2
    joined.sync()
    assert [*temporary.iterdir()] == []


def test_nothing_new_asks_for_the_feed_and_nothing_else(joined: Joined) -> None:
    joined.lesson("课一", a="甲")
    joined.sync()
    joined.ingest()
    joined.sync()
    seq = box_status(joined.box)["journal"]["last_seq"]
    link = joined.link()
    generation = joined.generation()
    report = joined.sync(link)
    assert link.asked == ["feed"]
    assert (report.objects, report.records_up, report.packages) == (0, 0, 0)
    assert box_status(joined.box)["journal"] == {"last_seq": seq, "unacknowledged": 0}
    assert joined.generation() == generation


def test_an_update_stays_hidden_until_it_is_whole_and_fetches_only_what_changed(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲", b="乙", c="丙")
    joined.sync()
    joined.lesson("课一", a="甲", b="新", d="丁")
    link = joined.link(cut_after=1)
    with pytest.raises(Unreachable):
        joined.sync(link)
    assert joined.packages() == {package: (1, True)}
    assert joined.texts(package) == {"a": "甲", "b": "乙", "c": "丙"}
    after = joined.link()
    joined.sync(after)
    assert joined.packages() == {package: (2, True)}
    assert joined.texts(package) == {"a": "甲", "b": "新", "d": "丁"}
    have = len(set(link.objects) | set(after.objects))
    assert have <= 5, "the manifest, two new files and their texts; never what was there"


def test_a_resource_opens_before_its_lesson_is_whole(joined: Joined) -> None:
    package = joined.lesson("课一", **{f"f{i}": f"文{i}" for i in range(6)})
    with pytest.raises(Unreachable):
        joined.sync(joined.link(cut_after=5))
    assert joined.packages() == {package: (1, False)}
    assert 1 <= len(joined.texts(package)) < 6
    partial = box_status(joined.box)["packages"]["partial"]
    assert [one["id"] for one in partial] == [package] and partial[0]["left"] > 0
    joined.sync()
    assert len(joined.texts(package)) == 6


def test_what_is_shared_or_renamed_is_not_fetched_again(joined: Joined) -> None:
    joined.lesson("课一", a="同一个文件")
    joined.sync()
    link = joined.link()
    second = joined.lesson("课二", b="同一个文件")
    joined.sync(link)
    assert joined.texts(second) == {"b": "同一个文件"}
    assert len(link.objects) == 1, "the manifest alone"


def test_unassigned_stays_open_but_is_no_longer_wanted(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲")
    joined.sync()
    joined.unassign(package)
    joined.sync()
    assert box_status(joined.box)["packages"]["assigned"] == 0
    assert joined.texts(package) == {"a": "甲"}


def test_wrong_bytes_are_never_shown_and_are_told(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲", b="乙")
    wrong = {p.name for p in (joined.hub.layout.library / "objects").rglob("*") if p.is_file()
             and p.read_bytes() == "乙".encode()}
    link = joined.link(flip=wrong)
    report = joined.sync(link)
    assert report.ok and report.left > 0
    assert joined.texts(package) == {"a": "甲"}
    assert "object-missing" in joined.problems()
    assert not [p for p in joined.box.layout.staging.iterdir() if p.name in wrong]
    joined.sync()
    assert joined.texts(package) == {"a": "甲", "b": "乙"} and joined.problems() == set()


def test_a_difference_that_comes_out_wrong_is_asked_for_whole(joined: Joined) -> None:
    joined.lesson("课", a="一" * LEAST_BYTES)
    joined.sync()
    joined.lesson("课", a="二" * LEAST_BYTES)
    link = joined.link(flip={sha256_hex(("二" * LEAST_BYTES).encode())})
    joined.sync(link)
    asked = [one.like for one in link.wanted if one.sha256 in link.flip]
    assert asked == [sha256_hex(("一" * LEAST_BYTES).encode()), ""]


def test_a_manifest_that_breaks_a_rule_hurts_nobody_else(joined: Joined) -> None:
    bad = joined.lesson("课坏", a="甲")
    manifest = joined.hub.database.execute("SELECT manifest FROM package WHERE id = ?", [bad]).fetchone()[0]
    good = joined.lesson("课好", a="甲")
    evil = b'{"format":"teachpoint-package/1"}'
    added = joined.hub.store.add_bytes(evil)
    joined.hub.database.execute("UPDATE package SET manifest = ?, manifest_bytes = ? WHERE id = ?",
                                [added.sha256, added.size, bad])
    joined.hub.database.conn.commit()
    joined.lesson("课好", a="甲", b="乙")
    joined.sync()
    assert joined.packages() == {good: (2, True)}, manifest
    assert "manifest-bad" in joined.problems()


def test_a_forged_feed_changes_nothing(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲")
    joined.sync()
    joined.lesson("课二", a="乙")
    timestamp = joined.hub.layout.feed("s1") / "timestamp.json"
    timestamp.write_bytes(timestamp.read_bytes().replace(b'"version":', b'"version":1'))
    with pytest.raises(Refused) as caught:
        joined.sync()
    assert caught.value.code.startswith("feed-")
    assert joined.packages() == {package: (1, True)}
    assert box_status(joined.box)["hub"]["last_error"]["code"] == caught.value.code


def test_what_a_killed_sync_was_writing_goes_and_what_others_write_stays(joined: Joined) -> None:
    layout = joined.box.layout
    left = [folder / f"{durable.TEMPORARY_PREFIX}0123" for folder in (
        layout.staging, layout.feed, layout.trusted, layout.run, layout.run / "link", layout.run / "https",
        layout.run / "up" / "link")]
    others = [layout.run / "nginx" / left[0].name, layout.run / "bodies" / left[0].name]
    for path in [*left, *others]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    joined.sync()
    assert [path for path in [*left, *others] if path.exists()] == others


def test_an_old_stick_to_a_box_whose_beliefs_have_rotted_says_nothing_of_lost_history(
        joined: Joined, tmp_path: Path) -> None:
    joined.lesson("课一", a="甲")
    joined.sync()
    joined.ingest()
    (tmp_path / "stick").mkdir()
    carry(joined.hub, [SITE], Carrier(tmp_path / "stick"))
    for name in ("课二", "课三"):
        joined.clock.advance(60)
        joined.lesson(name, a=name)
        joined.sync()
        joined.ingest()
        joined.sync()
    before = joined.box.box_id, box_status(joined.box)["journal"]["last_seq"]
    for _ in range(2):
        beliefs = joined.box.layout.trusted / "feed.json"
        beliefs.write_bytes(bytes(beliefs.stat().st_size))
        sync_once(joined.box, Directory(tmp_path / "stick", SITE))
        assert joined.box.box_id == before[0]
        assert box_status(joined.box)["journal"]["last_seq"] >= before[1]
    assert "hub-forgot" not in joined.problems()


def test_only_one_sync_at_a_time(joined: Joined) -> None:
    with exclusive(joined.box.layout.run / "sync.lock"), pytest.raises(Broken) as caught:
        joined.sync()
    assert caught.value.code == "sync-running"


@pytest.mark.parametrize("now", [0.0, 2_208_988_800.0])
def test_a_wrong_clock_locks_nobody_out(joined: Joined, now: float) -> None:
    package = joined.lesson("课一", a="甲")
    joined.clock.set_wall(now)
    joined.hub.clock = type(joined.clock)(1_790_000_000)
    joined.sync()
    assert joined.packages() == {package: (1, True)}
    assert not box_status(joined.box)["clock"]["believed"]


def test_what_does_not_fit_is_left_out_and_said(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    joined.lesson("大课", a="大" * 100_000)
    small = joined.lesson("小课", a="小")
    room = session.planning.Room(20_000)
    monkeypatch.setattr(session._Session, "_room", lambda _self: room)
    with pytest.raises(NoRoom):
        joined.sync()
    assert joined.packages()[small] == (1, True)
    assert "disk-full" in joined.problems()
    monkeypatch.undo()
    joined.sync()
    assert all(whole for _, whole in joined.packages().values()) and joined.problems() == set()


def test_a_disk_that_is_full_at_each_write_in_turn_loses_nothing(
        joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fsync in turn fails with ENOSPC; the next sync without the fault makes everything whole."""
    package = joined.lesson("课一", a="甲", b="乙")
    failures = 0
    for step in range(60):
        left = [step]
        real = os.fsync

        def full(descriptor: int, left: list[int] = left, real: Any = real) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)
        monkeypatch.setattr(durable.os, "fsync", full)
        try:
            joined.sync()
        except TeachpointError:
            failures += 1
        finally:
            monkeypatch.undo()
        if left[0] >= 0:
            break
    assert failures >= 3
    joined.sync()
    assert joined.texts(package) == {"a": "甲", "b": "乙"}
    joined.ingest()
    joined.sync()
    joined.ingest()
    assert len(joined.hub.database.execute("SELECT seq FROM record").fetchall()) >= 1


CUTS = [("sync.box.session.trusted", "save"), ("sync.box.shelf.Shelf", "assign"),
        ("sync.box.shelf.Shelf", "settle"), ("sync.box.shelf.Shelf", "stored"), ("sync.store.Store", "adopt"),
        ("sync.box.outbox.Outbox", "cut"), ("sync.box.outbox.Outbox", "sent"),
        ("sync.box.outbox.Outbox", "acknowledge"), ("sync.box.contact", "note_success")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("where", "step"), CUTS, ids=[step for _, step in CUTS])
def test_a_power_cut_at_each_step_is_healed_by_the_next_sync(
        joined: Joined, monkeypatch: pytest.MonkeyPatch, where: str, step: str, after: bool) -> None:
    package = joined.lesson("课一", a="甲", b="乙")
    import importlib
    module, _, name = where.rpartition(".")
    try:
        owner: Any = importlib.import_module(where)
    except ModuleNotFoundError:
        owner = getattr(importlib.import_module(module), name)
    sync_cut_off(joined, monkeypatch, owner, step, after=after)
    joined.sync()
    joined.ingest()
    joined.sync()
    assert joined.texts(package) == {"a": "甲", "b": "乙"}
    assert box_status(joined.box)["journal"]["unacknowledged"] == 0
    told = joined.hub.database.execute("SELECT count(*) FROM record WHERE kind = 'package'").fetchone()[0]
    assert told == 1, "whole once, told once"
    assert not list(joined.box.layout.data.rglob(".tmp-*"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_order_of_changes_cuts_and_syncs_ends_where_the_hub_is(
        tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Lessons appear, change, go and come back; syncs are cut anywhere. A last sync agrees with the hub."""
    rng = random.Random(seed)
    joined = join(tmp_path_factory.mktemp("joined"))
    model: dict[str, dict[str, str]] = {}
    for _ in range(rng.randint(3, 8)):
        act = rng.random()
        if act < 0.55 or not model:
            files = {f"f{i}": f"文{rng.randint(0, 5)}" for i in range(rng.randint(1, 4))}
            model[joined.lesson(f"课{rng.randint(0, 2)}", **files)] = files
        elif act < 0.7:
            package = rng.choice(sorted(model))
            joined.unassign(package)
            del model[package]
        else:
            with contextlib.suppress(Unreachable):
                joined.sync(joined.link(cut_after=rng.randint(0, 6)))
            joined.ingest()
    joined.sync()
    for package, files in model.items():
        assert joined.texts(package) == files
        assert joined.packages()[package][1]


def test_uploads_that_came_through_after_all_wait_no_longer(joined: Joined) -> None:
    journal = Journal(joined.box.database, joined.clock)
    set_problem(journal, Unreachable("uploads-wait", hub="中心校", reason="the link broke at the very end"))
    joined.sync()
    assert box_status(joined.box)["problems"] == []


def test_a_manifest_that_rots_before_all_is_there_is_a_problem_until_it_is_back(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲")
    joined.sync()
    database, store = joined.box.database, joined.box.store
    database.execute("UPDATE package SET complete = 0")
    database.execute("UPDATE resource SET complete = 0")
    (manifest,) = database.execute("SELECT manifest FROM package").fetchone()
    store.path(manifest).write_bytes(b"rotten")
    shelf = Shelf(database, store, Journal(database, joined.clock), joined.clock)
    shelf.settle()
    assert joined.problems() == {"object-damaged"}
    joined.sync()
    assert joined.problems() == set() and joined.packages() == {package: (1, True)}
