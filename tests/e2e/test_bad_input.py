"""Bad input, as people meet it: a code, the exit status of the contract, advice, and nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sshd_stage import answering
from tests.e2e.stage import Stage, command, temporary_files

pytestmark = pytest.mark.e2e


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    folder = tmp_path / "lessons" / "第01课 大青树"
    folder.mkdir(parents=True)
    (folder / "课文.txt").write_text("早晨\n", "utf-8")
    return folder


def refused(stage: Stage, path: Path, code: str, status: int = 3) -> dict[str, Any]:
    """Publishing `path` is refused with this code; the library is as it was before."""
    before = library(stage)
    error: dict[str, Any] = stage.hub("publish", str(path), status=status)
    assert error["code"] == code, error
    assert error["message"] and error["advice"]
    assert library(stage) == before
    assert list(temporary_files(stage.hub_data)) == []
    return error


def library(stage: Stage) -> tuple[list[str], Any]:
    objects = sorted(p.name for p in (stage.hub_data / "library" / "objects").rglob("*") if p.is_file())
    return objects, stage.hub("packages")


# -- publishing ------------------------------------------------------------------------------------------


def test_a_missing_and_an_empty_folder(paired: Stage, tmp_path: Path) -> None:
    refused(paired, tmp_path / "nowhere", "file-vanished")
    (tmp_path / "empty").mkdir()
    refused(paired, tmp_path / "empty", "nothing-to-publish")


def test_names_that_no_other_system_could_hold(paired: Stage, lesson: Path) -> None:
    bad = os.fsencode(lesson) + b"/\xb5\xda\xd2\xbb\xbf\xce.txt"  # GB 18030
    Path(os.fsdecode(bad)).write_text("x")
    assert "UTF-8" in refused(paired, lesson, "file-name-bad")["message"]
    Path(os.fsdecode(bad)).unlink()
    for name in ("CON.txt", "a:b.txt", "a\nb.txt", "a\\..\\b.txt", "end.", " before.txt"):
        (lesson / name).write_text("x")
        refused(paired, lesson, "file-name-bad")
        (lesson / name).unlink()
    (lesson / "A.txt").write_text("1")
    (lesson / "a.txt").write_text("2")
    refused(paired, lesson, "file-name-bad")


def test_links_out_of_the_folder_and_what_is_no_file(paired: Stage, lesson: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "secret.txt", Path("/etc/passwd"), Path("../../secret.txt")):
        (tmp_path / "secret.txt").write_text("secret")
        (lesson / "link.txt").symlink_to(target)
        refused(paired, lesson, "link-outside")
        (lesson / "link.txt").unlink()
    os.mkfifo(lesson / "pipe.txt")
    refused(paired, lesson, "file-unreadable")
    (lesson / "pipe.txt").unlink()
    (lesson / "inside.txt").symlink_to("课文.txt")
    [published] = paired.hub("publish", str(lesson))
    assert published["resources"] == 2


def test_a_file_without_a_byte_is_a_file(paired: Stage, lesson: Path) -> None:
    (lesson / "空.mp4").touch()
    paired.publish(lesson)
    with answering(paired):
        assert paired.sync()["packages"] == 1
    assert (paired.box_data / "library/objects/e3" /
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").stat().st_size == 0


def test_a_file_that_changes_while_it_is_published(paired: Stage, lesson: Path) -> None:
    growing = lesson / "大.mp4"
    growing.write_bytes(os.urandom(40_000_000))
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent("""
            import sys, time
            with open(sys.argv[1], "ab") as file:
                while True:
                    file.write(b"more"); file.flush(); time.sleep(0.01)
            """), str(growing)]) as writer:
        try:
            refused(paired, lesson, "file-changed")
        finally:
            writer.kill()
    assert paired.hub("publish", str(lesson))[0]["changed"]


def test_a_bad_package_toml_refuses_its_lesson_and_no_other(paired: Stage, lesson: Path) -> None:
    other = lesson.parent / "第02课 花的学校"
    other.mkdir()
    (other / "a.txt").write_text("a")
    (lesson / "package.toml").write_text("name = 7")
    error = paired.hub("publish", str(lesson.parent), status=3)
    assert error["code"] == "package-toml-bad"
    assert [package["name"] for package in paired.hub("packages")] == ["花的学校"]


@pytest.mark.parametrize("words, code", [
    (("--set", "colour=red"), "field-unknown"), (("--set", "position=many"), "field-bad"),
    (("--id", "Ä/.."), "package-id-bad")])
def test_wrong_wishes(paired: Stage, lesson: Path, words: tuple[str, ...], code: str) -> None:
    status = 3 if code == "package-id-bad" else 2
    assert paired.hub("publish", str(lesson), *words, status=status)["code"] == code
    assert paired.hub("packages") == []


# -- no room ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = tmp_path / "disk"
    where.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0755", "none", str(where)],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount here: {made.stderr}")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.mark.root
def test_no_room_at_the_hub_and_then_room(stage: Stage, small_disk: Path, lesson: Path) -> None:
    stage.hub_data = small_disk / "hub"
    stage.set_up()
    (lesson / "大.mp4").write_bytes(os.urandom(60_000_000))
    refused(stage, lesson, "disk-full", status=5)
    (lesson / "大.mp4").write_bytes(os.urandom(5_000_000))
    assert stage.hub("publish", str(lesson))[0]["changed"]


@pytest.mark.root
def test_no_room_at_the_box_what_fits_is_there_and_the_rest_is_told(
        stage: Stage, small_disk: Path, lesson: Path) -> None:
    stage.box_data = small_disk / "box"
    stage.set_up()
    small = stage.publish(lesson, priority=5)
    large = lesson.parent / "第02课 大"
    large.mkdir()
    (large / "大.mp4").write_bytes(os.urandom(60_000_000))
    stage.publish(large, priority=9)
    with answering(stage):
        assert stage.sync(status=5)["code"] == "disk-full"
        status = stage.box("status")
        assert status["packages"]["complete"] == 1 and status["bytes_left"] > 59_000_000
        assert "disk-full" in [problem["code"] for problem in status["problems"]]
        stage.hub("ingest")
        [site] = stage.hub("status")
        assert [one["id"] for one in site["missing"]] != [small["id"]]
    assert list(temporary_files(stage.box_data)) == []


# -- programs and ports ----------------------------------------------------------------------------------


@pytest.mark.root
def test_without_rsync_it_is_said(paired: Stage, lesson: Path) -> None:
    """In a mount namespace in which rsync cannot be executed."""
    paired.publish(lesson)
    rsync = shutil.which("rsync")
    assert rsync
    hidden = f'mount --bind /dev/null {rsync} && exec "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", hidden, "sh", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")

    def without(*words: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(["unshare", "-m", "sh", "-c", hidden, "sh", command(), *words, "--json"],
                              capture_output=True, text=True, timeout=60, check=False, env=paired.environment)
        return done.returncode, json.loads((done.stderr or done.stdout).strip().splitlines()[-1])

    with answering(paired):
        status, told = without("box", "sync", "--once", "--data", str(paired.box_data))
        assert (status, told["error"]["code"]) == (1, "program-missing")
        assert told["error"]["facts"]["program"] == "rsync" and "apt" in told["error"]["advice"]
        status, _ = without("doctor")
        assert status == 1
        assert paired.sync()["packages"] == 1


@pytest.mark.parametrize("which", ["--ssh", "--http"])
def test_a_port_that_is_taken_at_the_hub(paired: Stage, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = {"--ssh": f"127.0.0.1:{paired.ssh_port}", "--http": f"127.0.0.1:{paired.hub_port}",
                 which: f"127.0.0.1:{port}"}
        error = paired.hub("serve", *(word for pair in words.items() for word in pair), status=1)
    assert error["code"] == "port-taken" and error["facts"]["port"] == port
    assert paired.processes() == {}


def test_one_hub_serves_a_folder_at_a_time(paired: Stage) -> None:
    first = paired.serve_hub()
    assert paired.hub("serve", "--http", "127.0.0.1:0".replace(":0", f":{paired.box_port}"),
                      status=1)["code"] == "hub-running"
    assert first.up()


# -- pairing and the line --------------------------------------------------------------------------------


def spoil(change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda path: path.write_text(change(path.read_text("utf-8")), "utf-8")


@pytest.mark.parametrize("harm", [
    pytest.param(spoil(lambda text: text[:len(text) // 2]), id="cut"),
    pytest.param(spoil(lambda _text: ""), id="empty"),
    pytest.param(spoil(lambda text: text.replace("recipient", "receiver")), id="field"),
    pytest.param(spoil(lambda text: text.replace('site = "s1"', 'site = "../../etc"')), id="site"),
    pytest.param(lambda path: path.write_bytes(os.urandom(1000)), id="garbage")])
def test_a_damaged_pairing_file_makes_no_box(stage: Stage, tmp_path: Path,
                                             harm: Callable[[Path], None]) -> None:
    stage.hub("init", "--name", "中心校", "--address", "127.0.0.1")
    stage.hub("site", "add", "s1", "--name", "一号", "--pairing", str(stage.pairing))
    assert stage.pairing.stat().st_mode & 0o777 == 0o600
    harm(stage.pairing)
    assert stage.box("init", "--pairing", str(stage.pairing), status=3)["code"] == "pairing-bad"
    assert stage.box("status", status=3)["code"] == "not-a-box"
    assert stage.box("init", "--pairing", str(tmp_path / "none.toml"), status=3)["code"] in (
        "file-vanished", "file-unreadable", "pairing-bad")


def test_a_box_paired_with_another_hub_is_told_so(paired: Stage, lesson: Path, tmp_path: Path) -> None:
    """Another hub answers at the address: its host key is not the pinned one."""
    paired.publish(lesson)
    other = Stage(tmp_path / "other")
    other.place.mkdir()
    other.ssh_port = paired.ssh_port
    try:
        other.set_up()
        with answering(other):
            error = paired.sync(status=3)
        assert error["code"] == "host-key-changed" and error["advice"]
        assert paired.box("status")["hub"]["last_error"]["code"] == "host-key-changed"
    finally:
        other.stop()
    with answering(paired):
        assert paired.sync()["packages"] == 1
    assert paired.box("status")["hub"]["last_error"] is None


def test_a_revoked_site_is_told_so_and_keeps_its_lessons(paired: Stage, lesson: Path) -> None:
    paired.publish(lesson)
    with answering(paired):
        paired.sync()
        paired.hub("site", "revoke", "s1")
        assert paired.sync(status=3)["code"] == "key-refused"
    assert paired.box("status")["packages"]["complete"] == 1


def test_a_hub_that_cannot_be_reached(paired: Stage, lesson: Path) -> None:
    paired.publish(lesson)
    error = paired.sync(status=4)
    assert error["code"] == "hub-unreachable"
    assert paired.box("status")["hub"]["last_error"]["code"] == "hub-unreachable"
    with answering(paired):
        assert paired.sync()["packages"] == 1


def test_a_hub_that_answers_and_says_nothing(paired: Stage, lesson: Path) -> None:
    """Something else listens at the port: told as unreachable, not waited for for ever."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", paired.ssh_port))
        other.listen()
        begun = paired.start("box", "sync", "--once", "--data", str(paired.box_data))
        client, _ = other.accept()
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        client.close()
        _, err = begun.communicate(timeout=120)
    assert begun.returncode == 4, err
    assert json.loads(err.strip().splitlines()[-1])["error"]["code"] == "hub-unreachable"


def test_a_stick_that_is_none(paired: Stage, tmp_path: Path) -> None:
    assert paired.box("sync", "--once", "--from", str(tmp_path / "gone"), status=4)["code"] == "carrier-gone"
    (tmp_path / "empty").mkdir()
    assert paired.box("sync", "--once", "--from", str(tmp_path / "empty"),
                      status=3)["code"] == "stick-without-feed"
    (tmp_path / "hostile" / "feed").mkdir(parents=True)
    (tmp_path / "hostile" / "feed" / "s1").symlink_to("/etc")
    error = paired.box("sync", "--once", "--from", str(tmp_path / "hostile"), status=3)
    assert error["code"] == "stick-leads-elsewhere"
    assert [path for path in (paired.box_data / "feed").rglob("*") if path.name == "passwd"] == []


# -- commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [
    ("hub",), ("hub", "nothing"), ("box", "sync"), ("hub", "publish"), ("hub", "assign", "x"),
    ("box", "serve", "--http", "nowhere")])
def test_wrong_usage_is_exit_status_2_in_words(stage: Stage, words: tuple[str, ...]) -> None:
    done = subprocess.run([command(), *words], capture_output=True, text=True, check=False, timeout=60,
                          env={**stage.environment, "TEACHPOINT_DATA": str(stage.place / "none")})
    assert done.returncode == 2, done.stderr
    assert done.stderr and "Traceback" not in done.stderr


def test_errors_are_told_in_the_language_of_the_reader(stage: Stage) -> None:
    said = {}
    for language in ("en", "zh"):
        done = subprocess.run([command(), "box", "status", "--data", str(stage.place / "none")], text=True,
                              capture_output=True, check=False, timeout=60,
                              env={**stage.environment, "TEACHPOINT_LANG": language})
        assert done.returncode == 3 and "not-a-box" in done.stderr
        said[language] = done.stderr
    assert "盒子" in said["zh"] and "盒子" not in said["en"]


def test_a_killed_publish_leaves_nothing_that_blocks_the_next(paired: Stage, lesson: Path) -> None:
    for number in range(400):
        (lesson / f"{number}.txt").write_bytes(os.urandom(50_000))
    for wait_s in (0.6, 1.0, 1.4, 1.8):
        begun = paired.start("hub", "publish", str(lesson), "--data", str(paired.hub_data))
        time.sleep(wait_s)
        begun.kill()
        begun.communicate()
        with contextlib.suppress(ProcessLookupError):
            for pid in paired.processes():
                os.kill(pid, 9)
    [published] = paired.hub("publish", str(lesson))
    assert published["version"] == 1 and published["resources"] == 401
    paired.serve_hub().stop()  # sweeps what the killed ones left
    assert list(temporary_files(paired.hub_data)) == []
    assert paired.hub("fsck")["damaged"] == []
