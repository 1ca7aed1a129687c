"""The hub's key files below `keys/` (folder 0700, files 0600) and its SSH host key.

    keys/root.pem                the hub's TUF root key: names the feed key of every site. Needed to add,
                                 rekey or renew a site only; may be kept offline in between.
    keys/seal.txt                age identity that opens the journal segments of all sites
    keys/sites/<site>/feed.pem   the key that signs this site's feed (targets, snapshot, timestamp)
    ssh/host_ed25519[.pub]       host key of the hub's own sshd, pinned by every pairing file

Private keys of a site itself (SSH, journal) are made here, but exist in its pairing file only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner

from sync.durable import make_folder, write_file
from sync.errors import Broken
from sync.layout import HubLayout

#: Largest key file read, in bytes; real ones have under 1 KB.
MOST_KEY_BYTES = 16 * 1024


def make_hub_keys(layout: HubLayout) -> None:
    """Make the hub's own keys, each only where it is missing. Raises NoRoom `disk-full`."""
    make_folder(layout.keys, 0o700)
    make_folder(layout.ssh, 0o700)
    _make(root_key(layout), lambda: _pem(Ed25519PrivateKey.generate()))
    _make(seal_key(layout), _new_seal)
    _make(host_key(layout), lambda: _openssh(Ed25519PrivateKey.generate()).encode())
    write_file(layout.ssh / "host_ed25519.pub", f"{host_public(layout)}\n".encode())


def root_key(layout: HubLayout) -> Path:
    """The file of the hub's TUF root key."""
    return layout.keys / "root.pem"


def seal_key(layout: HubLayout) -> Path:
    """The file of the hub's age identity."""
    return layout.keys / "seal.txt"


def host_key(layout: HubLayout) -> Path:
    """The file of the sshd host key (OpenSSH format)."""
    return layout.ssh / "host_ed25519"


def site_keys(layout: HubLayout, site: str) -> Path:
    """The folder of what the hub keeps to sign one site's feed."""
    return layout.keys / "sites" / site


def feed_key(layout: HubLayout, site: str) -> Path:
    """The file of the key that signs this site's feed."""
    return site_keys(layout, site) / "feed.pem"


def previous_feed_key(layout: HubLayout, site: str) -> Path:
    """The file of the key before this one; it is there only while the feed still names both."""
    return site_keys(layout, site) / "feed-previous.pem"


def signer(path: Path) -> CryptoSigner:
    """The Ed25519 key in a PKCS8 PEM file, ready to sign. Raises Broken `key-missing`."""
    try:
        private = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise Broken("key-missing", path=path, reason="it is damaged") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise Broken("key-missing", path=path, reason="it is no Ed25519 key")
    return CryptoSigner(private)


def make_feed_key(layout: HubLayout, site: str) -> None:
    """Give the site a feed key where it has none."""
    make_folder(site_keys(layout, site), 0o700)
    _make(feed_key(layout, site), lambda: _pem(Ed25519PrivateKey.generate()))


def replace_feed_key(layout: HubLayout, site: str) -> None:
    """Give the site a new feed key; the old one is kept aside until the feed has changed over."""
    make_folder(site_keys(layout, site), 0o700)
    current, previous = feed_key(layout, site), previous_feed_key(layout, site)
    # A change-over that was cut off: the key the feed still names is the one already aside.
    if current.is_file() and not previous.is_file():
        write_file(previous, current.read_bytes(), mode=0o600)
    write_file(current, _pem(Ed25519PrivateKey.generate()), mode=0o600)


def forget_previous_feed_key(layout: HubLayout, site: str) -> None:
    """Drop the key before: the feed has changed over to the new one."""
    previous_feed_key(layout, site).unlink(missing_ok=True)


def seal_identity(layout: HubLayout) -> str:
    """The age identity (`AGE-SECRET-KEY-1…`) that opens segments. Raises Broken `key-missing`."""
    for line in _read(seal_key(layout)).decode("ascii", "replace").splitlines():
        if line.startswith("AGE-SECRET-KEY-1"):
            return line.strip()
    raise Broken("key-missing", path=seal_key(layout), reason="it is damaged")


def seal_recipient(layout: HubLayout) -> str:
    """The age recipient (`age1…`) that boxes seal segments to. Raises Broken `key-missing`."""
    try:
        return str(pyrage.x25519.Identity.from_str(seal_identity(layout)).to_public())
    except pyrage.IdentityError as error:
        raise Broken("key-missing", path=seal_key(layout), reason="it is damaged") from error


def host_public(layout: HubLayout) -> str:
    """The host key's public half: `ssh-ed25519 AAAA…`, no comment. Raises Broken `key-missing`."""
    return _ssh_line(host_private(layout).public_key())


def host_private(layout: HubLayout) -> Ed25519PrivateKey:
    """The host key, which also stands behind the certificates. Raises Broken `key-missing`."""
    path = host_key(layout)
    try:
        private = serialization.load_ssh_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise Broken("key-missing", path=path, reason="it is damaged") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise Broken("key-missing", path=path, reason="it is no Ed25519 key")
    return private


def new_ssh_pair() -> tuple[str, str]:
    """A fresh SSH key: (private as OpenSSH PEM, public as `ssh-ed25519 AAAA…`)."""
    private = Ed25519PrivateKey.generate()
    return _openssh(private), _ssh_line(private.public_key())


def new_journal_pair() -> tuple[str, str]:
    """A fresh key for segments: (private as PKCS8 PEM, public as SubjectPublicKeyInfo PEM)."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
    return _pem(private).decode(), public.decode()


def _make(path: Path, content: Callable[[], bytes]) -> None:
    if not path.is_file():
        write_file(path, content(), mode=0o600)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(MOST_KEY_BYTES)
    except OSError as error:
        raise Broken("key-missing", path=path, reason=error.strerror) from error


def _new_seal() -> bytes:
    identity = pyrage.x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n".encode()


def _pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption())


def _openssh(private: Ed25519PrivateKey) -> str:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
                                 serialization.NoEncryption()).decode()


def _ssh_line(public: Ed25519PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.OpenSSH,
                               serialization.PublicFormat.OpenSSH).decode()
