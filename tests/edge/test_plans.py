"""Lesson plans: a teacher gathers and orders, a class opens; nobody else changes them, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge.plans import MOST_ENTRIES, MOST_NOTE, MOST_PLANS, Plans
from sync.box.teachers import SHARED_S
from tests.edge.classroom import Room, add_lessons, make_room, resource_id
from tests.edge.page_html import Page, broken_rules
from tests.edge.test_tus import PASSWORD, add_teacher, signed_in

FILM = ("g3-yuwen-01", resource_id("g3-yuwen-01", "课文朗读"))
SHEET = ("g3-shuxue-01", resource_id("g3-shuxue-01", "练习一"))
POEM = ("poems", resource_id("poems", "静夜思"))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    made.journal.clock = made.clock
    add_lessons(made)
    add_teacher(made)
    return made


def token(browser: FlaskClient, address: str = "/teacher") -> str:
    page = Page(browser.get(address).get_data(as_text=True))
    return str(next(e.get("value") for e in page.all("input") if e.get("name") == "token"))


def collect(browser: FlaskClient, what: tuple[str, str], plan: str = "new", **more: str) -> Any:
    fields = {"package": what[0], "resource": what[1], "plan": plan, "token": token(browser), **more}
    return browser.post("/collect", data=fields)


def made_plan(browser: FlaskClient) -> str:
    """A plan of three things; its address."""
    address = collect(browser, FILM, name="周一三年级", note="看五分钟").location
    for what in (SHEET, POEM):
        assert collect(browser, what, address.rpartition("/")[2]).location == address
    return str(address)


def entries(room: Room, address: str) -> list[tuple[str, str]]:
    plan = Plans(room.database, room.clock).find(address.rpartition("/")[2])
    assert plan is not None
    return [(one.name, one.note) for one in plan.entries]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_teacher_gathers_and_a_class_opens(room: Room, language: str) -> None:
    wang = signed_in(room)
    film = f"/r/{FILM[0]}/{FILM[1]}"
    assert "/collect?" in wang.get(film).get_data(as_text=True)
    wang.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    page = wang.get("/collect", query_string={"package": FILM[0], "resource": FILM[1]}).get_data(as_text=True)
    assert broken_rules(Page(page), language) == []
    address = made_plan(wang)
    child = room.client(language)
    page = child.get(address).get_data(as_text=True)
    assert broken_rules(Page(page), language) == [] and f'href="{film}"' in page and "看五分钟" in page
    assert f"/remote?show={film}" in page and "<svg" in page.split('class="qr"')[1]
    assert "/edit" not in page and f"{address}/edit" in wang.get(address).get_data(as_text=True)
    for own in ("/teacher", f"{address}/edit"):
        page = wang.get(own).get_data(as_text=True)
        assert "周一三年级" in page and broken_rules(Page(page), language) == []


def test_order_and_notes_are_changed_without_a_script(room: Room) -> None:
    wang = signed_in(room)
    address = made_plan(wang)
    edit, keys = f"{address}/edit", [" ".join(one) for one in (FILM, SHEET, POEM)]
    form: dict[str, Any] = {"token": token(wang), "key": keys, "name": "周二", "note": "带尺子\r\n和纸",
                            f"note {keys[0]}": "看十分钟"}
    assert wang.post(edit, data={**form, "down": keys[0]}).location == edit
    assert entries(room, address) == [("练习一", ""), ("课文朗读", "看十分钟"), ("静夜思", "")]
    wang.post(edit, data={"token": form["token"], "name": "周二", "up": keys[1]})
    assert entries(room, address)[0] == ("练习一", ""), "the first stays the first"
    wang.post(edit, data={"token": form["token"], "name": "周二", "out": keys[1]})
    assert entries(room, address) == [("课文朗读", "看十分钟"), ("静夜思", "")]
    assert wang.post(edit, data={"token": form["token"], "done": "1"}).location == address
    page = room.page(address)
    assert "周二" in page and "带尺子\n和纸" in page
    assert wang.post(edit, data={"token": form["token"], "delete": "1"}).location == "/teacher"
    assert room.client().get(address).status_code == 404


def test_what_another_page_put_in_is_not_lost(room: Room) -> None:
    wang = signed_in(room)
    address = collect(wang, FILM, name="周一").location
    form = {"token": token(wang), "key": " ".join(FILM), "done": "1"}
    collect(wang, SHEET, address.rpartition("/")[2])
    wang.post(f"{address}/edit", data=form)
    assert [name for name, _ in entries(room, address)] == ["课文朗读", "练习一"]
    collect(wang, FILM, address.rpartition("/")[2], note="noch einmal")
    assert entries(room, address) == [("课文朗读", "noch einmal"), ("练习一", "")], "it is there once"


def test_only_its_teacher_changes_a_plan(room: Room) -> None:
    add_teacher(room, "li", "李老师")
    wang, li, child = signed_in(room), signed_in(room, "li"), room.client()
    address = made_plan(wang)
    before = entries(room, address)
    for path in (f"{address}/edit",):
        assert li.get(path).status_code == 404
        assert li.post(path, data={"token": token(li), "delete": "1"}).status_code == 404
        assert 'type="password"' in child.get(path).get_data(as_text=True)
        assert 'type="password"' in child.post(path, data={"token": token(child), "delete": "1"}).get_data(
            as_text=True)
        assert wang.post(path, data={"delete": "1"}).status_code == 403
        assert wang.post(path, data={"token": token(wang), "delete": "1"},
                         headers={"Origin": "null"}).status_code == 403
    assert collect(li, FILM, address.rpartition("/")[2]).status_code == 404
    assert entries(room, address) == before
    teachers = room.sign_in.teachers()
    teachers.remove(teachers.known("wang"))
    assert "周一三年级" in room.page(address), "a class may hold its address"


def test_what_was_typed_before_the_session_ended_is_kept(room: Room) -> None:
    wang = signed_in(room)
    address = made_plan(wang)
    keys = [" ".join(one) for one in (POEM, FILM, SHEET)]
    form: dict[str, Any] = {"token": token(wang), "key": keys, "name": "周二", "note": "带尺子", "done": "1",
                            f"note {keys[0]}": "背"}
    room.clock.advance(SHARED_S + 1)
    page = Page(wang.post(f"{address}/edit", data=form).get_data(as_text=True))
    fields = {e.get("name"): e.get("value") for e in page.all("input") if e.get("type") == "hidden"}
    answer = wang.post("/teacher/sign-in", data={**fields, "login": "wang", "password": PASSWORD})
    page = Page(answer.get_data(as_text=True))
    fields = {e.get("name"): e.get("value") for e in page.all("input") if e.get("name") != "q"}
    assert wang.post(f"{address}/edit", data=fields).location == address
    assert entries(room, address) == [("静夜思", "背"), ("课文朗读", "看五分钟"), ("练习一", "")]
    room.clock.advance(SHARED_S + 1)
    page = wang.get("/collect", query_string={"package": POEM[0], "resource": POEM[1]}).get_data(as_text=True)
    assert f"/collect?package=poems&amp;resource={POEM[1]}" in page, "one goes on there"


def test_what_is_no_longer_here_keeps_its_name(room: Room) -> None:
    wang = signed_in(room)
    address = made_plan(wang)
    room.database.execute("DELETE FROM package WHERE id = ?", [FILM[0]])
    room.database.execute("UPDATE setting SET value = CAST(value AS INTEGER) + 1 WHERE name = 'generation'")
    page = room.page(address)
    assert "No longer here" in page and "课文朗读" in page and broken_rules(Page(page), "en") == []
    assert "课文朗读" in wang.get(f"{address}/edit").get_data(as_text=True)


def test_bounds_and_bad_names(room: Room) -> None:
    wang = signed_in(room)
    answer = collect(wang, FILM, name=" ")
    assert answer.status_code == 400 and "needs a name" in answer.get_data(as_text=True)
    assert wang.post("/plans", data={"token": token(wang), "name": ""}).status_code == 400
    assert collect(wang, ("../x", "y")).status_code == 404
    note = "\x1b[31m" + "y" * 900 + "\n<i>"
    address = collect(wang, FILM, name="<b>\u202e" + "x" * 200, note=note).location
    page = room.page(address)
    assert "<b>" not in page.split("<main")[1].replace("<bdi", "") and "\u202e" not in page
    assert len(entries(room, address)[0][1]) <= MOST_NOTE
    id_ = address.rpartition("/")[2]
    for number in range(MOST_ENTRIES):
        room.database.execute("INSERT OR IGNORE INTO planned VALUES (?, ?, 'p', ?, 'n', '')",
                              [id_, number, f"{number}"])
    answer = collect(wang, POEM, id_)
    assert answer.status_code == 400 and f"at most {MOST_ENTRIES}" in answer.get_data(as_text=True)
    for number in range(MOST_PLANS):
        room.database.execute("INSERT INTO plan VALUES (?, 1, 'n', '', 1, 0)", [f"{number}"])
    assert wang.post("/plans", data={"token": token(wang), "name": "one more"}).status_code == 400


def test_a_plan_is_kept_by_browsers_until_it_changes(room: Room) -> None:
    wang = signed_in(room)
    address = made_plan(wang)
    child = room.client()
    tag = child.get(address).headers["ETag"]
    assert child.get(address, headers={"If-None-Match": tag}).status_code == 304
    wang.post(f"{address}/edit", data={"token": token(wang), "name": "周三"})
    answer = child.get(address, headers={"If-None-Match": tag})
    assert answer.status_code == 200 and "周三" in answer.get_data(as_text=True)


def test_where_nobody_signs_in_nothing_is_offered(tmp_path: Path) -> None:
    room = make_room(tmp_path)
    add_lessons(room)
    assert "/collect" not in room.page(f"/r/{FILM[0]}/{FILM[1]}")
    page = room.client().get("/collect", query_string={"package": FILM[0], "resource": FILM[1]})
    assert "teachpoint box teacher add" in page.get_data(as_text=True)
