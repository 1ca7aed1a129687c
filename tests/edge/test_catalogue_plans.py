"""How SQLite finds what a page asks for: through an index, whatever the catalogue holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import catalogue
from tests.edge.shelf_rows import add_package, make_database

#: Queries that read a whole table, each with the reason why it may.
READ_ALL = {
    "PACKAGES": "at the start, kept in memory; later only where many were touched at once",
    "TALLIES": "with PACKAGES",
    "OPENED": "once after each opening, only where there is a timetable; a row for each package at most",
    "LAST_RECORD": "a row for each of the few tables that number their rows",
    "NAMED": "only while there is no search index",
}
QUERIES = {name: sql for name, sql in vars(catalogue).items()
           if name.isupper() and name[0] != "_" and isinstance(sql, str) and sql.startswith("SELECT")}


def plan(folder: Path, sql: str) -> list[str]:
    database = make_database(folder)
    add_package(database, "a", "a", [{"name": "x"}])
    rows = database.execute(f"EXPLAIN QUERY PLAN {sql}", ["1"] * sql.count("?"))
    return [str(row[3]) for row in rows]



@pytest.mark.parametrize("name", sorted(QUERIES.keys() - READ_ALL.keys()))
def test_no_page_reads_a_whole_table(tmp_path: Path, name: str) -> None:
    steps = plan(tmp_path, QUERIES[name])
    assert steps
    assert not [step for step in steps if step.startswith("SCAN") or "AUTOMATIC" in step], steps


@pytest.mark.parametrize("name", ["OF_PACKAGE", "NEWEST", "NEWEST_OF_PACKAGE", "BEFORE", "AFTER"])
def test_no_page_sorts(tmp_path: Path, name: str) -> None:
    assert not [step for step in plan(tmp_path, QUERIES[name]) if "TEMP B-TREE" in step]


def test_paging_in_a_package_reads_the_index_alone(tmp_path: Path) -> None:
    assert any("COVERING INDEX resource_order" in step for step in plan(tmp_path, catalogue.OF_PACKAGE))
