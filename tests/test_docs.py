"""The pages tell the truth: links lead somewhere, what they say can be typed, and nothing is left out."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import click
import pytest

from sync.error_texts import TEXTS
from teachpoint import teachpoint
from tests.edge.classroom import make_room
from tests.edge.programs_app import make_programs

TOP = Path(__file__).parent.parent
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", *sorted(DOCS.rglob("*.md"))]
#: Pages written from the sources; they name files and codes, not what to type.
GENERATED = {"errors.md", "architecture.md"}

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(teachpoint [^`]+)`")
_CALL = re.compile(r"""(?:^|[\s(;&|])(teachpoint(?: (?:'[^'\n]*'|"[^"\n]*"|[^'"|;&)\n])*)?)""")


def page_id(page: Path) -> str:
    return str(page.relative_to(TOP))


def commands() -> Iterator[tuple[str, click.Command]]:
    """`hub site add` → its command, for each that a person may call."""
    def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield " ".join(words), command
            return
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from walk(found, (*words, name))
    return walk(teachpoint, ())


COMMANDS = dict(commands())


def calls(page: Path) -> Iterator[str]:
    """Every `teachpoint …` that a page shows: in blocks of commands and in the running text."""
    text = page.read_text("utf-8")
    for language, block in _BLOCK.findall(text):
        if language in ("sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                yield from _CALL.findall(line.partition(" #")[0])
    yield from _INLINE.findall(_BLOCK.sub("", text))


def _written() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_pages", DOCS / "write_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for link in _LINK.findall(re.sub(r"`[^`]*`", "", _BLOCK.sub("", page.read_text("utf-8")))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(TOP), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_how_it_is_called(name: str) -> None:
    command = COMMANDS[name]
    with click.Context(command, info_name=f"teachpoint {name}") as context:
        text = command.get_help(context)
    examples = re.findall(rf"^ +(teachpoint {name}\b.*)$", text, re.MULTILINE)
    assert examples, text
    for example in examples:
        parse(example)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{parameter.opts} has no words"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_is_in_the_pages(name: str) -> None:
    pages = "\n".join(page.read_text("utf-8") for page in PAGES if page.name not in GENERATED)
    assert re.search(rf"\b{name}\b", pages)
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            named = [option for option in parameter.opts if re.search(rf"(?<![\w-]){option}\b", pages)]
            assert named, parameter.opts


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in GENERATED], ids=page_id)
def test_what_the_pages_tell_to_type_is_understood(page: Path) -> None:
    for call in calls(page):
        parse(call)


def test_there_are_calls_to_look_at() -> None:
    """So that a change of the pages' style does not blind the test above."""
    assert len([call for page in PAGES for call in calls(page)]) > 40


def parse(call: str) -> None:
    """Fail unless there is such a command with such options. Arguments may be placeholders."""
    words = [word for word in shlex.split(call)[1:] if word not in ("…", "...")]
    command: click.Command = teachpoint
    context = click.Context(teachpoint, info_name="teachpoint")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, call
        command = found
        context = click.Context(command, info_name=command.name, parent=context)
    if not isinstance(command, click.Group):
        try:
            command.make_parser(context).parse_args(words)
        except click.UsageError as error:
            raise AssertionError(f"{call}: {error.format_message()}") from error


@pytest.mark.parametrize("name", ["errors", "architecture"])
def test_the_pages_made_of_the_sources_are_fresh(name: str) -> None:
    expected = getattr(_written(), f"{name}_page")()
    assert (DOCS / f"{name}.md").read_text("utf-8") == expected, "run: python docs/write_pages.py"


def test_every_error_code_has_its_heading() -> None:
    heads = set(re.findall(r"^## (\S+)$", (DOCS / "errors.md").read_text("utf-8"), re.MULTILINE))
    assert heads == set(TEXTS)


def test_every_address_of_the_box_is_in_the_api_page(tmp_path: Path) -> None:
    for name in ("pages", "programs"):
        (tmp_path / name).mkdir()
    room, programs = make_room(tmp_path / "pages"), make_programs(tmp_path / "programs")
    page = (DOCS / "api.md").read_text("utf-8")
    said = {re.sub(r"<[^>]+>", "<>", address) for address in re.findall(r"`(?:[A-Z]+ )?(/[^`\s?]*)", page)}
    rules = {re.sub(r"<[^>]+>", "<>", rule.rule)
             for app in (room.app, room.content, programs.app) for rule in app.url_map.iter_rules()}
    assert "/healthz" in rules and rules - said == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_names_a_registry_or_somebodys_machine(page: Path) -> None:
    hosts = "|".join(map(re.escape, ("pypi.org", "pythonhosted.org", "npmjs.org", "npmjs.com",
                                     "deb.debian.org", "proxy.golang.org", "crates.io")))
    found = re.findall(rf"{hosts}|(?<![\w.])/(?:work|root|home)/\S+", page.read_text("utf-8"))
    assert found == []


def test_the_readme_says_no_more_than_two_commands_to_begin() -> None:
    """README: on a bare machine, `make demo` and `make test`; both are targets of the Makefile."""
    [block] = [block for _, block in _BLOCK.findall((TOP / "README.md").read_text("utf-8"))]
    targets = re.findall(r"^make (\w+)", block, re.MULTILINE)
    assert targets == ["demo", "test"]
    dry = subprocess.run(["make", "-n", *targets], cwd=TOP, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr
