"""While a film comes over a slow line: what is more urgent comes first, records go up, nothing twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from sync.box import session
from sync.box.journal import Journal
from sync.box.rsync_ssh import RsyncSsh
from sync.box.session import SyncReport, sync_once
from sync.box.state import open_box
from sync.errors import Unreachable
from sync.hub.ingest import ingest
from sync.hub.settings import open_hub
from sync.pairing import Pairing
from sync.transport import Arrived, Moved, Progress, Wanted, silent, unheard
from tests.e2e.relay import Relay
from tests.e2e.sshd_stage import answering
from tests.e2e.stage import Stage, wait_for
from tests.e2e.test_delta import MIB, has, noise, publish

pytestmark = pytest.mark.e2e

FILM, SONG, SHORT = noise(48 * MIB, 1), noise(MIB, 2), noise(2 * MIB, 3)
#: What is under way when a transfer is interrupted, at most: ssh's window of 2 MiB and the relay's buffers.
#: (A real line holds its bandwidth times its delay.) Feeds and handshakes are in it, too.
UNDER_WAY = 5 * MIB


@pytest.fixture
def slow(paired: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The line of the stage: 5 MB a second at most; the box looks all the time what is wanted."""
    monkeypatch.setattr(session, "LOOK_EVERY_S", 0.0)
    with answering(paired):
        relay = Relay(paired.ssh_port, pause_s=0.003)
        try:
            yield relay
        finally:
            relay.stop()


class Noting(RsyncSsh):
    """Notes what it was asked for."""

    def __init__(self, pairing: Pairing, run_folder: Path, library: Path) -> None:
        super().__init__(pairing, run_folder, library)
        self.asked: list[str] = []

    def fetch_feed(self, into: Path) -> Moved:
        self.asked.append("feed")
        return super().fetch_feed(into)

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path, progress: Progress = silent,
                      arrived: Arrived = unheard) -> Moved:
        self.asked.append("objects")
        return super().fetch_objects(wanted, staging, progress, arrived)


class Syncing:
    """A sync in a thread of its own; `report` stays None where the line breaks."""

    asked: list[str]

    def __init__(self, stage: Stage, relay: Relay) -> None:
        self._stage, self._relay = stage, relay
        self.report: SyncReport | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        box = open_box(self._stage.box_data)
        to = replace(box.pairing, hub=replace(box.pairing.hub, ssh_port=self._relay.port))
        line = Noting(to, box.layout.run, box.layout.library)
        self.asked = line.asked
        with contextlib.suppress(Unreachable):
            self.report = sync_once(box, line)

    def wait(self) -> None:
        """Until it has ended."""
        self._thread.join(120)

    def ended(self) -> SyncReport:
        """Its report, once it has ended."""
        self.wait()
        assert self.report is not None
        return self.report


def test_what_is_more_urgent_interrupts_and_the_film_goes_on_later(paired: Stage, slow: Relay) -> None:
    publish(paired, {"film.mp4": FILM}, "film")
    syncing = Syncing(paired, slow)
    wait_for("a part of the film", lambda: slow.down > 4 * MIB)
    folder = paired.place / "lessons" / "song"
    folder.mkdir(parents=True)
    (folder / "song.mp3").write_bytes(SONG)
    paired.publish(folder, priority=9)
    wait_for("the song", lambda: has(paired, SONG))
    assert not has(paired, FILM)
    report = syncing.ended()
    assert has(paired, FILM) and report.packages == 2
    assert report.received_bytes < len(FILM) + len(SONG) + UNDER_WAY


def test_records_go_up_while_a_film_comes(paired: Stage, slow: Relay) -> None:
    publish(paired, {"film.mp4": FILM}, "film")
    syncing = Syncing(paired, slow)
    wait_for("a part of the film", lambda: slow.down > 4 * MIB)
    box = open_box(paired.box_data)
    seq = Journal(box.database, box.clock).append("note", {"text": "now"})
    hub = open_hub(paired.hub_data)

    def arrived() -> bool:
        ingest(hub)
        row = hub.database.execute("SELECT max(seq) FROM record WHERE site = ?", [paired.site]).fetchone()
        return (row[0] or 0) >= seq
    wait_for("the record at the hub", arrived)
    assert not has(paired, FILM)
    assert syncing.ended().packages == 1


def test_a_sync_after_a_cut_goes_on_with_what_had_begun_before_it_asks(paired: Stage, slow: Relay) -> None:
    publish(paired, {"film.mp4": FILM}, "film")
    syncing = Syncing(paired, slow)
    wait_for("a part of the film", lambda: slow.down > 4 * MIB)
    publish(paired, {"short.mp4": SHORT}, "short")
    slow.stop()
    syncing.wait()
    assert syncing.report is None
    begun = max(path.stat().st_size for path in (paired.box_data / "staging").glob("?" * 64))
    again = Relay(paired.ssh_port, pause_s=0.003)
    try:
        syncing = Syncing(paired, again)
        report = syncing.ended()
    finally:
        again.stop()
    assert syncing.asked[:2] == ["objects", "feed"]
    assert report.packages == 2 and has(paired, FILM) and has(paired, SHORT)
    assert report.received_bytes < len(FILM) - begun + len(SHORT) + UNDER_WAY
