"""What is asked of whom: connections that only take questions stand where those to the hub stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from sync.box.fetching import Fetching
from sync.box.http2 import Exchange
from sync.box.https_pool import CONNECTIONS, Pool
from sync.box.window import Window
from sync.transport import Wanted, unheard

MIB = 1024 * 1024


class Connection:
    """Takes questions and answers none."""

    def __init__(self) -> None:
        self.asked_bytes = 0

    def ask(self, exchange: Exchange) -> None:
        for name, value in exchange.headers:
            if name == "range":
                first, last = value.partition("=")[2].split("-")
                self.asked_bytes += int(last) - int(first) + 1

    def give_up(self, exchange: Exchange) -> None:
        """Nothing is under way."""


class Turned(Exception):
    """The transfer waits for answers now."""


class Connections:
    """As a `Pool`: `open_ones` can be asked; others are on their way if `opening`."""

    hub = "中心校"

    def __init__(self, open_ones: int, *, opening: bool) -> None:
        self.all = [Connection() for _ in range(open_ones)]
        self.opening = opening
        self.window = Window()
        self.between: Any = lambda: None
        self.last = self.window_used = False
        self.held_bytes = 0

    def carriers(self) -> list[Connection]:
        return self.all

    def widen(self) -> None:
        """They are what they are."""

    def pump(self, _most_s: float = 0.0) -> None:
        raise Turned


def asked(tmp_path: Path, connections: Connections) -> list[int]:
    """How many bytes of a film each was asked for before anything has come."""
    (tmp_path / "staging").mkdir()
    fetching = Fetching(cast(Pool, connections), [Wanted("ab" * 32, 6 * MIB)], tmp_path / "staging",
                        tmp_path / "library", unheard, None)
    try:
        fetching.run(lambda _done: None)
    except Turned:
        return [one.asked_bytes for one in connections.all]
    raise AssertionError("nothing was waited for")


def test_while_others_are_opened_one_gets_its_share(tmp_path: Path) -> None:
    """What one is asked for it brings alone, and the others would wait for it."""
    connections = Connections(1, opening=True)
    [alone] = asked(tmp_path, connections)
    share = connections.window.size // CONNECTIONS
    assert share <= alone < share + connections.window.piece


def test_the_only_one_that_can_be_had_gets_all(tmp_path: Path) -> None:
    connections = Connections(1, opening=False)
    [alone] = asked(tmp_path, connections)
    assert alone >= connections.window.size - 2 * connections.window.piece


def test_all_get_alike(tmp_path: Path) -> None:
    connections = Connections(CONNECTIONS, opening=False)
    found = asked(tmp_path, connections)
    assert max(found) - min(found) <= connections.window.piece
    assert sum(found) >= connections.window.size - 2 * connections.window.piece


def test_what_waits_behind_a_lost_packet_takes_no_room(tmp_path: Path) -> None:
    """It is here; the line would stay empty while it is waited for."""
    connections = Connections(CONNECTIONS, opening=False)
    connections.held_bytes = 64 * 1024
    found = asked(tmp_path, connections)
    assert sum(found) >= connections.window.size + 64 * 1024 - 2 * connections.window.piece
