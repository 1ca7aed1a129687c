"""The main job: a lesson folder at the hub opens at the box, and a record comes back."""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask, get, temporary_files, wait_for

pytestmark = pytest.mark.e2e


def lesson(place: Path, name: str = "第01课 大青树下的小学") -> Path:
    """A lesson folder with a text, a picture-like blob and a small bundle."""
    folder = place / "人教版" / "三年级上册" / "语文" / name
    (folder / "互动").mkdir(parents=True)
    (folder / "课文.txt").write_text("早晨，从山坡上，从坪坝里，走来了许多小学生。\n", "utf-8")
    (folder / "朗读.mp3").write_bytes(random.Random(name).randbytes(50_000))
    (folder / "互动" / "index.html").write_text("<!DOCTYPE html><title>互动</title><p>你好</p>", "utf-8")
    (folder / "互动" / "style.css").write_text("p{color:green}", "utf-8")
    return folder


def connections(log: str) -> int:
    """How many SSH connections were accepted, by sshd's own log inside the hub's."""
    return len(re.findall(r"Accepted publickey", log))


def remote_rsyncs(log: str) -> int:
    """How many sessions (each one remote rsync) were started over those connections."""
    return len(re.findall(r"Starting session", log))


def test_a_lesson_folder_opens_on_a_screen_and_a_record_comes_back(paired: Stage, tmp_path: Path) -> None:
    folder = lesson(tmp_path / "lessons")
    published = paired.publish(folder)
    assert published["changed"] and published["version"] == 1 and published["resources"] == 3
    hub = paired.serve_hub()
    report = paired.sync()
    assert report["ok"] and report["transport"], report
    assert report["packages"] == 1 and report["left"] == 0

    paired.serve_box()
    page = get(paired.url, **{"Accept-Language": "zh-CN"})[2].decode()
    assert "大青树下的小学" in page and "三年级" in page and 'lang="zh' in page
    english = get(paired.url, **{"Accept-Language": "en"})[2].decode()
    assert 'lang="en' in english and "大青树下的小学" in english

    found = ask(paired.url + "api/v1/resources?q=青树")
    assert found["total"] >= 1
    everything = ask(paired.url + "api/v1/resources?limit=100")
    by_name = {item["name"]: item for item in everything["items"]}
    assert len(by_name) == 3
    for item in everything["items"]:
        assert item["complete"]
        status, _, body = get(_absolute(paired, item["url"]))
        assert status == 200
        if item["type"] != "bundle":
            assert hashlib.sha256(body).hexdigest() == item["sha256"]
    originals = {hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.is_file()}
    assert {i["sha256"] for i in everything["items"] if i["type"] != "bundle"} == originals

    opened = everything["items"][0]
    assert get(paired.url + f"r/{opened['package']}/{opened['id']}")[0] == 200
    work = paired.box_data / "uploads" / "我的 教案.txt"
    work.write_text("三年级语文教案", "utf-8")
    uploads = wait_for("the upload at the hub",
                       lambda: [u for u in paired.hub("uploads") if u["received"]])
    assert [u["name"] for u in uploads] == ["我的 教案.txt"]
    assert uploads[0]["sha256"] == hashlib.sha256("三年级语文教案".encode()).hexdigest()
    assert not work.exists(), "what is safely taken leaves the drop folder"
    wait_for("the acknowledgement",
             lambda: ask(paired.url + "api/v1/status")["journal"]["unacknowledged"] == 0)
    outbox = [p for p in (paired.box_data / "outbox").rglob("*") if p.is_file()]
    assert outbox == [], "what the hub has is deleted at the box, and only then"
    copy = tmp_path / "copy"
    paired.run("hub", "uploads", "--get", uploads[0]["sha256"], "--to", str(copy),
               "--data", str(paired.hub_data))
    assert copy.read_text("utf-8") == "三年级语文教案"
    assert "Traceback" not in hub.text()


def test_the_box_takes_a_new_lesson_by_itself_when_the_hub_comes_back(paired: Stage, tmp_path: Path) -> None:
    box = paired.serve_box()
    page = get(paired.url, **{"Accept-Language": "en"})
    assert page[0] == 200, "an empty box without a hub still shows a page"
    published = paired.publish(lesson(tmp_path / "lessons"))
    hub = paired.serve_hub()
    wait_for("the lesson by itself", lambda: any(
        p["id"] == published["id"] and p["complete"] for p in ask(paired.url + "api/v1/packages")), 30)
    assert hub.stop() == 0
    assert get(paired.url)[0] == 200
    assert box.stop() == 0


def test_many_small_files_and_a_large_one_need_one_connection_and_a_second_sync_nearly_nothing(
        paired: Stage, tmp_path: Path) -> None:
    rng = random.Random(3)
    small = tmp_path / "lessons" / "两千个小文件"
    for number in range(2000):
        place = small / f"{number // 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:04}.txt").write_bytes(f"第{number}课 ".encode() * rng.randint(1, 40))
    large = tmp_path / "lessons" / "大视频"
    large.mkdir()
    with (large / "视频.mp4").open("wb") as film:
        for _ in range(200):
            film.write(rng.randbytes(1024 * 1024))
    paired.publish(small)
    paired.publish(large)
    hub = paired.serve_hub()
    first = paired.sync()
    assert first["ok"] and first["left"] == 0 and first["packages"] == 2
    assert connections(hub.text()) == 1, "a whole sync is one SSH connection"
    assert first["received_bytes"] < 202 * 1024 * 1024

    hub.stop()
    hub.log.unlink()
    hub = paired.serve_hub()
    second = paired.sync()
    assert second["ok"]
    assert second["received_bytes"] + second["sent_bytes"] < 10_000
    assert connections(hub.text()) == 1
    assert 1 <= remote_rsyncs(hub.text()) <= 2
    assert list(temporary_files(paired.box_data)) == []


def test_a_new_version_sends_only_what_changed(paired: Stage, tmp_path: Path) -> None:
    folder = lesson(tmp_path / "lessons")
    first = paired.publish(folder)
    paired.serve_hub()
    paired.sync()
    again = paired.publish(folder)
    assert not again["changed"] and again["version"] == 1 and again["new_bytes"] == 0
    (folder / "课文.txt").write_text("晨光下的小学，变了。\n", "utf-8")
    second = paired.publish(folder)
    assert second["id"] == first["id"] and second["version"] == 2 and second["changed"]
    report = paired.sync()
    assert report["objects"] <= 4, report
    paired.serve_box()
    items = ask(paired.url + "api/v1/resources?limit=100")["items"]
    text = next(i for i in items if i["name"].startswith("课文"))
    assert text["version"] == 2
    assert get(_absolute(paired, text["url"]))[2].decode() == "晨光下的小学，变了。\n"


def test_an_unassigned_package_is_no_longer_wanted(paired: Stage, tmp_path: Path) -> None:
    published = paired.publish(lesson(tmp_path / "lessons"))
    paired.serve_hub()
    paired.sync()
    paired.hub("unassign", published["id"], "--to", paired.site)
    paired.sync()
    status = paired.box("status")
    assert status["packages"]["assigned"] == 0


def test_the_stick_brings_what_the_line_would(paired: Stage, tmp_path: Path) -> None:
    """The hub's data folder has the layout of a stick: the same engine reads it without a line."""
    published = paired.publish(lesson(tmp_path / "lessons"))
    report = paired.box("sync", "--once", "--from", str(paired.hub_data))
    assert report["ok"] and report["packages"] == 1
    taken = paired.hub("ingest")
    assert taken["records"] >= 1
    assert paired.hub("status", paired.site)[0]["packages"]["complete"] == 1, published


@pytest.mark.parametrize("moment", ["@1970-01-02 00:00:00", "@2040-01-01 00:00:00"])
def test_a_clock_wrong_by_decades_locks_no_box_out(paired: Stage, tmp_path: Path, moment: str) -> None:
    """The box's processes, ssh and rsync with them, live in another year; the hub does not."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    published = paired.publish(lesson(tmp_path / "lessons"))
    paired.serve_hub()
    paired.environment |= {"LD_PRELOAD": str(library), "FAKETIME": moment,
                           "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    report = paired.sync()
    assert report["ok"] and report["packages"] == 1
    status = paired.box("status")
    assert status["packages"]["complete"] == 1, published


def _absolute(stage: Stage, address: str) -> str:
    return address if address.startswith("http") else stage.url.rstrip("/") + address


def test_json_of_commands_is_one_document(paired: Stage) -> None:
    for words in (("hub", "status"), ("hub", "packages"), ("hub", "site", "list")):
        json.dumps(paired.run(*words, "--data", str(paired.hub_data)))
    json.dumps(paired.box("status"))
    assert paired.pairing.stat().st_mode & 0o777 == 0o600
