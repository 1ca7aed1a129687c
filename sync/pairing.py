"""The pairing file: all that a box must know to belong to a hub (CONTRACT, docs/format.md §7).

TOML, mode 0600, one per site; it holds the site's secrets. Nothing else makes a box trust a hub.
"""

from __future__ import annotations

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

Line = Annotated[str, Meta(max_length=1000, pattern=r"^[^\r\n]*$")]


class HubPart(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the hub: addresses are tried in order; `ssh_host_key` is `type base64`, pinned."""

    name: Line
    addresses: Annotated[list[Line], Meta(min_length=1, max_length=16)]
    ssh_port: Annotated[int, Meta(ge=1, le=65535)]
    ssh_host_key: Line
    ssh_user: Line = "teachpoint"


class TrustPart(msgspec.Struct, frozen=True, kw_only=True):
    """`root`: the TUF root metadata of this site's feed, JSON as text."""

    root: str


class KeyPart(msgspec.Struct, frozen=True, kw_only=True):
    """`private`: a private key as PEM text."""

    private: str


class SealPart(msgspec.Struct, frozen=True, kw_only=True):
    """`recipient`: the hub's age recipient (`age1…`) that segments are encrypted to."""

    recipient: Line


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
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
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
    plain: dict[str, Any] = msgspec.to_builtins(pairing)
    write_file(path, tomli_w.dumps(plain, multiline_strings=True).encode(), mode=0o600)
