"""What a bundle is and opens with: SCORM by its imsmanifest.xml, H5P by its h5p.json, else a page. What would
keep it from opening is told as a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sync.course import MANIFEST, MOST_MANIFEST_BYTES, Course, read_course
from sync.media import resource_type
from sync.safe_xml import BadXml
from sync.text import one_line

H5P = "h5p.json"
#: Largest h5p.json, in bytes; real ones have under 10 KB.
MOST_H5P_BYTES = 1024 * 1024
#: How much of a page is looked through for frames, in bytes.
MOST_PAGE_BYTES = 1024 * 1024
#: How many missing files are named one by one.
MOST_NAMED = 3

_FRAME = re.compile(rb"<i?frame\s", re.I)
_Short = Annotated[str, Meta(max_length=255)]


class _Library(msgspec.Struct):
    machineName: _Short  # noqa: N815 - the field of h5p.json
    majorVersion: int | str  # noqa: N815
    minorVersion: int | str  # noqa: N815

    @property
    def folder(self) -> str:
        return f"{self.machineName}-{self.majorVersion}.{self.minorVersion}"


class _H5p(msgspec.Struct):
    mainLibrary: _Short  # noqa: N815
    title: str = ""
    preloadedDependencies: list[_Library] = []  # noqa: N815


@dataclass
class Inside:
    """The file that opens first (a path in the package), the title inside, and what an admin should know."""

    entry: str
    title: str = ""
    warnings: list[str] = field(default_factory=list)


def look_into(folder: str, files: Mapping[str, Path]) -> Inside:
    """Look into the bundle `folder`; `files` are its paths in the package and where their bytes are."""
    prefix = f"{folder}/" if folder else ""
    own = {path[len(prefix):].lower(): path for path in files}
    told: list[str] = []
    if MANIFEST in own:
        inside = _scorm(own, files)
        if inside.entry:
            return inside
        told = inside.warnings
    for mark in ("index.html", "index.htm"):
        if mark in own:
            return Inside(own[mark], warnings=told)
    if H5P in own:
        return _h5p(own, files[own[H5P]])
    pages = [path for path in files if resource_type(path) == "page"]
    return Inside(pages[0] if pages else own.get(MANIFEST, next(iter(files))), warnings=told)


def _scorm(own: Mapping[str, str], files: Mapping[str, Path]) -> Inside:
    """`entry` is "" where the manifest cannot be read or names no page that is there."""
    try:
        with files[own[MANIFEST]].open("rb") as file:
            course = read_course(file.read(MOST_MANIFEST_BYTES + 1))
    except BadXml as error:
        return Inside("", warnings=[f"{MANIFEST} {error}"])
    there = [part for part in course.pages if part.path.lower() in own]
    lacking = sorted({part.path for part in course.pages if part.path.lower() not in own})
    if not there:
        return Inside("", warnings=[f"{MANIFEST} names no page that is there"])
    warnings = [f"{MANIFEST} names {_several(lacking)}, which is not there"] if lacking else []
    framed = sorted({part.path for part in there if _has_frames(files[own[part.path.lower()]])})
    if framed:
        warnings.append(f"{_several(framed)} opens further pages in frames, which cannot ask each other "
                        "anything on a box: try it before class")
    return Inside(own[there[0].path.lower()], _title(course), warnings)


def _has_frames(page: Path) -> bool:
    with page.open("rb") as file:
        return _FRAME.search(file.read(MOST_PAGE_BYTES)) is not None


def _title(course: Course) -> str:
    return course.title or next((part.title for part in course.parts if part.title), "")


def _h5p(own: Mapping[str, str], described: Path) -> Inside:
    inside = Inside(own[H5P])
    try:
        with described.open("rb") as file:
            told = msgspec.json.decode(file.read(MOST_H5P_BYTES + 1), type=_H5p)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        inside.warnings.append(f"{H5P} cannot be read, so it will not open: {str(error)[:200]}")
        return inside
    inside.title = one_line(told.title, 300)
    lacking = sorted(library.folder for library in told.preloadedDependencies
                     if f"{library.folder}/library.json".lower() not in own)
    if "content/content.json" not in own:
        lacking.insert(0, "content/content.json")
    if told.mainLibrary not in {library.machineName for library in told.preloadedDependencies}:
        lacking.insert(0, told.mainLibrary)
    if lacking:
        inside.warnings.append(f"lacks {_several(lacking)}: it will not open; "
                               "export it again with its libraries")
    return inside


def _several(names: list[str]) -> str:
    named = ", ".join(one_line(name, 200) for name in names[:MOST_NAMED])
    return named + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
