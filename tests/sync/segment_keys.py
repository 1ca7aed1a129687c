"""Keys for tests only: whoever has this repository has them."""

from __future__ import annotations

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

SITE = "wangjia"
BOX = "00112233445566aa"


def journal_pair(seed: int = 1) -> tuple[str, str]:
    """An Ed25519 pair made from a seed: private (PKCS8) and public (SubjectPublicKeyInfo) PEM."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


PRIVATE, PUBLIC = journal_pair()
IDENTITY = "AGE-SECRET-KEY-1965VJCW4UQTCSWFJEYQDU83N6ZECGN20TJS0E2NHA9CKJ7UQCW6Q7V2E04"
RECIPIENT = str(pyrage.x25519.Identity.from_str(IDENTITY).to_public())
