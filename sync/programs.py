"""The only place that starts other programs, through `sh`: argument lists, never shell strings.

Every run has a time limit and dies with this process (PR_SET_PDEATHSIG), so that a SIGKILL of hub
or box leaves no orphan that holds a port or writes to a folder. The signal comes when the *thread*
that started the child ends: start a `Service` from a thread that lives as long as the service.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sh

from sync.clock import SYSTEM
from sync.errors import Broken

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

#: Where servers live that are not on an ordinary user's PATH (Debian).
_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")

#: Which Debian package brings a program, for advice.
DEBIAN_PACKAGE = {
    "rsync": "rsync", "ssh": "openssh-client", "ssh-keygen": "openssh-client",
    "sshd": "openssh-server", "nginx": "nginx-light", "ffmpeg": "ffmpeg", "ffprobe": "ffmpeg",
    "pdftoppm": "poppler-utils",
    "soffice": "libreoffice-writer-nogui libreoffice-impress-nogui libreoffice-calc-nogui",
}

#: Output kept of a run, in characters; a babbling child must not fill the memory.
MOST_OUTPUT_CHARACTERS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Finished:
    """How a run ended: exit status (negative: the signal that killed it) and what it printed."""

    status: int
    stdout: str
    stderr: str


def find(program: str) -> str | None:
    """The absolute path of `program`, also in sbin folders; None where it is not installed."""
    return shutil.which(program) or shutil.which(program, path=":".join(_MORE_FOLDERS))


def require(program: str) -> str:
    """As `find`, but raises Broken `program-missing` with the Debian package that brings it."""
    path = find(program)
    if path is None:
        raise Broken("program-missing", program=program,
                     package=DEBIAN_PACKAGE.get(program, program))
    return path


def run(program: str, *arguments: str, timeout_s: float, stdin: bytes | None = None,
        cwd: Path | None = None, env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None, ok: Sequence[int] | None = (0,),
        started: Callable[[Any], None] | None = None,
        memory_bytes: int | None = None, network: bool = True) -> Finished:
    """Run `program` to its end.

    `on_line` gets each line of standard output as it comes (standard output is then not kept).
    `ok` are the exit statuses that are no error; None takes any. `started` gets the running
    process (with `.terminate()`), for callers that may want to interrupt it. `memory_bytes` limits
    its address space, for programs that open files from strangers; without `network` it reaches none, where
    the system allows that to be taken away.

    Raises Broken: `program-missing`, `program-timeout`, `program-failed`.
    """
    command = sh.Command(require(program))
    out, err = _Kept(), _Kept()
    process: Any = command(*arguments, _bg=True, _bg_exc=False, _in=stdin, _cwd=str(cwd) if cwd else None,
                      _env=_environment(env), _timeout=timeout_s,
                      _out=on_line or out.take, _err=err.take, _tty_out=False, _tty_in=False,
                      _encoding="utf-8", _decode_errors="backslashreplace",
                      _preexec_fn=partial(_prepare, os.getpid(), memory_bytes, network))
    if started is not None:
        started(process)
    status = 0
    try:
        process.wait()
    except sh.TimeoutException as error:
        raise Broken("program-timeout", program=program, timeout_s=timeout_s) from error
    except sh.ErrorReturnCode as error:  # SignalException is one too, with a negative status
        status = error.exit_code
    except BaseException:
        _signal(process, signal.SIGKILL)
        raise
    if ok is not None and status not in ok:
        raise Broken("program-failed", program=program, status=status,
                     output=(err.text() or out.text()).strip()[-2000:])
    return Finished(status, out.text(), err.text())


class Service:
    """A child that runs until it is stopped (nginx, sshd, an ssh master)."""

    def __init__(self, program: str, *arguments: str, env: Mapping[str, str] | None = None,
                 on_line: Callable[[str], None] | None = None, cwd: Path | None = None,
                 pass_fds: Collection[int] = ()) -> None:
        """Start it, in a process group of its own: Ctrl-C in a terminal and `stop` reach it apart from us.

        `on_line` gets each line it prints on standard output or error. `cwd` is its working directory;
        `pass_fds` are our open files that it inherits under the same numbers.

        Raises Broken `program-missing`.
        """
        self.program = program
        self._last = _Kept()
        take = on_line or self._last.take
        self._process = sh.Command(require(program))(
            *arguments, _bg=True, _bg_exc=False, _tty_out=False, _tty_in=False, _out=take,
            _err=take, _env=_environment(env), _encoding="utf-8", _cwd=str(cwd) if cwd else None,
            _decode_errors="backslashreplace", _new_group=True, _pass_fds=set(pass_fds),
            _preexec_fn=partial(_prepare_service, os.getpid(), pass_fds))

    @property
    def pid(self) -> int:
        """The child's process id."""
        return int(self._process.pid)

    def alive(self) -> bool:
        """Is it still running?"""
        return bool(self._process.is_alive())

    def output(self) -> str:
        """What it printed so far, where no `on_line` was given; all of it if it has ended."""
        if not self.alive():
            with contextlib.suppress(sh.ErrorReturnCode):
                self._process.wait()  # for the thread that reads: it may be behind
        return self._last.text()

    def signal(self, number: int) -> None:
        """Send it a signal (SIGHUP: read the configuration again); nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.signal(number)

    def stop(self, patience_s: float = 5.0, *, whole_tree: bool = False) -> None:
        """Ask it to end; kill it and its children after `patience_s` seconds.

        `whole_tree` ends what it started as well, also where that left its process group (the
        connections of an sshd).
        """
        with _Tree(self.pid if whole_tree and self.alive() else None) as tree:
            self._stop(patience_s)
            tree.stop(patience_s)

    def _stop(self, patience_s: float) -> None:
        _signal(self._process, signal.SIGTERM)
        with contextlib.suppress(sh.ErrorReturnCode, sh.TimeoutException):
            self._process.wait(timeout=patience_s)
        if self.alive():
            _signal(self._process, signal.SIGKILL, group=True)
            with contextlib.suppress(sh.ErrorReturnCode, sh.TimeoutException):
                self._process.wait(timeout=patience_s)


class _Tree:
    """The descendants of a process, held by file descriptors: a number that was given to another
    process meanwhile is never signalled."""

    def __init__(self, root: int | None) -> None:
        self._descriptors: list[int] = []
        for pid in _descendants(root) if root is not None else ():
            with contextlib.suppress(ProcessLookupError):
                self._descriptors.append(os.pidfd_open(pid))

    def __enter__(self) -> _Tree:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def stop(self, patience_s: float) -> None:
        """SIGTERM to all, SIGKILL to those still there after `patience_s` seconds."""
        self._signal(signal.SIGTERM)
        last = SYSTEM.monotonic() + patience_s
        while (left_s := last - SYSTEM.monotonic()) > 0 and self._wait(left_s):
            pass
        self._signal(signal.SIGKILL)

    def _wait(self, most_s: float) -> bool:
        """Wait until one of those still running ends; is there any left?"""
        poll = select.poll()
        running = self._running()
        for descriptor in running:
            poll.register(descriptor, select.POLLIN)
        return bool(running) and len(poll.poll(most_s * 1000)) < len(running)

    def _running(self) -> list[int]:
        poll = select.poll()
        for descriptor in self._descriptors:
            poll.register(descriptor, select.POLLIN)  # readable: the process has ended
        ended = {descriptor for descriptor, _ in poll.poll(0)}
        return [descriptor for descriptor in self._descriptors if descriptor not in ended]

    def _signal(self, number: int) -> None:
        for descriptor in self._running():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, number)


def _descendants(root: int) -> list[int]:
    """The processes below `root` at this moment."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # pid (name) state parent …; the name may hold anything, also spaces and brackets
                parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
    found, look_at = [], [root]
    while look_at:
        below = children.get(look_at.pop(), [])
        found += below
        look_at += below
    return found


class _Kept:
    """The last MOST_OUTPUT_CHARACTERS that a child printed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _parts and _size: sh writes from its own threads
        self._parts: list[str] = []
        self._size = 0

    def take(self, chunk: str) -> None:
        with self._lock:
            self._parts.append(chunk)
            self._size += len(chunk)
            while self._size > MOST_OUTPUT_CHARACTERS and len(self._parts) > 1:
                self._size -= len(self._parts.pop(0))

    def text(self) -> str:
        with self._lock:
            return "".join(self._parts)


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """The child's environment. PyInstaller's start-up points LD_LIBRARY_PATH at its own libraries, with
    which the system's programs may not work; it keeps the original beside it (PyInstaller manual,
    "LD_LIBRARY_PATH / LIBPATH considerations")."""
    found = dict(os.environ if env is None else env)
    if getattr(sys, "frozen", False):
        original = found.pop("LD_LIBRARY_PATH_ORIG", "")
        found.pop("LD_LIBRARY_PATH", None)
        if original:
            found["LD_LIBRARY_PATH"] = original
    return found


def _prepare(parent: int, memory_bytes: int | None, network: bool) -> None:
    """In the child, before the program starts."""
    if not network and _libc.unshare(_CLONE_NEWNET) != 0:
        _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    _die_with_parent(parent)  # last: the kernel forgets it when rights change
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _prepare_service(parent: int, pass_fds: Collection[int]) -> None:
    """In the child: Python's files are closed at exec unless they are told otherwise. Told here, no other
    child of ours inherits them."""
    _die_with_parent(parent)
    for number in pass_fds:
        os.set_inheritable(number, True)


def _die_with_parent(parent: int) -> None:
    """Also where it dies before the program starts: our own handler would only take note of the signal, and
    one that has died already sends none."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _signal(process: Any, number: int, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (process.signal_group if group else process.signal)(number)
