"""The hub's library is read again; what is rotten is never sent, mended from its source, or told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sync.clock import ManualClock
from sync.errors import Refused
from sync.hub.damage import note_damage
from sync.hub.publish import publish
from sync.hub.scrub import scrub_step, scrubbed
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.status import hub_problems
from sync.manifest import MOST_MANIFEST_BYTES, parse


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    made = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    made.clock = ManualClock(1_790_000_000)
    return made


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    folder = tmp_path / "课一"
    (folder / "练习").mkdir(parents=True)
    (folder / "课文.txt").write_text("早晨\r\n从山坡上", "utf-8")
    (folder / "练习" / "index.html").write_text("<p>花的学校", "utf-8")
    Image.effect_noise((900, 700), 50).save(folder / "图.png")
    return folder


def objects(hub: Hub, manifest: str) -> dict[str, str]:
    """Path of a file, or `text of`, `picture of` it → its object."""
    found = {}
    for one in parse(hub.store.read(manifest, MOST_MANIFEST_BYTES)).resources:
        found |= {file.path: file.sha256 for file in one.files}
        found |= {f"text of {one.entry}": one.text.sha256} if one.text else {}
        found |= {f"picture of {one.entry}": one.thumbnail.sha256} if one.thumbnail else {}
    return found


def rot(hub: Hub, name: str) -> None:
    path = hub.store.path(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def told(hub: Hub) -> list[dict[str, Any]]:
    return [one["facts"] for one in hub_problems(hub) if one["code"] == "library-damaged"]


def test_it_goes_on_where_it_was_and_counts_rounds(hub: Hub, lesson: Path) -> None:
    publish(hub, lesson)
    names = list(hub.store.names())
    for done in range(1, len(names) + 1):
        again = open_hub(hub.layout.data, hub.clock)
        assert scrub_step(again, share=0.0) == 1
        assert scrubbed(again)["rounds"] == (done == len(names))
    assert scrub_step(hub, share=1.0) == len(names) and scrubbed(hub)["rounds"] == 2


@pytest.mark.parametrize("what", ["课文.txt", "练习/index.html", "text of 课文.txt", "图.png",
                                  "picture of 图.png"])
def test_what_its_source_still_holds_comes_back_by_itself(hub: Hub, lesson: Path, what: str) -> None:
    name = objects(hub, publish(hub, lesson).manifest)[what]
    rot(hub, name)
    scrub_step(hub, share=1.0)
    assert hub.store.has(name) and hub.store.check(name) and not told(hub)
    assert scrubbed(hub)["damaged"] == 1


def test_what_has_changed_at_its_source_is_told_and_never_sent_and_comes_back_by_publishing(
        hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    name = objects(hub, published.manifest)["课文.txt"]
    whole = (lesson / "课文.txt").read_bytes()
    (lesson / "课文.txt").write_text("另一课", "utf-8")
    rot(hub, name)
    scrub_step(hub, share=1.0)
    assert not hub.store.has(name)
    assert told(hub) == [{"packages": published.id, "objects": 1}]
    hub.clock.sleep(1000)
    scrub_step(hub, share=1.0)
    assert told(hub) == [{"packages": published.id, "objects": 1}]
    (lesson / "课文.txt").write_bytes(whole)
    assert not publish(hub, lesson).changed
    assert hub.store.check(name) and told(hub) == []


def test_a_rotten_manifest_comes_back_by_publishing(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    rot(hub, published.manifest)
    scrub_step(hub, share=1.0)
    assert told(hub) == [{"packages": published.id, "objects": 1}]
    assert not publish(hub, lesson).changed and hub.store.check(published.manifest) and told(hub) == []


def test_a_new_version_without_the_rotten_bytes_ends_it(hub: Hub, lesson: Path) -> None:
    name = objects(hub, publish(hub, lesson).manifest)["课文.txt"]
    rot(hub, name)
    (lesson / "课文.txt").write_text("另一课", "utf-8")
    scrub_step(hub, share=1.0)
    assert told(hub)
    assert publish(hub, lesson).changed and told(hub) == []


def test_publishing_others_does_not_read_all_manifests_for_what_is_damaged(
        hub: Hub, lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = objects(hub, publish(hub, lesson).manifest)["课文.txt"]
    whole = (lesson / "课文.txt").read_bytes()
    (lesson / "课文.txt").write_text("另一课", "utf-8")
    rot(hub, name)
    scrub_step(hub, share=1.0)
    looked: list[str] = []
    monkeypatch.setattr("sync.hub.damage.newest_versions", lambda _hub: looked.append("all") or [])
    (lesson.parent / "课二").mkdir()
    (lesson.parent / "课二" / "a.txt").write_text("乙", "utf-8")
    publish(hub, lesson.parent / "课二")
    assert looked == [] and len(told(hub)) == 1
    monkeypatch.undo()
    (lesson.parent / "课二" / "b.txt").write_bytes(whole)
    publish(hub, lesson.parent / "课二")
    assert told(hub) == [], "other lessons hold the same bytes"


def test_what_another_reader_put_into_quarantine_is_seen_too(hub: Hub, lesson: Path) -> None:
    published = publish(hub, lesson)
    name = objects(hub, published.manifest)["课文.txt"]
    rot(hub, name)
    with pytest.raises(Refused):
        hub.store.read(name, 1000)
    scrub_step(hub, share=0.0)
    assert hub.store.check(name)


def test_what_nobody_needs_is_forgotten(hub: Hub) -> None:
    name = hub.store.add_bytes(b"old").sha256
    rot(hub, name)
    scrub_step(hub, share=1.0)
    assert told(hub) == [] and note_damage(hub) == 0 and hub.store.quarantined() == []


def test_a_damaged_upload_is_told_by_its_site_and_name(hub: Hub) -> None:
    name = hub.store.add_bytes(b"homework").sha256
    hub.database.execute("INSERT INTO upload VALUES ('s1', ?, 1, ?, 8, '教案.txt', 5)", ["0" * 16, name])
    hub.database.conn.commit()
    rot(hub, name)
    scrub_step(hub, share=1.0)
    assert told(hub) == [{"packages": "s1: 教案.txt", "objects": 1}]
