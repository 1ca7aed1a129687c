"""A stick from anybody: a real folder with links, pipes, devices, loops, long and doubled names, files where
folders belong and the other way round. The box that takes from it, the hub that takes in from it and the hub
that fills it go on; nothing of this machine lands on it, and nothing beside it and the data is written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.session import sync_once
from sync.box.state import open_box
from sync.box.status import box_status
from sync.carrier import Carrier
from sync.clock import ManualClock
from sync.directory import Directory
from sync.hub.carry import carry
from sync.hub.ingest import ingest_stick
from sync.hub.settings import open_hub
from sync.hub.status import hub_status
from sync.store import Store
from tests.fuzz.hostile import bitten
from tests.fuzz.running import fuzz, named_errors, nothing_written
from tests.sync_box.shelf_stage import SITE, join

#: Names that a stick of another system, or of somebody with time, may hold.
NAMES = ("..%2f", "a" * 255, "课" * 85, "\udcb5\udcda\udcd2\udcbb", "new\nline", "\x1b[2J", "con", "AUX.txt",
         " ", "~", "-rf", "*", "timestamp.json.", "TIMESTAMP.JSON", ".tmp-0123456789abcdef", ".tmp-partial",
         "0000000001.segment", "0000000002.segment", "9999999999.segment", "0" * 64, "F" * 64, "99.root.json",
         "2.root.json", "4294967296.targets.json", "System Volume Information", "lost+found")
#: A sparse file of so many bytes: nobody may try to read it whole.
HUGE_BYTES = 2**40
CHANGES = ("link", "link", "loop", "pipe", "socket", "device", "folder", "file", "huge", "gone", "name",
           "beside", "upper", "locked", "deep", "many")


class Stage:
    """A hub, its box, a stick that the hub filled and the box wrote to; copied anew for each example."""

    def __init__(self, place: Path) -> None:
        self.place, self.clock = place, ManualClock(1_790_000_000)
        joined = join(place / "first")
        joined.lesson("课一", a="甲", b="乙" * 2000)
        self.stick_, self.hub_, self.box_ = (place / "first" / name for name in ("stick", "hub", "box"))
        self.stick_.mkdir()
        carry(joined.hub, [SITE], Carrier(self.stick_))
        box = joined.box
        upload = place / "work" / "教案.txt"
        upload.write_text("homework", "utf-8")
        outbox = Outbox(box.layout, box.database, Journal(box.database, self.clock), box.pairing, box.box_id)
        outbox.add_upload(upload, name="教案.txt")
        outbox.cut()
        Directory(self.stick_, SITE).push_outbox(box.layout.outbox, outbox.pending())
        joined.hub.database.close()
        box.database.close()
        self.stick, self.hub, self.box = place / "stick", place / "hub", place / "box"

    def again(self) -> None:
        """All as it was at first."""
        for copy, first in ((self.stick, self.stick_), (self.hub, self.hub_), (self.box, self.box_)):
            _remove(copy)
            shutil.copytree(first, copy, symlinks=True, ignore=shutil.ignore_patterns("reserve", "run"))

    def original(self) -> set[str]:
        """The objects of the lesson."""
        return set(Store(self.hub / "library").names())


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file() or not path.exists():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        for directory, _, _ in os.walk(path):
            Path(directory).chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink()


def spoil(draw: Callable[[Any], Any], stick: Path, secret: Path) -> None:
    """One to six changes of the tree on the stick."""
    for _ in range(draw(st.integers(1, 6))):
        paths = sorted([*stick.rglob("*"), stick / "feed"])
        path = paths[draw(st.integers(0, len(paths) - 1))]
        with suppress(OSError):  # what one change made may not take the next
            _change(draw, path, secret)


def _change(draw: Callable[[Any], Any], path: Path, secret: Path) -> None:
    mode = path.lstat().st_mode
    is_file, is_folder = stat.S_ISREG(mode), stat.S_ISDIR(mode)  # of a link itself, never what it leads to
    match draw(st.sampled_from((*CHANGES, *(("bytes",) * 6 if is_file else ())))):
        case "bytes":
            if path.stat().st_size < HUGE_BYTES:
                path.write_bytes(bitten(draw, path.read_bytes()))
        case "name":
            path.rename(path.with_name(draw(st.sampled_from(NAMES))))
        case "beside":
            _copy(path, path.with_name(draw(st.sampled_from(NAMES))))
        case "upper":
            name = path.name.upper() if path.name != path.name.upper() else path.name.lower()
            _copy(path, path.with_name(name))
        case "locked" if is_file or is_folder:
            path.chmod(0)
        case "many" if is_folder:
            for number in range(300):
                (path / f"{number:032}").touch()
        case "deep" if is_folder:
            for number in range(60):
                path = path / f"{number}"
                path.mkdir()
        case other:
            _remove(path)
            _put(draw, other, path, secret)


def _copy(path: Path, to: Path) -> None:
    if to.is_symlink():  # writing would follow it, out of the stick
        return
    if path.is_symlink():  # wherever it leads: nobody follows it
        to.symlink_to(path.readlink())
    elif path.is_dir():
        shutil.copytree(path, to, symlinks=True, copy_function=lambda *names: _copy(*map(Path, names)))
    elif path.is_file() and path.stat().st_size < HUGE_BYTES:
        shutil.copyfile(path, to)


def _put(draw: Callable[[Any], Any], what: str, path: Path, secret: Path) -> None:
    match what:
        case "link":
            path.symlink_to(draw(st.sampled_from((
                str(secret), str(secret.parent), "/etc/os-release", "/", "..", "/dev/zero", "nowhere",
                "/proc/self/mem", "timestamp.json"))))
        case "loop":
            path.symlink_to(path.name)
        case "pipe":
            os.mkfifo(path)
        case "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case "device":
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, draw(st.sampled_from((3, 5, 7)))))
        case "folder":
            (path / "inside").mkdir(parents=True)
            (path / "inside" / "file").write_bytes(b"x")
        case "file":
            path.write_bytes(draw(st.binary(max_size=40)))
        case "huge":
            path.touch()
            os.truncate(path, HUGE_BYTES)


@pytest.fixture
def stage(place: Path) -> Stage:
    return Stage(place)


def test_the_stick_is_good_as_long_as_nobody_spoils_it(stage: Stage) -> None:
    stage.again()
    hub, box = open_hub(stage.hub, stage.clock), open_box(stage.box, stage.clock)
    assert sync_once(box, Directory(stage.stick, SITE)).packages == 1
    assert ingest_stick(hub, stage.stick).objects == 1


def test_a_box_takes_from_any_stick_what_is_good(stage: Stage) -> None:
    secret = stage.place / "outside" / "secret.txt"

    @fuzz(60, data=st.data())
    def look(data: st.DataObject) -> None:
        stage.again()
        original = stage.original()
        spoil(data.draw, stage.stick, secret)
        box = open_box(stage.box, stage.clock)
        with nothing_written(stage.place, stage.box, stage.stick), named_errors():
            sync_once(box, Directory(stage.stick, SITE))
        assert set(box.store.names()) <= original
        assert all(box.store.check(name) for name in box.store.names())
        assert box_status(box)["packages"]["assigned"] in (0, 1)
        assert not _holds(stage.stick, b"secret") and not _holds(stage.stick, b"PRETTY_NAME")
        box.database.close()

    look()


def test_a_hub_takes_in_from_any_stick_what_is_good_and_leaves_it_as_it_was(stage: Stage) -> None:
    @fuzz(60, data=st.data())
    def look(data: st.DataObject) -> None:
        stage.again()
        spoil(data.draw, stage.stick, stage.place / "outside" / "secret.txt")
        hub = open_hub(stage.hub, stage.clock)
        with nothing_written(stage.place, stage.hub), named_errors():
            ingest_stick(hub, stage.stick)
        hub_status(hub)
        assert all(hub.store.check(name) for name in hub.store.names())
        assert hub.database.execute("SELECT count(*) FROM record").fetchone()[0] in (0, 1)
        hub.database.close()

    look()


def test_a_hub_fills_any_stick_or_says_why_not(stage: Stage) -> None:
    @fuzz(50, data=st.data())
    def look(data: st.DataObject) -> None:
        stage.again()
        spoil(data.draw, stage.stick, stage.place / "outside" / "secret.txt")
        hub = open_hub(stage.hub, stage.clock)
        check = data.draw(st.booleans())
        with nothing_written(stage.place, stage.hub, stage.stick), named_errors():
            carry(hub, [SITE], Carrier(stage.stick), check=check)
        assert all(hub.store.check(name) for name in hub.store.names())
        hub.database.close()

    look()


def _holds(stick: Path, secret: bytes) -> bool:
    """Does a file on the stick (not one behind a link) hold these bytes?"""
    for path in stick.rglob("*"):
        about = path.lstat()
        if stat.S_ISREG(about.st_mode) and about.st_size < 10**6 and path.read_bytes().startswith(secret):
            return True
    return False
