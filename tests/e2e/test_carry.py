"""The stick: filled at the hub, taken by the box, brought back; full, cut off, rotten, hostile, of FAT."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sshd_stage import answering
from tests.e2e.stage import Stage, ask, get, temporary_files, wait_for
from tests.small_disk import pull_out, put_in, real_stick

pytestmark = pytest.mark.e2e


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def lesson(stage: Stage, name: str, size: int = 200_000, priority: int = 5) -> Any:
    folder = stage.place / "lessons" / name
    folder.mkdir(parents=True)
    (folder / "课文.txt").write_text(f"{name}\n", "utf-8")
    (folder / "视频.mp4").write_bytes(random.Random(name).randbytes(size))
    return stage.publish(folder, priority=priority)


def carry(stage: Stage, stick: Path, *words: str, status: int = 0) -> Any:
    return stage.hub("carry", *(words or ("s1",)), "--to", str(stick), status=status)


def take(stage: Stage, stick: Path, status: int = 0) -> Any:
    return stage.box("sync", "--once", "--from", str(stick), status=status)


def complete(stage: Stage) -> int:
    return int(stage.box("status")["packages"]["complete"])


def open_files(process: subprocess.Popen[str], stick: Path) -> bool:
    """Has it a file of the stick open?"""
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            if (stick / "library") in descriptor.readlink().parents:
                return True
    return False


def objects(stick: Path) -> list[Path]:
    return [path for path in (stick / "library" / "objects").rglob("*") if path.is_file()]


def test_a_site_without_a_line_gets_its_lessons_and_the_hub_its_records(paired: Stage, stick: Path) -> None:
    lesson(paired, "第01课 甲")
    done = carry(paired, stick)
    assert done["sites"][0]["known"] is False and done["written_objects"] == 3
    first = take(paired, stick)
    assert (first["transport"], first["packages"], first["left"]) == ("directory", 1, 0)
    assert complete(paired) == 1
    (paired.box_data / "uploads" / "教案.txt").write_text("homework", "utf-8")
    service = paired.serve_box("--no-mdns", "--no-sync")
    wait_for("the upload", lambda: paired.box("status")["uploads"]["waiting"] == 1)
    service.stop()
    take(paired, stick)
    lesson(paired, "第02课 乙")
    back = carry(paired, stick)
    assert back["records"] > 0 and back["uploads"] == 1
    [site] = back["sites"]
    assert site["known"] and site["packages"] == 1 and site["objects"] == 3, "only what it lacks"
    assert len(objects(stick)) == 3, "what the box has is no longer on the stick"
    left = [path for path in (stick / "inbox").rglob("*") if path.is_file()]
    assert left == [], "what is safe at the hub is gone from the stick"
    last = take(paired, stick)
    assert last["records_down"] > 0 and last["packages"] == 1
    status = paired.box("status")
    assert status["packages"]["complete"] == 2 and status["uploads"]["waiting"] == 0
    assert [one["name"] for one in paired.hub("uploads")] == ["教案.txt"]


def test_a_stick_for_many_and_a_new_box_gets_everything(paired: Stage, stick: Path) -> None:
    paired.hub("site", "add", "s2", "--name", "二号", "--pairing", str(paired.place / "s2.toml"))
    paired.box("init", "--pairing", str(paired.place / "s2.toml"), data=paired.place / "box2")
    shared = lesson(paired, "第01课 甲")
    paired.hub("assign", shared["id"], "--to", "s2")
    assert carry(paired, stick, "--every-site")["written_objects"] == 3, "what both need is there once"
    assert take(paired, stick)["packages"] == 1
    assert paired.box("sync", "--once", "--from", str(stick), data=paired.place / "box2")["packages"] == 1
    assert [site["objects"] for site in carry(paired, stick, "s1", "s2")["sites"]] == [0, 0]
    assert objects(stick) == []
    done = carry(paired, stick, "--all", "s1")
    assert done["written_objects"] == 3
    assert carry(paired, stick, "s2")["removed_bytes"] == 0, "s1 is still served by it"


def test_line_and_stick_mix_in_any_order(paired: Stage, stick: Path) -> None:
    rng = random.Random(4)
    with answering(paired):
        for number in range(8):
            lesson(paired, f"第{number}课", 20_000)
            if rng.random() < 0.5:
                carry(paired, stick)
            for step in rng.sample(["line", "stick", "hub"], 2):
                if step == "line":
                    paired.sync()
                elif step == "stick" and (stick / "feed").exists():
                    take(paired, stick, status=0)
                else:
                    paired.hub("ingest")
        paired.sync()
        paired.hub("ingest")
        carry(paired, stick)
        take(paired, stick)
    assert complete(paired) == 8
    [site] = paired.hub("status")
    assert site["packages"] == {"assigned": 8, "complete": 8}
    assert site["problems"] == [] and paired.box("status")["problems"] == []


def test_an_older_stick_takes_nothing_back_and_its_files_still_serve(paired: Stage, stick: Path) -> None:
    """A stick filled last month comes after the line brought newer news, but not yet the files."""
    first = lesson(paired, "第01课 甲")["id"]
    carry(paired, stick)
    with answering(paired):
        lesson(paired, "第02课 乙")
        paired.hub("unassign", first, "--to", "s1")
        paired.sync()
        paired.hub("assign", first, "--to", "s1")
        report = take(paired, stick)
        assert report["ok"] and not report["news"] and report["packages"] == 0
        assert paired.box("status")["packages"]["assigned"] == 1, "what the line said last holds"
        paired.sync()
    assert complete(paired) == 2
    assert paired.box("status")["problems"] == []


def test_a_neighbours_folder_brings_files_and_takes_records(paired: Stage) -> None:
    """Another box's folder has no feed for this one: verified files come from anywhere."""
    paired.hub("site", "add", "s2", "--name", "二号", "--pairing", str(paired.place / "s2.toml"))
    box2 = paired.place / "box2"
    paired.box("init", "--pairing", str(paired.place / "s2.toml"), data=box2)
    with answering(paired):
        paired.box("sync", "--once", data=box2)
        shared = lesson(paired, "第01课 甲", 300_000)
        paired.hub("assign", shared["id"], "--to", "s2")
        paired.sync()
        large = [path for path in (paired.hub_data / "library/objects").rglob("*")
                 if path.is_file() and path.stat().st_size == 300_000]
        large[0].rename(large[0].with_name("away"))
        assert paired.box("sync", "--once", data=box2)["left"] >= 300_000, "the hub cannot give it now"
    report = paired.box("sync", "--once", "--from", str(paired.box_data), data=box2)
    assert report["ok"] and not report["news"] and report["packages"] == 1 and report["left"] == 0
    paired.hub("ingest")  # what came over the line before
    assert paired.hub("ingest", "--from", str(paired.box_data))["records"] > 0, "what it said goes back so"


def test_cut_off_at_any_moment_it_goes_on_and_what_is_there_is_whole(paired: Stage, stick: Path) -> None:
    for number in range(6):
        lesson(paired, f"第{number}课", 3_000_000)
    for enough in (0, 3, 6, 9, 12, 15):
        begun = paired.start("hub", "carry", "s1", "--to", str(stick), "--data", str(paired.hub_data))
        while len(objects(stick)) <= enough:
            assert begun.poll() is None, "it was over before it could be killed"
            time.sleep(0.001)
        begun.kill()
        begun.communicate()
        for path in objects(stick):
            if not path.name.startswith("."):
                assert path.stat().st_size in (3_000_000, *range(3000)), "a name stands for whole bytes"
    carry(paired, stick)
    assert len(objects(stick)) == 18, "and nothing unfinished stays"
    assert take(paired, stick)["packages"] == 6


def test_rot_and_strange_things_on_the_stick(paired: Stage, stick: Path, tmp_path: Path) -> None:
    lesson(paired, "第01课 甲")
    carry(paired, stick)
    victim = max(objects(stick), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[1000] ^= 1
    victim.write_bytes(data)
    (stick / "library" / "objects" / "zz").mkdir()
    (stick / "library" / "objects" / "zz" / "evil").write_text("x")
    (stick / "inbox" / "s1" / "segments" / "x").mkdir(parents=True)
    (stick / "inbox" / "s1" / "segments" / "x" / "1.segment").write_bytes(os.urandom(100))
    os.mkfifo(stick / "inbox" / "s1" / "pipe")
    (stick / "inbox" / "s9").symlink_to("/etc")
    report = take(paired, stick)
    assert report["packages"] == 0 and report["left"] > 0
    assert carry(paired, stick, "s1", "--check")["written_objects"] == 1
    assert take(paired, stick)["packages"] == 1
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(stick / "feed")
    (stick / "feed").symlink_to(outside)
    assert carry(paired, stick, status=3)["code"] == "stick-leads-elsewhere"
    assert list(outside.iterdir()) == []


def test_what_is_rotten_at_the_hub_is_said_and_not_carried(paired: Stage, stick: Path) -> None:
    published = lesson(paired, "第01课 甲")
    victim = max((path for path in (paired.hub_data / "library/objects").rglob("*") if path.is_file()),
                 key=lambda path: path.stat().st_size)
    victim.write_bytes(os.urandom(200_000))
    error = carry(paired, stick, status=1)
    assert error["code"] == "library-damaged" and published["id"] in error["message"]
    assert not any(path.name == victim.name for path in objects(stick))
    assert take(paired, stick)["left"] > 0


def test_no_such_site_no_stick_nobody_named(paired: Stage, stick: Path) -> None:
    assert carry(paired, stick, "nobody", status=3)["code"] == "site-unknown"
    assert carry(paired, stick / "gone", status=4)["code"] == "carrier-gone"
    assert paired.hub("carry", "--to", str(stick), status=2)["code"] == "carry-for-whom"
    paired.hub("site", "revoke", "s1")
    assert carry(paired, stick, status=3)["code"] == "site-revoked"
    assert list(stick.iterdir()) == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A stick of 90 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = tmp_path / "small"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "none", str(where)], check=False).returncode:
        pytest.skip("cannot mount here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.root
def test_a_stick_that_is_too_small_holds_the_most_urgent(paired: Stage, small: Path) -> None:
    urgent = lesson(paired, "第01课 急", 20_000_000, priority=9)
    lesson(paired, "第02课 大", 40_000_000, priority=5)
    assert carry(paired, small, status=5)["code"] == "carrier-full"
    assert take(paired, small)["packages"] == 1
    partial = [package["id"] for package in paired.box("status")["packages"]["partial"]]
    assert urgent["id"] not in partial
    carry(paired, small, status=5)
    take(paired, small)
    assert list(temporary_files(small)) == []


@pytest.mark.root
def test_a_stick_that_goes_in_the_middle(paired: Stage, small: Path) -> None:
    """Unmounted lazily while it is written: told as gone, and nothing of it lands on this disk."""
    lesson(paired, "第01课 甲", 15_000_000)
    begun = paired.start("hub", "carry", "s1", "--to", str(small), "--data", str(paired.hub_data))
    wait_for("the beginning", lambda: (small / "library").exists())
    subprocess.run(["umount", "-l", str(small)], check=True)
    _, err = begun.communicate(timeout=60)
    assert begun.returncode in (0, 4), err
    assert list(small.iterdir()) == [], "nothing under the empty mount point"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "none", str(small)], check=True)
    carry(paired, small)
    assert take(paired, small)["packages"] == 1


@pytest.mark.root
def test_plugged_in_it_is_taken_by_itself_and_the_page_says_when_it_can_go(
        paired: Stage, stick: Path, tmp_path: Path) -> None:
    """A real mount under a running box that is in the middle of a sync over a stopped line."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    lesson(paired, "第01课 甲", 3_000_000)
    carry(paired, stick)
    media = tmp_path / "media"
    point = media / "U 盘"
    point.mkdir(parents=True)
    paired.serve_box("--no-mdns", "--sticks", str(media))
    assert ask(paired.url + "api/v1/status")["stick"] is None
    if subprocess.run(["mount", "--bind", str(stick), str(point)], check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        told = wait_for("the stick", lambda: (ask(paired.url + "api/v1/status")["stick"] or {}).get("state")
                        in ("done", "failed") and ask(paired.url + "api/v1/status")["stick"])
        assert told["state"] == "done" and told["report"]["packages"] == 1, told
        for language, words in (("zh", "U 盘可以拔出了"), ("en", "The USB stick can be pulled out")):
            wait_for(words, lambda words=words, language=language: words in get(
                paired.url, **{"Accept-Language": language})[2].decode())
    finally:
        subprocess.run(["umount", str(point)], check=True)  # it is held by nobody
    wait_for("it is forgotten", lambda: ask(paired.url + "api/v1/status")["stick"] is None)
    assert carry(paired, stick)["records"] > 0


@pytest.mark.root
@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_real_file_systems_of_sticks(paired: Stage, tmp_path: Path, kind: str) -> None:
    """Both directions; pulled out while the hub writes, and while the box reads; too small."""
    urgent = lesson(paired, "第01课 急", 9_000_000, priority=9)
    with real_stick(tmp_path, kind, 96) as stick:
        for words in (("hub", "carry", "s1", "--to", str(stick), "--data", str(paired.hub_data)),
                      ("box", "sync", "--once", "--from", str(stick), "--data", str(paired.box_data))):
            begun = paired.start(*words)
            wait_for("the beginning",
                     lambda begun=begun: begun.poll() is not None or open_files(begun, stick))
            device = pull_out(stick)
            _, err = begun.communicate(timeout=60)
            assert begun.returncode in (0, 4), err
            assert "Traceback" not in err
            assert list(stick.iterdir()) == [], "nothing under the empty mount point"
            put_in(stick, device)
            carry(paired, stick)
        assert take(paired, stick)["left"] == 0 and complete(paired) == 1
        (paired.box_data / "uploads" / "教案.txt").write_text("homework", "utf-8")
        service = paired.serve_box("--no-mdns", "--no-sync")
        wait_for("the upload", lambda: paired.box("status")["uploads"]["waiting"] == 1)
        service.stop()
        take(paired, stick)
        back = carry(paired, stick)
        assert back["records"] > 0 and back["uploads"] == 1
        assert take(paired, stick)["records_down"] > 0
        assert [one["name"] for one in paired.hub("uploads")] == ["教案.txt"]

        lesson(paired, "第02课 大", 120_000_000, priority=5)
        lesson(paired, "第03课 小", 1_000_000, priority=7)
        assert carry(paired, stick, status=5)["code"] == "carrier-full"
        take(paired, stick)
        partial = [package["id"] for package in paired.box("status")["packages"]["partial"]]
        assert urgent["id"] not in partial and len(partial) == 1 and complete(paired) == 2
