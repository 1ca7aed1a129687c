"""Replacing files: the old or the new one, whole, and durable when the call has returned."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sync.durable import MANY_FILES, make_folder, move_into_place, sweep_temporary, write_file
from sync.errors import Broken, NoRoom


def test_a_file_is_replaced_and_its_mode_set(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_file(path, b"old")
    write_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "number, kind, code",
    [
        (errno.ENOSPC, NoRoom, "disk-full"),
        (errno.EDQUOT, NoRoom, "disk-full"),
        (errno.EIO, Broken, "disk-failing"),
        (errno.EROFS, Broken, "disk-failing"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], code: str, call: str
) -> None:
    path = tmp_path / "a"
    write_file(path, b"old")

    def fails(*_a: object, **_k: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        with pytest.raises(kind) as caught:
            write_file(path, b"new")
    assert getattr(caught.value, "code", "") == code
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_the_order_of_a_write_is_file_rename_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_file(tmp_path / "a", b"x")
    assert order == ["file", "rename", "folder"]
    order.clear()
    pairs = [(tmp_path / f"from{n}", tmp_path / "to" / str(n)) for n in range(3)]
    for source, _ in pairs:
        source.write_bytes(b"x")
    move_into_place(pairs)
    assert order == ["file"] * 3 + ["folder"] + ["rename"] * 3 + ["folder"], "one fsync for a folder of many"


def test_many_files_are_made_durable_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(tmp_path / f"from{n}", tmp_path / "to" / str(n)) for n in range(MANY_FILES * 3)]
    for source, _ in pairs:
        source.write_bytes(b"x")
    calls: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(descriptor), fsync(descriptor))[1])
    move_into_place(pairs)
    assert len(calls) <= 3 and sorted(int(p.name) for p in (tmp_path / "to").iterdir()) == list(
        range(MANY_FILES * 3)
    )


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c", 0o700)
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    (tmp_path / "a").chmod(0o750)
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750, "what is there is left as it is"


def test_what_unfinished_writes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x" / ".tmp-folder").mkdir(parents=True)
    (tmp_path / "x" / ".tmp-folder" / "inside").write_text("1")
    (tmp_path / "x" / ".tmp-12").write_text("2")
    (tmp_path / "x" / "tmp-kept").write_text("3")
    assert sweep_temporary(tmp_path) == 2
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["tmp-kept"]
