"""The thread of `hub serve` that takes in what sites send."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sync.clock import ManualClock
from sync.hub import serve
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site

SITE = "s1"
FAR_AHEAD_S = 14 * 365 * 86400.0


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub whose clock is years ahead; the keeper opens the same one."""
    init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    found = open_hub(tmp_path / "hub", ManualClock(time.time() + FAR_AHEAD_S))
    add_site(found, SITE, "一号")
    monkeypatch.setattr(serve, "open_hub", lambda data: open_hub(data, found.clock))
    return found


def wait_until_gone(path: Path) -> None:
    gone = threading.Event()
    for _ in range(1200):
        if not path.exists():
            return
        gone.wait(0.05)
    raise AssertionError(f"{path} is still there")


def test_a_clock_that_was_years_ahead_and_is_set_back_ends_no_transfer(hub: Hub) -> None:
    folder = hub.layout.inbox(SITE) / "objects" / "12"
    folder.mkdir(parents=True)
    dead, junk, running = folder / f".{'12' * 32}.ex0KAA", folder / "junk", folder / f".{'12' * 32}.ex0KAB"
    dead.write_bytes(b"left by a transfer of the last start")
    with serve.InboxKeeper(hub.layout.data).running():
        wait_until_gone(dead)
        hub.clock.set_wall(time.time())  # type: ignore[attr-defined]
        running.write_bytes(b"on its way")
        junk.write_bytes(b"no object")
        wait_until_gone(junk)
        assert running.exists()
