"""Packs: what is packed comes out again, and whatever comes is given or refused within its limits."""

from __future__ import annotations

import io
import itertools
import json
import random
import tracemalloc
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import pack
from sync.canonical import sha256_hex
from sync.errors import Refused
from sync.manifest import FORMAT, Blob, File, Manifest, Resource
from tests.golden_files import GOLDEN, same_as_golden

LIMITED = settings(max_examples=150, deadline=None)


def resource(number: int, *files: File, type: str = "text", media: str = "text/plain",
             text: Blob | None = None) -> Resource:
    return Resource(id=f"{number:016}", name="课", type=type, mediaType=media, entry=files[0].path,
                    files=list(files), text=text)


def file(path: str, size: int) -> File:
    return File(path=path, sha256=sha256_hex(path.encode()), size=size)


def manifest(*resources: Resource) -> Manifest:
    return Manifest(format=FORMAT, id="p", version=1, name="课", resources=list(resources))


def texts(count: int, size: int = 100) -> list[Resource]:
    return [resource(number, file(f"{number}.txt", size)) for number in range(count)]


def packed(contents: dict[str, bytes], chosen: set[str] | None = None) -> bytes:
    into = io.BytesIO()
    pack.write(into, {name: len(data) for name, data in contents.items()},
               contents if chosen is None else chosen, contents.__getitem__, level=3)
    return into.getvalue()


def frame(head: object, body: bytes = b"") -> bytes:
    return zstandard.compress((head if isinstance(head, bytes) else json.dumps(head).encode() + b"\n") + body)


# -- what a hub packs


def test_small_texts_are_packed_and_nothing_else() -> None:
    small, text = texts(7), Blob(sha256="a" * 64, size=50, mediaType="text/plain")
    film = resource(90, file("film.mp4", 100), type="video", media="video/mp4", text=text)
    large = resource(91, file("large.txt", pack.MOST_MEMBER_BYTES + 1))
    edge = resource(92, file("edge.txt", pack.MOST_MEMBER_BYTES))
    found = pack.members(manifest(*small, film, large, edge))
    assert list(found) == [one.files[0].sha256 for one in small] + ["a" * 64, edge.files[0].sha256]
    assert found["a" * 64] == 50


def test_of_a_bundle_each_file_is_looked_at() -> None:
    bundle = resource(1, *(file(f"b/{number}.{suffix}", 10) for number in range(8)
                           for suffix in ("html", "png", "js")), type="bundle", media="text/html")
    assert len(pack.members(manifest(bundle))) == 16


def test_few_texts_are_no_pack_and_many_fill_one() -> None:
    assert pack.members(manifest(*texts(pack.LEAST_MEMBERS - 1))) == {}
    assert len(pack.members(manifest(*texts(pack.LEAST_MEMBERS)))) == pack.LEAST_MEMBERS
    many = texts(100, pack.MOST_MEMBER_BYTES)
    assert len(pack.members(manifest(*many))) == 64
    assert sum(pack.members(manifest(*many, *texts(3, 10))).values()) <= pack.MOST_PACK_BYTES


# -- there and back


@LIMITED
@given(st.lists(st.binary(max_size=300), max_size=40, unique=True), st.data())
def test_what_is_packed_comes_out_however_it_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    contents = {sha256_hex(body): body for body in bodies}
    chosen = {name for name in contents if data.draw(st.booleans())}
    whole = packed(contents, chosen)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    chunks = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    sizes = {name: len(body) for name, body in contents.items()}
    assert list(pack.unpack(chunks, sizes)) == [(n, b) for n, b in contents.items() if n in chosen]


def test_the_golden_pack() -> None:
    contents = {sha256_hex(body): body for body in
                (f"第{number}课 大青树下的小学\n".encode() * number for number in range(1, 13))}
    chosen = {name for number, name in enumerate(contents) if number not in (0, 5, 6)}
    # Other versions of zstd may write other bytes; what must not change is what they mean.
    assert dict(pack.unpack([(GOLDEN / "pack.zst").read_bytes()], {n: len(b) for n, b in contents.items()})) \
        == {name: contents[name] for name in chosen}
    plain = zstandard.ZstdDecompressor().stream_reader(packed(contents, chosen)).read()
    same_as_golden("pack.plain", plain)
    assert plain.startswith(b'{"format":"teachpoint-pack/1","objects":[[1,4],[7,5]]}\n')


def test_an_object_is_given_before_the_next_has_come() -> None:
    chance = random.Random(1)
    contents = {sha256_hex(body): body for body in (chance.randbytes(200_000) for _ in range(6))}
    whole, came = packed(contents), 0

    def line() -> Iterator[bytes]:
        nonlocal came
        for at in range(0, len(whole), 10_000):
            came = at
            yield whole[at:at + 10_000]

    first = next(pack.unpack(line(), {name: len(body) for name, body in contents.items()}))
    assert first == next(iter(contents.items()))
    assert came < len(whole) / 2


# -- hostile


CONTENTS = {sha256_hex(body): body for body in (b"one" * 30, b"two" * 40, b"three" * 50)}
SIZES = {name: len(body) for name, body in CONTENTS.items()}
BODY = b"".join(CONTENTS.values())


def refused(*chunks: bytes, sizes: dict[str, int] = SIZES) -> str:
    with pytest.raises(Refused) as caught:
        list(pack.unpack(chunks, sizes))
    assert caught.value.code == "pack-bad"
    return str(caught.value.facts["reason"])


@pytest.mark.parametrize("objects", [
    [[0, 4]], [[-1, 2]], [[3, 1]], [[0, 0]], [[0, -1]], [[0, 2], [1, 2]], [[1, 1], [0, 1]], [[0, 1], [0, 1]],
    [[2**70, 1]], [[0, 2**70]], [[0]], [[0, 1, 2]], [["0", 1]], [[0.5, 1]], [None], "x", {}, 3, None])
def test_a_first_line_that_names_what_is_not_there_is_refused(objects: object) -> None:
    refused(frame({"format": pack.FORMAT, "objects": objects}, BODY))


@pytest.mark.parametrize("head", [
    b"", b"\n", b"{}\n", b"[]\n", b"\xff\xfe\n", b"no line end", b"[" * 3000 + b"\n",
    b'{"format":"teachpoint-pack/1"}\n', b'{"format":"\x80","objects":[]}\n',
    b'{"format":"teachpoint-pack/2","objects":[]}\n', b"x" * (pack.MOST_HEADER_BYTES + 10_000)])
def test_a_first_line_that_is_none_is_refused(head: bytes) -> None:
    refused(frame(head, b""))


def test_too_few_and_too_many_bytes_are_refused() -> None:
    head = {"format": pack.FORMAT, "objects": [[0, 3]]}
    assert dict(pack.unpack([frame(head, BODY)], SIZES)) == CONTENTS
    assert "soon" in refused(frame(head, BODY[:-1]))
    assert "more bytes" in refused(frame(head, BODY + b"x"))
    for cut in range(0, len(frame(head, BODY)), 7):
        refused(frame(head, BODY)[:cut])
    refused(frame(head, BODY)[:-1])


def test_what_no_hub_would_pack_is_refused_before_it_is_unpacked() -> None:
    large = {"a" * 64: pack.MOST_MEMBER_BYTES + 1}
    assert "object" in refused(frame({"format": pack.FORMAT, "objects": [[0, 1]]}), sizes=large)
    many = {f"{number:064}": pack.MOST_MEMBER_BYTES for number in range(100_000)}
    assert "more than" in refused(frame({"format": pack.FORMAT, "objects": [[0, 100_000]]}), sizes=many)


def test_a_bomb_stays_folded() -> None:
    """A kilobyte that stands for gigabytes: no more of it is unfolded than the objects need."""
    head = b'{"format":"teachpoint-pack/1","objects":[[0,3]]}\n'
    compressor = zstandard.ZstdCompressor(level=1).compressobj(size=-1)
    bomb = compressor.compress(head) + b"".join(compressor.compress(bytes(2**20)) for _ in range(400))
    bomb += compressor.flush()
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        refused(bomb)
        refused(*(bomb[at:at + 100] for at in range(0, len(bomb), 100)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * 2**20


def test_a_window_beyond_the_limit_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(b'{"format":"teachpoint-pack/1","objects":[]}\n') + compressor.flush()
    refused(data)


@LIMITED
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    refused(data)


@LIMITED
@given(st.data())
def test_any_damage_is_refused_or_gives_objects_of_the_right_size(data: st.DataObject) -> None:
    whole = bytearray(packed(CONTENTS))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        for name, body in pack.unpack([bytes(whole)], SIZES):
            assert len(body) == SIZES[name]
    except Refused as error:
        assert error.code == "pack-bad"
