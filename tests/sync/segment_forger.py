"""A box gone bad: segments that are properly sealed and signed, and say what they should not."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pyrage
import zstandard
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sync import segment
from sync.canonical import canonical, sha256_hex
from sync.segment import NO_PREVIOUS, Record
from tests.sync.segment_keys import BOX, PRIVATE, RECIPIENT, SITE


def seal(plain: bytes) -> bytes:
    return pyrage.encrypt(zstandard.ZstdCompressor().compress(plain),
                          [pyrage.x25519.Recipient.from_str(RECIPIENT)])


def forge(payload: bytes, /, **header: Any) -> bytes:
    """A properly signed segment around any payload, with any header fields: a box gone bad."""
    fields = {"format": segment.FORMAT, "site": SITE, "box": BOX, "number": 1, "first_seq": 1, "last_seq": 2,
              "previous": NO_PREVIOUS, "payload": sha256_hex(payload), "payload_size": len(payload),
              "hub_recipient": RECIPIENT} | header
    return sign(canonical(fields), payload)


def sign(header: bytes, payload: bytes) -> bytes:
    key: Any = load_pem_private_key(PRIVATE.encode(), None)
    return header + b"\n" + base64.b64encode(key.sign(header)) + b"\n" + payload


def lines(*records: Record, **first: Any) -> bytes:
    head = canonical({"site": SITE, "box": BOX, "number": 1} | first)
    return b"".join(part + b"\n" for part in [head, *(canonical(msgspec.to_builtins(r)) for r in records)])
