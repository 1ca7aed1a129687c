from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import plan as planning
from sync.canonical import sha256_hex
from sync.plan import NOT_DUE, Plan, Room, Unit, bytes_left, compressible, plan
from sync.transport import Wanted

PLENTY = Room(2**60)


def wanted(name: str, size: int) -> Wanted:
    return Wanted(sha256_hex(name.encode()), size)


def unit(name: str, *lacks: Wanted, priority: int = 5, due: int = NOT_DUE) -> Unit:
    return Unit(name, name, priority, lacks, due)


def order(made: Plan) -> list[str]:
    return [one.sha256 for batch in made.batches for one in batch.objects]


def test_priority_first_then_the_timetable_then_the_smallest_remainder() -> None:
    small, large, urgent, due = wanted("s", 10), wanted("l", 900), wanted("u", 5000), wanted("d", 5000)
    nearly_there = wanted("n", 2000)
    made = plan([unit("large", large), unit("urgent", urgent, priority=9), unit("due", due, due=3),
                 unit("small", small), unit("nearly", nearly_there)], {nearly_there.sha256: 1995}, PLENTY)
    assert order(made) == [w.sha256 for w in (urgent, due, nearly_there, small, large)]


def test_batches_do_not_mix_priorities() -> None:
    made = plan([unit("a", wanted("a", 1), priority=9), unit("b", wanted("b", 1), priority=1)], {}, PLENTY)
    assert [batch.priority for batch in made.batches] == [9, 1]


def test_a_large_object_stands_alone_and_small_ones_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_BATCH_BYTES", 100)
    made = plan([unit("a", wanted("a", 40)), unit("b", wanted("b", 50)), unit("c", wanted("c", 500)),
                 unit("d", wanted("d", 501))], {}, PLENTY)
    assert [batch.bytes for batch in made.batches] == [90, 500, 501]


def test_what_has_no_room_is_left_out_and_the_rest_goes_on() -> None:
    big, one, two = unit("big", wanted("x", 80), priority=9), unit("1", wanted("1", 30)), unit("2", wanted("2", 31))  # noqa: E501
    made = plan([big, one, two], {}, Room(61))
    assert made.left_out == (big,)
    assert made.bytes == 61


def test_staged_bytes_need_no_room() -> None:
    one = wanted("x", 100)
    assert plan([unit("a", one)], {one.sha256: 60}, Room(40, files=0)).left_out == ()
    assert plan([unit("a", one)], {one.sha256: 60}, Room(39)).left_out != ()


def test_inodes_are_room_too() -> None:
    made = plan([unit("a", wanted("1", 1), wanted("2", 1)), unit("b", wanted("3", 5))], {}, Room(100, files=1))  # noqa: E501
    assert [left.package for left in made.left_out] == ["a"]
    assert order(made) == [wanted("3", 5).sha256]


def test_what_failed_too_often_is_not_asked_for_and_its_unit_gets_the_rest() -> None:
    good, bad = wanted("good", 1), wanted("bad", 1)
    assert order(plan([unit("a", good, bad)], {}, PLENTY, without={bad.sha256})) == [good.sha256]


@pytest.mark.parametrize(("media_type", "pays"), [
    ("text/html; charset=utf-8", True), ("image/svg+xml", True), ("application/json", True),
    ("application/vnd.ms-powerpoint", True), ("application/epub+zip", False), ("video/mp4", False),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", False),
    ("application/pdf", False), ("application/octet-stream", False), ("", False)])
def test_compressible(media_type: str, pays: bool) -> None:
    assert compressible(media_type) is pays


POOL = [wanted(str(n), size) for n, size in enumerate([0, 1, 5, 17, 80, 99, 100, 101, 250, 1000])]
UNITS = st.lists(st.builds(
    lambda n, priority, lacks, due: Unit(f"p{n}", "", priority, tuple(lacks), due),
    st.integers(0, 5), st.integers(0, 9), st.lists(st.sampled_from(POOL), max_size=6),
    st.sampled_from([1, 2, NOT_DUE])), max_size=12)
STAGED = st.dictionaries(st.sampled_from([w.sha256 for w in POOL]), st.integers(0, 1100), max_size=6)


@settings(max_examples=200, deadline=None)
@given(UNITS, STAGED, st.integers(0, 2000), st.integers(0, 12), st.integers(1, 300), st.integers(1, 4))
def test_what_a_plan_promises(units: list[Unit], staged: dict[str, int], room: int, files: int,
                              most_bytes: int, most_objects: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MOST_BATCH_BYTES", most_bytes)
        patch.setattr(planning, "MOST_BATCH_OBJECTS", most_objects)
        made = plan(units, staged, Room(room, files))
    names = order(made)
    assert len(names) == len(set(names)), "each object once"
    lacking = {w.sha256 for u in units for w in u.lacks}
    served = [u for u in units if u not in made.left_out]
    assert set(names) == {w.sha256 for u in served for w in u.lacks} <= lacking
    assert made.bytes <= room
    assert sum(name not in staged for name in names) <= files
    assert made.bytes == bytes_left(served, staged)
    for batch in made.batches:
        assert 0 < len(batch.objects) <= most_objects
        assert batch.bytes <= most_bytes or len(batch.objects) == 1 or \
            all(staged.get(w.sha256, 0) >= w.size for w in batch.objects[:-1])
    priorities = [batch.priority for batch in made.batches]
    assert priorities == sorted(priorities, reverse=True)
    # No object of a less urgent unit before one that only a more urgent unit needs.
    first = {name: place for place, name in enumerate(names)}
    for urgent in served:
        for later in served:
            if urgent.priority > later.priority:
                only = {w.sha256 for w in later.lacks} - {
                    w.sha256 for u in served if u.priority > later.priority for w in u.lacks}
                assert all(first[a.sha256] < first[b] for a in urgent.lacks for b in only)


@settings(max_examples=50, deadline=None)
@given(UNITS, STAGED, st.randoms(use_true_random=False))
def test_the_order_given_does_not_matter(units: list[Unit], staged: dict[str, int], random: object) -> None:
    unique = list({(u.package, u.resource): u for u in units}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    assert plan(unique, staged, PLENTY) == plan(shuffled, staged, PLENTY)
