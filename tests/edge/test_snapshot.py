"""A generation that follows another is the same as one that is read anew; and it costs what has changed."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from edge import api, indexing, metrics, opds
from edge.catalogue import Catalogue, ResourceRow
from edge.snapshot import Shared
from sync.box.journal import Journal
from sync.box.shelf import Shelf
from sync.database import open_read_only, transaction
from sync.timetable import courses_of
from tests.edge.classroom import Room, make_room
from tests.edge.shelf_rows import add_package, bump, make_database
from tests.sync_box.shelf_stage import join

GRADES, SUBJECTS = ("三年级", "Grade 3", "一年级", ""), ("语文", "数学", "")


def seen(catalogue: Catalogue) -> dict[str, Any]:
    """All that is known of packages, in order."""
    grades = (None, *GRADES)
    every = [(grade, subject) for grade in grades for subject in (None, *SUBJECTS)]
    return {
        "packages": [catalogue.packages(*one) for one in every],
        "menus": [catalogue.grades(), *map(catalogue.subjects, grades)],
        "newest": [catalogue.newest_packages(5, *one) for one in every],
        "books": [catalogue.books(*one) for one in every],
        "courses": [catalogue.course(course) for grade in GRADES for subject in SUBJECTS
                    for course in courses_of(grade, subject)],
        "resources": [catalogue.resources(grade, "语文", complete=whole, type=kind, limit=4, offset=offset)
                      for grade in grades for whole in (None, True, False) for kind in (None, "video")
                      for offset in (0, 3, 9)],
        "newest resources": [catalogue.newest(3, grade, "语文") for grade in GRADES],
        "coming": catalogue.coming(), "counts": catalogue.counts(), "types": sorted(catalogue.types()),
        "one": catalogue.package("p3"),
    }


def change(database: Database, chance: random.Random) -> None:
    """Something that a sync, or making room, does to one package."""
    package = f"p{chance.randrange(12)}"
    what = chance.choice(["add", "add", "add", "drop", "rename", "move", "urgent", "whole", "lost"])
    with transaction(database):
        if what in ("add", "drop"):
            database.execute("DELETE FROM package WHERE id = ?", [package])
        elif what == "rename":
            database.execute("UPDATE package SET name = ? WHERE id = ?",
                             [f"第{chance.randrange(9)}课", package])
        elif what == "move":
            database.execute("UPDATE package SET educationalLevel = ? WHERE id = ?",
                             [chance.choice(GRADES), package])
        elif what == "urgent":
            database.execute("UPDATE package SET priority = ? WHERE id = ?", [chance.randrange(9), package])
        else:
            database.execute("UPDATE resource SET complete = ?, arrived = ? WHERE package = ?",
                             [int(what == "whole"), chance.random() + 1, package])
    if what == "add":
        add_package(database, package, f"第{chance.randrange(9)}课", [
            {"name": f"r{number}", "type": chance.choice(["video", "picture"]), "size": 1 + number,
             "complete": chance.randrange(2)} for number in range(chance.randrange(4))],
            educationalLevel=chance.choice(GRADES), about=chance.choice(SUBJECTS),
            edition=chance.choice(["", "人教版"]), volume=chance.choice(["上册", "下册"]),
            position=chance.randrange(3), arrived=float(chance.randrange(5)))
    else:
        bump(database)


@pytest.mark.parametrize("seed", range(5))
def test_what_follows_is_the_same_as_what_is_read_anew(tmp_path: Path, seed: int) -> None:
    database, chance = make_database(tmp_path), random.Random(seed)
    for number in range(12):  # so many that a change of a few is followed
        add_package(database, f"q{number}", "", [{"name": "x"}], about=chance.choice(SUBJECTS))
    catalogue = Catalogue(tmp_path / "box.db", Shared())
    for _ in range(25):
        for _ in range(chance.randrange(4)):
            change(database, chance)
        assert seen(catalogue) == seen(Catalogue(tmp_path / "box.db", Shared()))


def test_each_change_of_the_shelf_is_followed(tmp_path: Path) -> None:
    """What came, came in a new version, was lost, was given up, came again, has gone."""
    joined = join(tmp_path)
    ids = {name: joined.lesson(name, **{f"f{number}": f"{name} {number}" for number in range(3)})
           for name in "abcdefghijklmnopqrst"}
    joined.sync()
    database, store = joined.box.database, joined.box.store
    shelf = Shelf(database, store, Journal(database, joined.clock), joined.clock)
    catalogue = Catalogue(joined.box.layout.database, Shared())

    def first(name: str) -> ResourceRow:
        return catalogue.resources(package=ids[name]).items[0]

    def come_again() -> None:
        shelf.settle()
        shelf.stored([str(first("b").sha256)])

    steps: list[Callable[[], object]] = [
        lambda: joined.lesson("a", f0="another", f7="new") and joined.sync(),
        lambda: shelf.lost([str(first("b").sha256)]),
        come_again,
        lambda: shelf.give_up(ids["c"], first("c").id),
        lambda: joined.unassign(ids["d"]) or joined.sync(),  # type: ignore[func-returns-value]
        lambda: shelf.drop(ids["d"]),
    ]
    for step in steps:
        before = catalogue.generation()
        step()
        assert catalogue.generation() > before
        assert seen(catalogue) == seen(Catalogue(joined.box.layout.database, Shared()))
    assert catalogue.package(ids["d"]) is None and catalogue.package(ids["b"]) is not None


# -- what it costs -----------------------------------------------------------------------------------

LESSONS, MORE = 30, 300
#: Pages of a box with so many lessons of four resources, in six grades and two subjects.
ADDRESSES = [
    "/", "/browse", "/browse?grade=一年级&subject=语文", "/search?q=langdu", "/search?q=春晓",
    "/suggest?q=春", "/p/lesson-0003", "/timetable", "/status", "/metrics", "/opds/v2",
    "/opds/v2/publications?page=3", "/opds/v2/publications?sort=new", "/opds/v2/search?query=langdu",
    "/api/v1/packages?limit=20", "/api/v1/resources?limit=20&offset=60",
    "/api/v1/resources?grade=三年级&type=video&limit=5", "/api/v1/resources?q=langdu&limit=20"]


def filled(folder: Path, lessons: int) -> Room:
    room = make_room(folder)
    room.app.register_blueprint(api.blueprint(room.state, lambda: room.status, "1"))
    room.app.register_blueprint(opds.blueprint(room.state, "1"))
    room.app.register_blueprint(metrics.blueprint(room.state, lambda: room.status, "1"))
    with transaction(room.database):
        for number in range(lessons):
            lesson(room, number)
    room.state.search.refresh()
    return room


def lesson(room: Room, number: int) -> None:
    add_package(room.database, f"lesson-{number:04}", f"第{number}课 春晓", [
        {"name": f"朗读 {place}", "type": "video"} for place in range(4)],
        educationalLevel=f"{'一二三四五六'[number % 6]}年级", about=("语文", "数学")[number // 6 % 2])


def steps_of(connection: sqlite3.Connection, act: Callable[[], object]) -> int:
    """Steps of SQLite's machine that `act` takes on this connection."""
    steps = itertools.count()
    connection.set_progress_handler(lambda: next(steps) * 0, 1)
    act()
    connection.set_progress_handler(None, 1)
    return next(steps)


@pytest.fixture(scope="module")
def small_and_large(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return [filled(tmp_path_factory.mktemp(f"of-{lessons}"), lessons) for lessons in (LESSONS, MORE)]


def test_a_page_costs_the_same_with_ten_times_as_many(small_and_large: list[Room]) -> None:
    """Asked for the first time after a lesson has come: nothing is kept of it."""
    costs: dict[str, list[int]] = {}
    for room in small_and_large:
        catalogue = room.state.catalogue()
        room.page("/browse")
        for turn, address in enumerate(ADDRESSES):
            lesson(room, 9000 + turn)
            if "q=" in address or "query=" in address:
                assert room.state.search.refresh()

            def ask(room: Room = room, address: str = address) -> None:
                assert room.app.test_client().get(address).status_code == 200

            costs.setdefault(address, []).append(steps_of(catalogue._connection, ask))
    assert all(small > 5 for small, _ in costs.values()), "the steps are counted where the pages ask"
    assert {address: cost for address, cost in costs.items() if cost[0] != cost[1]} == {}


def test_a_lesson_more_costs_the_index_one_lesson(
        small_and_large: list[Room], monkeypatch: pytest.MonkeyPatch) -> None:
    costs = []
    for room in small_and_large:
        room.state.search.refresh()
        lesson(room, 9500)
        database, library, folder = room.state.layout.database, room.data / "library", room.state.layout.index
        steps = 0

        def counting(path: Path) -> Database:
            opened = open_read_only(path)

            def step() -> int:
                nonlocal steps
                steps += 1
                return 0
            opened.conn.set_progress_handler(step, 1)
            return opened

        monkeypatch.setattr(indexing, "open_read_only", counting)
        built = indexing.update(database, library, folder)
        assert (built.kind, built.resources) == ("changed", 4)
        costs.append(steps)
    assert costs[0] == costs[1] > 10


def test_another_copy_of_the_database_is_looked_through(tmp_path: Path) -> None:
    """Its numbers went on from an older state: the same numbers, other changes."""
    room = filled(tmp_path, 12)
    layout = room.state.layout
    room.database.execute("INSERT INTO setting VALUES ('box', 'first')")
    lesson(room, 50)
    lesson(room, 51)
    indexing.update(layout.database, room.data / "library", layout.index)
    with transaction(room.database):  # as if the lessons 50 and 51 had never come, but 70 and 71
        room.database.execute("DELETE FROM package WHERE id IN ('lesson-0050', 'lesson-0051')")
        lesson(room, 70)
        lesson(room, 71)
        [last] = room.database.execute("SELECT max(number) FROM touched").fetchone()
        room.database.execute("UPDATE touched SET number = number - ? WHERE package >= 'lesson-0050'", [last])
        room.database.execute("UPDATE setting SET value = 'second' WHERE name = 'box'")
    assert room.state.search.refresh()
    assert room.state.search.search("70")[0] == 4 and room.state.search.search("50")[0] == 0
