"""The certificates of the HTTPS line (docs/format.md §7.1): made of the keys that are there anyway. No I/O.

Pure functions: the same keys give the same bytes, so a certificate is derived and never kept where it could
be lost. Nobody looks at names or dates in them. A box knows its hub by the public key, a hub knows a site by
the serial of its certificate, which it computes from the public key in hub.db.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Subject of the hub's certificate and issuer of all: a constant, because nobody looks at it.
HUB_NAME = "teachpoint-hub"
#: Serial of the hub's own certificate; it is no site's, whose serials have 127 bits of a hash.
HUB_SERIAL = 1
#: A clock may be wrong by years at either end: certificates hold from the first second to the last.
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
#: Bytes of the hash that make a serial (RFC 5280 allows 20); the top bit is cleared: a serial is positive.
SERIAL_BYTES = 16


def hub_certificate(host: Ed25519PrivateKey) -> str:
    """The hub's certificate, PEM: its SSH host key, signed by itself; the root of its sites' certificates."""
    name = _name(HUB_NAME)
    made = _begun(name, host.public_key(), HUB_SERIAL).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _signed(made, host)


def site_certificate(host: Ed25519PrivateKey, site: str, public: Ed25519PublicKey) -> str:
    """The client certificate of a site, PEM: the site's SSH public key, signed by the hub's host key."""
    made = _begun(_name(site), public, serial(public)).add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return _signed(made, host)


def serial(public: Ed25519PublicKey) -> int:
    """The serial that stands for a public key: the first 16 bytes of its raw SHA-256, top bit cleared."""
    digest = hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()
    return int.from_bytes(digest[:SERIAL_BYTES], "big") & ~(1 << (8 * SERIAL_BYTES - 1))


def public_key(ssh_line: str) -> Ed25519PublicKey:
    """The key in `ssh-ed25519 AAAA…`. Raises ValueError for anything else."""
    found = load_ssh_public_key(ssh_line.encode())
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return found


def _begun(subject: x509.Name, public: Ed25519PublicKey, number: int) -> x509.CertificateBuilder:
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(_name(HUB_NAME)).public_key(public)
            .serial_number(number).not_valid_before(FIRST_MOMENT).not_valid_after(LAST_MOMENT))


def _signed(builder: x509.CertificateBuilder, host: Ed25519PrivateKey) -> str:
    return builder.sign(host, None).public_bytes(Encoding.PEM).decode()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
