"""The feed as one file."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sync import news
from sync.canonical import canonical
from sync.errors import Refused

FILES = {"timestamp.json": b'{"a":1}', "1.root.json": '{"name":"中心校"}'.encode()}


def test_what_was_written_is_read() -> None:
    assert news.parse(news.dump("s1", FILES), "s1") == FILES


def test_names_that_no_feed_has_are_left_out() -> None:
    data = news.dump("s1", {**FILES, "../evil": b"{}", "other.json": b"{}"})
    assert news.parse(data, "s1") == FILES


def test_that_of_another_site_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        news.parse(news.dump("s2", FILES), "s1")
    assert caught.value.code == "feed-wrong-site"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (news.MOST_PLAIN_BYTES + 1))
    assert len(bomb) < 10_000
    with pytest.raises(Refused) as caught:
        news.parse(bomb, "s1")
    assert caught.value.code == "feed-bad"


def test_another_format_is_refused() -> None:
    plain = canonical({"format": "teachpoint-news/2", "site": "s1", "files": {}})
    with pytest.raises(Refused, match="teachpoint-news/2"):
        news.parse(zstandard.ZstdCompressor().compress(plain), "s1")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(zstandard.ZstdCompressor().compress),
                 st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())).map(
                     lambda value: zstandard.ZstdCompressor().compress(repr(value).encode()))))
def test_whatever_the_bytes_are_nothing_else_is_raised(data: bytes) -> None:
    with pytest.raises(Refused):
        news.parse(data, "s1")
