"""Looking at what an admin wants published: which folders are lessons, which files they hold.

`lessons` decides how a tree is cut into packages; `look_at` lists the files of one of them and
refuses what cannot travel. Nothing is changed here, and no link is followed out of the folder.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sync.errors import Refused
from sync.hub import describe
from sync.manifest import MOST_FILES, path_fault
from sync.store import State, state

#: A folder that holds one of these is a bundle.
BUNDLE_MARKS = ("index.html", "index.htm", "h5p.json", "imsmanifest.xml")
#: How deep below the given path lessons are looked for: province/school/stage/edition/grade/subject/
#: unit/lesson is eight.
MOST_DEPTH = 12
#: How many faults or left-out files are named one by one.
MOST_NAMED = 10

_JUNK = ("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "$recycle.bin", "system volume information",
         "~$*", ".*", "*.lnk")
#: Unfinished downloads and copies; the watch folder waits for them to go.
PARTIAL = ("*.part", "*.partial", "*.crdownload", "*.tmp", "*.temp", "*.download", "*.!ut", "*.aria2",
           ".~lock.*")


class Entry(NamedTuple):
    """One file to publish: its path in the package, where it lies, and what it looked like."""

    path: str
    source: str
    state: State

    @property
    def size(self) -> int:
        """Its bytes, when it was looked at."""
        return self.state[0]


@dataclass(frozen=True)
class Lesson:
    """What becomes one package. `given` is how many folders above it stand at or below the path that
    the admin gave; `shallow`: only the files that lie in it directly (its folders are lessons)."""

    path: Path
    given: int = 0
    shallow: bool = False


@dataclass
class Content:
    """The files of a lesson, in the order people expect, and what was left out."""

    entries: list[Entry] = field(default_factory=list)
    #: Folders that are bundles, as paths in the package; "" is the lesson itself.
    bundles: set[str] = field(default_factory=set)
    #: Those of them that are archives (`sync.hub.unpack`).
    packed: set[str] = field(default_factory=set)
    toml: bytes | None = None
    warnings: list[str] = field(default_factory=list)

    def bundle_of(self, path: str) -> str | None:
        """The bundle that a file belongs to; None for a file of its own."""
        if not self.bundles:
            return None
        if "" in self.bundles:
            return ""
        parts = path.split("/")
        return next((folder for n in range(1, len(parts))
                     if (folder := "/".join(parts[:n])) in self.bundles), None)

    def seen(self) -> list[tuple[str, State]]:
        """What must be the same at the end of a publish."""
        return [(entry.path, entry.state) for entry in self.entries]


def is_junk(name: str) -> bool:
    """Is this a file or folder that systems and programs leave about, and no lesson's?"""
    lower = name.lower()
    return any(fnmatch.fnmatchcase(lower, pattern) for pattern in _JUNK)


def is_partial(name: str) -> bool:
    """Is this an unfinished download or copy (also rsync's `.name.Xa81bQ`)?"""
    lower = name.lower()
    return (any(fnmatch.fnmatchcase(lower, pattern) for pattern in PARTIAL)
            or bool(re.fullmatch(r"\..+\.[A-Za-z0-9]{6}", name)))


def lessons(path: Path) -> list[Lesson]:
    """Cut what lies at `path` into packages, in the order people expect.

    A file is one package. A folder is one, unless names say that it holds several: see
    docs/publishing.md. Raises Refused `file-vanished`, `file-unreadable`.
    """
    if not _exists(path).is_dir():
        return [Lesson(path)]
    return [Lesson(node.path, given=node.depth, shallow=shallow)
            for node, shallow in _cut(_Node.read(path, 0))]


class _Exists(NamedTuple):
    found: os.stat_result

    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.found.st_mode)


def _exists(path: Path) -> _Exists:
    try:
        return _Exists(path.stat())
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error


@dataclass
class _Node:
    """A folder on the way to the lessons."""

    path: Path
    depth: int
    #: Is it a lesson whatever lies below (its name, a package.toml, a bundle)?
    whole: bool
    loose: bool
    children: list[_Node]

    @classmethod
    def read(cls, path: Path, depth: int) -> _Node:
        names, folders = set(), []
        loose = False
        for entry in _scan(path):
            if is_junk(entry.name) or is_partial(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                names.add(entry.name.lower())
                loose = loose or entry.name != describe.PACKAGE_TOML
        whole = (describe.PACKAGE_TOML in names or any(mark in names for mark in BUNDLE_MARKS)
                 or describe.is_lesson(path.name) or depth >= MOST_DEPTH)
        children = [] if whole else [cls.read(path / name, depth + 1)
                                     for name in sorted(folders, key=natural)]
        return cls(path, depth, whole, loose, children)

    @property
    def name(self) -> str:
        return self.path.name

    def marked(self) -> bool:
        """Do names below say that it holds several lessons?"""
        return any(describe.is_strong_mark(child.name) or child.has_toml or child.marked()
                   for child in self.children)

    @property
    def has_toml(self) -> bool:
        return self.whole and (self.path / describe.PACKAGE_TOML).is_file()

    def filled(self) -> bool:
        """Is any file below it? (What is whole is asked when it is published.)"""
        return self.whole or self.loose or any(child.filled() for child in self.children)


def _cut(node: _Node) -> Iterator[tuple[_Node, bool]]:
    if node.marked():
        several = True
    else:
        several = (not node.whole and not node.loose and describe.is_container(node.name)
                   and not all(describe.is_category(child.name) for child in node.children))
    if not several:
        yield node, False
        return
    if node.loose:
        yield node, True
    for child in node.children:
        if child.filled():
            yield from _cut(child)


def look_at(lesson: Lesson) -> Content:
    """List the files of a lesson.

    Raises Refused `file-vanished`, `file-unreadable` (also: a device, a pipe), `file-name-bad`,
    `link-outside`, `too-many-files`, `nothing-to-publish`. Faults are told together, the first in
    full.
    """
    content = Content()
    path = lesson.path
    if _exists(path).is_dir():
        _Look(Path(os.path.realpath(path)), content).folder(lesson.shallow)
        content.toml = _toml(path)
    else:
        name = unicodedata.normalize("NFC", path.name)
        fault = _name_fault(path.name) or path_fault(name)
        if fault:
            raise Refused("file-name-bad", path=path, reason=fault)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Refused("file-unreadable", path=path, reason="not a regular file")
        content.entries.append(Entry(name, os.path.realpath(path), state(found)))
    if not content.entries:
        raise Refused("nothing-to-publish", path=path)
    content.entries.sort(key=lambda entry: natural(entry.path))
    return content


class _Look:
    """One walk through a lesson's folder."""

    def __init__(self, root: Path, content: Content) -> None:
        self._root = str(root)
        self._content = content
        self._faults: list[Refused] = []
        self._left_out: list[str] = []
        self._folded: dict[str, str] = {}

    def folder(self, shallow: bool) -> None:
        waiting = [(self._root, "")]
        while waiting:
            folder, prefix = waiting.pop()
            for entry in _scan(Path(folder)):
                path = prefix + unicodedata.normalize("NFC", entry.name)
                if is_junk(entry.name) or is_partial(entry.name):
                    self._left_out.append(path)
                elif entry.is_symlink():
                    self._link(entry, path)
                elif entry.is_dir(follow_symlinks=False):
                    if not shallow:
                        waiting.append((entry.path, f"{path}/"))
                elif prefix or entry.name != describe.PACKAGE_TOML:
                    self._file(path, entry.path, entry.name, entry.stat(follow_symlinks=False))
        self._raise_faults()
        self._content.bundles = _outermost(self._content.bundles)
        if self._left_out:
            self._content.warnings.append("left out: " + _several(self._left_out))

    def _file(self, path: str, source: str, name: str, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            self._fault("file-unreadable", source, "not a regular file")
            return
        fault = _name_fault(name) or path_fault(path)
        folded = unicodedata.normalize("NFC", path.casefold())
        if not fault and folded in self._folded:
            fault = f"is the same name as {self._folded[folded]!r} on Windows and on USB sticks"
        if fault:
            self._fault("file-name-bad", source, fault)
            return
        self._folded[folded] = path
        self._content.entries.append(Entry(path, source, state(found)))
        if len(self._content.entries) > MOST_FILES:
            raise Refused("too-many-files", path=self._root, most=MOST_FILES)
        if name.lower() in BUNDLE_MARKS:
            self._content.bundles.add(path.rpartition("/")[0])

    def _link(self, entry: os.DirEntry[str], path: str) -> None:
        target = os.path.realpath(entry.path)
        if os.path.commonpath([self._root, target]) != self._root:
            self._fault("link-outside", entry.path, target)
            return
        try:
            found = Path(target).stat()
        except OSError as error:
            self._fault("file-unreadable", entry.path, error.strerror or "a link to nothing")
            return
        if stat.S_ISDIR(found.st_mode):
            self._content.warnings.append(f"left out: {_shown(path)}, a link to a folder")
            return
        self._content.warnings.append(f"{_shown(path)} is a link; its target's bytes are published")
        self._file(path, target, entry.name, found)

    def _fault(self, code: str, path: str, reason: str) -> None:
        if len(self._faults) < MOST_FILES:
            self._faults.append(Refused(code, path=path, reason=reason))

    def _raise_faults(self) -> None:
        if not self._faults:
            return
        first = min(self._faults, key=lambda fault: str(fault.facts["path"]))
        if len(self._faults) > 1:
            others = [str(fault.facts["path"]) for fault in self._faults if fault is not first]
            first.facts["others"] = _several(others)
            first.facts["reason"] = f"{first.facts['reason']} (and {len(others)} more: {_several(others)})"
        raise first


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key for names as people order them: `2 …` before `10 …`, `第二课` before `第十课`."""
    counted = re.sub(r"第([零〇一二两三四五六七八九十百]{1,6})", lambda m: f"第{describe.number(m[1])}", text)
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part)
            for part in re.split(r"(\d{1,18})", counted.casefold()) if part]


def _outermost(folders: set[str]) -> set[str]:
    """Without the folders that lie in another of them: a bundle's own sub-pages are no bundles."""
    if "" in folders:
        return {""}
    kept: set[str] = set()
    for folder in sorted(folders, key=len):
        parts = folder.split("/")
        if not any("/".join(parts[:n]) in kept for n in range(1, len(parts))):
            kept.add(folder)
    return kept


def _scan(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error


def _toml(folder: Path) -> bytes | None:
    path = folder / describe.PACKAGE_TOML
    try:
        with path.open("rb") as handle:
            return handle.read(describe.MOST_TOML_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error


def _name_fault(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8 (rename it, or unpack the archive again with the right encoding)"
    return ""


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def _several(paths: list[str]) -> str:
    named = ", ".join(_shown(path) for path in sorted(paths)[:MOST_NAMED])
    return named + (f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else "")
