"""The transport over rsync and SSH: the hub's modules `feed`, `library` and `inbox` (docs/format.md §1).

What decided its shape
* Objects never change, so a partial file is continued with `--append`: no checksums travel, nothing is
  sent twice, and a SIGKILL leaves the bytes where they are. (With `--partial-dir` a SIGKILL or a power cut
  leaves a nameless temporary file: all of it is sent again.)
* rsync orders the files of one run by name. To keep the caller's order roughly, objects go in several
  runs, the first small and each twice as large as the one before: what is urgent is there early, and on a
  long line the round trips of a run's beginning are few for all that comes.
* A run holds one kind: what is worth compressing or not, with a similar object here or without.
* An object of which the box has an older version comes as the difference to that (`sync.box.seeds`): in
  place, so that here, too, what has arrived stays. Why so: docs/decisions/0011-delta.md.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync import programs
from sync.box import seeds
from sync.box.ssh_link import SshLink, environment
from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, write_file
from sync.errors import Broken, NoRoom, Refused, TeachpointError, Unreachable
from sync.layout import object_path
from sync.logs import log
from sync.pairing import Pairing
from sync.staging import SYNC_EVERY_S, Growing, unfinished
from sync.transport import (
    MOST_FEED_FILE_BYTES,
    Arrived,
    Moved,
    Progress,
    Wanted,
    segments_first,
    silent,
    unheard,
)

#: Bytes of the first run of objects, and of the largest: the runs between double. Half a minute of a line of
#: 2 Mbit/s, where each run more costs nine round trips: 5 s over a satellite.
FIRST_RUN_BYTES, LARGEST_RUN_BYTES = 8 * 1024 * 1024, 64 * 1024 * 1024
#: Most objects in one run: their names go up before the first byte comes down (84 bytes each).
MOST_RUN_OBJECTS = 5000
#: rsync gives up when nothing at all moves for so long, in seconds: a stuck program at the other end
#: or a disk that takes this long to write. A dead line is noticed by ssh much sooner.
STALL_S = 180
#: No run takes longer, in seconds; whatever is left comes with the next.
LONGEST_RUN_S = 30 * 86400.0
#: How often progress is told while nothing else happens, in seconds.
TICK_S = 0.5
#: What rsync may have written to us that we have not read: its statistics, in bytes. It is no progress.
REPORT_BYTES = 4096
#: zstd's level for what is worth compressing: 16x on HTML where level 3 gives 8x (DESIGN.md §8).
ZSTD_LEVEL = 19
#: Where rsync at the hub keeps the beginning of an upload that was cut off.
PARTIAL_FOLDER = ".tmp-partial"

#: Exit statuses (rsync(1)): some files could not be transferred; some had vanished.
_VANISHED = 24
_PARTLY = (23, _VANISHED)
_SOME_FILES = ("rsync error: some files", "rsync warning: some files")
#: How often a feed is fetched that the hub replaces meanwhile.
FEED_TRIES = 3
#: The connection or the program at its other end went away.
_LINK = (5, 10, 12, 30, 35, 255)

# What is missing at the end of a file; or the difference to a similar one, written where it will stay.
# Without --ignore-times rsync takes a seed of the same size and time for the object itself.
_REST = ("--append", "--size-only")
_DELTA = ("--inplace", "--no-whole-file", "--ignore-times", f"--copy-dest={seeds.FOLDER}")

# %b makes rsync print the line after the file's last byte was written, not before.
_LINE = "--out-format=@ %b %i %n"
_FILE = re.compile(r"@ (\d+) (\S+) (.+)")
_STATISTIC = re.compile(r"(Total bytes (?:sent|received)|Number of regular files transferred): ([\d,.]+)")
# rsync tells of a file first and sets its mode afterwards: by then the caller may have moved it away.
_MISSING = re.compile(r"\[sender\] link_stat .* failed: No such file or directory|file has vanished: |"
                      r"\[receiver\] (stat|failed to set permissions on) .*: No such file or directory")
#: A sender that has none of the files asked for ends at once, and the last word to it finds nobody.
_ENDED = re.compile(r"\[[Rr]eceiver\] write error: Broken pipe")
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|File too large")
_FAILING = re.compile(r"(Input/output error|Read-only file system)")


@dataclass(frozen=True)
class _Run:
    """How one rsync ended: what it moved and what it said."""

    moved: Moved
    status: int
    complaints: list[str]


class RsyncSsh:
    """A `Transport` to the hub of `pairing`. Opens its one connection when it is first needed.

    `run_folder` gets a private folder `link/` with the site's key while the link is open. `library` holds
    the objects that the box has, for `Wanted.like`; on the file system of the staging folders.
    """

    name = "ssh"
    carrier = False

    def __init__(self, pairing: Pairing, run_folder: Path, library: Path) -> None:
        self._pairing = pairing
        self._run_folder, self._library = run_folder, library
        self._link = SshLink(pairing, run_folder)
        self._bytes_per_s: float | None = None
        self._told = Moved()  # what the calls have reported of this link

    def open(self) -> None:
        """Open the link now. Raises as every method may."""
        self._link.open()

    def limit(self, bytes_per_s: float | None) -> None:
        """As `Transport.limit`, in steps of 10 bytes."""
        self._bytes_per_s = bytes_per_s

    def fetch_feed(self, into: Path) -> Moved:
        """As `Transport.fetch_feed`: one rsync, under 3 KB both ways where nothing has changed."""
        with disk_errors(into):
            make_folder(into)
        moved = Moved()
        for _ in range(FEED_TRIES):
            run = self._rsync(["--recursive", "--times", "--checksum", "--delete", "--compress",
                               f"--max-size={MOST_FEED_FILE_BYTES}", self._module("feed"), _folder(into)])
            moved += run.moved
            self._judge(run, into)
            if run.status != _VANISHED:
                break
        return moved

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path,
                      progress: Progress = silent, arrived: Arrived = unheard) -> Moved:
        """As `Transport.fetch_objects`."""
        with disk_errors(staging):
            make_folder(staging)
        moved = Moved()
        before = 0
        for batch in batches(unfinished(wanted, staging, arrived)):
            growing = Growing(sorted(batch, key=lambda one: one.sha256), staging)
            seeded = [one for one in batch if seeds.prepare(one, staging, self._library)]
            for part in (seeded, [one for one in batch if one not in seeded]):
                if part:
                    run = self._fetch_batch(part, staging, growing, arrived, part is seeded,
                                            _counting(progress, growing, before))
                    moved += run.moved
                    progress(before + growing.arrived_bytes())
                    self._judge(run, staging)
            before += growing.arrived_bytes()
        return moved

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        """As `Transport.push_outbox`: one rsync for segments, one for objects.

        Each file gets its name when it is whole and on the hub's disk (`--fsync`). A large upload that
        was cut off goes on from its beginning in PARTIAL_FOLDER.
        """
        moved = Moved()
        there = [path for path in segments_first(paths) if (outbox / path).is_file()]
        segments = [path for path in there if path.startswith("segments/")]
        for names, how in ((segments, "--checksum"), (there[len(segments):], "--ignore-times")):
            if names:
                run = self._push_batch(outbox, names, how, _beyond(progress, moved.sent_bytes))
                moved += run.moved
                progress(moved.sent_bytes)
                self._judge(run, outbox, pushing=True)
        return moved

    def beside(self) -> None:
        """None: there is only this one."""

    def close(self) -> Moved:
        """End the link. What it carried beyond what the calls reported: handshakes, encryption, and all
        that calls moved which failed."""
        carried = self._link.close()
        self._link.forget()
        told, self._told = self._told, Moved()
        if carried is None:
            return Moved()
        return Moved(max(carried.received_bytes - told.received_bytes, 0),
                     max(carried.sent_bytes - told.sent_bytes, 0))

    def _fetch_batch(self, batch: Sequence[Wanted], staging: Path, growing: Growing, arrived: Arrived,
                     seeded: bool, tell: Callable[[], None]) -> _Run:
        flushed = SYSTEM.monotonic()

        def take(name: str, _change: str) -> None:
            if growing.finished(name):
                arrived(name)

        def tick() -> None:
            nonlocal flushed
            tell()
            if SYSTEM.monotonic() - flushed > SYNC_EVERY_S:
                growing.flush()
                flushed = SYSTEM.monotonic()

        compress = ["--compress", f"--compress-level={ZSTD_LEVEL}"] if batch[0].compressible else []
        names = [object_path(one.sha256) for one in batch]
        largest = max(one.size for one in batch)
        how = _DELTA if seeded else _REST
        # With --files-from rsync takes folders along: one that has an object's name would come into staging.
        run = self._rsync([*how, "--no-relative", "--chmod=F644", "--exclude=*/",
                           f"--max-size={largest}", *compress, *self._names(names),
                           self._module("library"), _folder(staging)], take, tick)
        for one in batch:
            take(one.sha256, "")
        return run

    def _push_batch(self, outbox: Path, names: Sequence[str], how: str, tell: Progress) -> _Run:
        def take(name: str, change: str) -> None:
            # Where neither size, time nor checksum differs, only what is missing of it was sent.
            if change.startswith("<f") and "+" not in change and change[2:].strip("."):
                log("box.link").warning("inbox-file-replaced", path=name)

        return self._rsync(["--relative", "--times", "--fsync", f"--partial-dir={PARTIAL_FOLDER}", how,
                            *self._names(names), _folder(outbox), self._module("inbox")],
                           take, on_written=tell)

    def _module(self, module: str) -> str:
        return f"{self._link.host}::{module}/"

    def _names(self, names: Sequence[str]) -> list[str]:
        make_folder(self._run_folder)
        path = self._run_folder / "names"
        write_file(path, b"".join(os.fsencode(name) + b"\0" for name in names), mode=0o600)
        return ["--from0", f"--files-from={path}"]

    def _rsync(self, arguments: Sequence[str], take: Callable[[str, str], None] = lambda _n, _c: None,
               tick: Callable[[], None] = lambda: None, on_written: Progress | None = None) -> _Run:
        """Run rsync over the link. `take(name, itemized change)` for each file that is whole; `tick` about
        twice a second; both in this thread. Whatever they raise ends rsync first."""
        self._link.open()
        if self._bytes_per_s is not None:  # rsync counts in KiB; 0 would mean no limit
            arguments = [f"--bwlimit={max(self._bytes_per_s / 1024, 0.5):.2f}", *arguments]
        running = _Running(["--stats", "--no-human-readable", "--outbuf=L", f"--timeout={STALL_S}", _LINE,
                            f"--rsh={self._link.remote_shell}", *arguments])
        numbers: dict[str, int] = {}
        printed = most = 0
        for line in running.lines():
            printed += len(line) + 1 if line is not None else 0
            if line is None:
                tick()
                if on_written is not None:
                    most = max(most, running.written_bytes() - printed - REPORT_BYTES)
                    on_written(most)
            elif found := _FILE.fullmatch(line):
                take(found[3], found[2])
            elif found := _STATISTIC.match(line):
                numbers[found[1]] = int(re.sub(r"\D", "", found[2]))
        finished = running.finished()
        moved = Moved(numbers.get("Total bytes received", 0), numbers.get("Total bytes sent", 0),
                      numbers.get("Number of regular files transferred", 0))
        self._told += moved
        complaints = [line for line in finished.stderr.splitlines()
                      if line.strip() and not _MISSING.search(line)]
        return _Run(moved, finished.status, complaints)

    def _judge(self, run: _Run, path: Path, *, pushing: bool = False) -> None:
        """Raise what the end of a run means, where it is an error."""
        if run.status == 0:
            return
        text = "\n".join(run.complaints)
        hub = self._pairing.hub.name
        reason = next((line for line in run.complaints if line.startswith(("rsync:", "@ERROR"))), text)[:300]
        if _NO_ROOM.search(text):
            raise NoRoom("hub-disk-full", hub=hub) if pushing else NoRoom("disk-full", path=path)
        if (failing := _FAILING.search(text)) and not pushing:
            raise Broken("disk-failing", path=path, reason=failing[1])
        if "@ERROR" in text or "configured to refuse" in text or "pre-xfer exec" in text:
            raise Refused("hub-refuses", hub=hub, reason=reason)
        if run.status in _LINK or run.status < 0 or not self._link.alive():
            said = self._link.said() if not self._link.alive() else reason
            raise Unreachable("link-broken", hub=hub, reason=said)
        complaints = [line for line in run.complaints
                      if not line.startswith(_SOME_FILES) and not _ENDED.search(line)]
        if run.status not in _PARTLY or complaints:
            raise Broken("program-failed", program="rsync", status=run.status, output=reason)


class _Running:
    """An rsync in a thread of its own, so that callbacks run in the caller's."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process: Any = None
        self._result: programs.Finished | TeachpointError | None = None
        self._thread = threading.Thread(target=self._run, args=(arguments,), name="rsync", daemon=True)
        self._thread.start()

    def lines(self) -> Iterator[str | None]:
        """The lines it prints, and None about every TICK_S. Ends it where the caller stops listening."""
        ticked = SYSTEM.monotonic()
        try:
            while (line := self._next()) != "":
                yield line.rstrip("\n") if line is not None else None
                if line is not None and SYSTEM.monotonic() - ticked > TICK_S:
                    yield None
                if SYSTEM.monotonic() - ticked > TICK_S:
                    ticked = SYSTEM.monotonic()
        finally:
            if self._result is None:
                self._stop()

    def written_bytes(self) -> int:
        """Bytes rsync has written so far, to the link and to us; 0 where Linux does not count, and after its
        end."""
        with contextlib.suppress(OSError, AttributeError, ValueError):
            for line in Path(f"/proc/{self._process.pid}/io").read_text().splitlines():
                if line.startswith("wchar: "):
                    return int(line.split()[1])
        return 0

    def finished(self) -> programs.Finished:
        """How it ended. Raises Broken `program-missing`, `program-timeout`."""
        self._thread.join()
        if isinstance(self._result, TeachpointError):
            raise self._result
        assert self._result is not None  # noqa: S101 - _run always leaves one
        return self._result

    def _run(self, arguments: Sequence[str]) -> None:
        try:
            self._result = programs.run("rsync", *arguments, timeout_s=LONGEST_RUN_S, env=environment(),
                                        ok=None, on_line=self._lines.put, started=self._note)
        except TeachpointError as error:
            self._result = error
        except BaseException as error:  # what is not ours must not leave the caller waiting for ever
            self._result = Broken("program-failed", program="rsync", status=-1, output=str(error))
        finally:
            self._lines.put("")

    def _note(self, process: Any) -> None:
        self._process = process

    def _next(self) -> str | None:
        """The next line; "" at the end; None where none came for TICK_S."""
        try:
            return self._lines.get(timeout=TICK_S)
        except queue.Empty:
            return None

    def _stop(self) -> None:
        """The caller wants no more of it: rsync ends, and what has arrived stays."""
        while self._process is None and self._result is None:
            SYSTEM.sleep(0.01)
        with contextlib.suppress(Exception):  # it may have ended meanwhile
            self._process.terminate()
        self._thread.join(STALL_S)


def batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Portions for one run each, in order: of one kind (compressible or not, with a similar object or
    without), the first small, each twice as large as the one before."""
    most_bytes = FIRST_RUN_BYTES
    left = list(wanted)
    while left:
        kind, size, taken, later = _kind(left[0]), 0, list[Wanted](), list[Wanted]()
        for place, one in enumerate(left):
            if taken and (size + one.size > most_bytes or len(taken) >= MOST_RUN_OBJECTS):
                later += left[place:]
                break
            if _kind(one) == kind:
                taken.append(one)
                size += one.size
            else:
                later.append(one)
        yield taken
        left = later
        most_bytes = min(most_bytes * 2, LARGEST_RUN_BYTES)


def _kind(one: Wanted) -> tuple[bool, bool]:
    return one.compressible, bool(one.like)


def _folder(path: Path) -> str:
    """A local folder as rsync wants it: with a slash (its contents), never taken for a host."""
    return f"{path.absolute()}/"


def _counting(progress: Progress, growing: Growing, before: int) -> Callable[[], None]:
    return lambda: progress(before + growing.arrived_bytes())


def _beyond(progress: Progress, before: int) -> Progress:
    return lambda sent: progress(before + sent)
