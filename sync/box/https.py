"""`Transport` over HTTPS: files of the hub by many small questions, several connections, one thread.

A whole sync is a few questions: the feed as one file, answered by "as you know it" in most cases; then what
is lacking, in pieces, so many at once as the line carries without making others wait (`sync.box.window`).
Small texts of a new package come as one pack, other texts squeezed. What rsync does better goes through it
over SSH: differences to a similar object, and uploads. So does all where the hub's HTTPS port cannot be
reached.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sync import news
from sync.box.fetching import Fetching
from sync.box.http2 import Exchange
from sync.box.https_pool import Pool, hub_names_port
from sync.box.rsync_ssh import RsyncSsh
from sync.canonical import sha256_hex
from sync.clock import SYSTEM
from sync.desired import DESIRED_NAME
from sync.durable import disk_errors, make_folder, write_file
from sync.errors import Refused, Unreachable
from sync.layout import object_path
from sync.logs import log
from sync.pairing import Pairing
from sync.staging import size_of, unfinished
from sync.transport import Arrived, Moved, Progress, Transport, Wanted, segments_first, silent, unheard

#: After the HTTPS port could not be reached while SSH could, it is not tried for so long, in seconds.
AGAIN_AFTER_S = 600.0
#: Largest segment sent in one request, in bytes, larger ones go through rsync; and how many at once.
MOST_PUT_BYTES, PUT_TOGETHER = 4 * 1024 * 1024, 16


class Https:
    """A `Transport` to the hub of `pairing`. `run_folder` gets keys while a link is opened; `library` holds
    the objects that the box has."""

    carrier = False

    def __init__(self, pairing: Pairing, run_folder: Path, library: Path) -> None:
        self._pairing, self._run_folder, self._library = pairing, run_folder, library
        #: What the hub called the feed when it came, and what it was.
        self._tag = run_folder / "news-tag"
        self._pool = Pool(pairing, run_folder / "https")
        self._ssh = RsyncSsh(pairing, run_folder, library)
        self._bytes_per_s: float | None = None
        self._only_ssh = not hub_names_port(pairing)
        self._told = Moved()  # what the calls have reported of HTTPS
        self._early: _Answer | None = None  # the feed, asked for before it was wanted

    @property
    def name(self) -> str:
        """What carries: `https`, or `ssh` where that port cannot be reached."""
        return "ssh" if self._only_ssh else "https"

    def limit(self, bytes_per_s: float | None) -> None:
        """As `Transport.limit`."""
        self._bytes_per_s = bytes_per_s
        self._ssh.limit(bytes_per_s)

    def fetch_feed(self, into: Path) -> Moved:
        """As `Transport.fetch_feed`: one question, about 150 bytes both ways on an open connection where
        nothing has changed."""
        if not self._ready():
            return self._ssh.fetch_feed(into)
        with disk_errors(into):
            make_folder(into)
        tag = self._known_tag(into)
        answer, self._early = self._early, None
        moved = Moved()
        if answer is None or (answer.status == 304 and not tag):
            answer = _news(tag)
            moved = self._exchange([answer])
        if answer.status == 304:
            return moved
        if answer.status == 404:  # a hub that has not written it yet
            return moved + self._ssh.fetch_feed(into)
        self._hold(answer)
        files = news.parse(bytes(answer.body), self._pairing.site)
        with disk_errors(into):
            changed = _mirror(files, into)
            write_file(self._tag, f"{answer.headers.get('etag', '')}\n{_content(into)}".encode())
        if any(name.endswith(DESIRED_NAME) for name in changed):
            self._pool.widen()  # lessons, mostly: their connections are there when their names are known
        return moved + Moved(files=len(changed))

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path,
                      progress: Progress = silent, arrived: Arrived = unheard) -> Moved:
        """As `Transport.fetch_objects`."""
        if not self._ready():
            return self._ssh.fetch_objects(wanted, staging, progress, arrived)
        with disk_errors(staging):
            make_folder(staging)
        missing = unfinished(wanted, staging, arrived)
        differences = [one for one in missing if one.like and self._has(one.like)]
        whole = [one for one in missing if one not in differences]
        moved, before = Moved(), 0
        if whole:
            before = sum(one.size - max(size_of(staging / one.sha256), 0) for one in whole)
            fetching = Fetching(self._pool, whole, staging, self._library, arrived, self._bytes_per_s)
            moved = self._counted(lambda: fetching.run(progress))
            moved += Moved(files=fetching.files)
        if differences:
            moved += self._ssh.fetch_objects(differences, staging, lambda done: progress(before + done),
                                             arrived)
        return moved

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        """As `Transport.push_outbox`: records in one request each, all at once; uploads through rsync."""
        there = [path for path in segments_first(paths) if size_of(outbox / path) >= 0]
        small = [path for path in there if path.startswith("segments/")
                 and size_of(outbox / path) <= MOST_PUT_BYTES]
        moved = Moved()
        if small and self._ready():
            taken = set[str]()
            for first in range(0, len(small), PUT_TOGETHER):
                moved += self._put(outbox, small[first:first + PUT_TOGETHER], taken)
                progress(moved.sent_bytes)
            # What the hub could not take this way is for rsync, which also finds words for why.
            there = [path for path in there if path not in taken]
        if there:
            sent = moved.sent_bytes
            moved += self._ssh.push_outbox(outbox, there, lambda done: progress(sent + done))
        return moved

    def beside(self) -> Transport | None:
        """As `Transport.beside`: an SSH link of its own."""
        return None if self._only_ssh else RsyncSsh(self._pairing, self._run_folder / "up", self._library)

    def close(self) -> Moved:
        """End the link; what it carried beyond what the calls reported."""
        pool, told = self._pool, self._told
        pool.close()
        self._told = Moved(pool.received_bytes, pool.sent_bytes)
        return self._ssh.close() + Moved(max(pool.received_bytes - told.received_bytes, 0),
                                         max(pool.sent_bytes - told.sent_bytes, 0))

    def _ready(self) -> bool:
        """Open the connection unless it is open; False where SSH must do. Raises Refused `host-key-changed`,
        `pairing-bad`; NoRoom `disk-full`."""
        if self._only_ssh or self._pool.open:
            return not self._only_ssh
        note = self._run_folder / "https-failed"
        with contextlib.suppress(OSError, ValueError):
            if 0 <= SYSTEM.monotonic() - float(note.read_text()) < AGAIN_AFTER_S:
                self._only_ssh = True
                return False
        try:
            self._pool.start()
        except Unreachable as error:
            log("box.https").info("port-unreachable", reason=error.facts.get("reason"))
            self._ssh.open()  # where that fails too, nothing is wrong with the port
            write_file(note, str(SYSTEM.monotonic()).encode())
            self._only_ssh = True
            return False
        return True

    def _put(self, outbox: Path, paths: Sequence[str], taken: set[str]) -> Moved:
        """Send some segments at once; adds those that the hub has taken. When the link is new, the feed is
        asked for in the same breath, because it comes next: that saves a round trip."""
        with disk_errors(outbox):
            answers = {path: _Answer("PUT", f"/v1/inbox/{path}", body=(outbox / path).read_bytes())
                       for path in paths}
        asked = list(answers.values())
        if self._told == Moved():
            self._early = _news(self._kept_tag()[0])
            asked.append(self._early)
        moved = self._exchange(asked)
        taken |= {path for path, answer in answers.items() if answer.status in (201, 204)}
        return moved + Moved(files=len(taken & answers.keys()))

    def _exchange(self, answers: list[_Answer]) -> Moved:
        """Ask all at once and wait for all."""
        def run() -> None:
            for answer in answers:
                self._pool.ask(answer.exchange)
            while not all(answer.done for answer in answers):
                self._pool.pump()
        moved = self._counted(run)
        for answer in answers:
            if answer.failure:
                raise Unreachable("link-broken", hub=self._pairing.hub.name, reason=answer.failure)
        return moved

    def _counted(self, act: Callable[[], None]) -> Moved:
        """Do it; what moved meanwhile, less what calls that a callback made have reported themselves."""
        received, sent, told = self._pool.received_bytes, self._pool.sent_bytes, self._told
        act()
        moved = Moved(
            self._pool.received_bytes - received - (self._told.received_bytes - told.received_bytes),
            self._pool.sent_bytes - sent - (self._told.sent_bytes - told.sent_bytes))
        self._told += moved
        return moved

    def _hold(self, answer: _Answer) -> None:
        """Raise what an answer means that is none."""
        hub = self._pairing.hub
        if answer.status == 403:
            raise Refused("key-refused", site=self._pairing.site, hub=hub.name, address=hub.addresses[0],
                          port=hub.https_port, reason="HTTP 403")
        if answer.status != 200:
            raise Refused("hub-refuses", hub=hub.name, reason=f"HTTP {answer.status}")

    def _known_tag(self, folder: Path) -> str:
        """The hub's name for what lies in `folder`; "" where it is not that any more."""
        tag, content = self._kept_tag()
        with contextlib.suppress(OSError):
            if tag and content == _content(folder):
                return tag
        return ""

    def _kept_tag(self) -> tuple[str, str]:
        """What the hub called the feed when it came, and the hash of what that was; "" where nobody knows."""
        with contextlib.suppress(OSError, UnicodeError):
            tag, _, content = self._tag.read_text().partition("\n")
            return tag, content
        return "", ""

    def _has(self, sha256: str) -> bool:
        return size_of(self._library / object_path(sha256)) >= 0


class _Answer:
    """An exchange whose answer is small, and the answer."""

    def __init__(self, method: str, path: str, headers: list[tuple[str, str]] | None = None,
                 body: bytes = b"") -> None:
        self.status, self.headers, self.body = 0, dict[str, str](), bytearray()
        self.done, self.failure = False, ""
        self.exchange = Exchange(method, path, self._head, self._data, self._end, self._fail,
                                 headers or [], body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers

    def _data(self, data: bytes) -> None:
        if len(self.body) <= news.MOST_PACKED_BYTES:
            self.body += data

    def _end(self) -> None:
        self.done = True

    def _fail(self, reason: str) -> None:
        self.done, self.failure = True, reason


def _news(tag: str) -> _Answer:
    """The question for the feed; `tag`: what the hub called the one that is known, or ""."""
    return _Answer("GET", "/v1/news", [("if-none-match", tag)] if tag else [])


def _mirror(files: Mapping[str, bytes], into: Path) -> set[str]:
    """Make a folder hold these files and nothing else; which were written."""
    for path in list(into.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in files or not path.is_file() or path.is_symlink():
            path.unlink()
    changed = {name: data for name, data in files.items()
               if not (into / name).exists() or (into / name).read_bytes() != data}
    for name, data in changed.items():
        write_file(into / name, data)
    return set(changed)


def _content(folder: Path) -> str:
    """One hash of all files of a feed folder."""
    return sha256_hex(b"".join(path.name.encode() + b"\0" + path.read_bytes() + b"\0"
                               for path in sorted(folder.iterdir()) if path.is_file()))
