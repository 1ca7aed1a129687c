"""The screens of the room: which there are, what each shows, who may drive it.

What a screen shows is a row of box.db, so that it shows it again after a power cut; memory is ahead of the
row, so a class goes on where the disk is full or read-only. What is only of this moment (the pointer, how far
a film is between two rows) stays in memory. Each change goes to those who wait for it (`edge.waiting`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlite_utils import Database

from edge.waiting import Waiting
from sync.clock import Clock
from sync.database import transaction
from sync.errors import TeachpointError
from sync.logs import log

#: Screens that a box knows; beyond, the one that was not started for longest is forgotten.
MOST_DISPLAYS = 32
#: Longest name of a screen, in characters.
MOST_NAME = 40
#: Digits of a code: short enough to type from across the room.
CODE_DIGITS = 6
#: Wrong codes in a minute, of one device and of all: a million codes last for weeks.
MOST_WRONG, MOST_WRONG_IN_ALL = 5, 30
WRONG_KEPT_S = 60.0
#: A film's place is written while it plays when it is this far from the one on the disk, in seconds.
KEPT_EVERY_S = 60.0
#: Points of the pointer that a screen may still fetch; one message of a phone brings at most 200.
MOST_POINTS = 600
MOST_POINTS_AT_ONCE = 200
#: Numbers of a pointer's place: 0 … 9999 of the screen's width and height.
POINT_SCALE = 9999
#: A screen that has not asked for so long is away, in seconds; unless a question of it is being held.
AWAY_S = 10.0
#: Longest film and most pages that are believed.
MOST_SECONDS, MOST_PAGES = 10.0 * 86400, 100_000

_COLUMNS = ("id", "number", "name", "code", "seen", "version", "jump", "package", "resource", "page",
            "playing", "at_s", "blank")
_ALL_COLUMNS = ", ".join(_COLUMNS)


@dataclass(frozen=True)
class Display:
    """A screen as its row says. `at_s`: where its film is, in seconds; `page`: of a document, from 1."""

    id: str
    number: int
    name: str
    code: str
    seen: int
    version: int = 0
    jump: int = 0
    package: str | None = None
    resource: str | None = None
    page: int = 1
    playing: bool = False
    at_s: float = 0.0
    blank: bool = False


@dataclass
class Live:
    """What is only of this moment: what the screen last said, the pointer, when it last asked."""

    asked_s: float = float("-inf")
    length_s: float = 0.0
    pages: int = 0
    muted: bool = False
    shape: float = 16 / 9
    said: int = 0     # counts what the screen said
    drawn: int = 0    # points so far; None is the lifted finger
    points: deque[tuple[int, int] | None] = field(default_factory=lambda: deque(maxlen=MOST_POINTS))
    kept_at_s: float = 0.0


@dataclass(frozen=True)
class Said:
    """What a screen says of itself; `version`: of the command that it has obeyed last."""

    version: int
    playing: bool
    at_s: float
    length_s: float
    page: int
    pages: int
    muted: bool
    shape: float


class WrongCode(Exception):
    """No screen has this code; or `too_many` were wrong, and none is looked at for a moment."""

    def __init__(self, *, too_many: bool) -> None:
        super().__init__("wrong code")
        self.too_many = too_many


def display_id(cookie: str) -> str:
    """The public name of the screen that holds `cookie`."""
    return hashlib.sha256(b"teachpoint screen 1 " + cookie.encode()).hexdigest()[:16]


def key_of(secret: bytes, display: Display) -> str:
    """What a device holds that has entered the screen's code; another code makes it worthless."""
    return hmac.new(secret, f"teachpoint screen key 1 {display.id} {display.code}".encode(),
                    hashlib.sha256).hexdigest()[:32]


def commanded(display: Display, action: str, value: str, pages: int) -> Display | None:
    """The screen after a command of the remote; None for a command that makes no sense. `pages`: how many it
    has said there are, 0 if it does not know. No I/O."""
    version = display.version + 1
    if action == "close":
        return replace(display, version=version, package=None, resource=None, playing=False, blank=False)
    if action in ("blank", "light"):
        return replace(display, version=version, blank=action == "blank")
    if action in ("play", "pause"):
        return replace(display, version=version, playing=action == "play", blank=False)
    if action in ("seek", "skip"):
        seconds = _number(value)
        if seconds is None:
            return None
        at_s = min(max(seconds + (display.at_s if action == "skip" else 0.0), 0.0), MOST_SECONDS)
        return replace(display, version=version, jump=version, at_s=at_s, blank=False)
    if action in ("page", "turn"):
        number = _number(value)
        if number is None:
            return None
        page = int(number) + (display.page if action == "turn" else 0)
        return replace(display, version=version, page=min(max(page, 1), pages or MOST_PAGES), blank=False)
    if action == "name":
        return replace(display, version=version, name=" ".join(value.split())[:MOST_NAME])
    return None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) <= MOST_SECONDS else None  # also without "nan"


def read_points(value: str) -> list[tuple[int, int] | None] | None:
    """`x,y x,y - x,y`: places of the finger, `-` where it was lifted; None for anything else."""
    found: list[tuple[int, int] | None] = []
    for word in value.split()[:MOST_POINTS_AT_ONCE]:
        x, comma, y = word.partition(",")
        if word == "-":
            found.append(None)
        elif comma and x.isdecimal() and y.isdecimal() and len(word) <= 9:
            found.append((min(int(x), POINT_SCALE), min(int(y), POINT_SCALE)))
        else:
            return None
    return found


class Displays:
    """All screens of this box. Any thread may ask; `database` opens box.db for the calling one."""

    def __init__(self, database: Callable[[], Database], waiting: Waiting, clock: Clock) -> None:
        self._database, self._waiting, self._clock = database, waiting, clock
        self._boot = secrets.token_hex(4)  # tags of an earlier run are never taken for ours
        self._lock = threading.RLock()
        self._rows: dict[str, Display] | None = None  # guarded by _lock
        self._live: dict[str, Live] = {}              # guarded by _lock
        self._wrong: deque[tuple[float, str]] = deque(maxlen=MOST_WRONG_IN_ALL)  # guarded by _lock

    # -- which there are ---------------------------------------------------------------------------

    def all(self) -> list[Display]:
        """Every screen, by number."""
        with self._lock:
            return sorted(self._known().values(), key=lambda one: one.number)

    def get(self, id: str) -> Display | None:
        """A screen."""
        with self._lock:
            return self._known().get(id)

    def started(self, id: str) -> Display:
        """A screen has been started: known again, or new with a number and a code of its own."""
        with self._lock:
            known = self._known()
            seen = max((one.seen for one in known.values()), default=0) + 1
            if id in known:
                display = replace(known[id], seen=seen)
            else:
                while len(known) >= MOST_DISPLAYS:
                    self._forget(min(known.values(), key=lambda one: one.seen).id)
                numbers = {one.number for one in known.values()}
                display = Display(id, next(n for n in range(1, MOST_DISPLAYS + 1) if n not in numbers), "",
                                  self._new_code(), seen)
            self._take(display)
        self._keep(display)
        return display

    def with_code(self, code: str, device: str) -> Display:
        """The screen with this code. Raises WrongCode; also for the right one where this device, or all
        together, have given too many wrong ones."""
        digits = "".join(one for one in code if one.isdecimal() and one.isascii())
        with self._lock:
            now = self._clock.monotonic()
            recent = [who for when, who in self._wrong if now - when < WRONG_KEPT_S]
            if len(recent) >= MOST_WRONG_IN_ALL or recent.count(device) >= MOST_WRONG:
                raise WrongCode(too_many=True)
            for display in self._known().values():
                if hmac.compare_digest(display.code, digits):
                    return display
            self._wrong.append((now, device))
            raise WrongCode(too_many=False)

    def here(self, id: str) -> bool:
        """Is the screen switched on, as far as one can tell?"""
        with self._lock:
            asked_s = self._live_of(id).asked_s
        return self._waiting.held(f"screen-{id}") > 0 or self._clock.monotonic() - asked_s < AWAY_S

    # -- what happens ------------------------------------------------------------------------------

    def show(self, id: str, package: str, resource: str, page: int = 1) -> Display | None:
        """Put a resource on the screen; a film begins to play."""
        def shown(one: Display) -> Display:
            return replace(one, version=one.version + 1, jump=one.version + 1, package=package,
                           resource=resource, page=page, playing=True, at_s=0.0, blank=False)
        with self._lock:
            live = self._live_of(id)
            live.length_s, live.pages = 0.0, 0
        return self._change(id, shown)

    def command(self, id: str, action: str, value: str) -> Display | None:
        """Obey the remote; None where there is no such screen or command."""
        with self._lock:
            pages = self._live_of(id).pages
        return self._change(id, lambda one: commanded(one, action, value, pages))

    def new_code(self, id: str) -> Display | None:
        """Another code: every device that may drive the screen must enter it again."""
        return self._change(id, lambda one: replace(one, version=one.version + 1, code=self._new_code()))

    def draw(self, id: str, points: list[tuple[int, int] | None]) -> None:
        """The finger moved on the phone."""
        with self._lock:
            display = self._known().get(id)
            if display is not None:
                live = self._live_of(id)
                live.points.extend(points)
                live.drawn += len(points)
                self._tell_screen(display)

    def said(self, id: str, said: Said) -> None:
        """The screen says how it is. A command that it has not heard of yet is not undone by it."""
        with self._lock:
            display = self._known().get(id)
            if display is None:
                return
            live = self._live_of(id)
            live.said += 1
            live.muted, live.shape = said.muted, min(max(said.shape, 0.2), 5.0)
            if said.version == display.version:
                live.length_s = min(max(said.length_s, 0.0), MOST_SECONDS)
                live.pages = min(max(said.pages, 0), MOST_PAGES)
                now = replace(display, playing=said.playing, at_s=min(max(said.at_s, 0.0), MOST_SECONDS),
                              page=min(max(said.page, 1), MOST_PAGES))
                keep = (now.playing, now.page) != (display.playing, display.page) or \
                    abs(now.at_s - live.kept_at_s) >= KEPT_EVERY_S
                self._take(now)
                display = now
            else:
                keep = False
                self._tell(display)
        if keep:
            self._keep(display)

    def asked(self, id: str) -> Display | None:
        """The screen asks for news; None for one that is not known (any more)."""
        with self._lock:
            display = self._known().get(id)
            if display is not None:
                was_here = self.here(id)
                live = self._live_of(id)
                live.asked_s = self._clock.monotonic()
                if not was_here:
                    live.said += 1  # the phones hear that it is back
                self._tell(display)
            return display

    def looked(self, id: str) -> Display | None:
        """A phone asks for news of a screen."""
        with self._lock:
            display = self._known().get(id)
            if display is not None:
                self._tell(display)
            return display

    def state(self, display: Display) -> dict[str, Any]:
        """What phones are told of a screen."""
        with self._lock:
            live = self._live_of(display.id)
            return {"here": self.here(display.id), "show": _shown(display), "playing": display.playing,
                    "at": round(display.at_s, 1), "length": round(live.length_s, 1), "page": display.page,
                    "pages": live.pages, "blank": display.blank, "muted": live.muted,
                    "shape": round(live.shape, 3), "version": display.version}

    # -- inside ------------------------------------------------------------------------------------

    def _known(self) -> dict[str, Display]:
        if self._rows is None:
            rows = self._database().execute(f"SELECT {_ALL_COLUMNS} FROM display")  # noqa: S608 - ours
            self._rows = {row[0]: _display(row) for row in rows}
            for display in self._rows.values():
                self._live_of(display.id).kept_at_s = display.at_s
        return self._rows

    def _live_of(self, id: str) -> Live:
        return self._live.setdefault(id, Live())

    def _new_code(self) -> str:
        taken = {one.code for one in self._known().values()}
        while (code := f"{secrets.randbelow(10 ** CODE_DIGITS):0{CODE_DIGITS}}") in taken:
            pass
        return code

    def _change(self, id: str, change: Callable[[Display], Display | None]) -> Display | None:
        with self._lock:
            before = self._known().get(id)
            after = change(before) if before else None
            if after is None:
                return None
            self._take(after)
        self._keep(after)
        return after

    def _take(self, display: Display) -> None:
        """It is so now: in memory, and for those who wait."""
        self._known()[display.id] = display
        self._tell(display)

    def _tell(self, display: Display) -> None:
        self._tell_screen(display)
        state = self.state(display)
        tag = f"{self._boot}.{display.version}.{self._live_of(display.id).said}.{state['here']:d}"
        self._waiting.put(f"remote-{display.id}", tag, json.dumps({"tag": tag, **state}).encode())

    def _tell_screen(self, display: Display) -> None:
        live = self._live_of(display.id)
        tag = f"{self._boot}.{display.version}.{live.drawn}"
        self._waiting.put(f"screen-{display.id}", tag, json.dumps({
            "tag": tag, "version": display.version, "jump": display.jump, "show": _shown(display),
            "page": display.page, "playing": display.playing, "at": display.at_s, "blank": display.blank,
            "name": display.name, "code": display.code, "drawn": live.drawn,
            "points": list(live.points)}).encode())

    def _forget(self, id: str) -> None:
        self._known().pop(id, None)
        self._live.pop(id, None)
        for kind in ("screen", "remote"):
            self._waiting.drop(f"{kind}-{id}")
        self._write("DELETE FROM display WHERE id = ?", [id])

    def _keep(self, display: Display) -> None:
        """Onto the disk; a row that is newer already stays."""
        with self._lock:
            self._live_of(display.id).kept_at_s = display.at_s
        values = asdict(display)
        self._write(
            f"INSERT INTO display ({_ALL_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
            "ON CONFLICT (id) DO UPDATE SET "
            f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])} "
            "WHERE excluded.version >= display.version", [values[name] for name in _COLUMNS])

    def _write(self, sql: str, values: list[Any]) -> None:
        try:
            database = self._database()
            with transaction(database):
                database.execute(sql, values)
        except TeachpointError as error:  # the class goes on; after a power cut the screen shows less
            log("edge.displays").warning("not-kept", code=error.code, reason=str(error))


def _shown(display: Display) -> list[str] | None:
    return [display.package, display.resource] if display.package and display.resource else None


def _display(row: tuple[Any, ...]) -> Display:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Display(**{**values, "playing": bool(values["playing"]), "blank": bool(values["blank"])})
