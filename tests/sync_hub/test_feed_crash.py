"""The hub is killed at each of its steps while it writes a feed; what a box believed stays true.

A child process does the work and kills itself before its n-th call that changes something on the disk (a
rename, a flush, a commit), for each n until the work is done. After each death the box reads what lies there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sync.box.trusted import read_feed
from sync.canonical import sha256_hex
from sync.clock import ManualClock
from sync.hub.assign import assign, unassign
from sync.hub.feed import refresh_feeds, write_feed
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site, renew_feed_key
from sync.news import parse
from sync.trust import FEED_FILE, TIMESTAMP_NAME, Believed, Trusted, believe

pytestmark = pytest.mark.chaos

SITE = "s1"
DAY_S = 86400
#: Calls before which the power goes; and every COMMIT.
CALLS = {"fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "link"}
#: More steps than any work here has: the child must be done before.
MOST_STEPS = 2000

Work = Callable[[Hub, Path], object]


class Box:
    """What a box believes, and every file that the hub ever showed under a number."""

    def __init__(self, hub: Hub, root: str) -> None:
        self._folder = hub.layout.feed(SITE)
        self._trusted = Trusted(root=root.encode())
        self._shown: dict[str, str] = {}

    def read(self) -> Believed:
        """Believe what lies there now; raises what `believe` raises."""
        files = read_feed(self._folder)
        for name in files:
            number = "" if name != TIMESTAMP_NAME else f"{json.loads(files[name])['signed']['version']}."
            label = number + name
            assert FEED_FILE.fullmatch(name), name
            sha256 = sha256_hex(files[name])
            assert self._shown.setdefault(label, sha256) == sha256, f"{label} stands for two contents"
        believed = believe(SITE, self._trusted, files)
        self._trusted = believed.trusted
        return believed


def kill_before(hub: Hub, step: int) -> None:
    """From here on, kill this process before its `step`-th call of CALLS or COMMIT."""
    left = step

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def look(_frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__module__ == "posix" and called.__name__ in CALLS:
            count()

    hub.database.conn.set_trace_callback(lambda statement: count() if statement == "COMMIT" else None)
    sys.setprofile(look)


def dies(data: Path, clock: ManualClock, work: Work, step: int) -> bool:
    """Do `work` in a child that is killed before its `step`-th call; False if it was done before."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            hub = open_hub(data, clock)
            kill_before(hub, step)
            work(hub, data.parent)
            sys.setprofile(None)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        assert os.WTERMSIG(ended) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(ended) == 0, "the work failed by itself"
    return False


def write_lesson(place: Path, name: str, text: str) -> Path:
    (folder := place / "lessons" / name).mkdir(parents=True, exist_ok=True)
    (folder / "课文.txt").write_text(text, "utf-8")
    return folder


def assigning(hub: Hub, _place: Path) -> None:
    """Another priority than before, so that each try changes the feed."""
    [(priority,)] = hub.database.execute("SELECT priority FROM assignment WHERE site = ?", [SITE]).fetchall()
    assign(hub, [package(hub)], [SITE], (priority + 1) % 10)


def unassigning(hub: Hub, _place: Path) -> None:
    unassign(hub, [package(hub)], [SITE])
    assign(hub, [package(hub)], [SITE])


def publishing(hub: Hub, place: Path) -> None:
    """A new version of what is assigned."""
    count = hub.database.execute("SELECT count(*) FROM package").fetchone()[0]
    publish(hub, write_lesson(place, "大青树", f"第 {count} 版 {os.getpid()}"))
    refresh_feeds(hub)


def rekeying(hub: Hub, _place: Path) -> None:
    renew_feed_key(hub, SITE)


def signing_again(hub: Hub, _place: Path) -> None:
    """The same again, half a year later."""
    refresh_feeds(hub)


def package(hub: Hub) -> str:
    return str(hub.database.execute("SELECT id FROM package ORDER BY id LIMIT 1").fetchone()[0])


@pytest.mark.parametrize("work", [assigning, unassigning, publishing, rekeying, signing_again])
def test_killed_at_each_step_the_feed_is_believed_and_no_number_stands_for_two_contents(
        work: Work, tmp_path: Path) -> None:
    clock = ManualClock(1_790_000_000)
    hub = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    hub.clock = clock
    pairing = add_site(hub, SITE, "一号")
    publish(hub, write_lesson(tmp_path, "大青树", "早晨"))
    assign(hub, [package(hub)], [SITE])
    box = Box(hub, pairing.trust.root)
    box.read()
    hub.database.conn.close()
    deaths = 0
    for step in range(1, MOST_STEPS):
        if work is signing_again:
            clock.advance(200 * DAY_S)
        died = dies(tmp_path / "hub", clock, work, step)
        deaths += died
        box.read()  # as it lies there after the death
        hub = open_hub(tmp_path / "hub", clock)
        write_feed(hub, SITE)  # the next thing the hub does finishes what was cut off
        after = box.read()
        said = {one.id: (one.version, one.priority) for one in after.desired.packages}
        assert said == dict(assigned(hub)), "and then the feed says what the database says"
        assert not write_feed(hub, SITE), "once"
        news = parse(hub.layout.news(SITE).read_bytes(), SITE)
        assert news.items() <= read_feed(hub.layout.feed(SITE)).items()
        assert believe(SITE, Trusted(pairing.trust.root.encode()), news).desired == after.desired
        assert not [path for path in hub.layout.feed(SITE).iterdir() if path.name.startswith(".tmp-")]
        hub.database.conn.close()
        if not died:
            break
    else:
        raise AssertionError("it was never done")
    assert deaths > 10, "it was killed in the middle of something"


def assigned(hub: Hub) -> list[tuple[str, tuple[int, int]]]:
    """What the database says the site shall have."""
    return [(id_, (version, priority)) for id_, version, priority in hub.database.execute(
        "SELECT a.package, max(p.version), a.priority FROM assignment a JOIN package p ON p.id = a.package "
        "WHERE a.site = ? GROUP BY a.package", [SITE])]
