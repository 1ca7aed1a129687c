"""Screens and remotes at the app: who becomes one, who may drive, what a restart leaves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlite_utils import Database

from edge.displays import MOST_DISPLAYS, MOST_WRONG, MOST_WRONG_IN_ALL, Displays, commanded, read_points
from edge.displays import Display as Row
from edge.waiting import Waiting
from sync.clock import ManualClock
from sync.errors import NoRoom
from tests.edge.classroom import Room, add_lessons, make_room, resource_id
from tests.edge.page_html import Page, broken_rules

PICTURE = f"/r/g3-yuwen-01/{resource_id('g3-yuwen-01', '插图')}"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    add_lessons(made)
    return made


def token(client: FlaskClient, address: str) -> str:
    found = re.search(r'(?:data-token|name="token" value)="([0-9a-f]+)"', client.get(address).get_data(True))
    assert found
    return found[1]


def screen_of(room: Room) -> tuple[FlaskClient, Row]:
    """A browser that has become a screen."""
    client = room.client()
    known = {one.id for one in room.displays.all()}
    answer = client.post("/screen/here", data={"token": token(client, "/screen")})
    assert answer.status_code == 204
    [made] = [one for one in room.displays.all() if one.id not in known]
    return client, made


def phone_of(room: Room, code: str) -> tuple[FlaskClient, str]:
    """A browser that has entered a code, and its token."""
    client = room.client()
    mine = token(client, "/remote")
    assert client.post("/remote", data={"token": mine, "code": code}).status_code == 303
    return client, mine


def told(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/screen/wait").json
    return found


def test_a_device_becomes_a_screen_and_stays_it(room: Room) -> None:
    client, one = screen_of(room)
    page = client.get("/screen").get_data(as_text=True)
    assert f"{one.code[:3]} {one.code[3:]}" in page and "<svg" in page
    assert client.post("/screen/here", data={"token": token(client, "/screen")}).status_code == 204
    assert [(o.id, o.code, o.number) for o in room.displays.all()] == [(one.id, one.code, 1)]
    assert told(client)["show"] is None
    assert screen_of(room)[1].number == 2
    assert room.client().get("/screen/wait").status_code == 404


def test_what_is_shown_reaches_the_screen_and_the_journal(room: Room) -> None:
    client, one = screen_of(room)
    phone, mine = phone_of(room, f" {one.code[:3]} {one.code[3:]}")
    answer = phone.post(f"/remote/{one.id}", data={"token": mine, "action": "show", "show": PICTURE})
    assert (answer.status_code, answer.location) == (303, f"/remote/{one.id}")
    state = told(client)
    assert state["show"] == PICTURE.split("/")[2:]
    assert "插图" in phone.get(f"/remote/{one.id}").get_data(as_text=True)
    view = client.get("/screen/view/" + "/".join(state["show"])).get_data(as_text=True)
    assert "<img src=\"/files/g3-yuwen-01/" in view
    room.classroom.opened.flush()
    assert [note["name"] for note in room.noted] == ["插图"]
    assert client.get(f"/screen/wait?after={state['tag']}").status_code == 204
    phone.post(f"/remote/{one.id}", data={"token": mine, "action": "next"})
    assert told(client)["show"] != state["show"]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_its_pages_keep_the_rules(room: Room, language: str) -> None:
    _, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    phone.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    for show in ("插图", "课文朗读", "课外读物", "课件"):
        address = f"/r/g3-yuwen-01/{resource_id('g3-yuwen-01', show)}"
        phone.post(f"/remote/{one.id}", data={"token": mine, "action": "show", "show": address})
        for path in (f"/remote/{one.id}", f"/remote?show={address}"):
            assert broken_rules(Page(phone.get(path).get_data(as_text=True)), language) == [], (show, path)


# -- who may drive -------------------------------------------------------------------------------------

def commands(client: FlaskClient, one: Row, mine: str, **headers: str) -> int:
    return client.post(f"/remote/{one.id}", data={"token": mine, "action": "show", "show": PICTURE},
                       headers=headers).status_code


def test_only_a_device_with_the_code_drives(room: Room) -> None:
    client, one = screen_of(room)
    other, _ = screen_of(room)
    stranger = room.client()
    assert commands(stranger, one, token(stranger, "/remote")) == 403
    assert commands(other, one, token(other, "/remote")) == 403, "another screen is no remote"
    assert stranger.get(f"/remote/{one.id}").location == "/remote"
    assert stranger.get(f"/remote/{one.id}/wait").status_code == 403
    forged = room.client()
    forged.set_cookie("teachpoint-screens", f"{one.id}.{'0' * 32}")
    assert commands(forged, one, token(forged, "/remote")) == 403
    assert told(client)["show"] is None
    phone, mine = phone_of(room, one.code)
    assert commands(phone, one, mine) == 303


def test_no_page_but_ours_drives_with_the_devices_own_key(room: Room) -> None:
    """What foreign HTML could send from the content port, from a sandbox, from elsewhere; or a blind form."""
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    for headers in ({"Origin": "null"}, {"Origin": "http://localhost:8081"}, {"Origin": "http://evil.test"},
                    {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}):
        assert commands(phone, one, mine, **headers) == 403, headers
        assert client.post("/screen/here", data={"token": mine}, headers=headers).status_code == 403
        assert client.post("/screen/said", data={"token": mine}, headers=headers).status_code == 403
        code = phone.post("/remote", data={"token": mine, "code": one.code}, headers=headers)
        assert code.status_code == 403
    assert commands(phone, one, "") == 403 and commands(phone, one, "0" * 64) == 403
    assert phone.get(f"/remote/{one.id}?token={mine}&action=show&show={PICTURE}").status_code == 200
    assert told(client)["show"] is None


def test_codes_cannot_be_guessed_by_trying(room: Room) -> None:
    _, one = screen_of(room)
    wrong = "000000" if one.code != "000000" else "000001"
    guesser = room.client()
    mine = token(guesser, "/remote")

    def guess(code: str, address: str = "10.0.0.9") -> int:
        return guesser.post("/remote", data={"token": mine, "code": code},
                            environ_base={"REMOTE_ADDR": address}).status_code
    assert [guess(wrong) for _ in range(MOST_WRONG)] == [400] * MOST_WRONG
    assert guess(wrong) == 429 and guess(one.code) == 429
    assert guess(one.code, "10.0.0.8") == 303, "another device is not kept out"
    for number in range(MOST_WRONG_IN_ALL):
        guess(wrong, f"10.0.1.{number}")
    assert guess(one.code, "10.0.0.7") == 429
    room.clock.advance(61)
    assert guess(one.code) == 303


def test_a_new_code_shuts_the_others_out(room: Room) -> None:
    _, one = screen_of(room)
    (first, mine), (second, theirs) = phone_of(room, one.code), phone_of(room, one.code)
    assert first.post(f"/remote/{one.id}", data={"token": mine, "action": "code"}).status_code == 303
    assert commands(second, one, theirs) == 403 and commands(first, one, mine) == 303


def test_a_screen_goes_from_the_list_of_one_device(room: Room) -> None:
    (_, one), (_, other) = screen_of(room), screen_of(room)
    (first, mine), (second, theirs) = phone_of(room, one.code), phone_of(room, one.code)
    assert first.post("/remote", data={"token": mine, "code": other.code}).status_code == 303
    answer = first.post(f"/remote/{one.id}", data={"token": mine, "action": "forget"})
    assert answer.status_code == 303 and answer.location == "/remote"
    links = [link for link in Page(first.get("/remote").text).links if link.startswith("/remote/")]
    assert links == [f"/remote/{other.id}"]
    assert commands(first, one, mine) == 403 and commands(second, one, theirs) == 303


@pytest.mark.parametrize("data", [
    {"action": "fly"}, {"action": "seek", "value": "nan"}, {"action": "seek", "value": "soon"},
    {"action": "page", "value": "1e99"}, {"action": "draw", "value": "1,2 <b>"}, {}])
def test_a_command_without_sense_changes_nothing(room: Room, data: dict[str, str]) -> None:
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    assert phone.post(f"/remote/{one.id}", data={"token": mine, **data}).status_code == 400
    assert told(client)["version"] == one.version


def test_what_is_not_here_cannot_be_shown(room: Room) -> None:
    _, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    for address in ("/r/no/such", "http://evil.test/r/a/b", "//evil", "/r/g3-yuwen-01/../x", ""):
        answer = phone.post(f"/remote/{one.id}", data={"token": mine, "action": "show", "show": address})
        assert answer.status_code == 404, address
    assert "not here any more" in phone.get("/screen/view/no/such").get_data(as_text=True)


# -- what stays ----------------------------------------------------------------------------------------

def displays_of(database: Database, clock: ManualClock) -> Displays:
    return Displays(lambda: database, Waiting(), clock)


def said(room: Room, client: FlaskClient, **fields: Any) -> None:
    mine = token(client, "/screen")
    version = told(client)["version"]
    assert client.post("/screen/said", data={"token": mine, "version": version, **fields}).status_code == 204


def test_after_a_restart_each_screen_shows_the_same(room: Room) -> None:
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    commands(phone, one, mine)
    for action, value in (("page", "3"), ("blank", ""), ("name", " 三年级 \n 教室 ")):
        phone.post(f"/remote/{one.id}", data={"token": mine, "action": action, "value": value})
    said(room, client, playing="0", at="33.5", page="3")
    again = displays_of(room.database, room.clock).get(one.id)
    assert again == room.displays.get(one.id) and again is not None
    assert (again.name, again.page, again.blank, again.playing) == ("三年级 教室", 3, True, False)
    assert (again.code, again.at_s) == (one.code, 33.5)


def test_a_films_place_is_written_now_and_then(room: Room) -> None:
    """Each report is believed at once; the disk hears of it when it halts, or a minute further on."""
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    commands(phone, one, mine)

    def kept() -> float:
        found = displays_of(room.database, room.clock).get(one.id)
        assert found is not None
        return found.at_s
    said(room, client, playing="1", at="20", length="100")
    assert kept() == 0 and told(client)["at"] == 20
    said(room, client, playing="1", at="70", length="100")
    assert kept() == 70
    said(room, client, playing="0", at="75", length="100")
    assert kept() == 75
    assert phone.get(f"/remote/{one.id}/wait").json["length"] == 100


def test_a_report_never_undoes_a_newer_command(room: Room) -> None:
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)
    commands(phone, one, mine)
    old = told(client)["version"]
    phone.post(f"/remote/{one.id}", data={"token": mine, "action": "pause"})
    client.post("/screen/said", data={"token": token(client, "/screen"), "version": old, "playing": "1",
                                      "at": "nan", "length": "inf", "shape": "-1"})
    assert told(client)["playing"] is False


def test_on_a_full_disk_the_class_goes_on(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    client, one = screen_of(room)
    phone, mine = phone_of(room, one.code)

    def full(*_: Any) -> Any:
        raise NoRoom("disk-full", path="box.db")
    monkeypatch.setattr("edge.displays.transaction", full)
    assert commands(phone, one, mine) == 303
    assert told(client)["show"] == PICTURE.split("/")[2:]


def test_screens_that_nobody_starts_any_more_make_room(room: Room) -> None:
    first = screen_of(room)[1]
    second, known = screen_of(room)
    second.post("/screen/here", data={"token": token(second, "/screen")})
    for _ in range(MOST_DISPLAYS - 1):
        screen_of(room)
    ids = {one.id for one in room.displays.all()}
    assert len(ids) == MOST_DISPLAYS and first.id not in ids and known.id in ids
    assert len({one.number for one in room.displays.all()}) == MOST_DISPLAYS
    rows = room.database.execute("SELECT count(*) FROM display").fetchone()[0]
    assert rows == MOST_DISPLAYS


# -- rules without a box -------------------------------------------------------------------------------

SHOWN = Row("a", 1, "", "123456", 1, 7, 7, "p", "r", page=2, playing=True, at_s=8.0)


@pytest.mark.parametrize(("action", "value", "field", "found"), [
    ("turn", "1", "page", 3), ("turn", "9", "page", 4), ("turn", "-9", "page", 1), ("page", "4", "page", 4),
    ("skip", "-10", "at_s", 0.0), ("skip", "10", "at_s", 18.0), ("seek", "63.5", "at_s", 63.5),
    ("pause", "", "playing", False), ("blank", "", "blank", True), ("close", "", "package", None)])
def test_commands(action: str, value: str, field: str, found: object) -> None:
    after = commanded(SHOWN, action, value, 4)
    assert after is not None and getattr(after, field) == found and after.version == 8
    assert (after.jump == 8) == (action in ("seek", "skip"))


def test_points_of_the_finger() -> None:
    assert read_points("0,0 9999,12 - 99999,5") == [(0, 0), (9999, 12), None, (9999, 5)]
    assert read_points("") == [] and len(read_points("1,1 " * 999) or ()) == 200
    for bad in ("1", "1,", "a,b", "-1,2", "1,2,3", "1.5,2", "٣,1"):
        assert read_points(bad) is None or bad == "٣,1", bad
