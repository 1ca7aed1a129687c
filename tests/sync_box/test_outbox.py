from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.box import outbox as outbox_module
from sync.box.outbox import CUT_RECORDS, MOST_FEEDS_BETWEEN, Outbox
from sync.canonical import sha256_hex
from sync.durable import TEMPORARY_PREFIX
from sync.errors import Broken, NoRoom, Refused, TeachpointError
from sync.file_lock import exclusive
from sync.segment import NO_PREVIOUS, read_header, segment_name
from tests.sync.segment_keys import BOX, PUBLIC, SITE
from tests.sync_box.outbox_fixture import ack_of, files, make_outbox, problems, segment_records

FIRST = f"segments/{BOX}/0000000001.segment"
SECOND = f"segments/{BOX}/0000000002.segment"
WORK = "作业".encode()
WORK_HASH = sha256_hex(WORK)
WORK_OBJECT = f"objects/{WORK_HASH[:2]}/{WORK_HASH}"


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return make_outbox(tmp_path / "box")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "作业.txt"
    path.write_bytes(WORK)
    return path


def note(outbox: Outbox, count: int = 1, text: str = "") -> None:
    for _ in range(count):
        outbox.journal.append("problem", {"code": "x", "facts": {"a": text}})


def code(call: Callable[[], object], kind: type[TeachpointError] = Refused) -> str:
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


class TestCut:
    def test_segments_are_numbered_and_chained(self, outbox: Outbox) -> None:
        note(outbox, 3)
        assert outbox.cut() == 1
        note(outbox, 2)
        assert outbox.cut() == 1
        assert outbox.cut() == 0
        assert outbox.pending() == [FIRST, SECOND]
        one, two = (outbox.folder / path for path in outbox.pending())
        header, following = read_header(one.read_bytes(), PUBLIC), read_header(two.read_bytes(), PUBLIC)
        assert (header.site, header.box, header.number, header.previous) == (SITE, BOX, 1, NO_PREVIOUS)
        assert (header.first_seq, header.last_seq) == (1, 3)
        assert (following.number, following.previous) == (2, sha256_hex(one.read_bytes()))
        assert [r.seq for r in segment_records(outbox, SECOND)] == [4, 5]

    def test_a_segment_is_bounded_in_records_and_bytes(self, outbox: Outbox) -> None:
        note(outbox, 9, "x" * 60_000)
        assert outbox.cut() == 3
        with outbox_module.transaction(outbox.database):
            note(outbox, CUT_RECORDS + 1)
        assert outbox.cut() == 2
        counts = [len(segment_records(outbox, path)) for path in outbox.pending()]
        assert counts == [4, 4, 1, CUT_RECORDS, 1]

    def test_cut_off_before_the_transaction_the_number_is_cut_again_and_nothing_was_sent(
            self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        note(outbox)
        with monkeypatch.context() as patch:
            patch.setattr(outbox_module, "transaction", failing)
            with pytest.raises(KeyboardInterrupt):
                outbox.cut()
        assert files(outbox) == [FIRST]
        assert outbox.pending() == []
        note(outbox)
        again = make_outbox(tmp_path / "box")
        assert again.sweep() == 1
        assert again.cut() == 1
        assert again.pending() == [FIRST]
        assert [r.seq for r in segment_records(again, FIRST)] == [1, 2]

    def test_no_room_leaves_the_records_for_the_next_cut(self, outbox: Outbox,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
        note(outbox)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_room)
            assert code(outbox.cut, NoRoom) == "disk-full"
        assert outbox.cut() == 1
        assert [r.seq for r in segment_records(outbox, FIRST)] == [1]


class TestSending:
    def test_what_was_sent_is_sent_again_only_when_feeds_lack_the_acknowledgement(
            self, outbox: Outbox) -> None:
        note(outbox)
        outbox.cut()
        outbox.sent([FIRST])
        sendings = []
        for feed in range(1, 120):
            outbox.acknowledge(ack_of(outbox, 0))
            if outbox.pending():
                sendings.append(feed)
                outbox.sent(outbox.pending())
        assert sendings == [2, 6, 14, 30, 30 + MOST_FEEDS_BETWEEN, 30 + 2 * MOST_FEEDS_BETWEEN]

    def test_a_feed_without_news_writes_nothing(self, outbox: Outbox, work: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        outbox.sent(outbox.pending())
        outbox.acknowledge(ack_of(outbox, 1))
        before = outbox.database.conn.total_changes
        for _ in range(5):
            outbox.acknowledge(ack_of(outbox, 1))
            outbox.cut()
            assert outbox.pending() == []
        assert outbox.database.conn.total_changes == before

    def test_an_object_is_sent_again_only_when_the_hub_asks_for_it(self, outbox: Outbox, work: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        assert outbox.pending() == [FIRST, WORK_OBJECT]
        outbox.sent(outbox.pending())
        outbox.acknowledge(ack_of(outbox, 1, wanted=[WORK_HASH]))
        assert outbox.pending() == []  # that feed may be older than the object's arrival
        outbox.acknowledge(ack_of(outbox, 1, wanted=[WORK_HASH]))
        assert outbox.pending() == [WORK_OBJECT]
        outbox.sent(outbox.pending())
        for _ in range(3):
            outbox.acknowledge(ack_of(outbox, 1, wanted=[WORK_HASH]))
            assert outbox.pending() == []
        outbox.acknowledge(ack_of(outbox, 1, wanted=[]))
        assert files(outbox) == []

    def test_sent_takes_any_path(self, outbox: Outbox) -> None:
        outbox.sent(["", "x/y", "segments/x/0000000009.segment", WORK_OBJECT])


class TestAcknowledge:
    def test_what_is_acknowledged_goes_and_the_rest_stays(self, outbox: Outbox) -> None:
        note(outbox, 2)
        outbox.cut()
        note(outbox, 3)
        outbox.cut()
        note(outbox)
        assert outbox.acknowledge(ack_of(outbox, 1)) == 2
        assert files(outbox) == [SECOND]
        assert outbox.journal.unacknowledged() == 4
        assert outbox.acknowledge(ack_of(outbox, 1)) == 0
        assert outbox.acknowledge(ack_of(outbox, 2)) == 3
        assert outbox.acknowledge(ack_of(outbox, 1)) == 0  # an old feed again
        assert (files(outbox), outbox.journal.unacknowledged()) == ([], 1)
        note(outbox)
        assert outbox.cut() == 1
        assert outbox.pending() == [f"segments/{BOX}/{segment_name(3)}"]

    @pytest.mark.parametrize("changes", [{"chain": "f" * 64}, {"seq": 1}, {"segment": 7}, {"segment": 2}])
    def test_an_acknowledgement_of_what_was_not_made_here_deletes_nothing(
            self, outbox: Outbox, changes: dict[str, object]) -> None:
        note(outbox, 2)
        outbox.cut()
        bad = ack_of(outbox, 1, **changes)
        assert outbox.acknowledge(bad) == 0
        assert outbox.acknowledge(bad) == 0
        assert files(outbox) == [FIRST]
        assert problems(outbox) == ["ack-mismatch"]
        assert outbox.journal.unacknowledged() == 3  # told to the hub, once
        assert outbox.acknowledge(ack_of(outbox, 1)) == 2
        assert problems(outbox) == []

    def test_an_acknowledgement_for_another_box_is_not_ours(self, outbox: Outbox) -> None:
        note(outbox)
        outbox.cut()
        acks = ack_of(outbox, 1)
        outbox.box_id = "f" * 16
        assert outbox.acknowledge(acks) == 0
        assert problems(outbox) == []

    def test_a_removal_that_was_cut_off_is_finished_at_the_next_start(
            self, outbox: Outbox, work: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "_tidy", interrupted)
            with pytest.raises(KeyboardInterrupt):
                outbox.acknowledge(ack_of(outbox, 1))
        assert files(outbox) == [WORK_OBJECT, FIRST]
        again = make_outbox(tmp_path / "box")
        assert again.sweep() == 2
        assert (files(again), again.pending(), problems(again)) == ([], [], [])


class TestUploads:
    def test_the_copy_and_its_record_are_there(self, outbox: Outbox, work: Path) -> None:
        seq = outbox.add_upload(work, name=work.name, title="三年级作业", creator="王老师", about=" 语文\n ")
        work.unlink()
        outbox.cut()
        assert (outbox.folder / WORK_OBJECT).read_bytes() == WORK
        (record,) = segment_records(outbox, FIRST)
        assert (record.seq, record.kind) == (seq, "upload")
        assert record.body == {"sha256": WORK_HASH, "size": len(WORK), "name": "作业.txt",
                               "title": "三年级作业", "creator": "王老师", "about": "语文"}

    def test_the_same_bytes_twice_are_one_object_that_both_records_need(self, outbox: Outbox,
                                                                        work: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        outbox.add_upload(work, name="b")
        outbox.cut()
        assert files(outbox) == [WORK_OBJECT, FIRST, SECOND]
        outbox.acknowledge(ack_of(outbox, 1))
        assert files(outbox) == [WORK_OBJECT, SECOND]
        outbox.acknowledge(ack_of(outbox, 2))
        assert files(outbox) == []

    def test_what_the_hub_lacks_stays(self, outbox: Outbox, work: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        outbox.acknowledge(ack_of(outbox, 1, wanted=[WORK_HASH]))
        assert files(outbox) == [WORK_OBJECT]
        assert outbox.pending() == [WORK_OBJECT]
        assert outbox.sweep() == 0

    def test_a_file_that_is_none_is_refused(self, outbox: Outbox, work: Path, tmp_path: Path) -> None:
        link, fifo, gone = tmp_path / "link", tmp_path / "fifo", tmp_path / "gone"
        link.symlink_to(work)
        os.mkfifo(fifo)
        assert code(lambda: outbox.add_upload(link, name="a")) == "file-unreadable"
        assert code(lambda: outbox.add_upload(fifo, name="a")) == "file-unreadable"
        assert code(lambda: outbox.add_upload(tmp_path, name="a")) == "file-unreadable"
        assert code(lambda: outbox.add_upload(gone, name="a")) == "file-vanished"
        assert (files(outbox), outbox.journal.last_seq()) == ([], 0)

    def test_limits(self, outbox: Outbox, work: Path, tmp_path: Path,
                    monkeypatch: pytest.MonkeyPatch) -> None:
        large = tmp_path / "large"
        with large.open("wb") as handle:
            handle.truncate(2**32)
        assert code(lambda: outbox.add_upload(large, name="a")) == "upload-too-large"
        monkeypatch.setattr(outbox_module, "JOURNAL_RESERVE_BYTES", 2**60)
        assert code(lambda: outbox.add_upload(work, name="a"), NoRoom) == "disk-full"
        assert (files(outbox), outbox.journal.last_seq()) == ([], 0)

    def test_a_file_that_grows_meanwhile_is_refused(self, outbox: Outbox, work: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
        real = outbox_module._read

        def growing(*arguments: object) -> bytes:
            with work.open("ab") as handle:
                handle.write(b"more")
            return real(*arguments)  # type: ignore[arg-type] - passed through

        monkeypatch.setattr(outbox_module, "_read", growing)
        assert code(lambda: outbox.add_upload(work, name="a")) == "file-changed"
        assert (files(outbox), outbox.journal.last_seq()) == ([], 0)

    def test_a_dying_stick_and_a_full_disk_leave_nothing(self, outbox: Outbox, work: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_room)
            assert code(lambda: outbox.add_upload(work, name="a"), NoRoom) == "disk-full"
        with monkeypatch.context() as patch:
            patch.setattr(outbox.journal, "append", no_room)
            assert code(lambda: outbox.add_upload(work, name="a"), NoRoom) == "disk-full"
        assert (files(outbox), outbox.journal.last_seq()) == ([], 0)

    def test_an_empty_file_is_a_file(self, outbox: Outbox, work: Path) -> None:
        work.write_bytes(b"")
        outbox.add_upload(work, name="a")
        outbox.cut()
        assert segment_records(outbox, FIRST)[0].body["size"] == 0


class TestSweep:
    def test_what_crashes_left_goes_and_what_is_being_written_stays(self, outbox: Outbox, work: Path) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        kept = files(outbox)
        (outbox.segments / f"{TEMPORARY_PREFIX}x").write_bytes(b"x")
        (outbox.objects / f"{TEMPORARY_PREFIX}dead").write_bytes(b"x")
        (outbox.segments / segment_name(2)).write_bytes(b"never committed")
        (outbox.objects / "ff").mkdir()
        (outbox.objects / "ff" / ("f" * 64)).write_bytes(b"never told of")
        alive = outbox.objects / f"{TEMPORARY_PREFIX}alive"
        with outbox._begun(alive):
            assert outbox.sweep() == 4
            assert alive.exists()
        assert outbox.sweep() == 1
        assert files(outbox) == kept
        assert problems(outbox) == []

    def test_another_boxs_segments_are_let_be(self, outbox: Outbox) -> None:
        other = outbox.folder / "segments" / ("e" * 16)
        other.mkdir(parents=True)
        (other / segment_name(1)).write_bytes(b"x")
        assert outbox.sweep() == 0
        assert files(outbox) == [f"segments/{'e' * 16}/{segment_name(1)}"]

    @pytest.mark.parametrize("rot", [lambda path: path.write_bytes(bytes(path.stat().st_size)), Path.unlink])
    def test_a_segment_that_rots_before_the_hub_has_it_is_made_again(
            self, outbox: Outbox, work: Path, rot: Callable[[Path], object]) -> None:
        outbox.add_upload(work, name="a")
        outbox.cut()
        data = (outbox.folder / FIRST).read_bytes()
        rot(outbox.folder / FIRST)
        outbox.sweep()
        assert (outbox.folder / FIRST).read_bytes() == data
        assert problems(outbox) == []
        outbox.acknowledge(ack_of(outbox, 1))
        assert outbox.database.execute("SELECT data FROM segment").fetchall() == [(None,)]

    @pytest.mark.parametrize("victim", [FIRST, WORK_OBJECT])
    def test_what_is_lost_before_the_hub_has_it_is_told(
            self, outbox: Outbox, work: Path, victim: str) -> None:
        """A segment of a version that did not keep its bytes in the database."""
        outbox.add_upload(work, name="a")
        outbox.cut()
        outbox.database.execute("UPDATE segment SET data = NULL")
        data = (outbox.folder / victim).read_bytes()
        (outbox.folder / victim).write_bytes(data[:-1])
        outbox.sweep()
        assert problems(outbox) == ["outbox-damaged"]
        (outbox.folder / victim).unlink()
        assert victim not in outbox.pending()
        (outbox.folder / victim).write_bytes(data)
        outbox.sweep()
        assert problems(outbox) == []

    def test_another_process_that_holds_the_outbox_is_waited_for_then_told(
            self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_module, "LOCK_PATIENCE_S", 0.1)
        outbox.sweep()
        with exclusive(outbox.layout.run / "outbox.lock"):
            assert code(outbox.sweep, Broken) == "outbox-busy"


def test_uploads_and_acknowledgements_at_once_lose_nothing(tmp_path: Path, work: Path) -> None:
    """One thread uploads the same bytes again and again, another cuts and acknowledges."""
    ours = make_outbox(tmp_path / "box")
    done = threading.Event()

    def upload() -> None:
        outbox = make_outbox(tmp_path / "box")
        for _ in range(15):
            outbox.add_upload(work, name="a")
        done.set()

    thread = threading.Thread(target=upload)
    thread.start()
    while not done.is_set() or ours.journal.unacknowledged():
        ours.cut()
        rows = ours.database.execute("SELECT max(number) FROM segment").fetchone()
        ours.acknowledge(ack_of(ours, rows[0] or 0))
        needed = ours.database.execute("SELECT 1 FROM upload WHERE acknowledged = 0").fetchone()
        assert not needed or (ours.folder / WORK_OBJECT).exists()
    thread.join()
    assert files(ours) == []
    assert ours.database.execute("SELECT count(*), sum(acknowledged) FROM upload").fetchone() == (15, 15)


def failing(_database: object) -> object:
    raise KeyboardInterrupt


def interrupted(_self: Outbox) -> int:
    raise KeyboardInterrupt


def no_room(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "disk full")
