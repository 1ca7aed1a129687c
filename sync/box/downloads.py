"""Files of the hub that come in pieces, over several connections, in whatever order the line brings them.

A file on the disk is always the beginning of what it shall be (`sync.staging`). Pieces that came before their
turn wait in memory; when a transfer is cut off they are put aside in `AHEAD_FOLDER`, so that the next one
asks for none of them again. What a power cut takes of them is asked for again.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from sync.durable import make_folder, place_file
from sync.staging import size_of

#: Below the folder of the file: `<name>@<offset>` is a piece of it.
AHEAD_FOLDER = ".ahead"
#: Below staging: files that are no objects themselves, but hold some (packs, squeezed ones).
PARTS_FOLDER = ".parts"
PACK_SUFFIX = ".pack"
_AHEAD = re.compile(r"(.+)@(\d{1,15})")


class Piece:
    """A range of a download that was asked for: from `first` on, `size` bytes, of which `got` have come."""

    def __init__(self, download: Download, first: int, size: int) -> None:
        self.download, self.first, self.size = download, first, size
        self.got = 0

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self.size - self.got


class Download:
    """One file that comes. `size` is None until the hub has said it."""

    def __init__(self, path: str, file: Path, size: int | None) -> None:
        """`path` is its address at the hub, `file` where it shall lie."""
        self.path, self.file, self.size = path, file, size
        self._on_disk = max(size_of(file), 0)
        self._before = self._on_disk
        self._ahead: dict[int, bytearray] = dict(self._put_aside())
        self._holes: list[tuple[int, int]] = []  # (first, end): given back, to be asked for again
        self._asked = self._on_disk  # everything before was asked for, or is here
        self._handle: BinaryIO | None = None
        self._unflushed = False
        #: It is complete, and somebody was told.
        self.ended = False

    @property
    def arrived_bytes(self) -> int:
        """Bytes that came since it began, those that wait for their turn included."""
        return self._on_disk - self._before + sum(map(len, self._ahead.values()))

    def next_piece(self, most: int) -> Piece | None:
        """What to ask for next, `most` bytes at most; None where all is asked for, or where its size must
        come first."""
        if self._holes:
            first, end = self._holes.pop()
            if end - first > most:
                self._holes.append((first + most, end))
                end = first + most
            return Piece(self, first, end - first)
        self._skip_what_is_here()
        if self.size is None and self._asked > self._on_disk:
            return None  # one was asked for, and will tell the size
        end = min([self._asked + most, *(first for first in self._ahead if first > self._asked)])
        if self.size is not None:
            end = min(end, self.size)
        if end <= self._asked:
            return None
        piece = Piece(self, self._asked, end - self._asked)
        self._asked = end
        return piece

    def sized(self, size: int) -> None:
        """The hub says how large it is."""
        if self.size is None:
            self.size = size
            self._asked = min(self._asked, size)

    def take(self, piece: Piece, data: bytes) -> None:
        """Bytes of a piece have come; more than was asked for is dropped. Raises OSError."""
        data = data[:piece.left]
        place = piece.first + piece.got
        piece.got += len(data)
        if place == self._on_disk:
            self._append(data)
            self._bring_in()
        else:
            before = self._ahead.get(piece.first)
            if before is not None and piece.first + len(before) == place:
                before += data
            else:
                self._ahead[place] = bytearray(data)

    def give_back(self, piece: Piece) -> None:
        """The rest of a piece will not come: ask for it again."""
        first, end = piece.first + piece.got, piece.first + piece.size
        if self.size is not None:
            end = min(end, self.size)
        elif first == self._on_disk:
            self._asked = first  # its size is asked for once more
            return
        if first < end:
            self._holes.append((first, end))

    @property
    def complete(self) -> bool:
        """Is all of it in the file?"""
        return self.size is not None and self._on_disk >= self.size

    def flush(self) -> None:
        """Bring what is in the file to the disk."""
        if self._handle is not None and self._unflushed:
            self._handle.flush()
            os.fdatasync(self._handle.fileno())
            self._unflushed = False

    def close(self) -> None:
        """Close the file; what waits for its turn is put aside. Raises OSError."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        for first, data in self._ahead.items():
            if data and not self.ended:
                make_folder(self._folder, 0o700)
                place_file(self._folder / f"{self.file.name}@{first}", data)

    @property
    def _folder(self) -> Path:
        return self.file.parent / AHEAD_FOLDER

    def _put_aside(self) -> Iterator[tuple[int, bytearray]]:
        """What an earlier transfer put aside of this file; it is gone from there afterwards."""
        if not self._folder.is_dir():
            return
        for path in list(self._folder.iterdir()):
            found = _AHEAD.fullmatch(path.name)
            if found is None or found[1] != self.file.name:
                continue
            with contextlib.suppress(OSError):
                data = bytearray(path.read_bytes())
                first = int(found[2])
                if data and first > self._on_disk and (self.size is None or first + len(data) <= self.size):
                    yield first, data
            path.unlink(missing_ok=True)

    def _skip_what_is_here(self) -> None:
        """What is here already is not asked for."""
        self._asked = max(self._asked, self._on_disk)
        while self._asked in self._ahead:
            self._asked += len(self._ahead[self._asked])

    def _append(self, data: bytes | bytearray) -> None:
        if self._handle is None:
            self._handle = self.file.open("ab", buffering=0)
        view = memoryview(data)
        while view:
            written = self._handle.write(view)
            self._on_disk += written or 0
            view = view[written or 0:]
        self._unflushed = True

    def _bring_in(self) -> None:
        while (data := self._ahead.pop(self._on_disk, None)) is not None:
            self._append(data)


def forget(staging: Path, needed: Collection[str] = ()) -> None:
    """Remove what lies beside the objects that are `needed`: pieces put aside, and packed ones. Packs go when
    nothing is needed any more."""
    for folder in (staging / AHEAD_FOLDER, staging / PARTS_FOLDER / AHEAD_FOLDER, staging / PARTS_FOLDER):
        for path in folder.iterdir() if folder.is_dir() else ():
            name = path.name.partition("@")[0]
            if not path.is_dir() and name not in needed and not (needed and name.endswith(PACK_SUFFIX)):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is none, or it is not empty
            folder.rmdir()
