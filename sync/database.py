"""Opening SQLite the same way everywhere: WAL, migrations by name, durable where it must be.

The schema of each role is a `Migrations` object of sqlite-utils beside the code that uses it
(`sync/hub/schema.py`, `sync/box/schema.py`); a migration once released is never edited.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.durable import refuses_writes
from sync.errors import Broken, NoRoom
from sync.file_lock import exclusive
from sync.reserve import give_reserve

#: What SQLite says where it can write neither the WAL nor its index.
_FROZEN_CODES = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
                           sqlite3.SQLITE_PROTOCOL})
#: How a WAL begins (SQLite, "The Database File Format", §4.1), in either byte order of its checksums.
_WAL_MAGIC, _WAL_HEAD_BYTES = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"), 32
#: How long a writer waits for another, in milliseconds, before "database is locked".
BUSY_TIMEOUT_MS = 30_000


def open_database(path: Path, migrations: Migrations) -> Database:
    """Open `path` (made if missing), bring it to the newest schema, and return it.

    `synchronous=FULL`: what a transaction confirmed is on the disk. The connection may be used
    from several threads, one at a time; give each thread its own where they work in parallel.

    On a disk that has become read-only it is opened as it is (`FrozenDatabase`): reading goes on, and each
    `transaction` raises Broken `disk-failing`.

    Raises Broken `database-newer` (written by a later version), and as `transaction`.
    """
    if path.is_file() and _known_frozen(path):
        return _open_frozen(path)
    give_reserve(path.parent)
    there = path.is_file()
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
            # Two that open a new database at once must not both make its tables.
            with exclusive(path.with_name(f"{path.name}.lock"), BUSY_TIMEOUT_MS / 1000):
                if migrations.pending(database):
                    migrations.apply(database)
    except sqlite3.DatabaseError as error:
        if there and _frozen(path, error):
            return _open_frozen(path)
        _raise_ours(str(path), error)
        raise Broken("database-broken", path=path, reason=error) from error
    return database


def open_read_only(path: Path) -> Database:
    """Open an existing database for reading only; never migrates. Raises Broken `database-broken`."""
    if path.is_file() and _known_frozen(path):
        return _open_frozen(path)
    try:
        return Database(_connect_for_reading(path, "mode=ro"))
    except sqlite3.DatabaseError as error:
        if path.is_file() and _frozen(path, error):
            return _open_frozen(path)
        raise Broken("database-broken", path=path, reason=error) from error


class FrozenDatabase(Database):
    """A database on a disk that is read-only: nobody writes to it, and it need not be locked."""


def thawed(database: Database) -> bool:
    """Was it opened on a read-only disk, and is the disk writable now? Then it must be opened again."""
    if not isinstance(database, FrozenDatabase):
        return False
    path = Path(_path(database))
    return os.access(path, os.W_OK) and not refuses_writes(path.parent)


def _known_frozen(path: Path) -> bool:
    """Is it clear before SQLite tries? It would try for ten seconds with a WAL that has no transaction."""
    wal = path.with_name(f"{path.name}-wal")
    return (not os.access(path, os.W_OK)
            or (wal.exists() and not _has_transactions(wal) and refuses_writes(path.parent)))


def _frozen(path: Path, error: sqlite3.DatabaseError) -> bool:
    """Could SQLite not open it because nothing can be written there? After an error the kernel refuses writes
    without calling the disk read-only, and SQLite has no one word for it."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _FROZEN_CODES and refuses_writes(path.parent)


def _open_frozen(path: Path) -> Database:
    # Its newest transactions are in the WAL, which is read by way of its index. SQLite cannot make that one
    # here if it is missing: then the database is read as it is.
    transactions = _has_transactions(path.with_name(f"{path.name}-wal"))
    for how in ("mode=ro", "mode=ro&immutable=1") if transactions else ("mode=ro&immutable=1",):
        try:
            return FrozenDatabase(_connect_for_reading(path, how))
        except sqlite3.DatabaseError as error:
            failure = error
    raise Broken("database-broken", path=path, reason=failure) from failure


def _has_transactions(wal: Path) -> bool:
    """Does it begin as a WAL does, and has it more than its head?"""
    try:
        with wal.open("rb") as handle:
            head = handle.read(_WAL_HEAD_BYTES + 1)
    except OSError:
        return False
    return len(head) > _WAL_HEAD_BYTES and head.startswith(_WAL_MAGIC)


def _connect_for_reading(path: Path, how: str) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True,
                                 timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False,
                                 isolation_level=None)
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # only now is the file looked at
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(database: Database) -> Iterator[Database]:
    """One atomic write. Takes the write lock at once (BEGIN IMMEDIATE), so that two writers wait
    for each other instead of failing in the middle; inside another transaction, a savepoint.

    Whatever is raised, also by the commit itself, nothing of it was written, and the connection can
    be used again for reading and for a next try. On a full disk the reserve (`sync.reserve`) is given up
    first, bit by bit.

    Raises NoRoom `disk-full`; Broken `disk-failing`, `database-busy` (another writer held the lock
    for BUSY_TIMEOUT_MS), `database-broken`; and what its body raises.
    """
    if database.conn.in_transaction:
        with database.atomic():
            yield database
        return
    path = _path(database)
    if isinstance(database, FrozenDatabase):
        raise Broken("disk-failing", path=path, reason=os.strerror(errno.EROFS))
    if path:
        give_reserve(Path(path).parent)
    try:
        database.conn.execute("BEGIN IMMEDIATE")
        yield database
        database.conn.execute("COMMIT")
    except BaseException as error:
        database.conn.rollback()
        if isinstance(error, sqlite3.DatabaseError):
            _raise_ours(_path(database), error)
        raise


def _path(database: Database) -> str:
    """Where the database lies; empty for one in memory."""
    return str(database.conn.execute("SELECT file FROM pragma_database_list").fetchone()[0])


def _raise_ours(path: str, error: sqlite3.DatabaseError) -> None:
    """Raise our own error for what the disk or another writer did; return if it is none of that."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the index of the WAL, which the first one makes
        raise NoRoom("disk-full", path=path) from error
    match code & 0xFF:  # the low byte is the primary code
        case sqlite3.SQLITE_FULL:
            raise NoRoom("disk-full", path=path) from error
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            raise Broken("disk-failing", path=path, reason=error) from error
        case sqlite3.SQLITE_BUSY:
            raise Broken("database-busy", path=path) from error
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            raise Broken("database-broken", path=path, reason=error) from error


def execute_each(database: Database, statements: str) -> None:
    """Run SQL statements separated by `;` one by one, inside the running transaction.

    (`executescript` would commit it.) No statement may contain a `;` of its own.
    """
    for statement in statements.split(";"):
        if statement.strip():
            database.execute(statement)
