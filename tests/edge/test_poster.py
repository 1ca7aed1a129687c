"""The poster for the wall: addresses, the square of the Wi-Fi, nothing of it kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.poster import joining
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A box with nothing in it yet."""
    return make_room(tmp_path / "box")


def poster(room: Room, query: dict[str, str], language: str = "en") -> Page:
    answer = room.client(language).get("/poster", query_string=query, headers={"Host": "10.42.0.1:8080"})
    assert answer.status_code == 200
    return Page(answer.get_data(as_text=True))


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_it_names_the_surest_address_and_one_with_a_name(room: Room, language: str) -> None:
    page = poster(room, {}, language)
    assert broken_rules(page, language) == []
    assert "http://10.42.0.1:8080" in page.words and "http://teachpoint.local:8080" in page.words
    assert len(page.with_class("qr")) == 1


def test_with_a_wifi_it_has_a_square_to_join_it(room: Room) -> None:
    page = poster(room, {"wifi": "大青树<b>", "password": "p;w:1"})
    assert broken_rules(page, "en") == []
    assert "大青树<b>" in page.words and "p;w:1" in page.words
    assert len(page.with_class("qr")) == 2


def test_it_can_be_found(room: Room) -> None:
    assert "/poster" in Page(room.client().get("/help").get_data(as_text=True)).links


@pytest.mark.parametrize(("name", "password", "text"), [
    ("School", "12345678", "WIFI:T:WPA;S:School;P:12345678;;"),
    ("a;b\\c", 'd"e,f:', r'WIFI:T:WPA;S:a\;b\\c;P:d\"e\,f\:;;'),
    ("open", "", "WIFI:T:nopass;S:open;;")])
def test_what_a_camera_reads(name: str, password: str, text: str) -> None:
    assert joining(name, password) == text


def test_too_long_and_strange_texts_are_cut(room: Room) -> None:
    page = poster(room, {"wifi": "x" * 500 + "\0\n", "password": "\x1b" + "y" * 500})
    assert "x" * 32 in page.words and "x" * 33 not in page.words and "y" * 64 not in page.words
