"""The journal: all that happened at this box, numbered, never edited (docs/format.md §6).

Promise: once `append` has returned and the caller's transaction is committed, the record is on the disk,
its number stands for nothing else ever, and it stays until the hub has said that it has it.
"""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from sync.canonical import canonical
from sync.clock import SYSTEM, Clock
from sync.database import transaction
from sync.segment import MOST_SEQ, Record, line

#: Name of the setting that says what the box's clock is worth; `unknown` where it is not set.
CLOCK_QUALITY = "clock_quality"
UNKNOWN_QUALITY = "unknown"


class Journal:
    """The journal of the box whose database this is. One for each thread, as the database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM) -> None:
        self.database = database
        self.clock = clock

    def append(self, kind: str, body: dict[str, Any]) -> int:
        """Add a record and return its number. Inside the caller's `transaction(database)` it is
        written with what it tells of, or not at all; else in one of its own.

        Raises Refused `record-bad` (no JSON of ours, or larger than a line may be); NoRoom
        `disk-full` and Broken as `transaction`: nothing is written then, and reading goes on.
        """
        time = min(max(int(self.clock.now()), 0), MOST_SEQ)
        with transaction(self.database):
            quality = self._clock_quality()
            # What cannot be sent must not be written: the number counts no more than 16 digits.
            line(Record(seq=MOST_SEQ, time=time, clock_quality=quality, kind=kind, body=body))
            cursor = self.database.execute(
                "INSERT INTO journal (time, clock_quality, kind, body) VALUES (?, ?, ?, ?)",
                [time, quality, kind, canonical(body).decode()])
            seq = cursor.lastrowid
        if seq is None:
            raise AssertionError("an insert has a row id")
        return int(seq)

    def last_seq(self) -> int:
        """The number of the newest record ever appended, also where it has been deleted since."""
        row = self.database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
        return int(row[0]) if row else 0

    def unacknowledged(self) -> int:
        """How many records the hub has not acknowledged."""
        return int(self.database.execute("SELECT count(*) FROM journal").fetchone()[0])

    def _clock_quality(self) -> str:
        row = self.database.execute("SELECT value FROM setting WHERE name = ?",
                                    [CLOCK_QUALITY]).fetchone()
        return str(row[0]) if row else UNKNOWN_QUALITY
