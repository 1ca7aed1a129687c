"""The documentation is tested: each command and error code stands in it, and no link leads nowhere."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from teachpoint import teachpoint

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]


def commands(group: click.Group = teachpoint,
             words: str = "teachpoint") -> Iterator[tuple[str, click.Command]]:
    """(words, command) of every command for people."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}", command


@pytest.mark.parametrize(("words", "command"), list(commands()), ids=[w for w, _ in commands()])
def test_each_command_stands_in_a_page_with_help_and_an_example(words: str, command: click.Command) -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert words in text or words.removeprefix("teachpoint ") in text
    help_text = command.get_help(click.Context(command, info_name=words))
    assert f"{words} " in help_text.partition("Options:")[0].replace("Usage: ", "", 1) \
        or words in (command.help or ""), "an example"
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"{words} {option.opts} has no help"


def written() -> Any:
    """docs/write_pages.py as a module."""
    spec = importlib.util.spec_from_file_location("write_pages", TOP / "docs" / "write_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_made_of_the_sources_are_up_to_date() -> None:
    pages = written()
    for name, page in (("errors.md", pages.errors_page()), ("architecture.md", pages.architecture_page())):
        assert (TOP / "docs" / name).read_text("utf-8") == page, "run: python docs/write_pages.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_link_leads_nowhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_each_file_says_what_it_is() -> None:
    page = written().architecture_page()
    empty = [line for line in page.splitlines() if line.startswith("- `") and line.endswith(": ")]
    assert empty == []
