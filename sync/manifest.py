"""The manifest: one package version's list of resources and files (docs/format.md §3). No I/O.

`parse` accepts only bytes that are canonical and keep every rule; a manifest that breaks one is
refused whole. Fields this version does not know are allowed and ignored; the bytes themselves are
kept as an object, so nothing is lost by an old reader.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sync.canonical import canonical, is_sha256
from sync.errors import Refused
from sync.layout import PACKAGE_ID

FORMAT = "teachpoint-package/1"

#: Largest manifest taken, in bytes: 100,000 files at about 300 bytes each, with room to spare.
MOST_MANIFEST_BYTES = 64 * 1024 * 1024
#: Most files in one package: what one teacher's disk folder can hold; bounds memory at the box.
MOST_FILES = 100_000
#: Longest part of a path in bytes: the limit of ext4 and of FAT long names in UTF-8 (255).
MOST_PART_BYTES = 255
#: Longest whole path in bytes: PATH_MAX (4096) less room for the folders above.
MOST_PATH_BYTES = 3072
#: Largest single file, 1 TiB: beyond any lesson; keeps sums far from 2**53 (JSON's safe integers).
MOST_FILE_BYTES = 2**40

#: Names Windows and FAT give to devices; a stick or an admin's PC could not hold them.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_FORBIDDEN_CHARACTERS = frozenset('<>:"|?*\\')

RESOURCE_ID = re.compile(r"[a-z0-9]{16}")

Text = Annotated[str, Meta(max_length=1000)]
Size = Annotated[int, Meta(ge=0, le=MOST_FILE_BYTES)]
Hash = Annotated[str, Meta(min_length=64, max_length=64)]

#: The types of a resource, as shown to teachers.
TYPES = ("video", "audio", "picture", "document", "book", "page", "bundle", "text", "file")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a resource: where it lies in the package, its bytes' name and size."""

    path: str
    sha256: Hash
    size: Size


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """An object that belongs to a resource without being one of its files (thumbnail, text)."""

    sha256: Hash
    size: Size
    mediaType: Text = "application/octet-stream"  # noqa: N815 - LRMI and OPDS spelling


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a teacher opens. `entry` names the file to open first; a single file is its own. `rendition`
    is what is shown in its place: the PDF of an office file."""

    id: str
    name: Text
    type: str
    mediaType: Text  # noqa: N815
    entry: str
    files: Annotated[list[File], Meta(min_length=1, max_length=MOST_FILES)]
    thumbnail: Blob | None = None
    text: Blob | None = None
    rendition: Blob | None = None
    timeRequired: Text = ""  # noqa: N815 - ISO 8601 duration, as in schema.org
    pages: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0

    @property
    def bundle(self) -> bool:
        """Is it made of many files with an entry page?"""
        return self.type == "bundle"

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    def objects(self) -> list[tuple[str, int]]:
        """(SHA-256, size) of all it needs to be usable, with what was made of it at the hub."""
        return self.numbered_objects() + (
            [(self.rendition.sha256, self.rendition.size)] if self.rendition else [])

    def numbered_objects(self) -> list[tuple[str, int]]:
        """Those that packs name by their place: all but the rendition, of which older boxes do not know."""
        found = [(file.sha256, file.size) for file in self.files]
        found += [(blob.sha256, blob.size) for blob in (self.thumbnail, self.text) if blob]
        return found


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a package. Names of fields are those of schema.org LearningResource."""

    format: str
    id: str
    version: Annotated[int, Meta(ge=1, le=2**31)]
    name: Text
    resources: Annotated[list[Resource], Meta(max_length=MOST_FILES)]
    inLanguage: Text = ""  # noqa: N815
    educationalLevel: Text = ""  # noqa: N815
    about: Text = ""
    learningResourceType: Text = ""  # noqa: N815
    isPartOf: Text = ""  # noqa: N815
    edition: Text = ""
    volume: Text = ""
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    creator: Text = ""
    license: Text = ""
    timeRequired: Text = ""  # noqa: N815
    description: Annotated[str, Meta(max_length=10_000)] = ""

    def objects(self) -> dict[str, int]:
        """SHA-256 → size of every object of the package; renditions last (`Resource.numbered_objects`)."""
        found = dict(pair for resource in self.resources for pair in resource.numbered_objects())
        return found | {one.rendition.sha256: one.rendition.size for one in self.resources if one.rendition}


def dump(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest, which its SHA-256 names. Raises Refused `manifest-bad`."""
    plain: Any = msgspec.to_builtins(manifest)
    data = canonical(plain)
    parse(data)
    return data


def parse(data: bytes) -> Manifest:
    """Read a manifest and hold it to every rule. Raises Refused `manifest-bad` with the reason."""
    if len(data) > MOST_MANIFEST_BYTES:
        raise _bad(f"larger than {MOST_MANIFEST_BYTES} bytes")
    try:
        if canonical(msgspec.json.decode(data)) != data:
            raise _bad("not canonical JSON (RFC 8785)")
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError, TypeError) as error:
        raise _bad(str(error)) from error
    _hold(manifest)
    return manifest


def check_path(path: str) -> None:
    """Hold one path of a package to the rules of docs/format.md §3.2. Raises Refused `manifest-bad`."""
    reason = path_fault(path)
    if reason:
        raise _bad(f"the path {path!r} {reason}")


def path_fault(path: str) -> str:
    """Why a path may not stand in a manifest, or "" if it may."""
    if not path or path.startswith("/"):
        return "is empty or not relative"
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(encoded) > MOST_PATH_BYTES:
        return f"is longer than {MOST_PATH_BYTES} bytes"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode form NFC"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "has an empty, '.' or '..' part"
        if len(part.encode("utf-8")) > MOST_PART_BYTES:
            return f"has a part longer than {MOST_PART_BYTES} bytes"
        if any(ord(c) < 32 or ord(c) == 127 or c in _FORBIDDEN_CHARACTERS for c in part):
            return "has a control character or one of < > : \" | ? * \\"
        if _DEVICES.fullmatch(part):
            return "names a device"
        if part.endswith((" ", ".")) or part.startswith(" "):
            return "has a part that begins with a space or ends with a space or dot"
    return ""


def _hold(manifest: Manifest) -> None:
    if manifest.format != FORMAT:
        raise _bad(f"the format is {manifest.format!r}, known is {FORMAT!r}")
    if not PACKAGE_ID.fullmatch(manifest.id):
        raise _bad(f"the id {manifest.id!r} is not made of a-z 0-9 . _ -")
    paths: set[str] = set()
    ids: set[str] = set()
    sizes: dict[str, int] = {}
    for resource in manifest.resources:
        if not RESOURCE_ID.fullmatch(resource.id) or resource.id in ids:
            raise _bad(f"the resource id {resource.id!r} is malformed or used twice")
        ids.add(resource.id)
        if resource.type not in TYPES:
            raise _bad(f"the resource type {resource.type!r} is unknown")
        own = {file.path for file in resource.files}
        if resource.entry not in own:
            raise _bad(f"the entry {resource.entry!r} is not one of the resource's files")
        if not resource.bundle and len(resource.files) != 1:
            raise _bad(f"the resource {resource.id} has several files and is no bundle")
        for file in resource.files:
            check_path(file.path)
            folded = unicodedata.normalize("NFC", file.path.casefold())
            if folded in paths:
                raise _bad(f"the path {file.path!r} is there twice (upper and lower case count as one)")
            paths.add(folded)
        if len(paths) > MOST_FILES:
            raise _bad(f"more than {MOST_FILES} files")
        for sha256, size in resource.objects():
            if not is_sha256(sha256):
                raise _bad(f"{sha256!r} is not a SHA-256")
            if sizes.setdefault(sha256, size) != size:
                raise _bad(f"the object {sha256} is given two sizes")
    for path in paths:
        for cut in range(len(path)):
            if path[cut] == "/" and path[:cut] in paths:
                raise _bad(f"{path[:cut]!r} is both a file and a folder")


def _bad(reason: str) -> Refused:
    return Refused("manifest-bad", reason=reason)
