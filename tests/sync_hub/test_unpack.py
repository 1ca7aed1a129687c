"""Archives that are lessons become bundles; broken and hostile ones stay files, and it is said why."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from sync.hub import unpack
from sync.hub.publish import Published, publish
from sync.hub.settings import Hub, init_hub
from sync.manifest import MOST_MANIFEST_BYTES, Resource, parse
from tests.lesson_packages import h5p, packed, scorm_12, scorm_12_in_frames, scorm_2004


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


def published(hub: Hub, top: Path, **files: bytes) -> tuple[Published, dict[str, Resource]]:
    """Publish a folder `课` of these files; its resources by entry."""
    for name, data in files.items():
        path = top / "课" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = publish(hub, top / "课")
    resources = parse(hub.store.read(made.manifest, MOST_MANIFEST_BYTES)).resources
    return made, {resource.entry: resource for resource in resources}


def test_packages_become_bundles_and_keep_their_names(hub: Hub, tmp_path: Path) -> None:
    made, found = published(hub, tmp_path, **{
        "练习.h5p": packed(h5p()), "测验.zip": packed(scorm_12()),
        "quiz_07.zip": packed(scorm_2004(), "top/"), "素材.zip": packed({"a.txt": b"x"})})
    assert made.warnings == []
    assert {entry: (one.type, one.name) for entry, one in found.items()} == {
        "练习.h5p/h5p.json": ("bundle", "练习"), "测验.zip/pages/one.html": ("bundle", "测验"),
        "quiz_07.zip/a.html": ("bundle", "分数的故事"), "素材.zip": ("file", "素材")}
    again, _ = published(hub, tmp_path)
    assert not again.changed and list(hub.store.incoming.iterdir()) == []


def test_a_single_package_is_published_by_its_file(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "选一选.h5p").write_bytes(packed(h5p()))
    made = publish(hub, tmp_path / "选一选.h5p")
    [one] = parse(hub.store.read(made.manifest, MOST_MANIFEST_BYTES)).resources
    assert (made.name, one.name, one.type) == ("选一选", "选一选", "bundle")


def test_names_that_windows_wrote_are_read(hub: Hub, tmp_path: Path) -> None:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, data in {**scorm_12(), "图片/山坡.png": b"x"}.items():
            info = zipfile.ZipInfo(name.encode("gb18030").decode("cp437"))
            archive.writestr(info, data)
    data = bytearray(into.getvalue())
    for at in range(len(data)):  # what Python marks as UTF-8 is not marked by Windows
        if data[at:at + 4] == b"PK\x03\x04":
            data[at + 7] &= ~8
        elif data[at:at + 4] == b"PK\x01\x02":
            data[at + 9] &= ~8
    # Names that cp437 cannot hold stand there as UTF-8 now: read as that.
    _, found = published(hub, tmp_path, **{"测验.zip": bytes(data)})
    [one] = found.values()
    assert one.type == "bundle" and len(one.files) == 3


def bomb() -> bytes:
    return packed({**h5p(), "content/big.bin": b"\0" * (unpack.HARMLESS_BYTES * 4)})


def lying() -> bytes:
    """A package that says of a file that it is smaller than it is."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:
        for name, data in h5p().items():
            archive.writestr(name, data)
    data = into.getvalue()
    name = b"content/content.json"
    central = data.rindex(name) - 46
    return data[:central + 24] + (3).to_bytes(4, "little") + data[central + 28:]


def test_a_course_without_a_page_stays_a_file(hub: Hub, tmp_path: Path) -> None:
    made, found = published(hub, tmp_path, **{"课.zip": packed({"imsmanifest.xml": b"", "a.txt": b"x"})})
    assert found["课.zip"].type == "file" and "without any page" in made.warnings[0]


@pytest.mark.parametrize(("data", "reason"), [
    (b"no zip at all", "no whole package"), (b"", "no whole package"),
    (packed(h5p())[:-40], "no whole package"),
    (packed({"x.txt": b"x"}), "no H5P package"),
    (packed({**h5p(), "/etc/x": b"x"}), "name"), (packed({**h5p(), "CON": b"x"}), "device"),
    (packed({**h5p(), "H5P.json": b"{}"}), "upper and lower case"),
    (packed({**h5p(), "h5p.json/x": b"x"}), "below a file"), (bomb(), "bomb"), (lying(), "no whole package")])
def test_what_is_broken_or_hostile_stays_a_file(hub: Hub, tmp_path: Path, data: bytes, reason: str) -> None:
    made, found = published(hub, tmp_path, **{"练习.h5p": data, "词.txt": b"x"})
    assert found["练习.h5p"].type == "file"
    [told] = made.warnings
    assert told.startswith("练习.h5p: ") and reason in told and "published as a file" in told


def test_files_that_lead_out_are_left_out(hub: Hub, tmp_path: Path) -> None:
    _, found = published(hub, tmp_path, **{"练习.h5p": packed({**h5p(), "../out.txt": b"x", "a/../b": b"x"})})
    assert len(found["练习.h5p/h5p.json"].files) == len(h5p())


def test_more_than_is_allowed_is_not_unpacked(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MOST_FILES", 3)
    made, found = published(hub, tmp_path, **{"练习.h5p": packed(h5p())})
    assert found["练习.h5p"].type == "file" and "more than 3 files" in made.warnings[0]
    monkeypatch.setattr(unpack, "MOST_FILES", 20)
    monkeypatch.setattr(unpack, "MOST_UNPACKED_BYTES", 100)
    assert "more than 100 bytes" in published(hub, tmp_path)[0].warnings[0]


def test_what_keeps_a_lesson_from_opening_is_told(hub: Hub, tmp_path: Path) -> None:
    without_library = {name: data for name, data in h5p().items() if "library.json" not in name}
    lacking = {name: data for name, data in scorm_2004().items() if name != "b.html"}
    made, found = published(hub, tmp_path, **{
        "a.h5p": packed(without_library), "b.zip": packed(lacking),
        "c.zip": packed({"imsmanifest.xml": b"<manifest", "x.html": b"<p>x"}),
        "d.h5p": packed({"h5p.json": b"{", "content/content.json": b"{}"}),
        "e.zip": packed(scorm_12_in_frames())})
    told = "\n".join(made.warnings)
    assert "a.h5p: lacks H5P.TestQuestion-1.0" in told and "b.zip: imsmanifest.xml names b.html" in told
    assert "c.zip: imsmanifest.xml is no whole XML" in told and "d.h5p: h5p.json cannot be read" in told
    assert "e.zip: pages/one.html opens further pages in frames" in told
    assert {one.type for one in found.values()} == {"bundle"} and "c.zip/x.html" in found


def test_no_damage_breaks_a_publish(hub: Hub, tmp_path: Path) -> None:
    """Bytes of a whole package changed at random: a bundle, or a file; never an error."""
    chance = random.Random(5)
    whole = packed(h5p())
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        _, found = published(hub, tmp_path, **{"练习.h5p": bytes(data)})
        assert {one.type for one in found.values()} <= {"bundle", "file"}
