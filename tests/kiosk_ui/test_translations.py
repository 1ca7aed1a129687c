"""Whatever a page can say, it says in both languages; the catalogues are what the sources say now."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from kiosk_ui.extract import SOURCES, messages, updated
from kiosk_ui.i18n import LOCALES, catalogue_file, translations
from kiosk_ui.pages import FOLDER

_HAN = re.compile("[\u4e00-\u9fff]")
_PLACE = re.compile(r"%\(\w+\)[a-z]|%[a-z%]")


def catalogue(locale: str) -> Catalog:
    with catalogue_file(locale).open("rb") as file:
        return read_po(file, locale=locale)


def texts(value: object) -> list[str]:
    """All forms of a message or of its translation."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value or "")]


def said() -> list[Message]:
    return [message for message in messages() if message.id]


@pytest.mark.parametrize("locale", LOCALES.values())
def test_extracting_again_changes_nothing(locale: str) -> None:
    assert updated(locale) == catalogue_file(locale).read_bytes(), "run python -m kiosk_ui.extract"


def test_the_sources_are_found() -> None:
    places = {place for message in said() for place, _line in message.locations}
    assert {"kiosk_ui/templates/today.html", "kiosk_ui/templates/hub.html", "edge/errors.py",
            "edge/uploads.py", "kiosk_ui/pages.py"} <= places, SOURCES


def test_every_message_stands_in_chinese() -> None:
    there = catalogue("zh_CN")
    for message in said():
        found = there.get(message.id, message.context)
        assert found is not None and not found.fuzzy, message.id
        for text in texts(found.string):
            assert text.strip() == text != "", message.id
            assert _HAN.search(text), f"not Chinese: {text!r}"
            assert not re.search("[\u4e00-\u9fff][,;:!?.]", text), f"Latin punctuation: {text!r}"


def test_english_is_the_message_itself() -> None:
    there = catalogue("en")
    for message in said():
        found = there.get(message.id, message.context)
        assert found is not None and texts(found.string) == texts(message.id)


@pytest.mark.parametrize("locale", LOCALES.values())
def test_nothing_that_is_filled_in_gets_lost(locale: str) -> None:
    there = catalogue(locale)
    for message in said():
        found = there.get(message.id, message.context)
        assert found is not None
        wanted = Counter(_PLACE.findall(texts(message.id)[-1]))
        for text in texts(found.string):
            assert Counter(_PLACE.findall(text)) == wanted, (message.id, text)


def test_no_word_of_a_template_is_outside_the_catalogues() -> None:
    """What stands between the tags of a template is marked, bar the product's name and a class."""
    for path in sorted((FOLDER / "templates").glob("*.html")):
        bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<code>.*?</code>|<[^>]*>", " ",
                      path.read_text("utf-8"), flags=re.S)
        assert set(re.findall(r"[A-Za-z\u4e00-\u9fff]{2,}", bare)) <= {"teachpoint", "tall"}, path.name


@pytest.mark.parametrize("language", LOCALES)
def test_pages_read_each_message_as_it_was_written(language: str) -> None:
    there, words = catalogue(LOCALES[language]), translations(language)
    assert len(there) > 400
    for message in there:
        if isinstance(message.id, tuple):
            one, more = message.id
            forms = texts(message.string)
            assert words.ngettext(one, more, 1) == forms[0]
            assert words.ngettext(one, more, 2) == forms[-1]
        elif message.id:
            assert words.gettext(message.id) == message.string


def test_a_message_of_many_lines_and_of_odd_characters_is_read_and_a_guessed_one_is_not(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = Catalog(locale="zh_CN")
    long = "a line, \"quoted\", with a back\\slash\\n and a\ttab\n" * 4
    odd.add(long, long.upper())
    odd.add(("%(num)d day", "%(num)d days"), ("%(num)d 天",))
    odd.add("guessed", "猜", flags=["fuzzy"])
    odd.add("not yet", "")
    with (tmp_path / "messages.po").open("wb") as file:
        write_po(file, odd)
    monkeypatch.setattr("kiosk_ui.i18n.catalogue_file", lambda _locale: tmp_path / "messages.po")
    words = translations.__wrapped__("zh-CN")
    assert words.gettext(long) == long.upper()
    assert words.ngettext("%(num)d day", "%(num)d days", 3) == "%(num)d 天"
    assert words.gettext("guessed") == "guessed"
    assert words.gettext("not yet") == "not yet"
