"""What `sync.transport.Transport` promises, held against each: a folder, and rsync over a real sshd.

The whole of a sync over SSH (one login, little traffic, after a kill) stands in test_link.py.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sync import news
from sync import pairing as pairing_format
from sync.box import https, rsync_ssh
from sync.box.downloads import AHEAD_FOLDER
from sync.box.rsync_ssh import FEED_TRIES, RsyncSsh
from sync.box.session import sync_once
from sync.box.state import Box, init_box
from sync.directory import Directory
from sync.errors import NoRoom, Refused, Unreachable
from sync.hub.assign import assign
from sync.hub.https import Https as HubHttps
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site
from sync.hub.sshd import Sshd
from sync.layout import object_path
from sync.transport import MOST_FEED_FILE_BYTES, Transport, Wanted
from sync.trust import FEED_FILE
from tests.e2e.relay import Relay
from tests.e2e.stage import can_connect, free_port, temporary_files, wait_for

pytestmark = pytest.mark.e2e

SITE = "s1"
MIB = 1024 * 1024


class Enough(Exception):
    """Raised by a callback: the caller wants no more."""


class Line:
    """A hub's tree with one site, the box's pairing, and a transport between them."""

    transport: Transport
    #: Bytes that can be under way when a caller interrupts; they come all the same.
    under_way = 0

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self.hub: Hub = init_hub(place / "hub", "中心校", ["127.0.0.1"], self.port)
        self.pairing = add_site(self.hub, SITE, "一号")
        self.tree, self.feed = place / "hub", place / "hub" / "feed" / SITE
        self.inbox = place / "hub" / "inbox" / SITE

    def give(self, data: bytes) -> Wanted:
        """Put an object into the hub's library."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.tree / "library" / object_path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return Wanted(sha256, len(data))

    def say(self) -> None:
        """The hub says what stands in its feed folder now."""

    def hold(self, *, down: float = float("inf"), up: float = float("inf")) -> None:
        """Let so many more bytes pass, then nothing (where there is a line that can be held)."""

    def held(self) -> bool:
        """Has all passed that may?"""
        return True

    def free(self) -> None:
        """Let all pass."""

    def go(self) -> None:
        """The other side goes away."""
        raise NotImplementedError

    def come_back(self) -> None:
        """It is there again."""
        raise NotImplementedError

    def stop(self) -> None:
        self.transport.close()


class Leaving:
    """Progress at which the other side goes away, once."""

    def __init__(self, line: Line) -> None:
        self._line, self.went = line, False

    def __call__(self, done: int) -> None:
        if not self.went and done >= MIB:
            self.went = True
            self._line.go()


class Folder(Line):
    """The tree as a stick: gone when it is pulled out, its mount point stays as an empty folder."""

    gone, broken = "carrier-gone", "carrier-gone"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.transport = Directory(self.tree, SITE)

    def go(self) -> None:
        self.tree.rename(self.place / "pulled out")
        self.tree.mkdir()

    def come_back(self) -> None:
        self.tree.rmdir()  # nothing was written to where the stick had been
        (self.place / "pulled out").rename(self.tree)


class Ssh(Line):
    """The hub's own sshd behind a line that can be held."""

    gone, broken = "hub-unreachable", "link-broken"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.relay = Relay(self.port)
        self.pairing = msgspec.structs.replace(self.pairing, hub=msgspec.structs.replace(
            self.pairing.hub, ssh_port=self.relay.port))
        self.transport = RsyncSsh(self.pairing, place / "run", place / "library")
        self.come_back()

    def hold(self, *, down: float = float("inf"), up: float = float("inf")) -> None:
        self.relay.hold(down=down, up=up)

    def held(self) -> bool:
        return self.relay.held()

    def free(self) -> None:
        self.relay.free()

    def go(self) -> None:
        self.sshd.stop()

    def come_back(self) -> None:
        self.relay.free()
        self.sshd = Sshd(self.hub, ("127.0.0.1", self.port), lambda _site: None)

    def stop(self) -> None:
        super().stop()
        self.sshd.stop()
        self.relay.stop()


class OverHttps(Ssh):
    """The hub's nginx behind a line that can be held, and its sshd behind another."""

    under_way = 2 * MIB  # the window; 1.2 MiB were seen on loopback

    def __init__(self, place: Path) -> None:
        self.https_port = free_port()
        self.https_relay = Relay(self.https_port)
        super().__init__(place)
        pairing = self.pairing
        self.pairing = msgspec.structs.replace(pairing, hub=msgspec.structs.replace(
            pairing.hub, https_port=self.https_relay.port))
        self.transport = https.Https(self.pairing, place / "run", place / "library")

    def say(self) -> None:
        files = {name: data for name, data in files_below(self.feed).items() if FEED_FILE.fullmatch(name)}
        path = self.hub.layout.news(SITE)
        before = int(path.stat().st_mtime)
        path.write_bytes(news.dump(SITE, files))
        os.utime(path, (before + 1, before + 1))

    def hold(self, *, down: float = float("inf"), up: float = float("inf")) -> None:
        super().hold(down=down, up=up)
        self.https_relay.hold(down=down, up=up)

    def held(self) -> bool:
        return self.relay.held() or self.https_relay.held()

    def free(self) -> None:
        super().free()
        self.https_relay.free()

    def go(self) -> None:
        super().go()
        self.https.stop()

    def come_back(self) -> None:
        super().come_back()
        self.https_relay.free()
        self.https = HubHttps(self.hub, ("127.0.0.1", self.https_port), lambda _site: None,
                              lambda _problem: None)
        self.https.start()
        wait_for("nginx", lambda: can_connect(self.https_port))

    def stop(self) -> None:
        super().stop()
        self.https.stop()
        self.https_relay.stop()


@pytest.fixture(params=[Folder, Ssh, OverHttps], ids=["directory", "ssh", "https"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    made: Line = request.param(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize(("replaced", "runs"), [(1, 2), (9, FEED_TRIES)])
def test_a_feed_that_is_replaced_while_it_comes_is_fetched_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: int, runs: int) -> None:
    """rsync's words where files of the hub vanish: said by the real one, but at will."""
    line = Ssh(tmp_path)
    try:
        (tmp_path / "bin").mkdir()
        program, counted = tmp_path / "bin" / "rsync", tmp_path / "counted"
        program.write_text(f"""#!/bin/sh
echo >> {counted}
{shutil.which("rsync")} "$@" || exit
[ $(wc -l < {counted}) -gt {replaced} ] && exit 0
echo "rsync warning: some files vanished before they could be transferred (code 24) at main.c(1956)" >&2
exit 24
""")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        line.transport.fetch_feed(tmp_path / "came")
        assert files_below(tmp_path / "came") == files_below(line.feed)
        assert counted.read_text().count("\n") == runs
    finally:
        line.stop()


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    (folder := tmp_path / "staging").mkdir()
    return folder


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    (folder := tmp_path / "outbox").mkdir()
    return folder


def staged(staging: Path) -> dict[str, int]:
    """name → size of what lies in staging."""
    return {path.name: path.stat().st_size for path in staging.iterdir() if not path.name.startswith(".")}


def put_aside(staging: Path) -> int:
    """Bytes of pieces that came before their turn and wait beside the files."""
    folder = staging / AHEAD_FOLDER
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0


def files_below(folder: Path) -> dict[str, bytes]:
    """What regular files there are, by their path; links and special files by what they are."""
    return {os.fsdecode(path.relative_to(folder)): path.read_bytes()
            if path.is_file() and not path.is_symlink() else b"(special)"
            for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def raising_once(ripe: Callable[[int], bool]) -> Callable[[int], None]:
    """A progress callback that ends the transfer when `ripe`."""
    def progress(done: int) -> None:
        if ripe(done):
            raise Enough
    return progress


def write(outbox: Path, name: str, data: bytes) -> str:
    (outbox / name).parent.mkdir(parents=True, exist_ok=True)
    (outbox / name).write_bytes(data)
    return name


def segment(outbox: Path, data: bytes = b"segment", number: int = 1) -> str:
    return write(outbox, f"segments/{'b' * 32}/{number:010}.segment", data)


def upload(outbox: Path, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    return write(outbox, f"objects/{sha256[:2]}/{sha256}", data)


# -- down -------------------------------------------------------------------------------------------


def test_objects_come_and_what_the_hub_lacks_is_simply_not_there(line: Line, staging: Path) -> None:
    """2,000 files, one of them empty, and a missing one between them, in one call; each is told of once, when
    it is whole, and may be moved away at once."""
    rng = random.Random(7)
    there = [line.give(b"%d " % number + rng.randbytes(rng.randint(0, 900))) for number in range(1999)]
    there.append(line.give(b""))
    lacking = Wanted("0" * 64, 10)
    adopted = line.place / "adopted"
    adopted.mkdir()
    told: list[str] = []
    done: list[int] = []

    def arrived(sha256: str) -> None:
        told.append(sha256)
        if len(told) % 2:
            (staging / sha256).rename(adopted / sha256)

    wanted = [*there[:1000], lacking, *there[1000:]]
    moved = line.transport.fetch_objects(wanted, staging, done.append, arrived)
    assert sorted(told) == sorted(one.sha256 for one in there)
    assert not (staging / lacking.sha256).exists()
    for folder in (staging, adopted):
        for name in staged(folder):
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == name
    assert len(staged(staging)) == len(staged(adopted)) == 1000
    total = sum(one.size for one in there)
    assert done == sorted(done) and done[-1] == total, "progress only grows, and ends at the total"
    assert moved.files == 2000
    assert total <= moved.received_bytes < total + 2000 * 150


def test_what_is_there_already_is_told_and_not_sent_again(line: Line, staging: Path) -> None:
    whole, longer = (line.give(random.Random(n).randbytes(MIB)) for n in range(2))
    line.transport.fetch_objects([whole, longer], staging)
    with (staging / longer.sha256).open("ab") as file:
        file.write(b"more than there is")
    told: list[str] = []
    moved = line.transport.fetch_objects([whole, longer, whole], staging, arrived=told.append)
    assert sorted(told) == sorted([whole.sha256, longer.sha256]), "each once"
    assert MIB <= moved.received_bytes < MIB * 1.05, "a file longer than its object comes anew, alone"
    assert hashlib.sha256((staging / longer.sha256).read_bytes()).hexdigest() == longer.sha256
    quiet = line.transport.fetch_objects([whole, longer], staging)
    assert quiet.received_bytes == quiet.files == 0


def test_a_caller_interrupts_and_the_next_call_goes_on_from_there(line: Line, staging: Path) -> None:
    data = random.Random(2).randbytes(16 * MIB)
    one = line.give(data)
    line.hold(down=6 * MIB)
    with pytest.raises(Enough):
        line.transport.fetch_objects([one], staging, raising_once(lambda done: done >= 4 * MIB))
    line.free()
    kept, aside = staged(staging)[one.sha256], put_aside(staging)
    assert 4 * MIB <= kept + aside < 7 * MIB
    assert (staging / one.sha256).read_bytes() == data[:kept], "in its place, and nothing but its beginning"
    done: list[int] = []
    moved = line.transport.fetch_objects([one], staging, done.append)
    assert (staging / one.sha256).read_bytes() == data
    assert done[-1] == len(data) - kept
    rest = len(data) - kept
    assert rest - aside <= moved.received_bytes < rest * 1.01 + 1000 + line.under_way


def test_an_interruption_where_a_file_arrived_keeps_it(line: Line, staging: Path) -> None:
    first, second = (line.give(random.Random(n).randbytes(5 * MIB)) for n in range(2))

    def arrived(sha256: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        line.transport.fetch_objects([first, second], staging, arrived=arrived)
    assert staged(staging)[first.sha256] == first.size
    line.transport.fetch_objects([first, second], staging)
    assert staged(staging) == {first.sha256: first.size, second.sha256: second.size}


def test_the_other_side_goes_away_in_the_middle(line: Line, staging: Path) -> None:
    first, second = (line.give(random.Random(n).randbytes(8 * MIB)) for n in range(2))
    line.hold(down=5 * MIB)
    leaving = Leaving(line)
    with pytest.raises(Unreachable) as raised:
        line.transport.fetch_objects([first, second], staging, leaving)
    assert leaving.went and raised.value.code == line.broken
    kept = sum(staged(staging).values())
    assert kept >= MIB
    with pytest.raises(Unreachable) as raised:
        line.transport.fetch_objects([second], staging)
    assert raised.value.code == line.gone
    with pytest.raises(Unreachable) as raised:
        line.transport.fetch_feed(line.place / "feed-copy")
    assert raised.value.code == line.gone
    line.come_back()
    moved = line.transport.fetch_objects([first, second], staging)
    left = 16 * MIB - kept
    assert left - line.under_way <= moved.received_bytes < left * 1.01 + 2000
    assert staged(staging) == {first.sha256: first.size, second.sha256: second.size}


def test_wrong_bytes_are_noticed_by_the_sync_and_fetched_again(line: Line) -> None:
    """No transport verifies. A beginning that rotted in staging makes a whole file with a wrong hash: the
    sync drops it, and the second try is whole."""
    folder = line.place / "课"
    folder.mkdir()
    (folder / "a.txt").write_bytes(data := os.urandom(50_000))
    published = publish(line.hub, folder)
    assign(line.hub, [published.id], [SITE])
    pairing_format.write(line.place / "s1.toml", line.pairing)
    box: Box = init_box(line.place / "box", line.place / "s1.toml")
    sha256 = hashlib.sha256(data).hexdigest()
    box.layout.staging.mkdir(exist_ok=True)
    (box.layout.staging / sha256).write_bytes(b"rotten" + data[6:30_000])
    report = sync_once(box, line.transport)
    assert report.ok and report.left == 0 and report.packages == 1
    assert box.store.path(sha256).read_bytes() == data
    assert report.received_bytes >= 70_000, "the second half, then all of it"
    assert staged(box.layout.staging) == {}


def test_a_full_disk_here_is_said_and_what_came_is_kept(line: Line, staging: Path) -> None:
    one, two = (line.give(os.urandom(2 * MIB)) for _ in range(2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(NoRoom) as raised:
            line.transport.fetch_objects([one, two], staging)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.code == "disk-full"
    line.transport.fetch_objects([one, two], staging)
    assert staged(staging) == {one.sha256: one.size, two.sha256: two.size}


# -- the feed ---------------------------------------------------------------------------------------


def test_the_feed_is_mirrored_and_a_second_time_nothing_is_sent(line: Line, tmp_path: Path) -> None:
    into = tmp_path / "copy"
    first = line.transport.fetch_feed(into)
    assert files_below(into) == files_below(line.feed) != {}
    assert first.files == len(files_below(into))
    assert line.transport.fetch_feed(into).files == 0
    timestamp = line.feed / "timestamp.json"
    times = timestamp.stat()
    timestamp.write_bytes(timestamp.read_bytes()[::-1])
    os.utime(timestamp, ns=(times.st_atime_ns, times.st_mtime_ns))
    (line.feed / "1.targets.json").unlink()
    (into / "stray").mkdir()
    (into / "stray" / "file").write_bytes(b"x")
    line.say()
    assert line.transport.fetch_feed(into).files == 1, "same size, same time, other bytes"
    assert files_below(into) == files_below(line.feed)
    assert not (into / "stray").exists()


def test_hostile_names_and_things_in_a_feed_stay_inside_its_copy(line: Line, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    for name in (b"\xff\xfe", b"a\nb", b"-rf", b"..x", b"sub/..y/deep", "名 字".encode()):
        path = line.feed / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name)
    expected = files_below(line.feed)
    (line.feed / "link").symlink_to(tmp_path / "secret")
    (line.feed / "folder-link").symlink_to(tmp_path)
    os.mkfifo(line.feed / "pipe")
    with (line.feed / "large").open("wb") as large:
        large.truncate(MOST_FEED_FILE_BYTES + 1)
    line.say()
    before = files_below(tmp_path)
    line.transport.fetch_feed(tmp_path / "box" / "feed")
    if line.transport.name == "https":  # as one file, it is the feed alone
        expected = {name: data for name, data in expected.items() if FEED_FILE.fullmatch(name)}
    assert files_below(tmp_path / "box" / "feed") == expected
    after = {name: data for name, data in files_below(tmp_path).items()
             if not name.startswith(("box/feed/", "run/"))}
    assert after == {name: data for name, data in before.items() if not name.startswith("run/")}


def test_only_regular_files_are_objects(line: Line, staging: Path, tmp_path: Path) -> None:
    """A link to a file of this machine, a pipe that would be read for ever, a folder: as if not there."""
    (tmp_path / "secret").write_bytes(b"secret")
    good = line.give(b"good")
    wanted = [Wanted(digit * 64, 6) for digit in "abcd"]
    paths = [line.tree / "library" / object_path(one.sha256) for one in wanted]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    paths[0].symlink_to(tmp_path / "secret")
    os.mkfifo(paths[1])
    paths[2].mkdir()
    paths[3].symlink_to("/dev/zero")
    told: list[str] = []
    line.transport.fetch_objects([*wanted, good], staging, arrived=told.append)
    assert told == [good.sha256]
    assert staged(staging) == {good.sha256: good.size}


# -- up ---------------------------------------------------------------------------------------------


def test_what_is_pushed_lies_whole_in_the_inbox_and_is_not_sent_twice(
        line: Line, outbox: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsync_ssh, "TICK_S", 0.001)  # progress is told to the very end of each run
    names = [upload(outbox, os.urandom(300_000)), segment(outbox), upload(outbox, b"")]
    told: list[int] = []
    vanished = f"segments/{'b' * 32}/0000000009.segment"
    moved = line.transport.push_outbox(outbox, [*names, vanished], told.append)
    assert files_below(line.inbox) == files_below(outbox)
    assert moved.files == 3 and 300_000 <= moved.sent_bytes < 310_000
    assert told == sorted(told) and told[-1] == moved.sent_bytes
    assert line.transport.push_outbox(outbox, names).sent_bytes < 3000
    assert files_below(line.inbox) == files_below(outbox)
    assert "inbox-file-replaced" not in capsys.readouterr().err, "the same bytes are nothing to warn of"
    assert line.transport.push_outbox(outbox, []).sent_bytes == 0


def test_segments_are_there_before_any_object(line: Line, outbox: Path) -> None:
    names = [upload(outbox, os.urandom(1000)), segment(outbox), segment(outbox, number=2)]
    order: list[tuple[int, int]] = []
    line.transport.push_outbox(outbox, names, lambda _sent: order.append(
        (len(list(line.inbox.glob("segments/*/*.segment"))), len(list(line.inbox.glob("objects/??/?*"))))))
    assert (2, 0) in order
    assert all(segments == 2 for segments, objects in order if objects)


def test_other_bytes_under_the_same_name_replace_those_there_whole(
        line: Line, outbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [segment(outbox, b"first"), upload(outbox, b"x" * 100_000)]
    line.transport.push_outbox(outbox, names)
    for name in names:  # damaged at the other side: same size, same time
        times = (path := line.inbox / name).stat()
        path.write_bytes(path.read_bytes()[::-1].replace(b"x", b"y"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert line.transport.push_outbox(outbox, names).files == 2
    assert files_below(line.inbox) == files_below(outbox)
    assert "inbox-file-replaced" in capsys.readouterr().err


def test_a_push_that_is_cut_off_shows_nothing_unfinished_and_goes_on(line: Line, outbox: Path) -> None:
    first, second = (upload(outbox, random.Random(n).randbytes(12 * MIB)) for n in range(2))
    first, second = sorted((first, second))
    line.hold(up=18 * MIB)
    stop = raising_once(lambda done: done > 12 * MIB and line.held())
    with pytest.raises(Enough):
        line.transport.push_outbox(outbox, [first, second], stop)
    line.free()
    line.transport.close()
    # Its session at the hub may still be ending, and giving what had come its name.
    wait_for("no unfinished file", lambda: not list(temporary_files(line.inbox)))
    there = {name for name in files_below(line.inbox) if ".tmp-" not in name}
    assert first in there or line.transport.name == "ssh"  # its session at the hub may still be ending
    for name in there:
        assert (line.inbox / name).read_bytes() == (outbox / name).read_bytes()
    moved = line.transport.push_outbox(outbox, [first, second])
    assert files_below(line.inbox) == files_below(outbox)
    assert moved.sent_bytes < 12 * MIB * 1.01, "the file that was whole is not sent again"
    if line.transport.name == "ssh":
        assert moved.sent_bytes < 9 * MIB, "nor what had come of the other"
    assert list(temporary_files(line.inbox)) == []


def test_the_other_side_goes_away_while_pushing(line: Line, outbox: Path) -> None:
    names = sorted(upload(outbox, random.Random(n).randbytes(6 * MIB)) for n in range(2))
    line.hold(up=8 * MIB)
    leaving = Leaving(line)
    with pytest.raises(Unreachable) as raised:
        line.transport.push_outbox(outbox, names, leaving)
    assert leaving.went and raised.value.code == line.broken
    with pytest.raises(Unreachable) as raised:
        line.transport.push_outbox(outbox, names)
    assert raised.value.code == line.gone
    line.come_back()
    line.transport.push_outbox(outbox, names)
    assert files_below(line.inbox) == files_below(outbox)


def test_links_and_special_files_of_an_outbox_are_not_sent(line: Line, outbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    good = segment(outbox)
    link, pipe = (f"objects/{digit * 2}/{digit * 64}" for digit in "ab")
    for name in (link, pipe):
        (outbox / name).parent.mkdir(parents=True)
    (outbox / link).symlink_to(tmp_path / "secret")
    os.mkfifo(outbox / pipe)
    line.transport.push_outbox(outbox, [good, link, pipe])
    assert files_below(line.inbox) == {good: b"segment"}


# -- one of the two alone ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["inbox", f"inbox/{SITE}", f"inbox/{SITE}/segments"])
def test_a_stick_whose_folders_lead_elsewhere_is_not_written_through(
        tmp_path: Path, outbox: Path, place: str) -> None:
    folder = Folder(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = folder.tree / place
    if link.is_dir():
        for path in sorted(link.rglob("*"), reverse=True):
            path.rmdir()
        link.rmdir()
    link.symlink_to(elsewhere)
    with pytest.raises(Refused) as raised:
        folder.transport.push_outbox(outbox, [segment(outbox)])
    assert raised.value.code == "stick-leads-elsewhere"
    assert list(elsewhere.iterdir()) == []


def test_a_line_that_falls_silent_is_noticed_without_anybody_saying_so(tmp_path: Path, staging: Path) -> None:
    """No connection is closed, nothing moves any more: ssh's own questions find out (12 s), long before
    rsync would give up (180 s)."""
    line = Ssh(tmp_path)
    try:
        one = line.give(random.Random(2).randbytes(8 * MIB))
        line.hold(down=2 * MIB, up=2 * MIB)
        line.transport.fetch_feed(tmp_path / "copy")
        line.hold(down=2 * MIB, up=0)
        with pytest.raises(Unreachable) as raised:
            line.transport.fetch_objects([one], staging)
        assert raised.value.code == "link-broken"
        line.free()
        line.transport.fetch_objects([one], staging)
        assert staged(staging) == {one.sha256: one.size}
        assert line.relay.connections == 2, "a new connection, opened by itself"
    finally:
        line.stop()


def test_one_connection_carries_all_calls(tmp_path: Path, staging: Path, outbox: Path) -> None:
    line = Ssh(tmp_path)
    try:
        one = line.give(os.urandom(3 * MIB))
        moved = line.transport.push_outbox(outbox, [segment(outbox)])
        moved += line.transport.fetch_feed(tmp_path / "copy")
        moved += line.transport.fetch_objects([one], staging)
        moved += line.transport.close()
        assert line.relay.connections == 1
        line_bytes = line.relay.down + line.relay.up
        assert abs(moved.received_bytes + moved.sent_bytes - line_bytes) < line_bytes * 0.01
    finally:
        line.stop()


def test_a_limited_line_carries_slowly_in_both_directions_and_at_its_speed_again_afterwards(
        tmp_path: Path) -> None:
    """What is slow is told of piece by piece, half a second each; what is not comes in one or two."""
    line = Ssh(tmp_path)
    staging, outbox = tmp_path / "staging", tmp_path / "outbox"
    data = random.Random(5).randbytes(2_000_000)
    name = object_path(hashlib.sha256(data).hexdigest())
    (outbox / name).parent.mkdir(parents=True)
    (outbox / name).write_bytes(data)
    try:
        counts = []
        for limit in (500_000.0, None):
            line.transport.limit(limit)
            wanted = line.give(data + b"%r" % limit)
            down: list[int] = []
            up: list[int] = []
            line.transport.fetch_objects([wanted], staging, down.append)
            (line.tree / "inbox" / SITE / name).unlink(missing_ok=True)
            line.transport.push_outbox(outbox, [name], up.append)
            counts.append((len(set(down)), len(set(up))))
        (slow_down, slow_up), (fast_down, fast_up) = counts
        assert slow_down >= 4 > fast_down and slow_up >= 4 > fast_up
    finally:
        line.stop()


def test_what_a_callback_asks_meanwhile_is_counted_once(tmp_path: Path, staging: Path) -> None:
    """The feed comes over the same connections as the objects; neither counts the other's bytes."""
    line = OverHttps(tmp_path)
    try:
        one = line.give(random.Random(3).randbytes(8 * MIB))
        line.transport.fetch_feed(tmp_path / "feed-copy")
        total = [0]

        def progress(_done: int) -> None:
            total[0] += line.transport.fetch_feed(tmp_path / "feed-copy").received_bytes

        before = line.https_relay.down
        fetched = line.transport.fetch_objects([one], staging, progress)
        total[0] += fetched.received_bytes  # not in one line: the callback adds meanwhile
        # Some bytes have passed the relay that nobody had to read any more.
        assert total[0] <= line.https_relay.down - before <= total[0] * 1.01
    finally:
        line.stop()
