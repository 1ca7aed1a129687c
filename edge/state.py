"""What all requests of the classroom service share; in Flask it is `app.extensions["teachpoint"]`.

A request's thread asks `state.catalogue()`: each thread has its own handle, opened once. Nothing here
starts a thread or a server; `edge.serve` puts it together (and calls `state.search.start()`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from edge.catalogue import Catalogue, FileRow, ResourceRow
from edge.search import SearchIndex
from edge.snapshot import Shared
from sync.clock import SYSTEM, Clock
from sync.layout import BoxLayout

if TYPE_CHECKING:
    from flask import Flask

#: Where the state lies in a Flask app.
EXTENSION = "teachpoint"

#: Media types whose bytes can run script in a browser: they leave from the content origin only.
ACTIVE_TYPES = frozenset({
    "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml",
    "application/xslt+xml", "text/xsl", "application/rss+xml", "application/atom+xml",
    "application/mathml+xml", "application/x-shockwave-flash", "text/javascript",
    "application/javascript", "application/ecmascript", "text/ecmascript",
})


def do_nothing() -> None:
    """The wake callback where no sync loop runs."""


def active(media_type: str) -> bool:
    """Could a browser run script from bytes of this type? (`…+xml` can, through stylesheets.)"""
    plain = media_type.split(";")[0].strip().lower()
    return plain in ACTIVE_TYPES or plain.endswith("+xml")


@dataclass(frozen=True)
class ContentOrigin:
    """The second origin, for foreign HTML: `port` on the host the browser used, unless `base` is set.

    `base` is for where a name of its own exists (`http://content.teachpoint.local`).
    """

    port: int
    base: str = ""

    def url(self, request_host: str) -> str:
        """The origin as seen by a browser that asked `request_host` (`host[:port]`), without a slash."""
        if self.base:
            return self.base.rstrip("/")
        return f"http://{_host_only(request_host)}:{self.port}"


@dataclass
class EdgeState:
    """The classroom service of one box.

    site, name   the site, from the pairing file.
    content      the second origin.
    nginx        does nginx stand in front? Then bytes go out by X-Accel-Redirect.
    wake         called when something is there to be synced (an upload).
    """

    data: Path
    site: str
    name: str
    content: ContentOrigin
    nginx: bool = False
    wake: Callable[[], None] = do_nothing
    clock: Clock = SYSTEM
    shared: Shared = field(default_factory=Shared)
    search: SearchIndex = field(init=False)
    _own: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        self.search = SearchIndex(self.layout.index, self.layout.database, catalogue=self.catalogue)

    @property
    def layout(self) -> BoxLayout:
        """The paths of the box's data folder."""
        return BoxLayout(self.data)

    def catalogue(self) -> Catalogue:
        """This thread's catalogue."""
        found: Catalogue | None = getattr(self._own, "catalogue", None)
        if found is None or found.thawed():
            found = self._own.catalogue = Catalogue(self.layout.database, self.shared)
        return found

    # -- addresses --------------------------------------------------------------------------------

    def resource_url(self, resource: ResourceRow, request_host: str) -> str:
        """Where the bytes of a resource are, or a bundle's entry page."""
        return self._url(resource.package, resource.entry, resource.media_type, resource.bundle, request_host)

    def file_url(self, file: FileRow, request_host: str) -> str:
        """Where one file of a resource is."""
        return self._url(file.package, file.path, file.media_type, file.type == "bundle", request_host)

    def _url(self, package: str, path: str, media_type: str, bundle: bool, request_host: str) -> str:
        place = f"{quote(package)}/{quote(path)}"
        if bundle or active(media_type):
            return f"{self.content.url(request_host)}/c/{place}"
        return f"/files/{place}"


def page_url(resource: ResourceRow) -> str:
    """The page of a resource."""
    return f"/r/{quote(resource.package)}/{resource.id}"


def rendition_url(resource: ResourceRow) -> str | None:
    """The PDF that is shown in the place of a file, if it has one."""
    return f"/pdf/{quote(resource.package)}/{resource.id}" if resource.rendition else None


def thumbnail_url(resource: ResourceRow) -> str | None:
    """The thumbnail of a resource, if it has one."""
    return f"/thumb/{resource.thumbnail}" if resource.thumbnail else None


def state_of(app: Flask) -> EdgeState:
    """The state of a Flask app."""
    state: EdgeState = app.extensions[EXTENSION]
    return state


def _host_only(request_host: str) -> str:
    """`host:port` without the port; IPv6 addresses keep their brackets."""
    try:
        name = urlsplit(f"//{request_host}").hostname or "localhost"
    except ValueError:
        name = "localhost"
    return f"[{name}]" if ":" in name else name
