"""The object store: what it says is there is whole and durable, whenever the power goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sync.canonical import sha256_hex
from sync.errors import NoRoom, Refused
from sync.store import CHUNK_BYTES, Store

SMALL, LARGE = b"hello", os.urandom(2 * CHUNK_BYTES + 7)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "library")


def leavings(store: Store) -> list[str]:
    return [path.name for path in store.incoming.iterdir()]


@pytest.mark.parametrize("data", [b"", SMALL, LARGE])
def test_bytes_and_files_are_named_by_their_hash_and_stored_once(
    store: Store, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "a").write_bytes(data)
    first, second, third = (
        store.add_file(tmp_path / "a"),
        store.add_bytes(data),
        store.add_file(tmp_path / "a"),
    )
    assert (first.new, second.new, third.new) == (True, False, False)
    assert first.sha256 == second.sha256 == sha256_hex(data) and first.size == len(data)
    assert store.read(first.sha256, len(data)) == data and store.check(first.sha256)
    assert list(store.names()) == [first.sha256] and leavings(store) == []
    assert store.path(first.sha256).stat().st_mode & 0o777 == 0o644


def test_a_batch_is_all_or_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), store.batch() as batch:
        batch.add_bytes(SMALL)
        raise RuntimeError
    assert list(store.names()) == [] and leavings(store) == []
    (tmp_path / "a").write_bytes(LARGE)
    with store.batch() as batch:
        small, large = batch.add_bytes(SMALL), batch.add_file(tmp_path / "a")
        assert batch.path(small.sha256).read_bytes() == SMALL and not store.has(small.sha256)
        assert batch.commit() == len(SMALL) + len(LARGE)
    assert sorted(store.names()) == sorted([small.sha256, large.sha256])


def test_what_is_no_plain_file_is_not_taken(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name, code in (
        ("link", "file-unreadable"),
        ("pipe", "file-unreadable"),
        ("none", "file-vanished"),
        (".", "file-unreadable"),
    ):
        with pytest.raises(Refused) as caught:
            store.add_file(tmp_path / name)
        assert caught.value.code == code
    assert list(store.names()) == []


def test_a_file_that_is_another_than_was_looked_at_is_refused(store: Store, tmp_path: Path) -> None:
    from sync.store import state

    path = tmp_path / "a"
    path.write_bytes(LARGE)
    seen = state(path.stat())
    os.utime(path, (1, 1))
    with store.batch() as batch, pytest.raises(Refused) as caught:
        batch.add_file(path, seen)
    assert caught.value.code == "file-changed"


def test_a_flipped_byte_is_found_and_set_aside(store: Store) -> None:
    name = store.add_bytes(LARGE).sha256
    path = store.path(name)
    with path.open("r+b") as file:
        file.seek(CHUNK_BYTES)
        byte = file.read(1)
        file.seek(CHUNK_BYTES)
        file.write(bytes([byte[0] ^ 1]))
    assert not store.check(name) and not store.has(name)
    assert (store.rotten / name).stat().st_size == len(LARGE)
    assert store.add_bytes(LARGE).new, "it can come back"
    small = store.add_bytes(SMALL).sha256
    store.path(small).write_bytes(b"hellO")
    with pytest.raises(Refused, match="damaged"):
        store.read(small, 10)
    assert not store.has(small)


def test_reading_has_a_limit_and_missing_is_said(store: Store) -> None:
    name = store.add_bytes(SMALL).sha256
    for wrong, most, code in ((name, 4, "object-too-large"), ("0" * 64, 10, "object-missing")):
        with pytest.raises(Refused) as caught:
            store.read(wrong, most)
        assert caught.value.code == code
    with pytest.raises(Refused):
        store.check("0" * 64)
    for name in ("../../etc/passwd", "", "A" * 64, "0" * 63):
        with pytest.raises(ValueError, match="SHA-256"):
            store.path(name)


def test_staged_files_are_taken_only_if_they_are_what_they_are_called(store: Store, tmp_path: Path) -> None:
    names = {name: tmp_path / name for name in ("good", "wrong", "gone", "again", "link")}
    names["good"].write_bytes(SMALL)
    names["wrong"].write_bytes(LARGE)
    names["again"].write_bytes(SMALL)
    names["link"].symlink_to("/etc/passwd")
    passwd = sha256_hex(Path("/etc/passwd").read_bytes())
    good, wrong = store.adopt(
        [
            (names["good"], sha256_hex(SMALL)),
            (names["wrong"], sha256_hex(b"x")),
            (names["gone"], sha256_hex(b"y")),
            (names["again"], sha256_hex(SMALL)),
            (names["link"], passwd),
        ]
    )
    assert good == [sha256_hex(SMALL)] and wrong == [names["wrong"], names["link"]]
    assert not names["good"].exists() and not names["again"].exists() and names["wrong"].exists()
    assert not store.has(passwd)


def test_removing_tells_what_it_freed(store: Store) -> None:
    name = store.add_bytes(SMALL).sha256
    assert (store.remove(name), store.remove(name)) == (len(SMALL), 0)


def test_no_room_leaves_it_as_it_was(store: Store, tmp_path: Path) -> None:
    import resource

    (tmp_path / "a").write_bytes(LARGE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK_BYTES, before[1]))
    try:
        with pytest.raises(NoRoom) as caught:
            store.add_file(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert caught.value.code == "disk-full" and list(store.names()) == [] and leavings(store) == []


#: Kills itself at the n-th call that changes the disk; before the call, as the power would.
DOOMED = textwrap.dedent("""
    import os, pathlib, signal, sys
    from sync.store import Store
    left = int(sys.argv[2])
    def doom(module, name):
        real = getattr(module, name)
        def wrapped(*a, **k):
            global left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*a, **k)
        setattr(module, name, wrapped)
    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "fchmod"):
        doom(os, name)
    for name in ("rename", "replace", "mkdir", "unlink", "rmdir"):
        doom(pathlib.Path, name)
    store = Store(pathlib.Path(sys.argv[1]))
    with store.batch() as batch:
        for number in range(3):
            batch.add_bytes(b"object %d" % number)
        batch.add_file(pathlib.Path(sys.argv[3]))
        batch.commit()
    print("told")
    """)


def test_a_power_cut_at_each_step_leaves_only_whole_objects(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    died = 0
    for step in range(200):
        library = tmp_path / f"library{step}"
        done = subprocess.run(
            [sys.executable, "-c", DOOMED, str(library), str(step), str(source)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        store = Store(library)
        names = list(store.names())
        for name in names:
            assert store.check(name), (step, name)
        if done.returncode == 0:
            assert done.stdout == "told\n" and len(names) == 4 and leavings(store) == []
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        died += 1
        store.sweep()
        assert leavings(store) == []
        assert store.add_file(source).sha256 == sha256_hex(LARGE)
    else:
        raise AssertionError("it never came to its end")
    assert died > 15


def test_sweeping_does_not_touch_what_another_process_is_writing(store: Store) -> None:
    with store.batch() as batch:
        batch.add_bytes(SMALL)
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, pathlib; from sync.store import Store;"
                "print(Store(pathlib.Path(sys.argv[1])).sweep())",
                str(store.library),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout.strip() == "0"
        batch.commit()
    assert store.has(sha256_hex(SMALL))
