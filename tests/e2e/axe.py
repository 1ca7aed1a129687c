"""axe-core, the accessibility checker, as a script for the browser: from its registry, kept in `.cache/`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

RELEASE = "axe-core@4.10.3"
SHA256 = "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"
#: Longest download, in seconds.
PATIENCE_S = 120


def source() -> str:
    """The script. Skips the test where it cannot be had: no npm, no network."""
    kept = Path(__file__).parents[2] / ".cache" / f"{RELEASE}.js"
    if not kept.exists():
        _download(kept)
    data = kept.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256, f"{kept} is not what was reviewed"
    return data.decode()


def _download(target: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("no npm here to fetch axe-core with")
    folder = target.with_suffix(".fetch")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        done = subprocess.run(["npm", "pack", "--silent", RELEASE], cwd=folder, capture_output=True,
                              text=True, timeout=PATIENCE_S, check=False)
        if done.returncode:
            pytest.skip(f"axe-core cannot be fetched: {done.stderr[-200:]}")
        with tarfile.open(folder / done.stdout.split()[-1]) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            (folder / "axe.js").write_bytes(member.read())
        (folder / "axe.js").replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
