"""A hub whose disk is full: it goes on, says so, and recovers by itself when there is room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask, can_connect, get, wait_for
from tests.small_disk import fill, small_ext4

pytestmark = pytest.mark.e2e


@pytest.fixture
def on_disk(stage: Stage, tmp_path: Path) -> Iterator[Path]:
    """A small disk with the hub's data, with a lesson for the site."""
    (tmp_path / "side").mkdir()
    lesson = tmp_path / "第01课"
    lesson.mkdir()
    (lesson / "词语.txt").write_text("早晨\n" * 1000, "utf-8")
    with small_ext4(tmp_path / "side", 96) as disk:
        stage.hub_data = disk / "hub"
        stage.set_up()
        stage.publish(lesson)
        yield disk
        stage.stop()


@pytest.mark.parametrize("reserve", ["kept", "used up"])
def test_a_hub_on_a_full_disk_goes_on_and_recovers(stage: Stage, on_disk: Path, reserve: str) -> None:
    if reserve == "used up":
        shutil.rmtree(stage.hub_data / "reserve")
    filler = fill(on_disk)
    hub = stage.begin("hub", "serve", "--data", str(stage.hub_data), "--http", f"127.0.0.1:{stage.hub_port}",
                      "--ssh", f"127.0.0.1:{stage.ssh_port}", "--https", f"127.0.0.1:{stage.https_port}")
    console = f"http://127.0.0.1:{stage.hub_port}/"
    if reserve == "kept":
        wait_for("the console", lambda: hub.up() and can_connect(stage.hub_port))
        page = get(console)[2].decode()
        assert "中心端的磁盘" in page and "一号教学点" in page
        wait_for("sshd", lambda: hub.up() and can_connect(stage.ssh_port))
        stage.sync()
        assert stage.box("status")["packages"]["complete"] == 1
    else:
        wait_for("its first words", lambda: hub.up() and "waits-for-room" in hub.text())
    hub.up()
    filler.unlink()
    wait_for("the hub", lambda: hub.up() and can_connect(stage.hub_port)
             and ask(f"{console}healthz")["ok"] and can_connect(stage.ssh_port))

    def acknowledged() -> bool:
        stage.sync()
        return hub.up() and not stage.box("status")["journal"]["unacknowledged"]

    wait_for("the records", acknowledged)
    wait_for("the end of the problem", lambda: "中心端的磁盘" not in get(console)[2].decode())
    assert stage.box("status")["packages"]["complete"] == 1
    assert hub.stop() == 0 and "Traceback" not in hub.text()
