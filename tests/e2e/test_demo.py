"""`make demo DEMO_ARGS=--once`: the story of the README, told to its end on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TOP = Path(__file__).parent.parent.parent
#: With all downloads; the second time it takes seconds.
MOST_S = 600


def test_the_demo_tells_its_story_to_the_end() -> None:
    done = subprocess.run([sys.executable, "-m", "hardware.demo", "--once"], cwd=TOP, capture_output=True,
                          text=True, timeout=MOST_S, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    for step in ("pages:", "bytes:", "search:", "found:", "back:", "acknowledged:", "All of it worked"):
        assert step in done.stdout, (step, said[-2000:])
    assert "Traceback" not in said
