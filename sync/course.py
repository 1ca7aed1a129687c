"""A SCORM package's imsmanifest.xml: which pages it has, in which order, and what each is told. No I/O.

SCORM 1.2 and 2004, and plain IMS content packages. Whatever it says about other hosts is left out: a course
opens files of its own bundle only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from sync.safe_xml import BadXml, parse_xml
from sync.text import one_line

#: The file that makes a folder a SCORM package.
MANIFEST = "imsmanifest.xml"
#: Largest one that is read, in bytes; the largest seen in the field have some hundred KB.
MOST_MANIFEST_BYTES = 4 * 1024 * 1024
#: Most entries of a table of contents, and its deepest level that is told apart.
MOST_PARTS = 1000
MOST_LEVEL = 6
#: Longest text that is passed on to a page (launch data, a mastery score), in characters: SCORM's own limit.
MOST_DATA = 4096


@dataclass(frozen=True)
class Part:
    """One line of the table of contents. `path` is a file in the bundle ("" for a heading), `query` what
    comes after it in its address; `data` and `mastery` are what the page is told when it asks."""

    id: str
    title: str
    level: int
    path: str = ""
    query: str = ""
    data: str = ""
    mastery: str = ""


@dataclass(frozen=True)
class Course:
    """`version` is `1.2`, `2004`, or "" where the manifest does not say."""

    version: str
    title: str
    parts: tuple[Part, ...]

    @property
    def pages(self) -> tuple[Part, ...]:
        """The parts that open a page, in order."""
        return tuple(part for part in self.parts if part.path)


def read_course(data: bytes) -> Course:
    """The course that an imsmanifest.xml describes; without parts where it names no page.

    Raises BadXml where it cannot be read.
    """
    if len(data) > MOST_MANIFEST_BYTES:
        raise BadXml(f"is larger than {MOST_MANIFEST_BYTES} bytes")
    root = parse_xml(data)
    resources = {one.get("identifier", ""): one for one in root.iter("resource") if one.get("href")}
    organization = _organization(root)
    parts: list[Part] = []
    if organization is not None:
        for item, level in _items(organization, 0):
            parts.append(_part(root, item, level, resources.get(item.get("identifierref", ""))))
            if len(parts) >= MOST_PARTS:
                break
    if not any(part.path for part in parts) and resources:
        identifier, resource = next(iter(resources.items()))
        path, query = _address(root, resource)
        parts = [Part(identifier, "", 0, path, query)]
    return Course(_version(root, data), _text(organization, "title"), tuple(parts))


def _organization(root: ET.Element) -> ET.Element | None:
    """The one that the manifest calls its default, else the first that has items."""
    wanted = next((one.get("default", "") for one in root.iter("organizations")), "")
    found = list(root.iter("organization"))
    return next((one for one in found if wanted and one.get("identifier") == wanted),
                next((one for one in found if one.find("item") is not None), None))


def _items(of: ET.Element, level: int) -> Iterator[tuple[ET.Element, int]]:
    for item in of.findall("item"):
        if item.get("isvisible", "true").strip().lower() not in ("false", "0"):
            yield item, min(level, MOST_LEVEL)
        yield from _items(item, level + 1)


def _part(root: ET.Element, item: ET.Element, level: int, resource: ET.Element | None) -> Part:
    path, query = _address(root, resource) if resource is not None else ("", "")
    more = item.get("parameters", "").strip()
    if more and path:  # SCORM 2004 CAM 3.4.1.5: appended with ? or &, or as it is where it begins with #
        query += more if more[0] == "#" else ("&" if "?" in query else "?") + more.lstrip("?&")
    return Part(one_line(item.get("identifier", ""), 200), _text(item, "title"), level, path, query,
                (_below(item, "datafromlms") or _below(item, "dataFromLMS"))[:MOST_DATA],
                _below(item, "masteryscore")[:40])


def _address(root: ET.Element, resource: ET.Element) -> tuple[str, str]:
    """(path in the bundle, query and fragment); ("", "") for what lies elsewhere. xml:base of the manifest,
    the list and the entry stand before the href."""
    bases = [one.get("base", "") for one in (root, *root.iter("resources"), resource)]
    whole = "".join(bases) + resource.get("href", "")
    path = re.split(r"[?#]", whole, maxsplit=1)[0]
    query = whole[len(path):]
    parts: list[str] = []
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", path):
        return "", ""
    for part in PurePosixPath(unquote(path.replace("\\", "/")).lstrip("/")).parts:
        if part == "..":
            if not parts:
                return "", ""
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts), query


def _version(root: ET.Element, data: bytes) -> str:
    told = next((one.text or "" for one in root.iter("schemaversion")), "").strip()
    if told.startswith("1.2") or b"adlcp_rootv1p2" in data:
        return "1.2"
    return "2004" if "2004" in told or told.startswith("CAM") or b"adlcp_v1p3" in data else ""


def _text(of: ET.Element | None, name: str) -> str:
    found = of.find(name) if of is not None else None
    return one_line("".join(found.itertext()), 300) if found is not None else ""


def _below(item: ET.Element, name: str) -> str:
    """The text of an element that belongs to this item and not to one below it."""
    found = item.find(name)
    return (found.text or "").strip() if found is not None else ""
