"""Sticks that are plugged in: which are ours, and what is told of them."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sync.box.status import box_status
from sync.box.sticks import Sticks, mounts, stick_told
from tests.sync_box.shelf_stage import Joined, join

MEDIA = Path("/media")


def line(number: int, point: Path | str) -> str:
    letters = str(point).encode().decode("latin-1")
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\n\\" else c for c in letters)
    return f"{number} 25 8:1 / {escaped} rw,nosuid - vfat /dev/sdb1 rw"


def test_mount_points_below_the_watched_folders_are_found() -> None:
    points = ["/media/usb0", "/media/老师 U盘", "/mnt/x", "/media", "/medial/x"]
    text = "\n".join([*(line(30 + number, point) for number, point in enumerate(points)), "garbage", ""])
    assert mounts(text, [MEDIA]) == {"30": Path("/media/usb0"), "31": Path("/media/老师 U盘")}


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    mounts(text, [MEDIA])


class Plugged:
    """A box, a folder of mounts, and the watcher with its mounts in the test's hands."""

    def __init__(self, place: Path) -> None:
        self.joined: Joined = join(place)
        self.media = place / "media"
        self.watch = Sticks(self.joined.box.layout.data, contextlib.nullcontext, [self.media])
        self.there: dict[int, Path] = {}

    def stick(self, name: str) -> Path:
        folder = self.media / name
        folder.mkdir(parents=True)
        return folder

    def look(self) -> dict[str, object] | None:
        self.watch.look(self.joined.box, "\n".join(line(number, path) for number, path in self.there.items()))
        return stick_told(self.joined.box)


def filled(plugged: Plugged, stick: Path) -> None:
    shutil.copytree(plugged.joined.hub.layout.data, stick, dirs_exist_ok=True)


def test_a_stick_with_lessons_is_taken_and_told_of_until_it_goes(tmp_path: Path) -> None:
    plugged = Plugged(tmp_path)
    package = plugged.joined.lesson("课一", a="甲")
    filled(plugged, stick := plugged.stick("usb"))
    assert plugged.look() is None
    plugged.there[7] = stick
    told = plugged.look()
    assert told and told["state"] == "done" and told["path"] == str(stick)
    assert plugged.joined.packages() == {package: (1, True)}
    assert (stick / "inbox").is_dir(), "records go along"
    assert plugged.look() == told, "taken once"
    assert box_status(plugged.joined.box)["stick"]["report"]["packages"] == 1
    plugged.there.clear()
    assert plugged.look() is None


def test_a_teachers_own_stick_stays_untouched(tmp_path: Path) -> None:
    plugged = Plugged(tmp_path)
    stick = plugged.stick("own")
    (stick / "试卷.docx").write_text("x")
    plugged.there[7] = stick
    assert plugged.look() is None
    assert [path.name for path in stick.iterdir()] == ["试卷.docx"]


def test_a_stick_that_cannot_be_used_says_why_in_words(tmp_path: Path) -> None:
    plugged = Plugged(tmp_path)
    (stick := plugged.stick("others")).joinpath("feed", "elsewhere").mkdir(parents=True)
    plugged.there[7] = stick
    told = plugged.look()
    assert told and told["state"] == "failed"
    shown = box_status(plugged.joined.box)["stick"]["error"]
    assert shown["code"] == "stick-without-feed" and shown["message"] and shown["advice"]


def test_what_was_told_before_a_restart_is_forgotten(tmp_path: Path) -> None:
    plugged = Plugged(tmp_path)
    plugged.joined.lesson("课一", a="甲")
    filled(plugged, stick := plugged.stick("usb"))
    plugged.there[7] = stick
    plugged.look()
    again = Sticks(plugged.joined.box.layout.data, contextlib.nullcontext, [plugged.media])
    again.look(plugged.joined.box, "")
    assert stick_told(plugged.joined.box) is None
