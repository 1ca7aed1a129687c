"""What rsync may take the same bytes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.box import seeds
from sync.canonical import sha256_hex
from sync.layout import object_path
from sync.transport import Wanted

OLD = b"o" * 1000
NEW = sha256_hex(b"new")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library" / object_path(sha256_hex(OLD))
    path.parent.mkdir(parents=True)
    path.write_bytes(OLD)
    (tmp_path / "staging").mkdir()
    return tmp_path / "library"


def prepare(library: Path, like: str = sha256_hex(OLD)) -> bool:
    return seeds.prepare(Wanted(NEW, 10**6, like=like), library.parent / "staging", library)


def seed(library: Path) -> bytes:
    return (library.parent / "staging" / seeds.FOLDER / NEW).read_bytes()


def begin(library: Path, data: bytes) -> Path:
    path = library.parent / "staging" / NEW
    path.write_bytes(data)
    return path


def test_the_first_seed_is_the_older_object(library: Path) -> None:
    assert prepare(library) and seed(library) == OLD
    assert prepare(library) and seed(library) == OLD


def test_after_a_cut_the_beginning_comes_before_it(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "WORTH_BYTES", 10)
    assert prepare(library)
    begun = begin(library, b"n" * 100)
    assert prepare(library) and seed(library) == b"n" * 100 + OLD and not begun.exists()
    begin(library, b"n" * 60)  # cut off again, earlier: the longer beginning is kept
    assert prepare(library) and seed(library) == b"n" * 100 + OLD
    begin(library, b"n" * 300)
    assert prepare(library) and seed(library) == b"n" * 300 + OLD
    assert [path.name for path in (library.parent / "staging" / seeds.FOLDER).iterdir()] == [NEW]


def test_without_an_older_object_or_room_the_beginning_stays(library: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "WORTH_BYTES", 10)
    begun = begin(library, b"n" * 100)
    assert not prepare(library, "") and not prepare(library, NEW)
    monkeypatch.setattr(seeds, "RESERVE_BYTES", 2**62)
    assert not prepare(library)
    assert begun.read_bytes() == b"n" * 100


def test_what_is_not_needed_goes(library: Path) -> None:
    staging = library.parent / "staging"
    prepare(library)
    seeds.forget(staging, {NEW})
    assert seed(library) == OLD
    seeds.forget(staging)
    assert list(staging.iterdir()) == []
    seeds.forget(staging)
