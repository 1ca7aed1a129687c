"""Whatever bytes a feed has: it is believed, or Refused comes out, and nothing else ever."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.errors import Refused
from sync.trust import Believed, Trusted, believe
from tests.sync.repository_simulator import RepositorySimulator, a_package, sign

FEED = RepositorySimulator()
FEED.publish(a_package(1))
OLD = dict(FEED.files)
FEED.new_root(feed_key=3)
FEED.publish(a_package(2))
NEW = dict(FEED.files)
FRESH = Trusted(OLD["1.root.json"])
NAMES = sorted(NEW)
LIMITED = settings(max_examples=150, deadline=None)

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8)


def look(files: dict[str, bytes], trusted: Trusted = FRESH) -> Believed | None:
    try:
        return believe("dali", trusted, files)
    except Refused as error:
        assert error.message("zh")
        assert error.as_json()
        return None


@LIMITED
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), st.binary(max_size=300)))
def test_any_files(files: dict[str, bytes]) -> None:
    assert look(files) is None


@LIMITED
@given(st.sampled_from(NAMES), st.data())
def test_one_byte_changed_is_never_believed_as_something_else(name: str, data: st.DataObject) -> None:
    whole = bytearray(NEW[name])
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    believed = look({**NEW, name: bytes(whole)})
    # Files nobody needs for the newest state (old generations, the first root) may say anything; a
    # refused or a forged feed may not.
    assert believed is None or believed.desired.packages == [a_package(2)]


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [so_far]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*so_far, key))
    return found


METADATA = [name for name in NAMES if len(name) < 60]
PLACES = [(name, path) for name in METADATA for path in paths(json.loads(NEW[name])) if path]


@LIMITED
@given(st.sampled_from(PLACES), JSON_VALUES)
def test_any_value_anywhere_in_the_metadata(place: tuple[str, tuple[Any, ...]], value: Any) -> None:
    name, path = place
    plain = json.loads(NEW[name])
    inner = plain
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    data = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    believed = look({**NEW, name: data})
    assert believed is None or believed.desired.packages == [a_package(2)]


@LIMITED
@given(JSON_VALUES)
def test_any_json_as_a_whole_file(value: Any) -> None:
    for name in ("timestamp.json", "3.root.json"):
        assert look({**NEW, name: json.dumps(value).encode()}) is None


@LIMITED
@given(st.sampled_from(["time", "site", "version", "meta", "later"]), JSON_VALUES)
def test_any_value_that_the_feed_key_itself_has_signed(field: str, value: Any) -> None:
    """A hub gone mad signs nonsense: refused, or harmless."""
    feed = RepositorySimulator()
    feed.publish(a_package(1))
    if field == "version":
        feed.timestamp.version = value
    elif field == "meta":
        feed.timestamp.snapshot_meta.version = value
    else:
        feed.timestamp.unrecognized_fields[field] = value
    try:
        feed.files["timestamp.json"] = sign(feed.timestamp, 2)
    except Exception:  # python-tuf or RFC 8785 cannot even write it down
        return
    believed = look(feed.files)
    assert believed is None or believed.desired.packages == [a_package(1)]


@LIMITED
@given(st.lists(st.sampled_from(NAMES), max_size=3), st.booleans())
def test_any_files_missing_leaves_the_old_the_new_or_nothing(gone: list[str], known: bool) -> None:
    trusted = believe("dali", FRESH, OLD).trusted if known else FRESH
    believed = look({name: data for name, data in NEW.items() if name not in gone}, trusted)
    assert believed is None or believed.desired.packages == [a_package(2)]


@LIMITED
@given(st.data())
def test_any_mixture_of_two_feeds_is_one_of_them_or_nothing(data: st.DataObject) -> None:
    mixed = {}
    for name in NAMES:
        choices = [files[name] for files in (OLD, NEW) if name in files]
        mixed[name] = data.draw(st.sampled_from(choices))
    believed = look(mixed)
    assert believed is None or believed.desired.packages in ([a_package(1)], [a_package(2)])
