"""The stage as a fixture: everything it started is ended after the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An empty stage."""
    made = Stage(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def paired(stage: Stage) -> Stage:
    """A stage with a hub, one site, and its box."""
    stage.set_up()
    return stage
