"""The stage as a fixture: everything it started is ended after the test."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import open_browser, resize
from tests.e2e.networks import Room
from tests.e2e.stage import Stage

TOP = Path(__file__).parent.parent.parent
BUILD_S = 900


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


@pytest.fixture
def room() -> Iterator[Room]:
    """A classroom's network."""
    made = Room()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    """One browser for all tests of a file; what they need of it as new, `browser` gives them."""
    driver = open_browser()
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(shared: Any) -> Any:
    """A tablet's browser in Chinese, as new."""
    resize(shared, 1024, 768)
    shared.switch_to.default_content()
    shared.get("about:blank")
    shared.execute_cdp_cmd("Network.clearBrowserCookies", {})
    shared.execute_cdp_cmd("Network.clearBrowserCache", {})
    for kind in ("performance", "browser"):
        shared.get_log(kind)
    return shared


@pytest.fixture(scope="session")
def executable() -> Iterator[Path]:
    """dist/teachpoint, built if anything has changed since, and copied away from the checkout to where any
    user may run it."""
    with (TOP / ".make-binary.lock").open("w") as lock:  # one build at a time; the next finds it built
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "binary", f"VENV={Path(sys.prefix)}"], cwd=TOP, capture_output=True,
                              text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    folder = Path(tempfile.mkdtemp(prefix="teachpoint-executable-"))
    folder.chmod(0o755)
    try:
        yield Path(shutil.copy2(TOP / "dist" / "teachpoint", folder / "teachpoint"))
    finally:
        shutil.rmtree(folder)
