"""Which object of a version before is probably similar to which new one: the same path, or the same resource.
No I/O.

What is the same needs no partner: objects are named by their bytes, so what was renamed or moved to another
package is there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sync.manifest import Resource

#: Smaller objects come whole, in bytes: asking for the difference costs a run of its own.
LEAST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Piece:
    """An object of the version before. `path` is "" for the text of a resource; `alone`: its only file."""

    resource: str
    path: str
    sha256: str
    alone: bool


def alike(before: Iterable[Piece], now: Iterable[Resource]) -> dict[str, str]:
    """SHA-256 of a new object → of the one before that it takes the place of."""
    known = list(before)
    by_path = {piece.path: piece.sha256 for piece in known if piece.path}
    by_resource = {piece.resource: piece.sha256 for piece in known if piece.alone}
    texts = {piece.resource: piece.sha256 for piece in known if not piece.path}
    found: dict[str, str] = {}
    for resource in now:
        single = "" if resource.bundle else by_resource.get(resource.id, "")
        for file in resource.files:
            found[file.sha256] = by_path.get(file.path, single) if file.size >= LEAST_BYTES else ""
        if resource.text is not None and resource.text.size >= LEAST_BYTES:
            found[resource.text.sha256] = texts.get(resource.id, "")
    return {new: old for new, old in found.items() if old not in ("", new)}
