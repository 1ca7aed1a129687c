from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.indexing import syllables
from edge.terms import MOST_CUTS, cuts, fold, name_terms, pinyin_spelling, query_words, text_terms


def finds(query: str, name: str) -> bool:
    terms = name_terms((name,), syllables)
    words = query_words(query)
    return bool(words) and all(any(set(way) <= terms for way in word.ways) for word in words)


@pytest.mark.parametrize("query", [
    "大", "青树", "大青树", "大青树下的小学", "dqs", "DQS", "qsx", "dqsxdxx", "daqingshu", "da qing shu",
    "daqings", "qingsh", "d", "da", "dà qīng", "树 小学"])
def test_ways_to_find_a_chinese_title(query: str) -> None:
    assert finds(query, "大青树下的小学")


@pytest.mark.parametrize("query", ["树大", "大树", "dsq", "shuqing", "daqingshe", "q s", ""])
def test_what_does_not_find_it(query: str) -> None:
    assert finds(query, "大青树下的小学") == (query == "q s")  # two words that begin so: both are there


@pytest.mark.parametrize(("query", "name"), [
    ("hel", "Hello, World"), ("WORLD", "Hello, World"), ("ｈｅｌｌｏ", "Hello"), ("1", "第01课"),
    ("01", "第01课"),
    ("photosynthesi", "Photosynthesis"), ("lv", "绿色"), ("lu", "绿色"), ("lüse", "绿色"), ("nver", "女儿"),
    ("xian", "西安"), ("cafe", "Café"), ("བོད", "བོད་ཡིག"), ("монг", "Монгол хэл"), ("ئۇيغ", "ئۇيغۇر تىلى"),
    ("don't", "Don't cry"), ("grade3", "Grade 3"), ("２０２６", "2026年")])
def test_scripts_and_spellings(query: str, name: str) -> None:
    assert finds(query, name)


def test_pinyin_does_not_run_over_borders() -> None:
    assert not finds("qs", "大青。树下")
    assert not finds("青树", "大青 树下")


def test_texts_have_no_beginnings_and_no_pinyin() -> None:
    assert text_terms("春眠 Hello 07") == {"春", "眠", "春眠", "=hello", "=07", "=7"}


def test_every_syllable_of_a_reader_is_known_or_nothing() -> None:
    assert pinyin_spelling("lüè") == "lue"
    assert pinyin_spelling("nv") == "nu"
    assert pinyin_spelling("ê") in ("e", "")
    assert pinyin_spelling("Beijing") == ""


def test_cuts_are_bounded() -> None:
    assert ("xi", "an") in cuts("xian")
    assert len(cuts("a" * 40)) <= MOST_CUTS
    assert len(cuts("xianxianxianxianxianxianxianxian")) <= MOST_CUTS
    assert cuts("b" * 40) == []
    assert cuts("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab1") == []


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_query_and_a_name(text: str) -> None:
    assert len(query_words(text)) <= 12
    terms = name_terms((text,), syllables) | text_terms(text)
    assert not any(" " in term or not term for term in terms)
    assert isinstance(fold(text), str)


@given(st.text(alphabet="大青树下的小学ab 1，", min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_name_is_found_by_itself(name: str) -> None:
    assert not query_words(name) or finds(name, name)
