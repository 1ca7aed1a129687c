"""Databases of every released version open here, keep all that stood in them, and go on from there.

`tests/golden/databases/<version>/` holds what a hub and a box of that version had written, as SQL. A new
version adds its own once (TEACHPOINT_WRITE_GOLDEN=1) and never changes an older one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.schema import MIGRATIONS as BOX
from sync.box.state import open_box
from sync.database import open_database, transaction
from sync.errors import Broken, TeachpointError
from sync.hub.schema import MIGRATIONS as HUB
from sync.hub.settings import open_hub
from sync.version import VERSION
from tests.golden_files import GOLDEN
from tests.sync_box.shelf_stage import Joined, join

DUMPS = GOLDEN / "databases"
ROLES: dict[str, Migrations] = {"hub": HUB, "box": BOX}
OLD = sorted(DUMPS.glob("*/*.sql"))
STEPS = [(role, number) for role, migrations in ROLES.items()
         for number in range(1, len(migrations._migrations))]
#: Kept by triggers, so it is made of the rows of another table, not copied.
DERIVED = {"tally"}


def dump(database: Path) -> str:
    """All of a database as SQL."""
    with sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def restored(file: Path, into: Path) -> Path:
    """A database with what the dump says."""
    with sqlite3.connect(into) as connection:
        connection.executescript(file.read_text("utf-8"))
    connection.close()
    return into


def tables(database: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of ours."""
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_sqlite_migrations' "
            "AND name NOT LIKE 'sqlite_stat%' ORDER BY name")]
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}


def schema(database: Path) -> list[tuple[str, str, str]]:
    """Everything that the schema says, without our tool's own table."""
    with sqlite3.connect(database) as connection:
        return sorted((kind, name, " ".join((sql or "").split())) for kind, name, sql in connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE tbl_name != '_sqlite_migrations'"))


def made(database: Path, migrations: Migrations, count: int) -> Path:
    """A database as it was when only the first `count` migrations existed."""
    left = migrations._migrations[count:]
    migrations.apply(Database(sqlite3.connect(database, isolation_level=None)),
                     stop_before=left[0].name if left else None)
    return database


def assert_kept(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]) -> None:
    """Each old row is there once, with each old value."""
    for name, rows in before.items():
        columns = list(rows[0]) if rows else []
        kept = [{column: row[column] for column in columns} for row in after[name]]
        if name == "sqlite_sequence":  # tables that are new count, too
            there = {row["name"] for row in rows}
            kept = [row for row in kept if row["name"] in there]
        assert kept == rows, name


def assert_sound(database: Database) -> None:
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def lived_in(place: Path) -> Joined:
    """A hub and a box that have done a little of everything."""
    pair = join(place)
    pair.lesson("大青树", 课文="早晨", 词语="坪坝")
    pair.sync()
    pair.lesson("大青树", 课文="早晨，从山坡上", 词语="坪坝")
    pair.lesson("花的学校", 课文="雷云")
    journal = Journal(pair.box.database, pair.clock)
    box = pair.box
    outbox = Outbox(box.layout, box.database, journal, box.pairing, box.box_id, pair.clock)
    journal.append("resource-opened", {"package": "大青树", "resource": "r"})
    (work := place / "教案.txt").write_text("背诵", "utf-8")
    outbox.add_upload(work, name="教案.txt", title="教案", license="CC BY 4.0")
    pair.sync()
    pair.ingest()
    journal.append("resource-opened", {"package": "花的学校", "resource": "r"})
    pair.sync()
    return pair


def test_this_version_has_left_its_databases(tmp_path: Path) -> None:
    """So that the next version's migrations are tried on them. Written once, before the release."""
    folder = DUMPS / VERSION
    if os.environ.get("TEACHPOINT_WRITE_GOLDEN") and not folder.exists():
        pair = lived_in(tmp_path)
        folder.mkdir(parents=True)
        for role, layout in (("hub", pair.hub.layout), ("box", pair.box.layout)):
            text = dump(layout.database).replace(str(tmp_path), "/srv")
            (folder / f"{role}.sql").write_text(text, "utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["box.sql", "hub.sql"]


@pytest.mark.parametrize("file", OLD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_released_database_opens_and_keeps_its_rows(file: Path, tmp_path: Path) -> None:
    migrations = ROLES[file.stem]
    path = restored(file, tmp_path / "old.db")
    before = tables(path)
    full = [name for name, rows in before.items() if rows]
    assert len(full) >= 6, "the golden file tells of something"
    database = open_database(path, migrations)
    assert migrations.pending(database) == []
    assert_kept(before, tables(path))
    assert_sound(database)
    assert schema(path) == schema(made(tmp_path / "new.db", migrations, len(migrations._migrations)))


@pytest.mark.parametrize("file", OLD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_released_migration_was_not_edited(file: Path, tmp_path: Path) -> None:
    """What the old version made by its migrations, today's migrations of the same names make."""
    migrations = ROLES[file.stem]
    old = restored(file, tmp_path / "old.db")
    applied = [one.name for one in migrations.applied(Database(sqlite3.connect(old)))]
    assert applied == [one.name for one in migrations._migrations[:len(applied)]]
    assert schema(old) == schema(made(tmp_path / "new.db", migrations, len(applied)))


@pytest.mark.parametrize(("role", "count"), STEPS)
def test_each_step_keeps_what_the_steps_before_it_held(role: str, count: int, tmp_path: Path) -> None:
    """Also inside a version: rows in a database that stopped at step `count` are there after the others."""
    migrations = ROLES[role]
    path = made(tmp_path / "part.db", migrations, count)
    source = tables(restored(DUMPS / VERSION / f"{role}.sql", tmp_path / "whole.db"))
    with sqlite3.connect(path) as connection:
        for name in [name for name in tables(path) if name not in DERIVED]:
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({name})")]
            if name == "sqlite_sequence":
                connection.execute("DELETE FROM sqlite_sequence")
            for row in source.get(name, ()):  # what no release had yet is empty
                had = [column for column in columns if column in row]
                connection.execute(f"INSERT INTO {name} ({', '.join(had)}) VALUES "
                                   f"({', '.join('?' * len(had))})", [row[column] for column in had])
    connection.close()
    before = tables(path)
    database = open_database(path, migrations)
    assert migrations.pending(database) == []
    assert_kept({name: rows for name, rows in before.items() if name not in DERIVED}, tables(path))
    assert_sound(database)
    if role == "box":
        assert tables(path)["tally"] == source["tally"], "counted from the rows that were there"


def test_an_old_box_goes_on_where_it_was(tmp_path: Path) -> None:
    """Record numbers go on, what was not acknowledged is still sent, nothing is sent as if it were new."""
    pair = join(tmp_path)
    box = pair.box.layout.database
    pair.box.database.conn.close()
    for leftover in box.parent.glob("box.db*"):
        leftover.unlink()
    restored(DUMPS / "0.1.0" / "box.sql", box)
    before = tables(box)
    numbers = [row["seq"] for row in before["journal"]]
    opened = open_box(pair.box.layout.data, pair.clock)
    assert opened.box_id == next(row["value"] for row in before["setting"] if row["name"] == "box")
    journal = Journal(opened.database, pair.clock)
    assert journal.append("resource-opened", {"package": "p", "resource": "r"}) == max(
        [*numbers, *(row["seq"] for row in before["sqlite_sequence"] if row["name"] == "journal")]) + 1


@pytest.mark.parametrize("role", ROLES)
def test_a_database_of_a_newer_version_is_refused_and_left_alone(role: str, tmp_path: Path) -> None:
    pair = join(tmp_path)
    layout = pair.hub.layout if role == "hub" else pair.box.layout
    database = pair.hub.database if role == "hub" else pair.box.database
    with transaction(database):
        database.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
                         [ROLES[role].name, "m999_of_tomorrow", "2030-01-01"])
        database.execute("CREATE TABLE tomorrow (fact TEXT)")
    database.conn.close()
    before = dump(layout.database)
    with pytest.raises(TeachpointError) as caught:
        if role == "hub":
            open_hub(layout.data)
        else:
            open_box(layout.data)
    assert isinstance(caught.value, Broken) and caught.value.code == "database-newer"
    assert caught.value.facts["migration"] == "m999_of_tomorrow"
    assert dump(layout.database) == before


def test_a_migration_that_is_cut_off_is_done_again(tmp_path: Path) -> None:
    """The power goes in the middle of one: the database is as before it, and the next start finishes it."""
    path = restored(DUMPS / "0.1.0" / "hub.sql", tmp_path / "hub.db")
    open_database(path, HUB).conn.close()
    before = tables(path)
    ours = Migrations(HUB.name)
    for one in HUB._migrations:
        ours(name=one.name)(one.fn)
    failing = True

    @ours(name="m900_next")
    def m900_next(db: Database) -> None:
        db.execute("ALTER TABLE site ADD COLUMN next TEXT")
        db.execute("DELETE FROM record")
        if failing:
            raise KeyboardInterrupt

    shutil.copy(path, tmp_path / "other.db")
    with pytest.raises(KeyboardInterrupt):
        open_database(path, ours)
    assert tables(path) == before
    failing = False
    database = open_database(path, ours)
    assert ours.pending(database) == [] and tables(path)["record"] == []
