"""A segment is believed only if every rule of docs/format.md §6 holds; hostile bytes are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import pytest
import zstandard

from sync import segment
from sync.canonical import canonical
from sync.errors import Refused
from sync.segment import NO_PREVIOUS, Record, make, open_segment, read_header
from tests.sync.segment_forger import forge, lines, seal, sign
from tests.sync.segment_keys import BOX, IDENTITY, PRIVATE, PUBLIC, RECIPIENT, SITE, journal_pair

GOLDEN = Path(__file__).parent.parent / "golden" / "journal.segment"


def record(seq: int, **body: Any) -> Record:
    return Record(seq=seq, time=1_700_000_000 + seq, clock_quality="unknown", kind="resource-opened",
                  body=body or {"package": "yuwen-3a", "name": "大青树下的小学"})


def made(records: list[Record] | None = None, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {"site": SITE, "box": BOX, "number": 1, "previous": NO_PREVIOUS,
                                 "private": PRIVATE, "recipient": RECIPIENT}
    return make(records or [record(1), record(2)], **(arguments | changes))


def code_of(data: bytes, public: str = PUBLIC, identity: str = IDENTITY) -> str:
    with pytest.raises(Refused) as caught:
        open_segment(data, public, identity)
    assert caught.value.message("en") and caught.value.message("zh")
    return caught.value.code


def test_what_was_made_is_read_back() -> None:
    records = [record(7), record(8, text="\u0000é😀", deep={"a": [1, None, True]})]
    data = made(records, number=3, previous="a" * 64)
    header, found = open_segment(data, PUBLIC, IDENTITY)
    assert found == records
    assert (header.site, header.box, header.number) == (SITE, BOX, 3)
    assert (header.first_seq, header.last_seq, header.previous) == (7, 8, "a" * 64)
    assert header.sha256 == hashlib.sha256(data).hexdigest()
    assert read_header(data, PUBLIC) == header


def test_only_the_hub_can_read_it() -> None:
    data = made()
    assert "大青树".encode() not in data
    other = str(pyrage.x25519.Identity.generate())
    assert code_of(data, identity=other) == "segment-sealed"


def test_only_the_site_can_sign_it() -> None:
    assert code_of(made(private=journal_pair(2)[0])) == "segment-signature"


@pytest.mark.parametrize("position", [0, 5, 300, -200, -1])
def test_one_flipped_bit_anywhere_is_noticed(position: int) -> None:
    data = bytearray(made())
    data[position] ^= 0x10
    assert code_of(bytes(data)).startswith("segment-")


def test_a_cut_or_lengthened_file_is_noticed() -> None:
    data = made()
    assert code_of(data[:-1]) == "segment-malformed"
    assert code_of(data + b"\n") == "segment-malformed"
    assert code_of(b"") == "segment-malformed"
    assert code_of(data[:200]) == "segment-malformed"


@pytest.mark.parametrize(("field", "value"), [
    ("format", "teachpoint-segment/2"), ("site", "../etc"), ("site", ""), ("box", "0011"),
    ("box", "00112233445566AA"), ("box", "00112233445566aa\n"), ("number", 0), ("number", 10**10),
    ("number", 2), ("number", "1"), ("number", True), ("first_seq", 0), ("first_seq", 3),
    ("last_seq", 20_000), ("last_seq", 3), ("last_seq", 1), ("previous", "a" * 64),
    ("previous", "0" * 63), ("payload", "0" * 64),
    ("payload_size", 5), ("payload_size", 2**40), ("hub_recipient", "x" * 129), ("hub_recipient", None)])
def test_a_signed_header_that_breaks_a_rule_is_refused(field: str, value: object) -> None:
    assert code_of(forge(seal(lines(record(1), record(2))), **{field: value})) == "segment-malformed"


@pytest.mark.parametrize(("name", "plain"), [
    ("another site's payload", lines(record(1), record(2), site="lijia")),
    ("another number's payload", lines(record(1), record(2), number=9)),
    ("a number left out", lines(record(1), record(3))),
    ("a number twice", lines(record(1), record(1))),
    ("order turned", lines(record(2), record(1))),
    ("a record too many", lines(record(1), record(2), record(3))),
    ("a record too few", lines(record(1))),
    ("no line end", lines(record(1), record(2))[:-1]),
    ("an empty line", lines(record(1), record(2)) + b"\n"),
    ("nothing", b"\n"),
    ("not JSON", lines() + b"{\n[\n"),
    ("not an object", lines() + b"1\n2\n"),
    ("not UTF-8", lines() + b'{"\xff":1}\n{}\n'),
    ("a lone surrogate", lines(record(1)) + b'{"body":{"a":"\\ud800"}}\n'),
    ("too deep", lines(record(1)) + b"[" * 20_000 + b"]" * 20_000 + b"\n"),
    ("too deep, within an object", lines(record(1)) + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"\n"),
    ("not canonical", lines(record(1)) + json.dumps(msgspec.to_builtins(record(2))).encode() + b"\n"),
    ("a line too long", lines(record(1), record(2, text="x" * 70_000))),
    ("a bad kind", lines(record(1), msgspec.structs.replace(record(2), kind="Bad Kind"))),
    ("a bad time", lines(record(1), msgspec.structs.replace(record(2), time=-1))),
])
def test_a_signed_payload_that_breaks_a_rule_is_refused(name: str, plain: bytes) -> None:
    assert code_of(forge(seal(plain))) == "segment-malformed", name


def test_a_signed_header_that_is_no_canonical_json_object_is_refused() -> None:
    for header in (b"", b"[]", b"null", b'{"a": 1}', b"\xff", b"[" * 1500, b'{"a":1e400}', b"9" * 1000):
        assert code_of(sign(header, b"x")) == "segment-malformed"
    assert code_of(sign(b"x" * 3000, b"x")) == "segment-malformed"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(b"\n" * (segment.MOST_PLAIN_BYTES + 1))
    assert len(bomb) < 1000
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(lines(record(1), record(2)))
    good = zstandard.ZstdCompressor().compress(lines(record(1), record(2)))
    recipient = [pyrage.x25519.Recipient.from_str(RECIPIENT)]
    for packed in (bomb, stream, good + b"more", good + good, good[:-3], b"", b"\x28\xb5\x2f\xfd", b"plain"):
        assert code_of(forge(pyrage.encrypt(packed, recipient))) == "segment-malformed"


def test_a_payload_that_is_no_age_file_is_refused() -> None:
    for payload in (b"x", b"age-encryption.org/v1\n", seal(b"x")[:-5], bytes(1000)):
        assert code_of(forge(payload)) == "segment-sealed"


def test_a_file_larger_than_any_segment_is_refused_unread() -> None:
    assert code_of(bytes(segment.MOST_SEGMENT_BYTES + 1)) == "segment-malformed"


def test_the_largest_segment_fits_its_own_limits() -> None:
    import random
    noise = random.Random(1)
    text = "".join(chr(noise.randrange(0x4e00, 0x9fff)) for _ in range(20_000))
    records = [record(n + 1, text=text[n:n + 20_000]) for n in range(64)]
    data = made(records)
    assert len(data) <= segment.MOST_SEGMENT_BYTES
    assert open_segment(data, PUBLIC, IDENTITY)[1] == records


def test_fields_of_a_later_version_are_ignored() -> None:
    later = msgspec.to_builtins(record(2)) | {"later": 1}
    plain = lines(record(1)) + canonical(later) + b"\n"
    header, records = open_segment(forge(seal(plain), later=[1, 2]), PUBLIC, IDENTITY)
    assert header.number == 1
    assert records == [record(1), record(2)]


def test_it_is_not_made_from_records_that_do_not_fit_together() -> None:
    for records in ([record(1), record(3)], [record(2), record(1)]):
        with pytest.raises(ValueError, match="without a gap"):
            made(records)
    with pytest.raises(ValueError, match="without a gap"):
        make([], site=SITE, box=BOX, number=1, previous=NO_PREVIOUS, private=PRIVATE, recipient=RECIPIENT)


def test_a_record_that_could_not_be_sent_is_refused() -> None:
    for bad in (record(1, text="x" * 70_000), record(1, text="\ud800"), record(1, number=2**60),
                record(1, value=object()), msgspec.structs.replace(record(1), kind="No Word")):
        with pytest.raises(Refused) as caught:
            segment.line(bad)
        assert caught.value.code == "record-bad"


def test_a_pairing_with_a_key_that_is_none_is_refused() -> None:
    for changes in ({"private": "x"}, {"recipient": "age1x"}):
        with pytest.raises(Refused) as caught:
            made(**changes)
        assert caught.value.code == "pairing-bad"


def test_file_names_sort_as_their_numbers() -> None:
    assert segment.segment_name(12) == "0000000012.segment"
    assert segment.segment_number("0000000012.segment") == 12
    for name in ("12.segment", "0000000000.segment", "0000000012.segment ", "00000000١2.segment", "a"):
        assert segment.segment_number(name) is None


class TestGolden:
    """A segment written once: every later version must read it and write the same frame around it."""

    def test_it_is_read(self) -> None:
        header, records = open_segment(GOLDEN.read_bytes(), PUBLIC, IDENTITY)
        assert (header.site, header.box, header.number) == (SITE, BOX, 1)
        assert [r.kind for r in records] == ["box-paired", "resource-opened", "upload"]
        assert records[1].body["name"] == "大青树下的小学"

    def test_header_and_signature_are_made_the_same_byte_for_byte(self) -> None:
        data = GOLDEN.read_bytes()
        header = read_header(data, PUBLIC)
        payload = data[len(data) - header.payload_size:]
        again = segment.assemble(payload, site=header.site, box=header.box, number=header.number,
                                 first_seq=header.first_seq, last_seq=header.last_seq,
                                 previous=header.previous, private=PRIVATE, recipient=header.hub_recipient)
        assert again == data
