"""A site's whole feed as one file for the HTTPS line (docs/format.md): `teachpoint-news/1`. No I/O.

One zstd frame of canonical JSON. Nobody trusts it: what it holds is the feed, and that is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
import zstandard
from msgspec import Meta

from sync.canonical import canonical
from sync.errors import Refused
from sync.trust import most_bytes

NEWS_FORMAT = "teachpoint-news/1"
#: Largest news, packed and unpacked, in bytes: a feed of the largest files has 8 MB.
MOST_PACKED_BYTES, MOST_PLAIN_BYTES = 4 * 1024 * 1024, 16 * 1024 * 1024
#: It is written once and read at each change: the time to pack it does not count.
_LEVEL = 19


class _News(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    site: str
    files: Annotated[dict[str, str], Meta(max_length=10_000)]


def dump(site: str, files: Mapping[str, bytes]) -> bytes:
    """The news of a feed: name → bytes (JSON, so UTF-8)."""
    plain = canonical({"format": NEWS_FORMAT, "site": site,
                       "files": {name: data.decode() for name, data in files.items()}})
    return zstandard.ZstdCompressor(level=_LEVEL).compress(plain)


def parse(data: bytes, site: str) -> dict[str, bytes]:
    """The files of a feed; names that no feed has are left out. Raises Refused `feed-bad`,
    `feed-wrong-site`, whatever the bytes are."""
    if len(data) > MOST_PACKED_BYTES:
        raise _bad(f"larger than {MOST_PACKED_BYTES} bytes")
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= MOST_PLAIN_BYTES:
            raise _bad("it does not say its size, or is too large")
        plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=MOST_PLAIN_BYTES)
        news = msgspec.json.decode(plain, type=_News)
        files = {name: text.encode() for name, text in news.files.items() if most_bytes(name) is not None}
    except (zstandard.ZstdError, msgspec.MsgspecError, MemoryError, RecursionError, ValueError) as error:
        raise _bad(str(error)) from error
    if news.format != NEWS_FORMAT:
        raise _bad(f"the format is {news.format!r}, known is {NEWS_FORMAT!r}")
    if news.site != site:
        raise Refused("feed-wrong-site", file="news", site=site, other=news.site)
    return files


def _bad(reason: str) -> Refused:
    return Refused("feed-bad", file="news", reason=reason)
