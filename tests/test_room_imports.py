"""The direction of imports (DESIGN.md §4): a rule for each room, with its reason, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
OURS = ("edge", "sync", "kiosk_ui", "hardware", "teachpoint", "bench", "tests")

#: room → (what it may import of ours, why not more). The longest matching prefix names the room.
RULES: dict[str, tuple[tuple[str, ...], str]] = {
    "sync": (("sync",), "what hub and box share knows neither of them"),
    "sync.box": (("sync", "sync.box"), "the box knows the hub only through the format"),
    "sync.hub": (("sync", "sync.hub", "kiosk_ui"), "the hub knows the box only through the format"),
    "edge": (("edge", "sync", "sync.box", "kiosk_ui"), "the classroom never reaches into a hub"),
    "kiosk_ui": (("kiosk_ui",), "what people see is given plain data"),
    "hardware": (("hardware", "sync"), "the appliance sees programs and files, not rooms"),
    "hardware.demo": (("hardware.demo",), "the demo is a user: it runs the installed command"),
    "teachpoint": (("sync.command_line", "sync.version", "sync.box.command_group", "sync.hub.commands",
                    "edge.commands", "hardware.commands"),
                   "the command line only assembles the rooms' commands"),
}

#: Decide what is trusted and what comes next: code that opens no file and no socket.
NO_IO = [path for path in ("sync/trust.py", "sync/plan.py", "sync/manifest.py", "sync/segment.py",
                           "sync/desired.py", "sync/policy.py", "sync/timetable.py", "sync/order.py",
                           "sync/canonical.py", "sync/errors.py")
         if (TOP / path).exists()]
IO_MODULES = {"socket", "subprocess", "sh", "shutil", "tempfile", "sqlite3", "sqlite_utils", "urllib",
              "http", "io", "sync.durable", "sync.programs", "sync.database", "sync.store"}


#: Moves what a stranger sent, relative to open folders, so that a swapped link leads nowhere; durability of
#: refused files does not matter.
FOREIGN = "sync/hub/foreign.py"


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module of ours outside the tests."""
    for top in ("edge", "sync", "kiosk_ui", "hardware"):
        for file in sorted((TOP / top).rglob("*.py")):
            parts = file.relative_to(TOP).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file
    yield "teachpoint", TOP / "teachpoint.py"


def imports(file: Path) -> Iterator[str]:
    """Each module that `file` imports, also inside functions; `from a import b` counts as a and a.b."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the direction"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str, known: tuple[str, ...] | dict[str, tuple[tuple[str, ...], str]] = RULES) -> str:
    """The longest known prefix of a dotted name, or ""."""
    return max((r for r in known if name == r or name.startswith(r + ".")), key=len, default="")


@pytest.mark.parametrize(("name", "file"), list(modules()), ids=[name for name, _ in modules()])
def test_imports_go_one_way(name: str, file: Path) -> None:
    allowed, reason = RULES[room(name)]
    for imported in imports(file):
        if imported.split(".")[0] not in OURS:
            continue
        if name == "teachpoint":
            assert any(imported == a or imported.startswith(a + ".") or a.startswith(imported + ".")
                       for a in allowed), f"{name} imports {imported}: {reason}"
        else:
            assert room(imported) in allowed, f"{name} imports {imported}: {reason}"


@pytest.mark.parametrize("path", NO_IO)
def test_what_decides_does_no_io(path: str) -> None:
    for imported in imports(TOP / path):
        assert imported not in IO_MODULES and imported.split(".")[0] not in IO_MODULES - {"sync"}, \
            f"{path} decides without input or output, but imports {imported}"
    calls = {node.func.id for node in ast.walk(ast.parse((TOP / path).read_text("utf-8")))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "open" not in calls, f"{path} opens a file"


def test_time_files_and_children_have_one_place_each() -> None:
    """`time`, `os.replace` and other programs are reached through one module each."""
    only = {"time": {"sync/clock.py"}, "subprocess": set[str](), "sh": {"sync/programs.py"},
            "multiprocessing": set[str]()}
    found = []
    for _, file in modules():
        path = str(file.relative_to(TOP))
        if path.startswith("hardware/demo/"):
            continue  # a user of the installed command, from outside
        for imported in imports(file):
            if imported in only and path not in only[imported]:
                found.append(f"{path} imports {imported}")
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if path != FOREIGN and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) \
                    and (node.value.id, node.attr) in {("os", "replace"), ("os", "rename"), ("os", "system")}:
                found.append(f"{path} calls {node.value.id}.{node.attr}")
    assert found == []
