"""`teachpoint doctor`: what would keep this machine from working, and how to mend each thing.

A check looks at one thing and changes nothing. It returns nothing where all is well, else the problem as an
error of ours with its words and advice (`sync/error_texts.py`).
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sync import programs
from sync.clock import SYSTEM, Clock, iso
from sync.errors import Broken, NoRoom, Refused, TeachpointError
from sync.layout import BoxLayout, HubLayout
from sync.pairing import read as read_pairing

Weight = Literal["fail", "warn"]

#: Below this much room a disk is called nearly full, in bytes; the journal's reserve and one lesson.
LEAST_FREE_BYTES = 500 * 1024 * 1024
#: Below this many free inodes, a package of many small files could not be stored.
LEAST_FREE_INODES = 20_000
#: rsync knows `--zc=zstd` and stable daemon options over ssh since this version.
LEAST_RSYNC = (3, 2)
#: A clock before this (2024-01-01) or after the next (2040-01-01) was never set.
EARLIEST_S, LATEST_S = 1_704_067_200, 2_208_988_800
#: How long a hub may take to accept a connection, in seconds: two round trips of a bad satellite line.
CONNECT_TIMEOUT_S = 4.0

#: How TCP of this machine decides how fast to send.
CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")

NEEDED = ("rsync", "ssh", "ssh-keygen")
NEEDED_AT_HUB = ("sshd",)
#: Without these something is slower or plainer, but works.
USEFUL_AT_BOX = ("nginx",)
USEFUL_AT_HUB = ("nginx", "ffmpeg", "ffprobe", "pdftoppm", "soffice")


@dataclass(frozen=True)
class Finding:
    """What one check found: `problem` is None where all is well; `weight` says how bad it is else."""

    check: str
    weight: Weight
    problem: TeachpointError | None = None

    def as_json(self) -> dict[str, object]:
        """For `--json`: check, state (`ok`, `warn`, `fail`) and, where there is a problem, its error."""
        if self.problem is None:
            return {"check": self.check, "state": "ok"}
        return {"check": self.check, "state": self.weight, **self.problem.as_json()}


Check = Callable[[], TeachpointError | None]


def examine(data: Path, clock: Clock = SYSTEM) -> list[Finding]:
    """All checks that concern this machine and the role whose state lies in `data` (or none yet)."""
    is_hub = HubLayout(data).settings.exists()
    is_box = BoxLayout(data).pairing.exists()
    findings = []
    for check, weight, look in _checks(data, is_hub, is_box, clock):
        try:
            problem = look()
        except OSError as error:
            problem = Broken("check-failed", check=check, reason=error)
        except TeachpointError as error:
            problem = error
        findings.append(Finding(check, weight, problem))
    return findings


def _checks(data: Path, is_hub: bool, is_box: bool, clock: Clock) -> Iterator[tuple[str, Weight, Check]]:
    both = not is_hub and not is_box
    for program in NEEDED + (NEEDED_AT_HUB if is_hub or both else ()):
        yield f"program {program}", "fail", lambda p=program: _program(p)  # type: ignore[misc]
    for program in (USEFUL_AT_BOX if is_box or both else ()) + (USEFUL_AT_HUB if is_hub or both else ()):
        yield f"program {program}", "warn", lambda p=program: _program(p)  # type: ignore[misc]
    yield "rsync version", "fail", _rsync_version
    yield "clock", "warn", lambda: _clock(clock)
    yield "mdns", "warn", _multicast
    yield "data folder", "fail", lambda: _folder(data)
    yield "disk room", "warn", lambda: _room(data)
    if is_hub:
        hub = HubLayout(data)
        yield "database", "fail", lambda: _database(hub.database)
        yield "secrets", "fail", lambda: _secrets(sorted(hub.keys.rglob("*")))
        yield "congestion control", "warn", _congestion
        yield "https", "warn", lambda: _https(hub.database)
    if is_box:
        box = BoxLayout(data)
        yield "database", "fail", lambda: _database(box.database)
        yield "secrets", "fail", lambda: _secrets([box.pairing])
        yield "hub", "warn", lambda: _hub(box.pairing)


def _program(name: str) -> TeachpointError | None:
    programs.require(name)
    return None


def _rsync_version() -> TeachpointError | None:
    first = programs.run("rsync", "--version", timeout_s=10).stdout.partition("\n")[0]
    found = re.search(r"version (\d+)\.(\d+)", first)
    version = tuple(int(part) for part in found.groups()) if found else (0, 0)
    if version < LEAST_RSYNC:
        return Broken("program-old", program="rsync", found=first.strip(), least="3.2")
    return None


def _clock(clock: Clock) -> TeachpointError | None:
    if EARLIEST_S <= clock.now() <= LATEST_S:
        return None
    return Broken("clock-wrong", time=iso(clock.now()))


def _multicast() -> TeachpointError | None:
    """Can this machine join the group of mDNS (RFC 6762: 224.0.0.251, UDP 5353)?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                             struct.pack("=4sl", socket.inet_aton("224.0.0.251"), socket.INADDR_ANY))
        except OSError as error:
            return Broken("multicast-missing", reason=error.strerror)
    return None


def _congestion() -> TeachpointError | None:
    """Lines that lose packets: what the hub sends is held back by each loss, unless BBR decides (measured in
    bench/RESULTS.md, `line satellite` and `line satellite-cubic`)."""
    try:
        used = CONGESTION.read_text().strip()
    except OSError:
        return None
    return None if used.startswith("bbr") else Broken("congestion-slow", used=used)


def _https(database: Path) -> TeachpointError | None:
    """What `hub serve` said last about HTTPS for boxes."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT json_extract(facts, '$.reason') FROM problem "
                                 "WHERE site = '' AND code = 'https-failing'").fetchone()
    except sqlite3.DatabaseError:  # told by the check of the database
        return None
    finally:
        connection.close()
    return Broken("https-failing", reason=row[0]) if row else None


def _folder(data: Path) -> TeachpointError | None:
    nearest = next(path for path in (data, *data.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        return Broken("folder-not-writable", path=nearest)
    return None


def _room(data: Path) -> TeachpointError | None:
    nearest = next(path for path in (data, *data.parents) if path.exists())
    disk = os.statvfs(nearest)
    free = disk.f_bavail * disk.f_frsize
    if free < LEAST_FREE_BYTES or (disk.f_files and disk.f_favail < LEAST_FREE_INODES):
        return NoRoom("disk-nearly-full", path=nearest, free_bytes=free, free_inodes=disk.f_favail)
    return None


def _database(path: Path) -> TeachpointError | None:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return Broken("database-broken", path=path, reason=error)
    return None if answer == "ok" else Broken("database-broken", path=path, reason=answer)


def _secrets(paths: list[Path]) -> TeachpointError | None:
    for path in paths:
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            return Refused("secret-exposed", path=path)
    return None


def _hub(pairing_file: Path) -> TeachpointError | None:
    pairing = read_pairing(pairing_file)
    reason: object = ""
    for address in pairing.hub.addresses:
        try:
            with socket.create_connection((address, pairing.hub.ssh_port), CONNECT_TIMEOUT_S):
                return None
        except OSError as error:
            reason = error
    return Broken("hub-silent", addresses=", ".join(pairing.hub.addresses), port=pairing.hub.ssh_port,
                  reason=reason)
