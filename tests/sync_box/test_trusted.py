"""What is read of a feed's folder: regular files with names of a feed, whatever else lies there."""

from __future__ import annotations

import os
from pathlib import Path

from sync.box.trusted import read_feed


def test_folders_links_and_pipes_with_names_of_a_feed_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.root.json").write_bytes(b"root")
    (tmp_path / "timestamp.json").mkdir()
    (tmp_path / "1.snapshot.json").symlink_to("1.root.json")
    os.mkfifo(tmp_path / "1.targets.json")
    held = len(list(Path("/proc/self/fd").iterdir()))
    assert read_feed(tmp_path) == {"1.root.json": b"root"}
    assert len(list(Path("/proc/self/fd").iterdir())) == held
