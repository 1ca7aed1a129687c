"""Files that come to the box piece by piece: `receiving/<id>`, and rows of the table `receiving`.

Promises
* What `append` has returned is durable: after a power cut, a closed page, a lost phone the file goes on from
  there. What lies in the file beyond it is not believed, and overwritten.
* A file that cannot fit is refused before a byte of it comes; room that others were promised is counted.
* A whole file stays until the outbox has it and its record, durably (`Outbox.take_received`).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from sync.box.outbox import JOURNAL_RESERVE_BYTES, Outbox
from sync.box.wall_clock import site_time
from sync.canonical import canonical
from sync.database import transaction
from sync.durable import disk_errors, make_folder, sync_directory
from sync.errors import Broken, NoRoom, Refused
from sync.segment import MOST_UPLOAD_BYTES
from sync.text import file_name, one_line, size_in_words

#: The texts of an upload, as the record has them.
TEXTS = ("title", "about", "educationalLevel", "license", "creator")
#: Unfinished files of one teacher, and of all who are not signed in together.
MOST_OPEN = 20
#: Room that stays free whatever is sent, in bytes: for lessons that come meanwhile, the journal, the system.
RESERVE_BYTES = 4 * JOURNAL_RESERVE_BYTES
#: An unfinished file that nobody has gone on with for so long is given up, in seconds: two months.
FORGET_S = 60 * 86400.0
CHUNK_BYTES = 256 * 1024
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Unfinished:
    """A file that is being sent: whose, how large, how far."""

    id: str
    teacher: int | None
    size: int
    received: int
    name: str
    texts: dict[str, str]
    changed: float


class Receiving:
    """The files that are coming to one box. One for each thread, as the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox, self.database, self.clock = outbox, outbox.database, outbox.clock
        self.folder = outbox.layout.receiving

    def begin(self, teacher: int | None, size: int, name: str, texts: dict[str, str]) -> Unfinished:
        """A file of `size` bytes is to come; of those of nobody the one that waits longest gives way.

        Raises Refused `upload-over`, `uploads-many`; NoRoom
        `upload-no-room`, `disk-full`; Broken as `transaction`. Nothing is there then."""
        if not 0 <= size <= MOST_UPLOAD_BYTES:
            raise Refused("upload-over", size=size_in_words(size), most=size_in_words(MOST_UPLOAD_BYTES))
        make_folder(self.folder, 0o700)
        self._forget_old()
        one = Unfinished(secrets.token_hex(16), teacher, size, 0, file_name(name),
                         {field: one_line(texts.get(field, ""), 1000) for field in TEXTS}, self.clock.now())
        with transaction(self.database):
            begun = self.of(teacher)
            if len(begun) >= MOST_OPEN:
                if teacher is not None:
                    raise Refused("uploads-many", most=MOST_OPEN)
                self._drop(begun[-1].id)  # nobody could give one up; a class goes on sending
            free = self._free_bytes()
            if size > free:
                raise NoRoom("upload-no-room", size=size_in_words(size), free=size_in_words(max(free, 0)))
            self.database.execute("INSERT INTO receiving VALUES (?, ?, ?, 0, ?, ?, ?)", [
                one.id, teacher, size, one.name, canonical(one.texts).decode(), one.changed])
        return one

    def of(self, teacher: int | None) -> list[Unfinished]:
        """The unfinished files of a teacher, the newest first; of None: those of nobody."""
        rows = self.database.execute("SELECT * FROM receiving WHERE teacher IS ? AND received < size "
                                     "ORDER BY changed DESC", [teacher])
        return [_unfinished(row) for row in rows]

    def whole(self, teacher: int | None) -> list[Unfinished]:
        """What is whole and waits for the outbox: a moment, or while that fails."""
        rows = self.database.execute("SELECT * FROM receiving WHERE teacher IS ? AND received = size "
                                     "ORDER BY changed DESC", [teacher])
        return [_unfinished(row) for row in rows]

    def find(self, id_: str, teacher: int | None) -> Unfinished:
        """The file of this name, if it is this teacher's. Raises Refused `upload-gone`. One that is whole is
        found too, also when the outbox has it."""
        row = self.database.execute("SELECT * FROM receiving WHERE id = ? AND teacher IS ?",
                                    [id_, teacher]).fetchone() if _ID.fullmatch(id_) else None
        if row is not None:
            return _unfinished(row)
        done = self.database.execute(
            "SELECT came, teacher, size, size, name, json_object('title', title, 'about', about, "
            "'educationalLevel', educationalLevel, 'license', license, 'creator', creator), time "
            "FROM upload WHERE came = ? AND teacher IS ?", [id_, teacher]).fetchone()
        if done is None:
            raise Refused("upload-gone")
        return _unfinished(done)

    def append(self, id_: str, teacher: int | None, offset: int, body: IO[bytes]) -> Unfinished:
        """Take more bytes of a file, from `offset` on; how far it is now.

        Raises Refused `upload-gone`, `upload-elsewhere` (other bytes are next), `upload-busy`; NoRoom
        `disk-full`; Broken `disk-failing`: what was there before is as it was.
        """
        one = self.find(id_, teacher)
        if offset == one.received == one.size:  # the answer that said so was lost
            return one
        with self._opened(id_) as file:
            one = self.find(id_, teacher)  # under the lock: nobody else changes it meanwhile
            if offset != one.received:
                raise Refused("upload-elsewhere", received=one.received, offset=offset)
            received = one.received
            with disk_errors(self.folder):
                if received > os.fstat(file.fileno()).st_size:  # the disk has lost what it had confirmed
                    raise Broken("disk-failing", path=self.folder, reason="a file has become shorter")
                file.truncate(received)
                file.seek(received)
                while received < one.size and (chunk := body.read(min(CHUNK_BYTES, one.size - received))):
                    file.write(chunk)
                    received += len(chunk)
                file.flush()
                os.fsync(file.fileno())
                if one.received == 0:
                    sync_directory(self.folder)
            with transaction(self.database):
                self.database.execute("UPDATE receiving SET received = ?, changed = ? WHERE id = ?",
                                      [received, self.clock.now(), id_])
        return self.find(id_, teacher)

    def give_up(self, id_: str, teacher: int | None) -> None:
        """Drop an unfinished file. Raises Refused `upload-gone` (also: it is whole)."""
        one = self.find(id_, teacher)
        if one.received == one.size:
            raise Refused("upload-gone")
        self._drop(id_)

    def finish(self) -> int:
        """Hand what is whole to the outbox; how many. Raises as `Outbox.take_received`: the rest waits."""
        rows = self.database.execute(
            "SELECT * FROM receiving WHERE received = size ORDER BY changed").fetchall()
        for row in rows:
            one = _unfinished(row)
            path = self.folder / one.id
            if one.size == 0:
                path.touch(0o600)
            self.outbox.take_received(path, one.id, one.teacher, one.name, one.texts)
            path.unlink(missing_ok=True)
        return len(rows)

    def sweep(self) -> int:
        """At start: remove files that nothing tells of; how many."""
        known = {id_ for (id_,) in self.database.execute("SELECT id FROM receiving")}
        strange = [path for path in self.folder.iterdir() if path.name not in known] \
            if self.folder.is_dir() else []
        for path in strange:
            path.unlink(missing_ok=True)
        return len(strange)

    # -- inside -------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self, id_: str) -> Iterator[IO[bytes]]:
        """The file, for one writer at a time."""
        with disk_errors(self.folder):
            descriptor = os.open(self.folder / id_, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                                 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("upload-busy") from None
            yield file

    def _free_bytes(self) -> int:
        """Room for files that are not begun yet."""
        (promised,) = self.database.execute(
            "SELECT coalesce(sum(size - received), 0) FROM receiving").fetchone()
        return shutil.disk_usage(self.folder).free - int(promised) - RESERVE_BYTES

    def _forget_old(self) -> None:
        """Give up what nobody has gone on with for long, by a clock that can be believed."""
        now = site_time(self.database, self.clock)
        if now is None:
            return
        for (id_,) in self.database.execute("SELECT id FROM receiving WHERE received < size AND changed < ? "
                                            "AND changed > 1e9", [now - FORGET_S]).fetchall():
            self._drop(id_)

    def _drop(self, id_: str) -> None:
        with transaction(self.database):
            self.database.execute("DELETE FROM receiving WHERE id = ?", [id_])
        Path(self.folder / id_).unlink(missing_ok=True)


def _unfinished(row: Any) -> Unfinished:
    id_, teacher, size, received, name, fields, changed = row
    texts = msgspec.json.decode(fields, type=dict[str, str])
    return Unfinished(id_, teacher, size, received, name, texts, changed)
