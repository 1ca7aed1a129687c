"""Whatever a page can say, it says in both languages; the catalogues are what the sources say now."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from kiosk_ui.extract import SOURCES, compiled, messages, updated
from kiosk_ui.i18n import LOCALES, catalogue_file, compiled_file
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


@pytest.mark.parametrize("locale", LOCALES.values())
def test_pages_read_what_the_catalogue_says(locale: str) -> None:
    assert compiled_file(locale).read_bytes() == compiled(catalogue_file(locale).read_bytes()), (
        "run python -m kiosk_ui.extract")


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
