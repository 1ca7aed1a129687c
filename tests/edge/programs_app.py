"""An app with the addresses for programs, over a box.db that a test fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlite_utils import Database

from edge import api, metrics, opds
from edge.search import SearchIndex, build_here
from edge.state import EXTENSION, ContentOrigin, EdgeState
from sync.clock import ManualClock
from tests.edge.shelf_rows import add_package, make_database, name_of

VERSION = "9.9"


@dataclass
class Programs:
    """The app, what it stands on, and the status it will be told."""

    data: Path
    database: Database
    state: EdgeState
    status: dict[str, Any]
    app: Flask = field(init=False)

    def get(self, address: str, **more: Any) -> Any:
        """Ask as the box itself would."""
        return self.app.test_client().get(address, **more)


def usual_status() -> dict[str, Any]:
    """`box_status` of a healthy box."""
    return {
        "site": "dqs", "name": "大青树教学点", "version": VERSION,
        "hub": {"name": "青山中心校", "last_contact": 1_700_000_000.0, "last_error": None, "hub_time": 1},
        "packages": {"assigned": 3, "complete": 2,
                     "partial": [{"id": "a", "name": "a", "bytes": 9, "left": 5}]},
        "bytes_left": 5, "disk": {"free": 1000, "total": 4000},
        "journal": {"last_seq": 7, "unacknowledged": 4},
        "uploads": {"waiting": 1}, "clock": {"now": 1_700_000_060.0, "quality": "hub"}, "problems": [],
    }


def make_programs(data: Path) -> Programs:
    """A box with nothing in it yet."""
    database = make_database(data)
    state = EdgeState(data=data, site="dqs", name="大青树教学点", content=ContentOrigin(8081),
                      clock=ManualClock(1_700_000_060.0))
    state.search = SearchIndex(state.layout.index, state.layout.database, catalogue=state.catalogue,
                               build=build_here)
    made = Programs(data, database, state, usual_status())
    made.app = Flask("test", static_folder=None)
    made.app.extensions[EXTENSION] = state
    made.app.register_blueprint(api.blueprint(state, lambda: made.status, VERSION))
    made.app.register_blueprint(opds.blueprint(state, VERSION))
    made.app.register_blueprint(metrics.blueprint(state, lambda: made.status, VERSION))
    return made


def add_lessons(database: Database) -> None:
    """Two lessons, every kind of address among them."""
    add_package(database, "yw-3-1", "大青树下的小学", [
        {"name": "课文", "pages": 4, "thumbnail": name_of("thumb")},
        {"name": "朗读 & 录音", "type": "audio", "mediaType": "audio/mpeg", "entry": "朗读 1.mp3",
         "timeRequired": "PT3M20S"},
        {"name": "游戏", "type": "bundle", "mediaType": "text/html", "entry": "游戏/index.html", "files": [
            {"path": "游戏/index.html", "sha256": name_of("1"), "size": 1},
            {"path": "游戏/a.js", "sha256": name_of("2"), "size": 2}]},
        {"name": "插图", "type": "picture", "mediaType": "image/svg+xml", "entry": "图.svg"},
    ], educationalLevel="三年级", about="语文", edition="人教版", volume="上册", position=1, creator="王老师",
        isPartOf="语文三年级上册")
    add_package(database, "sx-4-1", "大数的认识", [
        {"name": "亿以内的数"}, {"name": "还在路上", "complete": 0, "size": 5000}],
        educationalLevel="四年级", about="数学")
