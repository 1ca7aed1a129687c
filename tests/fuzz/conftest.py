"""A place for each test with something to lose in it, and where temporary files, home and work folder lie."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import running

#: In memory where there is room: hundreds of hubs and boxes are made, and none of them has to last.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 1024**3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    running.sharing[0] = max(sum("tests/fuzz" in str(item.path) for item in items), 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which all that a program of ours might write by mistake is seen."""
    before, made = Path.cwd(), tmp_path
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        made = Path(tempfile.mkdtemp(prefix="teachpoint-fuzz-", dir=MEMORY))
    for name in ("outside", "home", "temporary", "work"):
        (made / name).mkdir()
    (made / "outside" / "secret.txt").write_text("secret")
    monkeypatch.setenv("HOME", str(made / "home"))
    monkeypatch.setenv("TMPDIR", str(made / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(made / "temporary"))
    os.chdir(made / "work")
    try:
        yield made
    finally:
        os.chdir(before)
        shutil.rmtree(made, ignore_errors=True)
