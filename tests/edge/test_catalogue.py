from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_utils import Database

from edge.catalogue import MOST_ROWS, Catalogue, seconds_of
from sync.errors import Broken
from tests.edge.shelf_rows import add_package, bump, make_database, name_of, resource_id


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return make_database(tmp_path)


@pytest.fixture
def catalogue(database: Database, tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "box.db")


def lesson(database: Database, id: str, name: str = "课", resources: int = 2, **fields: object) -> None:
    add_package(database, id, name, [{"name": f"{name} {n}"} for n in range(resources)], **fields)


def test_empty_box_has_nothing(catalogue: Catalogue) -> None:
    assert catalogue.generation() == 0
    assert catalogue.packages() == []
    assert catalogue.grades() == []
    assert catalogue.newest(10) == []
    assert catalogue.coming() == []
    assert catalogue.counts().resources == 0
    assert catalogue.resources().total == 0
    assert catalogue.package("none") is None
    assert catalogue.resource("none", "0" * 16) is None


def test_packages_stand_in_teaching_order(database: Database, catalogue: Catalogue) -> None:
    lesson(database, "d", educationalLevel="七年级", about="数学")
    lesson(database, "b", educationalLevel="三年级", about="语文", volume="下册", position=1)
    lesson(database, "a10", educationalLevel="三年级", about="语文", volume="上册", name="第10课")
    lesson(database, "a2", educationalLevel="三年级", about="语文", volume="上册", name="第2课")
    lesson(database, "c", educationalLevel="三年级", about="数学")
    lesson(database, "z")
    lesson(database, "k", educationalLevel="学前")
    assert [p.id for p in catalogue.packages()] == ["k", "a2", "a10", "b", "c", "d", "z"]
    assert [p.id for p in catalogue.packages("三年级", "语文")] == ["a2", "a10", "b"]
    assert [p.id for p in catalogue.packages("三年级", limit=2, offset=1)] == ["a10", "b"]
    assert [p.id for p in catalogue.packages("")] == ["z"]
    assert [g.name for g in catalogue.grades()] == ["学前", "三年级", "七年级", ""]
    assert [s.name for s in catalogue.subjects("三年级")] == ["语文", "数学"]
    upper, lower = catalogue.books("三年级", "语文")
    assert (upper.volume, [p.id for p in upper.packages]) == ("上册", ["a2", "a10"])
    assert (lower.volume, [p.id for p in lower.packages]) == ("下册", ["b"])


def test_counts_follow_every_change(database: Database, catalogue: Catalogue) -> None:
    add_package(database, "a", "一", [{"name": "x", "size": 10}, {"name": "y", "size": 20, "complete": 0}])
    lesson(database, "b")
    counts = catalogue.counts()
    assert (counts.packages, counts.packages_complete) == (2, 1)
    assert (counts.resources, counts.resources_complete, counts.bytes_left) == (4, 3, 20)
    assert [p.id for p in catalogue.coming()] == ["a"]
    assert catalogue.coming()[0].bytes_left == 20
    database.execute("UPDATE resource SET complete = 1, arrived = 5 WHERE package = 'a'")
    database.execute("UPDATE package SET complete = 1")
    bump(database)
    assert catalogue.coming() == []
    assert catalogue.counts().bytes_left == 0
    database.execute("DELETE FROM package WHERE id = 'a'")
    bump(database)
    assert catalogue.counts().resources == 2
    assert list(database.query("SELECT * FROM tally WHERE package = 'a'")) == []


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_tally_is_right_whatever_verb_wrote(database: Database, verb: str) -> None:
    add_package(database, "a", "一", [{"name": "x", "size": 10}])
    row = next(database.query("SELECT * FROM resource"))
    row |= {"complete": 0, "size": 7}
    names = ", ".join(row)
    database.execute(f"{verb} INTO resource ({names}) VALUES ({', '.join(':' + n for n in row)})", row)
    truth = ("SELECT package, type, count(*), sum(complete), sum(size), sum(iif(complete, 0, size))"
             " FROM resource")
    assert database.execute("SELECT * FROM tally").fetchall() == database.execute(truth).fetchall()


def test_resources_are_paged_over_packages(database: Database, catalogue: Catalogue) -> None:
    for grade, package in (("一年级", "a"), ("二年级", "b"), ("三年级", "c")):
        lesson(database, package, package, 5, educationalLevel=grade, about="语文")
    everything = catalogue.resources(limit=100)
    assert everything.total == 15 == len(everything.items)
    assert [r.package for r in everything.items] == ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    for offset in range(17):
        page = catalogue.resources(limit=4, offset=offset)
        assert page.items == everything.items[offset:offset + 4]
        assert page.total == 15
    assert catalogue.resources("二年级").items == everything.items[5:10]
    assert catalogue.resources(package="c", grade="一年级").total == 0
    assert catalogue.resources(package="none").total == 0
    assert catalogue.resources(limit=0).items == ()
    assert len(catalogue.resources(limit=10**9).items) == 15 <= MOST_ROWS


def test_resources_by_type_and_completeness(database: Database, catalogue: Catalogue) -> None:
    add_package(database, "a", "a", [
        {"name": "v", "type": "video"}, {"name": "d"}, {"name": "w", "type": "video", "complete": 0}])
    add_package(database, "b", "b", [{"name": "u", "type": "video"}])
    assert [r.name for r in catalogue.resources(type="video").items] == ["v", "w", "u"]
    assert catalogue.resources(type="video").total == 3
    assert [r.name for r in catalogue.resources(type="video", complete=True).items] == ["v", "u"]
    assert [r.name for r in catalogue.resources(complete=False).items] == ["w"]
    assert catalogue.resources(type="nonsense").total == 0


def test_a_resource_knows_its_package_and_neighbours(database: Database, catalogue: Catalogue) -> None:
    add_package(database, "a", "大青树下的小学", [
        {"name": "课文", "pages": 4}, {"name": "朗读", "type": "audio", "timeRequired": "PT3M20S"},
        {"name": "练习"}],
        educationalLevel="三年级", about="语文", edition="人教版", volume="上册", position=1)
    row = catalogue.resource("a", resource_id("a", "朗读"))
    assert row is not None
    assert (row.package_name, row.grade, row.subject) == ("大青树下的小学", "三年级", "语文")
    assert (row.duration_s, row.left, row.bundle) == (200, 0, False)
    before, after = catalogue.neighbours(row)
    assert before and before.name == "课文" and before.pages == 4
    assert after and after.name == "练习"
    assert catalogue.neighbours(after)[1] is None
    assert catalogue.find(row.id) == row
    assert catalogue.several([("a", row.id), ("a", "0" * 16), ("b", row.id)]) == [row]


def test_newest_first(database: Database, catalogue: Catalogue) -> None:
    add_package(database, "a", "a", [{"name": "old", "arrived": 10.0}, {"name": "new", "arrived": 30.0}],
                educationalLevel="一年级")
    add_package(database, "b", "b", [{"name": "middle", "arrived": 20.0}, {"name": "not yet", "complete": 0}],
                educationalLevel="二年级")
    assert [r.name for r in catalogue.newest(10)] == ["new", "middle", "old"]
    assert [r.name for r in catalogue.newest(2)] == ["new", "middle"]
    assert [r.name for r in catalogue.newest(10, "一年级")] == ["new", "old"]
    assert [r.name for r in catalogue.newest(1, "二年级")] == ["middle"]
    assert catalogue.newest(5, "三年级") == []


def test_files_of_a_bundle(database: Database, catalogue: Catalogue) -> None:
    files = [{"path": "g/index.html", "sha256": name_of("1"), "size": 1},
             {"path": "g/a b.js", "sha256": name_of("2"), "size": 2}]
    add_package(database, "a", "a", [{"name": "游戏", "type": "bundle", "mediaType": "text/html",
                                      "entry": "g/index.html", "files": files, "thumbnail": name_of("t")}])
    rid = resource_id("a", "游戏")
    assert [f.path for f in catalogue.files("a", rid)] == ["g/a b.js", "g/index.html"]
    file = catalogue.file("a", "g/a b.js")
    assert file and file.sha256 == name_of("2") and file.complete and file.resource == rid
    assert catalogue.file("a", "g/../secret") is None
    assert catalogue.file("a", "\udcff") is None
    assert catalogue.is_thumbnail(name_of("t"))
    assert not catalogue.is_thumbnail(name_of("1"))


def test_a_change_without_generation_is_not_yet_seen(database: Database, catalogue: Catalogue) -> None:
    lesson(database, "a")
    assert catalogue.generation() == 1
    assert len(catalogue.packages()) == 1
    lesson(database, "b")
    assert catalogue.generation() == 2
    assert len(catalogue.packages()) == 2


def test_garbage_instead_of_a_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "box.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(Broken) as error:
        Catalogue(tmp_path / "box.db").packages()
    assert error.value.code == "database-broken"


@pytest.mark.parametrize(("text", "seconds"), [
    ("PT3M20S", 200), ("P1DT1H", 90000), ("PT1.5S", 1), ("", 0), ("three minutes", 0), ("P", 0)])
def test_durations(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
