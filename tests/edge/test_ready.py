"""Answers that are ready: the same as the app's own, never one that is not true any more, and from the thread
that reads requests."""

from __future__ import annotations

import http.client
import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.test import EnvironBuilder, run_wsgi_app

from edge import metrics
from edge.facts import KEPT_S
from edge.listen import Address, bind
from edge.ready import MOST_QUESTION, Question, Ready, may_keep
from edge.web import LANGUAGE_COOKIE, language_for
from edge.wsgi import WebServer
from tests.e2e.stage import PATIENCE_S
from tests.edge.classroom import Room, add_lessons, add_package, make_room

ENGLISH = {"Host": "box:8080", "Accept-Language": "en"}
LASTING = ["/browse", "/browse?grade=三年级&subject=语文", "/search?q=天地", "/search?q=tdr", "/suggest?q=天",
           "/p/g3-yuwen-01"]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path / "box")
    add_lessons(made)
    made.state.search.refresh()
    return made


@pytest.fixture
def ready(room: Room) -> Ready:
    return Ready(room.app, language_for)


def ask(ready: Ready, address: str, **headers: str) -> tuple[str, dict[str, str], bytes]:
    """What the app answers; it may be kept."""
    builder = EnvironBuilder(path=address, headers={**ENGLISH, **headers})
    body, status, sent = run_wsgi_app(ready, builder.get_environ())
    return status, dict(sent), b"".join(body)


def question(ready: Ready, address: str, **headers: str) -> Question:
    environ = EnvironBuilder(path=address, headers={**ENGLISH, **headers}).get_environ()
    return ready.question(environ["PATH_INFO"], environ["QUERY_STRING"], "http",
                          lambda name: environ.get(f"HTTP_{name}"))


def at_once(ready: Ready, address: str, **headers: str) -> bytes | None:
    return ready.at_once(question(ready, address, **headers))


def read(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields.pop("Date"))
    return first.removeprefix("HTTP/1.1 "), fields, body


@pytest.mark.parametrize("address", ["/", *LASTING])
def test_given_again_it_is_the_same(room: Room, ready: Ready, address: str) -> None:
    room.page("/")  # how the box is doing has been asked for
    assert at_once(ready, address) is None
    first = ask(ready, address)
    again = at_once(ready, address)
    assert first[0] == "200 OK" and again is not None
    assert read(again) == first


@pytest.mark.parametrize("address", ["/", *LASTING])
def test_no_page_of_an_older_catalogue_is_given(room: Room, ready: Ready, address: str) -> None:
    room.page("/")
    ask(ready, address)
    add_package(room.database, "g3-yuwen-02", "第02课 天地之间", [{"name": "天地"}],
                educationalLevel="三年级", about="语文")
    assert at_once(ready, address) is None
    assert at_once(ready, address) is None  # nor is it taken up again


@pytest.mark.parametrize("address", ["/search?q=天地", "/suggest?q=天"])
def test_no_result_of_an_older_index_is_given(room: Room, ready: Ready, address: str) -> None:
    add_package(room.database, "g3-yuwen-02", "第02课 天地之间", [{"name": "天地"}])
    ask(ready, address)
    assert at_once(ready, address) is not None
    room.state.search.refresh()
    assert at_once(ready, address) is None


def test_the_first_page_follows_what_is_opened_and_how_the_box_is_doing(room: Room, ready: Ready) -> None:
    def told() -> None:
        room.page("/")
        ask(ready, "/")
        assert at_once(ready, "/") is not None

    changes: list[Callable[[], Any]] = [
        lambda: room.journal.append("resource-opened", {"package": "poems"}),
        room.classroom.facts.forget,
        lambda: room.clock.advance(KEPT_S),
    ]
    for change in changes:
        told()
        change()
        assert at_once(ready, "/") is None


def test_what_was_true_when_a_page_was_begun_counts(room: Room, ready: Ready) -> None:
    """The catalogue changes while the page is made: the page may show the older one."""
    made = room.classroom.lesson

    def slow(package: str) -> Response:
        response = made(package)
        add_package(room.database, "late", "晚到", [{"name": "天地"}])
        return response

    app = Flask("test", static_folder=None)

    @app.get("/p/<package>")
    def late(package: str) -> Response:
        with room.app.test_request_context(f"/p/{package}"):
            room.app.preprocess_request()
            return slow(package)

    app.view_functions["late"] = room.classroom.kept(late, room.classroom.age)
    ready = Ready(app, language_for)
    assert ask(ready, "/p/poems")[0] == "200 OK"
    assert at_once(ready, "/p/poems") is None


def test_each_language_host_and_known_page_has_its_own(ready: Ready) -> None:
    _, headers, english = ask(ready, "/browse")
    assert b'lang="en"' in english
    for other in ({"Accept-Language": "zh-CN"}, {"Cookie": f"{LANGUAGE_COOKIE}=zh-CN"}, {"Host": "10.0.0.9"},
                  {"If-None-Match": headers["ETag"]}):
        assert at_once(ready, "/browse", **other) is None
    ask(ready, "/browse", Cookie=f"a=b; {LANGUAGE_COOKIE}=zh-CN")
    chinese = at_once(ready, "/browse", Cookie=f"{LANGUAGE_COOKIE}=zh-CN; c=d")
    assert chinese is not None and b'lang="zh-CN"' in chinese
    ask(ready, "/browse", **{"If-None-Match": headers["ETag"]})
    known = at_once(ready, "/browse", **{"If-None-Match": headers["ETag"]})
    assert known is not None and read(known)[0].startswith("304") and read(known)[2] == b""


def test_what_must_be_asked_each_time_is_never_kept(room: Room, ready: Ready) -> None:
    [resource] = room.state.catalogue().resources(package="poems").items
    for address in (f"/r/poems/{resource.id}", "/status", "/teacher", "/upload", "/language/en", "/nowhere",
                    "/p/nowhere", "/clock", "/timetable"):
        ask(ready, address)
        assert at_once(ready, address) is None, address


def test_a_broken_database_is_told_by_the_app(room: Room, ready: Ready) -> None:
    ask(ready, "/browse")
    room.database.execute("ALTER TABLE setting RENAME TO gone")
    assert at_once(ready, "/browse") is None


def cookie_app(environ: Any, begin: Any) -> list[bytes]:
    may_keep(environ, lambda: 1, 1)
    begin("200 OK", [("Content-Length", "1"), ("Set-Cookie", "a=b")])
    return [b"x"]


def plain_app(environ: Any, begin: Any) -> list[bytes]:
    may_keep(environ, lambda: 1, 1)
    begin("200 OK", [("Content-Length", "1000")])
    return [bytes(1000)]


def test_an_answer_with_a_cookie_is_for_one(room: Room) -> None:
    ready = Ready(cookie_app, language_for)
    ask(ready, "/a")
    assert at_once(ready, "/a") is None


def test_what_is_kept_has_a_bound() -> None:
    ready = Ready(plain_app, language_for, most_bytes=5000)
    for number in range(20):
        ask(ready, f"/{number}")
        ask(ready, "/0")
    kept = [number for number in range(20) if at_once(ready, f"/{number}")]
    assert 0 in kept and 19 in kept and 3 <= len(kept) <= 4
    long = f"/{'x' * MOST_QUESTION}"
    ask(ready, long)
    assert at_once(ready, long) is None


def test_answers_given_again_are_counted(room: Room) -> None:
    room.app.register_blueprint(metrics.blueprint(room.state, lambda: room.status, "1"))
    ready = Ready(room.app, language_for)
    ask(ready, "/browse")
    for _ in range(3):
        assert at_once(ready, "/browse")
    told = room.app.test_client().get("/metrics").get_data(as_text=True)
    assert 'teachpoint_requests_total{endpoint="pages.browse",status="200"} 4.0' in told


# -- the server ------------------------------------------------------------------------------------


@contextmanager
def served(app: Any, spool: Path) -> Iterator[tuple[str, int]]:
    """`app` with a single thread for requests; its address."""
    spool.mkdir(exist_ok=True)
    with bind(Address("127.0.0.1", 0)) as listener:
        server = WebServer(app, listener, spool, threads=1, most_body_bytes=2**20, behind_nginx=False)
        server.start()
        try:
            yield listener.getsockname()[:2]
        finally:
            server.close()


def get(connection: http.client.HTTPConnection, address: str) -> bytes:
    connection.request("GET", address, headers=ENGLISH)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read()


def test_a_page_that_is_ready_waits_for_no_thread(room: Room, tmp_path: Path) -> None:
    busy, done = threading.Event(), threading.Event()

    @room.app.get("/slow")
    def slow() -> str:
        busy.set()
        done.wait(PATIENCE_S)
        return "slow"

    with served(Ready(room.app, language_for), tmp_path / "spool") as address:
        first, second = (http.client.HTTPConnection(*address, timeout=PATIENCE_S) for _ in range(2))
        page = get(first, "/browse")
        second.request("GET", "/slow", headers=ENGLISH)
        assert busy.wait(PATIENCE_S)
        assert get(first, "/browse") == page
        done.set()
        assert second.getresponse().read() == b"slow"
        assert get(second, "/browse") == page


def test_questions_sent_together_are_answered_in_order(room: Room, tmp_path: Path) -> None:
    asked = ["/browse", "/p/poems", "/browse", "/search?q=tdr", "/browse", "/browse"]
    with served(Ready(room.app, language_for), tmp_path / "spool") as address:
        caller = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        alone = {one: get(caller, one) for one in ("/browse", "/p/poems")}
        alone["/search?q=tdr"] = ask(Ready(room.app, language_for), "/search?q=tdr")[2]
        with socket.create_connection(address, PATIENCE_S) as together:
            together.sendall("".join(f"GET {one} HTTP/1.1\r\nHost: box:8080\r\nAccept-Language: en\r\n\r\n"
                                     for one in asked).encode())
            stream = together.makefile("rb")
            for one in asked:
                head = b"".join(iter(stream.readline, b"\r\n")).decode()
                size = re.search(r"(?i)^content-length: (\d+)", head, re.M)
                assert head.startswith("HTTP/1.1 200") and size
                assert stream.read(int(size[1])) == alone[one], one


@pytest.mark.parametrize("words", ["GET /browse HTTP/1.0\r\n",
                                   "GET /browse HTTP/1.1\r\nConnection: close\r\n"])
def test_who_wants_the_connection_closed_gets_it_closed(room: Room, tmp_path: Path, words: str) -> None:
    with served(Ready(room.app, language_for), tmp_path / "spool") as address:
        page = get(http.client.HTTPConnection(*address, timeout=PATIENCE_S), "/browse")
        with socket.create_connection(address, PATIENCE_S) as caller:
            caller.sendall(f"{words}Host: box:8080\r\nAccept-Language: en\r\n\r\n".encode())
            answer = io.BytesIO(b"".join(iter(lambda: caller.recv(65536), b""))).read()
        assert answer.endswith(b"\r\n\r\n" + page)


def test_a_body_or_another_method_is_the_apps(room: Room, tmp_path: Path) -> None:
    with served(Ready(room.app, language_for), tmp_path / "spool") as address:
        caller = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        page = get(caller, "/browse")
        caller.request("HEAD", "/browse", headers=ENGLISH)
        answer = caller.getresponse()
        assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (200, b"", str(len(page)))
        caller.request("POST", "/browse", b"x" * 10, ENGLISH)
        answer = caller.getresponse()
        assert answer.status == 405 and answer.read()
        assert get(caller, "/browse") == page
