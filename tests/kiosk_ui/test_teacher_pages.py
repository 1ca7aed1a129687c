"""The teacher's pages quote the screen: every bold word in them is what the pages say, in that language."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from kiosk_ui.extract import messages
from kiosk_ui.i18n import translations
from tests.e2e import test_teachers_day

DOCS = Path(__file__).parents[2] / "docs"


def said(language: str) -> list[re.Pattern[str]]:
    """Everything the pages say; what they fill in is written `…` in the documents."""
    words = translations(language).gettext
    texts = [words(message.id) for message in messages() if isinstance(message.id, str) and message.id]
    return [re.compile("…".join(re.escape(part) for part in re.split(r"%\(\w+\)[a-z]", text)))
            for text in texts]


@pytest.mark.parametrize(("name", "language"), [
    ("teacher.md", "en"), ("teacher.zh.md", "zh-CN"),
    ("teachers-day.md", "en"), ("teachers-day.zh.md", "zh-CN")])
def test_the_words_of_the_screen_are_quoted_as_they_are(name: str, language: str) -> None:
    text = " ".join((DOCS / name).read_text("utf-8").split())
    quoted = re.findall(r"\*\*(.+?)\*\*", text)
    patterns = said(language)
    assert len(quoted) > 20
    assert [words for words in quoted if not any(one.fullmatch(words) for one in patterns)] == []


def test_both_pages_say_the_same_things() -> None:
    english, chinese = ((DOCS / name).read_text("utf-8") for name in ("teacher.md", "teacher.zh.md"))
    for mark in ("## ", "\n* ", "\n| **", "\n1. ", "\n5. ", "!["):
        assert english.count(mark) == chinese.count(mark), mark
    for text in (english, chinese):
        for linked in re.findall(r"\]\(([^)]+)\)", text):
            assert (DOCS / linked).is_file(), linked


def test_each_task_of_the_day_is_tested_at_each_size_and_nothing_else_is() -> None:
    """docs/teachers-day.md and tests/e2e/test_teachers_day.py name the same tasks, in the same order."""
    english, chinese = ((DOCS / f"teachers-day{name}.md").read_text("utf-8") for name in ("", ".zh"))
    heads = re.findall(r"^## (\d+)\. (.+)$", english, re.MULTILINE)
    tasks = [f"test_{int(number):02}_" + re.sub(r"\W+", "_", head.lower().replace("'", ""))
             for number, head in heads]
    tests = [name for name, value in vars(test_teachers_day).items() if name.startswith("test_")]
    assert 12 <= len(tasks) <= 18 and tests == tasks
    assert [number for number, _ in heads] == re.findall(r"^## (\d+)\. ", chinese, re.MULTILINE)
    for name in tests:
        assert "day" in inspect.signature(getattr(test_teachers_day, name)).parameters, name
    assert list(test_teachers_day.SIZES) == [390, 1024, 1920]
