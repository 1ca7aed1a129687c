"""`teachpoint box index`: the search index by hand; `box serve` starts the same by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sync.box.command_group import box
from sync.command_line import data_option, json_option, show
from sync.errors import Refused
from sync.layout import BoxLayout

if TYPE_CHECKING:
    from rich.console import Console


@box.command("index")
@data_option
@json_option
def index(data: Path, as_json: bool) -> None:
    """Bring the search index up to date now.

    `box serve` does this by itself. The index is made of what the box has and may be deleted
    (`index/` in the data folder) at any time.

    \b
    Example:
      teachpoint box index --data /srv/box
    """
    from edge.indexing import update  # the search engine is loaded only where it is used

    layout = BoxLayout(data)
    if not layout.database.is_file():
        raise Refused("not-a-box", path=data)
    built = update(layout.database, layout.library, layout.index)
    facts = {"kind": built.kind, "resources": built.resources, "generation": built.generation}

    def people(console: Console) -> None:
        words = {"nothing": "The search index is up to date.", "busy": "Another program is at it already."}
        console.print(words.get(built.kind) or f"{built.resources} resources indexed ({built.kind}).")

    show(facts, as_json, people)
