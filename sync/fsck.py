"""Re-reading a whole library: what is rotten is put into quarantine, and who is hurt by it is told.

Shared by `hub fsck` and `box fsck`. What to do about it is the role's: the hub publishes again, a box
fetches again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sync.errors import Refused
from sync.manifest import MOST_MANIFEST_BYTES, parse
from sync.store import Store
from sync.transport import silent


@dataclass(frozen=True)
class Version:
    """A package version that a database tells of."""

    id: str
    version: int
    manifest: str


@dataclass(frozen=True)
class Hurt:
    """A version that is not whole, and the objects it lacks now. `unreadable`: its manifest is one of
    them, so that its other objects are not known."""

    id: str
    version: int
    lacks: list[str]
    unreadable: bool = False


@dataclass
class Checked:
    """What a check found. `damaged` objects are in quarantine now; `missing` ones were not there."""

    objects: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    hurt: list[Hurt] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Is nothing damaged, and does no version lack anything?"""
        return not (self.damaged or self.missing)

    def as_json(self) -> dict[str, Any]:
        """The facts as `fsck --json` prints them."""
        return {"ok": self.whole, **asdict(self)}


def check_library(store: Store, versions: Iterable[Version],
                  progress: Callable[[int], None] = silent) -> Checked:
    """Read every object again, quarantine those whose bytes are wrong or cannot be read, and find the
    versions that are hurt. Objects that no version names are read too. `progress` gets the bytes read.

    Raises Broken `disk-failing` if even setting aside fails.
    """
    checked = Checked()
    for name in store.names():
        size = store.size(name)
        if size is None:
            continue
        checked.objects += 1
        checked.bytes += size
        try:
            if not store.check(name):
                checked.damaged.append(name)
        except Refused as error:
            if error.code != "object-missing":  # removed meanwhile, which is no damage
                raise
        progress(checked.bytes)
    missing: set[str] = set()
    for version in versions:
        _hurt(store, version, checked, missing)
    checked.missing = sorted(missing - set(checked.damaged))
    return checked


def advice(checked: Checked, what: str) -> Sequence[str]:
    """What was found, a line each, for people; `what` says how the role mends it."""
    lines = [f"Read {checked.objects} objects, {checked.bytes} bytes."]
    lines += [f"Damaged, put into quarantine: {name}" for name in checked.damaged]
    lines += [f"Missing: {name}" for name in checked.missing]
    lines += [f"Not whole: {hurt.id} version {hurt.version}, lacks {len(hurt.lacks)} objects"
              for hurt in checked.hurt]
    lines.append("All is whole." if checked.whole else what)
    return lines


def _hurt(store: Store, version: Version, checked: Checked, missing: set[str]) -> None:
    try:
        manifest = parse(store.read(version.manifest, MOST_MANIFEST_BYTES))
    except Refused as error:
        if error.code == "object-damaged" and version.manifest not in checked.damaged:
            checked.damaged.append(version.manifest)
        missing.add(version.manifest)
        checked.hurt.append(Hurt(version.id, version.version, [version.manifest], unreadable=True))
        return
    lacks = sorted(name for name in manifest.objects() if not store.has(name))
    if lacks:
        missing.update(lacks)
        checked.hurt.append(Hurt(version.id, version.version, lacks))
