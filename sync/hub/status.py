"""How each site is: what it was told to have, what it says it has, and what is in trouble."""

from __future__ import annotations

import json
from typing import Any, get_args

from tuf.api.metadata import Metadata, Root

from sync.desired import Assigned
from sync.error_texts import TEXTS
from sync.errors import TeachpointError
from sync.hub import keys, roots
from sync.hub.feed import desired_packages, hub_time, site_policy, site_timetable
from sync.hub.settings import Hub
from sync.hub.sites import Site, get_site, list_sites
from sync.policy import Policy, Why, decide, facts, finish
from sync.reserve import in_need
from sync.timetable import rows

#: A site not heard of for so long, in seconds, is worth a look: a long weekend without a lesson.
SILENT_AFTER_S = 4 * 86400
#: How long it is shown that records were lost, in seconds.
LOSS_SHOWN_S = 30 * 86400


def hub_status(hub: Hub, site: str | None = None) -> list[dict[str, Any]]:
    """Facts of one site or of all, ready for JSON. Times are seconds since 1970 by the hub's clock
    (`last_record_time`: by the box's), None where there is none.

    site, name, revoked   as `Site`
    last_contact     when it was last connected;  last_heard  that, or a later stick
    boxes            `[{box, last_seq, last_record_time}]`, the one last heard of first
    packages         `{assigned, complete}`, counts;  bytes  of all that is assigned together
    missing          `[{id, version, bytes}]` what that box does not have whole yet
    bytes_left       their bytes together: at most so much is still to be moved
    no_room          `[{id, bytes}]` what the box has no room for, and the bytes it lacks of each
    timetable        its timetable as set here (`sync.timetable.rows`), empty where there is none
    policy           the policy of its line (`sync.policy.facts`), None where there are no limits
    line             `{state, opens}`: what that lets happen now by the hub's clock, when lessons may move
                     again; of hours alone, since the box alone knows what it has used of its budget. `told`:
                     what the box said last, `{state, rate_bytes_per_s, left_bytes, finish, at}`, None where
                     it said nothing; `finish` is by the box's clock, or foretold here if it had none; `at`:
                     when that came in
    problems         `[{code, message, advice, facts, since}]`

    What a site has is what its box last heard of says: a box that was replaced says nothing any more.
    Raises Refused `site-unknown`.
    """
    return [_status(hub, one) for one in ([get_site(hub, site)] if site else list_sites(hub))]


def told_to_have(hub: Hub, site: str) -> dict[str, tuple[Any, Any]] | None:
    """What the box last heard of says it has whole: package id → (version, manifest); None where no box
    of the site was ever heard of."""
    boxes = _boxes(hub, site)
    return _whole_packages(hub, site, boxes[0]["box"]) if boxes else None


def hub_problems(hub: Hub) -> list[dict[str, Any]]:
    """The problems of the hub itself, as in `hub_status`. That its disk is full is seen by looking: nothing
    can be written down there then."""
    data = hub.layout.data
    full = [_problem("hub-full", {"path": data}, hub.clock.now())] if in_need(data) else []
    return _recorded_problems(hub, "") + full


def _status(hub: Hub, site: Site) -> dict[str, Any]:
    contact = _number(hub, "SELECT at FROM contact WHERE site = ?", site.site)
    ingested = _number(hub, "SELECT max(ingested) FROM segment WHERE site = ?", site.site)
    heard = max((at for at in (contact, ingested) if at is not None), default=None)
    boxes = _boxes(hub, site.site)
    whole = _whole_packages(hub, site.site, boxes[0]["box"]) if boxes else {}
    assigned = desired_packages(hub, site.site)
    no_room = _no_room(hub, site.site, boxes[0]["box"]) if boxes else []
    missing = [one for one in assigned if whole.get(one.id) != (one.version, one.manifest)]
    policy = site_policy(hub, site.site)
    now = decide(policy, hub.clock.now(), 0)
    return {
        "site": site.site, "name": site.name, "revoked": site.revoked,
        "last_contact": contact, "last_heard": heard, "boxes": boxes,
        "packages": {"assigned": len(assigned), "complete": len(assigned) - len(missing)},
        "bytes": sum(_bytes(one) for one in assigned),
        "missing": [{"id": one.id, "version": one.version, "bytes": _bytes(one)} for one in missing],
        "bytes_left": sum(_bytes(one) for one in missing),
        "policy": facts(policy), "line": {
            "state": now.why, "opens": now.opens,
            "told": _line_told(hub, site.site, boxes[0]["box"], policy) if boxes else None},
        "timetable": rows(site_timetable(hub, site.site)),
        "no_room": no_room,
        "problems": _recorded_problems(hub, site.site) + _found_problems(hub, site, heard, no_room),
    }


def _bytes(package: Assigned) -> int:
    return package.size + package.bytes


def _number(hub: Hub, query: str, site: str) -> float | None:
    row = hub.database.execute(query, [site]).fetchone()
    return row[0] if row else None


def _boxes(hub: Hub, site: str) -> list[dict[str, Any]]:
    rows = hub.database.execute(
        "SELECT box, max(last_seq) FROM segment WHERE site = ? GROUP BY box "
        "ORDER BY max(ingested) DESC, box", [site]).fetchall()
    found = []
    for box, last_seq in rows:
        row = hub.database.execute("SELECT time FROM record WHERE site = ? AND box = ? AND seq = ?",
                                   [site, box, last_seq]).fetchone()
        found.append({"box": box, "last_seq": last_seq, "last_record_time": row[0] if row else None})
    return found


def _whole_packages(hub: Hub, site: str, box: str) -> dict[str, tuple[Any, Any]]:
    """What the box says it has whole: id → (version, manifest), its records read in order."""
    whole: dict[str, tuple[Any, Any]] = {}
    for kind, text in hub.database.execute(
            "SELECT kind, body FROM record WHERE kind IN ('package', 'package-removed') "
            "AND site = ? AND box = ? ORDER BY seq", [site, box]):
        body = json.loads(text)
        if kind == "package" and body.get("complete") is True:
            whole[str(body.get("id"))] = (body.get("version"), body.get("manifest"))
        else:
            whole.pop(str(body.get("id")), None)
    return whole


def _no_room(hub: Hub, site: str, box: str) -> list[dict[str, Any]]:
    """What the box said last about what it has no room for (docs/format.md §6.3)."""
    row = hub.database.execute(
        "SELECT body FROM record WHERE kind = 'no-room' AND site = ? AND box = ? ORDER BY seq DESC LIMIT 1",
        [site, box]).fetchone()
    told = json.loads(row[0]).get("packages") if row else None
    return [{"id": str(one.get("id")), "bytes": one["bytes"]} for one in told if isinstance(one, dict)
            and isinstance(one.get("bytes"), int)] if isinstance(told, list) else []


def _line_told(hub: Hub, site: str, box: str, policy: Policy) -> dict[str, Any] | None:
    """What the box said last of its line (docs/format.md §6.3); what is not as it must be is left out."""
    row = hub.database.execute(
        "SELECT r.body, s.ingested FROM record r JOIN segment s ON s.site = r.site AND s.box = r.box "
        "AND r.seq BETWEEN s.first_seq AND s.last_seq WHERE r.kind = 'line' AND r.site = ? AND r.box = ? "
        "ORDER BY r.seq DESC LIMIT 1", [site, box]).fetchone()
    if row is None:
        return None
    body = json.loads(row[0])
    rate, left = _count(body.get("rate")), _count(body.get("left"))
    ends: float | None = _count(body.get("finish"))
    state = body.get("state") if body.get("state") in get_args(Why) else None
    if ends is None and left and rate:
        ends = finish(policy, row[1], 0, left, rate)
    return {"state": state, "rate_bytes_per_s": rate, "left_bytes": left, "finish": ends, "at": row[1]}


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _recorded_problems(hub: Hub, site: str) -> list[dict[str, Any]]:
    rows = hub.database.execute("SELECT code, facts, since FROM problem WHERE site = ? ORDER BY since, code",
                                [site])
    return [_problem(code, json.loads(facts), since) for code, facts, since in rows]


def _found_problems(hub: Hub, site: Site, heard: float | None,
                    no_room: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems that are seen by looking."""
    if site.revoked is not None:
        return []
    found = []
    quiet_since = heard if heard is not None else site.created
    if hub.clock.now() - quiet_since > SILENT_AFTER_S:
        days = int((hub.clock.now() - quiet_since) // 86400)
        found.append(_problem("site-silent", {"site": site.site, "days": days}, quiet_since))
    if no_room:
        found.append(_problem("site-no-room", {
            "site": site.site, "packages": len(no_room), "package": no_room[0]["id"],
            "bytes": sum(one["bytes"] for one in no_room)}, heard or hub.clock.now()))
    found += _lost_records(hub, site)
    known = roots.roots(hub.layout, site.site)
    if known and not keys.root_key(hub.layout).is_file():
        root = Metadata[Root].from_bytes(known[max(known)]).signed
        if roots.ageing(root, hub_time(hub, site.site)):
            found.append(_problem("root-key-needed", {
                "site": site.site, "path": keys.root_key(hub.layout),
                "until": root.expires.date().isoformat()}, hub.clock.now()))
    return found


def _lost_records(hub: Hub, site: Site) -> list[dict[str, Any]]:
    """What boxes say this hub had confirmed and does not have: it was restored from a backup. Shown for a
    while, since nothing can bring it back."""
    rows = hub.database.execute(
        "SELECT r.body, s.ingested FROM record r JOIN segment s ON s.site = r.site AND s.box = r.box "
        "AND r.seq BETWEEN s.first_seq AND s.last_seq WHERE r.kind = 'box-renewed' AND r.site = ? "
        "AND json_extract(r.body, '$.lost_last') IS NOT NULL ORDER BY s.ingested", [site.site])
    return [_problem("records-lost", {"site": site.site, "box": told["before"], "first": told["lost_first"],
                                      "last": told["lost_last"]}, at)
            for told, at in ((json.loads(body), at) for body, at in rows)
            if hub.clock.now() - at < LOSS_SHOWN_S and {"before", "lost_first"} <= told.keys()]


def _problem(code: str, facts: dict[str, object], since: float) -> dict[str, Any]:
    if code not in TEXTS:  # written by a later version
        return {"code": code, "message": code, "advice": "", "facts": facts, "since": since}
    told: Any = TeachpointError(code, **facts).as_json()["error"]
    return {**told, "since": since}
