"""What rsync may take the same bytes from: `staging/.like/<sha256>` is similar to the object of that name.

A seed is first a link to the older object in the library; nothing is copied. Of a delta that was cut off,
the beginning lies in `staging/<sha256>`, and rsync compares with one file only: so the seed becomes that
beginning with the older object behind it, and the next delta sends neither again. Seeds are never trusted:
what rsync makes of one is verified by its SHA-256 like all that comes.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from sync.durable import make_folder, temporary_beside
from sync.layout import object_path
from sync.staging import size_of
from sync.transport import Wanted

#: Below staging; relative, as rsync's --copy-dest wants it.
FOLDER = ".like"
#: So many bytes more must have come until a seed is made anew: making one reads and writes it whole.
WORTH_BYTES = 256 * 1024
#: What stays free on the disk when a beginning and an older object are put together, in bytes.
RESERVE_BYTES = 64 * 1024 * 1024


def prepare(one: Wanted, staging: Path, library: Path) -> bool:
    """Make the seed of an object from its `like`; afterwards its beginning is no longer in `staging`.

    False, and nothing is changed, where there is no such object or no room: then it comes without.
    """
    if not one.like:
        return False
    old, seed, begun = library / object_path(one.like), staging / FOLDER / one.sha256, staging / one.sha256
    old_bytes, begun_bytes, seed_bytes = size_of(old), size_of(begun), size_of(seed)
    if old_bytes < 0:
        return False
    try:
        make_folder(seed.parent, 0o700)
        if begun_bytes > max(seed_bytes - old_bytes, 0) + WORTH_BYTES:
            if shutil.disk_usage(staging).free < begun_bytes + old_bytes + RESERVE_BYTES:
                return False
            _join(begun, old, seed)
        elif seed_bytes < 0:
            seed.hardlink_to(old)
    except OSError:  # no room, no hard links (FAT), a dying disk: the transfer itself says so
        return False
    begun.unlink(missing_ok=True)
    return True


def forget(staging: Path, needed: Collection[str] = ()) -> None:
    """Remove all seeds but those of the objects `needed`."""
    folder = staging / FOLDER
    for seed in folder.iterdir() if folder.is_dir() else ():
        if seed.name not in needed:
            seed.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none, or it is not empty
        folder.rmdir()


def _join(beginning: Path, old: Path, seed: Path) -> None:
    temporary = temporary_beside(seed)
    try:
        with temporary.open("xb") as whole:
            for part in (beginning, old):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, whole, 1024 * 1024)
        temporary.replace(seed)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
