"""Lesson plans: resources that a teacher has gathered, in order, with notes. Tables `plan`, `planned`.

A plan is its teacher's to change and everybody's to open, by its address: short, random letters. It names
resources by package and id, so it goes on to the new version of a lesson; of what is no longer here the name
stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlite_utils import Database

from edge.catalogue import ResourceRow
from sync.clock import Clock
from sync.database import transaction
from sync.errors import Refused
from sync.text import CLEAR_LETTERS, one_line

#: Letters of a plan's address: typed on a pupil's tablet.
ID_LENGTH = 6
#: Plans of one teacher, entries of a plan.
MOST_PLANS, MOST_ENTRIES = 200, 60
#: Characters of a name and of a note, which may have several lines.
MOST_NAME, MOST_NOTE = 100, 500


@dataclass(frozen=True)
class Entry:
    """A resource in a plan; `name` is what it was called when it was put in."""

    package: str
    resource: str
    name: str
    note: str

    @property
    def key(self) -> str:
        """Names it in a form."""
        return f"{self.package} {self.resource}"


@dataclass(frozen=True)
class Plan:
    """A lesson plan. `changed` counts up with each change."""

    id: str
    teacher: int
    name: str
    note: str
    changed: int
    entries: tuple[Entry, ...] = ()


class Plans:
    """The plans of one box. One for each thread, as the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    def of(self, teacher: int) -> list[dict[str, Any]]:
        """A teacher's plans as plain values, the newest first."""
        rows = self.database.execute("SELECT id, name, (SELECT count(*) FROM planned WHERE plan = plan.id) "
                                     "FROM plan WHERE teacher = ? ORDER BY created DESC, id", [teacher])
        return [{"id": id_, "name": name, "entries": count} for id_, name, count in rows]

    def find(self, id_: str) -> Plan | None:
        """The plan of this address, or None."""
        row = self.database.execute("SELECT id, teacher, name, note, changed FROM plan WHERE id = ?",
                                    [id_]).fetchone()
        if row is None:
            return None
        entries = tuple(Entry(*one) for one in self.database.execute(
            "SELECT package, resource, name, note FROM planned WHERE plan = ? ORDER BY position", [id_]))
        id_, teacher, name, note, changed = row
        return Plan(id_, teacher, name, note, changed, entries)

    def make(self, teacher: int, name: str) -> str:
        """A new plan, empty; its address. Raises Refused `plan-nameless`, `plans-many`."""
        name = one_line(name, MOST_NAME)
        if not name:
            raise Refused("plan-nameless")
        with transaction(self.database):
            if len(self.of(teacher)) >= MOST_PLANS:
                raise Refused("plans-many", most=MOST_PLANS)
            id_ = self._fresh()
            self.database.execute("INSERT INTO plan VALUES (?, ?, ?, '', 1, ?)",
                                  [id_, teacher, name, self.clock.now()])
        return id_

    def add(self, plan: Plan, row: ResourceRow, note: str) -> None:
        """Put a resource at the end; one that is there keeps its place and gets the note. Raises Refused
        `plan-full`."""
        with transaction(self.database):
            now = self.find(plan.id)
            entries = list(now.entries) if now else []
            for place, one in enumerate(entries):
                if (one.package, one.resource) == (row.package, row.id):
                    entries[place] = Entry(one.package, one.resource, row.name, words(note) or one.note)
                    break
            else:
                entries.append(Entry(row.package, row.id, row.name, words(note)))
            self._write(plan, plan.name, plan.note, entries)

    def change(self, plan: Plan, form: Mapping[str, str], keys: Sequence[str]) -> None:
        """Take over what was filled in: `name`, `note`, and for each of `keys`, in that order, `note <key>`.
        What the form does not name stays, at the end: another page may have put it in meanwhile."""
        with transaction(self.database):
            now = self.find(plan.id)
            there = {one.key: one for one in now.entries} if now else {}
            chosen = [there.pop(key) for key in dict.fromkeys(keys) if key in there]
            entries = [replace(one, note=words(form.get(f"note {one.key}", one.note))) for one in chosen]
            self._write(plan, one_line(form.get("name", ""), MOST_NAME) or plan.name,
                        words(form.get("note", plan.note)), [*entries, *there.values()])

    def take_out(self, plan: Plan, key: str) -> None:
        """Remove an entry."""
        now = self.find(plan.id)
        if now is not None:
            self._write(now, now.name, now.note, [one for one in now.entries if one.key != key])

    def move(self, plan: Plan, key: str, by: int) -> None:
        """Move an entry up (-1) or down (1)."""
        now = self.find(plan.id)
        entries = list(now.entries) if now else []
        place = next((place for place, one in enumerate(entries) if one.key == key), None)
        if now is None or place is None or not 0 <= place + by < len(entries):
            return
        entries[place], entries[place + by] = entries[place + by], entries[place]
        self._write(now, now.name, now.note, entries)

    def remove(self, plan: Plan) -> None:
        """Delete a plan."""
        with transaction(self.database):
            self.database.execute("DELETE FROM plan WHERE id = ?", [plan.id])

    def _write(self, plan: Plan, name: str, note: str, entries: Sequence[Entry]) -> None:
        if len(entries) > MOST_ENTRIES:
            raise Refused("plan-full", most=MOST_ENTRIES)
        with transaction(self.database):
            self.database.execute("UPDATE plan SET name = ?, note = ?, changed = changed + 1 WHERE id = ?",
                                  [name, note, plan.id])
            self.database.execute("DELETE FROM planned WHERE plan = ?", [plan.id])
            self.database.conn.executemany("INSERT INTO planned VALUES (?, ?, ?, ?, ?, ?)", [
                (plan.id, place, one.package, one.resource, one.name, one.note)
                for place, one in enumerate(entries)])

    def _fresh(self) -> str:
        while True:
            id_ = "".join(secrets.choice(CLEAR_LETTERS) for _ in range(ID_LENGTH))
            if self.find(id_) is None:
                return id_


def words(text: str) -> str:
    """A note: lines without what steers a terminal or turns the direction, within its bound."""
    lines = (one_line(line, MOST_NOTE) for line in text.replace("\r\n", "\n").split("\n"))
    return "\n".join(lines).strip()[:MOST_NOTE]
