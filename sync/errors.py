"""Every error a person can meet: a stable code, a kind that decides the exit status, two languages.

The tree is split by who can act. A foreign exception is wrapped at the border, once, into one of
these; nothing else reaches a user. Texts stand in `sync/error_texts.py` and may change; codes may not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from sync.error_texts import TEXTS


def language() -> str:
    """`zh` or `en`, from TEACHPOINT_LANG, LC_ALL, LC_MESSAGES or LANG; English where none says."""
    for variable in ("TEACHPOINT_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


class TeachpointError(Exception):
    """Something that has a code, an explanation and advice. Base of all; raise a subclass.

    `facts` are the values the texts name (paths, sizes, hosts); they are also given with `--json`.
    """

    exit_code: ClassVar[int] = 1
    #: Will the same call succeed later without anybody doing anything?
    retry_helps: ClassVar[bool] = False

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        super().__init__(code)

    def message(self, lang: str | None = None) -> str:
        """What happened, and to what."""
        return self._render(0, lang)

    def advice(self, lang: str | None = None) -> str:
        """What is still safe, and what to do next."""
        return self._render(1, lang)

    def _render(self, which: int, lang: str | None) -> str:
        text = TEXTS[self.code][lang or language()][which]
        shown = {name: _printable(value) for name, value in self.facts.items()}
        return text.format_map(_Facts(shown))

    def as_json(self) -> dict[str, object]:
        """The one shape of an error in JSON: `{"error": {"code", "message", "advice", "facts"}}`."""
        facts = {k: v if isinstance(v, int | float | bool) else _printable(v)
                 for k, v in self.facts.items()}
        return {"error": {"code": self.code, "message": self.message(),
                          "advice": self.advice(), "facts": facts}}

    def __str__(self) -> str:
        return f"{self.message()} [{self.code}]"


class Misused(TeachpointError):
    """The caller asked for something that makes no sense. Exit status 2."""

    exit_code = 2


class Refused(TeachpointError):
    """What was given is bad, untrusted or not allowed; nothing was changed. Exit status 3."""

    exit_code = 3


class Unreachable(TeachpointError):
    """The other side can't be reached, or the link broke. Exit status 4. Trying again can help."""

    exit_code = 4
    retry_helps = True


class NoRoom(TeachpointError):
    """The disk (or its inodes, or the budget) is full. Exit status 5."""

    exit_code = 5


class Broken(TeachpointError):
    """Our own machine is not as it must be: a program missing, a port taken, a disk failing."""

    exit_code = 1


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _printable(value: object) -> str:
    """Text that any terminal and JSON writer can take, also where a file name is not UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def in_words(problem: Mapping[str, Any], language: str) -> dict[str, str]:
    """A recorded problem (`{code, facts}`) in a language tag's words: `{code, message, advice}`; one that
    this version does not know as it came."""
    code, short = str(problem.get("code") or ""), language.split("-")[0]
    if code in TEXTS:
        known = TeachpointError(code, **{str(k): v for k, v in (problem.get("facts") or {}).items()})
        return {"code": code, "message": known.message(short), "advice": known.advice(short)}
    return {"code": code, "message": str(problem.get("message") or code),
            "advice": str(problem.get("advice") or "")}
