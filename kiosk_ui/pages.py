"""Rendering: `render("today.html", "zh-CN", lessons=…)` gives the page's HTML in that language.

Templates are given plain values and cannot reach anything else. Whatever stands in a value is
escaped; what a template asks for and is not given is an error, not an empty place.
"""

from __future__ import annotations

import gettext
import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from kiosk_ui.i18n import DEFAULT, LANGUAGES, LOCALES, translations

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
#: The templates that the box's first page is made of.
FIRST_PAGE = ("today.html", "base.html", "_parts.html", "_notices.html")

#: Cards of lessons kept for each language: about 1 KB each; what is new is on several pages.
MOST_CARDS = 1000

#: A language tag that may stand in an attribute (RFC 5646, the common part).
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
#: Chinese characters: enough to tell a Chinese title from a Latin one.
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LATIN = re.compile("[A-Za-z]")
_ISO_DURATION = re.compile(r"P(?:(\d{1,3})D)?T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,7})(?:\.\d+)?S)?")


def render(template: str, language: str, **values: Any) -> str:
    """The HTML of a page of `templates/` in one of LANGUAGES."""
    return environment(language).get_template(template).render(**values)


def prepare() -> None:
    """Have the templates of the first page ready before it is asked for, in the usual language: compiling
    them takes longer than all else that a page needs."""
    for name in FIRST_PAGE:
        environment(DEFAULT).get_template(name)


@lru_cache(maxsize=len(LANGUAGES))
def environment(language: str) -> Environment:
    """The templates in one language; kept, so that each template is compiled once."""
    language = language if language in LOCALES else DEFAULT
    words = translations(language)
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False, extensions=["jinja2.ext.i18n"])
    templates.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        words.gettext, words.ngettext, newstyle=True)
    templates.globals.update(
        language=language, static=static_address, has_static=has_static,
        lang_of=lambda text, declared="": lang_of(text, declared, language), lesson_card=_cards(templates))
    templates.filters.update(
        bytes=bytes_text, duration=duration_text, words=words_html, address_words=address_html,
        ago=lambda seconds: ago_text(words, seconds))
    return templates


def _cards(templates: Environment) -> Callable[..., Markup]:
    """The macro `lesson_card`, each card made once: it is most of what a list of lessons costs."""
    @lru_cache(maxsize=MOST_CARDS)
    def made(facts: tuple[tuple[str, Any], ...], level: str) -> Markup:
        card: Markup = templates.get_template("_parts.html").module.lesson_card(  # type: ignore[attr-defined]
            dict(facts), level)
        return card

    return lambda lesson, level="h3": made(tuple(lesson.items()), level)


@lru_cache(maxsize=64)
def static_address(name: str) -> str:
    """The address of a file of `static/`; it changes with the file, so browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:10]}"


@lru_cache(maxsize=64)
def has_static(name: str) -> bool:
    """Is this file of `static/` there? What others wrote comes at set-up, by hardware/setup/install.sh."""
    return (STATIC / name).is_file()


def lang_of(text: object, declared: str, page: str) -> Markup:
    """The attribute ` lang="…"` for words that are not in the page's language, else nothing."""
    words = str(text)
    if declared and LANGUAGE_TAG.fullmatch(declared):
        tag = declared
    elif _HAN.search(words):
        tag = "zh-CN"
    elif _LATIN.search(words):
        tag = "en"
    else:
        return Markup("")
    if tag.split("-")[0].lower() == page.split("-")[0]:
        return Markup("")
    return Markup(' lang="') + escape(tag) + Markup('"')


def words_html(text: object) -> Markup:
    """Words with `commands` in backticks, as the texts of errors have them: those as code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # a lone one is meant as it stands
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
                           for place, part in enumerate(parts))


def address_html(address: object) -> Markup:
    """An address that may break after its `//` and before each other slash, without the last slash that
    nobody types."""
    scheme, slashes, rest = str(address).rstrip("/").partition("//")
    return Markup("{}{}<wbr>{}").format(scheme, slashes, Markup("<wbr>/").join(rest.split("/")))


def bytes_text(count: int) -> str:
    """A size for people: `0 B`, `12 KB`, `3.4 MB`, with a space that does not break."""
    value = float(max(count, 0))
    for unit in ("B", "KB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            digits = 1 if unit in ("MB", "GB") and value < 99.95 else 0
            return f"{value:.{digits}f}\u00a0{unit}".replace(".0\u00a0", "\u00a0")
        value /= 1000
    raise AssertionError


def duration_text(iso: str) -> str:
    """`PT1H2M3S` as `1:02:03`, `PT75S` as `1:15`; nothing for what is not understood."""
    match = _ISO_DURATION.fullmatch(iso)
    if not match:
        return ""
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def ago_text(words: gettext.NullTranslations, seconds: float) -> str:
    """How long ago, for people; a clock that was set back in between says "just now"."""
    ngettext: Callable[[str, str, int], str] = words.ngettext
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return words.gettext("just now")
    if hours < 1:
        return ngettext("%(num)d minute ago", "%(num)d minutes ago", minutes) % {"num": minutes}
    if days < 1:
        return ngettext("%(num)d hour ago", "%(num)d hours ago", hours) % {"num": hours}
    return ngettext("%(num)d day ago", "%(num)d days ago", days) % {"num": days}
