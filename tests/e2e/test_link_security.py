"""A stolen box: what its key opens at the hub, and what it does not. Real sshd, real rsync, real ssh."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sshd_stage import answering, as_thief, key_file, rsync_as_thief, ssh_words
from tests.e2e.stage import Stage, can_connect, free_port, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def robbed(place: Path) -> Iterator[Stage]:
    """A hub with two sites and a lesson; the box of site s1 was stolen."""
    stage = Stage(place)
    stage.set_up()
    stage.hub("site", "add", "s2", "--name", "二号", "--pairing", str(place / "s2.toml"))
    lesson = place / "lessons" / "课"
    lesson.mkdir(parents=True)
    (lesson / "a.txt").write_text("甲", "utf-8")
    [published] = stage.hub("publish", str(lesson))
    stage.hub("assign", published["id"], "--to", "s1", "--to", "s2")
    with answering(stage):
        yield stage
    stage.stop()


@pytest.fixture(scope="module")
def key(robbed: Stage, place: Path) -> Path:
    return key_file(robbed, place)


def test_its_own_feed_can_be_read(robbed: Stage, key: Path, tmp_path: Path) -> None:
    """The thief's tools work: what the other tests see refused is not refused for another reason."""
    done = rsync_as_thief(robbed, key, "--recursive", "hub::feed/", f"{tmp_path}/feed/")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "feed" / "timestamp.json").exists()


@pytest.mark.parametrize("source", [
    "hub::feed/../s2/", "hub::feed/../../hub.db", "hub::feed/../../keys/", "hub::s2/",
    "hub::library/../hub.db", "hub::inbox/", "hub::feed//etc/passwd", "hub:/etc/passwd", "hub::"])
def test_nothing_else_can_be_read(robbed: Stage, key: Path, tmp_path: Path, source: str) -> None:
    (into := tmp_path / "loot").mkdir()
    rsync_as_thief(robbed, key, "--recursive", "--copy-links", source, f"{into}/")
    rsync_as_thief(robbed, key, "--recursive", source, f"{into}/")
    names = {path.name for path in into.rglob("*") if path.is_file()}
    own = {path.name for path in (robbed.hub_data / "feed" / "s1").iterdir()}
    assert names <= own, "at most its own feed, under another spelling"
    assert not any(b"root:" in path.read_bytes() for path in into.rglob("*") if path.is_file())


def test_the_library_cannot_be_listed(robbed: Stage, key: Path, tmp_path: Path) -> None:
    for words in (["hub::library/"], ["--recursive", "hub::library/", f"{tmp_path}/x/"],
                  ["hub::library/objects/*/*", f"{tmp_path}/"],
                  ["-d", "hub::library/objects/", f"{tmp_path}/"]):
        done = rsync_as_thief(robbed, key, *words)
        assert not re.search(r"\b[0-9a-f]{64}\b", done.stdout)
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and len(path.name) == 64]


@pytest.mark.parametrize("target", [
    "hub::feed/", "hub::library/", "hub::library/objects/aa/", "hub::inbox/../s2/",
    "hub::inbox/../../feed/s1/", "hub:/tmp/", "hub::feed/../../ssh/"])
def test_nothing_but_the_inbox_can_be_written(robbed: Stage, key: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "planted").write_text("planted")
    before = set(robbed.hub_data.rglob("*"))
    rsync_as_thief(robbed, key, "--recursive", f"{tmp_path}/planted", target)
    after = set(robbed.hub_data.rglob("*"))
    assert not [path for path in after - before if "planted" in path.name]
    assert not Path("/tmp/planted").exists()


def test_nothing_can_be_deleted_or_linked(robbed: Stage, key: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    rsync_as_thief(robbed, key, "--recursive", "--delete", f"{empty}/", "hub::feed/")
    rsync_as_thief(robbed, key, "--recursive", "--delete", f"{empty}/", "hub::inbox/")
    assert (robbed.hub_data / "feed" / "s1" / "timestamp.json").exists()
    (segments := tmp_path / "out" / "segments" / "b").mkdir(parents=True)
    (segments / "0000000001.segment").symlink_to("/etc/passwd")
    rsync_as_thief(robbed, key, "--recursive", "--links", f"{tmp_path}/out/", "hub::inbox/")
    assert not [path for path in (robbed.hub_data / "inbox").rglob("*") if path.is_symlink()
                and not str(path.readlink()).startswith("/rsyncd-munged/")]


@pytest.mark.parametrize("command", [
    ["id"], ["cat", "/etc/passwd"], ["sh", "-c", "id"], [],
    ["rsync", "--server", "--sender", "-vlogDtpre.iLsfxC", ".", "/etc/passwd"]])
@pytest.mark.parametrize("options", [[], ["-t", "-t"]])
def test_there_is_no_shell_and_no_command(robbed: Stage, key: Path, command: list[str],
                                          options: list[str]) -> None:
    done = as_thief(robbed, key, *command, options=options, stdin=b"id\ncat /etc/passwd\n")
    said = done.stdout + done.stderr
    assert b"uid=" not in said and b"root:" not in said


def test_there_is_no_file_transfer_of_another_kind(robbed: Stage, key: Path) -> None:
    done = as_thief(robbed, key, "sftp", options=["-s"], stdin=b"\0\0\0\5\1\0\0\0\3")
    assert not done.stdout.startswith(b"\0\0\0"), "no sftp server answers"


def test_no_port_is_forwarded(robbed: Stage, key: Path) -> None:
    """A local forward accepts on this side; nothing must come through it. A remote one must be refused."""
    with socket.create_server(("127.0.0.1", 0)) as secret:
        secret.settimeout(1.5)
        port = free_port()
        forward = subprocess.Popen([*ssh_words(robbed, key), "-N", "-L",
                                    f"{port}:127.0.0.1:{secret.getsockname()[1]}", "hub"],
                                   stderr=subprocess.DEVNULL)
        try:
            wait_for("the forward on this side", lambda: can_connect(port))
            with socket.create_connection(("127.0.0.1", port), 2) as probe:
                probe.sendall(b"x")
                with pytest.raises(TimeoutError):
                    secret.accept()
        finally:
            forward.kill()
            forward.wait()
    for words in (["-R", f"{free_port()}:127.0.0.1:1"], ["-W", "127.0.0.1:22"]):
        done = as_thief(robbed, key, options=[*(["-N"] if words[0] == "-R" else []), "-o",
                                              "ExitOnForwardFailure=yes", *words])
        assert done.returncode == 255, words


def test_a_key_that_nobody_knows_is_refused(robbed: Stage, tmp_path: Path) -> None:
    own = tmp_path / "own"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own)], check=True)
    assert b"Permission denied" in as_thief(robbed, own, "id").stderr
    assert rsync_as_thief(robbed, own, "hub::feed/", f"{tmp_path}/x/").returncode != 0


def test_a_revoked_key_opens_nothing_from_that_moment(stage: Stage, tmp_path: Path) -> None:
    stage.set_up()
    with answering(stage):
        assert stage.sync()["ok"]
        key = key_file(stage, tmp_path)
        stage.hub("site", "revoke", stage.site)
        assert b"Permission denied" in as_thief(stage, key, "id").stderr
        assert stage.sync(status=3)["code"] == "key-refused"
