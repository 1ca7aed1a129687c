"""The targets of a feed: what a site shall have, and what the hub has of its journal. No I/O.

Written down in docs/format.md §5. Both are canonical JSON, signed through the feed's TUF metadata.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sync.canonical import canonical, is_sha256
from sync.errors import Refused
from sync.layout import PACKAGE_ID
from sync.manifest import MOST_MANIFEST_BYTES

DESIRED_FORMAT = "teachpoint-desired/1"
ACKS_FORMAT = "teachpoint-acks/1"
DESIRED_NAME = "desired.json"
ACKS_NAME = "acks.json"

#: Largest `desired.json`, in bytes: 10,000 packages at about 300 bytes each.
MOST_DESIRED_BYTES = 4 * 1024 * 1024
#: Most packages assigned to one site.
MOST_PACKAGES = 10_000
#: Largest `acks.json`, in bytes: MOST_BOXES at about 130 bytes and MOST_WANTED at 67.
MOST_ACKS_BYTES = 1024 * 1024
#: Most boxes one site ever had: one a week for 20 years.
MOST_BOXES = 1000
#: Most missing uploads: all must be named, because a box deletes what is acknowledged and not named.
#: So the hub takes in no segment that would make them more (docs/format.md §6.5).
MOST_WANTED = 10_000

#: Most files of teachers of whose fate a feed tells, and most characters of the words to one: about 8 KB.
MOST_TOLD, MOST_TOLD_NOTE = 50, 100

#: A box's id: 16 hexadecimal digits, random, made by `box init`.
BOX_ID = re.compile(r"[0-9a-f]{16}")

Hash = Annotated[str, Meta(min_length=64, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """One package the site shall have. `size` is its manifest's, `bytes` that of all its objects; `now`: to
    be fetched whatever the policy says (§5.3)."""

    id: str
    version: Annotated[int, Meta(ge=1, le=2**31)]
    manifest: Hash
    size: Annotated[int, Meta(ge=1, le=MOST_MANIFEST_BYTES)]
    bytes: Count
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    now: bool | msgspec.UnsetType = msgspec.UNSET


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """The desired state of one site. `time` is when the hub said so (its clock, seconds since 1970)."""

    format: str
    site: str
    time: Count
    packages: Annotated[list[Assigned], Meta(max_length=MOST_PACKAGES)]
    policy: dict[str, Any] = {}
    timetable: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub has of one box's journal: all up to this segment, its hash, its last record."""

    segment: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    chain: Hash
    seq: Count


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an uploaded file: `reviewed`, `declined`, `spread`, or what later hubs say."""

    sha256: Hash
    state: Annotated[str, Meta(max_length=32)]
    note: Annotated[str, Meta(max_length=MOST_TOLD_NOTE)] = ""


class Acks(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledgements by box id, the uploaded objects that records tell of but that are not there yet, and
    what became of the newest that are."""

    format: str
    site: str
    boxes: Annotated[dict[str, Ack], Meta(max_length=MOST_BOXES)]
    wanted: Annotated[list[Hash], Meta(max_length=MOST_WANTED)] = []
    told: Annotated[list[Told], Meta(max_length=MOST_TOLD)] | msgspec.UnsetType = msgspec.UNSET


def parse_desired(data: bytes, site: str) -> Desired:
    """Read `desired.json` of `site`. Raises Refused `desired-bad`."""
    if len(data) > MOST_DESIRED_BYTES:
        raise Refused("desired-bad", reason=f"larger than {MOST_DESIRED_BYTES} bytes")
    desired: Desired = _decode(data, Desired, "desired-bad")
    if desired.format != DESIRED_FORMAT:
        raise Refused("desired-bad", reason=f"unknown format {desired.format!r}")
    if desired.site != site:
        raise Refused("desired-bad", reason=f"it is for the site {desired.site!r}, not {site!r}")
    ids = [package.id for package in desired.packages]
    if len(set(ids)) != len(ids):
        raise Refused("desired-bad", reason="a package is there twice")
    for package in desired.packages:
        if not PACKAGE_ID.fullmatch(package.id) or not is_sha256(package.manifest):
            raise Refused("desired-bad", reason=f"malformed package {package.id!r}")
    return desired


def parse_acks(data: bytes, site: str) -> Acks:
    """Read `acks.json` of `site`. Raises Refused `acks-bad`."""
    if len(data) > MOST_ACKS_BYTES:
        raise Refused("acks-bad", reason=f"larger than {MOST_ACKS_BYTES} bytes")
    acks: Acks = _decode(data, Acks, "acks-bad")
    if acks.format != ACKS_FORMAT or acks.site != site:
        raise Refused("acks-bad", reason="unknown format, or for another site")
    if not all(is_sha256(name) for name in acks.wanted):
        raise Refused("acks-bad", reason="a wanted object is not named by a SHA-256")
    if acks.told and not all(is_sha256(one.sha256) for one in acks.told):
        raise Refused("acks-bad", reason="a file that is told of is not named by a SHA-256")
    for box, ack in acks.boxes.items():
        if not BOX_ID.fullmatch(box) or not is_sha256(ack.chain):
            raise Refused("acks-bad", reason=f"malformed acknowledgement of the box {box!r}")
    return acks


def dump(message: Desired | Acks) -> bytes:
    """Canonical bytes."""
    return canonical(msgspec.to_builtins(message))


def _decode(data: bytes, kind: Any, code: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError) as error:
        raise Refused(code, reason=str(error)) from error
