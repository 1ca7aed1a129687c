from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.database import FrozenDatabase, open_database, open_read_only, thawed, transaction
from sync.errors import Broken, NoRoom
from tests.small_disk import break_disk, fill, small_ext4

SCHEMA = Migrations("test-database")


@SCHEMA()
def m001(db: Database) -> None:
    db.execute("CREATE TABLE fact (id INTEGER PRIMARY KEY AUTOINCREMENT, text BLOB NOT NULL)")


def count(database: Database) -> int:
    return int(database.execute("SELECT count(*) FROM fact").fetchone()[0])


def test_a_full_disk_is_told_as_no_room_and_leaves_the_connection_usable(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.db", SCHEMA)
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(NoRoom) as caught, transaction(database):
        database.execute("INSERT INTO fact (text) VALUES (?)", [b"x" * 100_000])
    assert caught.value.code == "disk-full"
    assert str(caught.value.facts["path"]).endswith("a.db")
    assert not database.conn.in_transaction
    assert count(database) == 0
    database.execute(f"PRAGMA max_page_count={pages + 1000}")
    with transaction(database):
        database.execute("INSERT INTO fact (text) VALUES ('y')")
    assert count(database) == 1


def test_a_commit_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.db", SCHEMA)
    database.execute("CREATE TABLE child (parent INTEGER REFERENCES fact(id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), transaction(database):
        database.execute("INSERT INTO child VALUES (99)")  # noticed by COMMIT only
    assert not database.conn.in_transaction
    with transaction(database):
        database.execute("INSERT INTO fact (text) VALUES ('y')")
    other = open_database(tmp_path / "a.db", SCHEMA)
    assert count(other) == 1


def test_another_writer_that_does_not_let_go_is_told_as_busy(tmp_path: Path) -> None:
    one = open_database(tmp_path / "a.db", SCHEMA)
    two = open_database(tmp_path / "a.db", SCHEMA)
    two.execute("PRAGMA busy_timeout=10")
    with transaction(one):
        with pytest.raises(Broken) as caught, transaction(two):
            pass
        assert caught.value.code == "database-busy"
    with transaction(two):
        pass


def test_an_inner_transaction_is_a_savepoint(tmp_path: Path) -> None:
    database = open_database(tmp_path / "a.db", SCHEMA)
    with transaction(database):
        database.execute("INSERT INTO fact (text) VALUES ('kept')")
        with pytest.raises(ValueError, match="inner"), transaction(database):
            database.execute("INSERT INTO fact (text) VALUES ('dropped')")
            raise ValueError("inner")
    assert count(database) == 1


@pytest.mark.root
def test_a_database_that_has_no_room_to_be_opened_is_not_called_broken(tmp_path: Path) -> None:
    with small_ext4(tmp_path, 8) as disk:
        open_database(disk / "a.db", SCHEMA).conn.close()
        filler = fill(disk)
        with pytest.raises(NoRoom) as caught:
            open_database(disk / "a.db", SCHEMA)
        assert caught.value.code == "disk-full"
        filler.unlink()
        assert count(open_database(disk / "a.db", SCHEMA)) == 0


@pytest.mark.root
@pytest.mark.parametrize("wal", ["none", "none, but its index", "whole", "its head only", "no WAL at all"])
def test_a_disk_that_refuses_writes_is_read_whatever_the_last_writer_left(tmp_path: Path, wal: str) -> None:
    """After an error the kernel refuses writes without calling the disk read-only."""
    with small_ext4(tmp_path, 16) as disk:
        path, beside = disk / "a.db", disk / "a.db-wal"
        database = open_database(path, SCHEMA)
        with transaction(database):
            database.execute("INSERT INTO fact (text) VALUES ('old')")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with transaction(database):
            database.execute("INSERT INTO fact (text) VALUES ('new')")
        left = {name: (disk / name).read_bytes() for name in ("a.db", "a.db-wal", "a.db-shm")}
        database.close()
        if wal != "none":
            path.write_bytes(left["a.db"])
            (disk / "a.db-shm").write_bytes(left["a.db-shm"])
        if wal in ("whole", "its head only"):
            beside.write_bytes(left["a.db-wal"][:None if wal == "whole" else 32])
        if wal == "no WAL at all":
            beside.write_bytes(b"x" * 5000)
        break_disk(disk)
        for database in (open_database(path, SCHEMA), open_read_only(path)):
            assert count(database) == (2 if wal in ("whole", "none") else 1)
            assert not thawed(database)
            if isinstance(database, FrozenDatabase):
                with pytest.raises(Broken) as caught, transaction(database):
                    database.execute("INSERT INTO fact (text) VALUES ('never')")
                assert caught.value.code == "disk-failing"
            database.close()
