"""What is in the files of a package: titles, pages, durations, text for search, thumbnails.

Found once at the hub and kept in the `extract` table by SHA-256, so that the boxes need no heavy
work and the same bytes always give the same result. A file that cannot be looked into is
published as it is; the fact is a warning.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from sync import programs
from sync.errors import Broken
from sync.hub import office, readers
from sync.logs import log
from sync.manifest import Blob
from sync.media import resource_type, suffix
from sync.store import Batch
from sync.transport import silent

#: Counts up whenever a reader finds something else than before; files are then looked into again.
VERSION = 2
#: Files given to one reading process: bounds what is lost when it dies, and its temporary files.
FILES_A_RUN = 200
#: Seconds for one thumbnail or one look at a video's head.
PROGRAM_SECONDS = 30
#: Memory ffmpeg, ffprobe and pdftoppm may use, in bytes.
PROGRAM_MEMORY_BYTES = 2 * 1024**3
#: The containers that ffmpeg may open. Not hls, concat and the like: these name other files to read.
CONTAINERS = "mov,matroska,avi,mpeg,mpegts,mpegvideo,flv,asf,rm,mp3,aac,ogg,wav,flac,amr,3gp"
#: Largest thumbnail taken from a program, in bytes.
MOST_THUMBNAIL_BYTES = 1024 * 1024

#: Pictures that Pillow makes small (not SVG: that is a document that can run script).
_PICTURES = frozenset({"jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff", "avif"})
_KINDS = {"pdf": "pdf", "epub": "epub", "html": "html", "htm": "html", "xhtml": "html",
          "txt": "text", "md": "text", "markdown": "text", "csv": "text",
          "srt": "subtitles", "vtt": "subtitles", "lrc": "subtitles",
          **dict.fromkeys(office.BEGINNINGS, "office")}

#: Said of a file that hurt its reader; not kept, so that the next publish tries again.
KILLED = "made its reader stop: it is published, but not searched"


class Extracted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found in one file. `text`, `thumbnail` and `rendition` (a PDF of it) are objects."""

    title: str = ""
    pages: int = 0
    seconds: int = 0
    text: Blob | None = None
    thumbnail: Blob | None = None
    rendition: Blob | None = None
    warnings: list[str] = []


NOTHING = Extracted()


@dataclass(frozen=True)
class Look:
    """A file to look into: its object and the name that says of what kind it is."""

    sha256: str
    name: str


def kind_of(name: str) -> str:
    """Which reader looks into a file of this name: `pdf`, `text`, `picture`, `video`, …; "" for none."""
    ending = suffix(name)
    if ending in _PICTURES:
        return "picture"
    if resource_type(name) in ("video", "audio"):
        return resource_type(name)
    return _KINDS.get(ending, "")


class Extractor:
    """Looks into files that are in `batch`, and adds what it makes (text, thumbnails) to it."""

    def __init__(self, database: Database, batch: Batch) -> None:
        self._database = database
        self._batch = batch
        self._tools = {name for name in ("ffmpeg", "ffprobe", "pdftoppm", office.PROGRAM)
                       if programs.find(name)}
        #: What is new and belongs into the table `extract`: (sha256, extractor) → found.
        self._fresh: dict[tuple[str, str], Extracted] = {}

    def look(self, looks: Sequence[Look],
             progress: Callable[[int], None] = silent) -> dict[tuple[str, str], Extracted]:
        """(sha256, kind) → what was found, for all files that have a reader. Never raises for a bad
        file. `progress` gets the number of files done."""
        results: dict[tuple[str, str], Extracted] = {}
        wanted: dict[tuple[str, str], str] = {}
        for look in looks:
            kind = kind_of(look.name)
            if kind and not (kind == "office" and self.no_office):
                wanted.setdefault((look.sha256, kind), look.name)
        inside: list[tuple[str, str]] = []
        for (sha256, kind), name in wanted.items():
            known = self._known(sha256, kind)
            if known is not None:
                results[sha256, kind] = known
            elif kind in ("text", "subtitles"):
                # Only decoding: needs no process of its own, and there may be 100,000 of them.
                found, _ = readers.read(kind, self._batch.path(sha256))
                results[sha256, kind] = self._keep(sha256, kind, found, b"")
            elif kind in ("video", "audio"):
                results[sha256, kind] = self._keep(sha256, kind, *self._media(sha256, kind))
            elif kind == "office":
                results[sha256, kind] = self._office(sha256, suffix(name))
            else:
                inside.append((sha256, kind))
            progress(len(results))
        for start in range(0, len(inside), FILES_A_RUN):
            for key, found, thumbnail in self._read_apart(inside[start:start + FILES_A_RUN]):
                if key[1] == "pdf":
                    thumbnail = self._first_page(key[0])
                results[key] = self._keep(*key, found, thumbnail)
                progress(len(results))
        return results

    @property
    def no_office(self) -> bool:
        """Is there no program that makes a PDF of office files?"""
        return office.PROGRAM not in self._tools

    def save(self) -> None:
        """Remember what was found; inside the transaction that publishes."""
        self._database.table("extract").insert_all(
            ({"sha256": sha256, "extractor": extractor, "found": msgspec.json.encode(found).decode()}
             for (sha256, extractor), found in self._fresh.items()), replace=True)

    def _extractor(self, kind: str) -> str:
        """Names the version and the programs it had: once ffmpeg is installed, it looks again."""
        uses = {"pdf": ("pdftoppm",), "video": ("ffmpeg", "ffprobe"), "audio": ("ffmpeg", "ffprobe"),
                "office": (office.PROGRAM, "pdftoppm")}
        tools = [tool for tool in uses.get(kind, ()) if tool in self._tools]
        return "+".join([f"{kind}/{VERSION}", *tools])

    def _known(self, sha256: str, kind: str) -> Extracted | None:
        rows = self._database.execute("SELECT found FROM extract WHERE sha256 = ? AND extractor = ?",
                                      (sha256, self._extractor(kind))).fetchall()
        if not rows:
            return None
        known = msgspec.json.decode(rows[0][0], type=Extracted)
        blobs = [blob for blob in (known.text, known.thumbnail, known.rendition) if blob]
        return known if all(self._batch.has(blob.sha256) for blob in blobs) else None

    def _office(self, sha256: str, ending: str) -> Extracted:
        """An office file's PDF, and what is found in that."""
        try:
            with self._batch.scratch() as folder:
                made = self._batch.add_file(office.to_pdf(self._batch.path(sha256), ending, folder))
        except office.NoPdf as error:
            found = Extracted(warnings=[f"{error}: it opens in another program"])
            if not error.again:
                self._fresh[sha256, self._extractor("office")] = found
            return found
        [(_, inside, _)] = self._read_apart([(made.sha256, "pdf")])
        rendition = Blob(sha256=made.sha256, size=made.size, mediaType="application/pdf")
        return self._keep(sha256, "office", inside, self._first_page(made.sha256), rendition)

    def _keep(self, sha256: str, kind: str, found: readers.Found, thumbnail: bytes,
              rendition: Blob | None = None) -> Extracted:
        text = picture = None
        if found.text.strip():
            added = self._batch.add_bytes(found.text.encode())
            text = Blob(sha256=added.sha256, size=added.size, mediaType="text/plain")
        if thumbnail:
            added = self._batch.add_bytes(thumbnail)
            picture = Blob(sha256=added.sha256, size=added.size, mediaType="image/jpeg")
        result = Extracted(title=found.title, pages=found.pages, seconds=found.seconds, text=text,
                           thumbnail=picture, rendition=rendition, warnings=found.warnings)
        if KILLED not in found.warnings:
            self._fresh[sha256, self._extractor(kind)] = result
        return result

    def _read_apart(self, jobs: Sequence[tuple[str, str]]) -> Iterator[
            tuple[tuple[str, str], readers.Found, bytes]]:
        """Let a reading process look into the files; one that kills it is left out, the rest goes on."""
        at = 0
        while at < len(jobs):
            with self._batch.scratch() as folder:
                rest = jobs[at:]
                self._run_reader(rest, folder)
                for number, (sha256, kind) in enumerate(rest):
                    at += 1
                    result = folder / f"{number}.json"
                    found = _result(result)
                    if found is None:
                        log("hub.extract").warning("reader-stopped", sha256=sha256, kind=kind)
                        yield (sha256, kind), readers.Found(warnings=[KILLED]), b""
                        break
                    picture = result.with_suffix(".jpg")
                    yield (sha256, kind), found, picture.read_bytes() if picture.is_file() else b""

    def _run_reader(self, jobs: Sequence[tuple[str, str]], folder: Path) -> None:
        lines = "".join(json.dumps({"number": number, "kind": kind, "path": str(self._batch.path(sha256))})
                        + "\n" for number, (sha256, kind) in enumerate(jobs))
        command = (["hub", "read-files"] if getattr(sys, "frozen", False)
                   else ["-m", "sync.hub.readers"])
        try:
            programs.run(sys.executable, *command, str(folder), stdin=lines.encode(), ok=None,
                         timeout_s=30 + 2 * readers.SECONDS_A_FILE * len(jobs))
        except Broken as error:
            if error.code != "program-timeout":
                raise

    def _first_page(self, sha256: str) -> bytes:
        """The first page of a PDF as a small JPEG, where pdftoppm is installed."""
        if "pdftoppm" not in self._tools:
            return b""
        with self._batch.scratch() as folder:
            self._program("pdftoppm", "-f", "1", "-l", "1", "-singlefile", "-jpeg", "-scale-to",
                          str(readers.THUMBNAIL_PIXELS), str(self._batch.path(sha256)), f"{folder}/page")
            return _small(folder / "page.jpg")

    def _media(self, sha256: str, kind: str) -> tuple[readers.Found, bytes]:
        """Duration, title and a frame (or the cover) of a video or audio file."""
        found = readers.Found()
        if "ffprobe" not in self._tools:
            return found, b""
        path = self._batch.path(sha256)
        safe = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS]
        said = self._program("ffprobe", "-v", "error", *safe, "-show_format", "-show_streams",
                             "-of", "json", str(path))
        facts = _json(said)
        streams = [s for s in facts.get("streams", []) if isinstance(s, dict)]
        head = facts.get("format")
        if not isinstance(head, dict) or not streams:
            found.warnings.append(f"is not a whole {kind} file: it may not play")
            return found, b""
        found.seconds = _seconds(head.get("duration"))
        tags = dict(head.get("tags") or {})
        found.title = readers.tidy_title(str(next((v for k, v in tags.items() if k.lower() == "title"), "")))
        pictures = [s for s in streams if s.get("codec_type") == "video"]
        if not pictures or "ffmpeg" not in self._tools:
            return found, b""
        # Not the very first frame, which is often black.
        skip = [] if kind == "audio" else ["-ss", str(min(found.seconds // 10, 60))]
        size = readers.THUMBNAIL_PIXELS
        with self._batch.scratch() as folder:
            self._program("ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *skip, *safe, "-i", str(path),
                          "-map", "0:v:0", "-frames:v", "1", "-threads", "1", "-vf",
                          f"scale={size}:{size}:force_original_aspect_ratio=decrease:force_divisible_by=2",
                          "-f", "image2", "-c:v", "mjpeg", "-q:v", "4", "-y", f"{folder}/frame.jpg")
            return found, _small(folder / "frame.jpg")

    def _program(self, program: str, *arguments: str) -> str:
        """Its standard output; "" where it failed, which is the file's fault."""
        try:
            return programs.run(program, *arguments, timeout_s=PROGRAM_SECONDS, ok=None,
                                memory_bytes=PROGRAM_MEMORY_BYTES).stdout
        except Broken as error:
            log("hub.extract").warning("program-failed", program=program, code=error.code)
            return ""


def _result(path: Path) -> readers.Found | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=readers.Found)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _small(path: Path) -> bytes:
    """A picture that a program made: b"" where there is none or it is no thumbnail."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_THUMBNAIL_BYTES else b""
    except FileNotFoundError:
        return b""
    return data if data.startswith(b"\xff\xd8") else b""


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(value: object) -> int:
    try:
        return min(max(round(float(str(value))), 0), 10**7)
    except (ValueError, OverflowError):
        return 0
