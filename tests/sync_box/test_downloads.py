"""Pieces that come in any order make the file, and nothing that came is asked for twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.box import downloads
from sync.box.downloads import AHEAD_FOLDER, Download, Piece

DATA = random.Random(1).randbytes(100_000)


def all_pieces(download: Download, most: int) -> list[Piece]:
    found = []
    while (piece := download.next_piece(most)) is not None:
        found.append(piece)
    return found


def send(piece: Piece, size: int | None = None) -> int:
    """So much of a piece comes; how many bytes."""
    first = piece.first + piece.got
    data = DATA[first:piece.first + piece.size][:size]
    piece.download.take(piece, data)
    return len(data)


def new(place: Path, size: int | None = len(DATA)) -> Download:
    return Download("/v1/objects/x", place / "x", size)


def test_in_order(tmp_path: Path) -> None:
    download = new(tmp_path)
    for piece in all_pieces(download, 30_000):
        send(piece)
    assert download.complete
    download.close()
    assert (tmp_path / "x").read_bytes() == DATA


def test_the_file_is_always_the_beginning(tmp_path: Path) -> None:
    download = new(tmp_path)
    first, second, *_ = all_pieces(download, 30_000)
    send(second)
    assert not (tmp_path / "x").exists()
    assert download.arrived_bytes == 30_000
    send(first, 10_000)
    assert (tmp_path / "x").read_bytes() == DATA[:10_000]
    send(first)
    assert (tmp_path / "x").read_bytes() == DATA[:60_000]


def test_its_size_is_learned_from_the_first_piece(tmp_path: Path) -> None:
    download = new(tmp_path, None)
    (first,) = all_pieces(download, 1000)
    download.sized(len(DATA))
    send(first)
    for piece in all_pieces(download, 30_000):
        send(piece)
    assert download.complete


def test_it_goes_on_from_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA[:77_000])
    download = new(tmp_path)
    assert [(one.first, one.size) for one in all_pieces(download, 20_000)] == [
        (77_000, 20_000), (97_000, 3_000)]


def test_nothing_is_left_of_what_was_put_aside(tmp_path: Path) -> None:
    download = new(tmp_path)
    _, second, *_ = all_pieces(download, 30_000)
    send(second)
    download.close()
    assert list((tmp_path / AHEAD_FOLDER).iterdir())
    downloads.forget(tmp_path, ["x"])
    assert list((tmp_path / AHEAD_FOLDER).iterdir())
    downloads.forget(tmp_path)
    assert not (tmp_path / AHEAD_FOLDER).exists()


def test_what_was_put_aside_of_another_version_is_dropped(tmp_path: Path) -> None:
    (tmp_path / AHEAD_FOLDER).mkdir()
    for name in ("x@0", "x@99999", "x@90000", "x@", "x@-1", "x@1e3", "y@5"):
        (tmp_path / AHEAD_FOLDER / name).write_bytes(b"z" * 20)
    download = Download("/v1/objects/x", tmp_path / "x", 95_000)
    assert sum(one.size for one in all_pieces(download, 30_000)) == 95_000 - 20


def test_more_than_was_asked_for_is_dropped(tmp_path: Path) -> None:
    download = new(tmp_path)
    piece = download.next_piece(10)
    assert piece is not None
    download.take(piece, DATA[:50])
    assert (tmp_path / "x").read_bytes() == DATA[:10]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.integers(0, 6), sized=st.booleans())
def test_however_it_is_cut_off_nothing_comes_twice(seed: int, cuts: int, sized: bool,
                                                   tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pieces come whole, in part or not at all, in any order, over several transfers; some are given back."""
    place, chance, came = tmp_path_factory.mktemp("d"), random.Random(seed), 0
    for turn in range(cuts + 1):
        download = new(place, len(DATA) if sized else None)
        under_way: list[Piece] = []
        for _ in range(500):
            if chance.random() < 0.5 and (piece := download.next_piece(chance.randint(1, 20_000))):
                under_way.append(piece)
            if not under_way:
                continue
            piece = chance.choice(under_way)
            download.sized(len(DATA))
            piece.size = min(piece.size, len(DATA) - piece.first)
            came += send(piece, chance.choice([1, 500, None]))
            if not piece.left or chance.random() < 0.1:
                under_way.remove(piece)
                if piece.left:
                    download.give_back(piece)
            if download.complete or (turn < cuts and chance.random() < 0.02):
                break
        if turn == cuts:
            for piece in under_way:
                came += send(piece)
            while not download.complete:
                for piece in all_pieces(download, 20_000):
                    came += send(piece)
        download.close()
        if download.complete:
            break
    assert (place / "x").read_bytes() == DATA
    assert came == len(DATA)
