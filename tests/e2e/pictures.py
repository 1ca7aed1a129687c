"""`python -m tests.e2e.pictures FOLDER --box ADDRESS`: every screen as a picture, to be looked at.

`make demo` gives the address. Phone, tablet and TV (390, 1024, 1920 pixels wide), in Chinese and English;
then the states that a healthy box does not show, and a hub with sites in several states, made up for it.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from edge.listen import Address, bind
from edge.shown import TYPE_ORDER
from edge.wsgi import WebServer
from sync.clock import ManualClock
from sync.hub.assign import assign, set_policy
from sync.hub.console import create_console
from sync.hub.publish import publish
from sync.hub.settings import init_hub
from sync.hub.sites import add_site, revoke_site
from sync.policy import Policy, read_times
from tests.e2e.browser import open_browser, resize
from tests.e2e.stage import ask
from tests.edge import test_pages
from tests.edge.classroom import Room, make_room

SIZES = {"phone": (390, 844), "tablet": (1024, 768), "tv": (1920, 1080)}
#: Tallest picture, in CSS pixels: what is below looks as what is above it.
MOST_HEIGHT = 2600

STATES: dict[str, Callable[[Room], None]] = {
    "empty": test_pages.never_contacted, "unassigned": test_pages.nothing_assigned,
    "offline": test_pages.offline, "problems": test_pages.problems, "coming": test_pages.coming,
    "held": test_pages.held, "day": test_pages.by_timetable}


def screens(box: str) -> dict[str, str]:
    """Name of a screen → its address; one resource of each type."""
    found = {"today": "", "browse": "browse", "search": "search?q=夜", "search-none": "search?q=没有的词",
             "search-empty": "search", "upload": "upload", "help": "help", "status": "status",
             "timetable": "timetable", "error": "nothing"}
    for kind in TYPE_ORDER:
        for one in ask(f"{box}api/v1/resources?limit=1&type={kind}")["items"]:
            found[f"type-{kind}"] = f"r/{one['package']}/{one['id']}"
    lessons = sorted(ask(f"{box}api/v1/packages"), key=lambda one: -one["resources"])
    found |= {"lesson": f"p/{lessons[0]['id']}",
              "grade": f"browse?grade={lessons[0]['educationalLevel']}&subject={lessons[0]['about']}"}
    return found


def take(driver: Any, file: Path, *, whole: bool = True) -> None:
    """What the browser shows now, as PNG; `whole`: the page to its end, not only the first screen."""
    metrics = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    view = driver.execute_script("return [innerWidth, innerHeight]")
    height = min(metrics["height"], MOST_HEIGHT) if whole else view[1]
    picture = driver.execute_cdp_cmd("Page.captureScreenshot", {
        "captureBeyondViewport": whole,
        "clip": {"x": 0, "y": 0, "width": view[0], "height": height, "scale": 1}})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of an app's first page, as long as it is needed."""
    with bind(Address("127.0.0.1", 0)) as listener:
        server = WebServer(app, listener, Path(tempfile.gettempdir()), threads=2, most_body_bytes=1_000_000,
                           behind_nginx=False)
        server.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.close()


def room_in(place: Path, prepare: Callable[[Room], None]) -> Flask:
    """The classroom of a box in some state."""
    room = make_room(place / "box")
    prepare(room)
    return room.app


def hub_in(place: Path) -> Flask:
    """A hub's page: packages, and sites with all, receiving, silent, new, revoked."""
    hub = init_hub(place / "hub", "青山镇中心学校", ["127.0.0.1"], 2222)
    hub.clock = ManualClock(time.time())
    packages = []
    for number, (name, size) in enumerate({"部编版/三年级上册/语文/第01课 大青树下的小学": 4_800_000,
                                           "部编版/三年级上册/数学/第01课 时、分、秒": 2_150_000,
                                           "教科版/五年级下册/科学/第03课 抛出去的球": 3_600_000,
                                           "部编版/一年级上册/语文/第04课 日月水火": 930_000}.items()):
        folder = place / "lessons" / name
        folder.mkdir(parents=True)
        (folder / "教案.txt").write_text(f"教案 {number}\n" * 40, "utf-8")
        (folder / "课件.bin").write_bytes(bytes([number]) * size)
        hub.clock.advance(60)
        packages.append(publish(hub, folder))
    now = hub.clock.now()
    for site, name, silent_s, whole in (
            ("daqingshan", "大青山教学点", 40.0, 4), ("xiaohe", "小河教学点", 1500.0, 2),
            ("yunding", "云顶教学点", 9 * 86400.0, 1), ("songlin", "松林教学点", None, 0),
            ("jiuxiao", "旧校区教学点", 40 * 86400.0, 0)):
        add_site(hub, site, name)
        assign(hub, [one.id for one in packages], [site])
        if silent_s is not None:
            hub.database.execute("INSERT INTO contact VALUES (?, ?)", [site, now - silent_s])
            hub.database.execute("INSERT INTO segment VALUES (?, 'b', 1, '', 1, ?, ?)",
                                 [site, 120 + whole, now - silent_s])
        for seq, one in enumerate(packages[:whole], 1):
            body = {"id": one.id, "version": one.version, "manifest": one.manifest, "complete": True}
            hub.database.execute("INSERT INTO record VALUES (?, 'b', ?, ?, 'hub', 'package', ?)",
                                 [site, seq, now, json.dumps(body)])
    hub.database.execute("UPDATE site SET created = ?", [now - 40 * 86400])
    hub.database.execute("UPDATE site SET created = ? WHERE site = 'songlin'", [now])
    for seq, (site, name, received) in enumerate((("daqingshan", "进位加法练习二.pdf", now),
                                                  ("xiaohe", "课间操录像.mp4", None)), 1):
        hub.database.execute("INSERT INTO upload VALUES (?, 'b', ?, ?, ?, ?, ?)",
                             [site, seq, f"{seq}", 2_400_000 * seq, name, received])
    hub.database.conn.commit()
    revoke_site(hub, "jiuxiao")
    set_policy(hub, "xiaohe", Policy(hours=read_times("mon-fri 18:00-06:00; sat,sun 00:00-24:00"),
                                     month_bytes=2 * 10**9))
    return create_console(hub)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--box", required=True)
    parser.add_argument("--only", default="", help="names that contain this")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--languages", default="zh-CN,en")
    wanted = parser.parse_args()
    pages = {name: wanted.box + path for name, path in screens(wanted.box).items()}
    made_up: dict[str, Callable[[Path], Flask]] = {
        f"state-{name}": partial(room_in, prepare=prepare) for name, prepare in STATES.items()}
    made_up["hub"] = hub_in
    for language in wanted.languages.split(","):
        driver = open_browser(language=language)
        try:
            def shoot(name: str, address: str, driver: Any = driver, language: str = language) -> None:
                for size in wanted.sizes.split(","):
                    width, height = SIZES[size]
                    resize(driver, width, height, touch=size == "phone")
                    driver.get(address)
                    take(driver, wanted.folder / f"{name}-{size}-{language[:2]}.png")

            for name, address in pages.items():
                if wanted.only in name:
                    shoot(name, address)
            for name, make in made_up.items():
                if wanted.only in name:
                    with tempfile.TemporaryDirectory() as place, served(make(Path(place))) as address:
                        shoot(name, address)
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
