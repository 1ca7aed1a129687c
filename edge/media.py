"""How bytes may be shown: which types leave from which origin, and the charset of texts.

Main origin: only types that no browser runs script from; what is neither known to be harmless nor known
to be active is handed out as a download. Content origin: everything, inside its sandbox.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from edge.state import active
from sync import media

#: How much of a text is looked at to tell its charset, in bytes: where HTML must declare it, and some.
HEAD_BYTES = 4096

#: Types that a browser shows or plays without running anything of them.
_HARMLESS = re.compile(
    r"(?:image/(?!svg)[\w.+-]+|video/[\w.+-]+|audio/[\w.+-]+|font/[\w.+-]+"
    r"|text/(?:plain|markdown|csv|vtt|css)"
    r"|application/(?:pdf|epub\+zip|json|zip|x-subrip|wasm|manifest\+json|vnd\.apple\.mpegurl))")

_DECLARED = re.compile(rb"""(?i)charset\s*=\s*["']?\s*([\w.:-]+)""")


def harmless(media_type: str) -> bool:
    """May bytes of this type be shown by the main origin?"""
    plain = media_type.split(";")[0].strip().lower()
    return not active(plain) and _HARMLESS.fullmatch(plain) is not None


def file_type(path: str, entry: str, media_type: str, *, bundle: bool) -> str:
    """The media type of one file of a resource: what the manifest says; inside a bundle by its suffix."""
    plain = media_type if path == entry or not bundle else media.media_type(path)
    # A header is made of it: nothing but a media type may pass (manifests allow any text).
    return plain if re.fullmatch(r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?charset=[\w-]{1,40})?", plain, re.A) \
        else media.UNKNOWN


def with_charset(media_type: str, path: Path, sha256: str) -> str:
    """`media_type` with the charset of the text in the object `path`, if it is a text and says none.

    A header's charset overrules what a page declares in itself, so a page that declares another one than
    UTF-8 goes out without; a plain text that is not UTF-8 is Chinese as Windows wrote it.
    """
    if "charset" in media_type or not media_type.startswith("text/"):
        return media_type
    if media_type in ("text/vtt", "text/javascript", "text/css"):
        return f"{media_type}; charset=utf-8"  # by their own definitions, or by what all tools write
    found = _charset(str(path), sha256, media_type == "text/html")
    return f"{media_type}; charset={found}" if found else media_type


@lru_cache(maxsize=4096)
def _charset(path: str, _sha256: str, html: bool) -> str:
    try:
        with Path(path).open("rb") as handle:
            head = handle.read(HEAD_BYTES)
    except OSError:
        return "utf-8"  # whoever sends it meets the same error, and says it
    if html:
        declared = _DECLARED.search(head)
        return "" if declared and declared[1].lower() not in (b"utf-8", b"utf8") else "utf-8"
    return "utf-8" if _is_utf_8(head) else "gb18030"


def _is_utf_8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start >= HEAD_BYTES - 3  # a character cut in two
    return True
