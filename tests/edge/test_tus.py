"""`/api/v1/uploads`: the protocol tus 1.0, for our own pages and for programs that are no browsers."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge.tus import PLACE
from sync.box import receiving as receiving_module
from sync.box.passwords import hashed
from sync.box.teachers import SHARED_S, Teachers
from sync.segment import MOST_UPLOAD_BYTES
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules

WORK = os.urandom(50_000)
TUS = {"Tus-Resumable": "1.0.0"}
PASSWORD = "the big tree 7"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    made.journal.clock = made.receiving.clock = made.receiving.outbox.clock = made.clock
    return made


def texts(**given: str) -> str:
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in given.items())


def create(browser: FlaskClient, size: int = len(WORK), status: int = 201, **given: str) -> Any:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": texts(**given)}
    answer = browser.post(PLACE, headers=headers)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer


def patch(browser: FlaskClient, address: str, offset: int, data: bytes, **headers: str) -> Any:
    return browser.patch(address, data=data, headers={
        **TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **headers})


def add_teacher(room: Room, login: str = "wang", name: str = "王老师") -> None:
    Teachers(room.journal).add(login, name, hashed(PASSWORD, login))


def signed_in(room: Room, login: str = "wang") -> FlaskClient:
    browser = room.client()
    found = re.search(r'name="token" value="([0-9a-f]+)"', browser.get("/teacher").get_data(as_text=True))
    assert found
    answer = browser.post("/teacher/sign-in", data={"token": found[1], "login": login, "password": PASSWORD})
    assert answer.status_code == 303
    return browser


def test_what_is_spoken_here(room: Room) -> None:
    answer = room.client().options(PLACE)
    assert answer.status_code == 204 and answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,termination"
    assert answer.headers["Tus-Max-Size"] == str(MOST_UPLOAD_BYTES)
    assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]


def test_a_file_goes_on_where_it_stopped(room: Room) -> None:
    browser = room.client()
    answer = create(browser, filename="../../etc/作业.pdf", title="卷子", about="数学", license="CC0 1.0")
    address = answer.headers["Location"]
    assert address.startswith(f"{PLACE}/") and answer.headers["Tus-Resumable"] == "1.0.0"
    assert patch(browser, address, 0, WORK[:20_000]).headers["Upload-Offset"] == "20000"
    elsewhere = room.client()  # without teachers, who knows its name may go on
    answer = elsewhere.head(address, headers=TUS)
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.headers["Upload-Length"],
            answer.headers["Cache-Control"]) == (200, "20000", "50000", "no-store")
    answer = patch(elsewhere, address, 0, WORK)
    assert answer.status_code == 409 and answer.json["error"]["code"] == "upload-elsewhere"
    answer = patch(elsewhere, address, 20_000, WORK[20_000:])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "50000")
    assert room.journal.database.execute("SELECT name, title, about, license FROM upload").fetchall() == [
        ("作业.pdf", "卷子", "数学", "CC0 1.0")]
    [path] = [path for path in (room.data / "outbox/objects").rglob("*") if path.is_file()]
    assert path.read_bytes() == WORK
    page = browser.get(f"/upload?came={address.rpartition('/')[2]}").get_data(as_text=True)
    assert "卷子" in page.split('role="status"')[1][:400] and broken_rules(Page(page), "en") == []


@pytest.mark.parametrize(("headers", "status"), [
    ({"Upload-Length": "x"}, 400), ({"Upload-Length": "-1"}, 400), ({}, 400),
    ({"Upload-Length": "9" * 30}, 400),
    ({"Upload-Length": "5", "Upload-Metadata": "title !!"}, 400),
    ({"Upload-Length": "5", "Upload-Metadata": "title " + "A" * 9000}, 400),
    ({"Upload-Length": "5", "Tus-Resumable": "0.2.2"}, 412), ({"Upload-Length": "5", "Origin": "null"}, 403),
    ({"Upload-Length": "5", "Origin": "http://localhost:8081"}, 403),
    ({"Upload-Length": "5", "Sec-Fetch-Site": "cross-site"}, 403), ({"Upload-Length": str(2**33)}, 413)])
def test_what_is_refused(room: Room, headers: dict[str, str], status: int) -> None:
    assert room.client().post(PLACE, headers={**TUS, **headers}).status_code == status
    assert room.receiving.of(None) == []


def test_requests_that_a_page_of_another_origin_could_make(room: Room) -> None:
    """Those that need no preflight: without the protocol's own headers nothing happens."""
    browser = room.client()
    assert browser.post(PLACE, data={"a": "b"}).status_code == 412
    address = create(browser).headers["Location"]
    assert browser.patch(address, data=b"x").status_code == 412
    assert browser.get(address).status_code == 405
    assert patch(browser, address, 0, b"x", **{"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize("given", [
    {"title": "x" * 1900}, {"filename": "\x00\x1b[31m\n../a"}, {"license": "mine alone"},
    {"teacher": "1", "id": "x"}])
def test_whatever_is_said_of_it(room: Room, given: dict[str, str]) -> None:
    create(room.client(), **given)
    [one] = room.receiving.of(None)
    assert len(one.texts["title"]) <= 200 and one.texts["license"] == "" and one.teacher is None
    assert "/" not in one.name and "\x1b" not in one.name


def test_a_disk_without_room_refuses_before_the_file_is_sent(
        room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000_000_000})
    monkeypatch.setattr(receiving_module.shutil, "disk_usage", lambda _: usage)
    answer = create(room.client(), 4_000_000_000, 507)
    said = answer.json["error"]
    assert said["code"] == "upload-no-room"
    assert "4.0 GB" in said["message"] and "Nothing was sent" in said["advice"]
    answer = create(room.client("zh-CN"), 4_000_000_000, 507)
    assert "放不下" in answer.json["error"]["message"]


def test_where_there_are_teachers_a_file_is_its_teachers(room: Room) -> None:
    add_teacher(room)
    add_teacher(room, "li", "李老师")
    child, wang, li = room.client(), signed_in(room), signed_in(room, "li")
    assert create(child, status=401).json["error"]["code"] == "sign-in-first"
    address = create(wang, title="卷子").headers["Location"]
    patch(wang, address, 0, WORK[:10_000])
    for other, status in ((child, 401), (li, 404)):
        assert other.head(address, headers=TUS).status_code == status
        assert patch(other, address, 10_000, WORK[10_000:]).status_code == status
        assert other.delete(address, headers=TUS).status_code == status
    page = wang.get("/teacher").get_data(as_text=True)
    assert "20 % have come" in page and broken_rules(Page(page), "en") == []
    assert "卷子" not in li.get("/teacher").get_data(as_text=True)
    room.clock.advance(SHARED_S + 1)
    assert patch(wang, address, 10_000, WORK[10_000:]).status_code == 401
    wang = signed_in(room)
    assert patch(wang, address, 10_000, WORK[10_000:]).status_code == 204
    assert "Safe in the box" in wang.get("/teacher").get_data(as_text=True)
    assert room.journal.database.execute("SELECT teacher FROM upload").fetchall() == [(1,)]


def test_what_was_begun_can_be_given_up(room: Room) -> None:
    add_teacher(room)
    wang = signed_in(room)
    address = create(wang, title="卷子").headers["Location"]
    page = Page(wang.get("/upload").get_data(as_text=True))
    token = next(e.get("value") for e in page.all("input") if e.get("name") == "token")
    form = {"id": address.rpartition("/")[2], "token": token}
    assert room.client().post("/upload/give-up", data=form).status_code == 403
    assert wang.post("/upload/give-up", data={**form, "token": "x"}).status_code == 403
    assert wang.post("/upload/give-up", data=form).location == "/teacher"
    assert wang.post("/upload/give-up", data=form).location == "/teacher", "it has gone already"
    assert wang.head(address, headers=TUS).status_code == 404
    address = create(wang).headers["Location"]
    assert wang.delete(address, headers=TUS).status_code == 204
    assert wang.delete(address, headers=TUS).status_code == 404


@pytest.mark.parametrize(("row", "words"), [
    ({}, "waiting for the line"), ({"sent": 1}, "On its way"),
    ({"sent": 1, "acknowledged": 1}, "At the hub school"),
    ({"acknowledged": 1, "said": "reviewed"}, "Looked at"),
    ({"acknowledged": 1, "said": "spread"}, "as a lesson"),
    ({"acknowledged": 1, "said": "declined", "note": "看不清"}, "Not taken over"),
    ({"acknowledged": 1, "said": "in a later version"}, "At the hub school")])
def test_where_a_file_is(room: Room, row: dict[str, Any], words: str) -> None:
    add_teacher(room)
    wang = signed_in(room)
    patch(wang, create(wang, title="卷子").headers["Location"], 0, WORK)
    for name, value in row.items():
        room.journal.database.execute(f"UPDATE upload SET {name} = ?", [value])
    for address in ("/teacher", "/upload"):
        page = wang.get(address).get_data(as_text=True)
        assert words in page and row.get("note", "") in page and broken_rules(Page(page), "en") == []
