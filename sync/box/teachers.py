"""Teachers' accounts: who may sign in, who is signed in, and how long one who guesses must wait.

A failure is counted for the address it came from and for the account; from a browser in which this teacher
has signed in before ("known"), for that browser alone. So a child who guesses for ever, also from the one
address of a whole class behind a router, keeps no teacher out of the devices they use. An address that has
hardly failed yet does not wait for what others did to the account (docs/decisions/0015-teachers.md).

Wall time may jump. A wait that would be longer than it can be begins anew; what is forgotten too early by a
clock that leapt forward costs a few guesses more.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import unicodedata
from dataclasses import dataclass

from sync.box.journal import Journal
from sync.database import transaction
from sync.errors import Refused
from sync.text import one_line

#: How a login is written; it is compared without regard to case.
_LOGIN = re.compile(r"[^\W_][\w.-]{0,31}")
MOST_NAME = 60
#: Most accounts of a box.
MOST_TEACHERS = 500

#: A session ends when it was not used for so long, in seconds: on a device of the teacher's own; on a shared
#: one (a tablet that was left signed in at noon is nobody's in the afternoon).
OWN_S, SHARED_S = 90 * 86400.0, 4 * 3600.0
#: When a session was last used is written at most so often, in seconds.
SEEN_EVERY_S = 600.0
#: Sessions and known browsers kept for one teacher; the oldest go first.
MOST_SESSIONS, MOST_DEVICES = 20, 50

#: Failures are forgotten after so long without another, in seconds; so many rows of them are kept.
FORGET_S, MOST_ATTEMPTS = 86400.0, 2000
#: An address that has failed less often than this does not wait for the account.
FRESH = 3


@dataclass(frozen=True)
class Limit:
    """`free` failures cost nothing; then `first_s` seconds, doubling to `most_s`."""

    free: int
    first_s: float
    most_s: float

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many."""
        if failures < self.free:
            return 0.0
        return min(self.first_s * 2.0 ** min(failures - self.free, 30), self.most_s)


#: By what `attempt.who` begins with. An account is slowed, never closed: a guess a minute.
LIMITS = {"address": Limit(10, 15, 900), "account": Limit(20, 5, 60), "device": Limit(5, 15, 900)}


@dataclass(frozen=True)
class Teacher:
    """An account."""

    id: int
    login: str
    name: str


@dataclass(frozen=True)
class Caller:
    """Where somebody signs in from: the address, and the hash of what names their browser ("": nothing)."""

    address: str
    device: str = ""


class Teachers:
    """The accounts of one box. One for each thread, as the database."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.database, self.clock = journal, journal.database, journal.clock

    # -- accounts -----------------------------------------------------------------------------------

    def any(self) -> bool:
        """Is there an account at all?"""
        return self.database.execute("SELECT 1 FROM teacher LIMIT 1").fetchone() is not None

    def add(self, login: str, name: str, password: str) -> Teacher:
        """A new account; `password` is a hash. Raises Refused `login-bad`, `teacher-exists`,
        `teachers-many`."""
        login, name = checked_login(login), one_line(name, MOST_NAME) or login
        with transaction(self.database):
            if self.find(login):
                raise Refused("teacher-exists", login=login)
            if self.database.execute("SELECT count(*) FROM teacher").fetchone()[0] >= MOST_TEACHERS:
                raise Refused("teachers-many", most=MOST_TEACHERS)
            id_ = self.database.execute(
                "INSERT INTO teacher (login, name, password, created) VALUES (?, ?, ?, ?)",
                [login, name, password, self.clock.now()]).lastrowid
            self._note("added", login)
        return Teacher(int(id_ or 0), login, name)

    def find(self, login: str) -> Teacher | None:
        """The account of this login, or None."""
        row = self.database.execute("SELECT id, login, name FROM teacher WHERE login = ?",
                                    [_same(login)]).fetchone()
        return Teacher(*row) if row else None

    def known(self, login: str) -> Teacher:
        """The account of this login. Raises Refused `teacher-unknown`."""
        teacher = self.find(login)
        if teacher is None:
            raise Refused("teacher-unknown", login=one_line(login, MOST_NAME))
        return teacher

    def password_of(self, teacher: Teacher | None) -> str:
        """The hash of an account; "" for none."""
        row = self.database.execute("SELECT password FROM teacher WHERE id = ?",
                                    [teacher.id if teacher else 0]).fetchone()
        return str(row[0]) if row else ""

    def listed(self) -> list[dict[str, object]]:
        """All accounts, ready for JSON: `login`, `name`, `created`, `signed_in` (the last time, or None),
        `sessions` (how many devices are signed in now)."""
        return [{"login": login, "name": name, "created": created, "signed_in": signed_in, "sessions": count}
                for login, name, created, signed_in, count in self.database.execute(
                    "SELECT login, name, created, signed_in, (SELECT count(*) FROM session "
                    "WHERE teacher = teacher.id) FROM teacher ORDER BY login")]

    def set_password(self, teacher: Teacher, password: str) -> None:
        """Another password (its hash). Ends all sessions; no browser is known any more, nobody waits."""
        with transaction(self.database):
            self.database.execute("UPDATE teacher SET password = ? WHERE id = ?", [password, teacher.id])
            for table in ("session", "device"):
                self.database.execute(f"DELETE FROM {table} WHERE teacher = ?",  # noqa: S608 - one of two
                                      [teacher.id])
            self._forget_failures(teacher)
            self._note("password", teacher.login)

    def remove(self, teacher: Teacher) -> None:
        """Take an account away; it is signed out everywhere. What it uploaded goes its way."""
        with transaction(self.database):
            self.database.execute("DELETE FROM teacher WHERE id = ?", [teacher.id])
            self._forget_failures(teacher)
            self._note("removed", teacher.login)

    def _note(self, act: str, login: str) -> None:
        self.journal.append("teacher", {"act": act, "login": login})

    # -- sessions -----------------------------------------------------------------------------------

    def begin(self, teacher: Teacher, device: str, *, own: bool) -> str:
        """Sign in: the token for the browser. `own`: it is the teacher's own device."""
        token, now = secrets.token_urlsafe(32), self.clock.now()
        with transaction(self.database):
            self.database.execute("INSERT INTO session VALUES (?, ?, ?, ?)",
                                  [_digest(token), teacher.id, own, now])
            self.database.execute("UPDATE teacher SET signed_in = ? WHERE id = ?", [now, teacher.id])
            if device:
                self.database.execute("INSERT OR REPLACE INTO device VALUES (?, ?, ?)",
                                      [device, teacher.id, now])
            self.database.execute(
                "DELETE FROM session WHERE teacher = ? AND token NOT IN (SELECT token FROM session "
                "WHERE teacher = ? ORDER BY seen DESC LIMIT ?)", [teacher.id, teacher.id, MOST_SESSIONS])
            self.database.execute(
                "DELETE FROM device WHERE teacher = ? AND device NOT IN (SELECT device FROM device "
                "WHERE teacher = ? ORDER BY since DESC LIMIT ?)", [teacher.id, teacher.id, MOST_DEVICES])
        return token

    def of_session(self, token: str) -> Teacher | None:
        """Who holds this token, if the session has not ended."""
        row = self.database.execute(
            "SELECT teacher.id, login, name, own, seen FROM session JOIN teacher ON teacher.id = teacher "
            "WHERE token = ?", [_digest(token)]).fetchone()
        if row is None:
            return None
        age = self.clock.now() - row[4]
        if age > (OWN_S if row[3] else SHARED_S):
            self.end(token)
            return None
        if not 0 <= age < SEEN_EVERY_S:
            with transaction(self.database):
                self.database.execute("UPDATE session SET seen = ? WHERE token = ?",
                                      [self.clock.now(), _digest(token)])
        return Teacher(*row[:3])

    def end(self, token: str) -> None:
        """Sign out."""
        with transaction(self.database):
            self.database.execute("DELETE FROM session WHERE token = ?", [_digest(token)])

    # -- guesses ------------------------------------------------------------------------------------

    def must_wait_s(self, teacher: Teacher | None, caller: Caller) -> float:
        """How long this caller must wait before the next try at this account; 0: not at all."""
        if teacher is not None and self._knows(teacher, caller):
            return self._left_s(_device(teacher, caller))
        wait_s = self._left_s(_address(caller))
        if teacher is not None and self._failures(_address(caller)) >= FRESH:
            wait_s = max(wait_s, self._left_s(_account(teacher)))
        return wait_s

    def failed(self, teacher: Teacher | None, caller: Caller) -> None:
        """Count a wrong password, durably: a restart forgives nothing."""
        if teacher is not None and self._knows(teacher, caller):
            keys = [_device(teacher, caller)]
        else:
            keys = [_address(caller), *([_account(teacher)] if teacher is not None else [])]
        now = self.clock.now()
        with transaction(self.database):
            for who in keys:
                failures = self._failures(who) + 1
                until = now + LIMITS[who.partition(":")[0]].wait_s(failures)
                self.database.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?)",
                                      [who, failures, now, until])
            self.database.execute("DELETE FROM attempt WHERE who NOT IN "
                                  "(SELECT who FROM attempt ORDER BY last DESC LIMIT ?)", [MOST_ATTEMPTS])

    def succeeded(self, teacher: Teacher, caller: Caller) -> None:
        """The right password came from here: this caller's own failures are forgotten, the account's not, so
        that one who knows a password cannot guess another's faster."""
        with transaction(self.database):
            self.database.execute("DELETE FROM attempt WHERE who = ?", [_device(teacher, caller)])

    def _forget_failures(self, teacher: Teacher) -> None:
        self.database.execute("DELETE FROM attempt WHERE who = ? OR who GLOB ?",
                              [_account(teacher), f"device:{teacher.id}:*"])

    def _knows(self, teacher: Teacher, caller: Caller) -> bool:
        return bool(caller.device) and self.database.execute(
            "SELECT 1 FROM device WHERE teacher = ? AND device = ?",
            [teacher.id, caller.device]).fetchone() is not None

    def _failures(self, who: str) -> int:
        row = self.database.execute("SELECT failures FROM attempt WHERE who = ? AND last > ?",
                                    [who, self.clock.now() - FORGET_S]).fetchone()
        return int(row[0]) if row else 0

    def _left_s(self, who: str) -> float:
        row = self.database.execute("SELECT failures, until FROM attempt WHERE who = ?", [who]).fetchone()
        if row is None:
            return 0.0
        now, whole_s = self.clock.now(), LIMITS[who.partition(":")[0]].wait_s(row[0])
        if row[1] - now > whole_s:  # the clock was set back meanwhile
            with transaction(self.database):
                self.database.execute("UPDATE attempt SET last = ?, until = ? WHERE who = ?",
                                      [now, now + whole_s, who])
            return whole_s
        return max(float(row[1]) - now, 0.0)


def checked_login(login: str) -> str:
    """A login in the one form it is kept in. Raises Refused `login-bad`."""
    same = _same(login)
    if not _LOGIN.fullmatch(same):
        raise Refused("login-bad", login=one_line(login, MOST_NAME))
    return same


def device_of(cookie: str) -> str:
    """What a browser is known by, from a random value that it alone holds."""
    return hashlib.sha256(f"device {cookie}".encode()).hexdigest() if cookie else ""


def _same(login: str) -> str:
    return unicodedata.normalize("NFKC", login.encode("utf-8", "replace").decode()).strip().casefold()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _account(teacher: Teacher) -> str:
    return f"account:{teacher.id}"


def _device(teacher: Teacher, caller: Caller) -> str:
    return f"device:{teacher.id}:{caller.device}"


def _address(caller: Caller) -> str:
    """The address that is counted: of IPv6 the network, of which one device may have all addresses, but for
    those of the LAN itself, where all devices share one."""
    try:
        address = ipaddress.ip_address(caller.address.partition("%")[0])
    except ValueError:
        return "address:?"
    if isinstance(address, ipaddress.IPv6Address) and not address.is_link_local:
        if address.ipv4_mapped:
            return f"address:{address.ipv4_mapped}"
        return f"address:{ipaddress.IPv6Network((address, 64), strict=False)}"
    return f"address:{address}"
