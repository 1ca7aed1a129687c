"""Golden files: bytes that other versions and other implementations must read and write alike.

After a change of format that is meant, run the tests once with TEACHPOINT_WRITE_GOLDEN=1, look at
the difference, and say in docs/format.md what changed.
"""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def same_as_golden(name: str, data: bytes) -> None:
    """Assert that `tests/golden/<name>` has exactly these bytes."""
    path = GOLDEN / name
    if os.environ.get("TEACHPOINT_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert path.read_bytes() == data, f"{name} is written differently now"
