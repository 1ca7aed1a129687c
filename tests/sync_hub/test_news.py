"""`news/<site>`: the feed as one file, beside the feed, whatever happens to either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync.clock import ManualClock
from sync.durable import write_file
from sync.hub.assign import assign
from sync.hub.feed import refresh_feeds, write_feed
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, rekey_site, renew_feed_key, revoke_site
from sync.news import parse
from sync.pairing import Pairing
from sync.trust import Believed, Trusted, believe, signed_time

SITE = "s1"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    made = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    made.clock = ManualClock(1_790_000_000)
    lesson = tmp_path / "课"
    lesson.mkdir()
    (lesson / "a.txt").write_text("甲", "utf-8")
    publish(made, lesson, id="lesson")
    return made


@pytest.fixture
def pairing(hub: Hub) -> Pairing:
    return add_site(hub, SITE, "一号")


def believed(hub: Hub, pairing: Pairing) -> Believed:
    """What a box that knows nothing but its pairing believes of the news alone."""
    path = hub.layout.news(SITE)
    found = believe(SITE, Trusted(pairing.trust.root.encode()), parse(path.read_bytes(), SITE))
    assert path.stat().st_mtime == timestamp(found), "so the ETag is another one for each feed"
    return found


def timestamp(found: Believed) -> int:
    return int(json.loads(found.trusted.timestamp or b"")["signed"]["version"])


def etag(hub: Hub) -> tuple[float, int]:
    found = hub.layout.news(SITE).stat()
    return found.st_mtime, found.st_size


def test_the_news_are_the_feed(hub: Hub, pairing: Pairing) -> None:
    assert believed(hub, pairing).desired.packages == []
    assign(hub, ["lesson"], [SITE])
    assert [one.id for one in believed(hub, pairing).desired.packages] == ["lesson"]
    before = etag(hub), hub.layout.news(SITE).stat().st_ino
    assert not write_feed(hub, SITE)
    assert (etag(hub), hub.layout.news(SITE).stat().st_ino) == before, "nothing new: nothing is written"


def test_each_feed_has_an_etag_of_its_own(hub: Hub, pairing: Pairing) -> None:
    seen = {etag(hub)}
    for day in range(1, 6):
        hub.clock.advance(86400 * 1.5)  # type: ignore[attr-defined]
        assert refresh_feeds(hub) == [SITE]
        seen.add(etag(hub))
        assert len(seen) == day + 1
    assert signed_time(believed(hub, pairing).trusted.timestamp or b"") == int(hub.clock.now())


def test_a_box_finds_what_it_needs_after_many_changes_and_no_more(hub: Hub, pairing: Pairing) -> None:
    for _ in range(5):
        renew_feed_key(hub, SITE)
        assign(hub, ["lesson"], [SITE], 3)
        assign(hub, ["lesson"], [SITE], 4)
    assert believed(hub, pairing).desired.packages[0].priority == 4
    files = parse(hub.layout.news(SITE).read_bytes(), SITE)
    assert len(files) == 6 + 1 + 1 + 1 + 2, "roots, timestamp, snapshot, targets, what they say"


@pytest.mark.parametrize("damage", [
    lambda path: path.unlink(), lambda path: path.write_bytes(b"x"), lambda path: path.touch(),
    lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_missing_or_damaged_or_old_news_are_made_again(hub: Hub, pairing: Pairing, damage) -> None:
    assign(hub, ["lesson"], [SITE])
    before = etag(hub)
    damage(hub.layout.news(SITE))
    assert write_feed(hub, SITE)
    assert etag(hub) == before
    assert believed(hub, pairing).desired.packages


def test_news_of_the_feed_before_are_made_good_by_the_next_write(hub: Hub, pairing: Pairing) -> None:
    """As after a power cut between feed and news."""
    path = hub.layout.news(SITE)
    old, mtime = path.read_bytes(), int(path.stat().st_mtime)
    assign(hub, ["lesson"], [SITE])
    write_file(path, old, mtime=mtime)
    assert believed(hub, pairing).desired.packages == []
    assert refresh_feeds(hub) == [SITE]
    assert believed(hub, pairing).desired.packages


def test_a_revoked_site_has_no_news_and_gets_none(hub: Hub, pairing: Pairing, tmp_path: Path) -> None:
    assign(hub, ["lesson"], [SITE])
    revoke_site(hub, SITE)
    assert not hub.layout.news(SITE).exists()
    (tmp_path / "课" / "b.txt").write_text("乙", "utf-8")
    assert publish(hub, tmp_path / "课", id="lesson").changed
    write_feed(hub, SITE)
    assert not hub.layout.news(SITE).exists()
    again = rekey_site(hub, SITE)
    assert believed(hub, again).desired.packages[0].version == 2
