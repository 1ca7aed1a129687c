"""What an admin decides for a site: which packages it shall have, how urgently; its line, its timetable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sync.canonical import canonical
from sync.database import transaction
from sync.desired import MOST_PACKAGES
from sync.errors import Misused, Refused
from sync.hub.feed import site_policy, site_timetable, write_feed
from sync.hub.settings import Hub
from sync.hub.sites import get_site
from sync.policy import Policy, as_plain, parse_policy
from sync.timetable import Timetable
from sync.timetable import as_plain as timetable_plain

#: Priorities: 9 is the most urgent, 0 whatever the line has left.
PRIORITIES = range(10)
DEFAULT_PRIORITY = 5


@dataclass(frozen=True)
class Assignment:
    """What became of one (site, package): its priority (None: not assigned), and whether it changed."""

    site: str
    package: str
    priority: int | None
    changed: bool


def assign(hub: Hub, packages: Iterable[str], sites: Iterable[str],
           priority: int = DEFAULT_PRIORITY, *, at_once: bool = False) -> list[Assignment]:
    """Let each of `sites` have the newest version of each of `packages`, now and in future; those
    assigned already take the new priority. `at_once`: boxes fetch today's version whatever their policy
    says; later versions keep to the policy again. All of it or, if anything is refused, nothing; then
    the sites' feeds are written.

    Raises Misused `priority-bad`; Refused `site-unknown`, `site-revoked`, `package-unknown`,
    `assigned-too-many`; what `write_feed` raises (the assignment stands then, and the next write of
    the feed tells of it).
    """
    if priority not in PRIORITIES:
        raise Misused("priority-bad", priority=priority)
    wanted, receivers = _unique(packages), _unique(sites)
    done: list[Assignment] = []
    with transaction(hub.database):
        _hold(hub, wanted, receivers)
        for site in receivers:
            if get_site(hub, site).revoked is not None:
                raise Refused("site-revoked", site=site)
            before = _assigned(hub, site)
            for package in wanted:
                version = _newest_version(hub, package) if at_once else None
                hub.database.execute(
                    "INSERT INTO assignment (site, package, priority, since, now_version) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (site, package) DO UPDATE "
                    "SET priority = excluded.priority, now_version = excluded.now_version",
                    [site, package, priority, hub.clock.now(), version])
                done.append(Assignment(site, package, priority,
                                       before.get(package) != (priority, version)))
            if len(before.keys() | set(wanted)) > MOST_PACKAGES:
                raise Refused("assigned-too-many", site=site, most=MOST_PACKAGES)
    _write_feeds(hub, receivers)
    return done


def unassign(hub: Hub, packages: Iterable[str], sites: Iterable[str]) -> list[Assignment]:
    """Let `sites` no longer have `packages`; what was not assigned stays so, without error. Boxes drop
    what they have of it when they need the room. All or nothing; then the feeds are written.

    Raises Refused `site-unknown`, `package-unknown`; what `write_feed` raises.
    """
    unwanted, losers = _unique(packages), _unique(sites)
    done: list[Assignment] = []
    with transaction(hub.database):
        _hold(hub, unwanted, losers)
        for site in losers:
            before = _assigned(hub, site)
            for package in unwanted:
                hub.database.execute("DELETE FROM assignment WHERE site = ? AND package = ?",
                                     [site, package])
                done.append(Assignment(site, package, None, package in before))
    _write_feeds(hub, losers)
    return done


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _hold(hub: Hub, packages: Sequence[str], sites: Sequence[str]) -> None:
    for site in sites:
        get_site(hub, site)
    for package in packages:
        if hub.database.execute("SELECT 1 FROM package WHERE id = ?", [package]).fetchone() is None:
            raise Refused("package-unknown", package=package)


def _newest_version(hub: Hub, package: str) -> int:
    """The newest version published of a package."""
    return int(hub.database.execute("SELECT max(version) FROM package WHERE id = ?", [package]).fetchone()[0])


def _assigned(hub: Hub, site: str) -> dict[str, tuple[int, int | None]]:
    """Package → priority, and the version that is to come at once."""
    return {package: (priority, now_version) for package, priority, now_version in hub.database.execute(
        "SELECT package, priority, now_version FROM assignment WHERE site = ?", [site])}


def set_policy(hub: Hub, site: str, policy: Policy) -> bool:
    """Give the site a policy (NO_POLICY takes it away), then write its feed; True if that is news.

    Raises Refused `site-unknown`, `policy-bad`; what `write_feed` raises (the policy stands then, and the
    next write of the feed tells of it).
    """
    get_site(hub, site)
    plain = as_plain(policy)
    parse_policy(plain)
    with transaction(hub.database):
        changed = plain != as_plain(site_policy(hub, site))
        if changed and plain:
            hub.database.execute("INSERT OR REPLACE INTO policy VALUES (?, ?, ?)",
                                 [site, canonical(plain).decode(), hub.clock.now()])
        elif changed:
            hub.database.execute("DELETE FROM policy WHERE site = ?", [site])
    write_feed(hub, site)
    return changed


def set_timetable(hub: Hub, site: str, timetable: Timetable) -> bool:
    """Give the site a timetable (NO_TIMETABLE takes it away), then write its feed; True if that is news.

    Raises Refused `site-unknown`; what `write_feed` raises (the timetable stands then, and the next write of
    the feed tells of it).
    """
    get_site(hub, site)
    with transaction(hub.database):
        changed = timetable != site_timetable(hub, site)
        if changed:
            hub.database.execute("DELETE FROM timetable WHERE site = ?", [site])
        if changed and timetable.periods:
            hub.database.execute("INSERT INTO timetable VALUES (?, ?, ?)",
                                 [site, canonical(timetable_plain(timetable)).decode(), hub.clock.now()])
    write_feed(hub, site)
    return changed


def _write_feeds(hub: Hub, sites: Sequence[str]) -> None:
    for site in sites:
        write_feed(hub, site)
