"""Suggestions while one types, and results that open at the page that has the words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.classroom import Room, add_lessons, add_package, file_of, make_room, resource_id
from tests.edge.page_html import Page


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    add_lessons(made)
    text = made.put("第一页 春天\f第二页 蒲公英\f第三页 蒲公英 种子".encode())["sha256"]
    add_package(made.database, "plants", "植物", [
        {"name": "课本", "type": "document", "mediaType": "application/pdf", "text": text,
         "files": [file_of(made, "课本.pdf", b"%PDF-1.4 plants")]},
        {"name": "故事", "type": "book", "mediaType": "application/epub+zip", "text": text,
         "entry": "故事.epub",
         "files": [file_of(made, "故事.epub", b"no book")]},
        {"name": "笔记", "type": "text", "mediaType": "text/plain", "text": text, "entry": "笔记.txt",
         "files": [file_of(made, "笔记.txt", b"seeds")]},
        {"name": "未到", "type": "document", "mediaType": "application/pdf", "text": text, "complete": 0}])
    made.state.search.refresh()
    return made


def suggested(room: Room, q: str, language: str = "zh-CN") -> list[str]:
    answer = room.client(language).get("/suggest", query_string={"q": q})
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    return [link for link in Page(answer.get_data(as_text=True)).links if link]


@pytest.mark.parametrize("q", ["大青树", "青", "dqs", "daqing", "DaQ"])
def test_the_lesson_comes_first_then_what_is_in_it(room: Room, q: str) -> None:
    links = suggested(room, q)
    assert links[0] == "/p/g3-yuwen-01"
    assert len(links) == 7 and all(link.startswith("/r/g3-yuwen-01/") for link in links[1:])


def test_nothing_is_suggested_for_nothing_and_nothing_is_believed(room: Room) -> None:
    for q in ("", "  ", "没有的词", "%", "<script>", "a" * 5000):
        assert suggested(room, q) == []
    add_package(room.database, "x", "<img src=x onerror=alert(1)> 恶", [{"name": "恶<b>"}])
    room.state.search.refresh()
    page = room.client().get("/suggest?q=恶").get_data(as_text=True)
    assert "&lt;img" in page and "<img" not in page and "<b>" not in page


def test_it_is_the_same_until_the_catalogue_changes(room: Room) -> None:
    client = room.client()
    tag = client.get("/suggest?q=dqs").headers["ETag"]
    assert client.get("/suggest?q=dqs", headers={"If-None-Match": tag}).status_code == 304
    add_package(room.database, "more", "大青蛙", [{"name": "图"}])
    room.state.search.refresh()
    assert client.get("/suggest?q=dq", headers={"If-None-Match": tag}).status_code == 200


def opened_at(room: Room, name: str, words: str) -> str | None:
    answer = room.client().get(f"/r/plants/{resource_id('plants', name)}", query_string={"find": words})
    assert answer.status_code == 303 and answer.headers["Cache-Control"] == "no-store"
    return answer.location.replace(f"/r/plants/{resource_id('plants', name)}", "")


def test_a_hit_in_a_document_opens_at_its_page(room: Room) -> None:
    for address in ("/search?q=蒲公英", "/suggest?q=蒲公英"):
        links = [link for link in Page(room.page(address)).links if link.startswith("/r/plants/")]
        found = {name: [link for link in links if resource_id("plants", name) in link]
                 for name in ("课本", "故事", "笔记", "未到")}
        for name in ("课本", "故事"):
            assert [link.partition("?")[2] for link in found[name]] == ["find=%E8%92%B2%E5%85%AC%E8%8B%B1"]
        assert "?" not in found["笔记"][0] and "?" not in found["未到"][0]
    assert opened_at(room, "课本", "蒲公英") == "#page=2"
    assert opened_at(room, "课本", "蒲公英 种子") == "#page=3"
    assert opened_at(room, "课本", "植物 种子") == "#page=3", "植物 stands in the name of the lesson"
    assert opened_at(room, "故事", "种子") == "?chapter=3"
    for name, words in (("课本", "恐龙"), ("未到", "种子"), ("笔记", "种子")):
        assert opened_at(room, name, words) == ""
    assert room.noted == [], "a way to the page is not yet an opening"


def test_a_hit_in_a_name_opens_at_the_beginning(room: Room) -> None:
    links = Page(room.page("/search?q=课本")).links
    assert f"/r/plants/{resource_id('plants', '课本')}" in links
