"""What names and package.toml say about a lesson; the ways in which people really name folders."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import Misused, Refused
from sync.hub.describe import MOST_TOML_BYTES, describe, parse_toml, resource_name
from sync.layout import PACKAGE_ID


def said(path: str) -> dict[str, Any]:
    """The fields of a path, all its folders below the given one; `position` among them."""
    *above, leaf = path.split("/")
    found = describe(above, leaf, given=len(above))
    return {**found.fields, "position": found.position}


@pytest.mark.parametrize(
    "path, fields",
    [
        (
            "人教版/三年级上册/语文/第01课 大青树下的小学",
            {
                "name": "大青树下的小学",
                "edition": "人教版",
                "educationalLevel": "三年级",
                "volume": "上册",
                "about": "语文",
                "isPartOf": "人教版语文三年级上册",
                "position": 1,
                "inLanguage": "zh-CN",
            },
        ),
        (
            "人教版三年级上册数学/01-认识秒",
            {"name": "认识秒", "about": "数学", "volume": "上册", "position": 1},
        ),
        ("三年级（上）/数学/第3讲 时分秒", {"name": "时分秒", "volume": "上册", "position": 3}),
        ("三年级上/数学/第十一课时 加与减", {"volume": "上册", "position": 11, "name": "加与减"}),
        (
            "小学/部编版语文三年级上册/第一单元/2 花的学校",
            {
                "edition": "部编版",
                "isPartOf": "部编版语文三年级上册 / 第一单元",
                "position": 2,
                "name": "花的学校",
            },
        ),
        ("北师大版（2012）/一年级下册/数学/第二课 比大小", {"edition": "北师大版（2012）", "volume": "下册"}),
        (
            "初二英语下册/Unit 10",
            {"educationalLevel": "八年级", "about": "英语", "name": "Unit 10", "position": 10},
        ),
        (
            "高一/物理/必修第一册/第二节 运动的描述",
            {"educationalLevel": "高一", "volume": "必修第一册", "position": 2},
        ),
        (
            "Grade 5/Science/Lesson 12: Plants and light",
            {"educationalLevel": "Grade 5", "about": "Science", "name": "Plants and light", "position": 12},
        ),
        ("PEP Grade 3/Unit 2 Colours", {"edition": "PEP", "educationalLevel": "Grade 3", "position": 2}),
        ("我的文件夹", {"name": "我的文件夹", "position": 0}),
        ("数学乐园", {"name": "数学乐园"}),
    ],
)
def test_a_path_says_what_people_mean_by_it(path: str, fields: dict[str, Any]) -> None:
    assert {name: said(path).get(name) for name in fields} == fields


@pytest.mark.parametrize("path", ["数学乐园", "美术馆之旅", "2024年工作总结"])
def test_a_title_that_only_sounds_like_a_subject_stays_a_title(path: str) -> None:
    assert "about" not in said(path) and "educationalLevel" not in said(path)


@pytest.mark.parametrize(
    "stem, expected",
    [
        ("01 导入", ("导入", 1)),
        ("1.课文", ("课文", 1)),
        ("10、练习", ("练习", 10)),
        ("第1课", ("第1课", 0)),
        ("IMG_0012", ("IMG_0012", 0)),
        ("2024年春", ("2024年春", 0)),
        ("3", ("3", 0)),
        ("", ("", 0)),
    ],
)
def test_a_files_name_gives_title_and_order(stem: str, expected: tuple[str, int]) -> None:
    assert resource_name(stem) == expected


def test_the_id_comes_from_the_names_and_not_from_where_the_disk_is() -> None:
    path = ["人教版", "三年级上册", "语文"]
    first = describe(["media", "usb0", *path], "第01课 大青树", given=3).id
    assert first == describe(["home", "教师", *path], "第01课 大青树", given=3).id
    assert first != describe(["人教版", "四年级上册", "语文"], "第01课 大青树", given=3).id
    assert first.startswith("da-qing-shu-")


TOML = """
id = "qs-01"
name = "大青树"
position = 7
educationalLevel = "四年级"
colour = "red"
[resources."朗读.mp3"]
name = "课文朗读"
mood = 1
"""


def test_package_toml_corrects_names_and_set_corrects_both() -> None:
    found = describe(["三年级", "语文"], "第01课 树", given=2, toml=TOML.encode(), fields={"about": "数学"})
    assert (found.id, found.id_derived, found.position) == ("qs-01", False, 7)
    assert found.fields["name"] == "大青树" and found.fields["educationalLevel"] == "四年级"
    assert found.fields["about"] == "数学" and found.resources["朗读.mp3"].name == "课文朗读"
    assert len(found.warnings) == 2 and "colour" in found.warnings[0] and "mood" in found.warnings[1]


def test_notepads_mark_is_read_over() -> None:
    assert parse_toml(b"\xef\xbb\xbfname = 'x'")[0].name == "x"


@pytest.mark.parametrize(
    "data",
    [
        b"name = 7",
        b"position = -1",
        b"= x",
        b"\xff\xfe",
        b"name = ''",
        b"resources = 3",
        b"x" * (MOST_TOML_BYTES + 1),
        b"[resources.a]\ntype = 'program'",
        b"[resources.a]\ntype = 'bundle'",
        b"a = " + b"[" * 5000,
    ],
)
def test_a_bad_package_toml_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_toml(data)
    assert caught.value.code == "package-toml-bad" and caught.value.facts["reason"]


@pytest.mark.parametrize(
    "more, code",
    [
        ({"fields": {"colour": "x"}}, "field-unknown"),
        ({"fields": {"position": "1.5"}}, "field-bad"),
        ({"fields": {"name": ""}}, "field-bad"),
        ({"fields": {"about": "x" * 1001}}, "field-bad"),
        ({"id": "Ä"}, "package-id-bad"),
        ({"id": "../x"}, "package-id-bad"),
        ({"id": "b", "toml": b"id = 'a'"}, "id-conflict"),
    ],
)
def test_wrong_wishes_are_told(more: dict[str, Any], code: str) -> None:
    with pytest.raises((Refused, Misused)) as caught:
        describe([], "课", **more)
    assert caught.value.code == code


names = st.one_of(
    st.text(max_size=20), st.from_regex(re.compile(r"[第一二三年级上下册课语文数学0-9 ._（）-]{1,12}"))
)


@given(st.lists(names, max_size=4), names, st.integers(0, 4))
def test_any_names_make_a_package(above: list[str], leaf: str, given_: int) -> None:
    found = describe(above, leaf, given=min(given_, len(above)))
    assert PACKAGE_ID.fullmatch(found.id) and 0 <= found.position <= 1_000_000
    assert found.id == describe(above, leaf, given=min(given_, len(above))).id


@given(st.binary(max_size=200))
def test_any_package_toml_is_read_or_refused(data: bytes) -> None:
    try:
        parse_toml(data)
    except Refused as error:
        assert error.code == "package-toml-bad"


def test_a_number_of_thousands_of_digits_is_refused_by_name() -> None:
    with pytest.raises(Refused) as caught:
        parse_toml(f"position = {'9' * 5000}".encode())
    assert caught.value.code == "package-toml-bad"
