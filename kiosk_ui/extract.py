"""`python -m kiosk_ui.extract`: bring the message catalogues up to date with templates and code.

Finds each `_("…")`, `ngettext(…)` in the templates and each `mark("…")`, `gettext("…")` in Python,
adds what is new, drops what is gone. What is new stays empty in zh_CN until somebody writes it; in
English it is the message id itself. A test fails while anything is empty, fuzzy or out of date.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from kiosk_ui.i18n import LOCALES, catalogue_file, compiled_file

ROOT = Path(__file__).parent.parent
#: Where marked words may stand; only those of the pages are meant, not the command line's.
SOURCES = ("kiosk_ui/templates/**/*.html", "kiosk_ui/*.py", "edge/*.py", "sync/hub/console*.py")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}


def messages() -> Catalog:
    """All messages that stand in the sources now."""
    found = Catalog(charset="utf-8")
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            method = "jinja2.ext.babel_extract" if path.suffix == ".html" else "python"
            options = {"extensions": "jinja2.ext.i18n", "silent": "false"} if path.suffix == ".html" else {}
            for _line, message, comments, context in extract_from_file(
                    method, path, KEYWORDS, ("Note:",), options):
                found.add(message, None, [(path.relative_to(ROOT).as_posix(), 0)],
                          auto_comments=comments, context=context)
    return found


def updated(locale: str) -> bytes:
    """The catalogue of `locale` as it should stand on the disk."""
    path = catalogue_file(locale)
    catalogue = Catalog(locale=locale, project="teachpoint")
    if path.exists():
        with path.open("rb") as file:
            catalogue = read_po(file, locale=locale)
    catalogue.update(messages(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    if locale == "en":
        for message in catalogue:
            if message.id and not _whole(message):
                message.string = message.id
    out = BytesIO()
    write_po(out, catalogue, width=110, sort_output=True, omit_header=True, include_lineno=False)
    return _HEADER.format(locale=locale, plural=catalogue.plural_forms).encode() + out.getvalue()


def compiled(catalogue: bytes) -> bytes:
    """A catalogue as pages read it; the same bytes each time, whatever the day."""
    out, words = BytesIO(), read_po(BytesIO(catalogue))
    words.creation_date = words.revision_date = datetime.fromtimestamp(0, UTC)
    write_mo(out, words)
    return out.getvalue()


def _whole(message: Message) -> bool:
    """Has it been translated, all its plural forms?"""
    strings = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return all(strings)


#: A header without dates and names, so that extracting twice gives the same bytes.
_HEADER = """\
# The words of the pages. Message ids are the English text; `python -m kiosk_ui.extract` updates this file.
msgid ""
msgstr ""
"Project-Id-Version: teachpoint\\n"
"Language: {locale}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def main() -> None:
    """Rewrite both catalogues, compile them, and say what is missing."""
    for locale in LOCALES.values():
        path = catalogue_file(locale)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue = updated(locale)
        path.write_bytes(catalogue)
        compiled_file(locale).write_bytes(compiled(catalogue))
        missing = [message for message in read_po(BytesIO(catalogue)) if message.id and not _whole(message)]
        sys.stdout.write(f"{path}: {len(missing)} missing\n")
        for message in missing:
            sys.stdout.write(f"  {message.id!r}\n")


if __name__ == "__main__":
    main()
