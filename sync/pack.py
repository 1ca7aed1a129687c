"""A pack: the small texts of a package version in one zstd frame (docs/format.md §8.2). I/O on streams only.

Many small texts compress far better together, and one answer needs no 2,000 questions. A pack is derived and
nobody trusts it: `unpack` holds it to its limits, and each object is verified by its hash as always.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from sync.canonical import canonical
from sync.errors import Refused
from sync.manifest import Manifest, Resource
from sync.media import media_type
from sync.plan import compressible

FORMAT = "teachpoint-pack/1"
#: What a hub packs: objects up to this size, together at most so much before compression, in bytes (who wants
#: one of them gets all; a minute of a slow line), and not fewer than this many (else single ones do as well).
MOST_MEMBER_BYTES = 256 * 1024
MOST_PACK_BYTES = 16 * 1024 * 1024
LEAST_MEMBERS = 8
#: Longest first line, in bytes: 100,000 objects of which every other one is packed need 700 KB.
MOST_HEADER_BYTES = 1024 * 1024
#: zstd level: 9 MB of 2,000 texts become 1.63 MB in 5 s of one CPU; with level 12 2.01 MB in 0.5 s, with 22
#: no less. Threads and long-distance matching change neither. A hub packs once, many boxes fetch.
LEVEL = 19
#: Largest window a reader must have, in bytes: its memory while it unpacks (level 19 takes 8 MiB).
MOST_WINDOW_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 128 * 1024


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    objects: list[tuple[int, int]]


def members(manifest: Manifest) -> dict[str, int]:
    """What a hub packs of a version, SHA-256 → size, in the order of `Manifest.objects`; empty where it does
    not pay."""
    pays = {sha256 for resource in manifest.resources for sha256 in loose(resource)}
    found: dict[str, int] = {}
    left = MOST_PACK_BYTES
    for sha256, size in manifest.objects().items():
        if sha256 in pays and size <= min(MOST_MEMBER_BYTES, left):
            found[sha256] = size
            left -= size
    return found if len(found) >= LEAST_MEMBERS else {}


def loose(resource: Resource) -> Iterator[str]:
    """The objects of a resource that compressing makes smaller; in a bundle each file is looked at."""
    for file in resource.files:
        if compressible(media_type(file.path) if resource.bundle else resource.mediaType):
            yield file.sha256
    for blob in (resource.thumbnail, resource.text):
        if blob is not None and compressible(blob.mediaType):
            yield blob.sha256


def write(into: BinaryIO, objects: Mapping[str, int], chosen: Collection[str],
          read: Callable[[str], bytes], level: int = LEVEL) -> None:
    """Write a pack of the `chosen` ones of a manifest's `objects`; `read` gives the bytes of each, in order.

    Raises what `read` and `into` raise, also between two objects: so it can be interrupted.
    """
    numbers = [number for number, sha256 in enumerate(objects) if sha256 in chosen]
    names = list(objects)
    head = canonical({"format": FORMAT, "objects": _runs(numbers)}) + b"\n"
    size = len(head) + sum(objects[names[number]] for number in numbers)
    import zstandard  # loaded where there is a pack: who only asks what would be in one does not wait for it

    packed = zstandard.ZstdCompressor(level=level).compressobj(size=size)
    into.write(packed.compress(head))
    for number in numbers:
        into.write(packed.compress(read(names[number])))
    into.write(packed.flush())


def unpack(chunks: Iterable[bytes], objects: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """The objects in a pack, (SHA-256, bytes), one after another as its bytes come; `objects` are those of
    the manifest. Their hashes are not checked here. Holds one object and zstd's window in memory.

    Raises Refused `pack-bad`, whatever the bytes are, also after some objects have been given; and what
    `chunks` raises.
    """
    reader = _Reader(chunks)
    names = list(objects)
    for number in _numbers(reader.line(), [objects[name] for name in names]):
        yield names[number], reader.exactly(objects[names[number]])
    if reader.read(1):
        raise _bad("more bytes than the objects have")


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as `[first, count]`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == sum(runs[-1]):
            runs[-1][1] += 1
        else:
            runs.append([number, 1])
    return runs


def _numbers(line: bytes, sizes: list[int]) -> list[int]:
    """The numbers that a first line names, held to the limits."""
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _bad(f"its first line: {error}") from error
    if header.format != FORMAT:
        raise _bad(f"the format is {header.format!r}, known is {FORMAT!r}")
    numbers: list[int] = []
    total = 0
    for first, count in header.objects:
        least = numbers[-1] + 1 if numbers else 0
        if count < 1 or first < least or first + count > len(sizes):
            raise _bad("it names objects that the manifest has not, or one twice")
        numbers += range(first, first + count)
        total += sum(sizes[first:first + count])
        if total > MOST_PACK_BYTES:
            raise _bad(f"more than {MOST_PACK_BYTES} bytes")
    if any(sizes[number] > MOST_MEMBER_BYTES for number in numbers):
        raise _bad(f"an object of more than {MOST_MEMBER_BYTES} bytes")
    return numbers


class _Reader:
    """What a frame holds, no more of it at a time than was asked for, so that a bomb stays folded."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        import zstandard

        source: Any = _Source(chunks)  # it asks for no more than `read`
        decompressor = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        self._plain = decompressor.stream_reader(source, read_size=_CHUNK_BYTES)
        self._kept = b""

    def read(self, most: int) -> bytes:
        """Up to `most` bytes, fewer only at the end."""
        import zstandard

        parts, self._kept = [self._kept[:most]], self._kept[most:]
        left = most - len(parts[0])
        try:
            while left and (part := self._plain.read(min(left, _CHUNK_BYTES))):
                parts.append(part)
                left -= len(part)
        except (zstandard.ZstdError, MemoryError) as error:
            raise _bad(str(error)) from error
        return b"".join(parts)

    def exactly(self, count: int) -> bytes:
        """`count` bytes."""
        found = self.read(count)
        if len(found) < count:
            raise _bad("it ends too soon")
        return found

    def line(self) -> bytes:
        """The first line, without its end."""
        line = b""
        while b"\n" not in line:
            part = self.read(4096)
            if not part or len(line) > MOST_HEADER_BYTES:
                raise _bad("it has no first line")
            line += part
        line, _, self._kept = line.partition(b"\n")
        return line


class _Source:
    """Chunks as a stream; what is left of one after `read` waits for the next."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._left = iter(chunks), b""

    def read(self, most: int = _CHUNK_BYTES) -> bytes:
        """At most `most` bytes; empty at the end."""
        while not self._left:
            try:
                self._left = next(self._chunks)
            except StopIteration:
                return b""
        found, self._left = self._left[:most], self._left[most:]
        return found


def _bad(reason: str) -> Refused:
    return Refused("pack-bad", reason=reason)
