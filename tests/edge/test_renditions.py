"""An office file in the classroom: its PDF is shown, the file itself can be downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.display_pages import kind_of
from tests.edge.classroom import Room, add_package, file_of, make_room, resource_id
from tests.edge.page_html import Page, broken_rules

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    pdf = made.put(b"%PDF-1.4 made of it")["sha256"]
    text = made.put("早晨\f蒲公英".encode())["sha256"]
    add_package(made.database, "q", "课", [
        {"name": name, "mediaType": WORD, "entry": f"{name}.docx", "rendition": rendition, "text": text,
         "complete": complete, "files": [file_of(made, f"{name}.docx", name.encode())]}
        for name, rendition, complete in (("教案", pdf, 1), ("旧教案", None, 1), ("未到", pdf, 0))])
    return made


def address(name: str) -> str:
    return f"/r/q/{resource_id('q', name)}"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_page_shows_the_pdf_and_offers_the_file(room: Room, language: str) -> None:
    text = room.page(address("教案"), language)
    assert f'data-paper="/pdf/q/{resource_id("q", "教案")}"' in text
    assert 'href="/files/q/%E6%95%99%E6%A1%88.docx"' in text and 'download="教案.docx"' in text
    assert ("Download the original" if language == "en" else "下载原文件") in text
    assert broken_rules(Page(text), language) == []


def test_the_pdf_is_sent_by_its_own_address(room: Room) -> None:
    answer = room.client().get(f"/pdf/q/{resource_id('q', '教案')}", headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.data, answer.mimetype) == (206, b"%PDF", "application/pdf")
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert room.client().get("/files/q/教案.docx").data == "教案".encode(), "the file is as it was published"
    for name in ("旧教案", "未到"):
        assert room.client().get(f"/pdf/q/{resource_id('q', name)}").status_code == 404


def test_without_a_pdf_the_file_is_offered(room: Room) -> None:
    text = room.page(address("旧教案"))
    assert "opens in another program" in text and "data-paper" not in text and "original" not in text


def test_a_hit_opens_at_its_page(room: Room) -> None:
    room.state.search.refresh()
    answer = room.client().get(f"{address('教案')}?find=蒲公英")
    assert answer.location.endswith("#page=2")


def test_a_screen_of_the_room_shows_it(room: Room) -> None:
    assert "/pdf/q/" in room.page(f"/screen/view/q/{resource_id('q', '教案')}")


def test_a_remote_turns_its_pages(room: Room) -> None:
    catalogue = room.state.catalogue()
    kinds = {name: kind_of(catalogue.resource("q", resource_id("q", name))) for name in ("教案", "旧教案")}
    assert kinds == {"教案": "pages", "旧教案": "still"}
