"""The processes of a stage by what they are, and killing one of them: for tests that cut the power."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.e2e.stage import Stage

Words = list[str]


def _runs(program: str, *inside: str) -> Callable[[Words], bool]:
    return lambda words: Path(words[0]).name == program and all(word in words for word in inside)


def _command(*wanted: str) -> Callable[[Words], bool]:
    """`teachpoint hub publish …`, whatever interpreter runs it."""
    return lambda words: any(tuple(words[at:at + len(wanted)]) == wanted for at in range(1, len(words)))


def _runs_module(name: str) -> Callable[[Words], bool]:
    return lambda words: words[1:3] == ["-m", name]


def _sshd(words: Words) -> bool:
    return words[0].startswith("sshd:") and "[listener]" in words[0]


#: What can be killed. An sshd session is found by its socket, because it hides its arguments; nginx, which
#: hides whose it is, by its working directory.
KINDS: dict[str, Callable[[Words], bool]] = {
    "hub serve": _command("hub", "serve"),
    "box serve": _command("box", "serve"),
    "hub publish": _command("hub", "publish"),
    "hub assign": _command("hub", "assign"),
    "hub carry": _command("hub", "carry"),
    "hub ingest": _command("hub", "ingest"),
    "hub fsck": _command("hub", "fsck"),
    "box sync": _command("box", "sync"),
    "box fsck": _command("box", "fsck"),
    "box indexing": _runs_module("edge.indexing"),
    "hub readers": _runs_module("sync.hub.readers"),
    "rsync at the box": lambda words: _runs("rsync")(words) and "--server" not in words,
    "rsync at the hub": _runs("rsync", "--server"),
    "ssh": _runs("ssh"),
    "sshd": _sshd,
}
SESSION = "sshd session"
#: kind → (the data folder's name in a stage, how nginx calls itself).
NGINX = {f"{side} nginx{more}": (f"{side}_data", f"nginx: {name} process")
         for side in ("box", "hub") for more, name in (("", "master"), (" worker", "worker"))}


def find(stage: Stage, kind: str) -> list[int]:
    """The processes of this kind that run now."""
    if kind == SESSION:
        return sorted(sessions(stage.ssh_port))
    found = stage.processes()
    if kind in NGINX:
        folder, name = NGINX[kind]
        return sorted(pid for pid, words in found.items() if words[0].startswith(name)
                      and _runs_in(pid) == str(getattr(stage, folder)))
    return sorted(pid for pid, words in found.items() if KINDS[kind](words))


def _runs_in(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/cwd").readlink())
    return ""


def sessions(port: int) -> set[int]:
    """The sshd processes that hold a connection to `port`, also those whose sshd is gone."""
    sockets = {f"socket:[{inode}]" for inode in _connected(port)}
    found = set()
    for entry in Path("/proc").iterdir() if sockets else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("sshd") and any(
                    str(handle.readlink()) in sockets for handle in (entry / "fd").iterdir()):
                found.add(int(entry.name))
    return found


def _connected(port: int) -> Iterator[str]:
    """The inodes of the sockets at the hub's end of connections to `port` (proc(5), net/tcp)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, *_, = line.split()
                if int(local.rpartition(":")[2], 16) == port and state != "0A":  # 0A: listening
                    yield line.split()[9]


def kill_after(pid: int, wait_s: float) -> bool:
    """SIGKILL in `wait_s` seconds; False where it had ended by itself. Never a process that has the
    number after it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        time.sleep(wait_s)
        poll = select.poll()
        poll.register(handle, select.POLLIN)  # readable: it has ended
        if poll.poll(0):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
