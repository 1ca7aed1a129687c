"""A box's state: making it once, opening it often.

`init_box` writes `pairing.toml` last: a data folder without one holds no box, and the same command
begins or goes on. box.db says which pairing it was made for, so that a journal never gets to
another hub than the one it was written for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlite_utils import Database

from sync import pairing as pairing_file_format
from sync.box.schema import MIGRATIONS
from sync.box.setting import read_setting, write_setting
from sync.box.wall_clock import recall
from sync.canonical import canonical, sha256_hex
from sync.clock import SYSTEM, Clock
from sync.database import open_database, transaction
from sync.durable import disk_errors, make_folder
from sync.errors import Refused
from sync.file_lock import HeldByAnother, exclusive
from sync.layout import BoxLayout
from sync.pairing import Pairing
from sync.store import Store

#: Bytes of a box's id: two boxes of one site meet by chance once in 2**64.
BOX_ID_BYTES = 8
#: How long a second `box init` waits for the first, in seconds.
INIT_PATIENCE_S = 10.0

#: Setting: this box's id, 16 hexadecimal digits, made by `box init`.
BOX_ID = "box"
#: Setting: SHA-256 of the pairing that the database was made for.
PAIRED_WITH = "paired_with"


@dataclass
class Box:
    """An open box. Cheap to open: each thread that works in parallel opens its own."""

    layout: BoxLayout
    pairing: Pairing
    box_id: str
    database: Database
    store: Store
    clock: Clock


def init_box(data: Path, pairing_file: Path, clock: Clock = SYSTEM) -> Box:
    """Make `data` the box of the site that `pairing_file` names. Durable: cut off at any moment it
    leaves no box or a whole one, and the same call finishes it. With the same pairing again, nothing
    changes.

    Raises Refused: `box-exists` (a box of another pairing is there; nothing is changed), `file-vanished`,
    `file-unreadable`, `pairing-bad`; NoRoom `disk-full`; Broken.
    """
    pairing = pairing_file_format.read(pairing_file)
    layout = BoxLayout(data)
    _refuse_another(layout, pairing)
    make_folder(data)
    make_folder(layout.run, 0o700)
    try:
        with exclusive(layout.run / "init.lock", INIT_PATIENCE_S):
            _refuse_another(layout, pairing)
            if not layout.pairing.exists():
                _make(layout, pairing)
    except HeldByAnother:
        raise Refused("box-exists", path=data) from None
    return open_box(data, clock)


def open_box(data: Path, clock: Clock = SYSTEM) -> Box:
    """Open the box in `data`.

    Raises Refused: `not-a-box`, `pairing-bad`, `file-unreadable`; Broken: `database-newer`,
    `database-broken`.
    """
    layout = BoxLayout(data)
    try:
        pairing = pairing_file_format.read(layout.pairing)
    except Refused as error:
        if error.code == "file-vanished" or not data.is_dir():
            raise Refused("not-a-box", path=data) from None
        raise
    database = _open_database(layout)
    # Without an id box.db was removed: its record numbers must not come again, so this is a new box.
    box_id = read_setting(database, BOX_ID) or _give_identity(database, pairing)
    recall(database, clock)
    return Box(layout, pairing, box_id, database, Store(layout.library), clock)


def _refuse_another(layout: BoxLayout, pairing: Pairing) -> None:
    if layout.pairing.exists():
        if pairing_file_format.read(layout.pairing) != pairing:
            raise Refused("box-exists", path=layout.data)
    elif layout.database.exists():
        database = _open_database(layout)
        try:
            paired_with = read_setting(database, PAIRED_WITH)
            used = database.execute("SELECT EXISTS (SELECT 1 FROM sqlite_sequence "
                                    "WHERE name = 'journal')").fetchone()[0]
        finally:
            database.close()
        if used and paired_with not in ("", fingerprint(pairing)):
            raise Refused("box-exists", path=layout.data)


def _make(layout: BoxLayout, pairing: Pairing) -> None:
    for folder, mode in ((layout.staging, 0o700), (layout.feed, 0o700), (layout.trusted, 0o700),
                         (layout.outbox, 0o700), (layout.uploads, 0o755), (layout.index, 0o755)):
        make_folder(folder, mode)
    Store(layout.library)
    database = _open_database(layout)
    try:
        _give_identity(database, pairing)
    finally:
        database.close()
    pairing_file_format.write(layout.pairing, pairing)


def _give_identity(database: Database, pairing: Pairing) -> str:
    """Make the database that of a box of this pairing, unless it is so already; the box's id."""
    with transaction(database):
        box_id = read_setting(database, BOX_ID)
        if not box_id or read_setting(database, PAIRED_WITH) != fingerprint(pairing):
            box_id = secrets.token_hex(BOX_ID_BYTES)
            write_setting(database, BOX_ID, box_id)
            write_setting(database, PAIRED_WITH, fingerprint(pairing))
    return box_id


def fingerprint(pairing: Pairing) -> str:
    """Names a pairing without telling its secrets."""
    return sha256_hex(canonical(msgspec.to_builtins(pairing)))


def _open_database(layout: BoxLayout) -> Database:
    # Records name children: the database is for the box's own account only.
    if not layout.database.exists():
        with disk_errors(layout.database):
            layout.database.touch(mode=0o600)
    return open_database(layout.database, MIGRATIONS)
