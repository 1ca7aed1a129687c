"""`python docs/write_pages.py` writes the pages that are made of the sources: `errors.md`, `architecture.md`.

A test holds that it was run after the last change.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from sync.error_texts import TEXTS

DOCS = Path(__file__).parent
TOP = DOCS.parent

ROOMS = {
    "sync": "what hub and box share",
    "sync/box": "the box's end of the link",
    "sync/hub": "the hub's end",
    "edge": "the box in the classroom",
    "kiosk_ui": "what people see",
    "hardware": "the appliance",
    "hardware/demo": "the demo",
}

_HEAD = """\
# Architecture: which file does what

Read `sync/__init__.py` for the words and [format.md](format.md) for what travels. Imports go one way:
`edge → sync.box → sync ← sync.hub`; `teachpoint.py` imports the rooms' commands; `kiosk_ui` is given plain
data and imports nothing of ours; `hardware` may import `sync`. `tests/test_room_imports.py` holds it, and
that what decides (`trust`, `plan`, `manifest`, `segment`, `desired`) does no input or output.

Data flows one way, too:

    hub     folder → describe, extract → publish → library, hub.db → feed
    down    feed → trusted → shelf → plan → transport → staging → store → shelf → catalogue → pages
    up      page → journal → segment → outbox → transport → inbox → ingest → hub.db → feed (acknowledgement)

The first sentence of each file says what it is; this list is made of them (`python docs/write_pages.py`).
"""


def errors_page() -> str:
    """errors.md: a heading a code, its words and advice in both languages."""
    parts = ["# Error codes 错误代码\n\n"
             "Codes never change; `{…}` stands for the facts of the case. "
             "Exit statuses: 0 done · 1 our machine is not as it must be · 2 wrong usage · 3 refused · "
             "4 the other side can't be reached · 5 no room.\n"]
    for code in sorted(TEXTS):
        parts.append(f"\n## {code}\n")
        for language in ("zh", "en"):
            what, advice = TEXTS[code][language]
            parts.append(f"\n{what}\n{advice}\n")
    return "".join(parts)


def architecture_page() -> str:
    """architecture.md: each room's files with the first sentence of each."""
    parts = [_HEAD]
    for room, what in ROOMS.items():
        parts.append(f"\n## {room}/: {what}\n")
        parts += [f"- `{name}`: {sentence}\n" for name, sentence in _files(TOP / room)]
    return "".join(parts)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.py")):
        words = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        if file.name not in ("__init__.py", "__main__.py"):
            yield file.name, " ".join(words.partition("\n\n")[0].split())


if __name__ == "__main__":
    (DOCS / "errors.md").write_text(errors_page(), "utf-8")
    (DOCS / "architecture.md").write_text(architecture_page(), "utf-8")
