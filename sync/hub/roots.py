"""The root of each site's feed: who may sign it (docs/format.md §4). Kept in `keys/sites/<site>/`.

The files `N.root.json` there are the truth; the feed carries copies. A root is written once and
never edited; a new key or a root near its end makes version N + 1, signed by the hub's root key.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from sync.canonical import canonical
from sync.clock import utc
from sync.durable import make_folder, write_file
from sync.errors import Broken
from sync.hub import keys
from sync.layout import HubLayout
from sync.trust import SITE_FIELD

#: How long a root is good: longer than any box lives, because renewing it needs the root key.
ROOT_LIFE_S = 20 * 365 * 86400

_ROOT_FILE = re.compile(r"([1-9][0-9]{0,8})\.root\.json")


def roots(layout: HubLayout, site: str) -> dict[int, bytes]:
    """All roots of the site's feed by version, in order."""
    folder = keys.site_keys(layout, site)
    found: dict[int, Path] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _ROOT_FILE.fullmatch(path.name)
        if match:
            found[int(match.group(1))] = path
    return {version: found[version].read_bytes() for version in sorted(found)}


def ensure_root(layout: HubLayout, site: str, time: int) -> bytes:
    """The newest root of the site's feed; a new version is made where that is needed: there is none
    yet, it does not name the site's feed key, or half of its life has passed at the hub time `time`.

    The feed key must be there. An ageing root stays in use as it is while the root key is offline.

    Raises Broken `key-missing` (feed key; root key where it is needed; a damaged root), NoRoom `disk-full`.
    """
    feed_signer = keys.signer(keys.feed_key(layout, site))
    existing = roots(layout, site)
    newest = max(existing, default=0)
    if newest:
        root = _read(existing[newest], keys.site_keys(layout, site) / f"{newest}.root.json")
        named = all(root.roles[role].keyids == [feed_signer.public_key.keyid]
                    for role in (Targets.type, Snapshot.type, Timestamp.type))
        if named and not (ageing(root, time) and keys.root_key(layout).is_file()):
            return existing[newest]
    data = _sign_root(keys.signer(keys.root_key(layout)), feed_signer, site, newest + 1, time)
    make_folder(keys.site_keys(layout, site), 0o700)
    write_file(keys.site_keys(layout, site) / f"{newest + 1}.root.json", data, mode=0o600)
    return data


def ageing(root: Root, time: int) -> bool:
    """Has half of the root's life passed at the hub time `time`?"""
    return utc(time) >= root.expires - timedelta(seconds=ROOT_LIFE_S / 2)


def _read(data: bytes, path: Path) -> Root:
    try:
        signed = Metadata[Root].from_bytes(data).signed
    except DeserializationError as error:
        raise Broken("key-missing", path=path, reason="it is damaged") from error
    if not isinstance(signed, Root):
        raise Broken("key-missing", path=path, reason="it is no root")
    return signed


def _sign_root(root_signer: CryptoSigner, feed_signer: CryptoSigner, site: str, version: int,
               time: int) -> bytes:
    root = Root(version=version, expires=utc(time + ROOT_LIFE_S), consistent_snapshot=True,
                unrecognized_fields={SITE_FIELD: site})
    root.add_key(root_signer.public_key, Root.type)
    for role in (Targets.type, Snapshot.type, Timestamp.type):
        root.add_key(feed_signer.public_key, role)
    metadata = Metadata(root)
    metadata.sign(root_signer)
    return canonical(metadata.to_dict())
