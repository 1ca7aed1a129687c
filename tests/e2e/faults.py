"""What goes wrong in the chaos test: a class for each kind of fault; one seeded chance makes all choices.

A fault's `strike` does it and returns where it hit ("box library"), or "" where there was nothing to hit.
What lasts is undone after a while by `Undo`, and at the end by all being undone at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.e2e import victims
from tests.e2e.relay import Relay
from tests.e2e.stage import Stage
from tests.small_disk import fill

#: How often each is chosen. A service that is killed costs a start; a transfer ends soon by itself.
VICTIMS = {"hub serve": 2, "box serve": 2, "hub publish": 5, "hub assign": 2, "hub carry": 2,
           "hub ingest": 2, "hub fsck": 1, "box sync": 4, "box fsck": 1, "box indexing": 3,
           "hub readers": 3, "rsync at the box": 6, "rsync at the hub": 12, "ssh": 6, "sshd": 1,
           victims.SESSION: 6, "box nginx": 1, "box nginx worker": 2, "hub nginx": 1,
           "hub nginx worker": 2}
#: A fault that has ended is felt for so long: waits, a sync that runs, a cached answer.
FELT_S = 15.0


class Trouble:
    """Which faults are there or were a moment ago: what a person takes as the reason of a failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _until
        self._until: dict[str, float] = {}

    def begins(self, name: str) -> None:
        """It is there until `ends`."""
        with self._lock:
            self._until[name] = float("inf")

    def ends(self, name: str) -> None:
        """It has gone, and is felt a little longer."""
        with self._lock:
            self._until[name] = time.monotonic() + FELT_S

    def was(self, names: Sequence[str], since: float) -> bool:
        """Was any of these there at or after `since` (monotonic)?"""
        with self._lock:
            return any(self._until.get(name, float("-inf")) >= since for name in names)


class Undo:
    """What is to be done later."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it in so many seconds."""
        self._due.append((time.monotonic() + seconds, action))

    def work(self, *, everything: bool = False) -> None:
        """Do what is due, or everything."""
        now = time.monotonic()
        due = [action for at, action in self._due if everything or at <= now]
        self._due = [] if everything else [one for one in self._due if one[0] > now]
        for action in due:
            action()


@dataclass
class World:
    """What faults act on."""

    stage: Stage
    chance: random.Random
    trouble: Trouble = field(default_factory=Trouble)
    undo: Undo = field(default_factory=Undo)


class Fault(Protocol):
    """One kind of fault."""

    def strike(self) -> str:
        """Do it; where it hit, "" for nowhere."""
        ...


class Line:
    """The line is cut, reset, stalled, gone for a while, flaps, or turns a bit of what it carries."""

    def __init__(self, world: World, relays: Sequence[Relay]) -> None:
        self._world, self._relays = world, relays
        self._there = True

    def strike(self) -> str:
        chance = self._world.chance
        if not self._there:
            return ""
        if chance.random() < 0.35:
            return self._flip()
        do = chance.choice((self._cut, self._reset, self._stall, self._outage, self._flap))
        return do()

    def _flip(self) -> str:
        way = self._world.chance.choice(("down", "up"))
        for relay in self._relays:
            relay.flip(way, self._world.chance.choice((0, 100, 3000, 50_000, 500_000)))
        return f"bit turned {way}"

    def _cut(self) -> str:
        return "cut" if sum(relay.cut() for relay in self._relays) else ""

    def _reset(self) -> str:
        return "reset" if sum(relay.cut(reset=True) for relay in self._relays) else ""

    def _stall(self) -> str:
        for relay in self._relays:
            relay.hold(down=self._world.chance.choice((0, 2000, 200_000)), up=0)
            self._world.undo.after(self._world.chance.choice((1.0, 4.0, 20.0)), relay.free)
        return "stalled"

    def _outage(self) -> str:
        self._leave()
        self._world.undo.after(self._world.chance.choice((0.5, 3.0, 8.0)), self._come_back)
        return "outage"

    def _flap(self) -> str:
        self._leave()
        for number in range(1, 4):
            self._world.undo.after(2.0 * number - 1, self._come_back)
            self._world.undo.after(2.0 * number, self._leave)
        self._world.undo.after(7.0, self._come_back)
        return "flapping"

    def _leave(self) -> None:
        if self._there:
            self._there = False
            for relay in self._relays:
                relay.leave()

    def _come_back(self) -> None:
        if not self._there:
            self._there = True
            for relay in self._relays:
                relay.come_back()


class Carried:
    """What travels as files comes in another order, twice, late, and old ones come again."""

    #: Segments kept to come again.
    MOST_KEPT = 300

    def __init__(self, world: World) -> None:
        self._world = world
        self._hand = world.stage.hub_data.parent / "hand"  # on the hub's disk, outside its data
        self._hand.mkdir(exist_ok=True)
        self._seen: dict[tuple[str, str], bytes] = {}
        self._old_feed: dict[str, bytes] = {}

    def look(self) -> None:
        """Keep what is in the outbox now and may leave it: what the box's database tells of, unspoilt."""
        new = [path for path in _files(self._world.stage.box_data / "outbox" / "segments", 2)
               if (path.parent.name, path.name) not in self._seen]
        told = self._told() if new else set()
        for path in new:
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() in told:
                    self._seen[path.parent.name, path.name] = data
        while len(self._seen) > self.MOST_KEPT:
            del self._seen[self._world.chance.choice(list(self._seen))]

    def _told(self) -> set[str]:
        address = f"file:{self._world.stage.box_data}/box.db?mode=ro"
        with contextlib.suppress(sqlite3.Error), contextlib.closing(
                sqlite3.connect(address, uri=True)) as database:
            return {sha256 for (sha256,) in database.execute("SELECT sha256 FROM segment")}
        return set()

    def strike(self) -> str:
        self.look()
        do = self._world.chance.choice((self._again, self._turned, self._late, self._twice, self._feed))
        try:
            return do()
        except OSError:  # the hub's disk is full, or the file has just gone
            return ""

    def _again(self) -> str:
        return self._give(self._world.chance.choice(list(self._seen))) and "old segment" if self._seen else ""

    def _turned(self) -> str:
        """All that waits at the box, the last first."""
        waiting = [key for key in sorted(self._seen, reverse=True)
                   if (self._world.stage.box_data / "outbox" / "segments" / key[0] / key[1]).exists()]
        return "turned round" if [key for key in waiting if self._give(key)] else ""

    def _late(self) -> str:
        """Something in the inbox is not there for a while."""
        stage = self._world.stage
        found = [*_files(stage.hub_data / "inbox" / stage.site, 3)]
        if not found:
            return ""
        path = self._world.chance.choice(found)
        aside = self._hand / f"{time.monotonic_ns()}"
        path.replace(aside)

        def give_back() -> None:
            with contextlib.suppress(OSError):
                aside.replace(path)
            aside.unlink(missing_ok=True)  # its folder has gone: the box sends it again

        self._world.undo.after(self._world.chance.choice((0.5, 3.0, 10.0)), give_back)
        return "late"

    def _twice(self) -> str:
        """An upload that the hub has comes once more."""
        stage = self._world.stage
        found = [*_files(stage.box_data / "outbox" / "objects", 2)]
        if not found:
            return ""
        path = self._world.chance.choice(found)
        folder = stage.hub_data / "inbox" / stage.site / "objects" / path.parent.name
        if not folder.is_dir():
            return ""
        copy = self._hand / f"{time.monotonic_ns()}"
        shutil.copyfile(path, copy)
        copy.replace(folder / path.name)
        return "upload twice"

    def _feed(self) -> str:
        """An older state of the feed lies in the box's folder again."""
        folder = self._world.stage.box_data / "feed"
        before, self._old_feed = self._old_feed, {}
        for path in _files(folder, 1):
            self._old_feed[path.name] = path.read_bytes()
        for name, data in before.items():
            (folder / name).write_bytes(data)
        return "old feed" if before else ""

    def _give(self, key: tuple[str, str]) -> bool:
        stage = self._world.stage
        folder = stage.hub_data / "inbox" / stage.site / "segments" / key[0]
        if not folder.is_dir():
            return False
        copy = self._hand / f"{time.monotonic_ns()}"
        copy.write_bytes(self._seen[key])
        copy.replace(folder / key[1])
        return True


@dataclass
class Rotten:
    """An object of the box's library that rots: until a check has found it, nothing can know."""

    sha256: str
    found: bool = False


class Rot:
    """A bit of a file on the disk turns, and nothing tells of it. Only copies that can be had again: an
    upload that the hub does not have, and one that only the hub has, are let be; so are the databases."""

    def __init__(self, world: World, replaceable: Callable[[str], bool]) -> None:
        """`replaceable`: can the object of this name be published again?"""
        self._world, self._replaceable = world, replaceable
        self._lock = threading.Lock()  # guards box_library
        #: SHA-256 of what an object of the box's library has become → what it was.
        self.box_library: dict[str, Rotten] = {}

    def strike(self) -> str:
        places = self._places()
        where = self._world.chance.choice(list(places))
        found = sorted(places[where])
        if not found:
            return ""
        path = self._world.chance.choice(found)
        try:
            return where if self._turn(path, where) else ""
        except OSError:  # it has just gone
            return ""

    def sought(self) -> list[Rotten]:
        """What had rotted when a check of the box began."""
        with self._lock:
            return list(self.box_library.values())

    def known(self, sha256: str) -> Rotten | None:
        """What these bytes are, if they are a rotten object of the box."""
        with self._lock:
            return self.box_library.get(sha256)

    def _places(self) -> dict[str, list[Path]]:
        stage = self._world.stage
        box, hub = stage.box_data, stage.hub_data
        return {
            "box library": [*_files(box / "library" / "objects", 2)],
            "hub library": [path for path in _files(hub / "library" / "objects", 2)
                            if self._replaceable(path.name)],
            "box staging": [*_files(box / "staging", 1)],
            "box outbox segment": [*_files(box / "outbox" / "segments", 2)],
            "box feed": [*_files(box / "feed", 1)],
            "hub feed": [*_files(hub / "feed" / stage.site, 1)],
            "box trusted feed": [*_files(box / "trusted", 1)],
            "hub inbox": [*_files(hub / "inbox" / stage.site, 3)],
        }

    def _turn(self, path: Path, where: str) -> bool:
        found = path.stat()
        if not found.st_size:
            return False
        at = self._world.chance.randrange(found.st_size)
        data = bytearray(path.read_bytes())
        if at >= len(data):
            return False
        data[at] ^= 1 << self._world.chance.randrange(8)
        if where in ("hub library", "hub feed"):  # there until they are made again
            self._world.trouble.begins(where)
        if where == "box library":
            with self._lock:
                self.box_library[hashlib.sha256(data).hexdigest()] = Rotten(path.name)
        with path.open("r+b") as handle:
            handle.seek(at)
            handle.write(data[at:at + 1])
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        return True


class FullDisk:
    """A small disk is filled to its last blocks, and freed some seconds later."""

    #: Blocks of 4 KiB that are left: so that each write is, some time, the first one that fails.
    LEFT = (0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

    def __init__(self, world: World, disks: dict[str, Path]) -> None:
        self._world, self._disks = world, disks
        self._full: set[str] = set()

    def strike(self) -> str:
        side = self._world.chance.choice(sorted(self._disks))
        left = self._world.chance.choice(self.LEFT)
        if side in self._full:
            return ""
        self._full.add(side)
        self._world.trouble.begins(f"{side} disk")
        filler = _fill_but(self._disks[side], left * 4096)

        def free() -> None:
            filler.unlink()
            self._full.discard(side)
            self._world.trouble.ends(f"{side} disk")

        self._world.undo.after(self._world.chance.uniform(2.0, 8.0), free)
        return side


class FileLimit:
    """Where no small disk can be mounted: no process of a side may make a file grow beyond what its logs and
    databases have now (RLIMIT_FSIZE). New objects, uploads and feeds do not fit then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sides = {"box": world.stage.box_data, "hub": world.stage.hub_data}
        self._limits: dict[str, int] = {}

    def strike(self) -> str:
        side = self._world.chance.choice(sorted(self._sides))
        if side in self._limits:
            return ""
        folders = (self._sides[side], self._world.stage.place)
        largest = max(path.stat().st_size for folder in folders for path in _files(folder, 1))
        self._limits[side] = largest + self._world.chance.choice((4096, 65536, 1024 * 1024))
        self._world.trouble.begins(f"{side} disk")
        self.work()

        def free() -> None:
            del self._limits[side]
            self._limit(side, resource.RLIM_INFINITY)
            self._world.trouble.ends(f"{side} disk")

        self._world.undo.after(self._world.chance.uniform(2.0, 8.0), free)
        return side

    def work(self) -> None:
        """Processes that began meanwhile have the limit too."""
        for side, most_bytes in self._limits.items():
            self._limit(side, most_bytes)

    def _limit(self, side: str, most_bytes: int) -> None:
        for pid, words in self._world.stage.processes().items():
            if any(str(self._sides[side]) in word for word in words):
                with contextlib.suppress(OSError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


class Clock:
    """The wall clock of a side jumps, and later back."""

    YEAR_S = 365 * 86400.0
    JUMPS = (-YEAR_S, -86400.0, -3600.0, -60.0, 60.0, 3600.0, 86400.0, YEAR_S)

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder = world.stage.place / "clocks"
        self._folder.mkdir()
        self._wrong: set[str] = set()
        world.stage.environment |= {"TEACHPOINT_TEST_CLOCKS": str(self._folder),
                                    "PYTHONPATH": str(Path(__file__).parent / "jumping_clock")}

    def strike(self) -> str:
        side = self._world.chance.choice(("box", "hub"))
        if side in self._wrong:
            return ""
        self._wrong.add(side)
        self._world.trouble.begins(f"{side} clock")
        now = time.time()
        self.set(side, self._world.chance.choice((*self.JUMPS, 86400.0 - now, 2_208_988_800.0 - now)))

        def right() -> None:
            self.set(side, 0.0)
            self._wrong.discard(side)
            self._world.trouble.ends(f"{side} clock")

        self._world.undo.after(self._world.chance.uniform(0.5, 8.0), right)
        return side

    def set(self, side: str, wrong_by_s: float) -> None:
        """From now on its clock is wrong by so much."""
        path = self._folder / f"{side}.new"
        path.write_text(str(wrong_by_s))
        path.replace(self._folder / side)


class Kill:
    """SIGKILL of a process of either side, at a random instant."""

    #: Kinds that are looked for together, and for how long, in seconds; then other kinds are chosen.
    KINDS, LOOK_S = 4, 0.5

    def __init__(self, world: World, killed: Callable[[str], None]) -> None:
        """`killed` is called with what was killed, to start it again."""
        self._world, self._killed = world, killed

    def strike(self) -> str:
        chance = self._world.chance
        kinds = chance.choices(list(VICTIMS), list(VICTIMS.values()), k=self.KINDS)
        wait_s = chance.choice((0.0, 0.02, 0.1, 0.5))
        end = time.monotonic() + self.LOOK_S
        while not (found := [(kind, pid) for kind in kinds for pid in victims.find(self._world.stage, kind)]):
            if time.monotonic() > end:
                return ""
            time.sleep(0.01)
        kind, pid = found[0]
        if not victims.kill_after(pid, wait_s):
            return ""
        self._killed(kind)
        return kind


def _fill_but(folder: Path, left_bytes: int) -> Path:
    """A file that takes all the room of a disk but so much."""
    path = folder / "filler"
    with path.open("wb") as handle:
        for size in (64 * 2**20, 2**20, 2**16, 4096):
            with contextlib.suppress(OSError):
                while os.statvfs(folder).f_bavail * 4096 - left_bytes >= size:
                    os.posix_fallocate(handle.fileno(), handle.seek(0, os.SEEK_END), size)
    return path if left_bytes else fill(folder)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """The files below `folder`, at most so many levels deep, that are no unfinished writes."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if depth > 1:
                yield from _files(path, depth - 1)
        elif path.is_file():
            yield path
