"""The pairing file: all that a box must know to belong to a hub (CONTRACT, docs/format.md §7).

TOML, mode 0600, one per site; it holds the site's secrets. Nothing else makes a box trust a hub.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli_w
from msgspec import Meta

from sync.durable import write_file
from sync.errors import Refused
from sync.layout import SITE_NAME

#: Largest pairing file read, in bytes; a real one has about 4 KB.
MOST_PAIRING_BYTES = 64 * 1024

#: A host name or an IP address; it becomes an argument of ssh, so it can never look like an option.
ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:%_-]{0,254}")
#: The name of an account, as useradd takes it; it becomes an argument of ssh too.
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")

# `\Z`, not `$`: the latter lets a line end through at the end.
Line = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Address = Annotated[str, Meta(pattern=rf"^{ADDRESS.pattern}\Z")]
User = Annotated[str, Meta(pattern=rf"^{USER.pattern}\Z")]
#: `ssh-ed25519 AAAA…` without a comment: it becomes a line of known_hosts.
SshKey = Annotated[str, Meta(max_length=1000, pattern=r"^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}\Z")]
#: `age1…`, bech32.
Recipient = Annotated[str, Meta(max_length=100, pattern=r"^age1[a-z0-9]+\Z")]


class HubPart(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the hub: addresses are tried in order; `ssh_host_key` (`type base64`) is pinned.

    `https_port`: where the hub answers over HTTPS, with the same key; None: over SSH alone.
    """

    name: Line
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=16)]
    ssh_port: Annotated[int, Meta(ge=1, le=65535)]
    ssh_host_key: SshKey
    ssh_user: User = "teachpoint"
    https_port: Annotated[int, Meta(ge=1, le=65535)] | None = None


class TrustPart(msgspec.Struct, frozen=True, kw_only=True):
    """`root`: the TUF root metadata of this site's feed, JSON as text."""

    root: str


class KeyPart(msgspec.Struct, frozen=True, kw_only=True):
    """`private`: a private key as PEM text. `certificate`, beside the link's key only: what the hub made of
    it for HTTPS (`sync.certificates`), PEM; None: over SSH alone."""

    private: str
    certificate: str | None = None


class SealPart(msgspec.Struct, frozen=True, kw_only=True):
    """`recipient`: the hub's age recipient (`age1…`) that segments are encrypted to."""

    recipient: Recipient


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """A pairing file. `key` opens the SSH link; `journal` signs segments (Ed25519, PKCS8 PEM)."""

    site: str
    name: Line
    hub: HubPart
    trust: TrustPart
    key: KeyPart
    journal: KeyPart
    seal: SealPart


def parse(data: bytes) -> Pairing:
    """Read a pairing file's bytes. Raises Refused `pairing-bad` with the reason."""
    if len(data) > MOST_PAIRING_BYTES:
        raise Refused("pairing-bad", reason=f"larger than {MOST_PAIRING_BYTES} bytes")
    try:
        pairing = msgspec.convert(tomllib.loads(data.decode("utf-8")), type=Pairing)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, …
        raise Refused("pairing-bad", reason=str(error)) from error
    if not SITE_NAME.fullmatch(pairing.site):
        raise Refused("pairing-bad", reason=f"the site {pairing.site!r} is not a site name")
    return pairing


def read(path: Path) -> Pairing:
    """Read a pairing file. Raises Refused: `file-vanished`, `file-unreadable`, `pairing-bad`."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MOST_PAIRING_BYTES + 1)
    except FileNotFoundError:
        raise Refused("file-vanished", path=path) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    return parse(data)


def write(path: Path, pairing: Pairing) -> None:
    """Write a pairing file with mode 0600, durably."""
    plain: dict[str, Any] = _given(msgspec.to_builtins(pairing))
    write_file(path, tomli_w.dumps(plain, multiline_strings=True).encode(), mode=0o600)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is None: TOML has no word for it, and readers take absence for it."""
    return {name: _given(value) if isinstance(value, dict) else value
            for name, value in fields.items() if value is not None}
