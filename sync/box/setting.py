"""The table `setting` of box.db: facts about this box, one text for each name.

A value that is the same is not written again, so that a sync that finds nothing new leaves the disk alone.
"""

from __future__ import annotations

from sqlite_utils import Database

from sync.database import transaction


def read_setting(database: Database, name: str, default: str = "") -> str:
    """The value of a setting, or `default` where it was never written."""
    value = _value(database, name)
    return default if value is None else value


def write_setting(database: Database, name: str, value: str) -> bool:
    """Write a setting; False (and nothing written) if it was so already. Raises as `transaction`."""
    if _value(database, name) == value:
        return False
    with transaction(database):
        database.execute("INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
                         "SET value = excluded.value", [name, value])
    return True


def drop_setting(database: Database, name: str) -> bool:
    """Remove a setting; False (and nothing written) if it was not there."""
    if _value(database, name) is None:
        return False
    with transaction(database):
        database.execute("DELETE FROM setting WHERE name = ?", [name])
    return True


def _value(database: Database, name: str) -> str | None:
    row = database.execute("SELECT value FROM setting WHERE name = ?", [name]).fetchone()
    return str(row[0]) if row else None
