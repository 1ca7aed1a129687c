"""The outbox: what waits for the hub, as files that any carrier can take (docs/format.md §6).

    outbox/segments/<box>/<number>.segment     slices of the journal
    outbox/objects/ab/<sha256>                 uploaded files

Promises
* A file lies here whole and durable before the database tells of it, and is named to a carrier
  (`pending`) only after that. So no number ever leaves this box with two contents. The database keeps a
  segment's bytes too until it is acknowledged: `sweep` makes a file that was lost or has rotted again.
* Nothing is removed before the hub has said that it has it, durably; and the database knows so
  before a file goes. What a crash leaves behind, `sweep` removes.
* What was sent and is only not acknowledged yet is not sent at each sync, but again after
  RESEND_AFTER_FEEDS feeds without the acknowledgement, then ever more seldom.

All that changes files here holds the lock `run/outbox.lock`, because the classroom's server (uploads) and
a sync may be two processes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlite_utils import Database

from sync.box.journal import Journal
from sync.box.problems import clear_problem, set_problem
from sync.canonical import is_sha256, sha256_hex
from sync.clock import SYSTEM, Clock
from sync.database import transaction
from sync.desired import Ack, Acks
from sync.durable import (
    TEMPORARY_PREFIX,
    disk_errors,
    make_folder,
    move_into_place,
    sweep_temporary,
    temporary_beside,
    write_file,
)
from sync.errors import Broken, NoRoom, Refused
from sync.file_lock import HeldByAnother, exclusive
from sync.layout import BoxLayout, object_path
from sync.logs import log
from sync.pairing import Pairing
from sync.segment import (
    MOST_UPLOAD_BYTES,
    NO_PREVIOUS,
    Record,
    Upload,
    line,
    make,
    segment_name,
    segment_number,
)
from sync.text import file_name, one_line

#: Most records in a segment of ours, and most bytes of their lines. Small, so that on a line of
#: 64 kbit/s one arrives whole within seconds (256 KiB pack to about 25 KB) and is never sent again.
CUT_RECORDS = 2000
CUT_BYTES = 256 * 1024
#: Feeds read after a sending, without the acknowledgement, until it is sent again: the first may have
#: been written before the hub took it in.
RESEND_AFTER_FEEDS = 2
#: Most feeds between two sendings, however often nobody answered: 16 minutes at a sync every 30 s.
MOST_FEEDS_BETWEEN = 32
#: Room that an upload leaves free on the disk, in bytes, so that the journal (some hundred bytes a
#: record) and the database can go on for weeks: a teacher is told, a class is not stopped.
JOURNAL_RESERVE_BYTES = 64 * 1024 * 1024
#: How long to wait for another process at the outbox, in seconds: it copies nothing large meanwhile.
LOCK_PATIENCE_S = 30.0
CHUNK_BYTES = 1024 * 1024

#: Setting: how many feeds were read while something sent was not acknowledged.
FEEDS_READ = "outbox_feeds_read"

class Outbox:
    """The outbox of one box. One for each thread, as the database."""

    def __init__(self, layout: BoxLayout, database: Database, journal: Journal, pairing: Pairing,
                 box_id: str, clock: Clock = SYSTEM) -> None:
        self.layout = layout
        self.database = database
        self.journal = journal
        self.pairing = pairing
        self.box_id = box_id
        self.clock = clock
        self.folder = layout.outbox
        self.segments = layout.outbox / "segments" / box_id
        self.objects = layout.outbox / "objects"

    # -- records --------------------------------------------------------------------------------

    def cut(self) -> int:
        """Put all records that are in no segment yet into new segments; how many segments.

        Raises NoRoom `disk-full`; Broken `disk-failing`, `outbox-busy`; Refused `pairing-bad`. Segments
        that were finished stay; the other records wait for the next call.
        """
        count = 0
        if not self._uncut(1):
            return count
        with self._locked():
            while self._cut_one():
                count += 1
        return count

    def _cut_one(self) -> bool:
        records = self._uncut(CUT_RECORDS)
        size, taken = 0, 0
        for record in records:
            size += len(line(record))
            if taken and size > CUT_BYTES:
                break
            taken += 1
        records = records[:taken]
        if not records:
            return False
        row = self.database.execute(
            "SELECT number, sha256 FROM segment ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = (row[0] + 1, row[1]) if row else (1, NO_PREVIOUS)
        data = make(records, site=self.pairing.site, box=self.box_id, number=number, previous=previous,
                    private=self.pairing.journal.private, recipient=self.pairing.seal.recipient)
        first, last = records[0].seq, records[-1].seq
        make_folder(self.segments)
        # Before the transaction: a crash here leaves a file that nobody sends and the next cut of
        # this number replaces.
        write_file(self.segments / segment_name(number), data)
        with transaction(self.database):
            self.database.execute(
                "INSERT INTO segment (number, first_seq, last_seq, sha256, data) VALUES (?, ?, ?, ?, ?)",
                [number, first, last, sha256_hex(data), data])
            self.database.execute(
                "UPDATE journal SET segment = ? WHERE seq BETWEEN ? AND ? AND segment IS NULL",
                [number, first, last])
        return True

    def _uncut(self, most: int) -> list[Record]:
        rows = self.database.execute(
            "SELECT seq, time, clock_quality, kind, body FROM journal WHERE segment IS NULL "
            "ORDER BY seq LIMIT ?", [most])
        return [Record(seq=seq, time=int(time), clock_quality=quality, kind=kind,
                       body=msgspec.json.decode(body)) for seq, time, quality, kind, body in rows]

    # -- uploads --------------------------------------------------------------------------------

    def add_upload(self, file: Path, *, name: str, title: str = "", about: str = "",
                   educationalLevel: str = "", license: str = "",  # noqa: N803 - the LRMI field
                   creator: str = "", teacher: int | None = None) -> int:
        """Copy `file` into the outbox and write the record of it; the record's number. When it returns,
        file and record are durable and `file` may be removed. Texts are cleaned and cut, not refused.
        `teacher`: the account that it belongs to.

        Raises Refused: `file-vanished`, `file-unreadable` (also: not a regular file), `file-changed`
        (while it was copied), `upload-too-large`; NoRoom `disk-full` (also: less than
        JOURNAL_RESERVE_BYTES would be left); Broken `disk-failing`, `outbox-busy`. Nothing is there then.
        """
        make_folder(self.objects)
        temporary = temporary_beside(self.objects / "upload")
        try:
            with _open_regular(file) as source, disk_errors(self.objects):
                self._check_room(file, os.fstat(source.fileno()).st_size)
                with self._begun(temporary) as copy:
                    sha256, size = _copy(source, copy, file)
                    texts = {"title": title, "about": about, "educationalLevel": educationalLevel,
                             "license": license, "creator": creator}
                    return self._tell(temporary, _upload(sha256, size, name, texts), teacher, None)
        finally:
            temporary.unlink(missing_ok=True)

    def take_received(self, file: Path, came: str, teacher: int | None, name: str,
                      texts: Mapping[str, str]) -> int:
        """As `add_upload`, for a file of this disk that was received as `came`: it is not copied but gets a
        second name, and its row of `receiving` goes when the record comes, in one transaction. Called again
        after a crash, it goes on."""
        row = self.database.execute("SELECT seq FROM upload WHERE came = ?", [came]).fetchone()
        if row is not None:
            return int(row[0])
        make_folder(self.objects)
        temporary = temporary_beside(self.objects / "upload")
        try:
            with _open_regular(file) as source, disk_errors(self.objects):
                fcntl.flock(source, fcntl.LOCK_EX)  # `sweep` of another process lets the second name be
                size, digest = os.fstat(source.fileno()).st_size, hashlib.sha256()
                while chunk := _read(source, file):
                    digest.update(chunk)
                with self._locked():
                    os.link(file, temporary, follow_symlinks=False)
                return self._tell(temporary, _upload(digest.hexdigest(), size, name, texts), teacher, came)
        finally:
            temporary.unlink(missing_ok=True)

    def _tell(self, temporary: Path, upload: Upload, teacher: int | None, came: str | None) -> int:
        """Under the lock: the copy into its place, then the record and the row that need it."""
        target = self.folder / object_path(upload.sha256)
        body = {field: value for field, value in msgspec.to_builtins(upload).items() if value != ""}
        with self._locked():
            if not (target.is_file() and target.stat().st_size == upload.size):
                move_into_place([(temporary, target)])
            try:
                with transaction(self.database):
                    seq = self.journal.append("upload", body)
                    self.database.execute(
                        "INSERT INTO upload (sha256, size, name, title, about, educationalLevel, license, "
                        "creator, time, seq, teacher, came) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        [upload.sha256, upload.size, upload.name, upload.title, upload.about,
                         upload.educationalLevel, upload.license, upload.creator, self.clock.now(), seq,
                         teacher, came])
                    self.database.execute("DELETE FROM receiving WHERE id = ?", [came])
            except BaseException:
                self._remove_object_unless_needed(target)
                raise
        return seq

    @contextmanager
    def _begun(self, temporary: Path) -> Iterator[BinaryIO]:
        """A new file under a lock of its own: as long as that is held it is being written, and
        `sweep` of another process lets it be."""
        with self._locked():
            copy = temporary.open("xb")
            fcntl.flock(copy, fcntl.LOCK_EX)
        with copy:
            yield copy

    def _check_room(self, file: Path, size: int) -> None:
        if size > MOST_UPLOAD_BYTES:
            raise Refused("upload-too-large", path=file, size=size, most_bytes=MOST_UPLOAD_BYTES)
        if shutil.disk_usage(self.objects).free - size < JOURNAL_RESERVE_BYTES:
            raise NoRoom("disk-full", path=self.objects)

    # -- sending --------------------------------------------------------------------------------

    def pending(self) -> list[str]:
        """What to send now, as paths below `outbox/`: segments in order, then objects.

        Never sent before; or sent, and due again (see RESEND_AFTER_FEEDS): a segment because it stays
        unacknowledged, an object because its record is acknowledged and the hub still wants it.
        """
        feeds = self._feeds_read()
        paths = []
        for number, sent, tries in self.database.execute(
                "SELECT number, sent, tries FROM segment WHERE acknowledged = 0 ORDER BY number"):
            if sent is None or _due(feeds, sent, tries):
                paths.append(f"segments/{self.box_id}/{segment_name(number)}")
        for sha256, sent, tries, wanted in self.database.execute(
                "SELECT sha256, max(sent), max(tries), max(wanted) FROM upload WHERE acknowledged = 0 "
                "GROUP BY sha256 ORDER BY min(seq)"):
            if sent is None or (wanted and _due(feeds, sent, tries)):
                paths.append(object_path(sha256))
        return [path for path in paths if (self.folder / path).is_file()]

    def records_in(self, paths: Sequence[str]) -> int:
        """How many records the segments among these paths hold."""
        numbers = [segment_number(path.rpartition("/")[2]) for path in paths]
        return sum(row[0] for number in numbers if number is not None for row in self.database.execute(
            "SELECT last_seq - first_seq + 1 FROM segment WHERE number = ?", [number]))

    def sent(self, paths: Sequence[str]) -> None:
        """The carrier has taken these (of `pending`) whole. Raises as `transaction`."""
        feeds = self._feeds_read()
        with transaction(self.database):
            for path in paths:
                name = path.rpartition("/")[2]
                number = segment_number(name)
                if number is not None:
                    self.database.execute("UPDATE segment SET sent = ?, tries = tries + 1 "
                                          "WHERE number = ? AND acknowledged = 0", [feeds, number])
                elif is_sha256(name):
                    self.database.execute("UPDATE upload SET sent = ?, tries = tries + 1 "
                                          "WHERE sha256 = ? AND acknowledged = 0", [feeds, name])

    def acknowledge(self, acks: Acks) -> int:
        """Take in the acknowledgements of a feed that was believed, at each sync also if it is the
        same as last time (that is what counts until something is sent again); how many records are
        newly acknowledged. They, their segments and uploaded objects are deleted.

        An acknowledgement of a segment that this box did not make so deletes nothing and becomes the
        problem `ack-mismatch`. An older one than was seen before changes nothing.

        Raises as `transaction`; Broken `outbox-busy`.
        """
        ack = acks.boxes.get(self.box_id)
        if ack is None or ack.segment == 0:
            self._count_feed()
            return 0
        row = self.database.execute("SELECT sha256, last_seq FROM segment WHERE number = ?",
                                    [ack.segment]).fetchone()
        if row is None or (row[0], row[1]) != (ack.chain, ack.seq):
            set_problem(self.journal, Broken("ack-mismatch", segment=ack.segment, chain=ack.chain))
            return 0
        clear_problem(self.journal, "ack-mismatch")
        self._count_feed()
        if not self._news(ack, set(acks.wanted)):
            return 0
        with self._locked():
            with transaction(self.database):
                count = self._take_in(ack, set(acks.wanted))
            # From here on a crash leaves only files that the next `sweep` removes.
            self._tidy()
        return count

    def hear(self, acks: Acks) -> int:
        """Take in what a feed that was believed says of files that were sent from here; how many news."""
        news = 0
        for one in acks.told or ():
            said = [one_line(one.state, 32), one_line(one.note, 200)]
            if self.database.execute("SELECT 1 FROM upload WHERE sha256 = ? AND (said, note) IS NOT (?, ?)",
                                     [one.sha256, *said]).fetchone():
                with transaction(self.database):
                    self.database.execute("UPDATE upload SET said = ?, note = ? WHERE sha256 = ?",
                                          [*said, one.sha256])
                news += 1
        return news

    def _news(self, ack: Ack, wanted: set[str]) -> bool:
        """Does the acknowledgement tell anything new? So that a sync without news writes nothing."""
        if self.database.execute("SELECT 1 FROM segment WHERE number <= ? AND acknowledged = 0 LIMIT 1",
                                 [ack.segment]).fetchone():
            return True
        rows = self.database.execute(
            "SELECT sha256, wanted FROM upload WHERE acknowledged = 0 AND seq <= ?", [ack.seq])
        return any(sha256 not in wanted or not was_wanted for sha256, was_wanted in rows)

    def _take_in(self, ack: Ack, wanted: set[str]) -> int:
        execute = self.database.execute
        count = execute("DELETE FROM journal WHERE segment <= ?", [ack.segment]).rowcount
        execute("UPDATE segment SET acknowledged = 1, data = NULL WHERE number <= ? AND acknowledged = 0",
                [ack.segment])
        rows = execute("SELECT id, sha256 FROM upload WHERE acknowledged = 0 AND seq <= ?",
                       [ack.seq]).fetchall()
        for id_, sha256 in rows:
            column = "wanted" if sha256 in wanted else "acknowledged"
            execute(f"UPDATE upload SET {column} = 1 WHERE id = ?", [id_])  # noqa: S608 - one of two words
        return int(count)

    def _count_feed(self) -> None:
        """One more feed was read while something sent waits for its acknowledgement."""
        waiting = self.database.execute(
            "SELECT EXISTS (SELECT 1 FROM segment WHERE acknowledged = 0 AND sent IS NOT NULL) "
            "OR EXISTS (SELECT 1 FROM upload WHERE acknowledged = 0 AND sent IS NOT NULL)").fetchone()[0]
        if waiting:
            with transaction(self.database):
                self.database.execute(
                    "INSERT INTO setting VALUES (?, '1') ON CONFLICT (name) DO UPDATE "
                    "SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)", [FEEDS_READ])

    def _feeds_read(self) -> int:
        row = self.database.execute("SELECT value FROM setting WHERE name = ?", [FEEDS_READ]).fetchone()
        return int(row[0]) if row else 0

    # -- tidying --------------------------------------------------------------------------------

    def sweep(self) -> int:
        """At start: remove what a crash left behind (unfinished writes, files that are acknowledged or
        that the database does not tell of); how many. What is missing or damaged though the hub does not
        have it is made again, or becomes the problem `outbox-damaged`. Other boxes' folders are let be.

        Raises NoRoom, Broken as `transaction`; Broken `outbox-busy`.
        """
        removed = 0
        with self._locked():
            removed += sweep_temporary(self.folder / "segments")
            if self.objects.is_dir():
                removed += sum(_remove_if_abandoned(path) for path in self.objects.iterdir()
                               if path.name.startswith(TEMPORARY_PREFIX))
            removed += self._tidy()
            damaged = self._damaged()
        if damaged is None:
            clear_problem(self.journal, "outbox-damaged")
        else:
            set_problem(self.journal, Broken("outbox-damaged", path=damaged))
        return removed

    def _tidy(self) -> int:
        """Under the lock: remove the files that nothing needs any more."""
        removed = 0
        needed = {segment_name(number) for (number,) in self.database.execute(
            "SELECT number FROM segment WHERE acknowledged = 0")}
        for path in _files(self.segments):
            if segment_number(path.name) is not None and path.name not in needed:
                path.unlink(missing_ok=True)
                removed += 1
        for folder in self.objects.iterdir() if self.objects.is_dir() else ():
            for path in _files(folder):
                removed += is_sha256(path.name) and self._remove_object_unless_needed(path)
        return removed

    def _remove_object_unless_needed(self, path: Path) -> bool:
        """Under the lock: remove an uploaded object unless an unacknowledged record tells of it."""
        if self.database.execute("SELECT 1 FROM upload WHERE sha256 = ? AND acknowledged = 0 LIMIT 1",
                                 [path.name]).fetchone():
            return False
        path.unlink(missing_ok=True)
        with suppress(OSError):  # other objects lie in it
            path.parent.rmdir()
        return True

    def _damaged(self) -> str | None:
        """The first file that the hub must get, that is not whole and cannot be made again. Objects by their
        size only."""
        for number, sha256 in self.database.execute(
                "SELECT number, sha256 FROM segment WHERE acknowledged = 0 ORDER BY number").fetchall():
            path = self.segments / segment_name(number)
            whole = path.is_file() and sha256_hex(path.read_bytes()) == sha256
            if not whole and not self._remade(path, number):
                return str(path.relative_to(self.folder))
        for sha256, size in self.database.execute(
                "SELECT DISTINCT sha256, size FROM upload WHERE acknowledged = 0 ORDER BY seq"):
            path = self.folder / object_path(sha256)
            if not path.is_file() or path.stat().st_size != size:
                return str(path.relative_to(self.folder))
        return None

    def _remade(self, path: Path, number: int) -> bool:
        """The file of a segment again, from the database; False where it does not have it, or has no room."""
        (data,) = self.database.execute("SELECT data FROM segment WHERE number = ?", [number]).fetchone()
        if data is None:  # cut by a version that did not keep it
            return False
        try:
            make_folder(path.parent)
            write_file(path, data)
        except NoRoom:
            return False
        log("box.outbox").warning("segment-remade", number=number)
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self.layout.run, 0o700)
        try:
            with exclusive(self.layout.run / "outbox.lock", LOCK_PATIENCE_S):
                yield
        except HeldByAnother:
            raise Broken("outbox-busy", path=self.folder) from None


def _upload(sha256: str, size: int, name: str, texts: Mapping[str, str]) -> Upload:
    return Upload(sha256=sha256, size=size, name=file_name(name),
                  **{field: one_line(text, 1000) for field, text in texts.items()})


def _due(feeds: int, sent: int, tries: int) -> bool:
    return feeds - sent >= min(RESEND_AFTER_FEEDS << min(tries - 1, 10), MOST_FEEDS_BETWEEN)


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    try:
        # O_NONBLOCK: a FIFO must not hold us; it is refused below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused("file-unreadable", path=path, reason="not a regular file")
    with os.fdopen(descriptor, "rb") as handle:
        yield handle


def _copy(source: BinaryIO, copy: BinaryIO, file: Path) -> tuple[str, int]:
    """Copy what `source` has now, durably; its SHA-256 and size. Raises Refused as `add_upload`."""
    before = os.fstat(source.fileno())
    digest, size = hashlib.sha256(), 0
    while chunk := _read(source, file):
        digest.update(chunk)
        size += len(chunk)
        if size > before.st_size:
            raise Refused("file-changed", path=file)
        copy.write(chunk)
    copy.flush()
    os.fsync(copy.fileno())
    after: Any = os.fstat(source.fileno())
    if (size, after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise Refused("file-changed", path=file)
    return digest.hexdigest(), size


def _read(source: BinaryIO, file: Path) -> bytes:
    try:
        return source.read(CHUNK_BYTES)
    except OSError as error:  # a dying stick
        raise Refused("file-unreadable", path=file, reason=error.strerror) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _remove_if_abandoned(temporary: Path) -> bool:
    """Remove the copy of an upload whose writer is gone."""
    try:
        with temporary.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink(missing_ok=True)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
