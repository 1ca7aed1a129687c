"""How this box is switched off: a command that the appliance gives, as words; none where it may not.

`box serve` has no right of its own to switch a machine off, and on many it shall not: then it is not offered.
"""

from __future__ import annotations

import shlex

import msgspec
from sqlite_utils import Database

from sync import programs
from sync.box.journal import Journal
from sync.box.setting import drop_setting, read_setting, write_setting
from sync.database import transaction
from sync.errors import Misused

#: Setting: the command as a JSON list of words.
SHUTDOWN = "shutdown_command"
#: How long the command may take, in seconds: it asks the system and returns.
PATIENCE_S = 60.0
MOST_CHARACTERS = 500


def shutdown_command(database: Database) -> list[str]:
    """The words of the command; none where the box may not be switched off."""
    text = read_setting(database, SHUTDOWN)
    return msgspec.json.decode(text, type=list[str]) if text else []


def set_shutdown_command(database: Database, text: str) -> list[str]:
    """Set it, as one would type it; empty: take it away. Raises Misused `shutdown-command-bad`; Broken
    `program-missing`."""
    try:
        words = shlex.split(text[:MOST_CHARACTERS + 1])
    except ValueError as error:
        raise Misused("shutdown-command-bad", command=text, reason=str(error)) from error
    if len(text) > MOST_CHARACTERS:
        raise Misused("shutdown-command-bad", command=text[:40], reason=f"longer than {MOST_CHARACTERS}")
    if not words:
        drop_setting(database, SHUTDOWN)
        return []
    programs.require(words[0])
    write_setting(database, SHUTDOWN, msgspec.json.encode(words).decode())
    return words


def note_shutdown(journal: Journal, login: str) -> None:
    """Tell the hub who switches the box off; the clock it is told by is what the record has."""
    with transaction(journal.database):
        journal.append("switched-off", {"login": login})


def switch_off(words: list[str]) -> None:
    """Run the command. Raises as `programs.run`."""
    programs.run(words[0], *words[1:], timeout_s=PATIENCE_S)
