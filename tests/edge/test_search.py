from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from edge import indexing
from edge.indexing import read_state, update
from edge.search import NICENESS, SearchIndex, build_here, build_in_child
from sync.database import transaction
from sync.errors import Broken
from tests.edge.shelf_rows import add_package, bump, make_database, name_of, resource_id


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return make_database(tmp_path)


@pytest.fixture
def index(tmp_path: Path, database: Database) -> SearchIndex:
    return SearchIndex(tmp_path / "index", tmp_path / "box.db", build=build_here)


def lesson(database: Database) -> None:
    add_package(database, "yw-3-1", "大青树下的小学",
                [{"name": "课文朗读", "type": "video"},
                 {"name": "大青树 picture", "type": "picture"}],
                educationalLevel="三年级", about="语文", creator="王老师")
    add_package(database, "sx-3-1", "万以内的加法", [{"name": "口算练习"}],
                educationalLevel="三年级", about="数学")
    add_package(database, "sx-4-1", "大数的认识", [{"name": "亿以内的数"}],
                educationalLevel="四年级", about="数学")


def names(index: SearchIndex, q: str, **filters: str) -> list[tuple[str, str]]:
    total, keys = index.search(q, **filters)
    assert total == len(keys)
    return keys


def test_titles_stand_before_packages(database: Database, index: SearchIndex) -> None:
    lesson(database)
    assert index.refresh()
    picture = ("yw-3-1", resource_id("yw-3-1", "大青树 picture"))
    reading = ("yw-3-1", resource_id("yw-3-1", "课文朗读"))
    for q in ("大青树", "青树", "dqs", "daqingshu"):
        assert names(index, q) == [picture, reading]
    assert names(index, "pic") == [picture]
    assert names(index, "王老师 朗读") == [reading]
    assert [package for package, _ in names(index, "数学")] == ["sx-3-1", "sx-4-1"]
    assert index.results("大").source == "index"


def test_filters(database: Database, index: SearchIndex) -> None:
    lesson(database)
    index.refresh()
    assert len(names(index, "大")) == 3
    assert [p for p, _ in names(index, "大", subject="数学")] == ["sx-4-1"]
    assert [p for p, _ in names(index, "大", grade="四年级")] == ["sx-4-1"]
    assert len(names(index, "大", type="video")) == 1
    assert len(names(index, "大", package="yw-3-1")) == 2
    assert names(index, "大", type="nonsense") == []
    assert names(index, "大", grade="") == []


def test_pages_of_results_fit_together(database: Database, index: SearchIndex) -> None:
    add_package(database, "a", "甲", [{"name": f"春 {n}"} for n in range(6)], educationalLevel="一年级")
    add_package(database, "b", "春天", [{"name": f"图 {n}"} for n in range(6)], educationalLevel="二年级")
    index.refresh()
    total, everything = index.search("春")
    assert total == 12 == len(everything)
    assert [package for package, _ in everything] == ["a"] * 6 + ["b"] * 6
    for offset in range(13):
        assert index.search("春", limit=5, offset=offset) == (12, everything[offset:offset + 5])
    assert index.search("春", limit=0) == (12, [])
    assert index.search("春", offset=10**12) == (12, [])


def test_each_page_knows_how_many_there_are_of_all_ranks(
        database: Database, index: SearchIndex, tmp_path: Path) -> None:
    sha256 = name_of("春 in a text")
    file = tmp_path / "library" / "objects" / sha256[:2] / sha256
    file.parent.mkdir(parents=True)
    file.write_text("春风 吹")
    for grade in ("一年级", "二年级"):
        add_package(database, f"names {grade}", "甲", [{"name": f"春 {n}"} for n in range(3)],
                    educationalLevel=grade)
        add_package(database, f"package {grade}", "春天", [{"name": f"图 {n}"} for n in range(2)],
                    educationalLevel=grade)
        add_package(database, f"text {grade}", "乙", [{"name": "丙", "text": sha256}], educationalLevel=grade)
    index.refresh()
    for filters, total in (({}, 12), ({"grade": "二年级"}, 6)):
        everything = index.search("春", **filters)[1]
        assert len(everything) == total
        for limit in range(total + 1):
            for offset in (0, 1, 5, 11):
                found = index.results("春", limit=limit, offset=offset, **filters)
                assert (found.total, list(found.keys)) == (total, everything[offset:offset + limit])
                assert found.by_text == sum(package.startswith("text") for package, _ in found.keys)


def test_texts_are_found_and_the_page_is_known(
        database: Database, index: SearchIndex, tmp_path: Path) -> None:
    text = "第一页 春天\f第二页 蒲公英 photosynthesis\f第三页 蒲公英"
    sha256 = name_of(text)
    file = tmp_path / "library" / "objects" / sha256[:2] / sha256
    file.parent.mkdir(parents=True)
    file.write_text(text)
    add_package(database, "a", "科学", [{"name": "植物", "text": sha256},
                                      {"name": "无文", "text": name_of("gone")}])
    add_package(database, "b", "蒲公英", [{"name": "图"}])
    index.refresh()
    assert [package for package, _ in names(index, "蒲公英")] == ["b", "a"]
    assert names(index, "photos") == names(index, "photosynthesis") == [("a", resource_id("a", "植物"))]
    assert index.page_of(sha256, "蒲公英") == 2
    assert index.page_of(sha256, "photos 蒲公英") == 2
    assert index.page_of(sha256, "春天") == 1
    assert index.page_of(sha256, "恐龙") is None
    assert index.page_of(name_of("gone"), "春天") is None
    assert index.page_of(sha256, "") is None


def test_without_an_index_names_answer(database: Database, index: SearchIndex) -> None:
    lesson(database)
    results = index.results("大青")
    assert (results.source, results.total) == ("names", 2)
    assert index.search("%")[0] == 0
    assert index.search("100%_\\")[0] == 0
    assert index.search("大", subject="数学")[1] == [("sx-4-1", resource_id("sx-4-1", "亿以内的数"))]
    assert index.search("大", limit=1, offset=1)[0] == 3


def test_changes_are_added_and_old_ones_go(database: Database, index: SearchIndex, tmp_path: Path) -> None:
    add_package(database, "many", "很多", [{"name": f"旧 {n}"} for n in range(30)])
    index.refresh()
    state = read_state(tmp_path / "index")
    assert state
    add_package(database, "new", "新课", [{"name": "一只青蛙"}])
    assert update(tmp_path / "box.db", tmp_path / "library", tmp_path / "index").kind == "changed"
    assert index.search("青蛙")[0] == 0  # until it is opened
    index.refresh()
    assert index.search("青蛙")[0] == 1
    after = read_state(tmp_path / "index")
    assert after and after.folder == state.folder
    with transaction(database):
        database.execute("DELETE FROM package WHERE id = 'new'")
        database.execute("UPDATE resource SET complete = 0 WHERE package = 'many'")
    bump(database)
    index.refresh()
    assert index.search("青蛙")[0] == 0
    assert index.search("旧")[0] == 30


def test_changed_and_rebuilt_index_agree(database: Database, tmp_path: Path) -> None:
    changed = SearchIndex(tmp_path / "one", tmp_path / "box.db", build=build_here)
    for number in range(12):
        add_package(database, f"p{number}", f"第{number}课", [{"name": f"课文 {n}"} for n in range(4)],
                    educationalLevel="三年级", position=(number * 7) % 12)
        changed.refresh()
    rebuilt = SearchIndex(tmp_path / "two", tmp_path / "box.db", build=build_here)
    rebuilt.refresh()
    assert changed.search("课文") == rebuilt.search("课文")
    assert [p for p, _ in rebuilt.search("课文", limit=8)[1]] == ["p0"] * 4 + ["p7"] * 4


def cut_short(folder: Path) -> None:
    biggest = max(folder.glob("index-*/*"), key=lambda file: file.stat().st_size)
    biggest.write_bytes(biggest.read_bytes()[:-3])


def garble(folder: Path) -> None:
    for file in folder.glob("index-*/meta.json"):
        file.write_bytes(b"\0" * file.stat().st_size)


def other_version(folder: Path) -> None:
    state = json.loads((folder / "current.json").read_bytes())
    (folder / "current.json").write_text(json.dumps({**state, "version": "0.0"}))


def no_state(folder: Path) -> None:
    (folder / "current.json").write_bytes(b"{")


def point_elsewhere(folder: Path) -> None:
    state = json.loads((folder / "current.json").read_bytes())
    (folder / "current.json").write_text(json.dumps({**state, "folder": "../../etc"}))


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("damage", [cut_short, garble, other_version, no_state, point_elsewhere, remove])
def test_a_damaged_index_is_built_anew(database: Database, tmp_path: Path, damage: object) -> None:
    lesson(database)
    SearchIndex(tmp_path / "index", tmp_path / "box.db", build=build_here).refresh()
    damage(tmp_path / "index")  # type: ignore[operator]
    index = SearchIndex(tmp_path / "index", tmp_path / "box.db", build=build_here)
    assert index.search("大青树")[0] == 2
    assert index.refresh()
    assert index.results("大青树").source == "index"
    assert len(list((tmp_path / "index").glob("index-*"))) == 1


def test_an_index_that_fails_while_answering_is_dropped(
        database: Database, index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As the one of PyO3: no Exception."""

    lesson(database)
    index.refresh()
    with monkeypatch.context() as patched:
        def panic(*_: object) -> None:
            raise PanicException("index out of bounds")
        patched.setattr("edge.search._ask", panic)
        assert index.results("大青树").source == "names"
    assert index.generation() is None
    assert index.refresh()
    assert index.results("大青树").source == "index"


def test_a_failing_update_leaves_the_old_index(database: Database, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise Broken("program-failed", program="python", status=1, output="")

    lesson(database)
    SearchIndex(tmp_path / "index", tmp_path / "box.db", build=build_here).refresh()
    add_package(database, "x", "新", [{"name": "新的"}])
    index = SearchIndex(tmp_path / "index", tmp_path / "box.db", build=fail)
    assert not index.refresh()
    assert index.search("大青树")[0] == 2
    assert index.results("大青树").source == "index"


def test_background_updates_do_not_block_answers(database: Database, tmp_path: Path) -> None:
    lesson(database)
    go, building = threading.Event(), threading.Event()

    def slow(*places: Path) -> None:
        building.set()
        assert go.wait(60)
        build_here(*places)

    index = SearchIndex(tmp_path / "index", tmp_path / "box.db", build=slow)
    index.start()
    try:
        assert building.wait(60)
        assert index.results("大青树").source == "names"
        go.set()
        assert wait_for(lambda: index.results("大青树").source == "index")
    finally:
        index.stop()


def wait_for(happens: object, patience_s: float = 60.0) -> bool:
    last = time.monotonic() + patience_s
    while time.monotonic() < last:
        if happens():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_a_program_of_its_own_builds_it(database: Database, tmp_path: Path) -> None:
    lesson(database)
    index = SearchIndex(tmp_path / "index", tmp_path / "box.db")
    assert index.refresh()
    assert index.search("dqs")[0] == 2


def test_the_program_stands_back_for_pages(database: Database, tmp_path: Path) -> None:
    lesson(database)
    seen = []
    build_in_child(tmp_path / "box.db", tmp_path / "library", tmp_path / "index",
                   lambda process: seen.append(os.getpriority(os.PRIO_PROCESS, process.pid)))
    assert seen == [max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))]
    assert read_state(tmp_path / "index")


def test_the_program_tells_of_a_broken_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "box.db").write_bytes(b"garbage" * 1000)
    assert indexing.main([str(tmp_path / "box.db"), str(tmp_path), str(tmp_path / "index")]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "database-broken"


ALPHABET = "春夏秋冬大小多少上下"


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], SearchIndex]]:
    """600 names over few characters, and their index."""
    import random
    dice = random.Random(7)
    folder = tmp_path_factory.mktemp("oracle")
    database = make_database(folder)
    given_names = ["".join(dice.choice(ALPHABET + " ，a1") for _ in range(dice.randint(1, 8)))
                   for _ in range(600)]
    for start in range(0, 600, 60):
        add_package(database, f"p{start}", "-", [
            {"name": name, "id": f"{place:016d}", "entry": f"{place}.pdf"} for place, name
            in enumerate(given_names[start:start + 60], start)])
    index = SearchIndex(folder / "index", folder / "box.db", build=build_here)
    index.refresh()
    yield given_names, index


@given(q=st.text(alphabet=ALPHABET, min_size=1, max_size=2))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_and_two_characters_are_substrings(oracle: tuple[list[str], SearchIndex], q: str) -> None:
    given_names, index = oracle
    truth = {f"{place:016d}" for place, name in enumerate(given_names) if q in name}
    total, keys = index.search(q, limit=1000)
    assert total == len(truth)
    assert {resource for _, resource in keys} == truth


@given(q=st.one_of(st.text(max_size=60),
                   st.text(alphabet="\0\ud800'\"*?()[]{}^~=:\\/+-&|!<> ab大", max_size=40),
                   st.from_regex(r"\A([a-z]{1,6}|[大小]{1,4}|\d{1,3}| |AND|OR|NOT|\*){1,8}\Z")))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_raises(oracle: tuple[list[str], SearchIndex], q: str) -> None:
    _, index = oracle
    total, keys = index.search(q, limit=10, grade=q, package=q)
    assert total == 0 and keys == []
    total, keys = index.search(q, limit=10)
    assert len(keys) == min(total, 10)
    assert index.results(q).source == "index"
