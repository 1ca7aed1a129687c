"""What stands in a file: title, pages, text, a small picture. Runs in a child process with limits.

Files come from many hands: any of them may be broken, huge or hostile. So the parsers run in a
process of their own (`main`, started by `sync.hub.extract`) that may use only so much memory and
time; each file that cannot be read gives a warning, never an error. Nothing here writes anywhere
but into the folder it is given.
"""

from __future__ import annotations

import html.parser
import io
import json
import re
import resource
import signal
import sys
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import msgspec

from sync.safe_xml import BadXml, parse_xml

#: Most text kept of one file, in characters: the Four Great Novels together have 3.5 million.
MOST_TEXT_CHARACTERS = 4_000_000
#: Largest HTML or text file looked into, in bytes; of a larger one the beginning.
MOST_TEXT_FILE_BYTES = 16 * 1024 * 1024
#: Most pages of a PDF that are looked into; the rest is counted, not read.
MOST_PAGES_READ = 3_000
#: Most entries of an EPUB, and most bytes unpacked of one: far above any schoolbook.
MOST_ENTRIES = 20_000
MOST_UNPACKED_BYTES = 128 * 1024 * 1024
#: An entry that unpacks to more than this many times its packed size is a bomb (text packs 3-10 times).
MOST_RATIO = 200
#: Most pixels of a picture that is decoded (240 MB as RGB): twice the largest phone camera of today.
MOST_PIXELS = 80_000_000
#: Longest side of a thumbnail, in pixels.
THUMBNAIL_PIXELS = 320

#: Memory the reading process may use, in bytes, and seconds it may take for one file.
MEMORY_BYTES = 2 * 1024**3
SECONDS_A_FILE = 60

_CUE_HEAD = re.compile(r"WEBVTT|NOTE\b|STYLE\b|REGION\b")
_SPACES = re.compile(r"[ \t\u00a0\u3000]+")
_LINES = re.compile(r"\s*\n\s*")
_JUNK_TITLE = re.compile(
    r"(?i)microsoft (word|powerpoint|excel)\b.*|untitled.*|无标题.*|未命名.*|新建.*"
    r"|(document|文档|演示文稿|幻灯片|slide|页面|page)\s*\d*"
    r"|.*\.(docx?|pptx?|xlsx?|wps|dps|pdf|indd|cdr|html?|tmp)|[\W\d_]*")


class Found(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a file's inside says. `text` keeps a PDF's or EPUB's pages apart by form feeds."""

    title: str = ""
    pages: int = 0
    seconds: int = 0
    text: str = ""
    warnings: list[str] = []


class TooLong(BaseException):
    """The time for one file is over. No `except Exception` of a parser shall swallow it."""


class Unreadable(Exception):
    """This file cannot be looked into; the message says why."""


def read(kind: str, path: Path) -> tuple[Found, bytes]:
    """Look into one file; what was found and a JPEG thumbnail (b"" where there is none).

    Never raises, except TooLong from a reader that cannot keep what it has.
    """
    found = Found()
    thumbnail = b""
    try:
        thumbnail = READERS[kind](path, found)
    except MemoryError:
        found.warnings.append("needs more memory to be looked into than is allowed")
    except Unreadable as error:
        found.warnings.append(str(error))
    except Exception as error:  # a parser met something it does not know: that file's fault, not ours
        found.warnings.append(f"cannot be looked into: {type(error).__name__}: {str(error)[:200]}")
    found.title = tidy_title(found.title)
    found.text = _clip(found.text, found)
    return found, thumbnail


def tidy_title(title: str) -> str:
    """A title on one line, without what programs put there (`Microsoft Word - x.doc`)."""
    line = _printable(re.sub(r"\s+", " ", title)).strip()[:300]
    return "" if _JUNK_TITLE.fullmatch(line) else line


def read_pdf(path: Path, found: Found) -> bytes:
    """Title, page count, and the text of each page."""
    pages: list[str] = []
    try:
        import pypdf  # 0.2 s: not for those who only want this module's limits

        reader = pypdf.PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is protected by a password: shown, but not searched")
        found.pages = len(reader.pages)
        found.title = str((reader.metadata and reader.metadata.title) or "")
        characters = 0
        for number, page in enumerate(reader.pages):
            if number >= MOST_PAGES_READ or characters > MOST_TEXT_CHARACTERS:
                found.warnings.append(f"only the first {number} pages are searched")
                break
            try:
                text = tidy(page.extract_text())
            except Exception:  # one bad page does not spoil the others
                text = ""
            pages.append(text)
            characters += len(text)
    except TooLong:
        found.warnings.append(f"only the first {len(pages)} pages are searched: reading took too long")
    found.text = "\f".join(pages) if any(pages) else ""
    return b""


def read_epub(path: Path, found: Found) -> bytes:
    """Title, text of each chapter in reading order, and the cover."""
    chapters: list[str] = []
    cover = b""
    try:
        with zipfile.ZipFile(path) as archive:
            book = _Epub(archive)
            found.title = book.title
            cover = _cover(book)
            for name in book.spine:
                try:
                    page = _Page()
                    page.read(decode(book.bytes(name)))
                    chapters.append(page.text())
                except KeyError:
                    chapters.append("")  # so that the number of a text is the number of its chapter
                    found.warnings.append(f"lacks the chapter {name!r}")
                if sum(map(len, chapters)) > MOST_TEXT_CHARACTERS:
                    break
    except TooLong:
        found.warnings.append(f"only the first {len(chapters)} chapters are searched: reading took too long")
    except (zipfile.BadZipFile, KeyError, BadXml) as error:
        found.warnings.append(f"is not a whole EPUB: {error}")
    found.text = "\f".join(chapters) if any(chapters) else ""
    return cover


def read_html(path: Path, found: Found) -> bytes:
    """Title and visible text."""
    page = _Page()
    page.read(decode(_beginning(path, found)))
    found.title, found.text = page.title, page.text()
    return b""


def read_text(path: Path, found: Found) -> bytes:
    """The text as it is."""
    found.text = _printable(decode(_beginning(path, found)))
    heading = re.match(r"\s*#\s+(.+)", found.text)
    found.title = heading.group(1) if heading else ""
    return b""


def read_subtitles(path: Path, found: Found) -> bytes:
    """What is said, without numbers, times and marks (SRT, WebVTT, LRC)."""
    lines: list[str] = []
    for line in decode(_beginning(path, found)).splitlines():
        plain = re.sub(r"<[^>]{0,200}>|\[\d+:\d+(?:[.:]\d+)?\]|\{\\[^}]{0,200}\}", "", line).strip()
        if not plain or plain.isdigit() or "-->" in plain or _CUE_HEAD.match(plain):
            continue
        if not lines or lines[-1] != plain:
            lines.append(plain)
    found.text = _printable("\n".join(lines))
    return b""


def read_picture(path: Path, found: Found) -> bytes:  # noqa: ARG001 - one signature for all readers
    """A thumbnail."""
    return thumbnail_of(path)


READERS: dict[str, Callable[[Path, Found], bytes]] = {
    "pdf": read_pdf, "epub": read_epub, "html": read_html, "text": read_text,
    "subtitles": read_subtitles, "picture": read_picture,
}


def thumbnail_of(source: Path | bytes) -> bytes:
    """A JPEG of at most THUMBNAIL_PIXELS a side, upright, on white where it is transparent."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise Unreadable(f"has more than {MOST_PIXELS} pixels: no thumbnail")
                image.draft("RGB", (THUMBNAIL_PIXELS * 2, THUMBNAIL_PIXELS * 2))
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
                alpha = upright.convert("RGBA")
                plain = Image.new("RGB", alpha.size, "white")
                plain.paste(alpha, mask=alpha.getchannel("A"))
                data = io.BytesIO()
                plain.save(data, "JPEG", quality=80, optimize=True)
                return data.getvalue()
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise Unreadable(f"has more than {MOST_PIXELS} pixels: no thumbnail") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise Unreadable(f"is not a whole picture: {str(error)[:100]}") from error


def decode(data: bytes) -> str:
    """Bytes of a text in the encoding they look like: a BOM's, a declared one, UTF-8, GB18030."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    declared = re.search(rb"""(?i)(?:charset|encoding)\s*=\s*["']?\s*([a-z0-9_-]{2,20})""", data[:2048])
    for encoding in ("utf-8-sig", declared.group(1).decode() if declared else "gb18030", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            # A limit may have cut the last character.
            if error.start > len(data) - 4 and error.start > MOST_TEXT_FILE_BYTES - 8:
                return data[:error.start].decode(encoding, "replace")
        except LookupError:
            continue
    return data.decode("utf-8", "replace")


def tidy(text: str) -> str:
    """Without runs of blanks, empty lines, and characters that do not print."""
    return _printable(_LINES.sub("\n", _SPACES.sub(" ", text.replace("\f", "\n")))).strip()


class _Epub:
    """An EPUB's package document: title, reading order, cover."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = MOST_UNPACKED_BYTES
        if len(archive.infolist()) > MOST_ENTRIES:
            raise Unreadable(f"holds more than {MOST_ENTRIES} entries")
        container = parse_xml(self.bytes("META-INF/container.xml"))
        package = next((r.get("full-path", "") for r in container.iter("rootfile")), "")
        tree = parse_xml(self.bytes(package))
        folder = PurePosixPath(package).parent
        self.title = next((e.text or "" for e in tree.iter("title")), "")
        items = {i.get("id", ""): i for i in tree.iter("item")}
        names = {key: _inside(folder, item.get("href", "")) for key, item in items.items()}
        self.spine = [names[ref.get("idref", "")] for ref in tree.iter("itemref")
                      if ref.get("idref", "") in names]
        covers = [k for k, i in items.items() if "cover-image" in i.get("properties", "").split()]
        covers += [m.get("content", "") for m in tree.iter("meta") if m.get("name") == "cover"]
        self.covers = [names[key] for key in covers if key in names]

    def bytes(self, name: str) -> bytes:
        """One entry, unpacked within the limits. Raises KeyError, zipfile.BadZipFile, Unreadable."""
        info = self._archive.getinfo(name)
        if info.flag_bits & 1:
            raise Unreadable("is protected: shown, but not searched")
        if info.file_size > 1024 * 1024 and info.file_size > MOST_RATIO * max(info.compress_size, 1):
            raise Unreadable(f"holds {name!r}, which is packed like a bomb")
        most = min(self._left, MOST_TEXT_FILE_BYTES)
        with self._archive.open(info) as handle:
            data = handle.read(most + 1)
        if len(data) > most:
            raise Unreadable(f"unpacks to more than is allowed at {name!r}")
        self._left -= len(data)
        return data


def _cover(book: _Epub) -> bytes:
    for name in book.covers:
        try:
            return thumbnail_of(book.bytes(name))
        except (KeyError, Unreadable):
            continue
    return b""


def _inside(folder: PurePosixPath, href: str) -> str:
    """The entry's name of an href, with `..` resolved; names that would leave the archive are none."""
    parts: list[str] = []
    for part in (folder / unquote(href.split("#")[0])).parts:
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)


class _Page(html.parser.HTMLParser):
    """Title and visible text of HTML."""

    _HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "math", "head"})
    #: Readings over characters (`<ruby>鹳<rt>guàn</rt>雀`): words are searched without them. Their end tags
    #: may be left out (HTML, 4.5.10).
    _READINGS = frozenset({"rt", "rp", "rtc"})
    _INLINE = frozenset({"a", "b", "i", "em", "strong", "span", "u", "small", "sub", "sup", "ruby", "rb",
                         "font", "code", "mark", "abbr", "cite", "q", "img", "wbr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._in_title = False
        self._in_reading = False

    def read(self, text: str) -> None:
        try:
            self.feed(text)
            self.close()
        except TooLong:
            self._parts.append("\n")

    def text(self) -> str:
        return tidy("".join(self._parts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "title" and not self.title:
            self._in_title = True
        elif tag == "body":
            self._hidden.clear()
        elif tag in self._READINGS:
            self._in_reading = True
        elif tag in ("ruby", "rb"):
            self._in_reading = False
        elif tag in self._HIDDEN:
            self._hidden.append(tag)
        elif tag not in self._INLINE:
            self._in_reading = False  # the ruby was never closed
            self._parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag not in self._INLINE and tag not in self._HIDDEN:
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag == "ruby" or tag in self._READINGS:
            self._in_reading = False
        elif tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif tag not in self._INLINE:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._hidden and not self._in_reading:
            self._parts.append(data)


def _beginning(path: Path, found: Found) -> bytes:
    with path.open("rb") as handle:
        data = handle.read(MOST_TEXT_FILE_BYTES + 1)
    if len(data) > MOST_TEXT_FILE_BYTES:
        found.warnings.append(f"only its first {MOST_TEXT_FILE_BYTES} bytes are searched")
        data = data[:MOST_TEXT_FILE_BYTES]
    return data


def _clip(text: str, found: Found) -> str:
    if len(text) <= MOST_TEXT_CHARACTERS:
        return text
    found.warnings.append(f"only its first {MOST_TEXT_CHARACTERS} characters are searched")
    return text[:MOST_TEXT_CHARACTERS]


def _printable(text: str) -> str:
    """NFC, without control characters (but line ends, tabs, form feeds) and lone surrogates."""
    kept = text.translate(_CONTROL).encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", kept)


_CONTROL = {n: None for n in (*range(32), 127, 0xFEFF) if chr(n) not in "\n\t\f"} | {0x0D: None}


def main(lines: Iterable[str], into: Path) -> None:
    """Work through jobs (a JSON object a line: number, kind, path); for each write `<number>.json`
    and perhaps `<number>.jpg` into the folder, then print the number.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _alarm)
    for line in lines:
        job = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        # A parser that hangs inside C hears no alarm; the kernel ends it a little later.
        seconds = int(used.ru_utime + used.ru_stime) + SECONDS_A_FILE * 2
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_REAL, SECONDS_A_FILE, 1.0)
        thumbnail = b""
        try:
            found, thumbnail = read(job["kind"], Path(job["path"]))
        except TooLong:
            found = Found(warnings=["takes too long to be looked into"])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if thumbnail:
            (into / f"{job['number']}.jpg").write_bytes(thumbnail)
        (into / f"{job['number']}.json").write_bytes(msgspec.json.encode(found))
        sys.stdout.write(f"{job['number']}\n")
        sys.stdout.flush()


def _alarm(_number: int, _frame: Any) -> None:
    raise TooLong


if __name__ == "__main__":
    main(sys.stdin, Path(sys.argv[1]))
