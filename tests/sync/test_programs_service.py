"""A service: its group, its working directory, the files it inherits, how it is stopped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sync import programs
from sync.programs import Service

#: Longest wait for what must happen, in seconds.
PATIENCE_S = 60


def wait_for_output(service: Service, text: str) -> str:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if text in service.output():
            return service.output()
        time.sleep(0.02)
    raise AssertionError(service.output())


def test_runs_where_it_is_told_in_a_group_of_its_own(tmp_path: Path) -> None:
    service = Service("sh", "-c", "echo in $PWD; sleep 60", cwd=tmp_path)
    try:
        assert str(tmp_path) in wait_for_output(service, "in ")
        assert os.getpgid(service.pid) == service.pid != os.getpgid(0)
    finally:
        service.stop()
    assert not service.alive()


def test_what_it_said_last_is_there_once_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why ssh was refused is read from its last line, also where the thread that reads is slow."""
    ended = threading.Event()
    take = programs._Kept.take

    def late(kept: programs._Kept, line: str) -> None:
        ended.wait(PATIENCE_S)
        time.sleep(0.2)
        take(kept, line)

    monkeypatch.setattr(programs._Kept, "take", late)
    service = Service("sh", "-c", "echo first; echo the reason; exit 3")
    while service.alive():
        time.sleep(0.01)
    ended.set()
    assert service.output().splitlines() == ["first", "the reason"]


def test_inherits_the_files_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("from the parent\n")
    with (tmp_path / "note").open() as handle:
        service = Service("sh", "-c", f"cat /dev/fd/{handle.fileno()}; sleep 60", pass_fds=(handle.fileno(),))
        try:
            wait_for_output(service, "from the parent")
        finally:
            service.stop()


def test_one_that_does_not_listen_is_killed_with_its_children() -> None:
    service = Service("sh", "-c", "trap '' TERM; sleep 61 & echo child $!; wait; sleep 61")
    child = int(wait_for_output(service, "child ").split("child ")[1].split()[0])
    service.stop(patience_s=0.3)
    assert not service.alive()
    end = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        if " Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}").exists()


#: A parent with our handler of SIGTERM that starts a service; the child is slow before or after it prepares.
_PARENT = """
import os, sys, time
from pathlib import Path
from sync import programs
from sync.ending import Ending
told, when = Path(sys.argv[1]), sys.argv[2]
prepare = programs._prepare_service
def slow(*given):
    if when == "after":
        prepare(*given)
    told.write_text(str(os.getpid()))
    time.sleep(1.0)
    if when == "before":
        prepare(*given)
programs._prepare_service = slow
with Ending():
    programs.Service("sleep", "60")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_parent_killed_while_it_starts_one_leaves_none(tmp_path: Path, when: str) -> None:
    told = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(told), when])
    end = time.monotonic() + PATIENCE_S
    while not (told.exists() and told.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    child = os.pidfd_open(int(told.read_text()))
    try:
        parent.kill()
        parent.wait()
        poll = select.poll()
        poll.register(child, select.POLLIN)  # readable: it has ended
        assert poll.poll(PATIENCE_S * 1000), "it goes on without its parent"
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
