"""An upload on a disk that is full, or gets so while it comes: said in the reader's words, nothing lost."""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.listen import Address, bind
from edge.wsgi import WebServer
from tests.edge.classroom import Room, make_room
from tests.edge.page_html import Page, broken_rules
from tests.small_disk import fill, small_ext4

#: More than Python and werkzeug hold in memory, less than what is measured before it is taken.
SHEET = os.urandom(300_000)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """Where bodies lie while they come in: a small disk of their own."""
    before = tempfile.tempdir
    with small_ext4(tmp_path, 8) as disk:
        (disk / "bodies").mkdir()
        tempfile.tempdir = str(disk / "bodies")
        yield disk / "bodies"
        tempfile.tempdir = before


@pytest.fixture
def room(tmp_path: Path, spool: Path) -> Room:
    (tmp_path / "box").mkdir()
    return make_room(tmp_path / "box")


def fill_but(disk: Path, blocks: int) -> Path:
    """Fill the disk, but for so many blocks of 4 KiB."""
    kept = disk / "kept"
    kept.write_bytes(bytes(blocks * 4096))
    filler = fill(disk)
    kept.unlink()
    return filler


@pytest.mark.filterwarnings("error")  # what a dropped file could not write any more is an error as well
@pytest.mark.parametrize("blocks", [0, 1, 40, 73])
@pytest.mark.parametrize(("language", "words"), [("en", "No room left on the disk"), ("zh-CN", "磁盘")])
def test_a_full_disk_is_said_in_the_readers_words_and_later_it_goes(
        room: Room, spool: Path, blocks: int, language: str, words: str) -> None:
    client = room.client(language)
    page = Page(client.get("/upload").get_data(as_text=True))
    token = next(e.get("value") for e in page.all("input") if e.get("name") == "token")

    def send() -> tuple[int, str]:
        answer = client.post("/upload", data={"token": token, "title": "卷子", "file": (
            io.BytesIO(SHEET), "卷子.pdf")}, content_type="multipart/form-data")
        return answer.status_code, answer.get_data(as_text=True)

    filler = fill_but(spool.parent, blocks)
    status, text = send()
    assert status == 507 and words in Page(text).with_class("warn")[0].words
    assert broken_rules(Page(text), language) == []
    assert list(spool.iterdir()) == []
    filler.unlink()
    assert send()[0] == 303
    stored = room.data / "outbox" / "objects"
    assert [path.read_bytes() for path in stored.rglob("*") if path.is_file()] == [SHEET]


@pytest.fixture
def caller(room: Room, spool: Path) -> Iterator[http.client.HTTPConnection]:
    """Somebody who is connected to the box, without nginx."""
    with bind(Address("127.0.0.1", 0)) as listener:
        server = WebServer(room.app, listener, spool, threads=1, most_body_bytes=2**26, behind_nginx=False)
        server.start()
        try:
            yield http.client.HTTPConnection(*listener.getsockname(), timeout=60)
        finally:
            server.close()


CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


def test_room_that_is_taken_while_a_body_comes(caller: http.client.HTTPConnection, spool: Path) -> None:
    """Waitress keeps the beginning of a body in memory and asks the disk for the rest."""
    filler = fill(spool.parent)
    caller.putrequest("POST", "/upload")
    caller.putheader("Transfer-Encoding", "chunked")  # its size is not known before
    caller.endheaders()
    for _ in range(12):
        caller.send(CHUNK)
    answer = caller.getresponse()
    assert answer.status == 507 and re.search("no room .*没有", answer.read().decode(), re.DOTALL)
    filler.unlink()


def test_who_reads_no_answer_before_all_is_sent_gets_it(
        caller: http.client.HTTPConnection, spool: Path) -> None:
    """As browsers do. The box has answered long before, and takes the rest in only to throw it away."""
    caller.putrequest("POST", "/upload")
    caller.putheader("Content-Length", str(100 * len(SHEET)))
    caller.endheaders()
    while "没有保存任何内容".encode() not in caller.sock.recv(65536, socket.MSG_PEEK):
        pass  # not the whole answer yet
    for _ in range(100):
        caller.send(SHEET)
    assert caller.getresponse().status == 507
    assert list(spool.iterdir()) == []


def test_who_never_ends_is_let_go(caller: http.client.HTTPConnection) -> None:
    caller.putrequest("POST", "/upload")
    caller.putheader("Content-Length", str(2**40))
    caller.endheaders()
    sent = 0
    with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
        while sent < 2**28:
            caller.send(SHEET)
            sent += len(SHEET)
    assert sent >= 2**26
