"""A journal and an outbox on a real folder and database, and acknowledgements for them."""

from __future__ import annotations

from pathlib import Path

from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.schema import MIGRATIONS
from sync.clock import ManualClock
from sync.database import open_database
from sync.desired import ACKS_FORMAT, Ack, Acks
from sync.durable import make_folder
from sync.layout import BoxLayout
from sync.pairing import HubPart, KeyPart, Pairing, SealPart, TrustPart
from sync.segment import Record, open_segment
from tests.sync.segment_keys import BOX, IDENTITY, PRIVATE, PUBLIC, RECIPIENT, SITE


def pairing(site: str = SITE, private: str = PRIVATE) -> Pairing:
    return Pairing(
        site=site, name="王家教学点", trust=TrustPart(root="{}"), key=KeyPart(private="-"),
        hub=HubPart(name="中心校", addresses=["127.0.0.1"], ssh_port=22, ssh_host_key="ssh-ed25519 AAAA"),
        journal=KeyPart(private=private), seal=SealPart(recipient=RECIPIENT))


def make_outbox(data: Path, box: str = BOX, paired: Pairing | None = None) -> Outbox:
    """The outbox below `data`, opened (again): as a start of the program does."""
    layout = BoxLayout(data)
    make_folder(layout.outbox)
    clock = ManualClock()
    database = open_database(layout.database, MIGRATIONS)
    return Outbox(layout, database, Journal(database, clock), paired or pairing(), box, clock)


def segment_records(outbox: Outbox, path: str) -> list[Record]:
    return open_segment((outbox.folder / path).read_bytes(), PUBLIC, IDENTITY)[1]


def ack_of(outbox: Outbox, number: int, *, wanted: list[str] | None = None, **changes: object) -> Acks:
    """What an honest hub says when it has all up to segment `number`."""
    boxes = {}
    if number:
        sha256, seq = outbox.database.execute("SELECT sha256, last_seq FROM segment WHERE number = ?",
                                              [number]).fetchone()
        fields: dict[str, object] = {"segment": number, "chain": sha256, "seq": seq} | changes
        boxes[outbox.box_id] = Ack(**fields)  # type: ignore[arg-type] - a test may say anything
    return Acks(format=ACKS_FORMAT, site=outbox.pairing.site, boxes=boxes, wanted=wanted or [])


def files(outbox: Outbox) -> list[str]:
    """All files below the outbox."""
    return sorted(str(path.relative_to(outbox.folder)) for path in outbox.folder.rglob("*") if path.is_file())


def problems(outbox: Outbox) -> list[str]:
    return [code for (code,) in outbox.database.execute("SELECT code FROM problem ORDER BY code")]
