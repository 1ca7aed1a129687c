"""What became of files that teachers gave: looked at, not taken over, published as (part of) a package.

One row of `review` for each object, whoever sent it; each site that did is told through its feed
(docs/format.md §5.2). A file that a publish takes in is `spread` by that alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from sqlite_utils import Database

from sync.canonical import is_sha256
from sync.database import transaction
from sync.desired import MOST_TOLD_NOTE
from sync.errors import Refused, TeachpointError
from sync.hub.feed import write_feed
from sync.hub.settings import Hub
from sync.logs import log
from sync.text import one_line

REVIEWED, DECLINED, SPREAD = "reviewed", "declined", "spread"
#: Names asked for in one query.
_AT_ONCE = 500


def review(hub: Hub, sha256: str, verdict: str, note: str) -> list[str]:
    """Note what an admin says of a file, and tell the sites that sent it; these sites.

    Raises Refused `upload-unknown`; as `transaction`; as `write_feed`: it is noted all the same then, and
    told with the next feed.
    """
    sites = senders(hub, [sha256]) if is_sha256(sha256) else []
    if not sites:
        raise Refused("upload-unknown", sha256=sha256)
    with transaction(hub.database) as database:
        database.execute("INSERT OR REPLACE INTO review VALUES (?, ?, ?, ?)",
                         [sha256, verdict, one_line(note, MOST_TOLD_NOTE), hub.clock.now()])
    for site in sites:
        write_feed(hub, site)
    return sites


def note_published(database: Database, objects: Collection[str], at: float) -> None:
    """Inside the transaction of a publish: files of teachers among its objects are spread now."""
    for some, marks in _portions(objects):
        database.execute(
            "INSERT INTO review SELECT DISTINCT sha256, ?, '', ? FROM upload "  # noqa: S608 - question marks
            f"WHERE sha256 IN ({marks}) ON CONFLICT (sha256) DO UPDATE SET verdict = excluded.verdict, "
            "note = '', at = excluded.at WHERE verdict <> excluded.verdict", [SPREAD, at, *some])


def tell_senders(hub: Hub, objects: Collection[str]) -> None:
    """Write the feeds of the sites whose files are among these objects. A failure waits for the next feed."""
    for site in senders(hub, objects):
        try:
            write_feed(hub, site)
        except TeachpointError as error:
            log("hub.reviews").warning("told-later", site=site, code=error.code, reason=str(error))


def senders(hub: Hub, objects: Collection[str]) -> list[str]:
    """The sites, not revoked, that sent any of these."""
    found: set[str] = set()
    for some, marks in _portions(objects):
        found |= {site for (site,) in hub.database.execute(
            "SELECT DISTINCT site FROM upload JOIN site USING (site) "  # noqa: S608 - question marks
            f"WHERE revoked IS NULL AND sha256 IN ({marks})", some)}
    return sorted(found)


def _portions(objects: Collection[str]) -> Iterator[tuple[list[str], str]]:
    """Some names at a time, and as many question marks."""
    names = iter(objects)
    while some := list(islice(names, _AT_ONCE)):
        yield some, ",".join("?" * len(some))
