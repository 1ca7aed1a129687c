"""A segment's bytes: make them, read them, believe them (docs/format.md §6). No I/O.

A segment is a numbered slice of one box's journal: a signed header line in the clear, which says
where it stands in the chain, and records that only the hub can read. What comes in is hostile until
`open_segment` has returned; it raises Refused with a `segment-…` code and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import rfc8785
from msgspec import Meta

from sync.canonical import canonical, sha256_hex
from sync.errors import Refused
from sync.layout import SITE_NAME

# What signs, seals and packs is loaded where a segment is made or read: pages that note a record, and what
# stands on them, do not wait for it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT = "teachpoint-segment/1"
#: `previous` of a box's first segment.
NO_PREVIOUS = "0" * 64

#: Longest header line in bytes; a real one has about 480.
MOST_HEADER_BYTES = 2048
#: Longest line of the payload in bytes: an `upload` record with every text at its limit, in
#: three-byte characters, has about 17 KB; a `problem` with its facts must fit too.
MOST_LINE_BYTES = 64 * 1024
#: Most records in one segment: bounds the hub's memory and its longest transaction.
MOST_RECORDS = 10_000
#: Largest payload once decrypted and decompressed, in bytes: what a hub holds in memory for it.
MOST_PLAIN_BYTES = 4 * 1024 * 1024
#: Largest payload as it travels: incompressible lines (zstd adds 3 bytes for 128 KiB) in age
#: (200 bytes and 16 for 64 KiB) add under 2 KiB; 64 KiB leaves room for other writers.
MOST_PAYLOAD_BYTES = MOST_PLAIN_BYTES + 64 * 1024
#: A base64 Ed25519 signature (64 bytes), in characters.
SIGNATURE_CHARACTERS = 88
#: Largest segment file, in bytes.
MOST_SEGMENT_BYTES = MOST_HEADER_BYTES + 1 + SIGNATURE_CHARACTERS + 1 + MOST_PAYLOAD_BYTES
#: Largest number of a segment: ten digits of its file name. One a second lasts 317 years.
MOST_NUMBER = 9_999_999_999
#: Largest number of a record: what JSON readers hold exactly.
MOST_SEQ = 2**53 - 1
#: Largest uploaded file, in bytes: what a FAT file system can hold (a stick carries it).
MOST_UPLOAD_BYTES = 2**32 - 1

BOX_ID = re.compile(r"[0-9a-f]{16}")
SEGMENT_NAME = re.compile(r"([0-9]{10})\.segment")
WORD = re.compile(r"[a-z][a-z0-9-]{0,31}")

#: zstd level: records are small and alike; 12 takes 5 ms for 256 KiB on a PC, 19 saves 3 % more.
_LEVEL = 12

Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")]
Seq = Annotated[int, Meta(ge=1, le=MOST_SEQ)]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Text = Annotated[str, Meta(max_length=1000)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a journal. `time` is whole seconds since 1970 by the box's clock."""

    seq: Seq
    time: Annotated[int, Meta(ge=0, le=MOST_SEQ)]
    clock_quality: Word
    kind: Word
    body: dict[str, Any]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an `upload` record."""

    sha256: Hash
    size: Annotated[int, Meta(ge=0, le=MOST_UPLOAD_BYTES)]
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    title: Text = ""
    about: Text = ""
    educationalLevel: Text = ""  # noqa: N815 - the LRMI field
    license: Text = ""
    creator: Text = ""


@dataclass(frozen=True)
class Header:
    """What a segment says of itself in the clear; `sha256` is that of all its bytes."""

    site: str
    box: str
    number: int
    first_seq: int
    last_seq: int
    previous: str
    payload: str
    payload_size: int
    hub_recipient: str
    sha256: str


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    site: str
    box: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    number: Annotated[int, Meta(ge=1, le=MOST_NUMBER)]
    first_seq: Seq
    last_seq: Seq
    previous: Hash
    payload: Hash
    payload_size: Annotated[int, Meta(ge=1, le=MOST_PAYLOAD_BYTES)]
    hub_recipient: Annotated[str, Meta(max_length=128)]


def segment_name(number: int) -> str:
    """The file name of segment `number`: ten digits, so that names sort as numbers do."""
    return f"{number:010d}.segment"


def segment_number(name: str) -> int | None:
    """The number in a segment's file name; None if it is no such name."""
    match = SEGMENT_NAME.fullmatch(name)
    return (int(match.group(1)) or None) if match else None


def line(record: Record) -> bytes:
    """A record as its line in a payload, with the line end.

    Raises Refused `record-bad`: not JSON, a word that is none, or longer than MOST_LINE_BYTES.
    """
    if not (WORD.fullmatch(record.kind) and WORD.fullmatch(record.clock_quality)
            and 1 <= record.seq <= MOST_SEQ and 0 <= record.time <= MOST_SEQ):
        raise Refused("record-bad", kind=record.kind, reason="its kind, time or number is malformed")
    try:
        data = canonical(msgspec.to_builtins(record)) + b"\n"
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as error:
        raise Refused("record-bad", kind=record.kind, reason=error) from error
    if len(data) > MOST_LINE_BYTES:
        raise Refused("record-bad", kind=record.kind,
                      reason=f"{len(data)} bytes, {MOST_LINE_BYTES} are allowed")
    return data


def make(records: Sequence[Record], *, site: str, box: str, number: int, previous: str,
         private: str, recipient: str) -> bytes:
    """The bytes of a segment of `records` (at least one; `seq` ascending by one).

    `previous` is the SHA-256 of segment `number - 1` (NO_PREVIOUS for number 1), `private` the site's
    journal key (PKCS8 PEM), `recipient` the hub's age recipient. The sealing is random: two calls
    with the same arguments give different bytes.

    Raises Refused: `record-bad`; `pairing-bad` (a key that is none). ValueError where the numbers do
    not fit together or a limit is passed.
    """
    import pyrage
    import zstandard

    seqs = [record.seq for record in records]
    if not seqs or seqs != list(range(seqs[0], seqs[0] + len(seqs))) or len(seqs) > MOST_RECORDS:
        raise ValueError("records must be 1 to MOST_RECORDS, numbered without a gap")
    plain = b"".join([_first_line(site, box, number), *map(line, records)])
    if len(plain) > MOST_PLAIN_BYTES:
        raise ValueError("more bytes than a segment may hold")
    try:
        payload = pyrage.encrypt(zstandard.ZstdCompressor(level=_LEVEL).compress(plain),
                                 [pyrage.x25519.Recipient.from_str(recipient)])
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise Refused("pairing-bad", reason=f"seal.recipient: {error}") from error
    return assemble(payload, site=site, box=box, number=number, first_seq=seqs[0],
                    last_seq=seqs[-1], previous=previous, private=private, recipient=recipient)


def assemble(payload: bytes, *, site: str, box: str, number: int, first_seq: int, last_seq: int,
             previous: str, private: str, recipient: str) -> bytes:
    """Header line and signature before a sealed `payload`: the part that is the same each time.

    Raises Refused `pairing-bad` if `private` is no Ed25519 key.
    """
    header = canonical({
        "format": FORMAT, "site": site, "box": box, "number": number, "first_seq": first_seq,
        "last_seq": last_seq, "previous": previous, "payload": sha256_hex(payload),
        "payload_size": len(payload), "hub_recipient": recipient})
    return b"".join([header, b"\n", base64.b64encode(_private_key(private).sign(header)), b"\n", payload])


def read_header(data: bytes, public: str) -> Header:
    """The header of a whole segment, believed: limits kept, signed by `public` (the site's journal key,
    SubjectPublicKeyInfo PEM), payload as the header says. Where it stands is for the caller to judge.

    Raises Refused: `segment-malformed`, `segment-signature`.
    """
    return _split(data, public)[0]


def open_segment(data: bytes, public: str, identity: str) -> tuple[Header, list[Record]]:
    """The header and the records of a segment, believed and decrypted with the hub's age `identity`.

    Raises Refused: `segment-malformed`, `segment-signature`, `segment-sealed`.
    """
    import pyrage

    header, payload = _split(data, public)
    try:
        packed = pyrage.decrypt(payload, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError as error:
        raise Refused("segment-sealed", recipient=header.hub_recipient, reason=error) from error
    return header, _records(_unpack(packed), header)


def _split(data: bytes, public: str) -> tuple[Header, bytes]:
    from cryptography.exceptions import InvalidSignature

    if len(data) > MOST_SEGMENT_BYTES:
        raise _malformed(f"larger than {MOST_SEGMENT_BYTES} bytes")
    end = data.find(b"\n", 0, MOST_HEADER_BYTES + 1)
    if end < 0:
        raise _malformed("no header line")
    line_bytes, rest = data[:end], data[end + 1:]
    signature_text, line_end = rest[:SIGNATURE_CHARACTERS], rest[SIGNATURE_CHARACTERS:][:1]
    payload = rest[SIGNATURE_CHARACTERS + 1:]
    if line_end != b"\n":
        raise _malformed("no signature line")
    try:
        signature = base64.b64decode(signature_text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("the signature is not base64") from None
    if base64.b64encode(signature) != signature_text:
        raise _malformed("the signature is not base64 in its one form")
    try:
        _public_key(public).verify(signature, line_bytes)
    except InvalidSignature:
        raise Refused("segment-signature") from None
    plain = _decode(line_bytes)
    header = _convert(plain, _Header)
    if header.format != FORMAT:
        raise _malformed(f"unknown format {header.format!r}")
    if not SITE_NAME.fullmatch(header.site):
        raise _malformed("the site is not a site name")
    if not 0 <= header.last_seq - header.first_seq < MOST_RECORDS:
        raise _malformed("its record numbers do not fit together")
    if (header.number == 1) != (header.previous == NO_PREVIOUS):
        raise _malformed("number and previous do not fit together")
    if len(payload) != header.payload_size or sha256_hex(payload) != header.payload:
        raise _malformed("the payload is not the one that was signed")
    return Header(site=header.site, box=header.box, number=header.number,
                  first_seq=header.first_seq, last_seq=header.last_seq, previous=header.previous,
                  payload=header.payload, payload_size=header.payload_size,
                  hub_recipient=header.hub_recipient, sha256=sha256_hex(data)), payload


def _unpack(packed: bytes) -> bytes:
    import zstandard

    try:
        size = zstandard.frame_content_size(packed)
        if not 0 <= size <= MOST_PLAIN_BYTES:
            raise _malformed("its size when unpacked is not stated or too large")
        return zstandard.ZstdDecompressor().decompress(
            packed, max_output_size=MOST_PLAIN_BYTES, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:
        raise _malformed(f"zstd: {error}") from error


def _records(plain: bytes, header: Header) -> list[Record]:
    if not plain.endswith(b"\n"):
        raise _malformed("the last line has no end")
    count = header.last_seq - header.first_seq + 1
    lines = plain.split(b"\n", count + 2)
    if len(lines) != count + 2:  # the first line, the records, and nothing after the last line end
        raise _malformed("more or fewer records than the header says")
    if lines[0] + b"\n" != _first_line(header.site, header.box, header.number):
        raise _malformed("the payload belongs to another segment")
    records = []
    for seq, text in enumerate(lines[1:-1], header.first_seq):
        if len(text) >= MOST_LINE_BYTES:
            raise _malformed(f"a line is longer than {MOST_LINE_BYTES} bytes")
        record = _convert(_decode(text), Record)
        if record.seq != seq:
            raise _malformed("a record has another number than its place says")
        records.append(record)
    return records


def _first_line(site: str, box: str, number: int) -> bytes:
    return canonical({"site": site, "box": box, "number": number}) + b"\n"


def _decode(text: bytes) -> Any:
    """JSON that is canonical, so that the same facts have one form only."""
    try:
        value = msgspec.json.decode(text)
        if canonical(value) != text:
            raise _malformed("a line is not canonical JSON")
    except (msgspec.MsgspecError, rfc8785.CanonicalizationError, RecursionError, ValueError) as error:
        raise _malformed(error) from error
    return value


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _malformed(error) from error


def _malformed(reason: object) -> Refused:
    return Refused("segment-malformed", reason=reason)


def _private_key(pem: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused("pairing-bad", reason=f"journal.private: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused("pairing-bad", reason="journal.private: not an Ed25519 key")
    return key


def _public_key(pem: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("not an Ed25519 key")  # the hub made it: a fault of ours
    return key
