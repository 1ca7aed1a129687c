"""What is packed and squeezed: made at publishing, made again where it lacks, removed with its version."""

from __future__ import annotations

import errno
import random
import time
from pathlib import Path

import pytest
import zstandard

from sync import pack
from sync.hub import packs
from sync.hub.publish import Published, publish
from sync.hub.settings import Hub, init_hub
from sync.manifest import MOST_MANIFEST_BYTES, parse

TEXTS = 20


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Small texts, a large one, and a film."""
    chance = random.Random(2)
    folder = tmp_path / "课"
    folder.mkdir()
    for number in range(TEXTS):
        (folder / f"{number}.txt").write_text(f"第{number}课 大青树下的小学\n" * 60, "utf-8")
    (folder / "large.csv").write_text("".join(f"{chance.random()}\n" for _ in range(20_000)), "utf-8")
    (folder / "film.mp4").write_bytes(chance.randbytes(300_000))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects(hub: Hub, manifest: str) -> dict[str, int]:
    return parse(hub.store.read(manifest, MOST_MANIFEST_BYTES)).objects()


def holds_all(hub: Hub, published: Published) -> None:
    """All that there is says what the library says."""
    made = (hub.layout.packs / published.manifest).read_bytes()
    found = dict(pack.unpack([made], objects(hub, published.manifest)))
    assert len(found) >= TEXTS
    for name, data in found.items():
        assert hub.store.read(name, 10**6) == data
    for name, data in files(hub.layout.squeezed).items():
        plain = zstandard.ZstdDecompressor().stream_reader(data).read()
        assert hub.store.read(name, 10**7) == plain
        assert len(data) <= 0.9 * len(plain)


def test_publishing_packs_and_squeezes_what_boxes_ask_for_first(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    holds_all(hub, published)
    names = objects(hub, published.manifest)
    squeezed = files(hub.layout.squeezed)
    large = next(name for name, size in names.items() if size == (lesson / "large.csv").stat().st_size)
    assert {large, published.manifest} <= squeezed.keys(), "the manifest too"
    assert len(squeezed) < TEXTS, "what is in the pack waits"
    film = next(name for name, size in names.items() if size == 300_000)
    assert film not in squeezed


def test_the_rest_is_made_later_and_nothing_twice(hub: Hub, lesson: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    published = publish(hub, lesson)
    assert packs.make(hub, published.manifest, whole=True)
    texts = {name for name, size in objects(hub, published.manifest).items() if 1024 <= size < 10_000}
    assert len(texts) >= TEXTS and texts <= files(hub.layout.squeezed).keys()
    holds_all(hub, published)
    monkeypatch.setattr(zstandard, "ZstdCompressor", None)
    assert not publish(hub, lesson).changed
    assert packs.make(hub, published.manifest, whole=True)


@pytest.mark.parametrize("what", ["pack", "squeezed", "made"])
def test_what_was_deleted_is_made_again(hub: Hub, lesson: Path, what: str) -> None:
    published = publish(hub, lesson)
    before = files(hub.layout.packs) | files(hub.layout.squeezed)
    {"pack": hub.layout.packs / published.manifest, "made": hub.layout.packs / f"{published.manifest}.made",
     "squeezed": next(path for path in hub.layout.squeezed.rglob("*") if path.is_file())}[what].unlink()
    assert packs.make(hub, published.manifest)
    assert files(hub.layout.packs) | files(hub.layout.squeezed) == before


def test_what_belongs_to_no_newest_version_is_removed(hub: Hub, lesson: Path, tmp_path: Path) -> None:
    first = publish(hub, lesson)
    other = tmp_path / "别的课"
    other.mkdir()
    (other / "large.csv").write_bytes((lesson / "large.csv").read_bytes())
    publish(hub, other)
    (lesson / "large.csv").write_text("x,y\n" * 5000)
    second = publish(hub, lesson)
    (hub.layout.packs / ".tmp-left").mkdir()
    (hub.layout.packs / ".tmp-left" / "x").touch()
    (hub.layout.squeezed / "ab").mkdir(exist_ok=True)
    (hub.layout.squeezed / "ab" / ".tmp-x").touch()
    shared = next(name for name, size in objects(hub, first.manifest).items() if size > 100_000
                  and name in files(hub.layout.squeezed))
    assert packs.remove_superseded(hub) >= 4
    assert files(hub.layout.packs).keys() & {first.manifest, f"{first.manifest}.made"} == set()
    assert first.manifest not in files(hub.layout.squeezed)
    assert shared in files(hub.layout.squeezed), "another package has it still"
    holds_all(hub, second)
    assert packs.remove_superseded(hub) == 0


def test_a_full_disk_hinders_no_publishing(hub: Hub, lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pack, "write", full)
        published = publish(hub, lesson)
    assert published.changed
    assert files(hub.layout.packs) == {} and list(hub.layout.packs.iterdir()) == []
    assert packs.make(hub, published.manifest)
    holds_all(hub, published)


def test_a_rotten_object_hinders_no_publishing(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    for path in [*hub.layout.packs.iterdir()]:
        path.unlink()
    name = next(name for name, size in objects(hub, published.manifest).items() if 1024 < size < 10_000)
    hub.store.path(name).write_bytes(b"rot")
    assert not packs.make(hub, published.manifest)
    assert publish(hub, lesson).new_bytes > 0
    holds_all(hub, published)


def test_what_a_kill_left_goes_with_the_next_making(hub: Hub, lesson: Path) -> None:
    left = hub.layout.packs / ".tmp-left"
    left.mkdir(parents=True)
    (left / "half").touch()
    publish(hub, lesson)
    assert not left.exists()


def test_it_can_be_stopped_between_two_objects(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    for path in [*hub.layout.packs.iterdir()]:
        path.unlink()
    asked = iter([False] * 5 + [True])
    assert not packs.make(hub, published.manifest, stopping=lambda: next(asked))
    assert list(hub.layout.packs.iterdir()) == []


def test_the_keeper_makes_what_lacks_and_removes_what_is_old(hub: Hub, lesson: Path) -> None:
    first = publish(hub, lesson)
    (lesson / "0.txt").write_text("早晨\n" * 600, "utf-8")
    second = publish(hub, lesson)
    (hub.layout.packs / second.manifest).unlink()
    with packs.PackKeeper(hub.layout.data).running():
        end = time.monotonic() + 60
        while (hub.layout.packs / first.manifest).exists() and time.monotonic() < end:
            time.sleep(0.05)
    holds_all(hub, second)
    assert not (hub.layout.packs / first.manifest).exists()
    assert len(files(hub.layout.squeezed)) > TEXTS
