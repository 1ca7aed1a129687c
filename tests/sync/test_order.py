from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.order import (
    chinese_number,
    edition_key,
    grade_key,
    natural,
    subject_key,
    teaching_key,
    unit_key,
    unit_of,
    volume_key,
)

GRADES = ["托班", "小班", "中班", "大班", "学前", "小学", "一年级", "2年级", "三年级", "四年级", "五年级",
          "六年级", "初中", "七年级", "初二", "九年级", "高中", "高一", "高中二年级", "高三", "成人扫盲", ""]


def test_grades_from_kindergarten_to_the_last_year() -> None:
    shuffled = GRADES[:]
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=grade_key) == GRADES


def test_english_grades_stand_among_chinese_ones() -> None:
    assert sorted(["Grade 10", "Grade 2", "一年级", "Kindergarten", "Grade 1"], key=grade_key) == [
        "Kindergarten", "一年级", "Grade 1", "Grade 2", "Grade 10"]


def test_subjects_as_on_a_timetable() -> None:
    assert sorted(["体育", "英语", "", "天文", "语文", "数学", "音乐"], key=subject_key) == [
        "语文", "数学", "英语", "音乐", "体育", "天文", ""]


def test_volumes_and_editions() -> None:
    assert sorted(["", "全一册", "下册", "必修第二册", "上册", "必修第一册"], key=volume_key) == [
        "上册", "下册", "全一册", "必修第一册", "必修第二册", ""]
    assert sorted(["", "人教版"], key=edition_key) == ["人教版", ""]


@pytest.mark.parametrize(("text", "number"), [
    ("三", 3), ("十", 10), ("十二", 12), ("二十", 20), ("一百零五", 105), ("二〇二六", 2026)])
def test_chinese_numbers(text: str, number: int) -> None:
    assert chinese_number(text) == number


def test_lessons_by_number() -> None:
    names = ["第一课", "第二课", "第十课", "第十一课", "第二十课"]
    assert sorted(["第二十课", "第十课", "第一课", "第十一课", "第二课"], key=natural) == names
    assert natural("第2课") < natural("第10课")


@pytest.mark.parametrize(("part_of", "unit"), [
    ("人教版语文三年级上册 / 第二单元", "第二单元"), ("语文三年级上册", ""), ("", ""),
    ("Book 1 / Unit 3", "Unit 3"), (" / 第一单元", "第一单元"), ("听/说/读/写", ""),
])
def test_a_unit_stands_behind_its_book(part_of: str, unit: str) -> None:
    assert unit_of(part_of) == unit


def test_a_book_goes_unit_by_unit_although_each_counts_its_lessons_from_one() -> None:
    ordered = [("书 / 第一单元", 1), ("书 / 第一单元", 2), ("书 / 第二单元", 1), ("书 / 第十单元", 1),
               ("书", 1)]

    def key(lesson: tuple[str, int]) -> object:
        return teaching_key("三年级", "语文", "人教版", "上册", *lesson, "课")
    shuffled = ordered[::-1]
    assert sorted(shuffled, key=key) == ordered


@given(st.lists(st.text(max_size=12), max_size=8))
@settings(max_examples=150)
def test_any_text_has_a_place(texts: list[str]) -> None:
    for key in (grade_key, subject_key, volume_key, edition_key, unit_key, natural):
        backwards = list(reversed(texts))
        assert [key(t) for t in sorted(backwards, key=key)] == [key(t) for t in sorted(texts, key=key)]
