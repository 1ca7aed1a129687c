"""One whole sync, whatever the link: records up, the feed down, what is lacking, records up again.

    push records → fetch feed → believe → acknowledge, assign → manifests → objects, batch by batch,
    each verified and shown as it comes → push what happened meanwhile

Uploads go up beside all this where the transport has a second link for them, else after the records.

While objects come, it looks every LOOK_EVERY_S over the same connection whether anything else is wanted by
now (something more urgent, something no longer assigned): then what runs is interrupted, a new plan is made,
and what was interrupted goes on from its byte when its turn comes. Records go up at each such look. A sync
after one that was cut off first goes on with what had begun, and looks at once.

A sync may be cut off anywhere and at any time: what arrived stays in `staging`, what is verified in the
library, what is believed in `trusted`; the next sync goes on from there (docs/sync.md). One at a time for
each box, by the lock `run/sync.lock`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sync import plan as planning
from sync.box import contact, downloads, seeds, ssh_link, trusted
from sync.box.eviction import Eviction
from sync.box.journal import Journal
from sync.box.line import Line, take_policy
from sync.box.line_told import tell_line
from sync.box.outbox import Outbox
from sync.box.problems import clear_problem, set_problem
from sync.box.renew import forgotten, renew
from sync.box.room import room_left, tell_no_room
from sync.box.setting import read_setting
from sync.box.shelf import Shelf
from sync.box.state import BOX_ID, Box
from sync.box.timetable import take_timetable
from sync.box.uploading import Uploading
from sync.canonical import is_sha256
from sync.durable import disk_errors, make_folder, sweep_temporary
from sync.errors import Broken, NoRoom, Refused, TeachpointError, Unreachable
from sync.file_lock import HeldByAnother, exclusive
from sync.logs import log
from sync.reserve import keep_reserve
from sync.transport import Moved, Transport, Wanted, silent
from sync.trust import Believed, believe

#: Objects taken in together while a batch runs: so often at most is a folder flushed for few of them.
ADOPT_TOGETHER = 64
#: … or after so many seconds, so that a resource is shown soon after its last byte.
ADOPT_AFTER_S = 1.0
#: How often an object whose bytes are wrong or that the hub does not have is asked for in one sync.
MOST_TRIES = 2
#: How often it is looked, while objects come, whether the hub wants something else and records wait, in
#: seconds: 150 bytes over HTTPS, 4 KB over SSH (0.16 % of a line of 2 Mbit/s).
LOOK_EVERY_S = 10.0
#: How often it is looked, while only uploads go on, whether they may, in seconds.
UPLOADS_LOOK_S = 2.0
#: How often a feed that was copied while the hub wrote it is fetched again.
FEED_TRIES = 3

#: Told the bytes done so far and those to do in all, of objects.
Watch = Callable[[int, int], None]


def unwatched(_done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass
class SyncReport:
    """What a sync did (CONTRACT, `box sync --json`). `packages`: how many became whole; `objects`: how
    many came in; `records_up`: sent in segments; `records_down`: of ours that the hub newly confirmed;
    `left`: bytes still lacking; `news`: False where a carrier had no newer feed than the box knew; `held`:
    why the policy of the line lets lessons or uploads wait (`sync.policy.Why`), "" where it does not."""

    ok: bool
    transport: str
    received_bytes: int = 0
    sent_bytes: int = 0
    objects: int = 0
    packages: int = 0
    records_up: int = 0
    records_down: int = 0
    seconds: float = 0.0
    left: int = 0
    news: bool = True
    held: str = ""

    def as_json(self) -> dict[str, object]:
        """As CONTRACT names it."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def sync_once(box: Box, transport: Transport, watch: Watch = unwatched, *,
              anyway: bool = False) -> SyncReport:
    """One whole sync over an open link; the link is closed at its end. `anyway`: whatever the policy of the
    line says.

    Raises Unreachable, Refused (`feed-…`, `host-key-changed`, `key-refused`), Broken (`sync-running`, …) and
    NoRoom `disk-full` (all that fits was fetched); what was done until then stays done. The outcome is
    also kept for `box status`.
    """
    make_folder(box.layout.run, 0o700)
    try:
        with exclusive(box.layout.run / "sync.lock"), disk_errors(box.layout.data):
            return _Session(box, transport, watch, anyway=anyway).run()
    except HeldByAnother:
        raise Broken("sync-running", path=box.layout.data) from None


class _OtherPlan(Exception):
    """While objects came, the hub has said that the box shall have something else."""


class _Session:
    """A running sync."""

    def __init__(self, box: Box, transport: Transport, watch: Watch, *, anyway: bool) -> None:
        self._box, self._transport, self._watch = box, transport, watch
        self._line = Line(box, transport, anyway=anyway)
        self._journal = Journal(box.database, box.clock)
        box.box_id = read_setting(box.database, BOX_ID)  # another process may have renewed it
        self._outbox = self._new_outbox()
        self._shelf = Shelf(box.database, box.store, self._journal, box.clock)
        self._report = SyncReport(ok=False, transport=transport.name)
        self._moved = Moved()
        self._failed: dict[str, int] = {}
        self._done_bytes = self._total_bytes = 0
        self._looked = box.clock.monotonic()  # when the hub was last asked what it wants
        self._uploading: Uploading | None = None
        self._gave_up = False  # uploads found no way to the hub

    def run(self) -> SyncReport:
        began = self._box.clock.monotonic()
        log("box.sync").debug("sync-begun", transport=self._transport.name)
        try:
            with disk_errors(self._box.layout.data):
                self._steps()
        except TeachpointError as error:
            self._close()
            contact.note_failure(self._box.database, self._box.clock, error)
            log("box.sync").warning("sync-failed", code=error.code, left=self._report.left)
            raise
        except BaseException:
            self._close()
            raise
        self._close()
        self._report.seconds = self._box.clock.monotonic() - began
        self._report.ok, self._report.transport = True, self._transport.name
        contact.note_success(self._box.database)
        log("box.sync").info("synced", **self._report.as_json())
        return self._report

    def _steps(self) -> None:
        self._sweep()
        try:
            self._exchange()
        finally:
            if self._uploading is not None:
                self._uploading.stop()

    def _exchange(self) -> None:
        if self._staged() and not self._transport.carrier:
            self._looked = float("-inf")
            self._shelf.settle()
            self._fetch_objects()
        self._push()
        self._ask()
        self._fetch_manifests()
        self._shelf.settle()
        no_room = self._fetch_objects()
        self._push()
        no_room = self._finish_uploads() or no_room
        for code in ("disk-full", "budget-full"):
            if no_room is None or no_room.code != code:
                clear_problem(self._journal, code)
        if no_room is not None:
            set_problem(self._journal, no_room)
            raise no_room

    def _look_for_lost_history(self, believed: Believed) -> None:
        """A hub that was restored from a backup lacks what it had confirmed, and could never take in what
        follows on that: go on under a new name, and say which records are lost."""
        lost = forgotten(self._box, believed.acks)
        if lost is not None:
            set_problem(self._journal, Broken("hub-forgot", first=lost[0], last=lost[1]))
            renew(self._box, lost)
            self._outbox = self._new_outbox()
        elif self._box.box_id in believed.acks.boxes:
            clear_problem(self._journal, "hub-forgot")

    def _new_outbox(self) -> Outbox:
        box = self._box
        return Outbox(box.layout, box.database, self._journal, box.pairing, box.box_id, box.clock)

    def _sweep(self) -> None:
        layout = self._box.layout
        make_folder(layout.staging, 0o700)
        make_folder(layout.feed, 0o700)
        links = (layout.run / name for name in ("link", "https", "up"))  # a key lies there for a moment
        for folder in (layout.staging, layout.feed, layout.trusted, *links):
            sweep_temporary(folder)
        for folder in (layout.run, layout.run / "up"):
            ssh_link.sweep(folder)
        sweep_temporary(layout.run, deep=False)  # what lies deeper in it is the classroom server's
        self._box.store.sweep()
        self._outbox.sweep()
        keep_reserve(self._box.layout.data)

    def _close(self) -> None:
        try:
            self._moved += self._transport.close()
        finally:
            self._report.received_bytes = self._moved.received_bytes
            self._report.sent_bytes = self._moved.sent_bytes
            self._line.end(self._moved)

    # -- up -------------------------------------------------------------------------------------

    def _push(self) -> None:
        """Send the records that no segment holds yet, and what else waits, or begin with that."""
        uploads = self._push_records()
        if not uploads:  # they may have come through although the link broke
            clear_problem(self._journal, "uploads-wait")
        while not self._send_beside(uploads) and not self._send(uploads, bulk=True):
            if not self._line.decision().lessons:
                self._report.held = self._line.decision().why
                return

    def _send_beside(self, uploads: list[str]) -> bool:
        """Begin to send uploads over a link of their own; False where the transport has none."""
        link = self._transport.beside()
        if link is None:
            return False
        decision = self._line.decision()
        if not uploads or self._uploading is not None or self._gave_up or not decision.lessons:
            return True
        link.limit(self._line.bytes_per_s(decision))
        uploading = self._uploading = Uploading(link, self._box.layout.outbox, uploads)
        self._line.beside = lambda: uploading.sent_bytes
        return True

    def _finish_uploads(self) -> NoRoom | None:
        """Wait for uploads, and look meanwhile; lessons that are assigned now come beside them."""
        no_room = None
        while (uploading := self._uploading) is not None:
            while not uploading.ended(UPLOADS_LOOK_S):
                if not self._line.decision().lessons:
                    self._report.held = self._line.decision().why
                    uploading.stop()
                    break
                try:
                    self._look()
                except _OtherPlan:
                    self._fetch_manifests()
                    self._shelf.settle()
                    no_room = self._fetch_objects()
            self._uploading = None
            self._uploaded(uploading)
            self._send_beside(self._push_records())  # what was dropped in meanwhile
        return no_room

    def _uploaded(self, uploading: Uploading) -> None:
        """Note what became of uploads. That they found no way up is no failure of the sync."""
        try:
            moved, whole = uploading.result()
        except Unreachable as error:
            self._gave_up = True
            set_problem(self._journal, Unreachable("uploads-wait", hub=self._box.pairing.hub.name,
                                                   reason=error.facts.get("reason", error.code)))
            return
        self._moved += moved
        self._line.uploaded(moved)
        if whole:
            self._outbox.sent(uploading.paths)
            clear_problem(self._journal, "uploads-wait")

    def _push_records(self) -> list[str]:
        """Send the records that wait; the uploads that wait. A full disk stops no sync: what cannot be cut
        into a segment now waits in the journal."""
        try:
            tell_line(self._box, self._journal, self._shelf)
            self._outbox.cut()
        except NoRoom as error:
            set_problem(self._journal, error)
        paths = self._outbox.pending()
        segments = [path for path in paths if path.startswith("segments/")]
        self._send(segments, bulk=False)
        return paths[len(segments):]

    def _send(self, paths: list[str], *, bulk: bool) -> bool:
        """Send these; False where the policy cut that off."""
        if not paths:
            return True
        records = self._outbox.records_in(paths)
        moved = self._line.carry(
            lambda tell: self._transport.push_outbox(self._box.layout.outbox, paths, tell),
            silent, up=True, bulk=bulk)
        if moved is None:
            return False
        self._moved += moved
        self._outbox.sent(paths)
        self._report.records_up += records
        return True

    # -- down -----------------------------------------------------------------------------------

    def _ask(self) -> bool:
        """Ask the hub what it wants and take it over; True if the box shall have something else now."""
        believed = self._believe()
        self._looked = self._box.clock.monotonic()
        if believed is None:
            return False
        known = contact.hub_time(self._box.database) or 0
        contact.note_hub_time(self._journal, believed.trusted.time, old_news=self._transport.carrier)
        self._report.records_down += self._outbox.acknowledge(believed.acks)
        self._outbox.hear(believed.acks)
        # A stick may be older than what was known before the beliefs were lost: it proves nothing then.
        if not self._transport.carrier or believed.trusted.time > known:
            self._look_for_lost_history(believed)
        take_policy(self._journal, believed.desired)
        timetable_changed = take_timetable(self._journal, believed.desired)
        return self._shelf.assign(believed.desired) or timetable_changed

    def _look(self) -> None:
        """Called while objects come: send what records wait, ask the hub. Raises _OtherPlan."""
        if self._transport.carrier or self._box.clock.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._send_beside(self._push_records())
        if self._ask():
            raise _OtherPlan

    def _believe(self) -> Believed | None:
        """What the hub says now. None where a carrier brings no newer feed than the box knows (it was filled
        earlier, or for others): its objects serve all the same, since each is verified by its name."""
        layout, pairing = self._box.layout, self._box.pairing
        known = trusted.load(layout, pairing)
        carrier = self._transport.carrier and known.timestamp is not None
        for attempt in range(1, FEED_TRIES + 1):
            try:
                self._moved += self._line.carry(lambda _tell: self._transport.fetch_feed(layout.feed),
                                                silent, bulk=False) or Moved()
                believed = believe(pairing.site, known, trusted.read_feed(layout.feed))
            except Refused as error:
                if carrier and error.code in ("stick-without-feed", "feed-rollback"):
                    log("box.sync").info("carrier-without-news", code=error.code)
                    self._report.news = False
                    return None
                if error.code.startswith("stick-"):
                    raise
                # A copy made while the hub wrote is torn; the next one is whole.
                if error.code in ("feed-incomplete", "feed-mixed") and attempt < FEED_TRIES:
                    continue
                set_problem(self._journal, error)
                raise
            if believed.changed:
                trusted.save(layout, believed.trusted)
            self._clear_feed_problems()
            return believed
        raise AssertionError("the last attempt returns or raises")

    def _clear_feed_problems(self) -> None:
        rows = self._box.database.execute("SELECT code FROM problem WHERE code LIKE 'feed-%'").fetchall()
        for (code,) in rows:
            clear_problem(self._journal, code)

    def _fetch_manifests(self) -> None:
        for at_once in (True, False):
            while missing := self._shelf.manifests_missing(at_once=at_once):
                if self._fetch(missing, at_once=at_once):
                    break
                if not self._line.decision().lessons:
                    self._report.held = self._line.decision().why
                    return

    def _fetch_objects(self) -> NoRoom | None:
        """Fetch what is lacking, in the order of the plan; the error of what there is no room for."""
        while True:
            try:
                return self._fetch_planned()
            except _OtherPlan:
                log("box.sync").info("other-plan")
                self._fetch_manifests()
                self._shelf.settle()

    def _fetch_planned(self) -> NoRoom | None:
        """As `_fetch_objects`. Raises _OtherPlan."""
        while units := self._shelf.units():
            staged = self._staged()
            self._forget_unneeded(units, staged)
            given_up = [name for name, tries in self._failed.items() if tries >= MOST_TRIES]
            plan = planning.plan(self._allowed(units), staged, self._room(), without=given_up)
            self._report.left = planning.bytes_left(units, staged)
            if self._make_room(plan, staged):
                continue
            if not plan.batches:
                return self._told(plan, given_up, staged)
            self._total_bytes = self._done_bytes + plan.bytes
            for batch in plan.batches:
                if not self._fetch(batch.objects, at_once=batch.priority == planning.AT_ONCE,
                                   beside=self._look):
                    break
            self._report.left = planning.bytes_left(self._shelf.units(), self._staged())
        self._forget_unneeded([], self._staged())
        clear_problem(self._journal, "object-missing")
        tell_no_room(self._journal, (), {})
        self._report.left = 0
        return None

    def _make_room(self, plan: planning.Plan, staged: dict[str, int]) -> bool:
        """Let something go for the most urgent unit that has no room and for which that helps; True if
        anything went: then a new plan is due."""
        for unit in plan.left_out:
            lacking = planning.lacking_room(unit, plan, staged, self._room())
            if Eviction(self._box, self._shelf, unit.priority).free(lacking):
                self._shelf.settle()
                return True
        return False

    def _allowed(self, units: list[planning.Unit]) -> list[planning.Unit]:
        """Those that may come over the line now."""
        decision = self._line.decision()
        if decision.lessons:
            return units
        allowed = [unit for unit in units if unit.priority == planning.AT_ONCE]
        if len(allowed) < len(units):
            self._report.held = decision.why
        return allowed

    def _told(self, plan: planning.Plan, given_up: list[str], staged: dict[str, int]) -> NoRoom | None:
        if given_up:
            set_problem(self._journal, Refused("object-missing", sha256=given_up[0]))
        else:
            clear_problem(self._journal, "object-missing")
        tell_no_room(self._journal, plan.left_out, staged)
        if not plan.left_out:
            return None
        if room_left(self._box)[1]:
            return NoRoom("budget-full", package=plan.left_out[0].package, bytes=self._report.left)
        return NoRoom("disk-full", path=self._box.layout.library)

    def _fetch(self, objects: tuple[Wanted, ...] | list[Wanted], *, at_once: bool,
               beside: Callable[[], None] = lambda: None) -> bool:
        """Fetch these objects in one call of the transport; take in each soon after it has come. `beside` is
        called about twice a second meanwhile. False where the policy of the line cut that off."""
        arrived: list[str] = []
        last = self._box.clock.monotonic()
        before = self._done_bytes

        def come(name: str) -> None:
            nonlocal last
            arrived.append(name)
            now = self._box.clock.monotonic()
            if len(arrived) >= ADOPT_TOGETHER or now - last >= ADOPT_AFTER_S:
                self._take_in(arrived)
                last = self._box.clock.monotonic()

        def progress(done: int) -> None:
            self._watch(before + done, self._total_bytes)
            beside()

        staging = self._box.layout.staging
        # What came wrong as a difference, or not at all, is asked for whole.
        wanted = [replace(one, like="", pack="") if one.sha256 in self._failed else one for one in objects]
        try:
            moved = self._line.carry(
                lambda tell: self._transport.fetch_objects(wanted, staging, tell, come),
                progress, at_once=at_once)
        finally:
            self._take_in(arrived)
        if moved is None:
            return False
        self._moved += moved
        self._done_bytes = before + sum(one.size for one in objects)
        for one in objects:
            if not self._box.store.has(one.sha256):
                self._failed[one.sha256] = self._failed.get(one.sha256, 0) + 1
        return True

    def _take_in(self, arrived: list[str]) -> None:
        """Verify what has come, store it durably, then tell the catalogue. Wrong bytes are dropped."""
        if not arrived:
            return
        names, wrong = self._box.store.adopt(
            [(self._box.layout.staging / name, name) for name in arrived])
        arrived.clear()
        for file in wrong:
            log("box.sync").warning("wrong-bytes", sha256=file.name)
            file.unlink(missing_ok=True)
        self._report.objects += len(names)
        self._report.packages += self._shelf.stored(names)

    # -- staging and room -----------------------------------------------------------------------

    def _staged(self) -> dict[str, int]:
        """Bytes of each object that lie in staging."""
        return {path.name: path.stat().st_size for path in _objects(self._box.layout.staging)}

    def _forget_unneeded(self, units: list[planning.Unit], staged: dict[str, int]) -> None:
        """Drop partial bytes of what nothing needs any more, and what is whole by size but was wrong."""
        sizes = {wanted.sha256: wanted.size for unit in units for wanted in unit.lacks}
        seeds.forget(self._box.layout.staging, sizes)
        downloads.forget(self._box.layout.staging, sizes)
        for name in list(staged):
            if name not in sizes or staged[name] > sizes[name]:
                (self._box.layout.staging / name).unlink(missing_ok=True)
                del staged[name]

    def _room(self) -> planning.Room:
        return room_left(self._box)[0]


def _objects(staging: Path) -> Iterator[Path]:
    for path in staging.iterdir() if staging.is_dir() else ():
        if is_sha256(path.name) and path.is_file():
            yield path


@contextmanager
def noted(box: Box) -> Iterator[None]:
    """For what fails before a session begins (no link): keep the outcome for `box status` all the same."""
    try:
        yield
    except (Unreachable, Refused) as error:
        contact.note_failure(box.database, box.clock, error)
        raise
