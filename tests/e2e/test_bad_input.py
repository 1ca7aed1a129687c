"""Bad input as users meet it: a clear error with its code, the contract's exit status, and nothing lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import Stage, command, free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small lesson that is sound."""
    made = tmp_path / "lessons" / "课一"
    made.mkdir(parents=True)
    (made / "a.txt").write_text("甲", "utf-8")
    (made / "b.txt").write_text("乙", "utf-8")
    return made


def refused(stage: Stage, path: Path, status: int = 3) -> Any:
    """Publishing `path` is refused; the error. Nothing may have been published."""
    before = stage.hub("packages")
    error = stage.hub("publish", str(path), status=status)
    assert error["message"] and error["advice"], error
    assert stage.hub("packages") == before, "what is refused is refused whole"
    return error


def test_a_folder_that_is_not_there(paired: Stage, tmp_path: Path) -> None:
    assert refused(paired, tmp_path / "nowhere")["code"] == "file-vanished"


def test_a_name_that_is_not_utf8(paired: Stage, folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    refused(paired, folder)


def test_a_name_no_other_system_could_hold(paired: Stage, folder: Path) -> None:
    (folder / "CON.txt").write_text("x")
    refused(paired, folder)


def test_a_link_that_leaves_the_folder(paired: Stage, folder: Path) -> None:
    (folder / "passwords").symlink_to("/etc/passwd")
    refused(paired, folder)


def test_a_pipe_among_the_files(paired: Stage, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    refused(paired, folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_file_nobody_may_read(paired: Stage, folder: Path) -> None:
    (folder / "a.txt").chmod(0)
    assert refused(paired, folder)["code"] == "file-unreadable"


def test_an_empty_file_is_fine(paired: Stage, folder: Path) -> None:
    (folder / "leer.txt").touch()
    assert paired.publish(folder)["resources"] == 3


def test_an_unknown_package_and_an_unknown_site(paired: Stage, folder: Path) -> None:
    paired.hub("assign", "no-such-package", "--to", paired.site, status=3)
    published = paired.publish(folder, assign=False)
    error = paired.hub("assign", published["id"], "--to", "nowhere", status=3)
    assert error["code"] == "site-unknown"


def test_wrong_usage_is_2(paired: Stage) -> None:
    assert paired.hub("publish", "--no-such-option", status=2)["code"] == "usage"


def test_no_hub_and_no_box_there(stage: Stage) -> None:
    assert stage.hub("packages", status=3)["code"] == "not-a-hub"
    assert stage.box("status", status=3)["code"] == "not-a-box"


def test_a_broken_pairing_file(stage: Stage, tmp_path: Path) -> None:
    (bad := tmp_path / "bad.toml").write_text("site = 'x'\n[hub]\nname = 3\n")
    assert stage.box("init", "--pairing", str(bad), status=3)["code"] == "pairing-bad"
    assert stage.box("status", status=3)["code"] == "not-a-box", "no half box is left"


def test_the_hub_cannot_be_reached(paired: Stage) -> None:
    error = paired.sync(status=4)
    assert error["code"] == "hub-unreachable"
    assert paired.box("status")["hub"]["last_error"]["code"] == "hub-unreachable"


def test_the_hubs_host_key_has_changed(paired: Stage, folder: Path) -> None:
    paired.publish(folder)
    for key in (paired.hub_data / "ssh").glob("host_ed25519*"):
        key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                    str(paired.hub_data / "ssh" / "host_ed25519")], check=True)
    paired.serve_hub()
    assert paired.sync(status=3)["code"] == "host-key-changed"


def test_another_hub_answers_at_the_address(paired: Stage, folder: Path, tmp_path: Path) -> None:
    """The wrong hub answers at the right address: nothing of it is believed."""
    paired.publish(folder)
    other = Stage(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.ssh_port = paired.ssh_port
    other.set_up()
    paired.serve_hub()
    error = other.sync(status=3)
    assert error["code"] in {"host-key-changed", "key-refused"}
    assert other.box("status")["packages"]["assigned"] == 0


def test_a_revoked_site_is_refused(paired: Stage, folder: Path) -> None:
    paired.publish(folder)
    paired.serve_hub()
    paired.sync()
    paired.hub("site", "revoke", paired.site)
    assert paired.sync(status=3)["code"] == "key-refused"


@pytest.mark.parametrize("role", ["hub", "box"])
def test_a_port_that_is_taken(paired: Stage, role: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        data = str(paired.hub_data if role == "hub" else paired.box_data)
        more = ["--ssh", f"127.0.0.1:{paired.ssh_port}"] if role == "hub" else \
            ["--content", f"127.0.0.1:{free_port()}", "--no-sync", "--no-mdns"]
        done = subprocess.run(
            [command(), role, "serve", "--data", data, "--http", f"127.0.0.1:{port}", *more],
            capture_output=True, text=True, timeout=60, env=paired.environment, check=False)
    assert done.returncode == 1 and "[port-taken]" in done.stderr, done.stderr[-1500:]
    assert "Traceback" not in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="hiding a program needs root")
def test_no_rsync_on_this_machine(paired: Stage, folder: Path) -> None:
    """rsync is hidden from this one process tree, by a mount of its own."""
    paired.publish(folder)
    paired.serve_hub()
    rsync = shutil.which("rsync") or ""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'mount --bind /dev/null {rsync} && exec "$@"', "sh",
         command(), "box", "sync", "--once", "--data", str(paired.box_data)],
        capture_output=True, text=True, timeout=60, env=paired.environment, check=False)
    assert done.returncode == 1 and "[program-missing]" in done.stderr, done.stderr[-1500:]
    assert "apt-get install rsync" in done.stderr


def test_a_stick_that_is_no_stick(paired: Stage, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    error = paired.box("sync", "--once", "--from", str(tmp_path / "stick"), status=3)
    assert error["message"] and error["advice"]
    paired.box("sync", "--once", "--from", str(tmp_path / "gone"), status=4)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_no_room_at_the_box_and_then_room_again(stage: Stage, tmp_path: Path) -> None:
    """The box lives on a disk of 24 MB; a lesson of 40 MB and one of 100 KB are assigned."""
    stage.box_data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(stage.box_data)], check=True)
    try:
        stage.set_up()
        big, small = tmp_path / "lessons" / "big", tmp_path / "lessons" / "small"
        big.mkdir(parents=True)
        small.mkdir()
        (big / "film.mp4").write_bytes(os.urandom(40 * 1024 * 1024))
        (small / "text.txt").write_bytes(os.urandom(100 * 1024))
        stage.publish(big)
        little = stage.publish(small)
        stage.serve_hub()
        assert stage.sync(status=5)["code"] == "disk-full"
        status = stage.box("status")
        assert status["packages"]["complete"] == 1, "what fits is there"
        subprocess.run(["mount", "-o", "remount,size=120m", str(stage.box_data)], check=True)
        assert stage.sync()["left"] == 0
        assert stage.box("status")["packages"]["complete"] == 2, little
    finally:
        stage.stop()
        subprocess.run(["umount", "-l", str(stage.box_data)], check=True)
