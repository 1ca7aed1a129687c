"""The certificates of the HTTPS line: the same bytes from the same keys, and OpenSSL takes them."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sync.certificates import hub_certificate, public_key, serial, site_certificate
from tests.golden_files import same_as_golden


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


HOST, SITE = private(4), private(6)


def test_the_golden_certificates() -> None:
    same_as_golden("certificates.pem", (hub_certificate(HOST) + site_certificate(
        HOST, "dali", SITE.public_key())).encode())


def test_the_serial_of_a_site_is_computed_from_its_public_key() -> None:
    certificate = x509.load_pem_x509_certificate(
        site_certificate(HOST, "dali", SITE.public_key()).encode())
    line = SITE.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert certificate.serial_number == serial(public_key(line)) < 2**127
    assert f"{certificate.serial_number:032x}" == "0d40be0b8605ee10d0879ee8546c6228"
    assert all(0 < serial(private(number).public_key()) < 2**127 for number in range(1, 50))


@pytest.mark.parametrize("line", [
    "", "ssh-ed25519", "ssh-ed25519 AAAA",
    generate_private_key(SECP256R1()).public_key().public_bytes(
        Encoding.OpenSSH, PublicFormat.OpenSSH).decode()])
def test_a_line_that_is_no_ed25519_key_is_no_key(line: str) -> None:
    with pytest.raises(ValueError):
        public_key(line)


def shake_hands(tmp_path: Path, server: tuple[str, Ed25519PrivateKey], roots: str,
                client: tuple[str, Ed25519PrivateKey]) -> str:
    """TLS 1.3 with a server that asks for a certificate; the client's name as the server sees it."""
    def chain(context: ssl.SSLContext, name: str, pair: tuple[str, Ed25519PrivateKey]) -> None:
        key = pair[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        (tmp_path / name).write_text(key + pair[0])
        context.load_cert_chain(tmp_path / name)

    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.minimum_version = ssl.TLSVersion.TLSv1_3
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(cadata=roots)
    chain(serving, "server.pem", server)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.load_verify_locations(cadata=server[0])
    chain(asking, "client.pem", client)
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    theirs.settimeout(60)
    seen: list[str] = []

    def serve() -> None:
        try:
            with serving.wrap_socket(ours, server_side=True) as tls:
                found = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
                seen.append(found.subject.rfc4514_string())
                tls.sendall(b"x")
        except ssl.SSLError as error:
            seen.append(error.reason.replace("_", " ").lower())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with asking.wrap_socket(theirs) as tls:
            tls.recv(1)
    except (ssl.SSLError, OSError):
        pass
    thread.join(60)
    return seen[0]


def test_both_ends_of_tls_take_them(tmp_path: Path) -> None:
    hub = hub_certificate(HOST)
    site = site_certificate(HOST, "dali", SITE.public_key())
    assert shake_hands(tmp_path, (hub, HOST), hub, (site, SITE)) == "CN=dali"


def test_one_that_another_key_has_signed_is_refused(tmp_path: Path) -> None:
    hub = hub_certificate(HOST)
    forged = site_certificate(private(9), "dali", SITE.public_key())
    assert "verify failed" in shake_hands(tmp_path, (hub, HOST), hub, (forged, SITE))
    # A site is no authority: what it signs itself does not count either.
    chained = site_certificate(SITE, "dali", private(9).public_key())
    assert "verify failed" in shake_hands(tmp_path, (hub, HOST), hub, (chained, private(9)))
