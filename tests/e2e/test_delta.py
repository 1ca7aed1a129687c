"""A changed file over the real line: the difference comes, also after a cut; nothing for a new name."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.relay import Relay
from tests.e2e.sshd_stage import answering
from tests.e2e.stage import Stage, wait_for

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
SIZE = 20 * MIB
#: What a sync costs beside the objects: handshake, feed, manifest, records, in bytes both ways.
BESIDE = 25_000
#: Checksums of a file of SIZE that go up so that the hub can find what is the same.
CHECKSUMS = 50_000


def noise(size: int, seed: int) -> bytes:
    """Bytes that nothing makes smaller."""
    return random.Random(seed).randbytes(size)


FILM = noise(SIZE, 1)
NEW = noise(MIB // 4, 2)
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "replaced": lambda old: old[:8 * MIB] + NEW + old[8 * MIB + len(NEW):],
    "inserted": lambda old: old[:8 * MIB] + NEW + old[8 * MIB:],
    "appended": lambda old: old + NEW,
}


@pytest.fixture
def joined(paired: Stage) -> Iterator[Stage]:
    """A stage whose hub answers."""
    with answering(paired):
        yield paired


def publish(stage: Stage, files: dict[str, bytes], package: str = "lesson") -> None:
    """Publish and assign a package of exactly these files."""
    folder = stage.place / "lessons" / package
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    stage.publish(folder)


def cost(report: Any) -> int:
    """Bytes both ways."""
    assert report["left"] == 0, report
    return int(report["received_bytes"] + report["sent_bytes"])


def has(stage: Stage, data: bytes) -> bool:
    """Does the box have these bytes as an object?"""
    from sync.canonical import sha256_hex
    from sync.layout import object_path
    path = stage.box_data / "library" / object_path(sha256_hex(data))
    return path.is_file() and path.read_bytes() == data


def largest(folder: Path, pattern: str) -> int:
    """Bytes of the largest file there; a writer may move one while we look."""
    sizes = [0]
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_film_comes_as_its_difference(joined: Stage, change: str) -> None:
    publish(joined, {"film.mp4": FILM})
    joined.sync()
    changed = CHANGES[change](FILM)
    publish(joined, {"film.mp4": changed})
    assert cost(joined.sync()) < len(NEW) + CHECKSUMS + BESIDE
    assert has(joined, changed)
    assert [p.name for p in (joined.box_data / "staging").iterdir()] == [".boot"]


def test_a_difference_that_was_cut_off_goes_on_as_a_difference(paired: Stage) -> None:
    """The line dies in the middle of the new bytes: what follows is again a difference, and neither what had
    come nor what the old film holds comes twice."""
    new = noise(4 * MIB, 3)
    changed = FILM[:8 * MIB] + new + FILM[8 * MIB:]
    with answering(paired):
        publish(paired, {"film.mp4": FILM})
        paired.sync()
        publish(paired, {"film.mp4": changed})
        relay = Relay(paired.ssh_port)
        text = paired.box_data / "pairing.toml"
        plain = text.read_text("utf-8")
        text.write_text(plain.replace(f"ssh_port = {paired.ssh_port}", f"ssh_port = {relay.port}"), "utf-8")
        try:
            relay.hold(down=2 * MIB)
            begun = paired.start("box", "sync", "--once", "--data", str(paired.box_data))
            wait_for("the line to be held", relay.held)
            staging = paired.box_data / "staging"
            wait_for("what has come to be written", lambda: largest(staging, "?" * 64) > 9 * MIB)
            begun.kill()
            begun.communicate()
            relay.stop()
            kept = largest(staging, "?" * 64)
            assert kept < len(changed)
        finally:
            relay.stop()
            text.write_text(plain, "utf-8")
        assert cost(paired.sync()) < 8 * MIB + len(new) - kept + 2 * CHECKSUMS + BESIDE + 300_000
        assert has(paired, changed)
        assert [p.name for p in (paired.box_data / "staging").iterdir()] == [".boot"]


def test_a_bundle_with_some_files_changed_sends_those_differences_only(joined: Stage) -> None:
    files = {"index.html": b"<html>1</html>", **{f"media/{n}.bin": noise(MIB, 10 + n) for n in range(8)}}
    publish(joined, files)
    joined.sync()
    changed = {**files, "index.html": b"<html>2</html>",
               "media/3.bin": files["media/3.bin"][:MIB // 2] + b"new" + files["media/3.bin"][MIB // 2:]}
    publish(joined, changed)
    assert cost(joined.sync()) < 40_000 + BESIDE
    assert all(has(joined, data) for data in changed.values())


def test_a_new_name_or_another_package_sends_nothing(joined: Stage) -> None:
    publish(joined, {"film.mp4": FILM})
    joined.sync()
    publish(joined, {"renamed.mp4": FILM})
    publish(joined, {"moved.mp4": FILM}, "another")
    assert cost(joined.sync()) < BESIDE


def test_an_older_object_that_rotted_does_no_harm(joined: Stage) -> None:
    from sync.canonical import sha256_hex
    from sync.layout import object_path
    publish(joined, {"film.mp4": FILM})
    joined.sync()
    old = joined.box_data / "library" / object_path(sha256_hex(FILM))
    old.chmod(0o644)
    with old.open("r+b") as handle:
        handle.seek(5 * MIB)
        handle.write(b"rotten")
    changed = CHANGES["inserted"](FILM)
    publish(joined, {"film.mp4": changed})
    assert cost(joined.sync()) < len(NEW) + CHECKSUMS + BESIDE + 20_000
    assert has(joined, changed)
