"""Contacts: each is written, and many together in few transactions."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sync.database import transaction
from sync.errors import NoRoom
from sync.hub import contacts
from sync.hub.contacts import Contacts
from sync.hub.settings import Hub, init_hub


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


def noted(hub: Hub) -> dict[str, float]:
    return dict(hub.database.execute("SELECT site, at FROM contact").fetchall())


def test_a_first_contact_is_written_at_once_and_what_is_left_at_the_end(hub: Hub) -> None:
    gathered = Contacts(hub.layout.data)
    with gathered.running():
        gathered.note("a")
        end = time.monotonic() + 60
        while "a" not in noted(hub) and time.monotonic() < end:
            time.sleep(0.01)
        assert list(noted(hub)) == ["a"]
        first = noted(hub)["a"]
        for number in range(500):
            gathered.note(f"s{number}")
        gathered.note("a")
    assert len(noted(hub)) == 501 and noted(hub)["a"] > first


def test_many_contacts_are_few_transactions(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def counted(database):  # type: ignore[no-untyped-def]
        written.append(1)
        return transaction(database)

    monkeypatch.setattr(contacts, "transaction", counted)
    gathered = Contacts(hub.layout.data)
    with gathered.running():
        for number in range(10_000):
            gathered.note(f"s{number % 700}")
    assert len(noted(hub)) == 700
    assert len(written) <= 3, "the first, those of a few seconds, the last"


def test_a_database_that_takes_nothing_ends_nobodys_link(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_database: object) -> None:
        raise NoRoom("disk-full", path="hub.db")

    monkeypatch.setattr(contacts, "transaction", full)
    gathered = Contacts(hub.layout.data)
    with gathered.running():
        gathered.note("a")
    monkeypatch.undo()
    again = Contacts(hub.layout.data)
    with again.running():
        again.note("b")
    assert list(noted(hub)) == ["b"]
