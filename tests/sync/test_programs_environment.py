"""The environment that the system's programs are started with, also from inside the one executable."""

from __future__ import annotations

import sys

import pytest

from sync import programs


@pytest.mark.parametrize(("original", "seen"), [(None, "none"), ("/usr/lib/own", "/usr/lib/own")])
def test_the_executables_libraries_are_not_forced_on_the_systems_programs(
        monkeypatch: pytest.MonkeyPatch, original: str | None, seen: str) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere/_MEI12345")
    if original is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", original)
    ran = programs.run("sh", "-c", "echo ${LD_LIBRARY_PATH:-none}", timeout_s=10)
    assert ran.stdout.strip() == seen


def test_elsewhere_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/lib/own")
    ran = programs.run("sh", "-c", "echo $LD_LIBRARY_PATH", timeout_s=10)
    assert ran.stdout.strip() == "/usr/lib/own"
