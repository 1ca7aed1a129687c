"""What an imsmanifest.xml says of its course, and that nothing it holds does harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.course import MOST_MANIFEST_BYTES, MOST_PARTS, read_course
from sync.safe_xml import BadXml
from tests.lesson_packages import MANIFEST_2004, scorm_12


@pytest.mark.parametrize("encoding", ["UTF-8", "gb2312"])
def test_scorm_1_2_says_what_its_page_is_told(encoding: str) -> None:
    course = read_course(scorm_12(encoding)["imsmanifest.xml"])
    assert (course.version, course.title) == ("1.2", "识字测验")
    [part] = course.parts
    assert (part.title, part.path, part.mastery, part.data) == ("第一题", "pages/one.html", "80", "开始")


def test_scorm_2004_has_headings_levels_and_parameters() -> None:
    course = read_course(MANIFEST_2004.encode())
    assert (course.version, course.title) == ("2004", "分数的故事")
    assert [(part.title, part.level, part.path, part.query) for part in course.parts] == [
        ("第一章", 0, "", ""), ("认识分数", 1, "a.html", ""), ("比较分数", 1, "b.html", "?level=2")]
    assert [part.id for part in course.pages] == ["a", "b"]


@pytest.mark.parametrize(("base", "href", "path", "query"), [
    ("b/", "two%20.html?x=1#y", "b/two .html", "?x=1#y"), ("", "../out.html", "", ""),
    ("", "http://elsewhere.invalid/x.html", "", ""), ("", "//elsewhere.invalid/x", "", ""),
    ("", "javascript:alert(1)", "", ""), ("a/b/", "../c/x.html", "a/c/x.html", ""),
    ("", "pages\\x.html", "pages/x.html", ""), ("", "/x.html", "x.html", "")])
def test_pages_are_files_of_the_bundle(base: str, href: str, path: str, query: str) -> None:
    manifest = f"""<manifest><organizations><organization><item identifierref="r"/></organization>
      </organizations><resources xml:base="{base}"><resource identifier="r" href="{href}"/></resources>
      </manifest>"""
    [part] = read_course(manifest.encode()).parts
    assert (part.path, part.query) == (path, query)


def test_without_an_organization_the_first_resource_opens_and_without_any_none() -> None:
    listed = b'<manifest><resources><resource identifier="r" href="x.html"/></resources></manifest>'
    assert [part.path for part in read_course(listed).parts] == ["x.html"]
    assert read_course(b"<manifest/>").parts == ()


def test_what_is_hidden_or_endless_is_left_out() -> None:
    items = '<item isvisible="false" identifierref="r"/>' + '<item identifierref="r"/>' * (MOST_PARTS + 5)
    course = read_course(f"""<manifest><organizations><organization>{items}</organization></organizations>
      <resources><resource identifier="r" href="x.html"/></resources></manifest>""".encode())
    assert len(course.parts) == MOST_PARTS


@pytest.mark.parametrize("data", [
    b"", b"no xml", b'<!DOCTYPE x [<!ENTITY a "ha">]><manifest>&a;</manifest>',
    b"<a>" * 200 + b"</a>" * 200, b" " * (MOST_MANIFEST_BYTES + 1),
    b'<?xml version="1.0" encoding="gb2312"?><manifest>\xff\xff</manifest>'])
def test_a_broken_one_is_refused(data: bytes) -> None:
    with pytest.raises(BadXml):
        read_course(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_course_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadXml):
        read_course(data)
