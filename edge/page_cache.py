"""Pages kept in memory, by their ETag. The tag names all that a page depends on, so nothing goes stale."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from functools import lru_cache

from kiosk_ui.pages import FOLDER

#: Most bytes of pages kept: some hundred pages; a box has 1 GB of memory for everything.
MOST_BYTES = 8 * 1024 * 1024


@lru_cache(maxsize=1)
def looks() -> str:
    """Changes with every change of templates, styles and translations."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in (".html", ".css", ".js", ".po", ".svg", ".png", ".py"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def tag_of(*depends: object) -> str:
    """An ETag for a page that depends on these values (of plain types: their `repr` is compared)."""
    return hashlib.sha256(repr((looks(), depends)).encode("utf-8", "backslashreplace")).hexdigest()[:24]


class PageCache:
    """Least recently used out first. Safe to use from many threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, bytes] = OrderedDict()  # guarded by _lock
        self._bytes = 0  # guarded by _lock

    def get(self, tag: str) -> bytes | None:
        """The page with this tag, if it is kept."""
        with self._lock:
            page = self._pages.get(tag)
            if page is not None:
                self._pages.move_to_end(tag)
            return page

    def keep(self, tag: str, page: bytes) -> None:
        """Keep a page."""
        with self._lock:
            self._bytes += len(page) - len(self._pages.pop(tag, b""))
            self._pages[tag] = page
            while self._bytes > self._most_bytes:
                _, gone = self._pages.popitem(last=False)
                self._bytes -= len(gone)
