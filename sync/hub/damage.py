"""What of the library is damaged or missing: known until it is back, and mended where its source still is.

An object whose bytes are wrong is in quarantine (`sync.store`), so nobody is sent it. It is brought back from
the folder its package was published from, if that still holds the same bytes, or by publishing again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sync.database import transaction
from sync.errors import Refused
from sync.hub.extract import Extractor, Look, kind_of
from sync.hub.settings import Hub
from sync.logs import log
from sync.manifest import MOST_MANIFEST_BYTES, Manifest, Resource, parse
from sync.store import hash_file


def note_damage(hub: Hub, names: Iterable[str] = ()) -> int:
    """Keep in mind that these objects, and those in quarantine, are not in the library; how many were not
    known yet."""
    with transaction(hub.database):
        return sum(hub.database.execute("INSERT OR IGNORE INTO damage VALUES (?, ?)",
                                        [name, hub.clock.now()]).rowcount
                   for name in {*names, *hub.store.quarantined()} if not hub.store.has(name))


def mend(hub: Hub) -> list[str]:
    """Bring back what is known to be lacking from where it was published; which objects that were.

    What is back, or what no newest version and no upload needs, is forgotten; the rest is the hub's problem
    `library-damaged`. Raises NoRoom `disk-full`, Broken; what was brought back until then stays.
    """
    known = {name for (name,) in hub.database.execute("SELECT sha256 FROM damage")}
    lacking = {name for name in known if not hub.store.has(name)}
    healed: list[str] = []
    hurt: dict[str, set[str]] = {}
    for package, manifest, source in newest_versions(hub) if lacking else ():
        lacks = _lacks(hub, manifest, lacking)
        if lacks and manifest not in lacks:
            read = parse(hub.store.read(manifest, MOST_MANIFEST_BYTES))
            healed += [name for name in _bring(hub, read, Path(source), lacks) if name in lacks]
        lacks -= set(healed)
        if lacks:
            hurt[package] = lacks
    hurt |= {f"{site}: {name}": {sha256} for sha256 in lacking - set(healed) for site, name in
             hub.database.execute("SELECT site, name FROM upload WHERE sha256 = ? AND received IS NOT NULL",
                                  [sha256])}
    _tell(hub, known, hurt)
    if healed:
        log("hub.damage").info("mended", objects=len(healed))
    return healed


def mend_published(hub: Hub, package: str) -> None:
    """A package was published: mend, if that can have brought anything back. A tree of thousands of lessons
    is published without reading the manifests of all others each time. Raises as `mend`."""
    known = [name for (name,) in hub.database.execute("SELECT sha256 FROM damage")]
    told = hub.database.execute("SELECT json_extract(facts, '$.packages') FROM problem "
                                "WHERE site = '' AND code = 'library-damaged'").fetchone()
    if any(hub.store.has(name) for name in known) or (told and package in told[0].split(", ")):
        mend(hub)


def newest_versions(hub: Hub) -> list[tuple[str, str, str]]:
    """(id, manifest, source) of the newest version of each package: what boxes may be sent."""
    return hub.database.execute(
        "SELECT p.id, p.manifest, p.source FROM package p JOIN (SELECT id, max(version) AS version "
        "FROM package GROUP BY id) USING (id, version) ORDER BY p.id").fetchall()


def _lacks(hub: Hub, manifest: str, lacking: set[str]) -> set[str]:
    """What of `lacking` a version needs; its manifest alone where that cannot be read."""
    try:
        read = parse(hub.store.read(manifest, MOST_MANIFEST_BYTES))
    except Refused:
        note_damage(hub, [manifest])
        return {manifest}
    return lacking & read.objects().keys()


def _bring(hub: Hub, manifest: Manifest, source: Path, lacks: set[str]) -> list[str]:
    """Files first: what was made of a file can be made again only from its bytes."""
    brought = []
    for resource in manifest.resources:
        for file in resource.files:
            if file.sha256 in lacks and not hub.store.has(file.sha256):
                original = source / file.path if source.is_dir() else source
                if _same(original, file.sha256) and hub.store.add_file(original.resolve()).new:
                    brought.append(file.sha256)
        blobs = (resource.text, resource.thumbnail, resource.rendition)
        made = {blob.sha256 for blob in blobs if blob} & lacks
        if any(not hub.store.has(name) for name in made) and not resource.bundle:
            brought += _make_again(hub, resource, made)
    return brought


def _make_again(hub: Hub, resource: Resource, made: set[str]) -> list[str]:
    """A text or a small picture from the file it was made of; nothing where that gives other bytes now."""
    [file] = resource.files
    if not hub.store.has(file.sha256) or not kind_of(file.path):
        return []
    with hub.store.batch() as batch:
        Extractor(hub.database, batch).look([Look(file.sha256, file.path)])
        if not batch.staged.keys() <= made:
            return []
        again = list(batch.staged)
        batch.commit()
    return again


def _same(file: Path, sha256: str) -> bool:
    try:
        return file.is_file() and hash_file(file) == sha256
    except (OSError, Refused):
        return False


def _tell(hub: Hub, known: set[str], hurt: dict[str, set[str]]) -> None:
    """Forget what hurts nobody (any more), and keep the rest as a problem."""
    needed = set[str]().union(*hurt.values())
    for name in known - needed:
        if not hub.store.has(name):
            hub.store.forget_quarantined(name)  # else it would be found and looked for again and again
    with transaction(hub.database):
        for name in known - needed:
            hub.database.execute("DELETE FROM damage WHERE sha256 = ?", [name])
        if not hurt:
            hub.database.execute("DELETE FROM problem WHERE site = '' AND code = 'library-damaged'")
            return
        facts = json.dumps({"packages": ", ".join(sorted(hurt)), "objects": len(needed)}, ensure_ascii=False)
        hub.database.execute(
            "INSERT INTO problem VALUES ('', 'library-damaged', ?, ?) ON CONFLICT (site, code) "
            "DO UPDATE SET facts = excluded.facts WHERE facts != excluded.facts", [facts, hub.clock.now()])
