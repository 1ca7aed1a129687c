"""Canonical JSON (RFC 8785) and names by hash: one value has exactly one representation."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

#: Length of a SHA-256 in lower-case hexadecimal.
SHA256_HEX_LENGTH = 64


def canonical(value: Any) -> bytes:
    """`value` (dict, list, str, int, bool, None) as RFC 8785 bytes. Floats are used for scores alone."""
    return rfc8785.dumps(value)


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_sha256(text: str) -> bool:
    """Is `text` 64 lower-case hexadecimal digits, so that it may become part of a path?"""
    return len(text) == SHA256_HEX_LENGTH and all(c in "0123456789abcdef" for c in text)
