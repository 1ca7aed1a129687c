"""The main job, end to end, with the installed command: lessons go down, records and files come up."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.e2e.sshd_stage import answering
from tests.e2e.stage import PATIENCE_S, Stage, ask, get, wait_for

pytestmark = pytest.mark.e2e

FILES = {"课文.html": "<h1>大青树下的小学</h1>".encode(), "朗读.mp3": os.urandom(70_000),
         "生字.txt": "晨 绒 汉 艳\n".encode(), "空.txt": b""}


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A lesson folder whose names say all that there is to say."""
    return lesson_at(tmp_path / "lessons" / "人教版" / "三年级上册" / "语文" / "第01课 大青树下的小学")


def lesson_at(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def give(stage: Stage, data: bytes, name: str = "教案.txt") -> None:
    """A teacher gives a file on the page; it is confirmed there."""
    connection = HTTPConnection("127.0.0.1", stage.box_port, timeout=PATIENCE_S)
    connection.request("GET", "/upload")
    answer = connection.getresponse()
    token = re.search(rb'name="token" value="(\w+)"', answer.read())
    cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
    assert token
    body = (b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + token[1] +
            f'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() +
            data + b"\r\n--x--\r\n")
    connection.request("POST", "/upload", body, {"Content-Type": "multipart/form-data; boundary=x",
                                                 "Cookie": cookie})
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()[-2000:]
    connection.close()


def over_http(stage: Stage) -> dict[str, str]:
    """name → SHA-256 of the bytes that the box sends, of every whole resource that is one file."""
    return {item["name"]: hashlib.sha256(get(urljoin(stage.url, item["url"]))[2]).hexdigest()
            for item in ask(stage.url + "api/v1/resources?limit=100")["items"]
            if item["complete"] and item["sha256"]}


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name.rsplit(".", 1)[0]: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def received(stage: Stage) -> list[Any]:
    return [one for one in stage.hub("uploads") if one["received"]]


def test_a_folder_at_the_hub_opens_at_the_box_and_what_happened_comes_back(
        paired: Stage, lesson: Path) -> None:
    stage = paired
    published = stage.publish(lesson)
    assert published["resources"] == len(FILES) and published["changed"]
    [again] = stage.hub("publish", str(lesson))
    assert (again["version"], again["new_bytes"], again["changed"]) == (1, 0, False)
    hub = stage.serve_hub()
    first = stage.sync()
    assert first["ok"] and first["transport"] == "https" and first["left"] == 0 and first["packages"] == 1
    box = stage.serve_box("--no-mdns", "--no-sync")
    assert over_http(stage) == digests(FILES)
    [package] = ask(stage.url + "api/v1/packages")
    assert package["complete"] and package["educationalLevel"] == "三年级" and package["about"] == "语文"
    page = get(stage.url)[2].decode()
    assert "大青树下的小学" in page and "三年级" in page

    item = ask(stage.url + "api/v1/resources?type=audio")["items"][0]
    assert get(f"{stage.url}r/{item['package']}/{item['id']}")[0] == 200
    give(stage, work := os.urandom(300_000))
    wait_for("both records", lambda: opened_and_given(stage))
    sent = stage.sync()
    assert sent["records_up"] >= 2 and sent["sent_bytes"] > 300_000
    [upload] = wait_for("the file at the hub", lambda: received(stage))
    assert upload["sha256"] == hashlib.sha256(work).hexdigest() and upload["name"] == "教案.txt"
    target = stage.place / "taken.txt"
    stage.hub("uploads", "--get", upload["sha256"], "--to", str(target))
    assert target.read_bytes() == work

    wait_for("the acknowledgement", lambda: stage.sync() and not ask(
        stage.url + "api/v1/status")["journal"]["unacknowledged"])
    assert outbox(stage) == []
    assert ask(stage.url + "api/v1/status")["uploads"]["waiting"] == 0
    [site] = stage.hub("status")
    assert site["packages"] == {"assigned": 1, "complete": 1} and site["problems"] == []
    assert records(stage) == list(range(1, site["boxes"][0]["last_seq"] + 1))
    assert box.stop() == 0 and hub.stop() == 0
    assert "Traceback" not in box.text() + hub.text()
    assert secrets_in(stage, box.text() + hub.text()) == []


def test_the_box_deletes_nothing_before_it_is_acknowledged(paired: Stage, lesson: Path) -> None:
    stage = paired
    stage.publish(lesson)
    drop = stage.box_data / "uploads"
    with answering(stage):  # a hub that takes nothing in
        stage.serve_box("--no-mdns", "--no-sync")
        give(stage, b"homework")
        assert stage.sync()["packages"] == 1
        kept = outbox(stage)
        assert any(name.endswith(".segment") for name in kept)
        assert hashlib.sha256(b"homework").hexdigest() in kept
        for _ in range(2):
            assert stage.sync()["records_down"] == 0
        assert set(outbox(stage)) >= set(kept)
        assert stage.hub("ingest")["objects"] == 1
        assert stage.sync()["records_down"] > 0
        assert not set(outbox(stage)) & set(kept)
        assert stage.hub("ingest")["objects"] == 0
    assert list(drop.iterdir()) == []


def opened_and_given(stage: Stage) -> int:
    """How many records the box has noted, once the opened resource is among them (it is noted beside the
    answer)."""
    database = sqlite3.connect(f"file:{stage.box_data}/box.db?mode=ro", uri=True)
    kinds = [kind for (kind,) in database.execute("SELECT kind FROM journal")]
    database.close()
    return len(kinds) if {"resource-opened", "upload"} <= set(kinds) else 0


def outbox(stage: Stage) -> list[str]:
    return sorted(path.name for path in (stage.box_data / "outbox").rglob("*")
                  if path.is_file() and not path.name.startswith("."))


def records(stage: Stage) -> list[int]:
    """The numbers of the records at the hub, in order, as often as they are there."""
    database = sqlite3.connect(f"file:{stage.hub_data}/hub.db?mode=ro", uri=True)
    found = [seq for (seq,) in database.execute("SELECT seq FROM record ORDER BY seq")]
    database.close()
    return found


def secrets_in(stage: Stage, text: str) -> list[str]:
    """Long lines of private keys and tokens of this stage that stand in a text."""
    files = [stage.pairing, *(path for path in stage.place.rglob("*")
                              if path.is_file() and path.stat().st_mode & 0o777 == 0o600
                              and path.stat().st_size < 10_000 and path.suffix != ".segment")]
    words = {word for path in files for word in path.read_text("utf-8", errors="ignore").split()
             if re.fullmatch(r"[A-Za-z0-9+/=]{50,}", word) and not word.startswith("AAAA")}
    return [word[:8] for word in words if word in text]


def test_what_is_assigned_later_comes_by_itself_and_after_an_outage_too(paired: Stage, lesson: Path) -> None:
    stage = paired
    hub = stage.serve_hub()
    stage.serve_box()
    stage.publish(lesson)
    wait_for("the lesson", lambda: over_http(stage) == digests(FILES))
    give(stage, b"while the line is up")
    wait_for("the file", lambda: len(received(stage)) == 1)
    hub.kill()
    later = lesson_at(lesson.parent / "第02课 花的学校", {"诗.txt": "当雷云在天上轰响\n".encode()})
    [published] = stage.hub("publish", str(later))
    stage.hub("assign", published["id"], "--to", stage.site, "--priority", "9")
    give(stage, b"while it is down", "二.txt")
    page = wait_for("the box knows that the hub is away", lambda: ask(
        stage.url + "api/v1/status")["hub"]["last_error"])
    assert page["code"] in ("hub-unreachable", "link-broken")
    assert get(stage.url)[0] == 200, "the classroom goes on"
    stage.serve_hub()
    wait_for("the later lesson", lambda: "诗" in over_http(stage))
    wait_for("the second file", lambda: len(received(stage)) == 2)
    wait_for("all confirmed", lambda: not ask(stage.url + "api/v1/status")["journal"]["unacknowledged"])


def test_what_is_no_longer_assigned_stays_open_and_a_new_version_replaces_the_old(
        paired: Stage, lesson: Path) -> None:
    stage = paired
    published = stage.publish(lesson)
    with answering(stage):
        stage.sync()
        stage.serve_box("--no-mdns", "--no-sync")
        (lesson / "生字.txt").write_text("坪 坝 装\n", "utf-8")
        (lesson / "新.txt").write_text("新\n", "utf-8")
        [second] = stage.hub("publish", str(lesson))
        assert second["version"] == 2 and second["id"] == published["id"]
        report = stage.sync()
        assert report["objects"] <= 5 and report["received_bytes"] < 30_000, "only what changed"
        wait_for("the new version", lambda: over_http(stage).get("生字") == hashlib.sha256(
            (lesson / "生字.txt").read_bytes()).hexdigest())
        stage.hub("unassign", published["id"], "--to", stage.site)
        stage.sync()
        assert "朗读" in over_http(stage)
        assert stage.box("status")["packages"]["assigned"] == 0


def test_another_site_gets_what_is_its_own_and_nothing_else(paired: Stage, lesson: Path) -> None:
    stage = paired
    other = stage.place / "other.toml"
    stage.hub("site", "add", "s2", "--name", "二号教学点", "--pairing", str(other))
    stage.box("init", "--pairing", str(other), data=stage.place / "box2")
    stage.publish(lesson)
    own = lesson_at(lesson.parent / "第03课 只给二号", {"密.txt": b"only for s2"})
    [published] = stage.hub("publish", str(own))
    stage.hub("assign", published["id"], "--to", "s2")
    with answering(stage) as logins:
        stage.sync()
        stage.box("sync", "--once", data=stage.place / "box2")
        assert logins == ["s1", "s2"]
    names = [{path.name for path in (data / "library" / "objects").rglob("*") if path.is_file()}
             for data in (stage.box_data, stage.place / "box2")]
    secret = hashlib.sha256(b"only for s2").hexdigest()
    assert secret not in names[0] and secret in names[1]
    assert stage.box("status", data=stage.place / "box2")["packages"]["complete"] == 1


def test_a_folder_dropped_into_the_watched_one_is_published_once_it_is_whole(
        paired: Stage, lesson: Path, tmp_path: Path) -> None:
    stage = paired
    watched = tmp_path / "watched"
    watched.mkdir()
    stage.serve_hub("--watch", str(watched))
    inside = watched / "人教版" / "三年级上册" / "语文" / lesson.name
    inside.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent("""
            import sys, time, pathlib
            to = pathlib.Path(sys.argv[1]); to.mkdir()
            for number in range(6):
                with (to / f"{number}.txt").open("w") as file:
                    file.write("half "); file.flush(); time.sleep(0.7); file.write("whole")
            """), str(inside)]) as copier:
        while copier.poll() is None:
            assert stage.hub("packages") == [], "nothing half-copied"
    [package] = wait_for("the package", lambda: stage.hub("packages"))
    assert (package["version"], package["resources"], package["name"]) == (1, 6, "大青树下的小学")
    shutil.copytree(lesson, inside, dirs_exist_ok=True)
    wait_for("the next version", lambda: [(one["version"], one["resources"])
                                          for one in stage.hub("packages")] == [(2, 6 + len(FILES))])


#: A box whose clock stands elsewhere: everything that asks Python for the time gets a wrong one.
WRONG_CLOCK = """
import datetime, sys, time
moved = float(sys.argv.pop(1))
real_time, real_ns, Real = time.time, time.time_ns, datetime.datetime
time.time = lambda: real_time() + moved
time.time_ns = lambda: real_ns() + int(moved) * 10**9
class Moved(Real):
    @classmethod
    def now(cls, tz=None):
        return Real.now(tz) + datetime.timedelta(seconds=moved)
    @classmethod
    def utcnow(cls):
        return Real.utcnow() + datetime.timedelta(seconds=moved)
datetime.datetime = Moved
from teachpoint import main
main()
"""


@pytest.mark.parametrize("years", [-56, -20, 14, 60])
def test_a_clock_that_is_wrong_by_decades_locks_nobody_out(paired: Stage, lesson: Path, years: int) -> None:
    stage = paired
    stage.publish(lesson)

    def wrong(*words: str) -> str:
        done = subprocess.run([sys.executable, "-c", WRONG_CLOCK, str(years * 365.25 * 86400), *words,
                               "--data", str(stage.box_data), "--json"], capture_output=True, text=True,
                              env=stage.environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    with answering(stage):
        assert '"packages": 1' in wrong("box", "sync", "--once")
        assert '"quality": "hub-time"' in wrong("box", "status")
        [published] = stage.hub("publish", str(lesson_at(lesson.parent / "第02课 再来", {"b.txt": b"b"})))
        stage.hub("assign", published["id"], "--to", stage.site)
        assert '"packages": 1' in wrong("box", "sync", "--once")
        assert stage.box("status")["packages"]["complete"] == 2
        stage.hub("ingest")
        stage.sync()
        assert stage.box("status")["clock"]["quality"] == "hub"
        stage.hub("ingest")
    last = stage.hub("status")[0]["boxes"][0]["last_seq"]
    assert records(stage) == list(range(1, last + 1)), "order does not depend on the clock"
