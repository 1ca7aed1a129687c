"""The languages of the pages: which one a reader gets, and its words.

Message ids are the English text, as written in templates and code. The catalogues
`translations/<locale>/LC_MESSAGES/messages.po` are read as they are, compiled in memory once a
process (a few milliseconds), so that a checkout, an installed package and the one-file executable
work alike and nothing compiled can be out of date. `python -m kiosk_ui.extract` brings them up to date.

    words = translations("zh-CN")
    words.gettext("Today"), words.ngettext("%(num)d lesson", "%(num)d lessons", 3) % {"num": 3}
"""

from __future__ import annotations

import gettext
import io
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
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    locale = LOCALES.get(language, LOCALES[DEFAULT])
    with catalogue_file(locale).open("rb") as file:
        catalogue = read_po(file)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def catalogue_file(locale: str) -> Path:
    """Where the catalogue of `zh_CN` or `en` lies."""
    return FOLDER / locale / "LC_MESSAGES" / "messages.po"


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
