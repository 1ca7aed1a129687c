"""A real small disk for tests: an ext4 in a file, mounted through a loop device (needs root)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_ext4(place: Path, mebibytes: int, inodes: int | None = None) -> Iterator[Path]:
    """Mounted at `place/disk` for the block; skips the test where that cannot be had."""
    image, where = place / "disk.img", place / "disk"
    with image.open("wb") as handle:
        handle.truncate(mebibytes * 2**20)
    few = ["-N", str(inodes)] if inodes else []
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *few, str(image)], check=True)
    where.mkdir()
    made = subprocess.run(["mount", "-o", "loop", str(image), str(where)], capture_output=True, text=True,
                          check=False)
    if made.returncode:
        pytest.skip(f"cannot mount here: {made.stderr}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)
        image.unlink()


def remount(where: Path, how: str) -> None:
    """`ro` or `rw`. A writer that has a file open keeps the kernel from `ro`; then the file system is made
    read-only as the kernel does it after an error: by the shutdown of its journal."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(where)], check=True, capture_output=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that is left."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as handle:
        for size in (2**20, 4096, 1):
            block = bytes(size)
            try:
                while True:
                    handle.write(block)
            except OSError:
                continue
    return path


def fill_inodes(folder: Path) -> list[Path]:
    """Empty files until no more can be made."""
    made: list[Path] = []
    try:
        while True:
            path = folder / f"inode-{len(made)}"
            path.touch()
            made.append(path)
    except OSError:
        return made
