"""Files that come piece by piece: go on where they stopped, whoever was killed meanwhile; none is lost."""

from __future__ import annotations

import fcntl
import io
import os
from pathlib import Path

import pytest

from sync.box import outbox as outbox_module
from sync.box import receiving as receiving_module
from sync.box.journal import CLOCK_QUALITY
from sync.box.receiving import FORGET_S, MOST_OPEN, Receiving
from sync.box.setting import write_setting
from sync.canonical import sha256_hex
from sync.clock import ManualClock
from sync.errors import Broken, NoRoom, Refused
from sync.segment import MOST_UPLOAD_BYTES
from tests.small_disk import fill, small_ext4
from tests.sync_box.outbox_fixture import files, make_outbox

WORK = os.urandom(700_000)
OBJECT = f"objects/{sha256_hex(WORK)[:2]}/{sha256_hex(WORK)}"


@pytest.fixture
def receiving(tmp_path: Path) -> Receiving:
    return Receiving(make_outbox(tmp_path / "box"))


def again(receiving: Receiving) -> Receiving:
    """As after a start of the program: everything opened anew, leftovers removed."""
    found = Receiving(make_outbox(receiving.outbox.layout.data))
    found.sweep()
    found.outbox.sweep()
    return found


def refusal(kind: type[Exception], code: str, call: object) -> None:
    with pytest.raises(kind) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_pieces_become_an_upload(receiving: Receiving) -> None:
    one = receiving.begin(7, len(WORK), "C:\\..\\作业.pdf", {"title": "作\n业", "about": "数学"})
    assert one.name == "作业.pdf" and one.texts["title"] == "作 业"
    for start in range(0, len(WORK), 100_000):
        assert receiving.finish() == 0
        one = receiving.append(one.id, 7, start, io.BytesIO(WORK[start:start + 100_000]))
    assert one.received == len(WORK) and receiving.of(7) == [] and receiving.whole(7) == [one]
    assert receiving.finish() == 1 and receiving.whole(7) == []
    assert files(receiving.outbox) == [OBJECT] and list(receiving.folder.iterdir()) == []
    assert (receiving.outbox.folder / OBJECT).read_bytes() == WORK
    assert receiving.database.execute("SELECT name, title, about, teacher, size FROM upload").fetchall() == [
        ("作业.pdf", "作 业", "数学", 7, len(WORK))]
    assert receiving.find(one.id, 7).received == len(WORK), "its page may still ask how far it is"
    assert receiving.append(one.id, 7, len(WORK), io.BytesIO(b"")).received == len(WORK)
    refusal(Refused, "upload-gone", lambda: receiving.give_up(one.id, 7))


def test_what_lies_beyond_what_was_confirmed_is_not_believed(receiving: Receiving) -> None:
    """A power cut leaves zeros, or half a piece."""
    one = receiving.begin(None, len(WORK), "a", {})
    receiving.append(one.id, None, 0, io.BytesIO(WORK[:300_000]))
    with (receiving.folder / one.id).open("ab") as file:
        file.write(bytes(100_000))
    receiving = again(receiving)
    assert receiving.find(one.id, None).received == 300_000
    refusal(Refused, "upload-elsewhere", lambda: receiving.append(one.id, None, 400_000, io.BytesIO(b"x")))
    receiving.append(one.id, None, 300_000, io.BytesIO(WORK[300_000:]))
    receiving.finish()
    assert files(receiving.outbox) == [OBJECT]


def test_bytes_beyond_its_size_are_not_taken(receiving: Receiving) -> None:
    one = receiving.begin(None, 10, "a", {})
    assert receiving.append(one.id, None, 0, io.BytesIO(b"0123456789 and more")).received == 10
    assert (receiving.folder / one.id).stat().st_size == 10


def test_an_empty_file_is_one(receiving: Receiving) -> None:
    receiving.begin(None, 0, "a", {})
    assert receiving.finish() == 1
    assert receiving.database.execute("SELECT size FROM upload").fetchall() == [(0,)]


class Killed(BaseException):
    """The power is cut here."""


@pytest.mark.parametrize("where", ["link", "move_into_place", "Journal.append", "unlink"])
def test_killed_while_it_goes_to_the_outbox(
        receiving: Receiving, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = receiving.begin(3, len(WORK), "a", {"title": "t"})
    receiving.append(one.id, 3, 0, io.BytesIO(WORK))

    def cut(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if where == "link":
            patch.setattr(os, "link", cut)
        elif where == "move_into_place":
            patch.setattr(outbox_module, "move_into_place", cut)
        elif where == "Journal.append":
            patch.setattr(receiving.outbox.journal, "append", cut)
        else:
            patch.setattr(Path, "unlink", cut)
        with pytest.raises(Killed):
            receiving.finish()
    receiving = again(receiving)
    receiving.finish()
    assert files(receiving.outbox) == [OBJECT] and list(receiving.folder.iterdir()) == []
    assert receiving.database.execute("SELECT count(*), max(title) FROM upload").fetchone() == (1, "t")
    assert (receiving.outbox.folder / OBJECT).read_bytes() == WORK


def test_a_file_is_only_its_teachers(receiving: Receiving) -> None:
    one = receiving.begin(3, 10, "a", {})
    for teacher in (None, 4):
        refusal(Refused, "upload-gone", lambda who=teacher: receiving.find(one.id, who))
        refusal(Refused, "upload-gone",
                lambda who=teacher: receiving.append(one.id, who, 0, io.BytesIO(b"x")))
        refusal(Refused, "upload-gone", lambda who=teacher: receiving.give_up(one.id, who))
    receiving.give_up(one.id, 3)
    refusal(Refused, "upload-gone", lambda: receiving.find(one.id, 3))


@pytest.mark.parametrize("id_", ["", "..", "../../box.db", "A" * 32, "0" * 31, "0" * 33, "\0"])
def test_names_like_paths_are_nobodys(receiving: Receiving, id_: str) -> None:
    refusal(Refused, "upload-gone", lambda: receiving.append(id_, None, 0, io.BytesIO(b"x")))
    refusal(Refused, "upload-gone", lambda: receiving.give_up(id_, None))
    assert not receiving.folder.exists()


def test_two_pages_do_not_write_one_file(receiving: Receiving) -> None:
    one = receiving.begin(None, 10, "a", {})
    receiving.append(one.id, None, 0, io.BytesIO(b"01234"))
    with (receiving.folder / one.id).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refusal(Refused, "upload-busy", lambda: receiving.append(one.id, None, 5, io.BytesIO(b"56789")))


def test_what_cannot_fit_is_refused_before_it_comes(
        receiving: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal(Refused, "upload-over", lambda: receiving.begin(None, MOST_UPLOAD_BYTES + 1, "a", {}))
    usage = type("Usage", (), {"free": receiving_module.RESERVE_BYTES + 4_000_000_000})
    monkeypatch.setattr(receiving_module.shutil, "disk_usage", lambda _: usage)
    receiving.begin(None, 3_000_000_000, "a", {})
    with pytest.raises(NoRoom) as refused:
        receiving.begin(None, 1_500_000_000, "b", {})
    assert refused.value.code == "upload-no-room", "what the first was promised is not given twice"
    assert "1.5 GB" in refused.value.message("en") and "1.0 GB" in refused.value.message("en")
    assert len(receiving.of(None)) == 1


def test_a_disk_that_fills_up_keeps_what_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving_module, "RESERVE_BYTES", 0)
    with small_ext4(tmp_path, 16) as disk:
        receiving = Receiving(make_outbox(disk / "box"))
        one = receiving.begin(None, 3_000_000, "a", {})
        work = os.urandom(3_000_000)
        receiving.append(one.id, None, 0, io.BytesIO(work[:1_000_000]))
        filler = fill(disk)
        refusal(NoRoom, "disk-full",
                lambda: receiving.append(one.id, None, 1_000_000, io.BytesIO(work[1_000_000:])))
        filler.unlink()
        receiving = again(receiving)
        assert receiving.find(one.id, None).received == 1_000_000
        receiving.append(one.id, None, 1_000_000, io.BytesIO(work[1_000_000:]))
        assert receiving.finish() == 1
        [path] = [path for path in (receiving.outbox.folder / "objects").rglob("*") if path.is_file()]
        assert path.read_bytes() == work
        receiving.database.close()


def test_a_file_that_the_disk_has_shortened_is_told(receiving: Receiving) -> None:
    one = receiving.begin(None, 10, "a", {})
    receiving.append(one.id, None, 0, io.BytesIO(b"01234"))
    os.truncate(receiving.folder / one.id, 2)
    refusal(Broken, "disk-failing", lambda: receiving.append(one.id, None, 5, io.BytesIO(b"56789")))


def test_unfinished_files_are_bounded_and_given_up_at_last(receiving: Receiving) -> None:
    for number in range(MOST_OPEN):
        receiving.begin(1, 10, f"{number}", {})
    refusal(Refused, "uploads-many", lambda: receiving.begin(1, 10, "a", {}))
    receiving.begin(2, 10, "another teacher's", {})
    assert isinstance(receiving.clock, ManualClock)
    receiving.clock.advance(FORGET_S + 1)
    refusal(Refused, "uploads-many", lambda: receiving.begin(1, 10, "a", {}))
    write_setting(receiving.database, CLOCK_QUALITY, "hub")
    receiving.begin(1, 10, "a", {})
    assert [one.name for one in receiving.of(1)] == ["a"]


def test_where_nobody_signs_in_the_oldest_gives_way(receiving: Receiving) -> None:
    assert isinstance(receiving.clock, ManualClock)
    first = receiving.begin(None, 10, "first", {})
    receiving.append(first.id, None, 0, io.BytesIO(b"01234"))
    for number in range(MOST_OPEN):
        receiving.clock.advance(1)
        receiving.begin(None, 10, f"{number}", {})
    assert [one.name for one in receiving.of(None)] == [f"{number}" for number in reversed(range(MOST_OPEN))]
    assert list(receiving.folder.iterdir()) == []


def test_files_that_nothing_tells_of_are_removed_at_a_start(receiving: Receiving) -> None:
    one = receiving.begin(None, 10, "a", {})
    receiving.append(one.id, None, 0, io.BytesIO(b"01234"))
    (receiving.folder / ("f" * 32)).write_bytes(b"x")
    assert receiving.sweep() == 1 and receiving.find(one.id, None).received == 5
