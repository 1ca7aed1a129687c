"""A site's policy at the hub: set, shown, and told in the feed; "now" for one package's version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync.command_line import run
from sync.errors import Refused
from sync.hub.assign import assign, set_policy
from sync.hub.commands import hub as hub_command
from sync.hub.console import create_console
from sync.hub.feed import site_policy, write_feed
from sync.hub.publish import publish
from sync.hub.settings import open_hub
from sync.hub.status import hub_status
from sync.policy import NO_POLICY, Policy, as_plain, parse_policy, read_times
from sync.trust import Trusted, believe
from tests.sync_box.shelf_stage import SITE, Joined, join


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return join(tmp_path)


def told(joined: Joined) -> Any:
    """`desired.json` as a box that knows only the root reads it."""
    feed = joined.hub.layout.feed(SITE)
    files = {path.name: path.read_bytes() for path in feed.iterdir()}
    root = max(int(name.split(".")[0]) for name in files if name.endswith(".root.json"))
    return believe(SITE, Trusted(files[f"{root}.root.json"]), files).desired


def policy_command(joined: Joined, *words: str) -> int:
    return run(hub_command, ["policy", SITE, *words, "--data", str(joined.hub.layout.data)])


def shown(joined: Joined, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert policy_command(joined, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)["policy"]


def test_a_policy_is_in_the_feed_and_taken_away_again(joined: Joined) -> None:
    policy = Policy(hours=read_times("mon-fri 18:00-06:00"), month_bytes=2 * 10**9)
    assert told(joined).policy == {}
    assert set_policy(joined.hub, SITE, policy) and not set_policy(joined.hub, SITE, policy)
    assert parse_policy(told(joined).policy) == policy == site_policy(joined.hub, SITE)
    assert not write_feed(joined.hub, SITE), "nothing new, nothing written"
    assert set_policy(joined.hub, SITE, NO_POLICY)
    assert told(joined).policy == {}


def test_options_change_what_they_name_and_leave_the_rest(
        joined: Joined, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(joined, capsys) is None
    shown(joined, capsys, "--hours", "mon-fri 18:00-06:00", "--hours", "sat,sun 00:00-24:00",
          "--budget", "2G", "--utc-offset", "+05:45")
    found = shown(joined, capsys, "--class-hours", "mon-fri 08:00-16:30", "--class-rate", "256k",
                  "--cap", "1M", "--cap", "512k mon 08:00-09:00")
    assert found == {
        "utc_offset_min": 345, "month_bytes": 2 * 10**9, "class_bits_per_s": 256_000,
        "hours": [{"days": [0, 1, 2, 3], "from": "18:00", "to": "06:00"},
                  {"days": [4], "from": "18:00", "to": "24:00"},
                  {"days": [5, 6], "from": "00:00", "to": "24:00"}],
        "caps": [{"days": list(range(7)), "from": "00:00", "to": "24:00", "bits_per_s": 1_000_000},
                 {"days": [0], "from": "08:00", "to": "09:00", "bits_per_s": 512_000}],
        "class_hours": [{"days": [0, 1, 2, 3, 4], "from": "08:00", "to": "16:30"}]}
    assert policy_command(joined) == 0
    words = capsys.readouterr().out
    for expected in ("only Mon-Thu 18:00-06:00", "at most 1 Mbit/s at all times",
                     "class hours Mon-Fri 08:00-16:30: at most 256 kbit/s", "2 GB in a month", "UTC+05:45"):
        assert expected in words
    left = shown(joined, capsys, "--hours", "always", "--cap", "none", "--class-hours", "none",
                 "--budget", "none")
    assert left is not None and (left["hours"], left["caps"], left["class_hours"]) == ([], [], [])
    assert shown(joined, capsys, "--clear") is None


@pytest.mark.parametrize(("words", "code"), [
    (["--hours", "sometimes"], "policy-times-bad"), (["--cap", "5"], "policy-amount-bad"),
    (["--cap", "0"], "policy-amount-bad"), (["--cap", "1M mon"], "policy-times-bad"),
    (["--class-rate", "fast"], "policy-amount-bad"), (["--budget", "0"], "policy-amount-bad"),
    (["--utc-offset", "Beijing"], "policy-times-bad"), (["--clear", "--budget", "1G"], "usage")])
def test_nonsense_is_wrong_usage_and_changes_nothing(
        joined: Joined, capsys: pytest.CaptureFixture[str], words: list[str], code: str) -> None:
    assert policy_command(joined, *words, "--json") == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == code
    assert site_policy(joined.hub, SITE) == NO_POLICY


def test_a_site_that_is_not_there_has_no_policy(joined: Joined, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(joined.hub.layout.data)
    assert run(hub_command, ["policy", "nowhere", "--budget", "1G", "--data", data, "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "site-unknown"
    with pytest.raises(Refused):
        set_policy(joined.hub, SITE, Policy(class_bits_per_s=1))


def test_now_holds_for_the_version_of_that_day(joined: Joined) -> None:
    package = joined.lesson("课一", a="甲")
    assert b'"now"' not in (joined.hub.layout.feed(SITE) / "timestamp.json").read_bytes()
    assert [one.now for one in told(joined).packages] != [True]
    done = assign(joined.hub, [package], [SITE], 5, at_once=True)
    assert done[0].changed and [one.now for one in told(joined).packages] == [True]
    assert not assign(joined.hub, [package], [SITE], 5, at_once=True)[0].changed
    folder = joined.place / "lessons" / "课一"
    (folder / "b.txt").write_text("乙", "utf-8")
    publish(joined.hub, folder)
    assert [(one.version, one.now is True) for one in told(joined).packages] == [(2, False)]
    assert as_plain(site_policy(open_hub(joined.hub.layout.data), SITE)) == {}


def test_the_hub_tells_the_policy_and_what_it_lets_happen_now(
        joined: Joined, capsys: pytest.CaptureFixture[str]) -> None:
    joined.lesson("课一", a="甲")
    assert hub_status(joined.hub, SITE)[0]["policy"] is None
    joined.clock.set_wall(1_795_579_200.0)  # 2026-11-25 12:00 at the site
    set_policy(joined.hub, SITE, Policy(hours=read_times("daily 18:00-06:00"), month_bytes=2 * 10**9))
    told = hub_status(joined.hub, SITE)[0]
    assert told["line"] == {"state": "hours", "opens": 1_795_579_200.0 + 6 * 3600, "told": None}
    client = create_console(joined.hub).test_client()
    for language, words in (("en", ["kept free until 18:00", "daily 18:00–06:00", "2 GB in a month"]),
                            ("zh-CN", ["18:00 之前线路留作他用", "每天 18:00–06:00", "每月最多 2 GB"])):
        text = " ".join(client.get("/", headers={"Accept-Language": language}).get_data(as_text=True).split())
        assert [word for word in words if word not in text] == []
    assert run(hub_command, ["status", SITE, "--data", str(joined.hub.layout.data)]) == 0
    assert "policy: lessons and uploads only daily 18:00-06:00" in capsys.readouterr().out
