"""`desired.json` and `acks.json`: read back what was written, refuse what breaks a rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.canonical import canonical, sha256_hex
from sync.desired import (
    ACKS_FORMAT,
    DESIRED_FORMAT,
    MOST_ACKS_BYTES,
    MOST_DESIRED_BYTES,
    Ack,
    Acks,
    Assigned,
    Desired,
    Told,
    dump,
    parse_acks,
    parse_desired,
)
from sync.errors import Refused

LIMITED = settings(max_examples=100, deadline=None)
HASHES = st.binary(max_size=4).map(sha256_hex)
COUNTS = st.integers(0, 2**53 - 1)
PACKAGES = st.builds(Assigned, id=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
                     version=st.integers(1, 2**31), manifest=HASHES, size=st.integers(1, 2**26),
                     bytes=COUNTS, priority=st.integers(0, 9))
DESIREDS = st.builds(Desired, format=st.just(DESIRED_FORMAT), site=st.just("dali"), time=COUNTS,
                     packages=st.lists(PACKAGES, max_size=5, unique_by=lambda package: package.id),
                     policy=st.dictionaries(st.text(max_size=5), st.integers(0, 9) | st.text(max_size=5)))
ACKS = st.builds(Acks, format=st.just(ACKS_FORMAT), site=st.just("dali"),
                 boxes=st.dictionaries(st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
                                       st.builds(Ack, segment=st.integers(1, 2**53 - 1), chain=HASHES,
                                                 seq=COUNTS), max_size=3),
                 wanted=st.lists(HASHES, max_size=5),
                 told=st.just(msgspec.UNSET) | st.lists(st.builds(
                     Told, sha256=HASHES, state=st.sampled_from(["reviewed", "later"]),
                     note=st.text(st.characters(exclude_categories=["Cs"]), max_size=9)), max_size=3))


@LIMITED
@given(DESIREDS)
def test_desired_is_read_back(desired: Desired) -> None:
    data = dump(desired)
    assert parse_desired(data, "dali") == desired
    assert dump(parse_desired(data, "dali")) == data


@LIMITED
@given(ACKS)
def test_acks_are_read_back(acks: Acks) -> None:
    data = dump(acks)
    assert parse_acks(data, "dali") == acks
    assert dump(parse_acks(data, "dali")) == data


GOOD_PACKAGE: dict[str, Any] = {"id": "a", "version": 1, "manifest": "0" * 64, "size": 1, "bytes": 0,
                                "priority": 5}
GOOD_DESIRED: dict[str, Any] = {"format": DESIRED_FORMAT, "site": "dali", "time": 0,
                                "packages": [GOOD_PACKAGE]}
GOOD_ACK: dict[str, Any] = {"segment": 1, "chain": "0" * 64, "seq": 1}
GOOD_ACKS: dict[str, Any] = {"format": ACKS_FORMAT, "site": "dali", "boxes": {"0" * 16: GOOD_ACK},
                             "wanted": ["0" * 64]}


def test_unknown_fields_are_ignored_and_defaults_filled_in() -> None:
    plain = {**GOOD_DESIRED, "later": 1,
             "packages": [{k: v for k, v in GOOD_PACKAGE.items() if k != "priority"} | {"later": 2}]}
    assert parse_desired(canonical(plain), "dali").packages[0].priority == 5
    assert parse_acks(canonical({**GOOD_ACKS, "later": 1}), "dali").wanted == ["0" * 64]


@pytest.mark.parametrize("change", [
    {"format": "teachpoint-desired/2"}, {"site": "lijiang"}, {"time": -1}, {"time": "0"}, {"time": None},
    {"packages": [GOOD_PACKAGE, GOOD_PACKAGE]}, {"packages": {}}, {"policy": []},
    *({"packages": [{**GOOD_PACKAGE, **bad}]} for bad in (
        {"id": "../x"}, {"id": ""}, {"id": "A"}, {"version": 0}, {"version": 2**31 + 1},
        {"manifest": "Z" * 64}, {"manifest": "0" * 63}, {"size": 0}, {"size": 2**26 + 1}, {"bytes": -1},
        {"priority": 10}, {"priority": -1}, {"priority": "5"}))])
def test_a_desired_that_breaks_a_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        parse_desired(canonical({**GOOD_DESIRED, **change}), "dali")
    assert caught.value.code == "desired-bad"


@pytest.mark.parametrize("change", [
    {"format": "x"}, {"site": "lijiang"}, {"wanted": ["x" * 64]}, {"wanted": ["0"]}, {"boxes": []},
    {"told": {}}, {"told": [{"sha256": "x" * 64, "state": "spread"}]}, {"told": [{"sha256": "0" * 64}]},
    {"told": [{"sha256": "0" * 64, "state": "x" * 33}]}, {"told": [{"state": "spread"}]},
    {"told": [{"sha256": "0" * 64, "state": "spread", "note": "x" * 101}]},
    {"told": [{"sha256": "0" * 64, "state": "spread"}] * 51},
    {"boxes": {"box": GOOD_ACK}}, {"boxes": {"0" * 16 + "\n": GOOD_ACK}},
    *({"boxes": {"0" * 16: {**GOOD_ACK, **bad}}} for bad in (
        {"segment": 0}, {"segment": -1}, {"chain": "x" * 64}, {"chain": ""}, {"seq": -1}, {"seq": None}))])
def test_acks_that_break_a_rule_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        parse_acks(canonical({**GOOD_ACKS, **change}), "dali")
    assert caught.value.code == "acks-bad"


def test_bounds_are_held() -> None:
    for parse, most in ((parse_desired, MOST_DESIRED_BYTES), (parse_acks, MOST_ACKS_BYTES)):
        with pytest.raises(Refused) as caught:
            parse(b" " * (most + 1), "dali")
        assert "larger" in str(caught.value.facts["reason"])
    many = {**GOOD_DESIRED, "packages": [{**GOOD_PACKAGE, "id": str(n)} for n in range(10_001)]}
    with pytest.raises(Refused):
        parse_desired(canonical(many), "dali")
    with pytest.raises(Refused):
        parse_acks(canonical({**GOOD_ACKS, "wanted": ["0" * 64] * 10_001}), "dali")


def test_the_bounds_fit_each_other() -> None:
    """As many as may be named fit into as many bytes as may be read."""
    package = Assigned(id="p" * 96, version=2**31, manifest="0" * 64, size=2**26, bytes=2**53 - 1, priority=9)
    assert len(msgspec.json.encode(package)) * 10_000 + 200 < MOST_DESIRED_BYTES
    ack = Ack(segment=2**53 - 1, chain="0" * 64, seq=2**53 - 1)
    assert (len(msgspec.json.encode(ack)) + 21) * 1000 + 67 * 10_000 + 200 < MOST_ACKS_BYTES
