"""Asking a hub over HTTPS as a box, a thief or a stranger would: http.client, and curl for HTTP/2."""

from __future__ import annotations

import http.client
import ssl
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from sync import pairing
from tests.e2e.stage import PATIENCE_S


def credentials(pairing_file: Path, folder: Path) -> Path:
    """Key and certificate of a pairing file in one PEM file, as curl and ssl take them."""
    found = pairing.read(pairing_file)
    private = load_ssh_private_key(found.key.private.encode(), None)
    assert isinstance(private, Ed25519PrivateKey) and found.key.certificate
    return written(folder / f"{found.site}.pem", private, found.key.certificate)


def written(path: Path, private: Ed25519PrivateKey, certificate: str) -> Path:
    """Key and certificate in one file."""
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                     + certificate.encode())
    return path


class Client:
    """One connection at a time, kept open; `identity` is a PEM file, or None for nobody."""

    def __init__(self, port: int, identity: Path | None, newest: ssl.TLSVersion | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if newest is not None:
            context.maximum_version = newest
        if identity is not None:
            context.load_cert_chain(identity)
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str
            ) -> tuple[int, dict[str, str], bytes]:
        """(status, headers in lower case, body)."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, names)
        answer = self.connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def close(self) -> None:
        """Hang up; the next question connects again."""
        self.connection.close()


def curl(port: int, identity: Path, path: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """curl over HTTP/2, the path sent as it is."""
    return subprocess.run(
        ["curl", "-sk", "--http2", "--path-as-is", "--max-time", "20", "--cert", str(identity), *words,
         f"https://127.0.0.1:{port}{path}"], capture_output=True, check=False)
