"""`/teacher`: signing in by our own form alone, told plainly why not, and nothing typed is lost."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from edge import sign_in
from edge.sign_in import COOKIE, MOST_WAITING
from sync.box.journal import Journal
from sync.box.passwords import hashed
from sync.box.schema import MIGRATIONS
from sync.box.teachers import SHARED_S, Teachers
from sync.database import open_database
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules

PASSWORD = "the big tree 7"


@pytest.fixture(scope="module")
def kept_hash() -> str:
    return hashed(PASSWORD, "wang")


@pytest.fixture
def room(tmp_path: Path, kept_hash: str) -> Room:
    """A box with one teacher."""
    made = make_room(tmp_path)
    made.journal.clock = made.clock
    Teachers(made.journal).add("wang", "王老师", kept_hash)
    return made


def token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def sign(browser: FlaskClient, login: str = "wang", password: str = PASSWORD, **more: str) -> Any:
    form = token(browser.get("/teacher").get_data(as_text=True))
    fields = {"token": form, "login": login, "password": password, **more}
    return browser.post("/teacher/sign-in", data=fields)


def signed_in(browser: FlaskClient) -> bool:
    return "王老师" in browser.get("/teacher").get_data(as_text=True)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_in_and_out(room: Room, language: str) -> None:
    browser = room.client(language)
    page = browser.get("/teacher").get_data(as_text=True)
    assert broken_rules(Page(page), language) == [] and 'type="password"' in page
    answer = sign(browser)
    assert (answer.status_code, answer.location) == (303, "/teacher")
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{COOKIE}=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert "Max-Age" not in cookie, "a shared device: gone with the browser"
    page = browser.get("/teacher").get_data(as_text=True)
    assert "王老师" in page and broken_rules(Page(page), language) == []
    assert browser.post("/teacher/sign-out").status_code == 403 and signed_in(browser)
    assert browser.post("/teacher/sign-out", data={"token": token(page)}).status_code == 303
    assert not signed_in(browser)


def test_a_device_of_ones_own_stays_signed_in(room: Room) -> None:
    browser = room.client()
    assert "Max-Age=7776000" in sign(browser, own="1").headers["Set-Cookie"]
    room.clock.advance(SHARED_S * 3)
    assert signed_in(browser)


@pytest.mark.parametrize(("login", "password"), [
    ("wang", "wrong"), ("li", PASSWORD), ("", ""), ("wang' OR 1=1 --", "xyzzy"), ("王", "密码错了"),
    ("wang", "x" * 5000)])
def test_a_wrong_one_is_told_and_the_login_stays(room: Room, login: str, password: str) -> None:
    browser = room.client()
    answer = sign(browser, login, password)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 403 and "do not belong together" in page
    assert broken_rules(Page(page), "en") == []
    if login == "wang":
        assert 'value="wang"' in page
    assert password not in page or not password
    assert not signed_in(browser)


def test_too_many_wrong_ones_must_wait_also_with_the_right_one(room: Room) -> None:
    browser = room.client()
    for _ in range(10):
        assert sign(browser, password="wrong").status_code == 403
    answer = sign(browser)
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "15"
    assert "in 15 seconds" in answer.get_data(as_text=True)
    room.clock.advance(15)
    assert sign(browser).status_code == 303


def test_only_our_own_form_signs_in(room: Room) -> None:
    browser = room.client()
    form = token(browser.get("/teacher").get_data(as_text=True))
    fields = {"login": "wang", "password": PASSWORD}
    assert browser.post("/teacher/sign-in", data=fields).status_code == 403
    assert browser.post("/teacher/sign-in", data={**fields, "token": "0" * 64}).status_code == 403
    for headers in ({"Origin": "null"}, {"Origin": "http://localhost:8081"}, {"Sec-Fetch-Site": "same-site"}):
        answer = browser.post("/teacher/sign-in", data={**fields, "token": form}, headers=headers)
        assert answer.status_code == 403
    assert not signed_in(browser)


def test_a_made_up_cookie_is_nobodys(room: Room) -> None:
    browser = room.client()
    sign(browser)
    real = browser.get_cookie(COOKIE)
    assert real is not None
    forger = room.client()
    for value in ("", "x", "x.y", real.value[:-1], real.value.partition(".")[0], f"a{real.value}", "é.é"):
        forger.set_cookie(COOKIE, value)
        assert not signed_in(forger), value
    forger.set_cookie(COOKIE, real.value)
    assert signed_in(forger)


def test_another_password_signs_the_others_out(room: Room) -> None:
    tablet, phone = room.client(), room.client()
    for browser in (tablet, phone):
        sign(browser)
    form = {"token": token(phone.get("/teacher").get_data(as_text=True))}
    new = "another tree 8"
    for fields, words in (
            ({"before": "wrong", "after": new, "again": new}, "do not belong together"),
            ({"before": PASSWORD, "after": new, "again": "x"}, "not the same"),
            ({"before": PASSWORD, "after": "12345678", "again": "12345678"}, "too easy")):
        answer = phone.post("/teacher/password", data={**form, **fields})
        page = answer.get_data(as_text=True)
        assert answer.status_code in (400, 403) and words in page and broken_rules(Page(page), "en") == []
    assert signed_in(tablet)
    answer = phone.post("/teacher/password", data={**form, "before": PASSWORD, "after": new, "again": new})
    assert answer.status_code == 303 and "was changed" in phone.get(answer.location).get_data(as_text=True)
    assert signed_in(phone) and not signed_in(tablet)
    assert sign(tablet).status_code == 403 and sign(tablet, password=new).status_code == 303


@pytest.mark.parametrize("next_", [
    "http://elsewhere.test/", "//elsewhere.test", "/\\elsewhere", "javascript:1"])
def test_one_goes_on_within_the_box(room: Room, next_: str) -> None:
    browser = room.client()
    page = browser.get("/teacher", query_string={"next": next_}).get_data(as_text=True)
    assert "elsewhere" not in page.split("<main")[1] and "javascript" not in page.split("<main")[1]
    assert sign(browser, then=next_).location == "/"


# -- what asks for it -----------------------------------------------------------------------------------

def test_sending_needs_no_sign_in_where_the_box_has_no_teachers(tmp_path: Path) -> None:
    room = make_room(tmp_path)
    assert 'type="file"' in room.page("/upload")
    page = room.page("/teacher")
    assert "teachpoint box teacher add" in page and "password" not in page.split("<main")[1]


def test_a_page_that_stood_open_for_a_week_loses_nothing(room: Room) -> None:
    browser = room.client()
    sign(browser)
    form = token(browser.get("/upload").get_data(as_text=True))
    room.clock.advance(7 * 86400)
    answer = browser.post("/upload", data={"token": form, "title": "口算 “<b>”", "about": "数学", "file": (
        io.BytesIO(b"sheet"), "a.pdf")}, content_type="multipart/form-data")
    page = answer.get_data(as_text=True)
    assert 'type="password"' in page and "is not lost" in page and broken_rules(Page(page), "en") == []
    fields = {e.get("name"): e.get("value") for e in Page(page).all("input")}
    answer = browser.post("/teacher/sign-in", data={**fields, "login": "wang", "password": "wrong"})
    fields = {e.get("name"): e.get("value") for e in Page(answer.get_data(as_text=True)).all("input")}
    answer = browser.post("/teacher/sign-in", data={**fields, "login": "wang", "password": PASSWORD})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200 and broken_rules(Page(page), "en") == []
    kept = {e.get("name"): e.get("value") for e in Page(page).all("input") if e.get("name") != "q"}
    assert kept["title"] == "口算 “<b>”" and kept["about"] == "数学"
    answer = browser.post("/upload", data={**kept, "file": (io.BytesIO(b"sheet"), "a.pdf")},
                          content_type="multipart/form-data")
    assert answer.status_code == 303
    assert room.journal.database.execute("SELECT title, about FROM upload").fetchall() == [
        ("口算 “<b>”", "数学")]


@pytest.mark.parametrize("kept", ["[]", "{", "{\"a\":1}", "[" * 60_000, "\"x\""])
def test_what_is_carried_may_be_anything(room: Room, kept: str) -> None:
    assert sign(room.client(), kept=kept).status_code == 303


def test_nothing_that_a_class_opens_asks_who_one_is(room: Room) -> None:
    for address in ("/", "/browse", "/search?q=a", "/status", "/help", "/screen", "/timetable"):
        assert 'type="password"' not in room.page(address)


# -- many at once ---------------------------------------------------------------------------------------

def test_sixty_at_once_are_let_in_or_told_when_to_come_again(
        room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash at a time, a few wait, the others are answered at once and come in later."""
    own = threading.local()

    def journal() -> Journal:
        if not hasattr(own, "journal"):
            own.journal = Journal(open_database(room.data / "box.db", MIGRATIONS), room.clock)
        found: Journal = own.journal
        return found

    room.sign_in.journal = journal
    running, most, worked = [0], [0], sign_in.right
    changed, full = threading.Condition(), 60 - 1 - MOST_WAITING
    statuses: list[int] = []

    def slow(kept: str, password: str) -> bool:
        """Works as long as not all others have been answered."""
        with changed:
            running[0] += 1
            most[0] = max(most[0], running[0])
            assert changed.wait_for(lambda: len(statuses) >= full, 60)
        try:
            return worked(kept, password)
        finally:
            with changed:
                running[0] -= 1

    monkeypatch.setattr(sign_in, "right", slow)
    browsers = [room.client() for _ in range(60)]
    forms = [token(browser.get("/teacher").get_data(as_text=True)) for browser in browsers]

    def come(place: int) -> None:
        answer = browsers[place].post("/teacher/sign-in", data={
            "token": forms[place], "login": "wang", "password": PASSWORD})
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] == "3" and 'value="wang"' in answer.get_data(as_text=True)
        with changed:
            statuses.append(answer.status_code)
            changed.notify_all()

    threads = [threading.Thread(target=come, args=(place,)) for place in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] * (1 + MOST_WAITING) + [503] * full and most[0] == 1
    assert sign(browsers[0]).status_code == 303
