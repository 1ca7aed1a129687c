"""A real small disk for tests: an ext4 in a file, mounted through a loop device (needs root)."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
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
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", *few, str(image)], check=True)
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


def break_disk(where: Path) -> None:
    """Let the kernel meet an error of the disk, after which it takes no more writes (errors=remount-ro)."""
    subprocess.run(["mount", "-o", "remount,errors=remount-ro", str(where)], check=True)
    trigger = Path("/sys/fs/ext4") / _device(where) / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("this kernel cannot be told to meet an error")
    trigger.write_text("1")


def replace_disk(where: Path) -> None:
    """Unmount, check, mount again: what a start after the error does. Nobody may use it."""
    image = where.with_suffix(".img")
    subprocess.run(["umount", str(where)], check=True)
    while subprocess.run(["losetup", "-j", str(image)], capture_output=True, check=True).stdout:
        time.sleep(0.05)  # the loop device goes a little later than the mount
    checked = subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, check=False)
    assert checked.returncode in (0, 1), checked.stdout
    subprocess.run(["mount", "-o", "loop", str(image), str(where)], check=True)


def lose_bytes(where: Path, path: Path) -> None:
    """From now on the disk cannot read the second half of the file `path` (EIO)."""
    image = where.with_suffix(".img")
    subprocess.run(["sync", "-f", str(where)], check=True)
    shown = subprocess.run(["filefrag", "-v", "-b4096", str(path)], capture_output=True, text=True,
                           check=True)
    rows = [row.replace("..", " ").replace(":", " ").split() for row in shown.stdout.splitlines()]
    extents = [(int(row[1]), int(row[3]), int(row[5])) for row in rows if row and row[0].isdigit()]
    _, first, blocks = max(extents, key=lambda extent: extent[1])
    with path.open("rb") as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with image.open("r+b") as handle:
        handle.truncate((first + blocks // 2) * 4096)


def _device(where: Path) -> str:
    found = subprocess.run(["findmnt", "-no", "SOURCE", str(where)], capture_output=True, text=True,
                           check=True)
    return Path(found.stdout.strip()).name


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


@contextmanager
def real_stick(place: Path, kind: str, mebibytes: int) -> Iterator[Path]:
    """A stick with a file system of its own, `vfat` or `exfat`, served by FUSE, mounted at `place/<kind>`;
    skips the test where that cannot be had."""
    for program in ("fusefat", "mount.exfat-fuse", "mkfs.vfat", "mkfs.exfat", "losetup"):
        if os.geteuid() or not Path("/dev/fuse").exists() or shutil.which(program) is None:
            pytest.skip("needs root and FUSE")
    image, where = place / f"{kind}.img", place / kind
    with image.open("wb") as handle:
        handle.truncate(mebibytes * 2**20)
    where.mkdir()
    make = {"vfat": ["mkfs.vfat", "-F", "32", "-s", "2"], "exfat": ["mkfs.exfat"]}[kind]
    _quiet(*make, str(image))
    device = _quiet("losetup", "-f", "--show", str(image)).strip()
    try:
        put_in(where, device)
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], capture_output=True, check=False)
        _quiet("losetup", "-d", device)
        image.unlink()


def put_in(where: Path, device: str) -> None:
    """Mount a real stick (again), repaired: the drivers of FUSE end at once on what they cannot read."""
    for _ in range(1200):  # whoever had it lets go of it a little after its end
        try:
            os.close(os.open(device, os.O_RDWR | os.O_EXCL))
            break
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        time.sleep(0.05)
    repair = {"vfat": ["fsck.vfat", "-a", "-w"], "exfat": ["fsck.exfat", "-y"]}[where.name]
    checked = subprocess.run([*repair, device], capture_output=True, text=True, check=False)
    assert checked.returncode in (0, 1), checked
    mount = {"vfat": ["fusefat", "-o", "rw+"], "exfat": ["mount.exfat-fuse"]}[where.name]
    _quiet(*mount, device, str(where))


def pull_out(where: Path) -> str:
    """Take a real stick away from whoever uses it: its file system's process is gone. Its device."""
    device = next(row.split()[0] for row in _quiet("losetup", "-l", "-n", "-O", "NAME,BACK-FILE").splitlines()
                  if row.split()[-1] == str(where.with_suffix(".img")))
    _quiet("pkill", "-KILL", "-f", f"{device} {where}")
    _quiet("umount", "-l", str(where))
    still_there = ["pgrep", "-f", f"{device} {where}"]
    while subprocess.run(still_there, capture_output=True, check=False).returncode == 0:
        time.sleep(0.05)
    return device


def _quiet(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout
