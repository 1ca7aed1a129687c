"""Manifest, desired, acknowledgements, policy, pairing file, hub.toml, package.toml: valid ones, spoiled.
Each is read, or refused by the one name that its reader promises."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import tomli_w
from hypothesis import strategies as st

from sync import manifest, pairing, policy
from sync.box.state import init_box
from sync.canonical import canonical, is_sha256
from sync.desired import parse_acks, parse_desired
from sync.errors import Refused, TeachpointError
from sync.hub.describe import parse_toml
from sync.hub.settings import init_hub, read_settings
from sync.hub.sites import add_site
from sync.layout import PACKAGE_ID
from sync.results import MOST_AT_ONCE, read_message, read_result, statement
from sync.segment import MOST_LINE_BYTES
from tests.fuzz.hostile import DEPTHS, TEXTS, as_json, bitten, json_of, spoiled
from tests.fuzz.running import fuzz, named_errors, nothing_written
from tests.golden_files import GOLDEN
from tests.sync.test_desired import GOOD_ACKS, GOOD_DESIRED
from tests.sync.test_pairing import GOOD as GOOD_PAIRING
from tests.sync_hub.test_results import TOLD, body

MANIFEST = json.loads((GOLDEN / "manifest.json").read_bytes())
POLICY: dict[str, Any] = {
    "format": policy.POLICY_FORMAT, "utc_offset_min": 480, "hours": [[0, 360], [1080, 1440]],
    "caps": [{"times": [[480, 1080]], "bits_per_s": 512_000}], "class_hours": [[480, 700]],
    "class_bits_per_s": 64_000, "month_bytes": 2_000_000_000}
DESIRED = {**GOOD_DESIRED, "policy": POLICY}


@fuzz(600, data=json_of(MANIFEST) | st.builds(canonical, st.just(MANIFEST)) | st.binary(max_size=200))
def test_a_manifest(data: bytes) -> None:
    with named_errors("manifest-bad"):
        read = manifest.parse(data)
        assert all(not manifest.path_fault(file.path) for one in read.resources for file in one.files)
        assert all(map(is_sha256, read.objects())) and PACKAGE_ID.fullmatch(read.id)
        assert manifest.parse(manifest.dump(read)) == read


@fuzz(300, data=json_of(DESIRED) | json_of(GOOD_ACKS) | st.binary(max_size=200))
def test_desired_and_acknowledgements(data: bytes) -> None:
    with named_errors("desired-bad"):
        assert all(PACKAGE_ID.fullmatch(one.id) for one in parse_desired(data, "dali").packages)
    with named_errors("acks-bad"):
        assert all(map(is_sha256, parse_acks(data, "dali").wanted))


@fuzz(600, data=json_of({"results": [TOLD, TOLD]}) | st.binary(max_size=200))
def test_results_that_a_page_sends(data: bytes) -> None:
    """What is taken becomes a record that the hub reads, and that fits into a line many times."""
    with named_errors("result-bad"):
        told = read_message(data)
        assert len(told) <= MOST_AT_ONCE
        for one in told:
            kept = {"package": one.package, "version": 1, "resource": one.resource, "name": "x",
                    "statement": statement(one)}
            written = canonical(kept)
            assert len(written) < MOST_LINE_BYTES / 8
            assert read_result(msgspec.json.decode(written)) is not None


@fuzz(300, data=json_of(body()) | st.binary(max_size=200))
def test_a_result_that_a_box_sends(data: bytes) -> None:
    with contextlib.suppress(ValueError, RecursionError):
        read_result(msgspec.json.decode(data))


@fuzz(300, data=json_of(POLICY), now=st.none() | st.floats(0, 2**33), used=st.integers(0, 2**53),
      left=st.integers(0, 2**53), rate=st.floats(0, 1e9))
def test_a_policy_in_a_feed(data: bytes, now: float | None, used: int, left: int, rate: float) -> None:
    """One that is taken can be followed, foretold, shown and written down again."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return  # `desired.json` is refused before its policy is looked at
    if not isinstance(value, dict):
        return
    with named_errors("policy-bad"):
        taken = policy.parse_policy(value)
        decision = policy.decide(taken, now, used)
        assert decision.until is None or now is not None
        policy.finish(taken, now, used, left, rate)
        assert policy.in_words(taken)
        policy.policy_shown(policy.facts(taken))
        assert policy.parse_policy(policy.as_plain(taken)) in (taken, policy.NO_POLICY)


def as_toml(made: pairing.Pairing) -> dict[str, Any]:
    """What a pairing file says, all its fields given."""
    tree: dict[str, Any] = msgspec.to_builtins(made)
    tree["hub"]["https_port"] = tree["hub"]["https_port"] or 2443
    tree["key"]["certificate"] = tree["key"]["certificate"] or "-----BEGIN CERTIFICATE-----\nx\n"
    del tree["journal"]["certificate"]
    return tree


PAIRING = as_toml(GOOD_PAIRING)
SETTINGS = {"name": "中心校", "addresses": ["192.168.1.10", "hub.lan"], "ssh_port": 2222, "https_port": 2443,
            "ssh_user": "hub"}
PACKAGE_TOML = {"name": "大青树", "inLanguage": "zh-CN", "position": 3, "license": "CC0 1.0",
                "resources": {"课文.txt": {"name": "课文", "position": 1, "type": "text"}}}
TOML_LINES = st.sampled_from((
    "x = " + "9" * 5000, "x = 2024-13-45", "x = 0000-01-01", "x = 1e999", "x = nan", r'x = "\ud800"',
    "x = 99999-01-01T00:00:00Z", r'x = "\U00110000"', "[hub]\n[hub]", "[[key]]", "a.b.c = 1\na.b = 2", "\0",
    "x = '''",
    "site = 'twice'", "x = " + "[" * 1500, "x = {" * 1500, "x." * 3000 + "y = 1", "x = 00:00:61", "\ufeff",
    "x = -" + "0x" + "f" * 5000, "x = 0b" + "1" * 20_000))


@st.composite
def toml_of(draw: Any, tree: dict[str, Any]) -> bytes:
    """A TOML file spoiled: as a tree where TOML can say it, as lines, as bytes."""
    text = ""
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        values = (st.sampled_from([text for text in TEXTS if type(text) is str]) | st.integers(-2**70, 2**70)
                  | st.sampled_from((True, 0.5, float("inf"), [], {}, [[]], {"": 0})))
        changed = spoiled(draw, tree, values=values)
        text = tomli_w.dumps(changed if isinstance(changed, dict) else {"": changed})
    text = text or tomli_w.dumps(tree)
    if draw(st.booleans()):
        lines = text.split("\n")
        lines.insert(draw(st.integers(0, len(lines))), draw(TOML_LINES))
        text = "\n".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    return bitten(draw, data) if draw(st.integers(0, 3)) == 0 else data


@fuzz(300, data=toml_of(PAIRING) | st.binary(max_size=200))
def test_a_pairing_file(data: bytes) -> None:
    with named_errors("pairing-bad"):
        read = pairing.parse(data)
        assert not any(address.startswith("-") for address in (*read.hub.addresses, read.hub.ssh_user))


def test_a_pairing_file_that_makes_a_box(place: Path) -> None:
    """What is read may still name keys that are none: a box comes of it, or a named error; nothing beside."""
    hub = init_hub(place / "hub", "中心校", ["127.0.0.1"], 2222)
    tree = as_toml(add_site(hub, "s1", "一号"))
    hub.database.close()
    count = iter(range(10**9))

    @fuzz(12, data=toml_of(tree))
    def look(data: bytes) -> None:
        number = next(count)
        file, box = place / "work" / "pairing.toml", place / "work" / f"box{number}"
        file.write_bytes(data)
        with nothing_written(place, box), named_errors():
            init_box(box, file).database.close()

    look()


@fuzz(300, data=toml_of(SETTINGS) | st.binary(max_size=200))
def test_hub_toml(place: Path, data: bytes) -> None:
    file = place / "hub.toml"
    file.write_bytes(data)
    with named_errors("settings-bad", "name-bad", "address-bad"):
        read = read_settings(file)
        assert not any(word.startswith("-") for word in (*read.addresses, read.ssh_user))


@fuzz(200, data=toml_of(PACKAGE_TOML))
def test_package_toml(data: bytes) -> None:
    with named_errors("package-toml-bad"):
        parse_toml(data)


def test_what_all_begin_from_is_valid() -> None:
    """Else nothing behind the first check would be reached."""
    assert manifest.parse(as_json(MANIFEST)) and policy.parse_policy(POLICY) and pairing.parse(
        tomli_w.dumps(PAIRING).encode())
    assert parse_desired(as_json(DESIRED), "dali") and parse_acks(as_json(GOOD_ACKS), "dali")
    assert parse_toml(tomli_w.dumps(PACKAGE_TOML).encode())


def test_depth_alone_is_refused_by_name() -> None:
    for depth in DEPTHS:
        for data in (b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth + b"0" + b"}" * depth):
            for read in (manifest.parse, lambda data: parse_desired(data, "dali"),
                         lambda data: parse_acks(data, "dali")):
                try:
                    read(data)
                except TeachpointError as error:
                    assert isinstance(error, Refused)
                else:
                    raise AssertionError(data[:20])
