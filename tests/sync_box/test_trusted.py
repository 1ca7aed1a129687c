"""What is read of a feed's folder: regular files with names of a feed, whatever else lies there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sync.box.trusted import read_feed


def test_folders_links_and_pipes_with_names_of_a_feed_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.root.json").write_bytes(b"root")
    (tmp_path / "timestamp.json").mkdir()
    (tmp_path / "1.snapshot.json").symlink_to("1.root.json")
    os.mkfifo(tmp_path / "1.targets.json")
    assert read_feed(tmp_path) == {"1.root.json": b"root"}
    held = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one of this listing; others' may go meanwhile
            held.append(str(descriptor.readlink()))
    assert not [path for path in held if path.startswith(str(tmp_path))]
