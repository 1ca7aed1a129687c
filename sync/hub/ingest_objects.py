"""Taking in the uploaded objects of one site (docs/format.md §6.6)."""

from __future__ import annotations

import stat
from itertools import groupby
from pathlib import Path

from sync.canonical import is_sha256
from sync.database import transaction
from sync.errors import Refused
from sync.hub.feed import write_feed
from sync.hub.foreign import Foreign
from sync.hub.inbox import (
    BEGINNINGS,
    NAMES_PER_ROUND,
    OBJECTS,
    REFUSED,
    SEGMENTS,
    Intake,
    Source,
    clear_junk,
    make_own,
)
from sync.hub.ingested import Ingested, Problems
from sync.hub.settings import Hub
from sync.hub.sites import Site
from sync.logs import log

#: Objects that no record has told of yet: how many, how much and how long a site may leave here.
UNTOLD_FILES = 1000
UNTOLD_BYTES = 2 * 1024**3
UNTOLD_AGE_S = 30 * 86400.0


class SiteObjects:
    """One run over `objects/` of one site."""

    def __init__(self, hub: Hub, site: Site, source: Source, intake: Intake) -> None:
        self._hub = hub
        self._site = site.site
        self._source = source
        self._taken = intake.taken(site.site)
        self._problems = Problems(hub, site.site)
        self._result = Ingested()
        self._received = False

    def run(self) -> Ingested:
        """What is wanted and there is taken in; what has no business here is cleared away.
        Raises as `sync.hub.ingest.ingest`."""
        objects = self._source.top(OBJECTS)
        wanted = self._wanted()
        for prefix, names in groupby(sorted(wanted), key=lambda sha256: sha256[:2]):
            folder = objects.folder(prefix) if objects is not None else None
            for sha256 in names:
                if not self._have(sha256):
                    self._take(folder, sha256, wanted[sha256])
            if folder is not None:
                folder.close()
        if not self._source.keeps:
            self._clear_away(objects, wanted)
        self._problems.write()
        if self._received:
            write_feed(self._hub, self._site)
        return self._result

    def _wanted(self) -> dict[str, int]:
        """The objects that records tell of and that are not here, with the largest size told."""
        rows = self._hub.database.execute(
            "SELECT sha256, max(size) FROM upload WHERE site = ? AND received IS NULL GROUP BY sha256",
            [self._site])
        return dict(rows.fetchall())

    def _have(self, sha256: str) -> bool:
        """Is it in the library already, and whole? The box will delete its copy on our word."""
        store = self._hub.store
        if not store.has(sha256) or not store.check(sha256):
            return False
        self._mark_received(sha256)
        return True

    def _take(self, folder: Foreign | None, sha256: str, most_bytes: int) -> None:
        """Bring a wanted object into the library, verified: from the tree, or from the intake where a
        crash has left it."""
        taken = self._taken / sha256
        if not taken.exists() and not self._bring(folder, sha256, most_bytes):
            return
        if not make_own(taken, most_bytes):
            self._damaged(sha256, "not the file that was told of")
            return
        stored, wrong = self._hub.store.adopt([(taken, sha256)])
        for path in wrong:
            path.unlink(missing_ok=True)
            self._damaged(sha256, "its bytes are others than its name promises")
        if stored:
            self._mark_received(sha256)
            self._result.objects += 1

    def _bring(self, folder: Foreign | None, sha256: str, most_bytes: int) -> bool:
        if folder is None or folder.stat(sha256) is None:
            return False
        if self._source.take(folder, sha256, most_bytes) is None:
            self._damaged(sha256, "not the file that was told of")
            self._source.drop(folder, sha256)
            return False
        return True

    def _mark_received(self, sha256: str) -> None:
        with transaction(self._hub.database) as database:
            database.execute("UPDATE upload SET received = ? WHERE site = ? AND sha256 = ? "
                             "AND received IS NULL", [self._hub.clock.now(), self._site, sha256])
        self._received = True

    def _damaged(self, sha256: str, reason: str) -> None:
        self._result.refused += 1
        self._problems.add(Refused("upload-damaged", sha256=sha256, reason=reason))
        log("hub.ingest").warning("upload-refused", site=self._site, sha256=sha256, reason=reason)

    def _clear_away(self, objects: Foreign | None, wanted: dict[str, int]) -> None:
        """What is not wanted: had already, untold of, or junk."""
        for path in list(self._taken.iterdir()):
            if path.name not in wanted and path.is_file():
                path.unlink()
        root = self._source.root
        for name in root.names(NAMES_PER_ROUND) if root is not None else ():
            if root is not None and not self._is_ours(root, name):
                self._junk(root, name, "not a folder of the tree")
        if objects is not None:
            self._clear_objects(objects)

    def _is_ours(self, root: Foreign, name: str) -> bool:
        found = root.stat(name)
        return (name in (SEGMENTS, OBJECTS, REFUSED) and found is not None and stat.S_ISDIR(found.st_mode))

    def _clear_objects(self, objects: Foreign) -> None:
        left, room_files, room_bytes = NAMES_PER_ROUND, UNTOLD_FILES, UNTOLD_BYTES
        for prefix in objects.names(NAMES_PER_ROUND):
            folder = objects.folder(prefix) if len(prefix) == 2 else None
            if folder is None:
                self._junk(objects, prefix)
                continue
            with folder:
                self._clear_beginnings(folder)
                names = folder.names(left)
                left -= len(names)
                for name in names:
                    size = self._look_at(folder, prefix, name, room_bytes if room_files else -1)
                    if size is not None:
                        room_files, room_bytes = room_files - 1, room_bytes - size

    def _look_at(self, folder: Foreign, prefix: str, name: str, room_bytes: int) -> int | None:
        """Clear away one file unless it may stay; the size of one that stays though untold of."""
        if not is_sha256(name) or not name.startswith(prefix):
            self._junk(folder, name)
            return None
        received = self._received_all(name)
        found = folder.stat(name)
        if found is None or received == 0:  # wanted: it came in this moment
            return None
        if received == 1:
            self._result.duplicates += 1
            self._source.drop(folder, name)
            return None
        age = self._hub.clock.now() - found.st_ctime
        if not stat.S_ISREG(found.st_mode) or found.st_size > room_bytes or age > UNTOLD_AGE_S:
            self._junk(folder, name, "no record tells of it")
            return None
        return found.st_size

    def _clear_beginnings(self, folder: Foreign) -> None:
        """Clear away the beginnings of objects that have come meanwhile: nothing goes on from them."""
        beginnings = folder.folder(BEGINNINGS)
        if beginnings is None:
            return
        with beginnings:
            for name in beginnings.names(NAMES_PER_ROUND):
                if self._received_all(name):
                    self._source.drop(beginnings, name)
            empty = not beginnings.names(1)
        if empty:
            self._source.drop(folder, BEGINNINGS)

    def _received_all(self, sha256: str) -> int | None:
        """1 if all that records tell of an object has been received, 0 if not; None: no record does."""
        found: int | None = self._hub.database.execute(
            "SELECT min(received IS NOT NULL) FROM upload WHERE site = ? AND sha256 = ?",
            [self._site, sha256]).fetchone()[0]
        return found

    def _junk(self, folder: Foreign, name: str, reason: object = "not an object") -> None:
        clear_junk(self._hub, self._source, folder, name, reason, self._problems, self._result,
                   resumed=name == BEGINNINGS)


def object_file(hub: Hub, sha256: str) -> Path:
    """The file of an uploaded object that is here and whole.

    Raises Refused: `upload-unknown` (no record tells of it), `object-missing` (not here yet),
    `object-damaged`.
    """
    row = hub.database.execute("SELECT max(received IS NOT NULL) FROM upload WHERE sha256 = ?",
                               [sha256]).fetchone()
    if row[0] is None:
        raise Refused("upload-unknown", sha256=sha256)
    if not hub.store.has(sha256):
        raise Refused("object-missing", sha256=sha256)
    if not hub.store.check(sha256):
        raise Refused("object-damaged", sha256=sha256)
    return hub.store.path(sha256)
