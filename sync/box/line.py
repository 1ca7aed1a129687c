"""The line of this box: what the policy lets it carry now, what it has carried this month, how fast it is.

The rules are docs/format.md §5.3; `sync.policy` decides, this keeps the facts it decides by. A session
carries everything through a `Line`, which sets the rate, counts the bytes, and cuts off what may not go on.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from sync.box import contact
from sync.box.journal import Journal
from sync.box.problems import clear_problem, set_problem
from sync.box.setting import read_setting, write_setting
from sync.box.state import Box
from sync.box.wall_clock import site_time
from sync.canonical import canonical
from sync.clock import Clock
from sync.database import transaction
from sync.desired import Desired
from sync.errors import Refused, TeachpointError
from sync.logs import log
from sync.policy import (
    Decision,
    Policy,
    as_plain,
    decide,
    facts,
    finish,
    local_words,
    month_of,
    parse_policy,
)
from sync.transport import Moved, Progress, Transport

#: Settings: the policy taken over last, as in the feed; the measured rate in bytes of content per second.
POLICY, RATE = "policy", "line_rate"
#: Between two exchanges of records and feed while lessons wait, and when the month's budget is used up, in
#: seconds; such an exchange costs about 4 KB.
QUIET_S, SPENT_S = 900.0, 86400.0
#: Written down during a transfer at least this often, in bytes: what a power cut can leave uncounted.
NOTE_BYTES = 4 * 1024 * 1024
#: How often a transfer looks whether it may go on like this, in seconds.
LOOK_S = 1.0
#: The rate is measured over at least so many seconds and bytes; less is round trips, not the line.
MEASURE_S, MEASURE_BYTES = 2.0, 256 * 1024
#: A measurement this long, in seconds, counts as much as all that was measured before.
MEASURED_LONG_S = 30.0
#: A transfer that comes this close to its cap says nothing about how slow the line is.
NEAR_CAP = 0.8
#: What ssh, TCP and IP add to rsync's bytes, as a share: a cap holds for the line, not for rsync.
OVERHEAD = 0.05

#: What the line carries: records with acknowledgements and the feed; lessons; teachers' files.
CLASSES = ("records", "lessons", "uploads")

_FREE = Decision("open", None)


def take_policy(journal: Journal, desired: Desired) -> None:
    """Take over the policy of a believed feed; one that is refused leaves the one before in force and becomes
    the problem `policy-bad`."""
    try:
        policy = parse_policy(desired.policy)
    except Refused as error:
        set_problem(journal, error)
        return
    write_setting(journal.database, POLICY, canonical(as_plain(policy)).decode())
    clear_problem(journal, "policy-bad")


def policy_of(database: Database) -> Policy:
    """The policy taken over last."""
    return parse_policy(msgspec.json.decode(read_setting(database, POLICY, "{}")))


def month(database: Database, clock: Clock, policy: Policy) -> str:
    """The month that is counted now: by the hub's newest signed time where the clock can't be believed."""
    now = site_time(database, clock)
    return month_of(policy, now if now is not None else float(contact.hub_time(database) or 0))


def used_bytes(database: Database, of_month: str) -> int:
    """What the line has carried in a month, both directions together."""
    row = database.execute("SELECT received_bytes + sent_bytes FROM usage WHERE month = ?",
                           [of_month]).fetchone()
    return max(int(row[0]), 0) if row else 0


def decision(box: Box, unnoted_bytes: int = 0) -> Decision:
    """What may move over the line now; `unnoted_bytes` were carried beyond what box.db tells of."""
    policy = policy_of(box.database)
    used = used_bytes(box.database, month(box.database, box.clock, policy))
    return decide(policy, site_time(box.database, box.clock), used + unnoted_bytes)


def carried(database: Database) -> dict[str, int]:
    """Bytes that the line has carried, ever, by class, both directions together."""
    return dict.fromkeys(CLASSES, 0) | dict(database.execute("SELECT class, bytes FROM carried").fetchall())


def rate(database: Database) -> float | None:
    """Bytes of lessons a second, as measured lately; None where nothing was measured yet."""
    text = read_setting(database, RATE)
    return float(json.loads(text)) if text else None


def pause_s(box: Box) -> float:
    """How long the loop waits between two exchanges while lessons and uploads must wait, in seconds; 0 while
    they may move. It ends when the policy's hours begin."""
    now = decision(box)
    if now.lessons:
        return 0.0
    at_once = box.database.execute(
        "SELECT 1 FROM assigned LEFT JOIN package ON package.id = assigned.package "
        "AND package.manifest = assigned.manifest WHERE assigned.now = 1 "
        "AND coalesce(package.complete, 0) = 0 LIMIT 1").fetchone()
    if at_once is not None and now.records:
        return 0.0
    pause = QUIET_S if now.records else SPENT_S
    return pause if now.opens is None else min(pause, max(now.opens - box.clock.now(), 0.0) + 1.0)


def refusal(box: Box) -> Refused:
    """What a person is told who asks for what must wait now: `policy-hours` or `policy-budget`."""
    now, policy = decision(box), policy_of(box.database)
    until = local_words(policy, now.opens) if now.opens is not None else "?"
    if now.why in ("budget", "spent"):
        return Refused("policy-budget", limit=f"{(policy.month_bytes or 0) / 1e9:g} GB", until=until)
    return Refused("policy-hours", until=until)


def line_status(box: Box, lessons_left: int) -> dict[str, Any]:
    """The line for `box status` (docs/api.md). `lessons_left`: bytes of lessons not whole yet; what of them
    lies in staging already is taken off. Times in seconds since 1970 by the box's clock."""
    database, clock = box.database, box.clock
    policy, now, measured = policy_of(database), site_time(database, clock), rate(database)
    counted = month(database, clock, policy)
    used = used_bytes(database, counted)
    current = decide(policy, now, used)
    left = max(lessons_left - _bytes_below(box.layout.staging, "*"), 0)
    uploads = database.execute("SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT sha256, size FROM upload "
                               "WHERE acknowledged = 0)").fetchone()[0]
    return {
        "policy": facts(policy), "state": current.why, "bits_per_s": current.bits_per_s,
        "until": current.until, "opens": current.opens, "rate_bytes_per_s": measured,
        "left": {"records": _bytes_below(box.layout.outbox, "segments/*/*"), "lessons": left,
                 "uploads": uploads},
        "finish": finish(policy, now, used, left, measured) if left and measured else None,
        "carried": carried(database), "month": counted, "month_used_bytes": used,
        "next_attempt": contact.next_attempt(database),
        "utc_offset_min": policy.utc_offset_min}


def _bytes_below(folder: Path, pattern: str) -> int:
    total = 0
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # a sync moves it away meanwhile
            total += path.stat().st_size
    return total


class _Turned(Exception):
    """The policy wants something else now than when the call began."""


class Line:
    """A transport as the policy lets a session use it. `anyway`: a person wants it, whatever the policy."""

    def __init__(self, box: Box, transport: Transport, *, anyway: bool = False) -> None:
        self._box, self._transport = box, transport
        self._free = anyway or transport.carrier
        self._total = Moved()   # by calls that ended, and what was seen to move in those cut off
        self._noted = Moved()   # what of that is in box.db
        #: Bytes that uploads beside the calls have sent so far.
        self.beside: Callable[[], int] = lambda: 0
        self._by_class = Counter[str]()        # as _total
        self._by_class_noted = Counter[str]()  # as _noted

    def decision(self) -> Decision:
        """What may move now."""
        if self._free:
            return _FREE
        self._note(self._all)
        return decision(self._box)

    @staticmethod
    def bytes_per_s(now: Decision) -> float | None:
        """The rate for a transport under a decision: a cap holds for the line, not for what rsync counts."""
        return None if now.bits_per_s is None else now.bits_per_s / 8 / (1 + OVERHEAD)

    def uploaded(self, moved: Moved) -> None:
        """Uploads beside the calls have ended."""
        self.beside = lambda: 0
        self._total += moved
        self._by_class["uploads"] += moved.sent_bytes

    @property
    def _all(self) -> Moved:
        return self._total + Moved(sent_bytes=self.beside())

    def carry(self, call: Callable[[Progress], Moved], tell: Progress, *, up: bool = False,
              bulk: bool = True, at_once: bool = False) -> Moved | None:
        """Make a call of the transport at the rate the policy allows; None where it was cut off because the
        policy wants something else by now (what has arrived stays).

        `bulk`: lessons and uploads, not records; `at_once`: whatever the policy; `up`: what progress counts
        goes up.
        """
        clock = self._box.clock
        began_with = _FREE if at_once else self.decision()
        if bulk and not began_with.lessons:
            return None
        if not self._transport.carrier:
            self._transport.limit(self.bytes_per_s(began_with))
        kind = "records" if not bulk else "uploads" if up else "lessons"
        before, of_kind, began = self._total, self._by_class[kind], clock.monotonic()
        looked = measured = began
        done = measured_bytes = 0

        def progress(bytes_done: int) -> None:
            nonlocal done, looked, measured, measured_bytes
            done = bytes_done
            tell(done)
            now = clock.monotonic()
            if now - looked < LOOK_S:
                return
            looked = now
            self._total = before + (Moved(0, done) if up else Moved(done, 0))
            self._by_class[kind] = of_kind + done
            if now - measured >= MEASURED_LONG_S and not up:
                self._measure(done - measured_bytes, now - measured, began_with)
                measured, measured_bytes = now, done
            if self._transport.carrier:
                return
            self._note(self._all, NOTE_BYTES)
            if bulk and not at_once and not self._free and self._differs(began_with):
                raise _Turned

        try:
            moved = call(progress)
        except _Turned:
            return None
        finally:
            self._total = before + (Moved(0, done) if up else Moved(done, 0))
            self._by_class[kind] = of_kind + done
            if bulk and not up:
                self._measure(done - measured_bytes, clock.monotonic() - measured, began_with)
        self._total = before + moved
        self._by_class[kind] = of_kind + self._bytes(moved)
        return moved

    def end(self, moved: Moved) -> None:
        """The session is over; `moved` is what the line carried in all. Never raises: why the session ended
        is more important."""
        try:
            self._note(moved)
        except TeachpointError as error:
            log("box.line").warning("bytes-not-counted", code=error.code)

    def _differs(self, began_with: Decision) -> bool:
        now = decision(self._box, self._bytes(self._all) - self._bytes(self._noted))
        return (now.lessons, now.bits_per_s) != (began_with.lessons, began_with.bits_per_s)

    def _note(self, total: Moved, least: int = 1) -> None:
        """Write down what has moved beyond what is in box.db, if that is `least` bytes. What was seen during
        a call is of content, which may be more than its compressed bytes: then the number goes back."""
        received = total.received_bytes - self._noted.received_bytes
        sent = total.sent_bytes - self._noted.sent_bytes
        if abs(received + sent) < least or self._transport.carrier:
            return
        database = self._box.database
        counted = month(database, self._box.clock, policy_of(database))
        with transaction(database):
            database.execute(
                "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT (month) DO UPDATE SET "
                "received_bytes = received_bytes + excluded.received_bytes, "
                "sent_bytes = sent_bytes + excluded.sent_bytes", [counted, received, sent])
            for kind, carried_bytes in self._by_class.items():
                fresh = carried_bytes - self._by_class_noted[kind]
                database.execute("INSERT INTO carried VALUES (?, ?) ON CONFLICT (class) DO UPDATE SET "
                                 "bytes = bytes + excluded.bytes", [kind, fresh])
        self._noted, self._by_class_noted = total, self._by_class.copy()

    def _measure(self, content_bytes: int, seconds: float, began_with: Decision) -> None:
        if seconds < MEASURE_S or content_bytes < MEASURE_BYTES or self._transport.carrier:
            return
        new, known = content_bytes / seconds, rate(self._box.database)
        if known is not None:
            new = known + (new - known) * min(seconds / MEASURED_LONG_S, 1) / 2
            cap = began_with.bits_per_s
            if cap is not None and content_bytes / seconds >= NEAR_CAP * cap / 8:
                new = max(known, new)
        write_setting(self._box.database, RATE, f"{new:.0f}")

    @staticmethod
    def _bytes(moved: Moved) -> int:
        return moved.received_bytes + moved.sent_bytes
