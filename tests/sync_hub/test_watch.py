"""The watch folder publishes what has come to rest, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.clock import ManualClock
from sync.errors import NoRoom, Refused
from sync.hub import watch as watching
from sync.hub.publish import list_packages
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.watch import WatchFolder


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "watch").mkdir()
    return tmp_path / "watch"


class Stepped:
    """A watch folder whose time the test moves."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.clock = ManualClock()
        self.watch = WatchFolder(hub.layout.data, folder, quiet_s=3, clock=self.clock)

    def after(self, seconds: float) -> list[tuple[str, int]]:
        """Let time pass, look, and say what is published."""
        self.clock.advance(seconds)
        self.watch.step(self.hub)
        return [(row["name"], row["version"]) for row in list_packages(self.hub)]


@pytest.fixture
def stepped(hub: Hub, folder: Path) -> Stepped:
    return Stepped(hub, folder)


def problem(hub: Hub) -> dict[str, object] | None:
    rows = hub.database.execute(
        "SELECT facts FROM problem WHERE site = '' AND code = 'watch-failed'").fetchall()
    return json.loads(rows[0][0]) if rows else None


def drop(folder: Path, name: str = "春晓", text: str = "春眠不觉晓") -> Path:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "课文.txt").write_text(text, "utf-8")
    return folder / name / "课文.txt"


def test_a_folder_is_published_once_it_has_been_quiet(stepped: Stepped, folder: Path) -> None:
    drop(folder)
    assert stepped.after(0) == []
    assert stepped.after(2.9) == []
    drop(folder, text="春眠不觉晓，处处闻啼鸟")
    assert stepped.after(1) == []
    assert stepped.after(3) == [("春晓", 1)]
    assert stepped.after(100) == [("春晓", 1)]


def test_a_change_publishes_the_next_version(stepped: Stepped, folder: Path) -> None:
    drop(folder)
    stepped.after(0)
    assert stepped.after(3) == [("春晓", 1)]
    drop(folder, text="又改")
    assert stepped.after(1) == [("春晓", 1)]
    assert stepped.after(3) == [("春晓", 2)]


def test_a_file_open_for_writing_is_waited_for(stepped: Stepped, folder: Path) -> None:
    file = drop(folder)
    with file.open("ab"):  # a copy over a network that stalls
        stepped.after(0)
        assert stepped.after(10) == []
        assert stepped.after(10) == []
    assert stepped.after(3) == [("春晓", 1)]


@pytest.mark.parametrize("name", ["film.mp4.part", "film.mp4.crdownload", "a.tmp", ".film.mp4.Xa81bQ"])
def test_an_unfinished_download_is_waited_for(stepped: Stepped, folder: Path, name: str) -> None:
    file = drop(folder).with_name(name)
    file.write_bytes(b"half")
    stepped.after(0)
    assert stepped.after(10) == []
    file.rename(file.with_name("film.mp4"))
    stepped.after(0)
    assert stepped.after(3) == [("春晓", 1)]


def test_what_is_refused_is_a_problem_until_it_is_mended(stepped: Stepped, folder: Path) -> None:
    bad = drop(folder).with_name("what?.txt")
    bad.write_text("x")
    drop(folder, "静夜思")
    stepped.after(0)
    assert stepped.after(3) == [("静夜思", 1)]
    told = problem(stepped.hub)
    assert told is not None
    assert told["count"] == 1
    assert "file-name-bad" in json.dumps(told)
    bad.rename(bad.with_name("what.txt"))
    stepped.after(0)
    assert ("春晓", 1) in stepped.after(3)
    assert problem(stepped.hub) is None


def test_a_problem_goes_with_its_folder(stepped: Stepped, folder: Path) -> None:
    bad = folder / "what?.txt"
    bad.write_text("x")
    stepped.after(0)
    stepped.after(3)
    assert problem(stepped.hub) is not None
    bad.unlink()
    stepped.after(0)
    assert problem(stepped.hub) is None


def test_no_room_is_tried_again_by_itself(stepped: Stepped, folder: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    drop(folder)
    with monkeypatch.context() as full:
        full.setattr(watching, "publish_tree", lambda *_: iter([NoRoom("disk-full", path="x")]))
        stepped.after(0)
        assert stepped.after(3) == []
        assert problem(stepped.hub) is not None
    assert stepped.after(30) == []
    assert stepped.after(31) == [("春晓", 1)]
    assert problem(stepped.hub) is None


def test_an_empty_folder_is_no_problem(stepped: Stepped, folder: Path) -> None:
    (folder / "新建文件夹").mkdir()
    stepped.after(0)
    assert stepped.after(3) == []
    assert problem(stepped.hub) is None


def test_a_missing_watch_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        WatchFolder(hub.layout.data, tmp_path / "none").start()
    assert caught.value.code == "watch-folder-bad"


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    last = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.05)


def test_it_runs_by_itself_and_takes_what_was_there_before(hub: Hub, folder: Path) -> None:
    drop(folder, "旧的")
    watch = WatchFolder(hub.layout.data, folder, quiet_s=0.2, look_s=60)
    watch.start()
    try:
        reader = open_hub(hub.layout.data)
        wait_for(lambda: len(list_packages(reader)) == 1)
        drop(folder, "新的")
        wait_for(lambda: len(list_packages(reader)) == 2)
        drop(folder, "新的", "改了")
        wait_for(lambda: {row["version"] for row in list_packages(reader)} == {1, 2})
    finally:
        watch.stop()
