"""A classroom for tests of the pages: a box's data with lessons, and the app over it.

`make_room` makes the app with a status and a journal that the test holds in its hands; `add_lessons` writes
a few lessons into box.db.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlite_utils import Database

from edge import bytes as file_bytes
from edge import (
    clock_page,
    display_pages,
    plan_pages,
    poster,
    power_page,
    results,
    sign_in,
    subtitles,
    timetable_page,
    tus,
    uploads,
)
from edge.content import create_content_app
from edge.displays import Displays
from edge.plans import Plans
from edge.search import SearchIndex, build_here
from edge.sign_in import SignIn
from edge.state import ContentOrigin, EdgeState
from edge.waiting import Waiting
from edge.web import Classroom, create_app
from sync.box.journal import Journal
from sync.box.receiving import Receiving
from sync.clock import ManualClock
from sync.errors import TeachpointError
from sync.store import Store
from tests.edge.shelf_rows import add_package, make_database, resource_id
from tests.sync_box.outbox_fixture import make_outbox

CONTENT_PORT = 8081


@dataclass
class Room:
    """A running app with its strings in the test's hands."""

    data: Path
    database: Database
    store: Store
    clock: ManualClock
    state: EdgeState
    status: dict[str, Any]
    noted: list[dict[str, Any]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    not_off: list[TeachpointError | None] = field(default_factory=list)
    status_fails: Exception | None = None
    app: Flask = field(init=False)
    journal: Journal = field(init=False)
    displays: Displays = field(init=False)
    sign_in: SignIn = field(init=False)
    receiving: Receiving = field(init=False)
    content: Flask = field(init=False)

    def client(self, language: str = "en") -> FlaskClient:
        """A browser that asks for this language."""
        client = self.app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
        return client

    @property
    def classroom(self) -> Classroom:
        """The pages behind the app."""
        found: Classroom = self.app.extensions["teachpoint-pages"]
        return found

    def page(self, address: str, language: str = "en", status: int = 200) -> str:
        """The HTML of a page."""
        answer = self.client(language).get(address)
        text = answer.get_data(as_text=True)
        assert answer.status_code == status, (address, answer.status_code, text[:2000])
        return text

    def put(self, data: bytes) -> dict[str, Any]:
        """Store an object; its name and size, as a file's row wants them."""
        added = self.store.add_bytes(data)
        return {"sha256": added.sha256, "size": added.size}


def usual_status() -> dict[str, Any]:
    """`box_status` of a healthy box."""
    return {
        "site": "dqs", "name": "大青树教学点", "version": "0.1.0",
        "hub": {"name": "青山中心校", "last_contact": 1_700_000_000.0, "last_error": None,
                "hub_time": 1_700_000_000},
        "packages": {"assigned": 3, "complete": 3, "partial": []}, "bytes_left": 0,
        "disk": {"free": 21_400_000_000, "total": 64_000_000_000},
        "journal": {"last_seq": 4, "unacknowledged": 0},
        "uploads": {"waiting": 0}, "clock": {"now": 1_700_000_000.0, "quality": "hub"}, "problems": [],
    }


def make_room(data: Path) -> Room:
    """A box with nothing in it yet."""
    database = make_database(data)
    clock = ManualClock()
    state = EdgeState(data=data, site="dqs", name="大青树教学点", content=ContentOrigin(CONTENT_PORT),
                      clock=clock)
    state.search = SearchIndex(state.layout.index, state.layout.database, catalogue=state.catalogue,
                               build=build_here)
    room = Room(data, database, Store(data / "library"), clock, state, usual_status())

    def append(kind: str, body: dict[str, Any]) -> None:
        room.noted.append({"kind": kind, **body})

    def ask_status() -> dict[str, Any]:
        if room.status_fails:
            raise room.status_fails
        return room.status

    room.app = create_app(state, ask_status=ask_status, journal=lambda: append)
    room.app.register_blueprint(file_bytes.blueprint(state, room.lost.append))
    room.app.register_blueprint(subtitles.blueprint(state))
    outbox = make_outbox(data)
    room.journal = outbox.journal
    room.app.register_blueprint(results.blueprint(state, lambda: outbox.journal))
    room.sign_in = sign_in.register(room.app, room.classroom, b"secret", lambda: outbox.journal,
                                    lambda teacher: {
                                        **uploads.sent_by(outbox, teacher.id),
                                        "plans": Plans(outbox.database, clock).of(teacher.id)})
    plan_pages.register(room.app, room.classroom, b"secret", lambda: outbox.database, room.sign_in)
    power_page.register(room.app, room.classroom, b"secret", lambda: outbox.journal, room.sign_in,
                        lambda error: room.not_off.append(error))
    room.receiving = Receiving(outbox)
    tus.register(room.app, room.sign_in, lambda: outbox, room.receiving.finish)
    uploads.register(room.app, state, room.classroom, b"secret", lambda: outbox, room.sign_in)
    room.app.register_blueprint(poster.blueprint(room.classroom))
    clock_page.register(room.app, room.classroom, b"secret", lambda: outbox.journal)
    timetable_page.register(room.app, room.classroom, b"secret", lambda: outbox.journal)
    waiting = Waiting()
    room.displays = Displays(lambda: database, waiting, clock)
    display_pages.register(room.app, state, room.classroom, b"secret", room.displays, waiting)
    room.content = create_content_app(state, room.lost.append)
    return room


def file_of(room: Room, path: str, data: bytes) -> dict[str, Any]:
    """A file's row, its bytes stored."""
    return {"path": path, **room.put(data)}


def add_lessons(room: Room) -> None:
    """Some lessons of several grades and subjects, every type of resource among them."""
    def one(name: str, kind: str, media: str, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "mediaType": media, "entry": path,
                "files": [file_of(room, path, data)], **more}

    add_package(room.database, "g3-yuwen-01", "第01课 大青树下的小学", [
        one("课文朗读", "video", "video/webm", "朗读.webm", b"video", timeRequired="PT3M20S"),
        one("生字读音", "audio", "audio/mpeg", "生字.mp3", b"audio", timeRequired="PT45S"),
        one("插图", "picture", "image/png", "插图.png", b"picture"),
        one("教案", "document", "application/pdf", "教案.pdf", b"%PDF-1.4", pages=6),
        one("课外读物", "book", "application/epub+zip", "读物.epub", b"no zip at all"),
        one("课文", "page", "text/html", "课文.html", b"<p>hello"),
        {"name": "笔顺练习", "type": "bundle", "mediaType": "text/html", "entry": "笔顺/index.html",
         "files": [file_of(room, "笔顺/index.html", b"<p>strokes"), file_of(room, "笔顺/a.js", b"1")]},
        one("词语表", "text", "text/plain", "词语.txt", "早晨\n绒球花\n汉族\n".encode()),
        one("课件", "file", "application/vnd.ms-powerpoint", "课件.ppt", b"ppt"),
    ], educationalLevel="三年级", about="语文", edition="人教版", volume="上册", isPartOf="语文三年级上册",
        position=1, creator="青山中心校", license="CC BY-SA 4.0",
        description="认识民族小学，感受同学之间的友爱。")
    add_package(room.database, "g3-shuxue-01", "第1单元 时、分、秒", [
        one("认识秒", "video", "video/webm", "认识秒.webm", b"v2", timeRequired="PT8M5S"),
        one("练习一", "document", "application/pdf", "练习一.pdf", b"%PDF-2", pages=2),
    ], educationalLevel="三年级", about="数学", edition="人教版", volume="上册", position=1)
    add_package(room.database, "g1-yuwen-01", "天地人", [
        one("天地人", "picture", "image/png", "天地人.png", b"p3"),
        {"name": "古诗动画", "type": "video", "mediaType": "video/mp4", "complete": 0, "size": 52_000_000},
    ], educationalLevel="一年级", about="语文", edition="人教版", volume="上册", position=1)
    add_package(room.database, "poems", "唐诗三百首", [
        one("静夜思", "page", "text/html", "静夜思.html", b"<p>poem"),
    ], about="", educationalLevel="")


__all__ = ["CONTENT_PORT", "Room", "add_lessons", "add_package", "file_of", "make_room", "resource_id",
           "usual_status"]
