"""Folder → package version: the only writer of the tables `package` and `extract`.

Order, so that a stop at any instant leaves the version before as it was:
1. look at the folder (`folder.look_at`), and unpack what comes packed (`unpack`);
2. copy each file into a batch of the store, which nobody sees yet, hashing it on the way;
3. look into the new files (`extract`), which adds texts and thumbnails to the batch;
4. look at the folder again: it must be as at first, else `file-changed`;
5. make the batch durable and visible, the manifest with it;
6. one transaction tells of the new version;
7. what HTTPS sends smaller is made of it (`packs`), as far as the disk takes it;
8. the feeds of the sites that have the package assigned are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sync.canonical import canonical, sha256_hex
from sync.clock import iso
from sync.database import transaction
from sync.errors import Refused, TeachpointError
from sync.hub import packs
from sync.hub.damage import mend_published
from sync.hub.describe import PACKAGE_TOML, Described, describe
from sync.hub.extract import Extractor
from sync.hub.feed import write_feed
from sync.hub.folder import Content, Lesson, lessons, look_at
from sync.hub.resources import make_resources
from sync.hub.reviews import note_published, tell_senders
from sync.hub.settings import Hub
from sync.hub.unpack import unpack
from sync.logs import log
from sync.manifest import FORMAT, MOST_MANIFEST_BYTES, File, Manifest, dump, parse
from sync.store import Batch
from sync.transport import silent


@dataclass(frozen=True)
class Published:
    """What a publish did. `bytes` are those of all objects of the version, each counted once,
    `new_bytes` those that the library did not have; `changed`: is there a new version?"""

    id: str
    version: int
    manifest: str
    resources: int
    bytes: int
    new_bytes: int
    changed: bool
    name: str = ""
    source: str = ""
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The facts as `hub publish --json` prints them."""
        return asdict(self)


def publish(hub: Hub, path: Path, *, id: str | None = None, fields: Mapping[str, str] | None = None,
            progress: Callable[[int], None] = silent) -> Published:
    """Publish what lies at `path`, a folder or a file, as one package.

    `id` and `fields` go before what the names say (docs/publishing.md). `progress` gets the bytes
    read so far. Raises what `publish_lesson` raises.
    """
    return publish_lesson(hub, Lesson(path.absolute()), id=id, fields=fields, progress=progress)


def publish_tree(hub: Hub, path: Path, *, id: str | None = None, fields: Mapping[str, str] | None = None,
                 progress: Callable[[int], None] = silent) -> Iterator[Published | TeachpointError]:
    """Publish each lesson that lies at or below `path`, one after another; with `id` the path is one
    package. A lesson that is refused is yielded as its error, and the others go on; so is what
    happens to the whole (the path is not there).
    """
    try:
        found = [Lesson(path.absolute())] if id else lessons(path.absolute())
    except TeachpointError as error:
        yield error
        return
    for lesson in found:
        try:
            yield publish_lesson(hub, lesson, id=id, fields=fields, progress=progress)
        except TeachpointError as error:
            error.facts.setdefault("path", lesson.path)
            yield error


def publish_lesson(hub: Hub, lesson: Lesson, *, id: str | None = None,
                   fields: Mapping[str, str] | None = None,
                   progress: Callable[[int], None] = silent) -> Published:
    """Publish one lesson: a new version, or none where its bytes and fields are those of the newest.

    Raises Refused: `file-vanished`, `file-unreadable`, `file-changed`, `file-name-bad`, `link-outside`,
    `too-many-files`, `nothing-to-publish`, `package-toml-bad`, `package-id-bad`, `package-clash`,
    `manifest-bad`; Misused: `field-unknown`, `field-bad`, `id-conflict`; NoRoom `disk-full`. Nothing
    is published then and the library is as it was.
    """
    content = look_at(lesson)
    described = _describe(lesson, content, id, fields)
    with hub.store.batch() as batch, batch.scratch() as folder:
        unpacked = unpack(content, folder)
        files = _take_in(unpacked, batch, progress)
        package = _identity(hub, described, lesson, files)
        extractor = Extractor(hub.database, batch)
        resources, noted = make_resources(package, described, unpacked, files, batch, extractor)
        _hold_still(lesson, content)
        draft = Manifest(format=FORMAT, id=package, version=1, resources=resources,
                         position=described.position, **described.fields)
        warnings = [*unpacked.warnings, *described.warnings, *noted]
        result = _commit(hub, draft, batch, extractor, lesson.path, warnings)
    mend_published(hub, result.id)  # what was damaged may have come back with these bytes
    packs.make(hub, result.manifest)
    tell_senders(hub, draft.objects())
    _tell_sites(hub, result.id, warnings)  # unchanged, too: the publish before may have been cut off here
    log("hub.publish").info("published" if result.changed else "unchanged", id=result.id,
                            version=result.version, new_bytes=result.new_bytes, warnings=len(warnings))
    return result


def _describe(lesson: Lesson, content: Content, id: str | None,
              fields: Mapping[str, str] | None) -> Described:
    path = lesson.path
    single = not path.is_dir()
    leaf, ending = (path.stem, path.suffix) if single else (path.name, "")
    try:
        return describe(path.parent.parts[1:], leaf, ending=ending, given=lesson.given, toml=content.toml,
                        id=id, fields=fields)
    except Refused as error:
        error.facts.setdefault("path", path)
        raise


def _take_in(content: Content, batch: Batch, progress: Callable[[int], None]) -> dict[str, File]:
    """Stage the bytes of all files; path → what the manifest says of it."""
    files: dict[str, File] = {}
    done = 0
    for entry in content.entries:
        added = batch.add_file(Path(entry.source), entry.state)
        files[entry.path] = File(path=entry.path, sha256=added.sha256, size=added.size)
        done += added.size
        progress(done)
    return files


def _hold_still(lesson: Lesson, content: Content) -> None:
    """Raises Refused `file-changed` if the folder is not as it was at first."""
    try:
        after = look_at(lesson)
    except Refused as error:
        raise Refused("file-changed", path=error.facts.get("path", lesson.path)) from error
    if after.toml != content.toml:
        raise Refused("file-changed", path=lesson.path / PACKAGE_TOML)
    before, now = dict(content.seen()), dict(after.seen())
    if before != now:
        changed = min(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        raise Refused("file-changed", path=lesson.path / changed)


def _identity(hub: Hub, described: Described, lesson: Lesson, files: Mapping[str, File]) -> str:
    """The package's id. One that was given is taken as it is; a derived one gives way to the id under
    which the same folder was published before (as part of a book, or with --id).

    Raises Refused `package-clash` where another folder of the same name, which is still there and
    has nothing in common with this one, was published under the derived id.
    """
    if not described.id_derived:
        return described.id
    source = str(lesson.path)
    newest = _newest(hub, described.id)
    if newest is None:
        rows = hub.database.execute("SELECT id FROM package WHERE source = ? ORDER BY published DESC LIMIT 1",
                                    (_text(source),)).fetchall()
        return str(rows[0][0]) if rows else described.id
    other = Path(newest.source)
    if newest.source != _text(source) and other.exists() and not other.samefile(lesson.path):
        old = parse(hub.store.read(newest.manifest, MOST_MANIFEST_BYTES))
        theirs = {file.path for resource in old.resources for file in resource.files}
        if theirs.isdisjoint(files) and {f.sha256 for f in files.values()}.isdisjoint(old.objects()):
            raise Refused("package-clash", path=source, id=described.id, other=newest.source)
    return described.id


def _tell_sites(hub: Hub, package: str, warnings: list[str]) -> None:
    """Write the feeds of the sites that have the package. The version stands whatever happens here,
    and the next write of a feed tells of it: so a failure is a warning.
    """
    for (site,) in hub.database.execute("SELECT site FROM assignment WHERE package = ? ORDER BY site",
                                        (package,)).fetchall():
        try:
            write_feed(hub, site)
        except TeachpointError as error:
            warnings.append(f"the site {site} is told later: {error}")


@dataclass(frozen=True)
class _Version:
    """The newest published version of a package."""

    version: int
    manifest: str
    source: str


def _newest(hub: Hub, package: str) -> _Version | None:
    rows = hub.database.execute("SELECT version, manifest, source FROM package WHERE id = ?"
                                " ORDER BY version DESC LIMIT 1", (package,)).fetchall()
    return _Version(*rows[0]) if rows else None


def _commit(hub: Hub, draft: Manifest, batch: Batch, extractor: Extractor, source: Path,
            warnings: list[str]) -> Published:
    """Make the objects durable, then tell the database. Another publish of the same package may come
    between: then count on from its version."""
    new_bytes = 0
    while True:
        before = _newest(hub, draft.id)
        manifest, data = _next_version(draft, before)
        name = batch.add_bytes(data).sha256
        new_bytes += batch.commit()
        changed = before is None or name != before.manifest
        total = sum(manifest.objects().values())
        with transaction(hub.database):
            if _newest(hub, draft.id) != before:
                continue
            extractor.save()
            note_published(hub.database, manifest.objects(), hub.clock.now())
            if changed:
                hub.database.table("package").insert(
                    {"id": manifest.id, "version": manifest.version, "manifest": name,
                     "name": manifest.name, "resources": len(manifest.resources), "bytes": total,
                     "manifest_bytes": len(data), "source": _text(str(source)),
                     "published": hub.clock.now()})
            elif before and before.source != _text(str(source)):
                hub.database.execute("UPDATE package SET source = ? WHERE id = ? AND version = ?",
                                     (_text(str(source)), manifest.id, manifest.version))
        return Published(id=manifest.id, version=manifest.version, manifest=name,
                         resources=len(manifest.resources), bytes=total, new_bytes=new_bytes,
                         changed=changed, name=manifest.name, source=_text(str(source)),
                         warnings=warnings)


def _next_version(draft: Manifest, before: _Version | None) -> tuple[Manifest, bytes]:
    """The manifest to publish: the newest one again if it says the same, else one version later."""
    if before is None:
        return draft, dump(draft)
    same = msgspec.structs.replace(draft, version=before.version)
    data = canonical(msgspec.to_builtins(same))
    if sha256_hex(data) == before.manifest:
        return same, data
    following = msgspec.structs.replace(draft, version=before.version + 1)
    return following, dump(following)


def _text(path: str) -> str:
    """A path as text that a database and JSON can hold, also where it is not UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def list_packages(hub: Hub) -> list[dict[str, Any]]:
    """The newest version of each package, JSON-ready, by name."""
    rows = hub.database.execute(
        "SELECT p.id, p.version, p.name, p.resources, p.bytes, p.manifest, p.published, p.source"
        " FROM package p JOIN (SELECT id, max(version) AS version FROM package GROUP BY id) newest"
        " USING (id, version) ORDER BY p.name, p.id")
    names = [column[0] for column in rows.description]
    return [{**row, "published": iso(row["published"])} for row in (dict(zip(names, values, strict=True))
                                                                    for values in rows)]
