"""Reading an EPUB: its title, its contents, its chapters. Hostile books are normal input.

An EPUB is a zip file: `META-INF/container.xml` names the package document (OPF), which lists the files
and their reading order (spine); a navigation document (EPUB 3) or an NCX (EPUB 2) holds the table of
contents. Nothing is unpacked to the disk; each file is read with a limit, whatever the zip says of its size.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree
from xml.parsers import expat

#: Most files in a book: a schoolbook with a picture for every word has some thousands.
MOST_MEMBERS = 20_000
#: Largest text file of a book (chapter, contents), in bytes after unpacking: a whole novel has 2 MB.
MOST_TEXT_BYTES = 8 * 1024 * 1024
#: Largest picture or sound of a book, in bytes after unpacking.
MOST_MEDIA_BYTES = 32 * 1024 * 1024
#: Deepest nesting of XML elements; a table of contents has under 20.
MOST_DEPTH = 200
#: Most elements of a package document or an NCX: bounds memory (about 300 bytes each).
MOST_ELEMENTS = 200_000
#: Most lines of a table of contents that are shown.
MOST_CONTENTS = 500
#: Longest title taken over from a book, in characters.
MOST_TITLE = 300

_ANY_SPACE = re.compile(r"\s+")


class BadBook(Exception):
    """The file is no EPUB that can be read; the reason is for the log."""


@dataclass(frozen=True)
class Part:
    """A line of the table of contents: where it leads (`chapter` counts from 1), how deep it stands."""

    name: str
    chapter: int
    fragment: str
    depth: int


@dataclass(frozen=True)
class Book:
    """What a book says of itself. `chapters` are paths in the zip, in reading order."""

    title: str
    creators: tuple[str, ...]
    language: str
    chapters: tuple[str, ...]
    contents: tuple[Part, ...]
    #: path in the zip → media type, for all that the package document lists
    media: dict[str, str]

    def chapter_of(self, path: str) -> int | None:
        """The number of the chapter that lies at `path`, or None."""
        try:
            return self.chapters.index(path) + 1
        except ValueError:
            return None

    def name_of(self, chapter: int) -> str:
        """What the contents call a chapter: the first line that leads to it, or the last one before."""
        best = ""
        for part in self.contents:
            if part.chapter == chapter:
                return part.name
            if part.chapter < chapter:
                best = part.name
        return best


@lru_cache(maxsize=16)
def read_book(path: Path) -> Book:
    """Read an EPUB's package document and contents. `path` names bytes that never change (an object).

    Raises BadBook; OSError if the file itself cannot be read.
    """
    with _opened(path) as archive:
        opf_path = _opf_path(_xml(_member(archive, "META-INF/container.xml", MOST_TEXT_BYTES)))
        opf = _xml(_member(archive, opf_path, MOST_TEXT_BYTES))
        base = posixpath.dirname(opf_path)
        items: dict[str, tuple[str, str, str]] = {}  # id → (path, media type, properties)
        for element in opf.iter("item"):
            target = _resolve(base, element.get("href", ""))
            if target:
                items[element.get("id", "")] = (target[0], element.get("media-type", "").lower(),
                                                element.get("properties", ""))
        chapters = [items[ref][0] for ref in (e.get("idref", "") for e in opf.iter("itemref"))
                    if ref in items and items[ref][1] in ("application/xhtml+xml", "text/html", "")]
        if not chapters:
            raise BadBook("no chapters")
        parts = _contents(archive, items, opf, chapters)
        return Book(
            title=_first(opf, "title"), creators=tuple(_texts(opf, "creator"))[:5],
            language=_first(opf, "language"), chapters=tuple(chapters),
            contents=tuple(parts[:MOST_CONTENTS]),
            media={path: media for path, media, _ in items.values()})


def read_member(path: Path, name: str, most_bytes: int) -> bytes:
    """The bytes of one file of a book, unpacked. Raises BadBook (not there, too large, damaged)."""
    with _opened(path) as archive:
        return _member(archive, name, most_bytes)


def resolve(chapter: str, link: str) -> tuple[str, str] | None:
    """The path in the zip and the fragment that `link`, standing in `chapter`, leads to; None if outside."""
    return _resolve(posixpath.dirname(chapter), link, chapter)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadBook(str(error)) from error
    if len(archive.infolist()) > MOST_MEMBERS:
        archive.close()
        raise BadBook("too many files")
    return archive


def _member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    try:
        with archive.open(name) as file:
            data = file.read(most_bytes + 1)
    except KeyError:
        raise BadBook(f"{name[:200]!r} is missing") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise BadBook(str(error)) from error
    if len(data) > most_bytes:
        raise BadBook(f"{name[:200]!r} is too large")
    return data


def _xml(data: bytes) -> ElementTree.Element:
    """Parse without namespaces, entities or anything from outside; bounded in depth and count."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    depth = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MOST_DEPTH or count > MOST_ELEMENTS:
            raise BadBook("too deep or too long XML")
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def entity(*_: Any) -> None:
        raise BadBook("XML with entities of its own")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, UnicodeError, ValueError) as error:
        raise BadBook(str(error)) from error
    root: ElementTree.Element = builder.close()
    return root


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]


def _opf_path(container: ElementTree.Element) -> str:
    for element in container.iter("rootfile"):
        target = _resolve("", element.get("full-path", ""))
        if target:
            return target[0]
    raise BadBook("the container names no package document")


def _resolve(base: str, link: str, itself: str = "") -> tuple[str, str] | None:
    try:
        split = urlsplit(link.strip())
    except ValueError:
        return None
    if split.scheme or split.netloc:
        return None
    path = unquote(split.path)
    if not path:
        return (itself, unquote(split.fragment)) if itself else None
    joined = posixpath.normpath(posixpath.join(base, path)) if not path.startswith("/") else path.lstrip("/")
    if joined.startswith("..") or joined in ("", "."):
        return None
    return joined, unquote(split.fragment)


def _first(root: ElementTree.Element, name: str) -> str:
    return next(iter(_texts(root, name)), "")


def _texts(root: ElementTree.Element, name: str) -> Iterable[str]:
    for element in root.iter(name):
        words = _plain("".join(element.itertext()))
        if words:
            yield words


def _plain(words: str) -> str:
    return _ANY_SPACE.sub(" ", words).strip()[:MOST_TITLE]


def _contents(archive: zipfile.ZipFile, items: dict[str, tuple[str, str, str]], opf: ElementTree.Element,
              chapters: list[str]) -> list[Part]:
    """From the navigation document, else from the NCX, else one line a chapter."""
    places = {path: number for number, path in reversed(list(enumerate(chapters, 1)))}
    for path, _, properties in items.values():
        if "nav" in properties.split():
            try:
                lines = _Navigation.lines_of(_member(archive, path, MOST_TEXT_BYTES))
            except BadBook:
                continue
            parts = _placed(lines, path, places)
            if parts:
                return parts
    named = [e.get("toc", "") for e in opf.iter("spine")]
    for name, (path, media, _) in items.items():
        if name in named or media == "application/x-dtbncx+xml":
            try:
                ncx = _xml(_member(archive, path, MOST_TEXT_BYTES))
            except BadBook:
                continue
            parts = _placed(list(_ncx_lines(ncx)), path, places)
            if parts:
                return parts
    return [Part(posixpath.basename(path).rsplit(".", 1)[0][:MOST_TITLE], number, "", 0)
            for number, path in enumerate(chapters, 1)]


def _placed(lines: list[tuple[str, str, int]], at: str, places: dict[str, int]) -> list[Part]:
    parts = []
    for name, link, depth in lines:
        target = resolve(at, link)
        if name and target and target[0] in places:
            parts.append(Part(name, places[target[0]], target[1], min(depth, 3)))
    return parts


def _ncx_lines(ncx: ElementTree.Element) -> Iterable[tuple[str, str, int]]:
    def walk(parent: ElementTree.Element, depth: int) -> Iterable[tuple[str, str, int]]:
        for point in parent.findall("navPoint"):
            label = point.find("navLabel")
            content = point.find("content")
            if label is not None and content is not None:
                yield _plain("".join(label.itertext())), content.get("src", ""), depth
            yield from walk(point, depth + 1)  # bounded by MOST_DEPTH, held while parsing
    for nav_map in ncx.iter("navMap"):
        yield from walk(nav_map, 0)


class _Navigation(HTMLParser):
    """The lines of `<nav epub:type="toc">`; parsed as HTML, because it may hold HTML's entities."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str, int]] = []
        self._inside = False
        self._depth = 0
        self._link: str | None = None
        self._words: list[str] = []

    @classmethod
    def lines_of(cls, data: bytes) -> list[tuple[str, str, int]]:
        """(name, link, depth) of each line."""
        parser = cls()
        parser.feed(data.decode("utf-8", "replace"))
        parser.close()
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "nav":
            self._inside = "toc" in (given.get("epub:type") or given.get("role") or "")
            self._depth = 0
        elif self._inside and tag == "ol":
            self._depth += 1
        elif self._inside and tag == "a":
            self._link, self._words = given.get("href") or "", []

    def handle_endtag(self, tag: str) -> None:
        if tag == "nav":
            self._inside = False
        elif tag == "ol":
            self._depth = max(0, self._depth - 1)
        elif tag == "a" and self._link is not None:
            self.found.append((_plain("".join(self._words)), self._link, max(0, self._depth - 1)))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self._words.append(data)
