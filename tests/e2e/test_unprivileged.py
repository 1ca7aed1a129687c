"""Hub and box as an ordinary user, the way they run in earnest: publish, sync over SSH, serve through nginx.

The other tests run as whoever runs them, in most cases root. Here root only changes to the user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.programs import find
from tests.e2e.stage import MARK, PATIENCE_S, Stage, ask, command, get, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.root,
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")]


@pytest.fixture(scope="module")
def user() -> Iterator[pwd.struct_passwd]:
    """An account of this machine for as long as the test runs: sshd lets in only whom the machine knows."""
    name = f"tp{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", "--password", "*", name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], check=False)


@pytest.fixture
def place(user: pwd.struct_passwd) -> Iterator[Path]:
    """A folder of the user, below one that all may enter (pytest's are root's own)."""
    folder = Path(tempfile.mkdtemp(prefix="tp-user-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def stage(place: Path, user: pwd.struct_passwd, request: pytest.FixtureRequest,
          monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(place)
    made.inside = [
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs",
        "--bounding-set=-all", "--inh-caps=-all", "env", "-i", f"--chdir={place}", f"HOME={place}",
        f"{MARK}={place}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    can = subprocess.run([*made.inside, command(), "--version"], capture_output=True, check=False)
    if can.returncode:  # Python lies where only root may enter
        monkeypatch.setenv("TEACHPOINT_COMMAND", str(request.getfixturevalue("executable")))
    try:
        yield made
    finally:
        made.stop()


def owners(stage: Stage) -> set[int]:
    """The users of all processes of the stage."""
    found = set()
    for pid in stage.processes():
        with contextlib.suppress(OSError):
            found.add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def test_an_ordinary_user_runs_a_hub_and_a_box(stage: Stage, place: Path, user: pwd.struct_passwd) -> None:
    stage.set_up()
    lesson = place / "lessons" / "第01课 大青树"
    lesson.mkdir(parents=True)
    (lesson / "朗读.mp4").write_bytes(video := bytes(range(256)) * 8192)
    (lesson / "课文.txt").write_text("早晨，从山坡上", "utf-8")
    stage.publish(lesson)
    hub = stage.serve_hub()
    report = stage.sync()
    assert report["ok"] and report["left"] == 0 and report["transport"] == "https"
    assert stage.sync()["received_bytes"] < 10_000
    box = stage.serve_box()
    items = {one["name"]: one for one in ask(stage.url + "api/v1/resources")["items"]}
    status, headers, body = get(items["朗读"]["url"] if "://" in items["朗读"]["url"]
                                else stage.url.rstrip("/") + items["朗读"]["url"], Range="bytes=1000-1999")
    assert (status, body) == (206, video[1000:2000]) and "etag" in headers
    if find("nginx"):
        assert '"nginx-started"' in box.text()
    (drop := stage.box_data / "uploads" / "教案.txt").write_text("背诵", "utf-8")
    os.chown(drop, user.pw_uid, user.pw_gid)
    wait_for("the upload at the hub", lambda: stage.hub("uploads"), 2 * PATIENCE_S)
    assert owners(stage) == {user.pw_uid}, "nothing of it runs as somebody else"
    assert {path.lstat().st_uid for path in place.rglob("*")
            if "lessons" not in path.parts} <= {user.pw_uid, 0}  # the logs are the test's own
    for data in (stage.hub_data, stage.box_data):
        assert {path.lstat().st_uid for path in data.rglob("*")} == {user.pw_uid}
    assert box.stop() == 0 and hub.stop() == 0
    for service in (hub, box):
        assert "Traceback" not in service.text() and "Permission denied" not in service.text()


@pytest.fixture
def closed(place: Path) -> Iterator[Path]:
    """A folder of root's."""
    (folder := place.parent / f"{place.name}-closed").mkdir(mode=0o755)
    try:
        yield folder
    finally:
        folder.rmdir()


def test_a_folder_of_somebody_else_is_refused_in_words(stage: Stage, closed: Path) -> None:
    """The commonest mistake of a first try: the data folder belongs to another user."""
    error = stage.run("hub", "init", "--name", "校", "--data", str(closed / "hub"), status=1)
    assert error["code"] == "folder-not-writable" and error["facts"]["path"] == str(closed)
    assert list(closed.iterdir()) == []
    closed.chmod(0o700)
    for words in (("hub", "packages"), ("hub", "status"), ("box", "status"), ("box", "sync", "--once")):
        error = stage.run(*words, "--data", str(closed / "data"), status=3)
        assert error["code"] in ("file-unreadable", "not-a-hub", "not-a-box"), words
