"""The box keeps to its site's policy: hours, caps, budget, "now", and what a person may do all the same."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sync.box import commands, contact, line
from sync.box.journal import CLOCK_QUALITY, Journal
from sync.box.loop import JITTER, SyncLoop
from sync.box.outbox import Outbox
from sync.box.setting import write_setting
from sync.box.state import open_box
from sync.command_line import run
from sync.errors import Unreachable
from sync.hub import assign as assigning
from sync.hub import feed
from sync.hub.feed import refresh_feeds
from sync.policy import SLOW_BITS_PER_S, WEEK_MIN, Cap, Policy, read_times
from sync.transport import Arrived, Moved, Progress, Wanted, silent, unheard
from tests.sync_box.shelf_stage import SITE, Joined, Link, join

ZONE = dt.timezone(dt.timedelta(hours=8))
NIGHTS = Policy(hours=read_times("daily 18:00-06:00"))


@dataclass
class Line(Link):
    """The directory taken for a line: the policy holds for it. Notes how fast each call may be; `meanwhile`
    is called for each piece of an object that comes, as time would pass."""

    carrier = False
    limits: list[float | None] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def limit(self, bytes_per_s: float | None) -> None:
        self.limits.append(bytes_per_s)

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path, progress: Progress = silent,
                      arrived: Arrived = unheard) -> Moved:
        before = last = 0

        def tell(done: int) -> None:  # `Link` makes a call for each object
            nonlocal before, last
            before, last = before + (last if done <= last else 0), done
            self.meanwhile()
            progress(before + done)
        return super().fetch_objects(wanted, staging, tell, arrived)

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        self.pushed += paths
        return super().push_outbox(outbox, paths, progress)


@dataclass
class Site:
    """A pair, and the line between them."""

    joined: Joined

    def line(self, meanwhile: Callable[[], None] = lambda: None) -> Line:
        return Line(self.joined.hub.layout.data, SITE, meanwhile=meanwhile)

    def set_policy(self, policy: Policy) -> None:
        assigning.set_policy(self.joined.hub, SITE, policy)

    def at(self, hour: int, minute: int = 0, day: int = 25) -> None:
        """It is so late on a day of November 2026 at the site."""
        now = dt.datetime(2026, 11, day, hour, minute, tzinfo=ZONE).timestamp()
        clock = self.joined.clock
        if now >= clock.now():
            clock.advance(now - clock.now())  # a jump of days would not be signed with at once
        else:
            clock.set_wall(now)

    def used(self) -> int:
        database = self.joined.box.database
        return line.used_bytes(database, line.month(database, self.joined.clock, line.policy_of(database)))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(join(tmp_path))
    made.at(12)
    made.joined.lesson("课零", z="零")
    made.joined.sync(made.line())
    return made


def test_outside_the_hours_records_go_and_lessons_wait(site: Site) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    package = joined.lesson("课一", a="甲")
    Journal(joined.box.database, joined.clock).append("resource-opened", {"package": "p", "resource": "r"})
    (work := joined.place / "教案.txt").write_text("背诵", "utf-8")
    outbox = Outbox(joined.box.layout, joined.box.database, Journal(joined.box.database, joined.clock),
                    joined.box.pairing, joined.box.box_id, joined.clock)
    outbox.add_upload(work, name="教案.txt", title="教案")
    joined.sync(site.line())  # learns of the policy, and sends the upload before it does
    outbox.add_upload(work, name="再来.txt", title="再来")
    (other := joined.place / "二.txt").write_text("二", "utf-8")
    outbox.add_upload(other, name="二.txt", title="二")
    by_day = site.line()
    report = joined.sync(by_day)
    assert report.ok and report.held == "hours" and report.records_up > 0
    assert by_day.objects == [] and not any(path.startswith("objects/") for path in by_day.pushed)
    assert package not in joined.packages()
    site.at(18, 1)
    by_night = site.line()
    report = joined.sync(by_night)
    assert report.held == "" and joined.texts(package) == {"a": "甲"}
    assert any(not path.startswith("segments/") for path in by_night.pushed)


def test_a_stick_is_never_limited_and_not_counted(site: Site) -> None:
    site.set_policy(Policy(hours=NIGHTS.hours, month_bytes=1))
    site.joined.sync(site.line())
    before = site.used()
    package = site.joined.lesson("课一", a="甲")
    assert site.joined.sync(site.joined.link()).held == ""
    assert site.joined.texts(package) == {"a": "甲"} and site.used() == before


def test_now_comes_outside_the_hours_at_full_speed_and_nothing_else_does(site: Site) -> None:
    joined = site.joined
    site.set_policy(Policy(hours=NIGHTS.hours, caps=(Cap(times=((0, WEEK_MIN),), bits_per_s=64_000),)))
    urgent, other = joined.lesson("急", a="甲"), joined.lesson("课二", b="乙")
    assigning.assign(joined.hub, [urgent], [SITE], 0, at_once=True)
    by_day = site.line()
    report = joined.sync(by_day)
    assert joined.packages().keys() >= {urgent} and other not in joined.packages()
    assert report.held == "hours" and joined.texts(urgent) == {"a": "甲"}
    assert by_day.limits[-2:] != [] and None in by_day.limits[1:]
    joined.lesson("急", a="甲", b="新")
    joined.sync(site.line())
    assert joined.packages()[urgent] == (1, True), "a later version keeps to the policy"


def test_caps_hold_by_the_hour(site: Site) -> None:
    site.set_policy(Policy(caps=(Cap(times=read_times("daily 08:00-16:00"), bits_per_s=800_000),)))
    site.joined.sync(site.line())
    site.joined.lesson("课一", a="甲")
    by_day = site.line()
    site.joined.sync(by_day)
    assert set(by_day.limits) == {800_000 / 8 / (1 + line.OVERHEAD)}
    site.at(17)
    in_the_evening = site.line()
    site.joined.sync(in_the_evening)
    assert set(in_the_evening.limits) == {None}


def test_a_cap_that_begins_during_a_transfer_takes_effect_and_what_arrived_stays(site: Site) -> None:
    joined = site.joined
    site.set_policy(Policy(caps=(Cap(times=read_times("daily 13:00-16:00"), bits_per_s=800_000),)))
    joined.sync(site.line())
    package = joined.lesson("课一", a="大" * 400_000, b="小" * 300_000, c="中" * 350_000)
    site.at(12, 59)
    running = site.line(lambda: joined.clock.advance(20.0))
    joined.sync(running)
    assert running.limits[-1] == 800_000 / 8 / (1 + line.OVERHEAD) and None in running.limits
    assert len(joined.texts(package)) == 3
    assert site.used() < 3_150_000 * 1.2, "nothing was carried twice"


def test_hours_that_end_during_a_transfer_interrupt_it(site: Site) -> None:
    joined = site.joined
    site.set_policy(Policy(hours=read_times("daily 00:00-13:00")))
    joined.sync(site.line())
    package = joined.lesson("课一", a="大" * 400_000, b="小" * 300_000, c="中" * 350_000)
    site.at(12, 59)
    report = joined.sync(site.line(lambda: joined.clock.advance(40.0)))
    assert report.held == "hours" and report.left > 0 and len(joined.texts(package)) < 3
    site.at(9, day=26)
    assert joined.sync(site.line()).left == 0 and len(joined.texts(package)) == 3


def test_a_budget_is_kept_over_restarts_and_begins_anew_with_the_month(site: Site) -> None:
    joined = site.joined
    package = joined.lesson("课一", a="大" * 400_000)
    joined.sync(site.line())
    used = site.used()
    assert used > 1_200_000
    site.set_policy(Policy(month_bytes=used * 100 // 97))
    other = joined.lesson("课二", b="乙" * 1000)
    assert joined.sync(site.line()).held == "budget"
    assert package in joined.packages() and other not in joined.packages()
    assert site.used() > used, "the feed is counted, too"
    site.at(0, day=30)
    refresh_feeds(joined.hub)
    assert joined.sync(site.line()).held in ("budget", "spent")
    joined.clock.set_wall(dt.datetime(2026, 12, 1, 0, 1, tzinfo=ZONE).timestamp())
    refresh_feeds(joined.hub)
    assert joined.sync(site.line()).held == "" and other in joined.packages()


def test_a_transfer_ends_within_a_look_when_the_budget_does(site: Site) -> None:
    joined = site.joined
    site.set_policy(Policy(month_bytes=2_000_000))
    joined.sync(site.line())
    joined.lesson("课一", **{f"f{number}": str(number) * 700_000 for number in range(6)})
    report = joined.sync(site.line(lambda: joined.clock.advance(2.0)))
    assert report.held in ("budget", "spent") and report.left > 0
    assert site.used() < 2_000_000 + 2 * 1024 * 1024, "one piece of a file beyond, not all of it"


def test_bytes_are_written_down_during_a_transfer(site: Site) -> None:
    joined = site.joined
    joined.lesson("课一", **{f"f{number}": str(number) * 3_000_000 for number in range(5)})
    seen: list[int] = []

    def power_cut() -> None:
        joined.clock.advance(2.0)
        seen.append(line.used_bytes(open_box(joined.box.layout.data, joined.clock).database, "2026-11"))
        if len(seen) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        joined.sync(site.line(power_cut))
    # Eleven pieces of at least 900,000 bytes came before; NOTE_BYTES and a piece may not be written down.
    assert seen[-1] > 11 * 900_000 - line.NOTE_BYTES - 1024 * 1024
    assert len(set(seen)) > 2


def test_a_refused_policy_leaves_the_one_before_and_everything_else_goes_on(site: Site) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    joined.sync(site.line())
    joined.hub.database.execute("UPDATE policy SET policy = ?", [json.dumps({"format": "teachpoint-policy/1",
                                                                            "hours": [[5, 5]]})])
    joined.hub.database.conn.commit()
    real = assigning.site_policy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "as_plain", lambda _policy: {"format": "teachpoint-policy/9"})
        patch.setattr(feed, "site_policy", lambda *_a: NIGHTS)
        package = joined.lesson("课一", a="甲")
        report = joined.sync(site.line())
    assert report.ok and report.held == "hours" and "policy-bad" in joined.problems()
    assert line.policy_of(joined.box.database) == NIGHTS and package not in joined.packages()
    joined.hub.database.execute("DELETE FROM policy")
    joined.hub.database.conn.commit()
    assert real(joined.hub, SITE) == Policy()
    site.set_policy(Policy(month_bytes=10**9))
    joined.sync(site.line())
    assert "policy-bad" not in joined.problems() and package in joined.packages()


@pytest.mark.parametrize("quality", ["unknown", "wrong"])
def test_without_a_clock_all_comes_slowly_at_any_hour(site: Site, quality: str) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    joined.sync(site.line())
    package = joined.lesson("课一", a="甲")
    write_setting(joined.box.database, CLOCK_QUALITY, quality)
    joined.clock.set_wall(86400.0)
    joined.hub.clock = type(joined.clock)()
    joined.hub.clock.reboot(1_795_600_000)
    slow = site.line()
    assert joined.sync(slow).held == "" and package in joined.packages()
    assert set(slow.limits) == {SLOW_BITS_PER_S / 8 / (1 + line.OVERHEAD)}
    assert line.month(joined.box.database, joined.clock, NIGHTS) == "2026-11", "the hub's month"


def test_a_dead_battery_is_noticed_although_the_clock_was_good(site: Site) -> None:
    assert line.site_time(site.joined.box.database, site.joined.clock) is not None
    site.joined.clock.set_wall(0.0)
    assert line.site_time(site.joined.box.database, site.joined.clock) is None


# -- the loop and the command -------------------------------------------------------------------


def test_the_loop_asks_seldom_while_lessons_wait_and_begins_when_they_may(site: Site) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    loop = SyncLoop(joined.box.layout.data, lambda _box: site.line(), clock=joined.clock)
    wait_s = loop.turn(joined.box)
    assert line.QUIET_S <= wait_s <= line.QUIET_S * (1 + JITTER)
    assert contact.next_attempt(joined.box.database) == int(joined.clock.now() + wait_s)
    site.at(17, 58)
    assert 120.0 <= loop.turn(joined.box) <= 130.0 * (1 + JITTER)
    site.at(18, 0)
    assert loop.turn(joined.box) < 60
    assert contact.next_attempt(joined.box.database) == 0


def test_the_loop_tries_hard_for_what_must_come_now(site: Site) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    package = joined.lesson("急", a="甲", b="乙")
    assigning.assign(joined.hub, [package], [SITE], at_once=True)
    cut: list[int | None] = [1, None]

    def connect(_box: object) -> Line:
        made = site.line()
        made.cut_after = cut.pop(0)
        return made

    loop = SyncLoop(joined.box.layout.data, connect, knocks=lambda _: True, clock=joined.clock)
    assert loop.turn(joined.box) < 60, "cut off in the middle of it"
    loop.turn(joined.box)
    assert joined.packages()[package] == (1, True)


def test_a_spent_budget_leaves_one_exchange_a_day(site: Site) -> None:
    joined = site.joined
    site.set_policy(Policy(month_bytes=1))
    asked: list[int] = []

    def connect(_box: object) -> Line:
        asked.append(1)
        return site.line()

    loop = SyncLoop(joined.box.layout.data, connect, clock=joined.clock)
    wait_s = loop.turn(joined.box)
    assert wait_s >= line.SPENT_S and asked == [1]
    for _ in range(3):
        joined.clock.advance(60.0)
        assert loop.turn(joined.box) <= wait_s, "woken, it still waits"
    assert asked == [1]
    joined.clock.advance(wait_s)
    loop.turn(joined.box)
    assert asked == [1, 1]


def test_a_person_is_told_and_may_do_it_anyway(
        site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    joined = site.joined
    site.set_policy(NIGHTS)
    package = joined.lesson("课一", a="甲")
    monkeypatch.setattr(commands, "Https", lambda *_a: site.line())
    monkeypatch.setattr(commands, "open_box", lambda data: open_box(data, joined.clock))
    words = ["sync", "--once", "--data", str(joined.box.layout.data), "--json"]
    assert run(commands.box, words) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["held"] == "hours"
    error = json.loads(told.err.splitlines()[-1])["error"]
    assert error["code"] == "policy-hours" and error["facts"]["until"] == "2026-11-25 18:00"
    assert "--anyway" in error["advice"] and package not in joined.packages()
    assert run(commands.box, [*words, "--anyway"]) == 0
    assert json.loads(capsys.readouterr().out)["held"] == "" and package in joined.packages()
    site.set_policy(Policy(month_bytes=1))
    assert run(commands.box, words) == 0, "nothing waits"
    assert run(commands.box, words) == 3
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["error"]["code"] == "policy-budget"


def test_a_line_that_breaks_is_still_counted(site: Site) -> None:
    joined = site.joined
    before = site.used()
    joined.lesson("课一", a="大" * 300_000, b="小" * 300_000)
    broken = site.line(lambda: joined.clock.advance(2.0))
    broken.cut_after = 2
    with pytest.raises(Unreachable):
        joined.sync(broken)
    assert site.used() > before
