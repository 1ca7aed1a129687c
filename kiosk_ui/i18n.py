"""The languages of the pages: which one a reader gets, and its words.

Message ids are the English text, as written in templates and code. The catalogues
`translations/<locale>/LC_MESSAGES/messages.po` are for people; pages read `messages.mo`, which Babel compiles
of them. Both are kept up to date by `python -m kiosk_ui.extract`, and a test holds them to each other: Babel
itself takes 20 ms to load, before the first page, and 3 MB of an idle box.

    words = translations("zh-CN")
    words.gettext("Today"), words.ngettext("%(num)d lesson", "%(num)d lessons", 3) % {"num": 3}
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "translations"

#: Language tag, as in HTML's `lang` → name of the catalogue's folder. The first is the default.
LOCALES = {"zh-CN": "zh_CN", "en": "en"}
LANGUAGES = tuple(LOCALES)
DEFAULT = LANGUAGES[0]

#: Longest Accept-Language that is looked at, in characters; browsers send under 200.
MOST_HEADER = 1000


def mark(text: str) -> str:
    """Mark `text` for the catalogues where it stands; it is translated where it is shown."""
    return text


@lru_cache(maxsize=len(LOCALES))
def translations(language: str) -> gettext.GNUTranslations:
    """The words of one of LANGUAGES; any other tag gets the default's."""
    with compiled_file(LOCALES.get(language, LOCALES[DEFAULT])).open("rb") as file:
        return gettext.GNUTranslations(file)


def catalogue_file(locale: str) -> Path:
    """Where the catalogue of `zh_CN` or `en` lies."""
    return FOLDER / locale / "LC_MESSAGES" / "messages.po"


def compiled_file(locale: str) -> Path:
    """… and what pages read of it."""
    return catalogue_file(locale).with_suffix(".mo")


def choose(wish: str | None, accept_language: str | None) -> str:
    """The language for a reader: what was chosen on the page, else what the browser asks for.

    `wish` is the value of the cookie, `accept_language` the request header; both may be anything.
    """
    if wish in LOCALES:
        return str(wish)
    for tag in _wanted(accept_language or ""):
        if tag == "zh" or tag.startswith("zh-"):
            return "zh-CN"
        if tag == "en" or tag.startswith("en-"):
            return "en"
    return DEFAULT


def _wanted(header: str) -> Iterator[str]:
    weighed = []
    for order, part in enumerate(header[:MOST_HEADER].split(",")):
        match = re.fullmatch(r"\s*([A-Za-z0-9-]{1,40})\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", part)
        if match:
            weight = float(match[2] or 1)
            if weight > 0:
                weighed.append((-weight, order, match[1].lower()))
    return (tag for _, _, tag in sorted(weighed))
