"""What taking in counts, and what it leaves for people to see."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from sync.canonical import canonical
from sync.clock import iso
from sync.database import transaction
from sync.errors import TeachpointError
from sync.hub.settings import Hub

#: A refusal is shown as a problem until so long after it last happened, in seconds.
REFUSAL_SHOWN_S = 7 * 86400.0
#: Problems that refusals leave; they go by themselves, because nobody can say when they are mended.
REFUSALS = frozenset({"segment-malformed", "segment-signature", "segment-sealed", "segment-misplaced",
                      "segment-conflict", "inbox-junk", "upload-damaged"})
#: Longest value of a fact kept, in characters: box and stick choose some of them.
MOST_FACT_CHARACTERS = 500


@dataclass
class Ingested:
    """What was taken in: segments, their records, uploaded objects; what was there already
    (`duplicates`), what was refused, and how many segments wait for an earlier one."""

    segments: int = 0
    records: int = 0
    duplicates: int = 0
    refused: int = 0
    objects: int = 0
    waiting: int = 0

    def add(self, other: Ingested) -> None:
        """Add `other` to this."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class Problems:
    """What is to be shown of one site: collected in memory, so that a flood of bad files costs one
    write, and written by `write`."""

    hub: Hub
    site: str
    found: dict[str, tuple[TeachpointError, int]] = field(default_factory=dict)

    def add(self, error: TeachpointError) -> None:
        """One more of this kind; the last one's facts are shown."""
        self.found[error.code] = (error, self.found.get(error.code, (error, 0))[1] + 1)

    def write(self) -> None:
        """Write what was added; drop refusals that are long past. Raises as `transaction`."""
        now = self.hub.clock.now()
        past = [code for code, facts in self.hub.database.execute(
            "SELECT code, facts FROM problem WHERE site = ?", [self.site])
            if code in REFUSALS and code not in self.found
            and abs(now - msgspec.json.decode(facts).get("at", 0)) >= REFUSAL_SHOWN_S]
        if not self.found and not past:
            return
        with transaction(self.hub.database) as database:
            for code in past:
                database.execute("DELETE FROM problem WHERE site = ? AND code = ?", [self.site, code])
            for code, (error, count) in self.found.items():
                facts = {name: str(value).encode("utf-8", "backslashreplace").decode()[:MOST_FACT_CHARACTERS]
                         for name, value in error.facts.items()}
                text = canonical(facts | {"at": int(now), "last": iso(now), "count": count}).decode()
                database.execute("INSERT INTO problem VALUES (?, ?, ?, ?) ON CONFLICT (site, code) "
                                 "DO UPDATE SET facts = excluded.facts", [self.site, code, text, now])
        self.found.clear()

    def gone(self, code: str) -> None:
        """It is not so any more. Raises as `transaction`."""
        if self.hub.database.execute("SELECT 1 FROM problem WHERE site = ? AND code = ?",
                                     [self.site, code]).fetchone():
            with transaction(self.hub.database) as database:
                database.execute("DELETE FROM problem WHERE site = ? AND code = ?", [self.site, code])
