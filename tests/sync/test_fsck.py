"""A check of the library finds every flipped byte, and says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.canonical import sha256_hex
from sync.fsck import Checked, Version, advice, check_library
from sync.manifest import FORMAT, File, Manifest, Resource, dump
from sync.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "library")


def published(store: Store, package: str, *contents: bytes) -> Version:
    resources = []
    for number, content in enumerate(contents):
        added = store.add_bytes(content)
        resources.append(Resource(id=f"{number:016d}", name="n", type="file", mediaType="x/y",
                                  entry=f"{number}",
                                  files=[File(path=f"{number}", sha256=added.sha256, size=added.size)]))
    data = dump(Manifest(format=FORMAT, id=package, version=1, name="n", resources=resources))
    return Version(package, 1, store.add_bytes(data).sha256)


def flip(store: Store, sha256: str) -> None:
    path = store.path(sha256)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_library_is_whole(store: Store) -> None:
    version = published(store, "a", b"one", b"two")
    checked = check_library(store, [version])
    assert checked.whole
    assert checked.objects == 3
    assert advice(checked, "mend")[-1] == "All is whole."


def test_a_flipped_byte_is_found_quarantined_and_its_packages_are_named(store: Store) -> None:
    hurt, well = published(store, "a", b"one", b"shared"), published(store, "b", b"two")
    flip(store, sha256_hex(b"one"))
    checked = check_library(store, [hurt, well])
    assert checked.damaged == [sha256_hex(b"one")]
    assert [(h.id, h.lacks) for h in checked.hurt] == [("a", [sha256_hex(b"one")])]
    assert not store.has(sha256_hex(b"one"))
    assert (store.rotten / sha256_hex(b"one")).is_file()
    assert checked.as_json()["ok"] is False
    assert "mend" in advice(checked, "mend")


def test_a_missing_object_and_a_rotten_manifest_are_found(store: Store) -> None:
    first, second = published(store, "a", b"one"), published(store, "b", b"two")
    store.remove(sha256_hex(b"one"))
    flip(store, second.manifest)
    checked = check_library(store, [first, second])
    assert checked.missing == [sha256_hex(b"one")]
    assert checked.damaged == [second.manifest]
    assert [(h.id, h.unreadable) for h in checked.hurt] == [("a", False), ("b", True)]


def test_once_mended_it_is_whole_again(store: Store) -> None:
    version = published(store, "a", b"one")
    flip(store, sha256_hex(b"one"))
    assert not check_library(store, [version]).whole
    assert not check_library(store, [version]).whole, "what is in quarantine is still lacking"
    store.add_bytes(b"one")
    assert check_library(store, [version]).whole


def test_an_empty_library_is_whole(store: Store) -> None:
    assert check_library(store, []) == Checked()
