"""Whatever bytes a feed has: it is believed, or Refused comes out, and nothing else ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zstandard
from hypothesis import strategies as st

from sync import news
from sync.box import trusted as beliefs
from sync.box.state import init_box
from sync.canonical import canonical, sha256_hex
from sync.errors import Refused
from sync.hub.settings import init_hub
from sync.hub.sites import add_site
from sync.pairing import write
from sync.trust import Believed, Trusted, believe
from tests.fuzz.hostile import HOSTILE, as_json, bitten, json_of, spoiled
from tests.fuzz.running import fuzz, named_errors, nothing_written
from tests.sync.repository_simulator import RepositorySimulator, a_package, key

FEED = RepositorySimulator()
FEED.publish(a_package(1))
OLD = dict(FEED.files)
FEED.new_root(feed_key=3)
FEED.publish(a_package(2))
NEW = dict(FEED.files)
FRESH = Trusted(OLD["1.root.json"])
NAMES = sorted(NEW)


def look(files: dict[str, bytes], trusted: Trusted = FRESH) -> Believed | None:
    try:
        return believe("dali", trusted, files)
    except Refused as error:
        assert error.message("zh")
        assert error.as_json()
        return None


@fuzz(100, files=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), st.binary(max_size=300)))
def test_any_files(files: dict[str, bytes]) -> None:
    assert look(files) is None


@fuzz(200, name=st.sampled_from(NAMES), data=st.data())
def test_changed_bytes_are_never_believed_as_something_else(name: str, data: st.DataObject) -> None:
    believed = look({**NEW, name: bitten(data.draw, NEW[name], OLD.get(name, b""))})
    # Files nobody needs for the newest state (old generations, the first root) may say anything; a
    # refused or a forged feed may not.
    assert believed is None or believed.desired.packages == [a_package(2)]


METADATA = [name for name in NAMES if len(name) < 60]


@fuzz(200, name=st.sampled_from(METADATA), data=st.data())
def test_any_change_of_the_metadata_that_nobody_signed(name: str, data: st.DataObject) -> None:
    believed = look({**NEW, name: data.draw(json_of(json.loads(NEW[name])))})
    assert believed is None or believed.desired.packages == [a_package(2)]


@fuzz(200, role=st.sampled_from(["timestamp", "snapshot", "targets", "root"]), data=st.data())
def test_any_change_that_the_right_key_has_signed(role: str, data: st.DataObject) -> None:
    """A hub gone mad signs nonsense, and all that hangs on it goes along: refused, or harmless."""
    feed = RepositorySimulator()
    feed.publish(a_package(1))
    name = role if role == "timestamp" else f"1.{role}"
    plain = json.loads(feed.files[f"{name}.json"])
    signed = spoiled(data.draw, plain["signed"])
    try:
        payload = canonical(signed)
    except Exception:  # RFC 8785 cannot write it down: nobody could sign it
        payload = as_json(signed)
    signer = key(feed.root_key if role == "root" else feed.feed_key)
    signature = {"keyid": signer.public_key.keyid, "sig": signer.sign(payload).signature}
    written = b'{"signatures":' + canonical([signature]) + b',"signed":' + payload + b"}"
    files = {**feed.files, f"{name}.json": written}
    if role in ("snapshot", "targets"):  # what names it must still fit
        named = f"{role}.json"
        meta = feed.timestamp.snapshot_meta if role == "snapshot" else feed.snapshot.meta[named]
        meta.length, meta.hashes = len(written), {"sha256": sha256_hex(written)}
        if role == "targets":
            files["1.snapshot.json"] = feed.write_snapshot()
        files["timestamp.json"] = feed.write_timestamp()
    pairing_root = written if role == "root" else feed.files["1.root.json"]
    try:
        believed = believe("dali", Trusted(pairing_root), files)
    except Refused as error:
        assert error.message("zh") and error.as_json()
        return
    assert believed.desired.packages == [a_package(1)]


@fuzz(150, target=st.sampled_from(["desired.json", "acks.json"]), data=st.data())
def test_any_contents_that_the_feed_key_has_signed(target: str, data: st.DataObject) -> None:
    feed = RepositorySimulator()
    feed.publish(a_package(1))
    [name] = [name for name in feed.files if name.endswith(f".{target}")]
    feed.set_target(target, data.draw(json_of(json.loads(feed.files[name]))))
    feed.rewrite()
    with named_errors("desired-bad", "acks-bad", "feed-bad"):
        believe("dali", Trusted(feed.files["1.root.json"]), feed.files)


@fuzz(60, value=HOSTILE)
def test_any_json_as_a_whole_file(value: Any) -> None:
    for name in ("timestamp.json", "3.root.json"):
        assert look({**NEW, name: as_json(value)}) is None


@fuzz(100, gone=st.lists(st.sampled_from(NAMES), max_size=3), known=st.booleans())
def test_any_files_missing_leaves_the_old_the_new_or_nothing(gone: list[str], known: bool) -> None:
    trusted = believe("dali", FRESH, OLD).trusted if known else FRESH
    believed = look({name: data for name, data in NEW.items() if name not in gone}, trusted)
    assert believed is None or believed.desired.packages == [a_package(2)]


@fuzz(100, data=st.data())
def test_any_mixture_of_two_feeds_is_one_of_them_or_nothing(data: st.DataObject) -> None:
    mixed = {}
    for name in NAMES:
        choices = [files[name] for files in (OLD, NEW) if name in files]
        mixed[name] = data.draw(st.sampled_from(choices))
    believed = look(mixed)
    assert believed is None or believed.desired.packages in ([a_package(1)], [a_package(2)])


NEWS = {"format": news.NEWS_FORMAT, "site": "dali",
        "files": {name: data.decode() for name, data in NEW.items()}}


@fuzz(150, data=st.data(), packed=st.booleans())
def test_news_of_any_bytes_hold_a_feed_or_are_refused(data: st.DataObject, packed: bool) -> None:
    """Who believes what it holds, believes the feed or nothing."""
    plain = data.draw(json_of(NEWS))
    whole = zstandard.ZstdCompressor().compress(plain)
    with named_errors("feed-"):
        files = news.parse(whole if packed else bitten(data.draw, whole), "dali")
        believed = look(files)
        assert believed is None or believed.desired.packages in ([a_package(1)], [a_package(2)])


def test_a_damaged_file_of_beliefs_is_a_first_day(place: Path) -> None:
    hub = init_hub(place / "hub", "中心校", ["127.0.0.1"], 2222)
    write(place / "s1.toml", add_site(hub, "s1", "一号"))
    hub.database.close()
    box = init_box(place / "box", place / "s1.toml")
    fresh = beliefs.load(box.layout, box.pairing)
    beliefs.save(box.layout, Trusted(root=fresh.root, time=5, anchor=fresh.anchor))
    file = box.layout.trusted / "feed.json"
    plain = json.loads(file.read_bytes().partition(b"\n")[2])

    @fuzz(150, data=st.data(), honest=st.booleans())
    def look_again(data: st.DataObject, honest: bool) -> None:
        content = data.draw(json_of(plain))
        file.write_bytes(sha256_hex(content).encode() + b"\n" + content if honest else content)
        with nothing_written(place, box.layout.data):
            assert beliefs.load(box.layout, box.pairing).root

    look_again()
