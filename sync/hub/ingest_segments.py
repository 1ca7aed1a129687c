"""Taking in the segments of one site: which come next, which were here, which are refused
(docs/format.md §6.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sync.canonical import canonical, sha256_hex
from sync.database import transaction
from sync.desired import MOST_BOXES, MOST_WANTED
from sync.errors import Broken, Refused
from sync.hub import keys
from sync.hub.feed import write_feed
from sync.hub.foreign import Foreign, NotAFile
from sync.hub.inbox import NAMES_PER_ROUND, SEGMENTS, Source, clear_junk
from sync.hub.ingested import Ingested, Problems
from sync.hub.settings import Hub
from sync.hub.sites import Site
from sync.logs import log
from sync.segment import (
    BOX_ID,
    MOST_SEGMENT_BYTES,
    NO_PREVIOUS,
    Header,
    Record,
    Upload,
    open_segment,
    read_header,
    segment_name,
    segment_number,
)
from sync.text import file_name

#: Segments taken in between two writings of the site's feed: bounds what is sent again after a crash.
SEGMENTS_PER_FEED = 500
#: Rounds of NAMES_PER_ROUND in one folder; a site that fills its inbox must not stop the others. The
#: next ingest goes on.
MOST_ROUNDS = 10
#: A segment that is missing while later ones are there is a problem after so long, in seconds: the
#: files of one push arrive in order, so the missing one is on another way, or lost.
GAP_PATIENCE_S = 600.0


@dataclass(frozen=True)
class _Chain:
    """What the hub has of one box: its last segment."""

    number: int = 0
    sha256: str = NO_PREVIOUS
    last_seq: int = 0


class SiteSegments:
    """One run over `segments/` of one site."""

    def __init__(self, hub: Hub, site: Site, source: Source) -> None:
        self._hub = hub
        self._site = site
        self._source = source
        self._identity = keys.seal_identity(hub.layout)
        self._problems = Problems(hub, site.site)
        self._result = Ingested()
        self._limited = False

    def run(self) -> Ingested:
        """All boxes, one after the other. Raises as `sync.hub.ingest.ingest`."""
        folder = self._source.top(SEGMENTS)
        if folder is None:
            return self._result
        known = {box for (box,) in self._hub.database.execute(
            "SELECT DISTINCT box FROM segment WHERE site = ?", [self._site.site])}
        for box in sorted(folder.names(NAMES_PER_ROUND)):
            with_box = folder.folder(box) if BOX_ID.fullmatch(box) else None
            if with_box is None:
                self._junk(folder, box)
                continue
            with with_box:
                if box not in known and len(known) >= MOST_BOXES:
                    self._limit(f"more than {MOST_BOXES} boxes")
                    continue
                one = _BoxSegments(self, box, with_box)
                one.run()
                if one.chain().number:
                    known.add(box)
        self._problems.write()
        if not self._limited:
            self._problems.gone("inbox-limit")
        return self._result

    def _limit(self, reason: str) -> None:
        self._limited = True
        self._problems.add(Broken("inbox-limit", site=self._site.site, reason=reason))

    def _junk(self, folder: Foreign, name: str, reason: object = "not a segment") -> bool:
        return clear_junk(self._hub, self._source, folder, name, reason, self._problems, self._result)


class _BoxSegments:
    """One run over the segments of one box."""

    def __init__(self, of: SiteSegments, box: str, folder: Foreign) -> None:
        self._of = of
        self._hub = of._hub
        self._site = of._site
        self._source = of._source
        self._result = of._result
        self._box = box
        self._folder = folder
        self._done: set[str] = set()  # to be removed once they are acknowledged

    def run(self) -> None:
        """First what comes next, as long as it is there; then all other names."""
        while self._take_next():
            if len(self._done) >= SEGMENTS_PER_FEED:
                self._finish()
        self._finish()
        for _ in range(MOST_ROUNDS):
            names = self._folder.names(NAMES_PER_ROUND)
            removed = self._look_at(names)
            self._finish()
            if len(names) < NAMES_PER_ROUND or not removed:
                break

    def chain(self) -> _Chain:
        """What the hub has of this box now."""
        row = self._hub.database.execute(
            "SELECT number, sha256, last_seq FROM segment WHERE site = ? AND box = ? "
            "ORDER BY number DESC LIMIT 1", [self._site.site, self._box]).fetchone()
        return _Chain(*row) if row else _Chain()

    def _take_next(self) -> bool:
        """Take in the segment that follows on what there is; False if there is none such."""
        chain = self.chain()
        number = chain.number + 1
        name = segment_name(number)
        try:
            data = self._folder.read(name, MOST_SEGMENT_BYTES)
        except NotAFile as error:
            self._of._junk(self._folder, name, error)
            return False
        if data is None:
            return False
        try:
            header, records = open_segment(data, self._site.journal_public, self._of._identity)
            self._check_place(header, number)
            if (header.previous, header.first_seq) != (chain.sha256, chain.last_seq + 1):
                raise Refused("segment-conflict", box=self._box, number=number)
        except Refused as error:
            self._refuse(name, data, error)
            return False
        if not self._insert(header, records):
            return False
        self._done.add(name)
        self._result.segments += 1
        self._result.records += len(records)
        return True

    def _look_at(self, names: Sequence[str]) -> bool:
        """All that is not the next segment: had already, too early, or none; True if any of it goes."""
        following = self.chain().number + 1
        later: list[int] = []
        removed = False
        for name in names:
            number = segment_number(name)
            if number is None:
                removed |= self._of._junk(self._folder, name)
            elif number >= following:
                later.append(number)
            else:
                removed |= self._have_already(number, name)
        self._waiting(following, later)
        return removed

    def _have_already(self, number: int, name: str) -> bool:
        """A segment whose number is taken in: the same, another, or garbage. True if it goes."""
        try:
            data = self._folder.read(name, MOST_SEGMENT_BYTES)
        except NotAFile as error:
            return self._of._junk(self._folder, name, error)
        if data is None:
            return False
        (sha256,) = self._hub.database.execute(
            "SELECT sha256 FROM segment WHERE site = ? AND box = ? AND number = ?",
            [self._site.site, self._box, number]).fetchone()
        if sha256_hex(data) == sha256:
            self._result.duplicates += 1
            self._done.add(name)
            return True
        try:
            self._check_place(read_header(data, self._site.journal_public), number)
            raise Refused("segment-conflict", box=self._box, number=number)
        except Refused as error:
            return self._refuse(name, data, error)

    def _check_place(self, header: Header, number: int) -> None:
        if (header.site, header.box, header.number) != (self._site.site, self._box, number):
            raise Refused("segment-misplaced", site=header.site, box=header.box, number=header.number)

    def _insert(self, header: Header, records: Sequence[Record]) -> bool:
        """One transaction: the segment, its records, the uploads they tell of. False: no more uploads
        may be outstanding, it must wait."""
        site, box, now = self._site.site, self._box, self._hub.clock.now()
        uploads = [(record, upload) for record in records if (upload := _upload(record)) is not None]
        with transaction(self._hub.database) as database:
            if uploads:
                outstanding = {sha256 for (sha256,) in database.execute(
                    "SELECT DISTINCT sha256 FROM upload WHERE site = ? AND received IS NULL", [site])}
                if len(outstanding | {upload.sha256 for _, upload in uploads}) > MOST_WANTED:
                    self._of._limit(f"more than {MOST_WANTED} files are still to come")
                    return False
            database.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)", [
                site, box, header.number, header.sha256, header.first_seq, header.last_seq, now])
            database.conn.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", [
                (site, box, record.seq, record.time, record.clock_quality, record.kind,
                 canonical(record.body).decode()) for record in records])
            database.conn.executemany("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, NULL)", [
                (site, box, record.seq, upload.sha256, upload.size, file_name(upload.name))
                for record, upload in uploads])
        return True

    def _waiting(self, following: int, later: Sequence[int]) -> None:
        """Keep in mind since when a segment is missing while later ones are there. (On a stick nothing
        is missing: the line may have brought it, or will.)"""
        if self._source.keeps:
            return
        site, box, now = self._site.site, self._box, self._hub.clock.now()
        if later and following not in later and self._renewed():
            # What they hold comes, or came, under the box's new name (docs/format.md §6.3, `box-renewed`).
            for number in later:
                self._source.drop(self._folder, segment_name(number))
            later = []
        missing = bool(later) and following not in later
        self._result.waiting += len(later) if missing else 0
        row = self._hub.database.execute("SELECT number, since FROM gap WHERE site = ? AND box = ?",
                                         [site, box]).fetchone()
        if not missing and row is not None:
            with transaction(self._hub.database) as database:
                database.execute("DELETE FROM gap WHERE site = ? AND box = ?", [site, box])
            if not self._hub.database.execute("SELECT 1 FROM gap WHERE site = ?", [site]).fetchone():
                self._of._problems.gone("segment-gap")
        elif missing and (row is None or row[0] != following):
            with transaction(self._hub.database) as database:
                database.execute("INSERT OR REPLACE INTO gap VALUES (?, ?, ?, ?)",
                                 [site, box, following, now])
        elif missing and abs(now - row[1]) >= GAP_PATIENCE_S:
            self._of._problems.add(Broken("segment-gap", box=box, number=following, later=min(later)))

    def _renewed(self) -> bool:
        """Has this box said, under its new name, that it tells nothing more under this one?"""
        return self._hub.database.execute(
            "SELECT 1 FROM record WHERE kind = 'box-renewed' AND site = ? "
            "AND json_extract(body, '$.before') = ?", [self._site.site, self._box]).fetchone() is not None

    def _finish(self) -> None:
        """The feed with the acknowledgement first; then what is acknowledged may go."""
        self._of._problems.write()
        if self._done:
            write_feed(self._hub, self._site.site)
        for name in self._done:
            self._source.drop(self._folder, name)
        self._done.clear()

    def _refuse(self, name: str, data: bytes, error: Refused) -> bool:
        self._result.refused += 1
        facts: dict[str, object] = {"box": self._box, "file": name} | error.facts
        self._of._problems.add(Refused(error.code, **facts))
        log("hub.ingest").warning("segment-refused", site=self._site.site, code=error.code,
                                  box=self._box, file=name, reason=str(error.facts.get("reason", "")))
        self._source.set_aside(f"{self._box}-{name}-{sha256_hex(data)[:16]}", data)
        return self._source.drop(self._folder, name)


def _upload(record: Record) -> Upload | None:
    """The upload that a record tells of; None if it tells of none, or not by the rules."""
    if record.kind != "upload":
        return None
    try:
        return msgspec.convert(record.body, type=Upload)
    except msgspec.ValidationError:
        return None
