"""Rot is found by reading all again, told, and healed from the hub."""

from __future__ import annotations

from pathlib import Path

from edge.problem_notes import ProblemNotes
from sync.box.scrub import scrub_step, scrubbed
from sync.box.state import open_box
from tests.sync_box.shelf_stage import join


def test_rot_is_found_told_and_healed_and_the_place_is_kept_over_restarts(tmp_path: Path) -> None:
    joined = join(tmp_path)
    package = joined.lesson("课一", **{f"f{i}": f"文{i}" for i in range(5)})
    joined.sync()
    names = list(joined.box.store.names())
    rotten = next(name for name in names if joined.box.store.path(name).read_text() == "文3")
    joined.box.store.path(rotten).write_text("坏3")
    woken: list[bool] = []
    notes = ProblemNotes(lambda: open_box(joined.box.layout.data, joined.clock), lambda: woken.append(True))
    notes.start()
    for done in range(1, len(names) + 1):
        box = open_box(joined.box.layout.data, joined.clock)
        assert scrub_step(box, notes.lost, share=0.0) == 1
        assert scrubbed(box.database)["rounds"] == (done == len(names))
    notes.flush()
    assert scrubbed(box.database)["damaged"] == 1 and woken
    assert joined.problems() == {"object-lost"} and joined.packages() == {package: (1, False)}
    joined.sync()
    assert joined.texts(package)["f3"] == "文3" and joined.packages() == {package: (1, True)}
    assert scrub_step(box, notes.lost, share=1.0) == len(names)
    assert scrubbed(box.database) == {"rounds": 2, "damaged": 1, "done": 0.0}
    notes.stop()


def test_a_lost_object_that_a_new_version_has_replaced_is_no_problem_any_more(tmp_path: Path) -> None:
    joined = join(tmp_path)
    joined.lesson("课一", a="旧", b="乙")
    joined.sync()
    store = joined.box.store
    rotten = next(name for name in store.names() if store.path(name).read_text() == "旧")
    joined.lesson("课一", a="新", b="乙")
    store.path(rotten).unlink()
    notes = ProblemNotes(lambda: open_box(joined.box.layout.data, joined.clock), lambda: None)
    notes.start()
    notes.lost(rotten)
    notes.flush()
    assert joined.problems() == {"object-lost"}
    joined.sync()
    notes.stop()
    again = ProblemNotes(lambda: open_box(joined.box.layout.data, joined.clock), lambda: None)
    again.start()
    again.flush()
    again.stop()
    assert joined.problems() == set()
