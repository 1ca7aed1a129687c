"""Lessons that come packed: an `.h5p` file, or a `.zip` that is a SCORM package, becomes a bundle.

Archives come from many hands: any of them may be broken, huge or hostile. One that breaks a limit, or lacks
what makes it a lesson, is published as the file it is, with a warning that says why.
"""

from __future__ import annotations

import lzma
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sync.course import MANIFEST
from sync.durable import disk_errors
from sync.hub.folder import Content, Entry, is_junk, natural
from sync.manifest import path_fault
from sync.media import resource_type, suffix
from sync.store import state

#: Most files in one archive: the largest H5P and SCORM packages have some thousands.
MOST_FILES = 20_000
#: Most bytes that one archive may unpack to: a course with its films.
MOST_UNPACKED_BYTES = 4 * 1024**3
#: A file that unpacks to more than this many times its packed size is a bomb (text packs 3 to 10 times),
#: unless it is so small that it does not matter, in bytes.
MOST_RATIO = 200
HARMLESS_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024

#: What makes an archive of this suffix a lesson.
_MARKS = {"h5p": "h5p.json", "zip": MANIFEST}


class _Bad(Exception):
    """This archive cannot be unpacked; the message says why."""


def unpack(content: Content, folder: Path) -> Content:
    """`content` with the files of such archives in their place; they are unpacked below `folder`.

    Raises NoRoom, Broken as `disk_errors`.
    """
    found = replace(content, entries=[], bundles=set(content.bundles), warnings=list(content.warnings))
    for number, entry in enumerate(content.entries):
        mark = _MARKS.get(suffix(entry.path))
        if mark is None or content.bundle_of(entry.path) is not None:
            found.entries.append(entry)
            continue
        try:
            inside = list(_unpack(entry, mark, folder / str(number)))
        except _Bad as error:
            found.warnings.append(f"{entry.path}: {error}; it is published as a file")
            inside = []
        if inside:
            found.bundles.add(entry.path)
            found.packed.add(entry.path)
        found.entries += inside or [entry]
    found.entries.sort(key=lambda entry: natural(entry.path))
    return found


def _unpack(entry: Entry, mark: str, folder: Path) -> Iterator[Entry]:
    """The files of one archive; none where it is a zip that is no SCORM package. Raises _Bad."""
    try:
        with zipfile.ZipFile(entry.source) as archive:
            if len(archive.infolist()) > MOST_FILES:
                raise _Bad(f"holds more than {MOST_FILES} files")
            files = {_name(info): info for info in archive.infolist() if not _left_out(info)}
            top = _top(files, mark)
            if top is None and suffix(entry.path) == "zip":
                return
            if top is None:
                raise _Bad(f"is no H5P package: it has no {mark}")
            files = {name[len(top):]: info for name, info in files.items() if name.startswith(top)}
            if mark == MANIFEST and not any(resource_type(name) == "page" for name in files):
                raise _Bad("is a SCORM package without any page")
            _hold(entry.path, files)
            with disk_errors(folder):
                folder.mkdir()
            for number, (name, info) in enumerate(files.items()):
                target = folder / str(number)
                _write(archive, info, target)
                yield Entry(f"{entry.path}/{name}", str(target), state(target.stat()))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
            ValueError) as error:
        raise _Bad(f"is no whole package: {str(error)[:200]}") from error
    except OSError as error:  # no such place; what the disk cannot read is told when bytes are taken in
        raise _Bad(f"cannot be read: {error.strerror}") from error


def _name(info: zipfile.ZipInfo) -> str:
    """A file's name in its archive: UTF-8 where it says so, else UTF-8 that does not say so, or as Windows in
    China wrote it."""
    name = info.filename.replace("\\", "/")
    if not info.flag_bits & 0x800:
        data = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = data.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return unicodedata.normalize("NFC", name)


def _left_out(info: zipfile.ZipInfo) -> bool:
    """Folders, links, and what systems leave about."""
    link = stat.S_ISLNK(info.external_attr >> 16)
    return link or info.filename.endswith(("/", "\\")) or any(
        is_junk(part) for part in info.filename.replace("\\", "/").split("/"))


def _top(files: dict[str, zipfile.ZipInfo], mark: str) -> str | None:
    """The folder that holds `mark`: the top, or the only one that lies there."""
    if mark in (name.lower() for name in files):
        return ""
    tops = {name.partition("/")[0] for name in files}
    if len(tops) == 1:
        top = f"{tops.pop()}/"
        if f"{top}{mark}".lower() in (name.lower() for name in files):
            return top
    return None


def _hold(archive: str, files: dict[str, zipfile.ZipInfo]) -> None:
    """Raises _Bad for names that may not stand in a manifest, for bombs, and for what is locked."""
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in files}
    if len(folded) < len(files):
        raise _Bad("holds two files whose names differ only by upper and lower case")
    if sum(info.file_size for info in files.values()) > MOST_UNPACKED_BYTES:
        raise _Bad(f"unpacks to more than {MOST_UNPACKED_BYTES} bytes")
    for name in folded:
        if any(name[:cut] in folded for cut, sign in enumerate(name) if sign == "/"):
            raise _Bad(f"holds {name!r} below a file")
    for name, info in files.items():
        fault = path_fault(f"{archive}/{name}")
        if fault:
            raise _Bad(f"holds a file whose name {fault}")
        if info.flag_bits & 1:
            raise _Bad("is protected by a password")
        if info.file_size > max(HARMLESS_BYTES, MOST_RATIO * info.compress_size):
            raise _Bad(f"holds {name!r}, which is packed like a bomb")


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """What an archive says of a file's size is held against what comes out of it."""
    left = info.file_size
    with archive.open(info) as packed, disk_errors(target), target.open("xb") as file:
        while chunk := packed.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise _Bad("unpacks to more than it says")
            file.write(chunk)
