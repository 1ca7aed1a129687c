"""A service: its group, its working directory, the files it inherits, how it is stopped."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sync.programs import Service


def wait_for_output(service: Service, text: str) -> str:
    end = time.monotonic() + 5
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
    end = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < end:
        if " Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}").exists()
