"""Where everything lies: the tree that is the wire format, and each role's data folder.

The tree (docs/format.md §1) is the same at the hub, over rsync, and on a stick:

    library/objects/ab/<sha256>     objects, named by their hash
    feed/<site>/…                   signed metadata and targets for one site
    inbox/<site>/segments|objects/  what a site sent (at the box the same shape is `outbox/`)
"""

from __future__ import annotations

import os
import re
from pathlib import Path

#: The data folder where neither --data nor TEACHPOINT_DATA says another.
DEFAULT_DATA = Path("/var/lib/teachpoint")

#: A site's short name: part of paths, of DNS labels (RFC 1035: at most 63) and of mDNS names.
SITE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")

#: A package's id: part of URLs and paths.
PACKAGE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


def object_path(sha256: str) -> str:
    """The path of an object below `library/`, for instance `objects/ab/abcd…`."""
    return f"objects/{sha256[:2]}/{sha256}"


def data_folder(given: str | None) -> Path:
    """The data folder: what was given, else TEACHPOINT_DATA, else DEFAULT_DATA."""
    return Path(given or os.environ.get("TEACHPOINT_DATA") or DEFAULT_DATA).absolute()


class HubLayout:
    """The paths of a hub's data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.database = data / "hub.db"
        self.library = data / "library"
        self.feeds = data / "feed"
        self.news_folder = data / "news"   # each site's feed as one file, for HTTPS; derived
        self.packs = data / "packs"        # the small texts of a version in one frame; derived
        self.squeezed = data / "squeezed"  # single objects compressed; derived
        self.inboxes = data / "inbox"
        self.intake = data / "intake"      # what was taken out of inboxes and is being looked at
        self.keys = data / "keys"          # 0700: TUF keys, seal identity, site keys
        self.ssh = data / "ssh"            # sshd and rsyncd configuration, host key
        self.run = data / "run"            # sockets and pid files; empty after a start
        self.settings = data / "hub.toml"  # name, address, ports

    def feed(self, site: str) -> Path:
        """The feed folder of one site."""
        return self.feeds / site

    def news(self, site: str) -> Path:
        """The feed of one site as one file."""
        return self.news_folder / site

    def inbox(self, site: str) -> Path:
        """The inbox folder of one site."""
        return self.inboxes / site


class BoxLayout:
    """The paths of a box's data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.database = data / "box.db"
        self.pairing = data / "pairing.toml"  # 0600
        self.library = data / "library"
        self.staging = data / "staging"       # partial and unverified bytes
        self.feed = data / "feed"             # the last fetched feed, not yet or already trusted
        self.trusted = data / "trusted"       # the last verified metadata
        self.outbox = data / "outbox"         # segments/ and objects/, to be pushed
        self.uploads = data / "uploads"       # a file dropped here becomes an upload
        self.receiving = data / "receiving"   # files that are still being sent to the box
        self.index = data / "index"           # search index, derived, may be deleted
        self.metrics_token = data / "metrics-token"  # 0600: who has it may ask for /metrics from elsewhere
        self.run = data / "run"
