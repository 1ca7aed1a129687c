"""Opening SQLite the same way everywhere: WAL, migrations by name, durable where it must be.

The schema of each role is a `Migrations` object of sqlite-utils beside the code that uses it
(`sync/hub/schema.py`, `sync/box/schema.py`); a migration once released is never edited.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.errors import Broken

#: How long a writer waits for another, in milliseconds, before "database is locked".
BUSY_TIMEOUT_MS = 30_000


def open_database(path: Path, migrations: Migrations) -> Database:
    """Open `path` (made if missing), bring it to the newest schema, and return it.

    `synchronous=FULL`: what a transaction confirmed is on the disk. The connection may be used
    from several threads, one at a time; give each thread its own where they work in parallel.

    Raises Broken `database-newer` (written by a later version), `database-broken`.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False,
                                     isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        database = Database(connection)
        ours = {migration.name for migration in migrations._migrations}
        for applied in migrations.applied(database):
            if applied.name not in ours:
                raise Broken("database-newer", path=path, migration=applied.name)
        if migrations.pending(database):
            migrations.apply(database)
    except sqlite3.DatabaseError as error:
        raise Broken("database-broken", path=path, reason=error) from error
    return database


def open_read_only(path: Path) -> Database:
    """Open an existing database for reading only; never migrates. Raises Broken `database-broken`."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True,
                                     timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False,
                                     isolation_level=None)
        connection.execute("PRAGMA query_only=ON")
    except sqlite3.DatabaseError as error:
        raise Broken("database-broken", path=path, reason=error) from error
    return Database(connection)


@contextmanager
def transaction(database: Database) -> Iterator[Database]:
    """One atomic write. Takes the write lock at once (BEGIN IMMEDIATE), so that two writers wait
    for each other instead of failing in the middle; inside another transaction, a savepoint.
    """
    if database.conn.in_transaction:
        with database.atomic():
            yield database
        return
    database.conn.execute("BEGIN IMMEDIATE")
    try:
        yield database
    except BaseException:
        database.conn.rollback()
        raise
    database.conn.execute("COMMIT")


def execute_each(database: Database, statements: str) -> None:
    """Run SQL statements separated by `;` one by one, inside the running transaction.

    (`executescript` would commit it.) No statement may contain a `;` of its own.
    """
    for statement in statements.split(";"):
        if statement.strip():
            database.execute(statement)
