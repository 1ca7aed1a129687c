"""Questions that wait: many at once, each answered by news, by a vanished asker, by the next start."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import waiting as module
from edge.listen import bind_unix
from edge.waiting import PLACE, Waiting

SCREEN = "screen-0011223344556677"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Waiting, Path]]:
    """One that answers, and its socket."""
    path = tmp_path / "w.sock"
    one = Waiting()
    with contextlib.closing(bind_unix(path)) as listener:
        one.start(listener)
        yield one, path
        one.stop()


def connected(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(30)
    found.connect(str(path))
    return found


def asked(path: Path, after: str, channel: str = SCREEN) -> socket.socket:
    """A question that is on its way."""
    found = connected(path)
    found.sendall(f"GET {PLACE}{channel}/{after} HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n".encode())
    return found


def answer(of: socket.socket) -> tuple[int, bytes]:
    with of:
        response = http.client.HTTPResponse(of)
        response.begin()
        return response.status, response.read()


def held(one: Waiting, count: int) -> None:
    """Wait until so many questions are held."""
    for _ in range(600):
        if one.held(SCREEN) == count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{one.held(SCREEN)} are held, not {count}")


def test_sixty_hear_of_one_change(place: tuple[Waiting, Path]) -> None:
    one, path = place
    one.put(SCREEN, "a.1", b"{}")
    before = threading.active_count()
    questions = [asked(path, "a.1") for _ in range(60)]
    held(one, 60)
    assert threading.active_count() == before, "none has a thread of its own"
    one.put(SCREEN, "a.1", b'{"same": 1}')
    one.put("screen-ffffffffffffffff", "b.1", b"{}")
    held(one, 60)
    one.put(SCREEN, "a.2", b'{"new": 1}')
    assert [answer(one) for one in questions] == [(200, b'{"new": 1}')] * 60
    held(one, 0)


def test_what_is_new_already_is_answered_at_once(place: tuple[Waiting, Path]) -> None:
    one, path = place
    one.put(SCREEN, "a.1", b"{}")
    assert answer(asked(path, "")) == (200, b"{}")
    assert answer(asked(path, "of.another.run")) == (200, b"{}")


def test_who_has_gone_is_held_no_more(place: tuple[Waiting, Path]) -> None:
    one, path = place
    one.put(SCREEN, "a.1", b"{}")
    question = asked(path, "a.1")
    held(one, 1)
    question.close()
    held(one, 0)


def test_what_is_dropped_is_let_go(place: tuple[Waiting, Path]) -> None:
    one, path = place
    one.put(SCREEN, "a.1", b"{}")
    question = asked(path, "a.1")
    held(one, 1)
    one.drop(SCREEN)
    assert answer(question) == (204, b"")


def test_a_quiet_screen_is_told_to_ask_again(place: tuple[Waiting, Path],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    one, path = place
    monkeypatch.setattr(module, "HOLD_S", 0.05)
    one.put(SCREEN, "a.1", b"{}")
    assert answer(asked(path, "a.1")) == (204, b"")


def test_too_many_are_refused_and_those_held_stay(place: tuple[Waiting, Path],
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    one, path = place
    monkeypatch.setattr(module, "MOST_HELD", 2)
    one.put(SCREEN, "a.1", b"{}")
    questions = [asked(path, "a.1") for _ in range(2)]
    held(one, 2)
    assert answer(asked(path, "a.1")) == (503, b"")
    one.put(SCREEN, "a.2", b"2")
    assert [answer(question) for question in questions] == [(200, b"2")] * 2


@pytest.mark.parametrize("words", [
    b"GET / HTTP/1.1\r\n\r\n", b"POST /_waiting/screen-00/a HTTP/1.1\r\n\r\n",
    b"GET /_waiting/../etc HTTP/1.1\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_what_is_no_question_is_refused(place: tuple[Waiting, Path], words: bytes) -> None:
    question = connected(place[1])
    question.sendall(words)
    assert answer(question)[0] == 404
