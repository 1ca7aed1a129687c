"""A box and its hub over the real line: one connection, little traffic, whole after every cut."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.e2e.sshd_stage import answering
from tests.e2e.stage import Stage, temporary_files, wait_for

pytestmark = pytest.mark.e2e


def test_a_whole_sync_is_one_login_and_a_second_one_nearly_nothing(paired: Stage, tmp_path: Path) -> None:
    rng = random.Random(3)
    small = tmp_path / "lessons" / "小文件"
    small.mkdir(parents=True)
    for number in range(2000):
        (small / f"{number:04}.txt").write_bytes(f"第{number}课 ".encode() * rng.randint(1, 40))
    large = tmp_path / "lessons" / "大视频"
    large.mkdir()
    with (large / "视频.mp4").open("wb") as film:
        for _ in range(200):
            film.write(rng.randbytes(1024 * 1024))
    paired.publish(small)
    paired.publish(large)
    with answering(paired) as logins:
        first = paired.sync()
        assert first["left"] == 0 and first["packages"] == 2
        assert first["received_bytes"] < 202 * 1024 * 1024
        assert len(logins) == 1
        second = paired.sync()
        assert second["received_bytes"] + second["sent_bytes"] < 10_000
        assert len(logins) == 2
    assert list(temporary_files(paired.box_data)) == []


def test_a_sync_that_is_killed_goes_on_from_its_last_byte(paired: Stage, tmp_path: Path) -> None:
    """SIGKILL to the box's processes when at least half of a large file is there: of what had come,
    less than 1 % comes again."""
    size = 120 * 1024 * 1024
    folder = tmp_path / "lessons" / "大视频"
    folder.mkdir(parents=True)
    (folder / "视频.mp4").write_bytes(random.Random(1).randbytes(size))
    paired.publish(folder)
    staging = paired.box_data / "staging"
    with answering(paired):
        begun = paired.start("box", "sync", "--once", "--data", str(paired.box_data))
        while (got := max((p.stat().st_size for p in staging.glob("?" * 64)), default=0)) < size // 3:
            assert begun.poll() is None, "it was over before it could be killed"
            time.sleep(0.002)
        begun.kill()
        begun.communicate()
        time.sleep(0.5)
        for pid, words in paired.processes().items():
            if words[0].endswith(("rsync", "ssh")):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        kept = max(p.stat().st_size for p in staging.glob("?" * 64))
        assert kept >= got
        rest = paired.sync()
        assert rest["left"] == 0 and rest["packages"] == 1
        assert rest["received_bytes"] < (size - kept) * 1.01 + 20_000
    assert list(temporary_files(paired.box_data)) == []
    assert [p for p in staging.iterdir() if p.name != ".boot"] == []


def test_a_rotten_object_is_found_and_fetched_again(paired: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "lessons" / "课"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(os.urandom(5000))
    paired.publish(folder)
    with answering(paired):
        paired.sync()
        victim = max((p for p in (paired.box_data / "library" / "objects").rglob("*") if p.is_file()),
                     key=lambda p: p.stat().st_size)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.chmod(0o644)
        victim.write_bytes(data)
        found = paired.start("box", "fsck", "--data", str(paired.box_data))
        found.communicate()
        assert found.returncode == 1
        assert not victim.exists()
        assert paired.box("status")["packages"]["complete"] == 0
        paired.sync()
        assert victim.exists() and paired.box("status")["packages"]["complete"] == 1


def test_bytes_that_are_wrong_at_the_hub_are_never_taken(paired: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "lessons" / "课"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(os.urandom(5000))
    (folder / "b.txt").write_bytes(os.urandom(100))
    paired.publish(folder)
    victim = max((p for p in (paired.hub_data / "library" / "objects").rglob("*") if p.is_file()),
                 key=lambda p: p.stat().st_size)
    victim.chmod(0o644)
    victim.write_bytes(os.urandom(5000))
    with answering(paired):
        report = paired.sync()
        assert report["packages"] == 0 and report["left"] > 0
    status = paired.box("status")
    assert "object-missing" in [problem["code"] for problem in status["problems"]]
    assert not (paired.box_data / "library" / "objects" / victim.name[:2] / victim.name).exists()


def test_what_an_earlier_service_told_of_its_sshd_is_past_when_there_is_one(paired: Stage) -> None:
    """The service was killed between the end of its sshd and the next one."""
    database = sqlite3.connect(paired.hub_data / "hub.db", isolation_level=None)
    database.execute("INSERT INTO problem VALUES ('', 'sshd-stopped', '{\"reason\": \"killed\"}', 1.0)")
    paired.serve_hub()
    wait_for("its end", lambda: not database.execute("SELECT * FROM problem").fetchall())
    database.close()
