"""Every error code has words in both languages, is raised somewhere, and stands in docs/errors.md."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from sync import errors
from sync.error_texts import TEXTS

TOP = Path(__file__).parent.parent
#: Facts that a caller who knows them adds while the error passes (`facts.setdefault`).
ADDED_AT_THE_BORDER = {"package-toml-bad": {"path"}}
KINDS = {"Misused", "Refused", "Unreachable", "NoRoom", "Broken"}


def raised() -> dict[str, tuple[str, set[str] | None]]:
    """code → (kind that is constructed with it, fact names or None where they come from a `**`)."""
    found: dict[str, tuple[str, set[str] | None]] = {}
    for top in ("edge", "sync", "hardware"):
        for file in (TOP / top).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS \
                        and node.args and isinstance(node.args[0], ast.Constant):
                    names = {k.arg for k in node.keywords}
                    facts = None if None in names else {n for n in names if n}
                    code = str(node.args[0].value)
                    before = found.get(code)
                    if before is not None and before[1] is not None and facts is not None:
                        facts &= before[1]
                    found[code] = (node.func.id, facts)
    return found


def mentioned() -> set[str]:
    """Every string constant in the sources: a code may be passed on as a value (a problem's code)."""
    found: set[str] = set()
    for top in ("edge", "sync", "hardware"):
        for file in (TOP / top).rglob("*.py"):
            if file.name != "error_texts.py":
                texts = [n.value for n in ast.walk(ast.parse(file.read_text("utf-8")))
                         if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                found |= {word for text in texts for word in (text, *re.findall(r"'([a-z-]+)'", text))}
    return found


def test_each_code_that_is_raised_has_words() -> None:
    assert set(raised()) - set(TEXTS) == set()


def test_each_text_belongs_to_a_code_in_the_sources() -> None:
    assert set(TEXTS) - mentioned() == set()


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_words_are_whole_in_both_languages(code: str) -> None:
    assert set(TEXTS[code]) == {"en", "zh"}
    fields = [{name for _, name, _, _ in string.Formatter().parse(part) if name}
              for language in ("en", "zh") for part in TEXTS[code][language]]
    assert fields[0] == fields[2], "both languages tell the same facts"
    for language in ("en", "zh"):
        what, advice = TEXTS[code][language]
        assert what.strip() and advice.strip()
    assert any("一" <= c <= "鿿" for c in "".join(TEXTS[code]["zh"]))


@pytest.mark.parametrize(("code", "kind_and_facts"), sorted(raised().items()))
def test_each_raise_gives_the_facts_its_words_name(
        code: str, kind_and_facts: tuple[str, set[str] | None]) -> None:
    _, facts = kind_and_facts
    if facts is None:
        return
    named = {name for part in TEXTS[code]["en"] for _, name, _, _ in string.Formatter().parse(part) if name}
    assert named - facts <= ADDED_AT_THE_BORDER.get(code, set())


def test_an_error_renders_names_that_are_not_utf8() -> None:
    error = errors.Refused("file-vanished", path="caf\udce9")
    assert "caf\\udce9" in error.message("en")
    assert error.as_json()["error"]["code"] == "file-vanished"  # type: ignore[index]
