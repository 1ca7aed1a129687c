"""Records of a real box reach a real hub exactly once, whatever the carrier does in between."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sync import pairing as pairing_format
from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.state import Box, init_box
from sync.box.trusted import read_feed
from sync.clock import SYSTEM, ManualClock
from sync.hub.ingest import ingest, ingest_stick
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, revoke_site
from sync.trust import Trusted, believe

SITE = "s1"


@dataclass
class Pair:
    """A hub and a box without a line; the test carries files between them."""

    hub: Hub
    box: Box
    journal: Journal
    outbox: Outbox

    def record(self, count: int = 1) -> list[int]:
        """Confirmed records, in segments of their own."""
        seqs = [self.journal.append("resource-opened", {"package": "p", "resource": str(i)})
                for i in range(count)]
        self.outbox.cut()
        return seqs

    def carry(self, *names: str) -> None:
        """Bring pending files (or these) to the inbox, each whole."""
        for name in names or self.outbox.pending():
            target = self.hub.layout.inbox(SITE) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.box.layout.outbox / name, target)

    def acknowledge(self) -> int:
        """The box reads the hub's feed."""
        feed = read_feed(self.hub.layout.feed(SITE))
        trusted = Trusted(root=self.box.pairing.trust.root.encode())
        return self.outbox.acknowledge(believe(SITE, trusted, feed).acks)

    def records(self) -> list[int]:
        """The seqs the hub has of this box."""
        return [seq for (seq,) in self.hub.database.execute(
            "SELECT seq FROM record WHERE site = ? AND box = ? ORDER BY seq", [SITE, self.box.box_id])]

    def problems(self) -> set[str]:
        """Codes of what an admin should know."""
        return {code for (code,) in self.hub.database.execute("SELECT code FROM problem")}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    clock = ManualClock(1_790_000_000)
    hub = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    hub.clock = clock
    file = tmp_path / "s1.toml"
    pairing_format.write(file, add_site(hub, SITE, "一号"))
    box = init_box(tmp_path / "box", file, clock)
    journal = Journal(box.database, clock)
    return Pair(hub, box, journal,
                Outbox(box.layout, box.database, journal, box.pairing, box.box_id, clock))


def test_records_come_once_and_are_acknowledged_and_then_deleted(pair: Pair) -> None:
    seqs = pair.record(3)
    pair.carry()
    assert ingest(pair.hub).records == 3
    assert pair.records() == seqs
    assert pair.acknowledge() == 3
    assert pair.journal.unacknowledged() == 0
    assert not [f for f in pair.box.layout.outbox.rglob("*") if f.is_file()]
    assert not [f for f in pair.hub.layout.inbox(SITE).rglob("*") if f.is_file()]


def test_a_replay_and_a_duplicate_change_nothing(pair: Pair) -> None:
    seqs = pair.record()
    names = pair.outbox.pending()
    pair.carry(*names)
    ingest(pair.hub)
    for _ in range(3):
        pair.carry(*names)
        assert ingest(pair.hub).records == 0
    assert pair.records() == seqs and pair.problems() == set()


def test_a_gap_waits_and_order_does_not_matter(pair: Pair) -> None:
    pair.record()
    pair.record()
    seqs = [*pair.record(), 1, 2]
    first, second, third = pair.outbox.pending()
    pair.carry(third)
    assert ingest(pair.hub).records == 0
    pair.carry(second)
    assert ingest(pair.hub).records == 0
    assert pair.acknowledge() == 0, "nothing is deleted behind a gap"
    pair.carry(first)
    ingest(pair.hub)
    ingest(pair.hub)
    assert pair.records() == sorted(seqs)


@pytest.mark.parametrize("harm", ["truncated", "flipped", "empty", "garbage"])
def test_a_damaged_segment_is_refused_and_the_whole_one_is_taken_later(pair: Pair, harm: str) -> None:
    seqs = pair.record(2)
    [name] = pair.outbox.pending()
    pair.carry(name)
    there = pair.hub.layout.inbox(SITE) / name
    data = bytearray(there.read_bytes())
    if harm == "flipped":
        data[len(data) // 2] ^= 1
    there.write_bytes({"truncated": bytes(data[:-7]), "flipped": bytes(data), "empty": b"",
                       "garbage": os.urandom(300)}[harm])
    assert ingest(pair.hub).records == 0
    pair.carry(name)
    ingest(pair.hub)
    assert pair.records() == seqs


def test_a_site_speaks_for_itself_only(pair: Pair, tmp_path: Path) -> None:
    add_site(pair.hub, "s2", "二号")
    pair.record()
    [name] = pair.outbox.pending()
    target = pair.hub.layout.inbox("s2") / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(pair.box.layout.outbox / name, target)
    assert ingest(pair.hub).records == 0
    assert pair.hub.database.execute("SELECT count(*) FROM record").fetchone()[0] == 0


def test_a_revoked_site_is_not_heard(pair: Pair) -> None:
    pair.record()
    pair.carry()
    revoke_site(pair.hub, SITE)
    assert ingest(pair.hub).records == 0 and pair.records() == []


def test_what_no_box_sends_is_harmless(pair: Pair, tmp_path: Path) -> None:
    seqs = pair.record()
    pair.carry()
    inbox = pair.hub.layout.inbox(SITE)
    own = inbox / "segments" / pair.box.box_id
    (own / "0000000009.segment").symlink_to("/etc/passwd")
    os.mkfifo(own / "0000000010.segment")
    (own / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    (inbox / "segments" / "..x").mkdir()
    (deep := inbox / "segments" / pair.box.box_id / "a" / "b").mkdir(parents=True)
    (deep / "c").write_bytes(b"x")
    (inbox / "objects" / "zz").mkdir(parents=True)
    (inbox / "objects" / "zz" / "not-a-hash").write_bytes(b"x")
    ingest(pair.hub)
    assert pair.records() == seqs
    assert Path("/etc/passwd").exists()


def test_what_killed_transfers_left_goes_at_the_next_start(pair: Pair) -> None:
    pair.hub.clock = SYSTEM
    folder = pair.hub.layout.inbox(SITE) / "objects" / "12"
    (folder / ".tmp-partial").mkdir(parents=True)
    begun, dead = folder / ".tmp-partial" / ("12" * 32), folder / f".{'12' * 32}.ex0KAA"
    begun.write_bytes(b"goes on from here")
    dead.write_bytes(b"nobody goes on from here")
    ingest(pair.hub)
    assert dead.exists(), "it may be written just now"
    ingest(pair.hub, abandoned_before=dead.stat().st_ctime + 1)
    assert begun.exists() and not dead.exists()


def test_beginnings_of_what_has_come_meanwhile_go(pair: Pair, tmp_path: Path) -> None:
    pair.hub.clock = SYSTEM
    (file := tmp_path / "a.txt").write_text("whole")
    pair.outbox.add_upload(file, name="a.txt")
    pair.outbox.cut()
    segment, upload = pair.outbox.pending()
    inbox = pair.hub.layout.inbox(SITE)
    beginnings = [(inbox / name).parent / ".tmp-partial" / Path(name).name for name in (segment, upload)]
    for beginning in beginnings:
        beginning.parent.mkdir(parents=True)
        beginning.write_text("wh")
    pair.carry(segment)
    ingest(pair.hub)
    assert all(beginning.exists() for beginning in beginnings)
    pair.carry(upload)
    ingest(pair.hub, abandoned_before=beginnings[0].parent.stat().st_ctime + 1)
    assert not any(beginning.parent.exists() for beginning in beginnings)


def test_an_uploaded_file_is_verified_and_wanted_until_it_is_here(pair: Pair, tmp_path: Path) -> None:
    (work := tmp_path / "教案.txt").write_text("教案", "utf-8")
    pair.outbox.add_upload(work, name=work.name)
    pair.outbox.cut()
    segment, upload = pair.outbox.pending()
    pair.carry(segment)
    ingest(pair.hub)
    pair.acknowledge()
    assert (pair.box.layout.outbox / upload).is_file(), "the hub still wants the bytes"
    wrong = pair.hub.layout.inbox(SITE) / upload
    wrong.parent.mkdir(parents=True, exist_ok=True)
    wrong.write_bytes(b"wrong")
    ingest(pair.hub)
    pair.acknowledge()
    assert (pair.box.layout.outbox / upload).is_file()
    pair.carry(upload)
    assert ingest(pair.hub).objects == 1
    pair.acknowledge()
    assert not (pair.box.layout.outbox / upload).exists()
    assert pair.hub.store.has(upload.rpartition("/")[2])


def test_a_stick_is_read_and_left_as_it_is(pair: Pair, tmp_path: Path) -> None:
    seqs = pair.record()
    shutil.copytree(pair.box.layout.outbox, tmp_path / "stick" / "inbox" / SITE)
    before = sorted(p.read_bytes() for p in (tmp_path / "stick").rglob("*") if p.is_file())
    ingest_stick(pair.hub, tmp_path / "stick")
    ingest_stick(pair.hub, tmp_path / "stick")
    assert pair.records() == seqs
    assert sorted(p.read_bytes() for p in (tmp_path / "stick").rglob("*") if p.is_file()) == before


@pytest.mark.parametrize("seed", range(6))
def test_an_evil_carrier_changes_nothing_in_the_end(pair: Pair, seed: int) -> None:
    """Drops, repeats, reorders, cuts short and flips; at last it delivers. Each confirmed record is at the
    hub exactly once, and the box deletes only what the hub has."""
    rng = random.Random(seed)
    confirmed: list[int] = []
    old: list[str] = []
    for _ in range(25):
        confirmed += pair.record(rng.randint(0, 4))
        names = pair.outbox.pending() + rng.sample(old, min(len(old), 2))
        rng.shuffle(names)
        for name in names:
            source = pair.box.layout.outbox / name
            if rng.random() < 0.4 or not source.is_file():
                continue
            pair.carry(name)
            old.append(name)
            if rng.random() < 0.2:
                there = pair.hub.layout.inbox(SITE) / name
                data = bytearray(there.read_bytes())
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                there.write_bytes(data[:rng.randint(1, len(data))])
        if rng.random() < 0.7:
            ingest(pair.hub)
        if rng.random() < 0.7:
            pair.acknowledge()
        gone = set(confirmed) - {seq for (seq,) in pair.box.database.execute("SELECT seq FROM journal")}
        assert gone <= set(pair.records())
    for _ in range(3):
        pair.carry(*[f"segments/{pair.box.box_id}/{p.name}" for p in pair.outbox.segments.glob("*.segment")])
        ingest(pair.hub)
        pair.acknowledge()
    assert pair.records() == confirmed
    assert pair.journal.unacknowledged() == 0
