"""`/off`: offered to a signed-in teacher where the appliance allows it, by our own form; failures told."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from edge import power_page
from sync.box.power import MOST_CHARACTERS, set_shutdown_command, shutdown_command
from sync.errors import Broken, Misused
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules
from tests.edge.test_plans import token
from tests.edge.test_tus import add_teacher, signed_in


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    made.journal.clock = made.clock
    add_teacher(made)
    return made


def allow(room: Room, *words: str) -> None:
    """Let the box be switched off by this: a program of Python's, so that it runs everywhere."""
    set_shutdown_command(room.database, " ".join((sys.executable, *words)))


def ended() -> None:
    """Wait for the command that is running."""
    for thread in threading.enumerate():
        if thread.name == "switch-off":
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_who_may_is_offered_it(room: Room, language: str) -> None:
    wang, child = signed_in(room), room.client(language)
    wang.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    for address in ("/status", "/help"):
        assert 'href="/off"' not in wang.get(address).get_data(as_text=True)
    assert wang.get("/off").status_code == 404
    assert wang.post("/off", data={"token": token(wang)}).status_code == 404
    allow(room, "-c", "pass")
    for address in ("/status", "/help"):
        page = wang.get(address).get_data(as_text=True)
        assert 'href="/off"' in page and broken_rules(Page(page), language) == []
        assert 'href="/off"' not in child.get(address).get_data(as_text=True), "also just after the teacher"
    assert 'type="password"' in child.get("/off").get_data(as_text=True)
    for address in ("/off", "/off?going=1"):
        assert broken_rules(Page(wang.get(address).get_data(as_text=True)), language) == []


def test_it_is_switched_off_once_the_answer_is_out(room: Room, tmp_path: Path) -> None:
    wang, mark = signed_in(room), tmp_path / "off"
    allow(room, "-c", f"open('{mark}','x')".replace("'", "\\'"))
    assert room.client().post("/off", data={"token": token(room.client())}).status_code == 403
    child = room.client()
    assert 'type="password"' in child.post("/off", data={"token": token(child)}).get_data(as_text=True)
    assert wang.post("/off").status_code == 403
    assert wang.post("/off", data={"token": token(wang)}, headers={"Origin": "null"}).status_code == 403
    ended()
    assert not mark.exists()
    assert wang.post("/off", data={"token": token(wang)}).location == "/off?going=1"
    ended()
    assert mark.exists() and room.not_off == [None]
    told = room.database.execute("SELECT body FROM journal WHERE kind = 'switched-off'").fetchall()
    assert told == [('{"login":"wang"}',)]


def test_a_command_that_fails_is_told(room: Room) -> None:
    wang = signed_in(room)
    allow(room, "-c", "exit(3)")
    wang.post("/off", data={"token": token(wang)})
    ended()
    [problem] = room.not_off
    assert problem is not None and problem.code == "shutdown-failed"


@pytest.mark.parametrize("text", ["'", "a" * (MOST_CHARACTERS + 1)])
def test_what_is_no_command(room: Room, text: str) -> None:
    with pytest.raises(Misused):
        set_shutdown_command(room.database, text)
    with pytest.raises(Broken) as missing:
        set_shutdown_command(room.database, "no-such-program --now")
    assert missing.value.code == "program-missing" and shutdown_command(room.database) == []


def test_no_shell_reads_it(room: Room) -> None:
    assert set_shutdown_command(room.database, f"{sys.executable} '$(reboot)' ; x") == [
        sys.executable, "$(reboot)", ";", "x"]
    set_shutdown_command(room.database, " ")
    assert shutdown_command(room.database) == [] and power_page.AFTER_S > 0
