"""A small object that has rotted on the disk is not sent, whoever asks first; a large one nobody can know."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bytes import MOST_CHECKED_BYTES
from tests.edge.classroom import Room, add_package, make_room, resource_id

TURNED = b"!"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return make_room(tmp_path)


def turn(room: Room, size: int) -> str:
    """A file of a lesson whose last byte has turned; its name."""
    stored = room.put(bytes(size - 1) + b"?")
    add_package(room.database, "p", "课", [{"name": "图", "type": "picture", "mediaType": "image/png",
                                           "entry": "a.png", "files": [{"path": "a.png", **stored}]}])
    path = room.store.path(stored["sha256"])
    path.chmod(0o600)
    with path.open("r+b") as handle:
        handle.seek(-1, 2)
        handle.write(TURNED)
    return str(stored["sha256"])


@pytest.mark.parametrize("nginx", [True, False])
def test_a_small_one_is_set_aside_and_told(room: Room, nginx: bool) -> None:
    room.state.nginx = nginx
    name = turn(room, MOST_CHECKED_BYTES)
    answer = room.client().get("/files/p/a.png")
    assert answer.status_code == 503 and "X-Accel-Redirect" not in answer.headers
    assert room.lost == [name] and room.store.quarantined() == [name]
    assert room.client().get("/files/p/a.png").status_code == 503, "gone now"


@pytest.mark.parametrize("rotten", [False, True])
def test_a_text_is_shown_right_or_not_at_all(room: Room, rotten: bool) -> None:
    stored = room.put("早晨，从山坡上".encode())
    add_package(room.database, "t", "课", [{"name": "词", "type": "text", "mediaType": "text/plain",
                                           "entry": "a.txt", "files": [{"path": "a.txt", **stored}]}])
    if rotten:
        path = room.store.path(stored["sha256"])
        path.chmod(0o600)
        path.write_bytes("早晨，从山城上".encode())
    assert ("早晨" in room.page(f"/r/t/{resource_id('t', '词')}")) is not rotten


def test_a_large_one_is_the_scrubs_matter(room: Room) -> None:
    turn(room, MOST_CHECKED_BYTES + 1)
    answer = room.client().get("/files/p/a.png")
    assert answer.status_code == 200 and answer.get_data().endswith(TURNED)
    assert room.lost == []
