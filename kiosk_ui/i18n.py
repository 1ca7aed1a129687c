"""The languages of the pages: which one a reader gets, and its words.

Message ids are the English text, as written in templates and code. The catalogues
`translations/<locale>/LC_MESSAGES/messages.po` are read as they are, compiled in memory once a
process (a few milliseconds), so that a checkout, an installed package and the one-file executable
work alike and nothing compiled can be out of date. `python -m kiosk_ui.extract` brings them up to date.
They are read by the few lines here: Babel, which writes them, takes 20 ms to load and 3 MB of an idle box.

    words = translations("zh-CN")
    words.gettext("Today"), words.ngettext("%(num)d lesson", "%(num)d lessons", 3) % {"num": 3}
"""

from __future__ import annotations

import gettext
import io
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "translations"

#: Language tag, as in HTML's `lang` → name of the catalogue's folder. The first is the default.
LOCALES = {"zh-CN": "zh_CN", "en": "en"}
LANGUAGES = tuple(LOCALES)
DEFAULT = LANGUAGES[0]

_ESCAPED, _ESCAPES = re.compile(r"\\(.)"), {"n": "\n", "t": "\t", "r": "\r"}

#: Longest Accept-Language that is looked at, in characters; browsers send under 200.
MOST_HEADER = 1000


def mark(text: str) -> str:
    """Mark `text` for the catalogues where it stands; it is translated where it is shown."""
    return text


@lru_cache(maxsize=len(LOCALES))
def translations(language: str) -> gettext.GNUTranslations:
    """The words of one of LANGUAGES; any other tag gets the default's."""
    locale = LOCALES.get(language, LOCALES[DEFAULT])
    return gettext.GNUTranslations(io.BytesIO(_compiled(catalogue_file(locale).read_text("utf-8"))))


def _compiled(catalogue: str) -> bytes:
    """A catalogue as gettext reads it (GNU gettext manual, "The Format of GNU MO Files")."""
    messages = sorted((name.encode(), text.encode()) for name, text in _messages(catalogue))
    tables_bytes, at = 8 * len(messages), 28 + 16 * len(messages)
    tables, texts = [], b""
    for column in zip(*messages, strict=True):
        for text in column:
            tables.append(struct.pack("<II", len(text), at + len(texts)))
            texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(messages), 28, 28 + tables_bytes, 0, at)
    return b"".join([head, *tables, texts])


def _messages(catalogue: str) -> Iterator[tuple[str, str]]:
    """(id, translation) of a catalogue as Babel writes it; forms of a plural are joined by zero bytes."""
    for entry in catalogue.split("\n\n"):
        fields: dict[str, str] = {}
        field = ""
        for line in entry.splitlines():
            if not line.startswith("#"):
                name, _, text = line.partition('"')
                field = name.strip() or field  # a line without a name goes on with the field before
                fields[field] = fields.get(field, "") + _ESCAPED.sub(
                    lambda found: _ESCAPES.get(found[1], found[1]), text[:-1])
        names = "\0".join(text for name, text in fields.items() if name.startswith("msgid"))
        texts = [text for name, text in fields.items() if name.startswith("msgstr")]
        guessed = names and "\n#, fuzzy" in f"\n{entry}"  # without a name it is the catalogue's own head
        if all(texts) and not guessed:
            yield names, "\0".join(texts)


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
