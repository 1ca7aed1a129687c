"""What the demo's lessons are made of, from the package registries; kept in `.cache/`, never committed.

Promise: `fetch_all` returns the same files on each machine (versions are pinned where the registry
keeps old ones) and downloads nothing twice.
"""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

#: npm packages: 83 MB of poems (of which the classics for children are used) and 13 MB of stroke orders.
POEMS, STROKES = "chinese-poetry@1.4.1", "hanzi-writer-data@2.0.1"
#: Debian packages: the manual of Debian Edu in Chinese (10 MB), filmed physics experiments (4 MB).
MANUAL, EXPERIMENTS = "debian-edu-doc-zh-cn", "python3-mecavideo"

#: Longest download of one package, in seconds.
PATIENCE_S = 300


class NoDownload(Exception):
    """A registry did not give what was asked; the text says what and why."""


def fetch_all(cache: Path) -> Path:
    """Download what is missing and unpack it below `cache`; the folder of raw material."""
    raw = cache / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    _once(raw / POEMS, partial(_npm, POEMS, "package/chinese-poetry/mengxue/"))
    _once(raw / STROKES, partial(_npm, STROKES, "package/"))
    for name in (MANUAL, EXPERIMENTS):
        _once(raw / name, partial(_debian, name))
    return raw


def manual_pictures(raw: Path) -> dict[str, bytes]:
    """The manual's pictures by file name; its HTML links them into another package, its EPUB holds them."""
    with zipfile.ZipFile(manual(raw, "epub")) as book:
        return {Path(name).name: book.read(name) for name in book.namelist()
                if name.lower().endswith((".png", ".svg", ".jpg"))}


def manual(raw: Path, suffix: str) -> Path:
    """The newest edition of the manual as `html`, `epub` or `pdf`."""
    return sorted((raw / MANUAL / "usr/share/doc" / MANUAL).glob(f"debian-edu-*-manual.{suffix}"))[0]


def _once(folder: Path, make: Callable[[Path], None]) -> None:
    done = folder.with_name(folder.name + ".done")
    if done.exists():
        return
    folder.mkdir(exist_ok=True)
    make(folder)
    done.touch()


def _npm(name: str, wanted: str, folder: Path) -> None:
    output = _run(["npm", "pack", "--silent", name], folder)
    archive = folder / output.split()[-1]
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if m.isfile() and m.name.startswith(wanted)]
        tar.extractall(folder, members=members, filter="data")
    archive.unlink()


def _debian(name: str, folder: Path) -> None:
    try:
        _run(["apt-get", "-q", "download", name], folder)
    except NoDownload:
        _run(["apt-get", "-q", "update"], folder)
        _run(["apt-get", "-q", "download", name], folder)
    archive = next(folder.glob(f"{name}_*.deb"))
    _run(["dpkg-deb", "-x", archive.name, "."], folder)
    archive.unlink()


def _run(words: list[str], cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        raise NoDownload(f"{' '.join(words)} failed:\n{done.stderr.strip()[-800:]}")
    return done.stdout
