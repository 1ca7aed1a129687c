"""Partial files: continued at their end, never trusted, and cut where a power cut left zeros."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sync.canonical import sha256_hex
from sync.staging import MOST_CUT_BYTES, Growing, unfinished
from sync.transport import Wanted

NAMES = [sha256_hex(bytes([number])) for number in range(5)]


def wanted(*sizes: int) -> list[Wanted]:
    return [Wanted(sha256=NAMES[number], size=size) for number, size in enumerate(sizes)]


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path


def look(staging: Path, wishes: list[Wanted], boot: str = "1") -> tuple[list[str], list[str]]:
    """(still missing, told as arrived)."""
    told: list[str] = []
    left = unfinished(wishes, staging, told.append, lambda: boot)
    return [one.sha256 for one in left], told


def test_whole_partial_missing_and_too_long(staging: Path) -> None:
    (staging / NAMES[0]).write_bytes(b"12345")
    (staging / NAMES[1]).write_bytes(b"123")
    (staging / NAMES[3]).write_bytes(b"123456")
    assert look(staging, wanted(5, 5, 5, 5)) == ([NAMES[1], NAMES[2], NAMES[3]], [NAMES[0]])
    assert not (staging / NAMES[3]).exists() and (staging / NAMES[1]).read_bytes() == b"123"


def test_each_is_told_and_asked_for_once(staging: Path) -> None:
    (staging / NAMES[0]).write_bytes(b"12345")
    wishes = wanted(5, 5)
    assert look(staging, wishes + wishes) == ([NAMES[1]], [NAMES[0]])


@pytest.mark.parametrize("kept, zeros", [(10_000, 1), (10_000, 4096), (10_000, 100_000), (0, 5000)])
def test_after_a_start_of_the_machine_zeros_at_the_end_are_cut_off(
    staging: Path, kept: int, zeros: int
) -> None:
    data = b"x" * kept
    path = staging / NAMES[0]
    path.write_bytes(data + bytes(zeros))
    look(staging, wanted(10_000_000), "1")
    first = path.read_bytes()
    assert first.startswith(data) and len(first) - kept < 4096 + 1, "at most a block of zeros stays"
    path.write_bytes(data + bytes(zeros))
    look(staging, wanted(10_000_000), "1")
    assert path.stat().st_size == kept + zeros, "once for each start"
    look(staging, wanted(10_000_000), "2")
    assert path.stat().st_size == len(first)


def test_a_file_of_real_zeros_loses_little(staging: Path) -> None:
    (staging / NAMES[0]).write_bytes(bytes(3 * MOST_CUT_BYTES))
    look(staging, wanted(10 * MOST_CUT_BYTES))
    assert (staging / NAMES[0]).stat().st_size >= 2 * MOST_CUT_BYTES - 4096


def test_a_growing_transfer_is_counted_and_flushed(staging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (staging / NAMES[1]).write_bytes(b"12")
    growing = Growing(wanted(5, 5, 0), staging)
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    growing.flush()
    assert growing.arrived_bytes() == 0 and flushed == []
    (staging / NAMES[0]).write_bytes(b"123")
    assert growing.arrived_bytes() == 3 and not growing.finished(NAMES[0])
    growing.flush()
    assert len(flushed) == 1
    (staging / NAMES[0]).write_bytes(b"12345")
    assert growing.finished(NAMES[0]) and not growing.finished(NAMES[0]) and not growing.finished("other")
    (staging / NAMES[1]).write_bytes(b"1234")
    assert growing.arrived_bytes() == 7 and growing.whole == {NAMES[0]}
    (staging / NAMES[0]).unlink()  # taken into the store
    assert growing.arrived_bytes() == 7
