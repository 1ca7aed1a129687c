"""What a person should know of at this box: rows of the table `problem`, until they have gone.

A problem that appears is also told to the hub, as a record of the journal; it is told again only when
it has gone and come back.
"""

from __future__ import annotations

from typing import Any

from sync.box.journal import Journal
from sync.canonical import canonical
from sync.database import transaction
from sync.errors import TeachpointError


def set_problem(journal: Journal, error: TeachpointError) -> bool:
    """Keep `error` as a problem; True if it was not one already. Its facts are those of the last time,
    `since` that of the first. Raises as `transaction`."""
    database = journal.database
    facts = facts_kept(error)
    text = canonical(facts).decode()
    row = database.execute("SELECT facts FROM problem WHERE code = ?", [error.code]).fetchone()
    if row is not None and row[0] == text:
        return False
    with transaction(database):
        database.execute("INSERT INTO problem VALUES (?, ?, ?) ON CONFLICT (code) DO UPDATE "
                         "SET facts = excluded.facts", [error.code, text, journal.clock.now()])
        if row is None:
            journal.append("problem", {"code": error.code, "facts": facts})
    return row is None


def clear_problem(journal: Journal, code: str) -> bool:
    """The problem has gone; True if there was one. Raises as `transaction`."""
    if journal.database.execute("SELECT 1 FROM problem WHERE code = ?", [code]).fetchone() is None:
        return False
    with transaction(journal.database):
        journal.database.execute("DELETE FROM problem WHERE code = ?", [code])
    return True


#: Longest value of a fact kept, in characters: a path, an address, a reason.
_MOST_FACT_CHARACTERS = 1000


def facts_kept(error: TeachpointError) -> dict[str, Any]:
    """The facts as what a record or a setting can hold: no floats, no endless texts, no half characters."""
    return {name: value if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53)
            else str(value).encode("utf-8", "backslashreplace").decode()[:_MOST_FACT_CHARACTERS]
            for name, value in error.facts.items()}
