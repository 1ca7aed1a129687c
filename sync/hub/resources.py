"""A manifest's resources: each file one, or a bundle of many, with what was found inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from sync.canonical import sha256_hex
from sync.hub import readers
from sync.hub.bundles import look_into
from sync.hub.describe import Described, ResourcePart, resource_name
from sync.hub.extract import NOTHING, Extracted, Extractor, Look, kind_of
from sync.hub.folder import Content, Entry, natural
from sync.manifest import Blob, File, Resource
from sync.media import media_type, resource_type
from sync.store import Batch

#: HTML files of one bundle whose text is searched: enough for a manual, bounded for a site mirror.
MOST_PAGES_SEARCHED = 500
#: Characters of a bundle's text kept for search.
MOST_BUNDLE_CHARACTERS = readers.MOST_TEXT_CHARACTERS


def make_resources(package: str, described: Described, content: Content, files: Mapping[str, File],
                   batch: Batch, extractor: Extractor) -> tuple[list[Resource], list[str]]:
    """The resources of a package in order, and what an admin should know of them. The bytes of all
    files are in `batch`; texts and thumbnails are added to it."""
    return _Maker(package, described, content, files, batch, extractor).make()


class _Maker:
    """Makes one package's resources out of its files and of what is found in them."""

    def __init__(self, package: str, described: Described, content: Content, files: Mapping[str, File],
                 batch: Batch, extractor: Extractor) -> None:
        self._package = package
        self._described = described
        self._content = content
        self._files = files
        self._batch = batch
        self._extractor = extractor
        self._found: dict[tuple[str, str], Extracted] = {}
        #: The pages of each bundle whose text is searched.
        self._searched: dict[str, list[Entry]] = {}
        self._warnings: list[str] = []

    def make(self) -> tuple[list[Resource], list[str]]:
        bundles: dict[str, list[Entry]] = {folder: [] for folder in self._content.bundles}
        singles: list[Entry] = []
        for entry in self._content.entries:
            folder = self._content.bundle_of(entry.path)
            (singles if folder is None else bundles[folder]).append(entry)
        self._searched = {folder: self._pages(folder, entries) for folder, entries in bundles.items()}
        looked = [*singles, *(entry for pages in self._searched.values() for entry in pages)]
        self._found = self._extractor.look(
            [Look(self._files[entry.path].sha256, entry.path) for entry in looked])
        self._without_pdf(singles)
        made = [self._single(entry) for entry in singles]
        made += [self._bundle(folder, entries) for folder, entries in bundles.items()]
        self._unused({key for key, _ in made})
        made.sort(key=lambda pair: self._order(pair[0]))
        return [msgspec.structs.replace(resource, position=number)
                for number, (_, resource) in enumerate(made, 1)], self._warnings

    def _order(self, path: str) -> tuple[int, int, list[tuple[int, int, str]]]:
        """What package.toml numbers comes first, by its number; then the others by name."""
        part = self._part(path)
        if part.position is not None:
            return (0, part.position, natural(path))
        return (1, 0, natural(path))

    def _part(self, path: str) -> ResourcePart:
        return self._described.resources.get(path, _NO_PART)

    def _unused(self, known: set[str]) -> None:
        self._warnings += [f"package.toml: there is no resource {path!r}"
                           for path in self._described.resources if path not in known]

    def _without_pdf(self, singles: list[Entry]) -> None:
        count = sum(kind_of(entry.path) == "office" for entry in singles)
        if count and self._extractor.no_office:
            self._warnings.append(f"LibreOffice is not installed here: {count} office files open only where "
                                  "a device has a program for them (`teachpoint doctor` says what to do)")

    def _single(self, entry: Entry) -> tuple[str, Resource]:
        file = self._files[entry.path]
        found = self._found.get((file.sha256, kind_of(entry.path)), NOTHING)
        part = self._part(entry.path)
        self._warnings += [f"{entry.path}: {warning}" for warning in found.warnings]
        if part.entry is not None:
            self._warnings.append(f"package.toml: {entry.path!r} is a single file and needs no entry")
        stem = PurePosixPath(entry.path).stem
        return entry.path, Resource(
            id=self._id(entry.path), name=part.name or _title(stem, found.title),
            type=part.type or resource_type(entry.path), mediaType=media_type(entry.path),
            entry=entry.path, files=[file], thumbnail=found.thumbnail, text=found.text,
            rendition=found.rendition,
            timeRequired=part.timeRequired or duration(found.seconds), pages=found.pages)

    def _bundle(self, folder: str, entries: list[Entry]) -> tuple[str, Resource]:
        part = self._part(folder or ".")
        inside = look_into(folder, {e.path: self._batch.path(self._files[e.path].sha256) for e in entries})
        self._warnings += [f"{folder or '.'}: {warning}" for warning in inside.warnings]
        entry = inside.entry
        if part.entry is not None:
            wanted = f"{folder}/{part.entry}" if folder else part.entry
            if any(e.path == wanted for e in entries):
                entry = wanted
            else:
                self._warnings.append(f"package.toml: the entry {wanted!r} is not there")
        first = self._found.get((self._files[entry].sha256, "html"), NOTHING)
        leaf = folder.rpartition("/")[2]
        stem = PurePosixPath(leaf).stem if folder in self._content.packed else leaf
        name = _title(stem, inside.title or first.title) if folder else self._described.fields["name"]
        return folder or ".", Resource(
            id=self._id(folder), name=part.name or name, type="bundle", mediaType=media_type(entry),
            entry=entry, files=[self._files[e.path] for e in entries],
            text=self._text(folder, entry), timeRequired=part.timeRequired or "")

    def _pages(self, folder: str, entries: list[Entry]) -> list[Entry]:
        """The HTML files of a bundle that are searched, the entry page first."""
        pages = [e for e in entries if kind_of(e.path) == "html"]
        if len(pages) > MOST_PAGES_SEARCHED:
            self._warnings.append(f"{folder or '.'}: only {MOST_PAGES_SEARCHED} of its pages are searched")
        depth = len(folder)
        pages.sort(key=lambda e: (e.path[depth:].lstrip("/").lower() not in ("index.html", "index.htm"),
                                  e.path.count("/"), natural(e.path)))
        return pages[:MOST_PAGES_SEARCHED]

    def _text(self, folder: str, entry: str) -> Blob | None:
        """The texts of a bundle's pages as one object, kept apart by form feeds."""
        texts: list[str] = []
        left = MOST_BUNDLE_CHARACTERS
        for page in sorted(self._searched[folder], key=lambda e: e.path != entry):
            blob = self._found.get((self._files[page.path].sha256, "html"), NOTHING).text
            if blob is None or left <= 0:
                continue
            text = self._batch.path(blob.sha256).read_text("utf-8")[:left]
            texts.append(text)
            left -= len(text)
        if not texts:
            return None
        added = self._batch.add_bytes("\f".join(texts).encode())
        return Blob(sha256=added.sha256, size=added.size, mediaType="text/plain")

    def _id(self, path: str) -> str:
        return sha256_hex(f"{self._package}\n{path}".encode())[:16]


_NO_PART = ResourcePart()


def duration(seconds: int) -> str:
    """Seconds as an ISO 8601 duration (`PT1H2M3S`); "" for none."""
    if seconds <= 0:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (left, "S")) if value]
    return "PT" + "".join(parts)


def _title(stem: str, found: str) -> str:
    """A resource's name: what its file is called; the title inside only where a machine named it
    (`IMG_0012`, `p1234`, `index`), because teachers name files and programs name titles."""
    name, _ = resource_name(stem)
    machine = name.isascii() and " " not in name
    return found if found and machine else name
