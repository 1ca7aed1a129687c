"""A start: pages first. What only a sync or a technician needs is loaded once they can be asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from tests.e2e.stage import Stage, get, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(
    "TEACHPOINT_COMMAND" in os.environ, reason="an executable does not tell what it loads")]

#: Each takes from 5 to 60 ms of a quick processor to load, and 1 to 5 MB of memory.
LATER = {"tuf", "cryptography", "h2", "zstandard", "watchdog"}
NEVER = {"rich", "pygments", "structlog", "sync.box.commands", "pypinyin", "babel"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("start"))
    made.set_up()
    made.environment["PYTHONPROFILEIMPORTTIME"] = "1"  # Python tells of each module, on standard error
    yield made
    made.stop()


def loaded(text: str) -> set[str]:
    """Modules named in what Python tells, each with the packages above it."""
    found = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", text, re.MULTILINE)
    return {".".join(name.split(".")[:count]) for name in found for count in range(1, name.count(".") + 2)}


def test_pages_can_be_asked_for_before_the_rest_is_loaded(stage: Stage) -> None:
    service = stage.serve_box()  # with a sync, for which there is no hub
    assert get(stage.url)[0] == 200
    wait_for("the rest", lambda: loaded(service.text()) >= LATER)
    before, serving, _ = service.text().partition('"event": "serving"')
    assert serving
    assert "flask" in loaded(before)
    assert loaded(before) & (LATER | NEVER) == set()
    assert loaded(service.text()) & NEVER == set()
