"""People who work with a hub and a box while everything under them is killed: threads for the chaos test.

Each does what a person does (tries again what failed) and keeps what the product promised: a lesson that
was published and assigned, an upload that the page called safe, a record that the status counted.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.faults import Rot, Trouble
from tests.e2e.stage import Stage, plain

#: How a command ends that is killed.
KILLED = -9
#: Codes that a command may fail with at any time: the link is broken or busy, its other side was killed.
USUAL = frozenset({"hub-unreachable", "link-broken", "sync-running", "ingest-running", "feed-busy"})
#: … and those that a fault explains which is there or was a moment ago.
EXPLAINED = {
    "disk-full": ("box disk", "hub disk"),
    "hub-disk-full": ("hub disk",),
    "library-damaged": ("hub library",),
    "feed-bad": ("hub feed",),
    "feed-signature": ("hub feed",),
    "feed-mixed": ("hub feed",),
    "feed-incomplete": ("hub feed",),
    "program-failed": ("hub clock",),  # what just came is older than the clock lets it be
}


class Person:
    """A thread that does `turn` again and again until `over`; what went wrong for good is raised there."""

    pause_s = (0.05, 0.3)

    def __init__(self, stage: Stage, seed: int, trouble: Trouble) -> None:
        self.stage, self.random = stage, random.Random(f"{type(self).__name__} {seed}")
        self.trouble = trouble
        self.did: Counter[str] = Counter()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)

    def begin(self) -> None:
        """Start to work."""
        self._thread.start()

    def tell_over(self) -> None:
        """Finish what is begun, and stop."""
        self._over.set()

    def wait_over(self) -> bool:
        """Has this person stopped within three minutes?"""
        self._thread.join(180)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what this person found wrong."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self.turn()
                self._over.wait(self.random.uniform(*self.pause_s))
        except BaseException as error:
            self._error = error

    def turn(self) -> None:
        """One piece of work."""
        raise NotImplementedError

    def command(self, *words: str) -> tuple[int, Any]:
        """Run `teachpoint …`; its status, and its facts or error. It fails for a reason."""
        began = time.monotonic()
        running = self.stage.start(*words)
        out, err = running.communicate(timeout=180)
        assert "Traceback" not in err, err
        name = f"{words[0]} {words[1]}"
        self.did[f"{name}: {running.returncode}"] += 1
        if running.returncode == 0:
            return 0, json.loads(out)
        if running.returncode == KILLED:
            return KILLED, None
        if words[1] == "fsck" and running.returncode == 1 and out:
            return 1, json.loads(out)
        error = json.loads(err.strip().splitlines()[-1])["error"]
        self.did[f"{name}: {error['code']}"] += 1
        assert error["code"] in USUAL or self.trouble.was(EXPLAINED.get(error["code"], ()), began), (
            name, running.returncode, err[-3000:])
        return running.returncode, error


class Admin(Person):
    """Writes lessons and new versions of them, publishes all that lies there, assigns it; now and then reads
    the library again."""

    most_lessons = 12
    pause_s = (0.0, 1.0)

    def __init__(self, stage: Stage, seed: int, trouble: Trouble) -> None:
        super().__init__(stage, seed, trouble)
        self.source = stage.place / "lessons"
        #: What the hub has promised the site: id of a package → path → bytes.
        self.published: dict[str, dict[str, bytes]] = {}
        #: SHA-256 of all that was ever written: nothing else may come out of the box.
        self.written: set[str] = set()

    def turn(self) -> None:
        """One or two lessons changed or new; published and assigned however often that is cut off."""
        for _ in range(self.random.randint(1, 2)):
            self._write(self.random.randint(1, min(self.most_lessons, len(self.published) + 2)))
        if self.random.random() < 0.15:
            self.command("hub", "fsck", "--data", str(self.stage.hub_data))
        self.publish()

    def publish(self) -> None:
        """Publish all that lies there, and assign it, until it is done."""
        published = self._until_done("hub", "publish", str(self.source), "--data", str(self.stage.hub_data))
        ids = [one["id"] for one in published]
        self._until_done("hub", "assign", *ids, "--to", self.stage.site, "--data", str(self.stage.hub_data))
        self.published = {one["id"]: {
            path.relative_to(one["source"]).as_posix(): path.read_bytes()
            for path in Path(one["source"]).rglob("*") if path.is_file()} for one in published}

    def _until_done(self, *words: str) -> Any:
        while True:
            status, facts = self.command(*words)
            if status == 0:
                return facts
            time.sleep(0.2)

    def _write(self, number: int) -> None:
        chance = self.random
        here = self.source / f"第{number:02}课"
        (here / "练习").mkdir(parents=True, exist_ok=True)
        self._put(here / "课件.bin", chance.randbytes(chance.randint(1, 3_000_000)))
        for page in range(12):
            text = f"{chance.random()} 早晨\n" * chance.randint(1, 400)
            self._put(here / f"词语{page:02}.txt", text.encode())
        self._put(here / "练习" / "index.html", f"<p>{chance.random()}<script src=a.js></script>".encode())
        self._put(here / "练习" / "a.js", f"'{chance.random()}'".encode())

    def _put(self, path: Path, data: bytes) -> None:
        self.written.add(hashlib.sha256(data).hexdigest())
        path.write_bytes(data)


class Technician(Person):
    """Asks for a sync by hand, again and again; now and then reads the box's library again, or carries a
    stick that may have lain about for a while."""

    pause_s = (0.0, 0.8)

    def __init__(self, stage: Stage, seed: int, trouble: Trouble, rot: Rot) -> None:
        super().__init__(stage, seed, trouble)
        self._rot = rot
        self._stick = stage.place / "stick"
        self._stick.mkdir()

    def turn(self) -> None:
        """One command."""
        do = self.random.choices((self._sync, self.read_again, self._fill, self._plug_in, self._bring_back),
                                 (14, 2, 1, 1, 1))[0]
        do()

    def read_again(self) -> int:
        """Read the box's library again; what had rotted before may not be shown from then on."""
        sought = self._rot.sought()
        status, _ = self.command("box", "fsck", "--data", str(self.stage.box_data))
        if status in (0, 1):
            for one in sought:
                one.found = True
        return status

    def _sync(self) -> None:
        self.command("box", "sync", "--once", "--data", str(self.stage.box_data))

    def _fill(self) -> None:
        self.command("hub", "carry", self.stage.site, "--to", str(self._stick),
                     "--data", str(self.stage.hub_data))

    def _plug_in(self) -> None:
        if any(self._stick.iterdir()):
            self.command("box", "sync", "--once", "--from", str(self._stick),
                         "--data", str(self.stage.box_data))

    def _bring_back(self) -> None:
        if (self._stick / "inbox").is_dir():
            self.command("hub", "ingest", "--from", str(self._stick), "--data", str(self.stage.hub_data))


class Bytes:
    """What the box sends: each answer is held against what the admin wrote."""

    def __init__(self, written: set[str], rot: Rot) -> None:
        self._written, self._rot = written, rot
        self._lock = threading.Lock()  # guards the counts
        #: Answers that were whole; those that had rotted on the disk and no check had found yet.
        self.whole = self.rotten = 0

    def check(self, fetch: Callable[[], tuple[int, bytes]], about: object) -> None:
        """Fetch; what comes with status 200 must be something the admin once wrote."""
        found_before = {id(one) for one in self._rot.sought() if one.found}
        status, body = fetch()
        if status != 200:
            assert status in (404, 502, 503), (status, about, body[:300])
            return
        name = hashlib.sha256(body).hexdigest()
        rotten = self._rot.known(name)
        with self._lock:
            if name in self._written:
                self.whole += 1
            else:
                assert rotten is not None, ("bytes that nobody wrote", about, len(body), name)
                assert id(rotten) not in found_before, ("a broken object after it was found", about, rotten)
                self.rotten += 1


class Teacher(Person):
    """Opens lessons, sends files, looks how the box is."""

    def __init__(self, stage: Stage, seed: int, trouble: Trouble, sent_bytes: Bytes) -> None:
        super().__init__(stage, seed, trouble)
        self._bytes = sent_bytes
        #: SHA-256 → bytes of every upload that the page confirmed; SHA-256 of all that were tried.
        self.confirmed: dict[str, bytes] = {}
        self.tried: set[str] = set()
        self.sent = 0
        self.opened = 0
        self.last_seq = 0
        self._cookie = self._token = ""

    def turn(self) -> None:
        """One touch; a page that does not come is asked for later."""
        do = self.random.choices((self._open, self._send, self._look), (5, 3, 2))[0]
        try:
            do()
            self.did[do.__name__.strip("_")] += 1
        except (OSError, HTTPException):
            self.did["no answer"] += 1

    def _open(self) -> None:
        found = self._whole()
        if not found:
            return
        one = self.random.choice(found)
        self.opened += 1
        assert self._ask("GET", f"/r/{one['package']}/{one['id']}")[0] in (200, 404, 502, 503)
        self._fetch(one)

    def _whole(self) -> list[Any]:
        status, _, body = self._ask("GET", "/api/v1/resources?limit=500")
        return [one for one in json.loads(body)["items"] if one["complete"]] if status == 200 else []

    def _fetch(self, one: Any) -> None:
        """404: a new version without it came meanwhile, or a part of it is just lacking."""
        if one["sha256"]:
            path = re.sub(r"^https?://[^/]+", "", plain(one["url"]))
            self._bytes.check(lambda: self._ask("GET", path)[::2], (path, one["sha256"]))

    def _send(self) -> None:
        data = self.random.randbytes(self.random.choice((100, 20_000, 1_500_000)))
        name = hashlib.sha256(data).hexdigest()
        self.tried.add(name)
        if not self._token:
            _, headers, body = self._ask("GET", "/upload")
            token = re.search(rb'name="token" value="(\w+)"', body)
            if token is None:
                return
            self._cookie, self._token = headers["set-cookie"].split(";")[0], token[1].decode()
        self.sent += 1
        began = time.monotonic()
        head = (f'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{self._token}\r\n'
                f'--x\r\nContent-Disposition: form-data; name="file"; filename="练习{self.sent}.bin"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n").encode()
        status, _, body = self._ask("POST", "/upload", head + data + b"\r\n--x--\r\n", Cookie=self._cookie,
                                    Content_Type="multipart/form-data; boundary=x")
        assert status in (303, 502, 503) or self._no_room(status, began), (status, body[-800:])
        if status == 303:
            self.confirmed[name] = data

    def _no_room(self, status: int, began: float) -> bool:
        return status == 507 and self.trouble.was(("box disk",), began)

    def _look(self) -> None:
        status, _, body = self._ask("GET", "/api/v1/status")
        if status == 200:
            seq = json.loads(body)["journal"]["last_seq"]
            assert seq >= self.last_seq, "a record that was told of is gone"
            self.last_seq = seq

    def _ask(self, method: str, path: str, body: bytes | None = None,
             **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.stage.box_port, timeout=20)
        try:
            connection.request(method, quote(path, safe="/?=&%"), body,
                               {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


class Pupil(Teacher):
    """Fetches one file after the other, all the time."""

    pause_s = (0.0, 0.1)

    def turn(self) -> None:
        """Some of what is shown as whole."""
        try:
            found = self._whole()
            for one in self.random.sample(found, min(len(found), 8)):
                self._fetch(one)
            self.did["look"] += 1
        except (OSError, HTTPException):
            self.did["no answer"] += 1
