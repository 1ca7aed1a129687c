"""H5P and SCORM: what pages of a course get, what a lesson shows, what the content origin plays."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest

from edge.players import with_scripts
from tests.edge.classroom import Room, add_package, file_of, make_room, resource_id
from tests.edge.page_html import Page, broken_rules
from tests.lesson_packages import h5p, scorm_12, scorm_2004

TAG = b"<script>1</script>"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    packages = {"练习": ("h5p.json", h5p()), "测验": ("pages/one.html", scorm_12()),
                "分数": ("a.html", scorm_2004()),
                "页面": ("index.html", {"index.html": b"<p>x"}),
                "坏": ("x.html", {"imsmanifest.xml": b"<manifest", "x.html": b"<p>x"}),
                "缺": ("b.html", {name: data for name, data in scorm_2004().items() if name != "a.html"})}
    add_package(made.database, "q", "课", [
        {"name": name, "type": "bundle", "mediaType": "text/html", "entry": f"{name}/{entry}",
         "files": [file_of(made, f"{name}/{path}", data) for path, data in files.items()]}
        for name, (entry, files) in packages.items()])
    return made


def page(room: Room, name: str, more: str = "", language: str = "en") -> str:
    return room.page(f"/r/q/{resource_id('q', name)}{more}", language)


def test_a_page_of_a_course_gets_its_api(room: Room) -> None:
    content = room.content.test_client()
    answer = content.get("/c/q/测验/pages/one.html")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200 and answer.content_type == "text/html; charset=utf-8"
    assert "/play/scorm/scorm12.min.js" in text and "scorm2004" not in text and 'data-version="1.2"' in text
    assert text.index("/play/content/storage.js") < text.index("scorm12.min") < text.index("content/scorm.js")
    assert "sandbox" in answer.headers["Content-Security-Policy"] and answer.headers["ETag"]
    again = content.get("/c/q/测验/pages/one.html", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert "scorm2004.min.js" in content.get("/c/q/分数/a.html").get_data(as_text=True)
    plain = content.get("/c/q/测验/pages/one.html?download=1").get_data()
    assert plain == scorm_12()["pages/one.html"], "who downloads it gets what was published"


@pytest.mark.parametrize("name", ["页面/index.html", "坏/x.html"])
def test_other_pages_stay_as_they_are(room: Room, name: str) -> None:
    assert b"/play/" not in room.content.test_client().get(f"/c/q/{name}").get_data()


@pytest.mark.parametrize(("before", "after"), [
    (b"<html><head lang='x'><title>a", b"<html><head lang='x'>%s<title>a"),
    (b"<!doctype html>\n<p>x", b"<!doctype html>%s\n<p>x"), (b"<p>x", b"%s<p>x"),
    (b"<!-- <head x --><!DOCTYPE html PUBLIC 'x'><p>", b"<!-- <head x --><!DOCTYPE html PUBLIC 'x'>%s<p>"),
    (b"\xef\xbb\xbf<!doctype html><p>", b"\xef\xbb\xbf<!doctype html>%s<p>"),
    (b"\xef\xbb\xbf<p>", b"\xef\xbb\xbf%s<p>"), (b"<header>x", b"%s<header>x"),
    (b"\xff\xfe<\0p\0>\0", b"\xff\xfe<\0p\0>\0"), (b"", b"%s")])
def test_scripts_stand_before_all_others(before: bytes, after: bytes) -> None:
    assert with_scripts(before, TAG) == after.replace(b"%s", TAG)


def test_the_lesson_shows_its_contents_and_passes_on_what_the_page_is_told(room: Room) -> None:
    text = page(room, "分数")
    assert [name in text for name in ("第一章", "认识分数", "比较分数")] == [True] * 3
    assert '?page=2"' in text and "/c/q/%E5%88%86%E6%95%B0/a.html" in text
    second = page(room, "分数", "?page=2")
    assert "/c/q/%E5%88%86%E6%95%B0/b.html?level=2" in second and f'{resource_id("q", "分数")}/b"' in second
    assert "/c/q/%E5%88%86%E6%95%B0/b.html" in page(room, "分数", "?page=99")
    one = page(room, "测验")
    given = json.loads(unescape(one.split('data-lesson-given="')[1].split('"')[0]))
    assert given == {"version": "1.2", "data": "开始", "mastery": "80"}
    assert 'id="contents"' not in one, "one page needs no table of contents"


def test_a_part_whose_page_is_not_there_is_a_heading(room: Room) -> None:
    text = page(room, "缺")
    assert "认识分数" in text and "/b.html?level=2" in text and "?page=2" not in text


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", ["练习", "测验", "分数"])
def test_pages_of_lessons_keep_the_rules(room: Room, name: str, language: str) -> None:
    text = page(room, name, language=language)
    assert broken_rules(Page(text), language) == []
    assert 'sandbox="allow-scripts' in text and "allow-same-origin" not in text


def test_an_h5p_package_is_played_by_a_page_of_the_content_origin(room: Room) -> None:
    address = f"/play/lesson/q/{resource_id('q', '练习')}"
    assert f"localhost:8081{address}" in page(room, "练习")
    content = room.content.test_client()
    answer = content.get(address)
    text = answer.get_data(as_text=True)
    assert 'data-path="/c/q/%E7%BB%83%E4%B9%A0"' in text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    for script in text.split('src="')[1:]:
        assert content.get(script.split('"')[0]).status_code == 200
    assert content.get("/c/q/练习/content/content.json").status_code == 200
    assert content.get(f"/play/lesson/q/{resource_id('q', '页面')}").status_code == 404


@pytest.mark.parametrize("name", [
    "teachpoint.css", "../pages.py", "h5p/../lesson.js", "pdfjs/pdf.min.js", "h5p/none"])
def test_only_players_are_given_out(room: Room, name: str) -> None:
    assert room.content.test_client().get(f"/play/{name}").status_code == 404


def test_a_screen_of_the_room_shows_them(room: Room) -> None:
    assert "/play/lesson/q/" in room.page(f"/screen/view/q/{resource_id('q', '练习')}")
    assert "/c/q/%E6%B5%8B%E9%AA%8C/pages/one.html" in room.page(f"/screen/view/q/{resource_id('q', '测验')}")
