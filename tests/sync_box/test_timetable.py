"""The timetable at the box: the hub's or its own; what it needs comes first and is never given up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync.box import commands
from sync.box.journal import Journal
from sync.box.room import set_disk_budget
from sync.box.shelf import Shelf
from sync.box.state import open_box
from sync.box.status import box_status
from sync.box.timetable import needed, set_own_timetable, timetable_of
from sync.command_line import run
from sync.errors import NoRoom
from sync.hub import assign as assigning
from sync.hub import feed
from sync.hub.assign import assign, set_timetable
from sync.hub.commands import hub as hub_command
from sync.hub.console import create_console
from sync.hub.status import hub_status
from sync.plan import NOT_DUE
from sync.timetable import NO_TIMETABLE, Timetable, in_words, read_file
from tests.sync_box.shelf_stage import SITE, Joined, join

#: The stage's clock: Monday 2026-09-21, 22:13 at the site.
WEEK = "tue,08:00-08:40,三年级,语文\nwed,08:00-08:40,三年级,语文\ntue,09:00-09:40,四年级,数学\n"
#: Letters in a lesson of these tests; the objects beside it come on top.
LETTERS = 40_000


def week(text: str = WEEK) -> Timetable:
    return read_file(text.encode(), "week.csv")


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tmp_path)


def lesson(joined: Joined, grade: str, subject: str, name: str, size: int, priority: int = 5) -> str:
    package = joined.lesson(f"人教版/{grade}上册/{subject}/{name}", a=name[-1] * size)
    assign(joined.hub, [package], [SITE], priority)
    return package


def reopened(joined: Joined) -> Journal:
    joined.box = open_box(joined.box.layout.data, joined.clock)
    return Journal(joined.box.database, joined.clock)


def opened(joined: Joined, package: str) -> None:
    note = {"package": package, "version": 1, "resource": "a", "name": "a"}
    reopened(joined).append("resource-opened", note)


def order_of_coming(joined: Joined) -> list[str]:
    """Packages in the order in which their first lesson file comes, over a fresh link."""
    link = joined.link()
    joined.sync(link)
    names = dict(joined.box.database.execute("SELECT sha256, package FROM file").fetchall())
    return list(dict.fromkeys(names[one] for one in link.objects if one in names))


def test_what_the_next_days_need_comes_first_within_its_priority(joined: Joined) -> None:
    small = lesson(joined, "一年级", "音乐", "第01课 甲", 10)
    third = lesson(joined, "三年级", "语文", "第03课 丙", 20)
    second = lesson(joined, "三年级", "语文", "第02课 乙", 5000)
    first = lesson(joined, "三年级", "语文", "第01课 丁", 9000)
    maths = lesson(joined, "4年级", "数学", "第01课 戊", 7000)
    urgent = lesson(joined, "六年级", "英语", "第01课 己", 9500, priority=9)
    set_timetable(joined.hub, SITE, week())
    assert order_of_coming(joined) == [urgent, first, maths, second, small, third]


def test_without_a_timetable_the_smallest_comes_first(joined: Joined) -> None:
    large = lesson(joined, "三年级", "语文", "第01课 丁", 9000)
    small = lesson(joined, "三年级", "语文", "第02课 乙", 50)
    assert order_of_coming(joined) == [small, large]
    assert needed(joined.box.database, joined.clock) == {}


def test_what_was_opened_moves_the_need_on(joined: Joined) -> None:
    lessons = [lesson(joined, "三年级", "语文", f"第0{n}课 {n}", 50) for n in (1, 2, 3, 4)]
    set_timetable(joined.hub, SITE, week())
    joined.sync()
    hours = 3600 * 9 + 46 * 60  # from 22:13:20 to 08:00, by whole minutes
    assert {package: seconds // 3600 for package, seconds in needed(
        joined.box.database, joined.clock).items()} == {lessons[0]: 9, lessons[1]: 33}
    opened(joined, lessons[1])
    found = needed(joined.box.database, joined.clock)
    assert found.keys() == set(lessons[1:]) and found[lessons[2]] - hours in range(-60, 121)
    shelf = Shelf(joined.box.database, joined.box.store, Journal(joined.box.database, joined.clock),
                  joined.clock)
    joined.box.store.path(joined.box.database.execute(
        "SELECT sha256 FROM file WHERE package = ?", [lessons[2]]).fetchone()[0]).unlink()
    shelf.lost([name for (name,) in joined.box.database.execute(
        "SELECT sha256 FROM file WHERE package = ?", [lessons[2]])])
    shelf.settle()
    [unit] = shelf.units()
    assert unit.package == lessons[2] and unit.due == found[lessons[2]] < NOT_DUE


def test_what_the_timetable_needs_is_never_given_up(joined: Joined) -> None:
    dear = lesson(joined, "三年级", "语文", "第01课 甲", LETTERS, priority=1)
    cheap = lesson(joined, "一年级", "音乐", "第01课 乙", LETTERS, priority=4)
    unassigned = lesson(joined, "四年级", "数学", "第01课 丙", LETTERS)
    set_timetable(joined.hub, SITE, week())
    joined.sync()
    joined.unassign(unassigned)
    journal = reopened(joined)
    set_disk_budget(journal.database, joined.box.store.size_bytes() + LETTERS)
    urgent = lesson(joined, "六年级", "英语", "第01课 丁", LETTERS, priority=9)
    with pytest.raises(NoRoom) as caught:
        joined.sync()
    assert caught.value.facts["package"] == cheap
    whole = {id_ for id_, (_, complete) in joined.packages().items() if complete}
    assert whole == {dear, unassigned, urgent}
    assert all(joined.texts(package) for package in whole)


def test_the_own_timetable_goes_before_the_hubs_until_it_is_taken_away(joined: Joined) -> None:
    assert timetable_of(joined.box.database) == (NO_TIMETABLE, "")
    set_timetable(joined.hub, SITE, week())
    joined.sync()
    assert timetable_of(joined.box.database) == (week(), "hub")
    own = week("fri,10:00-10:40,三年级,美术")
    assert set_own_timetable(reopened(joined), own)
    assert not set_own_timetable(reopened(joined), own)
    set_timetable(joined.hub, SITE, NO_TIMETABLE)
    joined.sync()
    assert timetable_of(joined.box.database) == (own, "box")
    assert box_status(joined.box)["timetable"] == {"source": "box", "periods": [
        {"day": 4, "from": "10:00", "to": "10:40", "grades": ["三年级"], "subject": "美术"}]}
    joined.ingest()
    rows = joined.hub.database.execute("SELECT body FROM record WHERE kind = 'timetable'").fetchall()
    assert [json.loads(body) for (body,) in rows] == [{"periods": 1}]
    assert set_own_timetable(reopened(joined), NO_TIMETABLE)
    assert timetable_of(joined.box.database) == (NO_TIMETABLE, "")


def test_a_timetable_that_is_refused_leaves_the_one_before(joined: Joined,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    set_timetable(joined.hub, SITE, week())
    joined.sync()
    with monkeypatch.context() as patched:
        patched.setattr(feed, "timetable_plain", lambda _: {"format": "teachpoint-timetable/9"})
        feed.write_feed(joined.hub, SITE)
    joined.sync()
    assert timetable_of(joined.box.database) == (week(), "hub") and joined.problems() == {"timetable-bad"}
    feed.write_feed(joined.hub, SITE)
    joined.sync()
    assert joined.problems() == set()


def test_the_commands_set_show_and_take_away(joined: Joined, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "week.csv"
    file.write_text(WEEK, "utf-8")
    for group, arguments, data in ((hub_command, [SITE], joined.hub.layout.data),
                                   (commands.box, [], joined.box.layout.data)):
        call = ["timetable", *arguments, "--data", str(data)]
        assert run(group, call) == 0 and "no timetable" in capsys.readouterr().out
        assert run(group, [*call, "--from", str(file), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["periods"]) == 3
        assert run(group, call) == 0
        assert set(in_words(week())) < set(capsys.readouterr().out.splitlines()) | {""}
        bad = tmp_path / "bad.csv"
        bad.write_text("mon,noon,三年级,语文", "utf-8")
        assert run(group, [*call, "--from", str(bad), "--json"]) == 2
        assert json.loads(capsys.readouterr().err)["error"]["code"] == "timetable-row-bad"
        assert run(group, [*call, "--from", str(file), "--clear"]) == 2
        assert run(group, call) == 0 and "08:00-08:40" in capsys.readouterr().out
        assert run(group, [*call, "--clear"]) == 0 and "no timetable" in capsys.readouterr().out
    assert run(hub_command, ["timetable", "nowhere", "--data", str(joined.hub.layout.data)]) == 3


def test_the_hub_shows_it(joined: Joined) -> None:
    assigning.set_timetable(joined.hub, SITE, week())
    told = hub_status(joined.hub, SITE)[0]["timetable"]
    assert [one["subject"] for one in told] == ["语文", "数学", "语文"]
    client = create_console(joined.hub).test_client()
    for language, words in (("en", "Timetable"), ("zh-CN", "课程表")):
        page = client.get("/", headers={"Accept-Language": language}).get_data(as_text=True)
        assert words in page and "08:00–08:40" in page and "四年级" in page
