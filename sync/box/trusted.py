"""The files around `sync.trust`: a fetched feed, and what this box believed last.

What was believed is one file, `trusted/feed.json`: the SHA-256 of the rest, a line end, canonical
JSON. It is replaced whole, so a power cut leaves the old belief or the new one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sync.canonical import canonical, sha256_hex
from sync.durable import make_folder, write_file
from sync.errors import Refused
from sync.layout import BoxLayout
from sync.logs import log
from sync.pairing import Pairing
from sync.trust import MOST_BYTES, MOST_TIME, Trusted, most_bytes

#: Most entries of a feed folder that are looked at. A hub writes one root for each change of keys
#: and four generations of five files; the rest is room.
MOST_FEED_FILES = 4096
#: Most bytes of a feed that are read into memory: four generations of the largest targets, and more.
MOST_FEED_BYTES = 32 * 1024 * 1024

FORMAT = "teachpoint-trusted/1"
#: Largest file of beliefs, in bytes: four roles, doubled by JSON's quoting at the very most.
MOST_TRUSTED_BYTES = 2 * sum(MOST_BYTES[role] for role in ("root", "timestamp", "snapshot", "targets")) + 4096


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    anchor: str
    root: str
    timestamp: str | None
    snapshot: str | None
    targets: str | None
    time: Annotated[int, Meta(ge=0, le=MOST_TIME)]


def read_feed(folder: Path) -> dict[str, bytes]:
    """The files of a feed that lies in `folder`, by name; other names, links and folders are ignored.

    Raises Refused: `feed-bad` (a file too large, too many files), `file-unreadable`,
    `feed-incomplete` (there is no such folder).
    """
    found: dict[str, bytes] = {}
    total = 0
    for name, path in _entries(folder):
        most = most_bytes(name)
        data = _read_regular(path, most) if most is not None else None
        if data is None:
            continue
        total += len(data)
        if total > MOST_FEED_BYTES:
            raise Refused("feed-bad", file=name, reason=f"the feed is larger than {MOST_FEED_BYTES} bytes")
        found[name] = data
    return found


def load(layout: BoxLayout, pairing: Pairing) -> Trusted:
    """What this box believed last; from the pairing file alone where it believed nothing yet.

    A new pairing file starts afresh. So does a damaged file of beliefs (the box then is as trusting as
    on its first day, which is better than closed for ever); it is logged.
    """
    root = pairing.trust.root.encode()
    fresh = Trusted(root=root, anchor=sha256_hex(root))
    try:
        with _file(layout).open("rb") as handle:
            data = handle.read(MOST_TRUSTED_BYTES + 1)
    except FileNotFoundError:
        return fresh
    except OSError as error:
        log("box.trusted").warning("beliefs-unreadable", reason=error.strerror)
        return fresh
    kept = _parse(data)
    if kept is None:
        log("box.trusted").warning("beliefs-damaged", size=len(data))
        return fresh
    if kept.anchor != fresh.anchor:
        log("box.trusted").info("new-pairing-starts-afresh")
        return fresh
    return Trusted(root=kept.root.encode(), timestamp=_bytes(kept.timestamp),
                   snapshot=_bytes(kept.snapshot), targets=_bytes(kept.targets), time=kept.time,
                   anchor=kept.anchor)


def save(layout: BoxLayout, trusted: Trusted) -> None:
    """Keep what is believed now, durably, in one piece. Raises NoRoom `disk-full`."""
    kept = canonical({
        "format": FORMAT, "anchor": trusted.anchor, "root": trusted.root.decode(),
        "timestamp": _text(trusted.timestamp), "snapshot": _text(trusted.snapshot),
        "targets": _text(trusted.targets), "time": trusted.time})
    make_folder(layout.trusted)
    write_file(_file(layout), sha256_hex(kept).encode() + b"\n" + kept)


def _file(layout: BoxLayout) -> Path:
    return layout.trusted / "feed.json"


def _parse(data: bytes) -> _Kept | None:
    digest, _, rest = data.partition(b"\n")
    if len(data) > MOST_TRUSTED_BYTES or sha256_hex(rest).encode() != digest:
        return None
    try:
        kept = msgspec.json.decode(rest, type=_Kept)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return kept if kept.format == FORMAT else None


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= MOST_FEED_FILES:
                    raise Refused("feed-bad", file=folder, reason=f"more than {MOST_FEED_FILES} files")
                yield entry.name, Path(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        raise Refused("feed-incomplete", file=folder) from None
    except OSError as error:
        raise Refused("file-unreadable", path=folder, reason=error.strerror) from error


def _read_regular(path: Path, most: int) -> bytes | None:
    """A regular file's bytes, None for anything else: a stick may hold links, pipes and devices."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None  # a hub on this machine is just replacing it
    except OSError as error:
        if path.is_symlink():
            return None
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # `fdopen` takes no folder
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as handle:
        try:
            data = handle.read(most + 1)
        except OSError as error:
            raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    if len(data) > most:
        raise Refused("feed-bad", file=path.name, reason=f"larger than {most} bytes")
    return data


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
