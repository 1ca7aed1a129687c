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
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.stage import Stage, plain

#: How a command may end that is killed, or whose other side is: killed, the link broken or busy.
KILLED = -9


class Person:
    """A thread that does `turn` again and again until `over`; what went wrong for good is raised there."""

    pause_s = (0.05, 0.3)

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.random = stage, random.Random(f"{type(self).__name__} {seed}")
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
        """Run `teachpoint …`; its status, and its facts or error."""
        running = self.stage.start(*words)
        out, err = running.communicate(timeout=120)
        assert "Traceback" not in err, err
        self.did[f"{words[0]} {words[1]}: {running.returncode}"] += 1
        if running.returncode == 0:
            return 0, json.loads(out)
        if running.returncode != KILLED:
            code = json.loads(err.strip().splitlines()[-1])["error"]["code"]
            self.did[f"{words[0]} {words[1]}: {code}"] += 1
        return running.returncode, None


class Admin(Person):
    """Writes lessons and new versions of them, publishes all that lies there, assigns it."""

    most_lessons = 12
    pause_s = (0.0, 1.0)

    def __init__(self, stage: Stage, seed: int) -> None:
        super().__init__(stage, seed)
        self.source = stage.place / "lessons"
        #: What the hub has promised the site: id of a package → path → bytes.
        self.published: dict[str, dict[str, bytes]] = {}

    def turn(self) -> None:
        """One or two lessons changed or new; published and assigned however often that is cut off."""
        for _ in range(self.random.randint(1, 2)):
            self._write(self.random.randint(1, min(self.most_lessons, len(self.published) + 2)))
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
            assert status == KILLED, (words[:2], status, self.did)

    def _write(self, number: int) -> None:
        chance = self.random
        here = self.source / f"第{number:02}课"
        (here / "练习").mkdir(parents=True, exist_ok=True)
        (here / "课件.bin").write_bytes(chance.randbytes(chance.randint(1, 6_000_000)))
        for page in range(12):
            text = f"{chance.random()} 早晨\n" * chance.randint(1, 400)
            (here / f"词语{page:02}.txt").write_text(text, "utf-8")
        (here / "练习" / "index.html").write_text(f"<p>{chance.random()}<script src=a.js></script>", "utf-8")
        (here / "练习" / "a.js").write_text(f"'{chance.random()}'", "utf-8")


class Technician(Person):
    """Asks for a sync by hand, again and again."""

    pause_s = (0.0, 0.8)
    #: A sync may be cut off, find another one running or the hub away; nothing else.
    usual = (0, 1, 4, KILLED)

    def turn(self) -> None:
        """One sync."""
        status, _ = self.command("box", "sync", "--once", "--data", str(self.stage.box_data))
        assert status in self.usual, (status, self.did)


class Teacher(Person):
    """Opens lessons, sends files, looks how the box is."""

    def __init__(self, stage: Stage, seed: int) -> None:
        super().__init__(stage, seed)
        #: SHA-256 → bytes of every upload that the page confirmed.
        self.confirmed: dict[str, bytes] = {}
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
        status, _, body = self._ask("GET", "/api/v1/resources?limit=100")
        found = [one for one in json.loads(body)["items"] if one["complete"]] if status == 200 else []
        if not found:
            return
        one = self.random.choice(found)
        self.opened += 1
        assert self._ask("GET", f"/r/{one['package']}/{one['id']}")[0] in (200, 404, 503)
        if one["sha256"]:
            status, _, body = self._ask("GET", re.sub(r"^https?://[^/]+", "", plain(one["url"])))
            same = hashlib.sha256(body).hexdigest() == one["sha256"]
            # 404: a new version without this resource; else another version's bytes, whole all the same
            assert status in (404, 503) or same or self._known(body), (one, status, len(body))

    def _known(self, body: bytes) -> bool:
        """Is this a whole object of the hub?"""
        name = hashlib.sha256(body).hexdigest()
        return (self.stage.hub_data / "library" / "objects" / name[:2] / name).is_file()

    def _send(self) -> None:
        data = self.random.randbytes(self.random.choice((100, 20_000, 1_500_000)))
        if not self._token:
            _, headers, body = self._ask("GET", "/upload")
            token = re.search(rb'name="token" value="(\w+)"', body)
            if token is None:
                return
            self._cookie, self._token = headers["set-cookie"].split(";")[0], token[1].decode()
        self.sent += 1
        head = (f'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{self._token}\r\n'
                f'--x\r\nContent-Disposition: form-data; name="file"; filename="练习{self.sent}.bin"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n").encode()
        status, _, body = self._ask("POST", "/upload", head + data + b"\r\n--x--\r\n", Cookie=self._cookie,
                                    Content_Type="multipart/form-data; boundary=x")
        assert status in (303, 503), (status, body[-800:])
        if status == 303:
            self.confirmed[hashlib.sha256(data).hexdigest()] = data

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
