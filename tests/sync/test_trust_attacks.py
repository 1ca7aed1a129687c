"""Each attack on a feed, by name: what is refused, with which code; and what is believed all the same.

"The box" holds what it believed; nothing of a refused feed may change it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync import trust
from sync.canonical import canonical, sha256_hex
from sync.clock import utc
from sync.errors import Refused
from sync.trust import MOST_TIME, Believed, Trusted, believe, most_bytes, read_root, signed_time
from tests.sync.repository_simulator import DAY_S, START, RepositorySimulator, a_package, key, sign


class Box:
    """The reader: keeps what it believed."""

    def __init__(self, feed: RepositorySimulator) -> None:
        self.site = feed.site
        self.trusted = Trusted(feed.pairing_root)

    def takes(self, files: dict[str, bytes]) -> Believed:
        believed = believe(self.site, self.trusted, files)
        self.trusted = believed.trusted
        return believed

    def refuses(self, files: dict[str, bytes], code: str, file: str = "") -> Refused:
        with pytest.raises(Refused) as caught:
            believe(self.site, self.trusted, files)
        assert caught.value.code == code, caught.value
        assert file in str(caught.value.facts.get("file", ""))
        for lang in ("en", "zh"):
            assert "?" not in caught.value.message(lang)
        return caught.value


@pytest.fixture
def feed() -> RepositorySimulator:
    simulator = RepositorySimulator()
    simulator.publish(a_package(1))
    return simulator


@pytest.fixture
def box(feed: RepositorySimulator) -> Box:
    return Box(feed)


# -- what is believed ------------------------------------------------------------------------------

def test_an_honest_feed_is_believed(feed: RepositorySimulator, box: Box) -> None:
    believed = box.takes(feed.files)
    assert believed.changed
    assert believed.desired.packages == [a_package(1)]
    assert believed.acks.boxes == {}
    assert believed.trusted.time == feed.time


def test_the_same_feed_again_changes_nothing(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.files)
    again = box.takes(feed.files)
    assert not again.changed
    assert again.desired.packages == [a_package(1)]


def test_a_newer_feed_is_believed_also_over_many_versions(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.files)
    for number in range(2, 6):
        feed.publish(a_package(number))
    assert box.takes(feed.files).desired.packages == [a_package(5)]


def test_a_new_timestamp_alone_moves_the_time(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.files)
    feed.time += DAY_S
    feed.timestamp.version += 1
    feed.write_timestamp()
    believed = box.takes(feed.files)
    assert believed.changed
    assert believed.trusted.time == feed.time


def test_unknown_fields_of_a_later_hub_are_believed(feed: RepositorySimulator, box: Box) -> None:
    feed.timestamp.unrecognized_fields["later"] = {"x": [1, None]}
    feed.snapshot.unrecognized_fields["later"] = True
    feed.publish()
    assert box.takes(feed.files).changed


def test_files_that_are_none_of_the_feed_do_not_matter(feed: RepositorySimulator, box: Box) -> None:
    box.takes({**feed.files, ".tmp-x": b"x", "01.root.json": b"x", "2.roots.json": b"x", "": b""})


# -- rollback and replay ---------------------------------------------------------------------------

def test_replay_of_an_older_feed(feed: RepositorySimulator, box: Box) -> None:
    old = dict(feed.files)
    box.takes(feed.publish(a_package(2)))
    refused = box.refuses(old, "feed-rollback", "timestamp.json")
    assert (refused.facts["version"], refused.facts["known"]) == (1, 2)


def test_timestamp_version_rollback(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.publish())
    feed.timestamp.version = 1
    feed.write_timestamp()
    box.refuses(feed.files, "feed-rollback", "timestamp.json")


def test_the_same_timestamp_version_with_other_content(feed: RepositorySimulator, box: Box) -> None:
    """A hub restored from a backup gives numbers again; the box must notice."""
    box.takes(feed.files)
    feed.time += 1
    feed.write_timestamp()
    box.refuses(feed.files, "feed-rollback", "timestamp.json")


def test_snapshot_version_rollback_under_a_newer_timestamp(feed: RepositorySimulator, box: Box) -> None:
    old_meta = feed.timestamp.snapshot_meta
    box.takes(feed.publish(a_package(2)))
    feed.timestamp.version += 1
    feed.timestamp.snapshot_meta = old_meta
    feed.write_timestamp()
    box.refuses(feed.files, "feed-rollback", "1.snapshot.json")


def test_targets_version_rollback_under_a_newer_snapshot(feed: RepositorySimulator, box: Box) -> None:
    old_meta = feed.snapshot.meta["targets.json"]
    box.takes(feed.publish(a_package(2)))
    feed.snapshot.meta["targets.json"] = old_meta
    feed.snapshot.version += 1
    feed.write_snapshot()
    feed.timestamp.version += 1
    feed.write_timestamp()
    box.refuses(feed.files, "feed-rollback", "3.snapshot.json")


def test_root_rollback_to_a_feed_from_before_the_rekeying(feed: RepositorySimulator, box: Box) -> None:
    old = dict(feed.files)
    feed.new_root(feed_key=3)
    box.takes(feed.publish())
    refused = box.refuses(old, "feed-rollback", "1.root.json")
    assert (refused.facts["version"], refused.facts["known"]) == (1, 2)


def test_an_old_feed_without_roots_is_refused_after_the_rekeying(feed: RepositorySimulator, box: Box) -> None:
    old = {name: data for name, data in feed.files.items() if "root" not in name}
    feed.new_root(feed_key=3)
    box.takes(feed.publish())
    box.refuses(old, "feed-signature", "timestamp.json")


def test_root_with_a_version_that_jumps(feed: RepositorySimulator, box: Box) -> None:
    feed.root.version = 2
    feed.new_root()
    feed.files["2.root.json"] = feed.files.pop("3.root.json")
    box.refuses(feed.files, "feed-mixed", "2.root.json")


# -- mix and match ---------------------------------------------------------------------------------

def test_mix_of_an_old_snapshot_under_the_new_name(feed: RepositorySimulator, box: Box) -> None:
    old = feed.files["1.snapshot.json"]
    feed.publish(a_package(2))
    feed.files["2.snapshot.json"] = old
    box.refuses(feed.files, "feed-mixed", "2.snapshot.json")


def test_mix_of_old_targets_under_the_new_name(feed: RepositorySimulator, box: Box) -> None:
    old = feed.files["1.targets.json"]
    feed.publish(a_package(2))
    feed.files["2.targets.json"] = old
    box.refuses(feed.files, "feed-mixed", "2.targets.json")


def test_mix_of_old_desired_under_the_new_name(feed: RepositorySimulator, box: Box) -> None:
    old = next(data for name, data in feed.files.items() if name.endswith("desired.json"))
    feed.publish(a_package(2))
    new = feed.targets.targets["desired.json"].hashes["sha256"]
    feed.files[f"{new}.desired.json"] = old
    box.refuses(feed.files, "feed-mixed", "desired.json")


def test_snapshot_whose_own_version_is_not_the_named_one(feed: RepositorySimulator, box: Box) -> None:
    feed.publish()
    feed.snapshot.version = 7
    data = feed.write_snapshot()
    feed.files["2.snapshot.json"] = data
    feed.timestamp.snapshot_meta.version = 2
    feed.write_timestamp()
    box.refuses(feed.files, "feed-mixed", "2.snapshot.json")


def test_targets_whose_own_version_is_not_the_named_one(feed: RepositorySimulator, box: Box) -> None:
    feed.targets.version = 7
    feed.files["2.targets.json"] = feed.write_targets()
    feed.snapshot.meta["targets.json"].version = 2
    feed.write_snapshot()
    feed.write_timestamp()
    box.refuses(feed.files, "feed-mixed", "2.targets.json")


@pytest.mark.parametrize("size", [-1, 1])
def test_length_that_does_not_fit(feed: RepositorySimulator, box: Box, size: int) -> None:
    feed.timestamp.snapshot_meta.length = len(feed.files["1.snapshot.json"]) + size
    feed.write_timestamp()
    box.refuses(feed.files, "feed-mixed", "1.snapshot.json")


# -- wrong keys ------------------------------------------------------------------------------------

def test_feed_of_another_hub_with_a_wrong_root(box: Box) -> None:
    other = RepositorySimulator(root_key=8, feed_key=9)
    box.refuses(other.publish(), "feed-wrong-root", "1.root.json")


@pytest.mark.parametrize(("sought", "instead", "code"), [
    (b'"version":1', b'"version":3', "feed-signature"),
    (b'"signed":{', b'"signed":[', "feed-bad"),
    (b'"signed":{', b'"signed" {', "feed-bad"),
])
def test_a_rotten_root_is_not_taken_for_another_hubs(feed: RepositorySimulator, box: Box, sought: bytes,
                                                     instead: bytes, code: str) -> None:
    files = dict(feed.publish())
    assert sought in files["1.root.json"]
    files["1.root.json"] = files["1.root.json"].replace(sought, instead)
    box.refuses(files, code, "1.root.json")


def test_root_signed_by_a_stranger(feed: RepositorySimulator, box: Box) -> None:
    feed.new_root(feed_key=9, signed_by=[8])
    feed.publish()
    box.refuses(feed.files, "feed-signature", "2.root.json")


def test_root_with_a_strange_root_key_signed_by_both(feed: RepositorySimulator, box: Box) -> None:
    """The old key must agree, the new one must too; one of them is not enough."""
    feed.new_root(root_key=8, signed_by=[8])
    box.refuses(feed.publish(), "feed-signature", "2.root.json")
    feed.write_root(1)
    box.refuses(feed.files, "feed-signature", "2.root.json")
    feed.write_root(1, 8)
    box.takes(feed.files)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_online_role_signed_by_a_stranger(feed: RepositorySimulator, box: Box, role: str) -> None:
    feed.publish()
    for written in ("targets", "snapshot", "timestamp"):
        getattr(feed, f"write_{written}")(*([9] if written == role else []))
    box.refuses(feed.files, "feed-signature", f"{role}.json")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_online_role_unsigned(feed: RepositorySimulator, box: Box, role: str) -> None:
    for written in ("targets", "snapshot", "timestamp"):
        getattr(feed, f"write_{written}")()
        if written == role:
            _edit(feed, written, lambda plain: plain.update(signatures=[]))
    box.refuses(feed.files, "feed-signature", f"{role}.json")


def test_root_unsigned(feed: RepositorySimulator, box: Box) -> None:
    feed.new_root()
    feed.files["2.root.json"] = sign(feed.root)
    box.refuses(feed.files, "feed-signature", "2.root.json")


def test_signature_of_other_bytes(feed: RepositorySimulator, box: Box) -> None:
    plain = json.loads(feed.files["timestamp.json"])
    plain["signed"]["time"] += 1
    feed.files["timestamp.json"] = canonical(plain)
    box.refuses(feed.files, "feed-signature", "timestamp.json")


def test_wrong_threshold_one_signature_where_two_are_needed(feed: RepositorySimulator) -> None:
    feed.new_root(threshold=2)
    for role in ("targets", "snapshot", "timestamp"):
        feed.root.add_key(key(5).public_key, role)
    feed.write_root()
    feed.publish()
    box = Box(feed)
    box.refuses(feed.files, "feed-signature", "timestamp.json")
    feed.write_targets(2, 5)
    feed.write_snapshot(2, 5)
    feed.write_timestamp(2, 5)
    box.takes(feed.files)


def test_the_same_signature_twice_is_one(feed: RepositorySimulator) -> None:
    feed.new_root(threshold=2)
    for role in ("targets", "snapshot", "timestamp"):
        feed.root.add_key(key(5).public_key, role)
    feed.write_root()
    feed.publish()
    plain = json.loads(feed.files["timestamp.json"])
    plain["signatures"] *= 2
    feed.files["timestamp.json"] = canonical(plain)
    Box(feed).refuses(feed.files, "feed-bad", "timestamp.json")


def test_the_root_key_does_not_sign_the_online_roles(feed: RepositorySimulator, box: Box) -> None:
    feed.write_timestamp(1)
    box.refuses(feed.files, "feed-signature", "timestamp.json")


# -- another site ----------------------------------------------------------------------------------

def test_cross_site_feed_of_the_same_hub(box: Box) -> None:
    other = RepositorySimulator(site="lijiang", feed_key=3)
    box.refuses(other.publish(), "feed-wrong-site", "1.root.json")
    without_roots = {name: data for name, data in other.files.items() if "root" not in name}
    box.refuses(without_roots, "feed-wrong-site", "timestamp.json")


def test_cross_site_root_signed_by_the_same_root_key(box: Box) -> None:
    """The next root of another site has a good signature and a fitting version; only `site` tells."""
    other = RepositorySimulator(site="lijiang", feed_key=3)
    other.new_root()
    other.publish()
    refused = box.refuses({**other.files}, "feed-wrong-site", "2.root.json")
    assert (refused.facts["site"], refused.facts["other"]) == ("dali", "lijiang")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_online_role_for_another_site_signed_with_this_sites_key(feed: RepositorySimulator, box: Box,
                                                                role: str) -> None:
    for written in ("targets", "snapshot", "timestamp"):
        feed.site = "lijiang" if written == role else "dali"
        getattr(feed, f"write_{written}")()
    box.refuses(feed.files, "feed-wrong-site", f"{role}.json")


def test_desired_for_another_site(feed: RepositorySimulator, box: Box) -> None:
    other = RepositorySimulator(site="lijiang")
    other.publish(a_package(1))
    name = other.targets.targets["desired.json"].hashes["sha256"] + ".desired.json"
    feed.set_target("desired.json", other.files[name])
    feed.rewrite()
    box.refuses(feed.files, "desired-bad")


# -- time ------------------------------------------------------------------------------------------

def test_a_clock_at_1970_and_2040_changes_nothing(feed: RepositorySimulator, box: Box,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the machine's clock, nor anything that reads it, is asked."""
    import datetime
    import time

    class Wrong(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            raise AssertionError("the clock was asked")

        utcnow = now

    def never() -> float:
        raise AssertionError("the clock was asked")

    import tuf.api._payload as payload

    import sync.clock
    monkeypatch.setattr(payload, "datetime", Wrong)
    monkeypatch.setattr(time, "time", never)
    monkeypatch.setattr(sync.clock.SystemClock, "now", lambda self: never())
    box.takes(feed.files)


@pytest.mark.parametrize("hub_clock", [0, START, 2_208_988_800, MOST_TIME - 1000])
def test_a_hub_in_any_year_is_believed(hub_clock: int) -> None:
    feed = RepositorySimulator(time=hub_clock)
    feed.publish()
    assert Box(feed).takes(feed.files).trusted.time == hub_clock + 60


def test_expired_by_what_the_hub_itself_has_said(feed: RepositorySimulator, box: Box) -> None:
    feed.publish(after_s=10 * DAY_S)
    box.takes(feed.files)
    feed.time -= 9 * DAY_S  # the hub's clock went back, and nothing held it
    feed.timestamp.version += 1
    feed.write_timestamp()
    box.refuses(feed.files, "feed-expired", "timestamp.json")


def test_timestamp_expired_by_its_own_time(feed: RepositorySimulator, box: Box) -> None:
    feed.timestamp.expires = utc(feed.time)
    feed.files["timestamp.json"] = sign(feed.timestamp, 2)
    box.refuses(feed.files, "feed-expired", "timestamp.json")


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_snapshot_or_targets_expired_while_the_timestamp_is_fresh(feed: RepositorySimulator, box: Box,
                                                                 role: str) -> None:
    feed.time += 366 * DAY_S
    if role == "targets":
        feed.write_snapshot()
    feed.write_timestamp()
    box.refuses(feed.files, "feed-expired", f"{role}.json")


def test_root_expired_while_the_rest_is_fresh(feed: RepositorySimulator, box: Box) -> None:
    feed.publish(after_s=21 * 365 * DAY_S)
    box.refuses(feed.files, "feed-expired", "1.root.json")
    feed.new_root()
    box.takes(feed.files)


def test_an_expired_root_on_the_way_up_is_no_obstacle(feed: RepositorySimulator, box: Box) -> None:
    feed.root.expires = utc(feed.time - 1)
    feed.root.version = 2
    feed.write_root()
    feed.new_root()
    box.takes(feed.publish())


def test_time_that_goes_back_within_the_life_is_kept_at_the_largest(feed: RepositorySimulator,
                                                                   box: Box) -> None:
    box.takes(feed.files)
    largest = feed.time
    feed.time -= 1000
    feed.timestamp.version += 1
    feed.write_timestamp()
    assert box.takes(feed.files).trusted.time == largest


@pytest.mark.parametrize("time", [None, "1700000000", 1.5, True, -1, MOST_TIME + 1, [], 10**30])
def test_timestamp_without_a_usable_time(feed: RepositorySimulator, box: Box, time: object) -> None:
    def edit(plain: dict[str, Any]) -> None:
        plain["signed"]["time"] = time

    _edit(feed, "timestamp", edit)
    beyond_json = time in (1.5, 10**30)  # TUF signs no floats, RFC 8785 knows no such integers
    box.refuses(feed.files, "feed-bad" if beyond_json else "feed-signature", "timestamp.json")
    if not beyond_json:
        feed.timestamp.unrecognized_fields["time"] = time
        feed.files["timestamp.json"] = sign(feed.timestamp, 2)
        box.refuses(feed.files, "feed-bad", "timestamp.json")


# -- fast forward and recovery ---------------------------------------------------------------------

def test_fast_forward_recovery_after_rekey(feed: RepositorySimulator, box: Box) -> None:
    """A thief of the feed key drives versions and time as high as they go; new keys undo it."""
    thief = RepositorySimulator()
    for role in (thief.targets, thief.snapshot, thief.timestamp):
        role.version = 2**31 - 2
    thief.time = START + 19 * 365 * DAY_S
    box.takes(thief.publish())
    assert box.trusted.time == thief.time
    box.refuses(feed.publish(), "feed-rollback")
    feed.new_root(feed_key=3)
    believed = box.takes(feed.publish(a_package(2)))
    assert believed.trusted.time == feed.time
    box.refuses({**thief.files, "2.root.json": feed.files["2.root.json"]}, "feed-signature")


def test_a_thief_of_the_feed_key_cannot_say_a_time_beyond_the_root(feed: RepositorySimulator,
                                                                  box: Box) -> None:
    """It would expire the root, and with it the thief's own feed; so the box learns nothing of it."""
    before = box.trusted
    box.refuses(feed.publish(after_s=MOST_TIME - START - 60), "feed-expired", "1.root.json")
    assert box.trusted == before


def test_a_new_root_with_the_same_feed_key_forgets_nothing(feed: RepositorySimulator, box: Box) -> None:
    old = dict(feed.files)
    box.takes(feed.publish())
    feed.new_root()
    box.refuses({**old, "2.root.json": feed.files["2.root.json"]}, "feed-rollback", "timestamp.json")
    box.takes(feed.files)


def test_a_new_threshold_alone_counts_as_new_keys(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.publish())
    feed.new_root(threshold=2)
    for role in ("targets", "snapshot", "timestamp"):
        feed.root.add_key(key(5).public_key, role)
    feed.write_root()
    feed.timestamp.version = 1
    feed.write_targets(2, 5)
    feed.write_snapshot(2, 5)
    feed.write_timestamp(2, 5)
    box.takes(feed.files)


def test_many_roots_are_walked_in_one_go(feed: RepositorySimulator, box: Box) -> None:
    box.takes(feed.files)
    for number in range(3, 13):
        feed.new_root(feed_key=number)
    box.takes(feed.publish())
    assert box.trusted.root == feed.files["11.root.json"]


def test_a_gap_in_the_roots_is_not_jumped(feed: RepositorySimulator, box: Box) -> None:
    feed.new_root(feed_key=3)
    feed.new_root(feed_key=4)
    feed.publish()
    del feed.files["2.root.json"]
    box.refuses(feed.files, "feed-signature", "timestamp.json")


def test_a_hub_restored_before_a_rekeying_is_named_and_mended_by_two(feed: RepositorySimulator,
                                                                    box: Box) -> None:
    feed.new_root(feed_key=3)
    box.takes(feed.publish())
    restored = RepositorySimulator()
    restored.publish()
    restored.new_root(feed_key=4)
    box.refuses(restored.publish(), "feed-wrong-root", "2.root.json")
    restored.new_root(feed_key=5)
    box.takes(restored.publish())


# -- damage ----------------------------------------------------------------------------------------

ROLE_FILES = ["timestamp.json", "1.snapshot.json", "1.targets.json", "desired.json", "acks.json"]


def _name(feed: RepositorySimulator, ending: str) -> str:
    return next(name for name in sorted(feed.files) if name.endswith(ending))


@pytest.mark.parametrize("ending", ROLE_FILES)
def test_missing_file(feed: RepositorySimulator, box: Box, ending: str) -> None:
    del feed.files[_name(feed, ending)]
    box.refuses(feed.files, "feed-incomplete", ending)


def test_empty_folder(box: Box) -> None:
    box.refuses({}, "feed-incomplete", "timestamp.json")


@pytest.mark.parametrize("ending", ROLE_FILES[1:])
@pytest.mark.parametrize("damage", ["garbage", "truncated", "longer", "empty", "flipped"])
def test_damaged_file(feed: RepositorySimulator, box: Box, ending: str, damage: str) -> None:
    name = _name(feed, ending)
    data = feed.files[name]
    feed.files[name] = {"garbage": b"\x00\xff" * 20, "truncated": data[:-1], "longer": data + b" ",
                        "empty": b"", "flipped": bytes([data[0] ^ 1]) + data[1:]}[damage]
    box.refuses(feed.files, "feed-mixed", ending)


GARBAGE = [b"", b"\x00", b"null", b"[]", b"{}", b'"x"', b"{" * 100_00, b"[" * 10_000, b"\xff\xfe",
           b'{"signed":{}}', b'{"signed":{"_type":"timestamp"},"signatures":[]}',
           b'{"signed":{"_type":"rolling"},"signatures":[]}', b'{"signed":null,"signatures":null}',
           b'{"signatures":[{"keyid":1,"sig":2}],"signed":{"_type":"root"}}', b"1" * 5000]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_timestamp(feed: RepositorySimulator, box: Box, garbage: bytes) -> None:
    feed.files["timestamp.json"] = garbage
    box.refuses(feed.files, "feed-bad", "timestamp.json")


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_root(feed: RepositorySimulator, box: Box, garbage: bytes) -> None:
    feed.files["2.root.json"] = garbage
    box.refuses(feed.files, "feed-bad", "2.root.json")


def test_truncated_timestamp(feed: RepositorySimulator, box: Box) -> None:
    whole = feed.files["timestamp.json"]
    for length in range(0, len(whole), 7):
        box.refuses({**feed.files, "timestamp.json": whole[:length]}, "feed-bad")


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json"])
def test_oversize(feed: RepositorySimulator, box: Box, name: str) -> None:
    most = most_bytes(name)
    assert most is not None
    feed.files[name] = b" " * (most + 1)
    assert "larger" in str(box.refuses(feed.files, "feed-bad", name).facts["reason"])


def test_oversize_desired_that_is_signed(feed: RepositorySimulator, box: Box) -> None:
    feed.set_target("desired.json", b" " * (4 * 1024 * 1024 + 1))
    feed.rewrite()
    box.refuses(feed.files, "desired-bad")


@pytest.mark.parametrize(("target", "code"), [("desired.json", "desired-bad"), ("acks.json", "acks-bad")])
def test_signed_nonsense(feed: RepositorySimulator, box: Box, target: str, code: str) -> None:
    feed.set_target(target, b'{"format":"x"}')
    feed.rewrite()
    box.refuses(feed.files, code)


@pytest.mark.parametrize("target", ["desired.json", "acks.json"])
def test_targets_that_do_not_name_a_target(feed: RepositorySimulator, box: Box, target: str) -> None:
    del feed.targets.targets[target]
    feed.rewrite()
    box.refuses(feed.files, "feed-bad", "targets.json")


def test_targets_that_name_a_target_by_another_hash_only(feed: RepositorySimulator, box: Box) -> None:
    feed.targets.targets["acks.json"].hashes = {"sha512": "0" * 128}
    feed.rewrite()
    box.refuses(feed.files, "feed-bad", "targets.json")


def test_snapshot_that_does_not_name_targets(feed: RepositorySimulator, box: Box) -> None:
    feed.snapshot.meta = {"other.json": feed.snapshot.meta["targets.json"]}
    feed.write_snapshot()
    feed.write_timestamp()
    box.refuses(feed.files, "feed-bad", "snapshot.json")


@pytest.mark.parametrize("lacking", ["length", "hashes"])
def test_meta_without_length_or_hash(feed: RepositorySimulator, box: Box, lacking: str) -> None:
    setattr(feed.timestamp.snapshot_meta, lacking, None)
    feed.write_timestamp()
    box.refuses(feed.files, "feed-bad", "timestamp.json")


@pytest.mark.parametrize("version", [0, -1, 2**31, True, "1", None, 10**40])
def test_impossible_version(feed: RepositorySimulator, box: Box, version: object) -> None:
    def edit(plain: dict[str, Any]) -> None:
        plain["signed"]["version"] = version

    _edit(feed, "timestamp", edit)
    box.refuses(feed.files, "feed-bad", "timestamp.json")


def test_json_that_is_not_canonical(feed: RepositorySimulator, box: Box) -> None:
    whole = feed.files["timestamp.json"]
    for data in (whole + b"\n", whole.replace(b'"version":1', b'"version": 1'),
                 whole.replace(b'"_type"', b'"version":9,"_type"'),
                 json.dumps(json.loads(whole), indent=1).encode()):
        assert data != whole
        box.refuses({**feed.files, "timestamp.json": data}, "feed-bad", "timestamp.json")


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json"])
def test_what_nobody_signed_cannot_turn_a_box_against_the_honest_feed(
        feed: RepositorySimulator, box: Box, name: str) -> None:
    """A carrier adds signatures and fields outside `signed`; the honest files must be taken after it."""
    feed.new_root(feed_key=3)
    honest = feed.publish()
    plain = json.loads(honest[name])
    plain["signatures"].append({"keyid": "00", "sig": "00"})
    plain["note"] = "carried by X"
    box.takes({**honest, name: canonical(plain)})
    box.takes(honest)
    box.takes({**honest, name: canonical(plain)})


def test_one_role_in_the_place_of_another(feed: RepositorySimulator, box: Box) -> None:
    """All online roles have one key; a snapshot must still not pass for a timestamp."""
    feed.files["timestamp.json"] = feed.files["1.snapshot.json"]
    box.refuses(feed.files, "feed-bad", "timestamp.json")


def test_name_that_leads_out_of_the_folder_is_never_asked_for(feed: RepositorySimulator, box: Box) -> None:
    feed.targets.targets["acks.json"].hashes = {"sha256": "../../etc/passwd"}
    feed.rewrite()
    refused = box.refuses(feed.files, "feed-incomplete")
    assert most_bytes(str(refused.facts["file"])) is None


# -- the small functions ---------------------------------------------------------------------------

def test_a_pairing_root_is_held_before_it_is_used(feed: RepositorySimulator) -> None:
    assert read_root("dali", feed.pairing_root).version == 1
    for site, data in (("lijiang", feed.pairing_root), ("dali", b"x"), ("dali", sign(feed.root)),
                       ("dali", feed.files["timestamp.json"])):
        with pytest.raises(Refused) as caught:
            read_root(site, data)
        assert caught.value.code == "pairing-bad"


@pytest.mark.parametrize(("name", "known"), [
    ("timestamp.json", True), ("1.root.json", True), ("2147483647.targets.json", True),
    (sha256_hex(b"") + ".acks.json", True), ("root.json", False), ("01.root.json", False),
    ("1.timestamp.json", False), ("1.root.json\n", False), ("x/timestamp.json", False),
    (sha256_hex(b"") + ".acksXjson", False), ("A" * 64 + ".acks.json", False)])
def test_only_the_files_of_a_feed_have_a_size(name: str, known: bool) -> None:
    assert (most_bytes(name) is not None) == known


def test_signed_time_of_what_is_no_timestamp() -> None:
    feed = RepositorySimulator()
    feed.publish()
    assert signed_time(feed.files["timestamp.json"]) == feed.time
    feed.timestamp.unrecognized_fields["time"] = "x"
    assert signed_time(sign(feed.timestamp, 2)) == 0
    assert signed_time(None) == signed_time(b"x") == signed_time(feed.files["1.snapshot.json"]) == 0


def test_beliefs_that_cannot_be_read_are_not_compared_with(feed: RepositorySimulator) -> None:
    trusted = Trusted(feed.pairing_root, timestamp=b"x", snapshot=b"x", targets=b"x")
    assert believe("dali", trusted, feed.files).changed


def test_no_part_of_pythons_tuf_client_is_used() -> None:
    """It asks the machine's clock (see docs/format.md §4.3)."""
    assert not any("ngclient" in str(value) for value in vars(trust).values())


def _edit(feed: RepositorySimulator, role: str, change: Any) -> None:
    """Change a written role's JSON behind the back of its signature; hashes above go along."""
    name = "timestamp.json" if role == "timestamp" else f"{getattr(feed, role).version}.{role}.json"
    plain = json.loads(feed.files[name])
    change(plain)
    data = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    feed.files[name] = data
    if role == "targets":
        feed.snapshot.meta["targets.json"].length = len(data)
        feed.snapshot.meta["targets.json"].hashes = {"sha256": sha256_hex(data)}
    elif role == "snapshot":
        feed.timestamp.snapshot_meta.length = len(data)
        feed.timestamp.snapshot_meta.hashes = {"sha256": sha256_hex(data)}
