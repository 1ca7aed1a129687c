"""Values as people read them: sizes, durations, ages, languages, commands inside words."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from kiosk_ui import pages
from kiosk_ui.i18n import choose, translations


@pytest.mark.parametrize(("count", "text"), [
    (-5, "0 B"), (0, "0 B"), (999, "999 B"), (1000, "1 KB"), (999_499, "999 KB"), (999_500, "1 MB"),
    (3_400_000, "3.4 MB"), (99_960_000, "100 MB"), (21_400_000_000, "21.4 GB"), (4 * 10**12, "4000 GB")])
def test_sizes(count: int, text: str) -> None:
    assert pages.bytes_text(count) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(("iso", "text"), [
    ("PT75S", "1:15"), ("PT1H2M3S", "1:02:03"), ("PT3M20.5S", "3:20"), ("P1DT1H", "25:00:00"), ("", ""),
    ("an hour", ""), ("PT99999999999S", ""), ("PT5S<b>", "")])
def test_durations(iso: str, text: str) -> None:
    assert pages.duration_text(iso) == text


def test_ages() -> None:
    english, chinese = (translations(language) for language in ("en", "zh-CN"))
    assert [pages.ago_text(english, age) for age in (-5, 59, 60, 7300, 86400, 9 * 86400)] == [
        "just now", "just now", "1 minute ago", "2 hours ago", "1 day ago", "9 days ago"]
    assert [pages.ago_text(chinese, age) for age in (0, 60, 7300, 86400)] == [
        "刚刚", "1 分钟前", "2 小时前", "1 天前"]


def test_commands_inside_words_are_code_and_all_is_escaped() -> None:
    assert pages.words_html("<b> run `ls <x>` & go") == "&lt;b&gt; run <code>ls &lt;x&gt;</code> &amp; go"
    assert pages.words_html("a ` lone one <i>") == "a ` lone one &lt;i&gt;"
    assert pages.address_html("http://<x>:80/") == "http://<wbr>&lt;x&gt;:80"
    assert pages.address_html("http://a:80/plan/<x>") == "http://<wbr>a:80<wbr>/plan<wbr>/&lt;x&gt;"


@pytest.mark.parametrize(("text", "declared", "page", "attribute"), [
    ("大青树", "", "zh-CN", ""), ("大青树", "", "en", ' lang="zh-CN"'),
    ("大青树", "", "zh-CN", ""), ("大青树", "", "en", ' lang="zh-CN"'),
    ("Frogs", "", "zh-CN", ' lang="en"'), ("Frogs", "fr", "en", ' lang="fr"'),
    ("123", "", "en", ""), ("Frogs", '"><script>', "zh-CN", ' lang="en"')])
def test_words_of_another_language_are_marked(text: str, declared: str, page: str, attribute: str) -> None:
    assert pages.lang_of(text, declared, page) == attribute


@pytest.mark.parametrize(("wish", "header", "language"), [
    (None, None, "zh-CN"), ("en", "zh", "en"), ("xx", "en-GB,en;q=0.9", "en"),
    (None, "fr, en;q=0.5, zh;q=0.7", "zh-CN"), (None, "zh;q=0, en;q=0.1", "en"), (None, "x" * 5000, "zh-CN"),
    (None, ";;q=,,", "zh-CN"), (None, "zh-TW", "zh-CN")])
def test_the_language_of_a_reader(wish: str | None, header: str | None, language: str) -> None:
    assert choose(wish, header) == language


def test_a_value_that_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        pages.render("error.html", "en")


def test_a_card_is_made_once_for_all_that_it_shows() -> None:
    lesson = {"name": "春晓", "language": "zh-CN", "subject": "语文", "book": "", "address": "/p/a",
              "colour": 1, "character": "语", "types": (("video", 2),), "left": 0}
    card = pages.environment("en").globals["lesson_card"]
    first = card(lesson, "h3")
    assert card({**lesson}, "h3") is first and "<h3" in first and "/p/a" in first and "Video" in first
    others = [{"name": "静夜思"}, {"address": "/p/b"}, {"types": (("video", 3),)}, {"types": ()}, {"left": 7},
              {"subject": "数学"}, {"book": "人教版"}, {"colour": 2}, {"character": "数"}, {"language": "en"}]
    assert len({first, *(card({**lesson, **other}, "h3") for other in others)}) == 1 + len(others)
    assert "<h4" in card(lesson, "h4") and "<h3" in card(lesson, "h3")
    assert "视频" in pages.environment("zh-CN").globals["lesson_card"](lesson)
