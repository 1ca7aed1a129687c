"""A bit of the hub's feed files turns: the next writing mends it, and no box is told anything false."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sync.box.trusted import read_feed
from sync.clock import ManualClock
from sync.hub.assign import assign, unassign
from sync.hub.feed import write_feed
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site
from sync.trust import TIMESTAMP_NAME, Trusted, believe

SITE = "s1"
TURNS = 400


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    return open_hub(tmp_path / "hub", ManualClock())


def turn_bit(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_a_turned_bit_is_mended_and_believed_by_nobody(hub: Hub, tmp_path: Path) -> None:
    trusted = Trusted(add_site(hub, SITE, "一号").trust.root.encode())
    lesson = tmp_path / "课文.txt"
    lesson.write_text("早晨", "utf-8")
    package = publish(hub, lesson).id
    chance = random.Random(1)
    folder = hub.layout.feed(SITE)
    for number in range(TURNS):
        if number % 3 == 0:
            assign(hub, [package], [SITE], priority=chance.randint(0, 9))
        elif number % 3 == 1:
            unassign(hub, [package], [SITE])
        write_feed(hub, SITE)
        path = chance.choice(sorted(folder.iterdir()))
        turn_bit(path, chance.randrange(path.stat().st_size), chance.randrange(8))
        if number % 2:
            write_feed(hub, SITE)
            believed = believe(SITE, trusted, read_feed(folder))
            assert believed.trusted.time <= hub.clock.now()
            assert [one.id for one in believed.desired.packages] == ([package] if number % 3 == 0 else [])
            trusted = believed.trusted


def test_a_rotten_timestamp_does_not_set_the_hubs_time(hub: Hub) -> None:
    trusted = Trusted(add_site(hub, SITE, "一号").trust.root.encode())
    write_feed(hub, SITE)
    path = hub.layout.feed(SITE) / TIMESTAMP_NAME
    now = str(int(hub.clock.now())).encode()
    path.write_bytes(path.read_bytes().replace(now, b"2" + now[1:]))
    write_feed(hub, SITE)
    assert believe(SITE, trusted, read_feed(path.parent)).trusted.time <= hub.clock.now()
