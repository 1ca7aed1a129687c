"""Too little room: what goes, what stays, what is said; and the journal that goes on on a full disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sync import reserve
from sync.box import eviction, room
from sync.box.journal import Journal
from sync.box.room import set_disk_budget
from sync.box.shelf import Shelf
from sync.box.state import init_box, open_box
from sync.box.status import box_status
from sync.errors import NoRoom
from sync.hub.assign import assign
from sync.hub.publish import publish
from sync.hub.status import hub_status
from sync.store import Store
from tests.small_disk import fill, fill_inodes, small_ext4
from tests.sync_box.shelf_stage import SITE, Joined, join, sync_cut_off

#: Letters in a lesson of these tests; the objects beside it (manifest, text for search) come on top.
LETTERS = 40_000


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tmp_path)


def lesson(joined: Joined, name: str, priority: int, letter: str = "") -> str:
    package = joined.lesson(name, a=(letter or name[-1]) * LETTERS)
    assign(joined.hub, [package], [SITE], priority)
    return package


def opened(joined: Joined, package: str) -> None:
    joined.box = open_box(joined.box.layout.data, joined.clock)
    Journal(joined.box.database, joined.clock).append(
        "resource-opened", {"package": package, "version": 1, "resource": "a", "name": "a"})


def budget(joined: Joined, lessons: float) -> None:
    """Room for what is there and so many lessons more."""
    joined.box = open_box(joined.box.layout.data, joined.clock)
    one = LETTERS * 3 * 2 + 2000  # the file, its text, its manifest
    set_disk_budget(joined.box.database, joined.box.store.size_bytes() + int(lessons * one))


def whole(joined: Joined) -> set[str]:
    """What can be opened: whole by the tables, and its bytes there."""
    found = {id_ for id_, (_, complete) in joined.packages().items() if complete}
    for package in found:
        assert joined.texts(package)
    return found


def test_what_is_no_longer_assigned_goes_first_and_the_longest_unopened_of_it(joined: Joined) -> None:
    names = [lesson(joined, f"课{letter}", 5) for letter in "甲乙丙"]
    joined.sync()
    opened(joined, names[0])
    opened(joined, names[1])
    opened(joined, names[0])
    joined.unassign(names[0])
    joined.unassign(names[1])
    joined.sync()
    assert whole(joined) == set(names), "nothing goes before its room is needed"
    budget(joined, 0.1)
    new = lesson(joined, "课丁", 1)
    joined.sync()
    assert whole(joined) == {names[0], names[2], new}
    joined.ingest()
    gone = joined.hub.database.execute("SELECT body FROM record WHERE kind = 'package-removed'").fetchall()
    assert [body for (body,) in gone] == [f'{{"id":"{names[1]}"}}']
    assert joined.problems() == set()


def test_the_less_urgent_gives_way_and_is_told_and_comes_back_when_there_is_room(joined: Joined) -> None:
    low, middle = lesson(joined, "课甲", 2), lesson(joined, "课乙", 5)
    joined.sync()
    budget(joined, 0.1)
    urgent = lesson(joined, "课丙", 9)
    with pytest.raises(NoRoom) as caught:
        joined.sync()
    assert (caught.value.code, caught.value.facts["package"]) == ("budget-full", low)
    assert whole(joined) == {middle, urgent}
    [short] = box_status(joined.box)["no_room"]
    assert short["id"] == low and 0 < short["bytes"] <= LETTERS * 3
    with pytest.raises(NoRoom):
        joined.sync()
    joined.ingest()
    [site] = hub_status(joined.hub)
    assert site["no_room"] == [short] and site["packages"] == {"assigned": 3, "complete": 2}
    [problem] = [one for one in site["problems"] if one["code"] == "site-no-room"]
    assert low in problem["message"] and str(short["bytes"]) in problem["message"]

    joined.box = open_box(joined.box.layout.data, joined.clock)
    set_disk_budget(joined.box.database, None)
    joined.sync()
    assert whole(joined) == {low, middle, urgent} and joined.problems() == set()
    joined.ingest()
    [site] = hub_status(joined.hub)
    assert site["no_room"] == [] and site["problems"] == []
    assert site["packages"] == {"assigned": 3, "complete": 3}


def test_nothing_goes_in_vain_nor_for_what_is_no_more_urgent(joined: Joined) -> None:
    low, same = lesson(joined, "课甲", 2), lesson(joined, "课乙", 5)
    joined.sync()
    budget(joined, 0.1)
    package = joined.lesson("课巨", a="大" * LETTERS * 3)
    assign(joined.hub, [package], [SITE], 5)
    with pytest.raises(NoRoom):
        joined.sync()
    assert whole(joined) == {low, same}
    records = [kind for (kind,) in joined.box.database.execute("SELECT kind FROM journal")]
    assert "package-removed" not in records


def test_bytes_that_something_else_needs_stay(joined: Joined) -> None:
    going, staying = lesson(joined, "课甲", 5, "同"), lesson(joined, "课乙", 5, "同")
    joined.sync()
    joined.unassign(going)
    joined.sync()
    budget(joined, 0.1)
    lesson(joined, "课丁", 5)
    with pytest.raises(NoRoom):
        joined.sync()
    assert whole(joined) == {going, staying}, "its going would help nobody"


def test_old_versions_and_quarantine_go_before_anything_a_teacher_sees(joined: Joined) -> None:
    kept = lesson(joined, "课甲", 5)
    old = lesson(joined, "课乙", 5)
    joined.sync()
    joined.unassign(kept)
    lesson(joined, "课乙", 5, "新")
    joined.sync()
    budget(joined, 0.1)
    new = lesson(joined, "课丙", 5)
    joined.sync()
    assert whole(joined) == {kept, old, new}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), [
    (Shelf, "drop"), (Shelf, "give_up"), (Store, "remove"), (Store, "empty_quarantine"),
    (eviction.Eviction, "free"), (Shelf, "settle")], ids=lambda value: getattr(value, "__name__", value))
def test_a_power_cut_at_each_step_of_making_room_is_healed(
        joined: Joined, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, after: bool) -> None:
    unassigned, low = lesson(joined, "课甲", 5), lesson(joined, "课乙", 2)
    joined.sync()
    joined.unassign(unassigned)
    budget(joined, 0.1)
    first = lesson(joined, "课丙", 8)
    second = lesson(joined, "课丁", 8)
    sync_cut_off(joined, monkeypatch, owner, step, after=after)
    whole(joined)
    with pytest.raises(NoRoom):
        joined.sync()
    assert whole(joined) == {first, second}
    assert {low} == {one["id"] for one in box_status(joined.box)["no_room"]}
    joined.ingest()
    [site] = hub_status(joined.hub)
    assert {one["id"] for one in site["missing"]} == {low}


@pytest.mark.root
def test_records_are_written_on_a_full_disk_and_after_a_restart_on_it(tmp_path: Path) -> None:
    with small_ext4(tmp_path, 64) as disk:
        joined = join(disk)
        assert reserve.keep_reserve(joined.box.layout.data)
        joined.box.database.close()
        fill(disk)
        for start in range(2):
            box = open_box(joined.box.layout.data, joined.clock)
            journal = Journal(box.database, box.clock)
            for number in range(500):
                assert journal.append("resource-opened", {"package": "p"}) == start * 500 + number + 1
            assert 0 < reserve.reserve_files(box.layout.data) < reserve.FILES
            box.database.close()
        (disk / "filler").unlink()
        assert reserve.keep_reserve(joined.box.layout.data)


@pytest.mark.root
def test_without_an_inode_left_the_box_opens_and_writes(tmp_path: Path) -> None:
    with small_ext4(tmp_path, 64, inodes=1024) as disk:
        joined = join(disk)
        reserve.keep_reserve(joined.box.layout.data)
        joined.box.database.close()
        fill_inodes(disk)
        box = open_box(joined.box.layout.data, joined.clock)
        assert Journal(box.database, box.clock).append("problem", {"code": "disk-full", "facts": {}})


@pytest.mark.root
def test_on_a_real_disk_the_less_urgent_makes_room_in_bytes(tmp_path: Path) -> None:
    with small_ext4(tmp_path, 64) as disk:
        joined = on_disk(tmp_path, disk)
        low = big(joined, "课低", 2, 20)
        joined.sync()
        assert whole_files(joined) == {low}
        high = big(joined, "课高", 8, 25)
        with pytest.raises(NoRoom) as caught:
            joined.sync()
        assert caught.value.code == "disk-full"
        assert whole_files(joined) == {high}
        free = os.statvfs(disk)
        assert free.f_bavail * free.f_frsize >= 64 * 2**20 * room.RESERVE_SHARE / 2
        joined.unassign(low)
        joined.sync()
        assert joined.problems() == set()


@pytest.mark.root
def test_on_a_real_disk_the_less_urgent_makes_room_in_inodes(tmp_path: Path) -> None:
    with small_ext4(tmp_path, 64, inodes=1024) as disk:
        joined = on_disk(tmp_path, disk)
        low = joined.lesson("课低", **{f"f{i}": f"低{i}" for i in range(400)})
        assign(joined.hub, [low], [SITE], 2)
        joined.sync()
        high = joined.lesson("课高", **{f"f{i}": f"高{i}" for i in range(400)})
        assign(joined.hub, [high], [SITE], 8)
        with pytest.raises(NoRoom):
            joined.sync()
        assert joined.packages()[high] == (1, True)
        assert os.statvfs(disk).f_favail > 0


def on_disk(place: Path, disk: Path) -> Joined:
    """A hub, and its box on the small disk."""
    joined = join(place)
    joined.box.database.close()
    joined.box = init_box(disk / "box", place / "s1.toml", joined.clock)
    return joined


def big(joined: Joined, name: str, priority: int, mebibytes: int) -> str:
    package = joined.lesson(name, a=name)
    folder = joined.place / "lessons" / name
    (folder / "大.bin").write_bytes(os.urandom(mebibytes * 2**20))
    publish(joined.hub, folder)
    assign(joined.hub, [package], [SITE], priority)
    return package


def whole_files(joined: Joined) -> set[str]:
    return {id_ for id_, (_, complete) in joined.packages().items() if complete}
