"""Folders and files become package versions; what is refused changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.errors import TeachpointError
from sync.hub.assign import assign
from sync.hub.publish import Published, list_packages, publish, publish_tree
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site
from sync.manifest import MOST_MANIFEST_BYTES, Manifest, parse

LESSON = "人教版/三年级上册/语文/第01课 大青树下的小学"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    folder = tmp_path / "disk" / LESSON
    folder.mkdir(parents=True)
    (folder / "01 课文.txt").write_text("早晨，从山坡上，从坪坝里", "utf-8")
    (folder / "02 练习").mkdir()
    (folder / "02 练习" / "index.html").write_text("<title>练习</title><p>花的学校", "utf-8")
    (folder / "02 练习" / "a.css").write_text("p{}", "utf-8")
    return folder


def manifest(hub: Hub, published: Published) -> Manifest:
    return parse(hub.store.read(published.manifest, MOST_MANIFEST_BYTES))


def state(hub: Hub) -> tuple[list[str], list[object], list[str]]:
    """All that a publish may change: objects, table, leavings."""
    rows = [tuple(row) for row in hub.database.execute("SELECT * FROM package ORDER BY id, version")]
    return sorted(hub.store.names()), rows, [p.name for p in hub.store.incoming.iterdir()]


def good(results: Iterator[Published | TeachpointError]) -> list[Published]:
    found = []
    for result in results:
        assert isinstance(result, Published), result
        found.append(result)
    return found


def test_a_lesson_folder_becomes_a_package(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    assert published.changed
    assert published.version == 1
    assert published.resources == 2
    made = manifest(hub, published)
    assert (made.name, made.educationalLevel, made.about) == ("大青树下的小学", "三年级", "语文")
    assert made.position == 1
    assert [(r.name, r.type, r.entry) for r in made.resources] == [
        ("课文", "text", "01 课文.txt"), ("练习", "bundle", "02 练习/index.html")]
    for name, size in made.objects().items():
        assert hub.store.path(name).stat().st_size == size
    assert published.bytes == sum(made.objects().values())
    assert [row["id"] for row in list_packages(hub)] == [published.id]


def test_the_same_bytes_make_no_new_version(hub: Hub, lesson: Path) -> None:
    first = publish(hub, lesson)
    before = state(hub)
    again = publish(hub, lesson)
    assert (again.version, again.manifest, again.changed, again.new_bytes) == (1, first.manifest, False, 0)
    assert state(hub) == before


def test_sites_learn_of_a_version_although_its_publish_was_cut_off(
        hub: Hub, lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_site(hub, "s1", "一号")
    assign(hub, [publish(hub, lesson).id], ["s1"])
    (lesson / "01 课文.txt").write_text("改了", "utf-8")
    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr("sync.hub.publish.write_feed", interrupted)
        publish(hub, lesson)
    again = publish(hub, lesson)
    assert (again.version, again.changed) == (2, False)
    told = hub.layout.feed("s1").glob("*.desired.json")
    assert any(again.manifest in path.read_text() for path in told)


def test_a_publish_killed_while_it_looks_into_files_leaves_nothing(
        hub: Hub, lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    child = os.fork()
    if not child:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        monkeypatch.setattr("sync.programs.run", lambda *_, **__: os._exit(9))
        publish(open_hub(hub.layout.data), lesson)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    hub.store.sweep()
    assert state(hub)[2] == [] == list((tmp_path / "tmp").iterdir())


def interrupted(*_: object) -> None:
    """As a kill at this place."""
    raise KeyboardInterrupt


def test_a_change_makes_the_next_version_and_the_old_one_stays(hub: Hub, lesson: Path) -> None:
    first = publish(hub, lesson)
    (lesson / "01 课文.txt").write_text("改了", "utf-8")
    second = publish(hub, lesson)
    assert (second.id, second.version, second.changed) == (first.id, 2, True)
    assert manifest(hub, first).version == 1
    versions = hub.database.execute("SELECT version FROM package WHERE id = ?", [first.id]).fetchall()
    assert versions == [(1,), (2,)]


def test_a_folder_of_very_many_files_is_one_package(hub: Hub, tmp_path: Path) -> None:
    """`python -m bench publish` does it with 100,000."""
    for number in range(3000):
        path = tmp_path / "题库" / f"{number // 500}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"第{number}题")
    published = publish(hub, tmp_path / "题库")
    files = [file for resource in manifest(hub, published).resources for file in resource.files]
    assert (published.resources, len({file.sha256 for file in files})) == (3000, 3000)
    assert all(hub.store.has(file.sha256) for file in files)
    assert not publish(hub, tmp_path / "题库").changed


def test_the_same_folder_on_another_disk_is_the_same_package(hub: Hub, lesson: Path, tmp_path: Path) -> None:
    first = publish(hub, lesson)
    shutil.copytree(tmp_path / "disk", tmp_path / "stick")
    again = publish(hub, tmp_path / "stick" / LESSON)
    assert (again.id, again.changed) == (first.id, False)


def test_a_tree_of_lessons_becomes_a_package_each(hub: Hub, lesson: Path, tmp_path: Path) -> None:
    second = lesson.parent / "第02课 花的学校"
    second.mkdir()
    (second / "a.txt").write_text("a")
    found = good(publish_tree(hub, tmp_path / "disk" / "人教版"))
    assert [p.name for p in found] == ["大青树下的小学", "花的学校"]
    assert not publish(hub, second).changed


def test_a_single_file_is_a_package(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "春晓.txt"
    file.write_text("春眠不觉晓", "utf-8")
    made = manifest(hub, publish(hub, file))
    assert (made.name, made.resources[0].entry) == ("春晓", "春晓.txt")


def test_a_bundle_folder_is_a_package_with_one_resource(hub: Hub, lesson: Path) -> None:
    made = manifest(hub, publish(hub, lesson / "02 练习"))
    assert [(r.type, r.entry, len(r.files)) for r in made.resources] == [("bundle", "index.html", 2)]
