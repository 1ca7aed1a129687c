from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sync.box import state
from sync.box.state import init_box, open_box
from sync.clock import ManualClock
from sync.errors import Refused
from sync.layout import BoxLayout


def test_init_makes_a_box_that_opens(tmp_path: Path, pairing_file: Path) -> None:
    made = init_box(tmp_path / "box", pairing_file)
    opened = open_box(tmp_path / "box", ManualClock())
    assert opened.box_id == made.box_id
    assert len(opened.box_id) == 16
    assert opened.pairing.site == "s1"
    assert opened.database.table_names()


def test_secrets_and_records_are_for_the_box_alone(tmp_path: Path, pairing_file: Path) -> None:
    layout = init_box(tmp_path / "box", pairing_file).layout
    for path in (layout.pairing, layout.database):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (layout.run, layout.outbox, layout.staging):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_two_boxes_of_one_pairing_have_two_ids(tmp_path: Path, pairing_file: Path) -> None:
    assert init_box(tmp_path / "a", pairing_file).box_id != init_box(tmp_path / "b", pairing_file).box_id


def test_the_same_pairing_again_changes_nothing(tmp_path: Path, pairing_file: Path) -> None:
    first = init_box(tmp_path / "box", pairing_file)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert init_box(tmp_path / "box", pairing_file).box_id == first.box_id
    assert {path: path.read_bytes() for path in before} == before


def test_another_pairing_is_refused_and_nothing_changes(
        tmp_path: Path, pairing_files: tuple[Path, Path]) -> None:
    first = init_box(tmp_path / "box", pairing_files[0])
    with pytest.raises(Refused) as caught:
        init_box(tmp_path / "box", pairing_files[1])
    assert caught.value.code == "box-exists"
    assert "--data" in caught.value.advice("en")
    assert open_box(tmp_path / "box").pairing == first.pairing


@pytest.mark.parametrize("content", [b"", b"site = 3", b"\xff\xfe", b"site = 'x'\n" * 20_000])
def test_a_bad_pairing_file_leaves_no_box(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "p.toml"
    file.write_bytes(content)
    with pytest.raises(Refused) as caught:
        init_box(tmp_path / "box", file)
    assert caught.value.code == "pairing-bad"
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize("place", ["nothing", "empty", "file/inside"])
def test_what_is_no_box_is_said_to_be_none(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused) as caught:
        open_box(tmp_path / place)
    assert caught.value.code == "not-a-box"


def test_a_removed_database_makes_a_new_box(tmp_path: Path, pairing_file: Path) -> None:
    """Its record numbers begin again, so they must be those of another box."""
    box = init_box(tmp_path / "box", pairing_file)
    box.database.close()
    for path in box.layout.data.glob("box.db*"):
        path.unlink()
    again = open_box(tmp_path / "box")
    assert again.box_id != box.box_id
    assert open_box(tmp_path / "box").box_id == again.box_id


def test_a_lost_pairing_file_does_not_give_the_journal_to_another_hub(
        tmp_path: Path, pairing_files: tuple[Path, Path]) -> None:
    box = init_box(tmp_path / "box", pairing_files[0])
    box.database.execute("INSERT INTO journal (time, clock_quality, kind, body) VALUES (0, '', 'x', '{}')")
    box.layout.pairing.unlink()
    with pytest.raises(Refused) as caught:
        init_box(tmp_path / "box", pairing_files[1])
    assert caught.value.code == "box-exists"
    assert init_box(tmp_path / "box", pairing_files[0]).box_id == box.box_id


def test_many_at_once_make_one_box(tmp_path: Path, pairing_file: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(init_box(tmp_path / "box", pairing_file).box_id))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


class PowerCut(BaseException):
    """Nothing catches it, as nothing catches a power cut."""


def test_cut_at_any_step_there_is_no_box_or_a_whole_one(
        tmp_path: Path, pairing_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The power is cut before each call that changes the disk, one after another, until none is left."""
    steps = ["make_folder", "Store", "_open_database", "_give_identity"]
    cut_at, done = 0, False
    while not done:
        data = tmp_path / f"box{cut_at}"
        with monkeypatch.context() as patch:
            left = [cut_at]

            def cutting(original, left=left):  # type: ignore[no-untyped-def]  # wraps any function
                def call(*args, **kwargs):  # type: ignore[no-untyped-def]
                    if left[0] == 0:
                        raise PowerCut
                    left[0] -= 1
                    return original(*args, **kwargs)
                return call

            for name in steps:
                patch.setattr(state, name, cutting(getattr(state, name)))
            patch.setattr(os, "fsync", cutting(os.fsync))
            patch.setattr(Path, "replace", cutting(Path.replace))
            try:
                init_box(data, pairing_files[0])
                done = True
            except PowerCut:
                pass
        if not BoxLayout(data).pairing.exists():
            with pytest.raises(Refused):
                open_box(data)
            # Nothing was written for s1 yet, so the folder may still become a box of s2.
            other = pairing_files[cut_at % 2]
            assert init_box(data, other).pairing.site == ("s1", "s2")[cut_at % 2]
        else:
            assert open_box(data).box_id == init_box(data, pairing_files[0]).box_id
        cut_at += 1
    assert cut_at > 10


def test_killed_while_it_is_made(tmp_path: Path, pairing_file: Path) -> None:
    """SIGKILL at the rename that makes it a box."""
    script = ("import os, signal, sys; from pathlib import Path; import sync.durable as d\n"
              "from sync.box.state import init_box\n"
              "d.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
              "init_box(Path(sys.argv[1]), Path(sys.argv[2]))")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "box"), str(pairing_file)],
                          check=False)
    assert done.returncode == -9
    with pytest.raises(Refused):
        open_box(tmp_path / "box")
    assert open_box(init_box(tmp_path / "box", pairing_file).layout.data).pairing.site == "s1"
