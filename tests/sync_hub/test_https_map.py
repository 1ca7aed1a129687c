"""The map from certificates to sites, as nginx reads it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.certificates import public_key, serial
from sync.hub.https import Settings, configuration, site_map


def line(number: int) -> str:
    public = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_a_serial_is_written_as_openssl_prints_it() -> None:
    """Whole bytes in capitals, without leading zeros: also where the first bytes are none."""
    assert site_map({"dali": line(6)}) == "0D40BE0B8605EE10D0879EE8546C6228 dali;\n"
    short = next(number for number in range(1, 2000) if serial(public_key(line(number))) < 2**120)
    digits, site = site_map({"s": line(short)}).split()
    assert len(digits) == 30 and int(digits, 16) == serial(public_key(line(short))) and site == "s;"


def test_sites_stand_in_order_whoever_came_first() -> None:
    assert site_map({"b": line(1), "a": line(2)}) == site_map({"a": line(2), "b": line(1)})
    assert site_map({}) == ""


def test_an_ipv6_address_is_listened_on_too() -> None:
    assert "listen [::]:2443 ipv6only=off ssl http2" in configuration(Settings(("::", 2443)))
    assert "listen 0.0.0.0:2443 ssl http2" in configuration(Settings(("0.0.0.0", 2443)))
