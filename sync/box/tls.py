"""A TLS connection to the hub that never blocks, and counts its bytes.

The hub is known by its public key alone, the one that the pairing file pins for SSH: dates and names in its
certificate are not looked at, since a box has no clock to hold them against (docs/sync.md).
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sync.box.held import HeldBack
from sync.durable import make_folder, write_file
from sync.errors import Refused
from sync.pairing import Pairing

#: Read from the socket at once, in bytes.
READ_BYTES = 256 * 1024


def client_context(pairing: Pairing, folder: Path) -> ssl.SSLContext:
    """TLS 1.3 with the site's certificate. `folder` (0700) gets the key for as long as this takes: OpenSSL
    reads keys from files only. Raises Refused `pairing-bad`; NoRoom `disk-full`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # `Tls.pinned` decides
    context.set_alpn_protocols(["h2"])
    make_folder(folder, 0o700)
    path = folder / "certificate.pem"
    try:
        both = _pem_key(pairing.key.private) + (pairing.key.certificate or "")
        write_file(path, both.encode(), mode=0o600)
        context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise Refused("pairing-bad", reason=f"key.certificate: {error}") from error
    finally:
        path.unlink(missing_ok=True)
    return context


class Tls:
    """One connection. After each time the socket was ready: `turn`, then look at `failed`, `open`."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, pinned: str) -> None:
        """Begin to connect. `pinned`: the hub's key as in `ssh_host_key`. Raises OSError where there is no
        such address."""
        family, kind, protocol, _, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(where)
        self._pinned = base64.b64decode(pinned.split()[1])
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._waiting = b""  # encrypted, to be sent
        self._connected = False
        self.open = False
        #: Why it has ended, as the system said it; "" while it has not.
        self.failed = ""
        #: The hub's key is another one than the pairing file says.
        self.stranger = False
        self.received_bytes = self.sent_bytes = 0
        self._held = HeldBack(self.socket)

    @property
    def held_bytes(self) -> int:
        """How much has come behind a lost packet, and comes with it."""
        try:
            return 0 if self.failed else self._held.look()
        except OSError:  # `turn` will say why
            return 0

    @property
    def wants_write(self) -> bool:
        """Is there anything to send, or is it still connecting?"""
        return not self._connected or bool(self._waiting) or self._outgoing.pending > 0

    def turn(self) -> bytes:
        """Send and receive what can be now; what was received, decrypted."""
        if self.failed:
            return b""
        try:
            if not self._connected and not self._connect():
                return b""
            self._receive()
            if not self.open:
                self._shake_hands()
            data = self._decrypted() if self.open else b""
            self._send()
        except (OSError, ssl.SSLError) as error:
            self._fail(error)
            return b""
        return data

    def send(self) -> None:
        """Send what waits, as far as it can be now."""
        try:
            if self.open and not self.failed:
                self._send()
        except OSError as error:
            self._fail(error)

    def write(self, data: bytes) -> None:
        """Encrypt and send soon. Only while `open`."""
        self._tls.write(data)

    def close(self) -> None:
        """End it without a word."""
        self.failed = self.failed or "closed"
        self.socket.close()

    def _fail(self, error: OSError) -> None:
        self.failed = getattr(error, "reason", None) or error.strerror or str(error)

    def _connect(self) -> bool:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        try:
            self.socket.getpeername()
        except OSError:
            return False  # still under way
        self._connected = True
        return True

    def _receive(self) -> None:
        try:
            data = self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            raise OSError(0, "the hub closed the connection")
        self.received_bytes += len(data)
        self._held.received(len(data))
        self._incoming.write(data)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        certificate = x509.load_der_x509_certificate(self._tls.getpeercert(binary_form=True) or b"")
        key = certificate.public_key().public_bytes(serialization.Encoding.OpenSSH,
                                                    serialization.PublicFormat.OpenSSH)
        if base64.b64decode(key.split()[1]) != self._pinned:
            self.stranger = True
            raise OSError(0, "the hub's key is another one")
        if self._tls.selected_alpn_protocol() != "h2":
            raise OSError(0, "it does not speak HTTP/2")
        self.open = True

    def _decrypted(self) -> bytes:
        parts = []
        while True:
            try:
                part = self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            if not part:
                raise OSError(0, "the hub closed the connection")
            parts.append(part)
        return b"".join(parts)

    def _send(self) -> None:
        self._waiting += self._outgoing.read()
        while self._waiting:
            try:
                sent = self.socket.send(self._waiting)
            except (BlockingIOError, InterruptedError):
                return
            self.sent_bytes += sent
            self._waiting = self._waiting[sent:]


def _pem_key(private: str) -> str:
    """The site's key as OpenSSL reads it (PKCS8)."""
    data = private.encode()
    load = (serialization.load_ssh_private_key if b"BEGIN OPENSSH" in data
            else serialization.load_pem_private_key)
    key = load(data, password=None)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()
