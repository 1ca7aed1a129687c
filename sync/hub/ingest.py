"""Taking in what the sites sent: `inbox/<site>/` → hub.db and library (docs/format.md §6.5 to §6.7).

Promises
* Each record of a box comes into hub.db exactly once, in order, whatever was replayed, cut short,
  turned round or left out on the way.
* The order is: record and segment in one transaction; then the site's feed, with the
  acknowledgement; only then the file is removed. A crash anywhere leaves a duplicate at worst.
* What lies below `inbox/<site>` speaks for that site only, and only if signed with its key.
* An object is in the library, verified, before the hub stops asking for it.
* Nobody else takes anything out of an inbox, and only one process at a time does.

`ingest_segments` decides about records, `ingest_objects` about uploaded bytes; `inbox` is where both
come from, and `foreign` keeps a stranger's folder at arm's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sync.durable import disk_errors, make_folder
from sync.errors import Broken, Refused, TeachpointError
from sync.file_lock import HeldByAnother, exclusive
from sync.hub.inbox import TRASH_PER_ROUND, Inbox, Intake, Source, Stick
from sync.hub.ingest_objects import SiteObjects
from sync.hub.ingest_segments import SiteSegments
from sync.hub.ingested import Ingested
from sync.hub.settings import Hub
from sync.hub.sites import Site, get_site, list_sites
from sync.logs import log

#: How long to wait for another process that is taking in, in seconds.
LOCK_PATIENCE_S = 60.0


def ingest(hub: Hub, sites: Sequence[str] | None = None, *, abandoned_before: float = 0.0) -> Ingested:
    """Take in what lies in the inboxes of all valid sites (or of `sites`); a revoked site's is let be.
    Segments of all sites come first, because large objects take time. What a transfer wrote last before
    the time `abandoned_before` and did not finish is cleared away, unless another can go on from it.

    One site's trouble does not keep the others waiting: the first error is raised at the end.

    Raises Refused `site-unknown`; Broken `ingest-running`, `key-missing`, `inbox-unreadable`,
    `disk-failing`, `database-…`; NoRoom `disk-full`. What was not taken in stays where it is.
    """
    chosen = list_sites(hub) if sites is None else [get_site(hub, site) for site in sites]
    return _ingest(hub, chosen, lambda intake, site: Inbox(
        intake, hub.layout.inbox(site), site, abandoned_before))


def ingest_stick(hub: Hub, stick: Path) -> Ingested:
    """Take in what lies on a stick (or in any copy of the tree): `<stick>/inbox/<site>/`, by the same
    rules. Nothing on the stick is changed; sites that this hub does not know are passed over.

    Raises Refused `stick-without-inbox`; else as `ingest`.
    """
    inboxes = stick / "inbox"
    with disk_errors(inboxes):
        if not inboxes.is_dir():
            raise Refused("stick-without-inbox", path=stick)
    return _ingest(hub, list_sites(hub), lambda intake, site: Stick(intake, inboxes / site, site))


def _ingest(hub: Hub, sites: Sequence[Site], source: Callable[[Intake, str], Source]) -> Ingested:
    total = Ingested()
    first_error: TeachpointError | None = None
    steps: tuple[Callable[[Site, Source, Intake], Ingested], ...] = (
        lambda site, opened, _: SiteSegments(hub, site, opened).run(),
        lambda site, opened, intake: SiteObjects(hub, site, opened, intake).run())
    with _alone(hub):
        intake = Intake(hub)
        for step in steps:
            for site in sites:
                if site.revoked is not None:
                    continue
                try:
                    with _own_errors(site), source(intake, site.site) as opened:
                        total.add(step(site, opened, intake))
                except TeachpointError as error:
                    log("hub.ingest").error("ingest-failed", site=site.site, **error.as_json())
                    first_error = first_error or error
        intake.trash.empty(TRASH_PER_ROUND)
    if first_error is not None:
        raise first_error
    return total


@contextmanager
def _alone(hub: Hub) -> Iterator[None]:
    make_folder(hub.layout.run, 0o700)
    try:
        with exclusive(hub.layout.run / "ingest.lock", LOCK_PATIENCE_S):
            yield
    except HeldByAnother:
        raise Broken("ingest-running", path=hub.layout.data) from None


@contextmanager
def _own_errors(site: Site) -> Iterator[None]:
    """What the operating system says of an inbox becomes an error of ours."""
    try:
        with disk_errors(Path("inbox") / site.site):
            yield
    except OSError as error:
        raise Broken("inbox-unreadable", site=site.site, reason=error.strerror or error) from error
