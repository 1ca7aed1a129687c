"""One call of `fetch_objects` over HTTPS: what to ask for next, of whom, and what to do with what comes.

Each object is one `Download`: its own bytes, or squeezed ones, or, for the small texts of a package, one pack
for all of them. What the hub does not have in one form is asked for in the next simpler one. Nothing is
trusted: unpacked bytes get the name that was asked for and are verified by whoever takes them in.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from sync import pack
from sync.box.downloads import PACK_SUFFIX, PARTS_FOLDER, Download, Piece
from sync.box.http2 import Connection, Exchange
from sync.box.https_pool import CONNECTIONS, Pool
from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, place_file
from sync.errors import Refused, Unreachable
from sync.layout import object_path
from sync.logs import log
from sync.manifest import MOST_MANIFEST_BYTES, parse
from sync.staging import SYNC_EVERY_S, size_of
from sync.transport import Arrived, Progress, Wanted

#: Smaller objects are not worth two questions, in bytes: nobody squeezes them.
LEAST_SQUEEZED_BYTES = 1024
#: How often progress is told, in seconds.
TICK_S = 0.5
#: What a question and the head of its answer take of the window, in bytes.
HEAD_BYTES = 256
#: How often what the hub answered with an error of its own is asked again.
MOST_TRIES = 3
#: Unpacked at once, in bytes.
CHUNK_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


#: The forms in which the hub has objects: parts of its addresses.
_PLAIN, _SQUEEZED, _PACK = "objects", "squeezed", "packs"


@dataclass(eq=False)
class _Entry:
    """A download, in which form and under which name it is asked for, and the objects that it brings."""

    form: str
    name: str
    download: Download
    brings: tuple[Wanted, ...]
    tries: int = 0

    @property
    def content_bytes(self) -> int:
        """Bytes of the objects that have come in it so far: in packed ones by their share."""
        size = self.download.size
        if not size or self.form == _PLAIN:
            return self.download.arrived_bytes
        return sum(one.size for one in self.brings) * self.download.arrived_bytes // size


class Fetching:
    """Brings `wanted` to `staging`."""

    def __init__(self, pool: Pool, wanted: Sequence[Wanted], staging: Path, library: Path,
                 arrived: Arrived, bytes_per_s: float | None) -> None:
        self._pool, self._staging, self._library = pool, staging, library
        self._arrived, self._bytes_per_s = arrived, bytes_per_s
        self._to_ask: deque[_Entry] = deque()
        self._open: list[_Entry] = []
        self._asked: dict[Exchange, tuple[Connection, _Entry, Piece]] = {}
        self._whole: deque[_Entry] = deque()
        self._error: BaseException | None = None
        self._done_bytes = 0
        self.files = 0  # objects that have come
        self._not_before = float("-inf")  # where the rate is limited: when the next piece may be asked for
        self._outstanding = 0
        for entry in self._entries(wanted):
            self._add(entry)

    def run(self, progress: Progress) -> None:
        """Raises as `Transport.fetch_objects`, and what callbacks raise."""
        ticked = flushed = SYSTEM.monotonic()
        before, self._pool.between = self._pool.between, self._fill
        try:
            with disk_errors(self._staging):
                if sum(entry.download.size or CHUNK_BYTES for entry in self._open) > CHUNK_BYTES:
                    self._pool.widen()
                self._fill()
                while self._open:
                    if not self._whole:
                        self._pool.pump(TICK_S / 2 if self._bytes_per_s is None else 0.05)
                    if self._error is not None:
                        raise self._error
                    while self._whole:
                        self._take_in(self._whole.popleft())
                    now = SYSTEM.monotonic()
                    if now - ticked >= TICK_S:
                        self._pool.widen()  # what has broken off
                        progress(self._content_bytes())
                        ticked = SYSTEM.monotonic()
                    if now - flushed >= SYNC_EVERY_S:
                        for entry in self._open:
                            entry.download.flush()
                        flushed = SYSTEM.monotonic()
            progress(self._content_bytes())
        finally:
            self._pool.between = before
            for exchange, (connection, _, _) in list(self._asked.items()):
                connection.give_up(exchange)
            for entry in self._open:
                entry.download.close()

    # -- what to ask for ------------------------------------------------------------------------

    def _entries(self, wanted: Sequence[Wanted]) -> Iterator[_Entry]:
        packed: dict[str, list[Wanted]] = {}
        for one in wanted:
            if one.pack:
                packed.setdefault(one.pack, []).append(one)
        for one in wanted:
            if not one.pack:
                yield self._single(one)
            elif one.pack in packed:
                yield self._packed(one.pack, packed.pop(one.pack))

    def _packed(self, manifest: str, wanted: Sequence[Wanted]) -> _Entry:
        return _entry(_PACK, manifest, self._part(manifest + PACK_SUFFIX), None, wanted)

    def _single(self, one: Wanted) -> _Entry:
        """Squeezed where that may pay and nothing of it has come in another form."""
        if one.compressible and one.size >= LEAST_SQUEEZED_BYTES and size_of(self._staging / one.sha256) <= 0:
            return _entry(_SQUEEZED, one.sha256, self._part(one.sha256), None, [one])
        return self._plain(one)

    def _plain(self, one: Wanted) -> _Entry:
        return _entry(_PLAIN, one.sha256, self._staging / one.sha256, one.size, [one])

    def _part(self, name: str) -> Path:
        make_folder(self._staging / PARTS_FOLDER, 0o700)
        return self._staging / PARTS_FOLDER / name

    def _add(self, entry: _Entry, *, first: bool = False) -> None:
        self._open.append(entry)
        if entry.download.complete:
            self._whole.append(entry)
        elif first:
            self._to_ask.appendleft(entry)
        else:
            self._to_ask.append(entry)

    # -- asking ---------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Ask for as much as may be under way."""
        window = self._pool.window
        self._pool.last = not self._to_ask
        held = self._pool.held_bytes
        while self._to_ask and self._error is None:
            if self._outstanding and self._outstanding - held + HEAD_BYTES >= window.size:
                self._pool.window_used = True
                return
            now = SYSTEM.monotonic()
            if self._bytes_per_s is not None and now < self._not_before:
                return
            carriers = self._pool.carriers()
            if self._pool.opening:  # what one is asked for it brings alone, and each begins slowly
                carriers = [one for one in carriers if self._load(one) < window.size // CONNECTIONS]
            if not carriers:
                return
            entry = self._to_ask[0]
            piece = entry.download.next_piece(self._piece_bytes())
            if piece is None:
                self._to_ask.popleft()
                continue
            if self._bytes_per_s is not None:
                self._not_before = max(now, self._not_before) + piece.size / max(self._bytes_per_s, 1)
            self._ask(min(carriers, key=self._load), entry, piece)

    def _piece_bytes(self) -> int:
        most = self._pool.window.piece
        return most if self._bytes_per_s is None else max(min(most, int(self._bytes_per_s / 2)), 512)

    def _load(self, connection: Connection) -> int:
        return sum(piece.left for one, _, piece in self._asked.values() if one is connection)

    def _ask(self, connection: Connection, entry: _Entry, piece: Piece) -> None:
        whole = piece.first == 0 and piece.size == entry.download.size
        headers = [] if whole else [("range", f"bytes={piece.first}-{piece.first + piece.size - 1}")]
        exchange = Exchange(
            "GET", entry.download.path,
            on_head=lambda status, found: self._head(exchange, status, found),
            on_data=lambda data: self._data(exchange, data),
            on_end=lambda: self._end(exchange),
            on_failure=lambda _reason: self._end(exchange),
            headers=headers)
        self._asked[exchange] = (connection, entry, piece)
        self._outstanding += piece.size + HEAD_BYTES
        connection.ask(exchange)

    # -- what comes (called by the connections; nothing may be raised) -----------------------------

    def _head(self, exchange: Exchange, status: int, headers: dict[str, str]) -> None:
        connection, entry, piece = self._asked[exchange]
        download = entry.download
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        if status == 206 and found is not None and int(found[1]) == piece.first \
                and download.size in (None, int(found[2])):
            self._size(piece, int(found[2]))
            return
        if status == 200 and piece.first == 0 and headers.get("content-length", "").isdigit() \
                and download.size in (None, int(headers["content-length"])):
            self._size(piece, int(headers["content-length"]))
            return
        self._forget(exchange, give_back=False)
        connection.give_up(exchange)
        if status >= 500 and entry.tries < MOST_TRIES:
            entry.tries += 1
            download.give_back(piece)
            self._ask_again(entry)
        elif status >= 500:
            self._error = Unreachable("link-broken", hub=self._pool.hub, reason=f"HTTP {status}")
        else:
            self._refused(entry, status)

    def _size(self, piece: Piece, size: int) -> None:
        """The size of a file is known now: what was asked for beyond its end will not come."""
        piece.download.sized(size)
        beyond = piece.first + piece.size - size
        if beyond > 0:
            piece.size -= beyond
            self._outstanding -= beyond

    def _data(self, exchange: Exchange, data: bytes) -> None:
        found = self._asked.get(exchange)
        if found is None:
            return
        _, entry, piece = found
        had = piece.got
        try:
            entry.download.take(piece, data)
        except OSError as error:
            self._error = error
        self._outstanding -= piece.got - had

    def _end(self, exchange: Exchange) -> None:
        found = self._asked.get(exchange)
        if found is None:
            return
        _, entry, _ = found
        self._forget(exchange, give_back=True)
        if entry.download.complete:
            if not entry.download.ended:
                entry.download.ended = True
                self._whole.append(entry)
        else:
            self._ask_again(entry)

    def _forget(self, exchange: Exchange, *, give_back: bool) -> None:
        _, entry, piece = self._asked.pop(exchange)
        self._outstanding -= piece.left + HEAD_BYTES
        if give_back and piece.left:
            entry.download.give_back(piece)

    def _ask_again(self, entry: _Entry) -> None:
        if entry not in self._to_ask and entry in self._open:
            self._to_ask.appendleft(entry)

    def _refused(self, entry: _Entry, status: int) -> None:
        """The hub does not have it like this: ask in the next simpler form, or do without."""
        if entry not in self._open:
            return
        self._leave(entry)
        if entry.form == _PACK:
            for one in entry.brings:
                self._add(self._single(one))
        elif entry.form == _SQUEEZED:
            self._add(self._plain(entry.brings[0]), first=True)
        else:
            log("box.https").info("object-not-there", sha256=entry.brings[0].sha256, status=status)

    # -- what has come --------------------------------------------------------------------------

    def _take_in(self, entry: _Entry) -> None:
        """A file is whole: unpack it where it is packed, and tell of the objects."""
        download = entry.download
        download.close()
        if entry.form == _PLAIN:
            download.file.touch()  # an empty one: nothing was asked for
            come = [entry.brings[0].sha256]
        else:
            try:
                come = list(self._unpacked(entry))
            except (Refused, zstandard.ZstdError) as error:
                log("box.https").warning("packed-bytes-wrong", path=download.path, reason=str(error))
                download.file.unlink(missing_ok=True)
                self._refused(entry, 0)
                return
            download.file.unlink(missing_ok=True)
        if entry in self._open:
            self._leave(entry)
        self._done_bytes += entry.content_bytes
        self.files += len(come)
        for sha256 in come:
            self._arrived(sha256)

    def _unpacked(self, entry: _Entry) -> Iterator[str]:
        """Write what a file holds under the objects' names."""
        with entry.download.file.open("rb") as packed:
            if entry.form == _SQUEEZED:
                one = entry.brings[0]
                with zstandard.ZstdDecompressor().stream_reader(packed) as plain:
                    data = plain.read(one.size + 1)
                if len(data) != one.size:
                    raise Refused("pack-bad", reason=f"{len(data)} bytes, {one.size} expected")
                place_file(self._staging / one.sha256, data)
                yield one.sha256
                return
            wanted = {one.sha256 for one in entry.brings}
            objects = parse(_read(self._library / object_path(entry.name))).objects()
            for sha256, data in pack.unpack(iter(lambda: packed.read(CHUNK_BYTES), b""), objects):
                if size_of(self._library / object_path(sha256)) < 0:
                    place_file(self._staging / sha256, data)
                    if sha256 in wanted:
                        yield sha256

    def _leave(self, entry: _Entry) -> None:
        self._open.remove(entry)
        if entry in self._to_ask:
            self._to_ask.remove(entry)

    def _content_bytes(self) -> int:
        return self._done_bytes + sum(entry.content_bytes for entry in self._open)


def _entry(form: str, name: str, file: Path, size: int | None, brings: Sequence[Wanted]) -> _Entry:
    return _Entry(form, name, Download(f"/v1/{form}/{name}", file, size), tuple(brings))


def _read(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(MOST_MANIFEST_BYTES + 1)
