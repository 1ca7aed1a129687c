"""The box's disk dies under it: the classroom goes on reading, says so, and goes on once it is mended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Stage, ask, get, wait_for
from tests.small_disk import break_disk, lose_bytes, replace_disk, small_ext4

pytestmark = [pytest.mark.e2e, pytest.mark.root]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_ext4(tmp_path, 96) as where:
        yield where


@pytest.fixture
def on_disk(disk: Path, tmp_path: Path) -> Iterator[Stage]:
    """A hub, and a box on the small disk with a lesson of two files."""
    stage = Stage(tmp_path)
    stage.box_data = disk / "box"
    lesson = tmp_path / "人教版" / "三年级上册" / "语文" / "第01课 大青树"
    lesson.mkdir(parents=True)
    (lesson / "课文.txt").write_text("早晨，从山坡上")
    (lesson / "录像.mp4").write_bytes(os.urandom(20_000_000))
    try:
        stage.set_up()
        stage.publish(lesson)
        stage.serve_hub()
        stage.sync()
        yield stage
    finally:
        stage.stop()


def resources(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(f"{stage.url}api/v1/resources?q=大青树")["items"]
    return found


def reads(stage: Stage) -> bool:
    """Pages, search and files, as a class uses them."""
    assert get(stage.url)[0] == 200
    items = resources(stage)
    assert len(items) == 2
    sizes = [len(get(stage.url + one["url"].lstrip("/"))[2]) for one in items]
    assert sizes == [one["size"] for one in items]
    return True


def problems(stage: Stage) -> list[str]:
    return [one["code"] for one in ask(f"{stage.url}api/v1/status")["problems"]]


def test_a_disk_that_takes_no_more_writes_is_read_on_and_told_and_mended(on_disk: Stage, disk: Path) -> None:
    box = on_disk.serve_box()
    assert reads(on_disk) and problems(on_disk) == []
    break_disk(disk)
    assert reads(on_disk)
    wait_for("the problem", lambda: "disk-failing" in problems(on_disk))
    assert on_disk.sync(status=1)["code"] == "disk-failing"
    [told] = on_disk.box("status")["problems"]
    assert told["code"] == "disk-failing" and told["advice"]
    answer = get(f"{on_disk.url}upload")
    assert answer[0] in (200, 503)

    box.stop()
    again = on_disk.serve_box()
    assert reads(on_disk), "started on a disk that takes no writes"
    assert "disk-failing" in problems(on_disk)
    again.stop()
    for service in (box, again):
        for line in service.text().splitlines():
            told = json.loads(line)
            assert "exception" not in told, told

    replace_disk(disk)
    on_disk.serve_box("--no-sync")
    assert on_disk.sync()["ok"]
    status = ask(f"{on_disk.url}api/v1/status")
    assert (status["problems"], status["hub"]["last_error"]) == ([], None)
    assert reads(on_disk)


def test_bytes_that_the_disk_cannot_read_are_told_and_the_rest_is_read(on_disk: Stage, disk: Path) -> None:
    on_disk.serve_box("--no-sync")
    film, text = sorted(resources(on_disk), key=lambda one: -int(one["size"]))
    path = on_disk.box_data / "library" / "objects" / film["sha256"][:2] / film["sha256"]
    lose_bytes(disk, path)
    with pytest.raises(OSError):
        path.read_bytes()
    assert get(on_disk.url)[0] == 200
    assert get(on_disk.url + text["url"].lstrip("/"))[2].decode() == "早晨，从山坡上"
    assert on_disk.box("status")["site"] == "s1"
