"""A new name for this box's journal, where its history and the hub's have parted (docs/sync.md).

A number of the old name is never given again: all that the hub has not confirmed is told once more under the
new name, from number 1 on. The hub sees a new box of the same site.
"""

from __future__ import annotations

import secrets
import shutil
from typing import Any

from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.problems import clear_problem
from sync.box.room import NO_ROOM
from sync.box.setting import drop_setting, write_setting
from sync.box.state import BOX_ID, BOX_ID_BYTES, Box
from sync.database import transaction
from sync.desired import Acks
from sync.logs import log

_TEXTS = ("title", "about", "educationalLevel", "license", "creator")


def forgotten(box: Box, acks: Acks) -> tuple[int, int] | None:
    """Numbers of the first and the last record that the hub had confirmed and a believed feed does not cover
    any more: the hub was restored from a backup. None: it has all that it ever confirmed."""
    had = box.database.execute("SELECT max(last_seq) FROM segment WHERE acknowledged = 1").fetchone()[0] or 0
    ack = acks.boxes.get(box.box_id)
    has = ack.seq if ack is not None else 0
    return (has + 1, had) if has < had else None


def renew(box: Box, lost: tuple[int, int] | None = None) -> str:
    """Give the box another id and its unconfirmed records other numbers, in one transaction; the new id. The
    caller holds the lock `run/sync.lock`. `lost`: which records of the old name the hub has lost.

    Raises as `transaction`; nothing has changed then.
    """
    before, after = box.box_id, secrets.token_hex(BOX_ID_BYTES)
    journal = Journal(box.database, box.clock)
    with transaction(box.database):
        records = box.database.execute(
            "SELECT seq, time, clock_quality, kind, body FROM journal ORDER BY seq").fetchall()
        last = journal.last_seq()
        told = {seq for seq, *_ in records}
        box.database.execute("DELETE FROM journal")
        box.database.execute("DELETE FROM segment")
        box.database.execute("UPDATE sqlite_sequence SET seq = 0 WHERE name = 'journal'")
        box.database.execute("UPDATE opened SET seq = seq - ?", [last])  # still before all that comes
        box.database.execute("UPDATE upload SET sent = NULL, tries = 0, wanted = 0 WHERE acknowledged = 0")
        write_setting(box.database, BOX_ID, after)
        body: dict[str, Any] = {"before": before, "last_seq": last}
        if lost is not None:
            body |= {"lost_first": lost[0], "lost_last": lost[1]}
        journal.append("box-renewed", body)
        numbers = {}
        for seq, time, quality, kind, text in records:
            numbers[seq] = box.database.execute(
                "INSERT INTO journal (time, clock_quality, kind, body) VALUES (?, ?, ?, ?)",
                [time, quality, kind, text]).lastrowid
        _tell_uploads(box, journal, told, numbers)
        for id_, version, manifest in box.database.execute(
                "SELECT id, version, manifest FROM package WHERE complete = 1 ORDER BY id").fetchall():
            journal.append("package", {"id": id_, "version": version, "manifest": manifest, "complete": True})
        drop_setting(box.database, NO_ROOM)  # said again at the next sync
        clear_problem(journal, "ack-mismatch")
    box.box_id = after
    # The files of the old name hold nothing that is not in the journal again.
    shutil.rmtree(Outbox(box.layout, box.database, journal, box.pairing, before, box.clock).segments,
                  ignore_errors=True)
    log("box.renew").warning("renewed", before=before, after=after, records=len(records))
    return after


def _tell_uploads(box: Box, journal: Journal, told: set[int], numbers: dict[int, int | None]) -> None:
    """Each file that the hub does not have keeps a record, also where that was confirmed already."""
    rows = box.database.execute(
        "SELECT id, seq, sha256, size, name, title, about, educationalLevel, license, creator FROM upload "
        "WHERE acknowledged = 0 ORDER BY seq, id").fetchall()
    for id_, seq, sha256, size, name, *texts in rows:
        if seq in told:
            number = numbers[seq]
        else:
            fields = dict(zip(_TEXTS, texts, strict=True))
            body = {"sha256": sha256, "size": size, "name": name} | {k: v for k, v in fields.items() if v}
            number = journal.append("upload", body)
        box.database.execute("UPDATE upload SET seq = ? WHERE id = ?", [number, id_])
