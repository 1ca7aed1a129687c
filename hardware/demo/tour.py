"""The demo's story: a lesson folder at the hub opens on a classroom screen, and a record comes back.

Each step does what a person does, then checks what that person would see. The first thing that is
not as it must be ends the tour (Failed).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from hardware.demo import lessons
from hardware.demo.find import find_box
from hardware.demo.machine import Failed, Running, addresses, ask, free_port, get, teachpoint, wait_for

SITE, SITE_NAME = "daqingshan", "大青山教学点"
HUB_NAME = "青山镇中心学校"
#: Ports that are tried first; others are taken where these are in use.
HUB_SSH, HUB_HTTPS, HUB_HTTP, BOX_HTTP, BOX_CONTENT = 2822, 2843, 8100, 8080, 8081


class Tour:
    """A hub and a box in `place`, made fresh; `tell` gets each line of the story."""

    def __init__(self, place: Path, lessons_folder: Path) -> None:
        self.place, self.lessons = place, lessons_folder
        self.hub_data, self.box_data = str(place / "hub"), str(place / "box")
        self.pairing = str(place / f"{SITE}.toml")
        self._services = ExitStack()
        self.hub_url = self.box_url = ""

    def __enter__(self) -> Tour:
        return self

    def __exit__(self, *_error: object) -> None:
        self._services.close()

    def begin(self) -> None:
        """Make the hub, publish the lessons, pair the box, sync once, and serve both."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        ssh, https, hub_http = free_port(HUB_SSH), free_port(HUB_HTTPS), free_port(HUB_HTTP)
        hub = ("--data", self.hub_data)
        teachpoint("hub", "init", *hub, "--name", HUB_NAME, "--address", "127.0.0.1", "--ssh-port", str(ssh),
                   "--https-port", str(https))
        published = self._publish()
        teachpoint("hub", "site", "add", SITE, "--name", SITE_NAME, *hub, "--pairing", self.pairing)
        teachpoint("hub", "assign", *(row["id"] for row in published), "--to", SITE, *hub)
        tell(f"hub: {HUB_NAME} has {len(published)} packages, assigned to {SITE_NAME}")
        self.hub = self._start("hub.log", "hub", "serve", *hub, "--http", f"127.0.0.1:{hub_http}",
                               "--ssh", f"127.0.0.1:{ssh}", "--https", f"127.0.0.1:{https}")
        self.hub_url = f"http://127.0.0.1:{hub_http}/"
        wait_for("the hub's page", lambda: get(self.hub_url), self.hub)
        box = ("--data", self.box_data)
        teachpoint("box", "init", "--pairing", self.pairing, *box)
        report = teachpoint("box", "sync", "--once", *box)
        if not report["ok"] or report["left"]:
            raise Failed(f"the first sync is not whole: {report}")
        tell(f"box: {report['objects']} objects, {report['received_bytes'] / 1e6:.1f} MB over SSH "
             f"in {report['seconds']:.1f} s")
        http, content = free_port(BOX_HTTP), free_port(BOX_CONTENT)
        self.box_url = f"http://127.0.0.1:{http}/"
        self.box = self._start("box.log", "box", "serve", *box, "--http", f"0.0.0.0:{http}",
                               "--content", f"0.0.0.0:{content}")
        wait_for("the box's page", lambda: ask(self.box_url + "healthz")["ok"], self.box)
        self.addresses = [f"http://{address}:{http}/" for address in addresses()]

    def look(self) -> None:
        """Do what a class does, and check each thing."""
        self._pages()
        self._bytes()
        self._search()
        self._found()
        self._records_come_back()
        self._a_later_lesson_comes_by_itself()

    def _start(self, log: str, *words: str) -> Running:
        service = Running(self.place / log, *words)
        self._services.callback(service.stop)
        return service

    def _publish(self) -> list[Any]:
        """Publish all lessons but the one for later; what the command says of each package."""
        folders = (lessons.FIRST_GRADE, lessons.THIRD_GRADE, lessons.SIXTH_GRADE, lessons.SCIENCE,
                   lessons.TEACHERS)
        published: list[Any] = teachpoint("hub", "publish", *(str(self.lessons / f) for f in folders),
                                          "--data", self.hub_data)
        if len(published) != len(folders):
            raise Failed(f"{len(folders)} lessons became {len(published)} packages")
        return published

    def _pages(self) -> None:
        page = get(self.box_url, **{"Accept-Language": "zh-CN"}).decode()
        for text in (SITE_NAME, "三年级", "古诗三首"):
            if text not in page:
                raise Failed(f"the box's page does not show {text}")
        get(self.box_url, **{"Accept-Language": "en"})
        shown = 0
        for item in self._resources():
            get(self.box_url + f"r/{item['package']}/{item['id']}")
            shown += 1
            if shown == 25:
                break
        tell(f"pages: the first page in Chinese and English, {shown} resource pages")

    def _resources(self) -> Iterator[Any]:
        """All resources that the API tells of, page by page."""
        offset, total = 0, 1
        while offset < total:
            answer = ask(self.box_url + f"api/v1/resources?limit=100&offset={offset}")
            total = answer["total"]
            offset += len(answer["items"]) or total
            yield from answer["items"]

    def _bytes(self) -> None:
        """Each single file's bytes at the box against the original's SHA-256."""
        originals = {hashlib.sha256(path.read_bytes()).hexdigest(): path
                     for path in self.lessons.rglob("*") if path.is_file()}
        files = size = bundles = 0
        for item in self._resources():
            if not item["complete"]:
                raise Failed(f"{item['name']} is not whole")
            body = get(_absolute(self.box_url, item["url"]))
            if item["type"] == "bundle":
                bundles += 1
                continue
            if hashlib.sha256(body).hexdigest() != item["sha256"] or item["sha256"] not in originals:
                raise Failed(f"{item['name']} has other bytes than the teacher's file")
            files += 1
            size += len(body)
        tell(f"bytes: {files} files ({size / 1e6:.1f} MB) are the originals by SHA-256; "
             f"{bundles} bundles open")

    def _search(self) -> None:
        for words in ("鹳雀", "静夜", "jys"):
            # The index is made in the background, seconds after the lessons came.
            found = wait_for(f"what the search for {words} finds", partial(self._found_by, words), self.box)
            tell(f"search: {words} finds {found['items'][0]['name']} ({found['total']})")
        if "登鹳雀楼" not in get(self.box_url + "search?q=鹳雀").decode():
            raise Failed("the search page does not show the poem")

    def _found_by(self, words: str) -> Any:
        found = ask(self.box_url + f"api/v1/resources?q={words}")
        return found if found["total"] else None

    def _found(self) -> None:
        """Is the box found on the network by its name, as a classroom device would?"""
        name, address = wait_for("the box on the network (mDNS)", lambda: find_box(SITE), self.box)
        tell(f"found: {name} at {address}")

    def _records_come_back(self) -> None:
        """What was opened and what a teacher gave reaches the hub."""
        (work := self.place / "我的教案.txt").write_text("课堂练习：背诵《静夜思》。\n", "utf-8")
        drop = Path(self.box_data) / "uploads" / work.name
        work.replace(drop)
        uploads = wait_for("the teacher's file at the hub", self._uploads, self.box, self.hub, patience_s=90)
        status = teachpoint("hub", "status", SITE, "--data", self.hub_data)
        site = status[0] if isinstance(status, list) else status
        records = sum(int(box["last_seq"]) for box in site["boxes"])
        tell(f"back: {records} records and {len(uploads)} upload ({uploads[0]['name']}) are at the hub")
        wait_for("the acknowledgement at the box", self._all_acknowledged, self.box, self.hub, patience_s=90)
        tell("acknowledged: the box knows that the hub has all of it")

    def _all_acknowledged(self) -> bool:
        return bool(ask(self.box_url + "api/v1/status")["journal"]["unacknowledged"] == 0)

    def _uploads(self) -> Any:
        return [row for row in teachpoint("hub", "uploads", "--data", self.hub_data) if row["received"]]

    def _a_later_lesson_comes_by_itself(self) -> None:
        [later] = teachpoint("hub", "publish", str(self.lessons / lessons.LATER), "--data", self.hub_data)
        teachpoint("hub", "assign", later["id"], "--to", SITE, "--priority", "9", "--data", self.hub_data)
        began = time.monotonic()
        wait_for("the later lesson at the box", lambda: any(
            package["id"] == later["id"] and package["complete"]
            for package in ask(self.box_url + "api/v1/packages")), self.box, self.hub, patience_s=90)
        tell(f"by itself: {later['id']} came {time.monotonic() - began:.0f} s after it was assigned")


def tell(line: str) -> None:
    """One line of the story, at once."""
    print(line, flush=True)


def _absolute(base: str, address: str) -> str:
    return address if address.startswith("http") else base.rstrip("/") + address
