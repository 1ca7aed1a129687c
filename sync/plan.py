"""What to fetch next, in which order, in which portions. No I/O.

A unit is what becomes visible at once: a resource of a package that is new here, or a whole version
where an update waits until all of it is there. Units are fetched one after another: by priority, by
when the timetable needs them, by how little they still lack. An object that several units need is
fetched once, with the first of them.

A transfer of one batch cannot be reordered (rsync sorts its list by name), so a batch is bounded in
bytes and count and never mixes priorities: between two batches, or by an exception raised in a
callback, something more urgent goes first, and what was staged of the batch stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sync.transport import Wanted

#: Most bytes still to move in a batch, unless one object alone is larger. A minute of a line of
#: 2 Mbit/s: so long may a resource that is whole wait to be told of; the cost of one more batch on
#: that line (two round trips of 0.6 s) is 2 % of it.
MOST_BATCH_BYTES = 16 * 1024 * 1024
#: Most objects in a batch: about 300 KB of names for rsync.
MOST_BATCH_OBJECTS = 4096
#: Priority of what is to come now, whatever the policy of the line says: above the 0 … 9 of people.
AT_ONCE = 10
#: `due` of what stands in no timetable: after all that does.
NOT_DUE = 2**62

#: Media types that are packed tightly as they are, though their family is not.
_PACKED = frozenset({
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    "application/epub+zip", "application/vnd.comicbook+zip",
})
#: Media types beside text, XML and JSON that a compressor makes at least a quarter smaller.
_LOOSE = frozenset({
    "application/json", "application/javascript", "application/ecmascript", "application/xml",
    "application/xml-dtd", "application/x-subrip", "application/rtf", "application/wasm",
    "application/x-tar", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
    "application/vnd.ms-works", "application/x-wps-presentation", "application/x-wps-spreadsheet",
    "application/vnd.apple.mpegurl", "application/vnd.ms-fontobject", "application/x-shockwave-flash",
    "font/ttf", "font/otf", "image/bmp", "image/vnd.microsoft.icon", "audio/wav", "audio/midi",
})


@dataclass(frozen=True, slots=True)
class Unit:
    """What becomes visible at once, and the objects it lacks.

    package, resource   of what; `resource` is "" for a whole version
    priority            0 … 9, 9 first; AT_ONCE before all
    due                 when the timetable needs it, in seconds from some moment; NOT_DUE: nobody said
    """

    package: str
    resource: str
    priority: int
    lacks: tuple[Wanted, ...]
    due: int = NOT_DUE


@dataclass(frozen=True, slots=True)
class Room:
    """What may still be written: bytes, and files (inodes)."""

    bytes: int
    files: int = 2**62


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects for one call of the transport. `bytes` is what of them is still to be moved."""

    priority: int
    objects: tuple[Wanted, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`batches` in order; `left_out` are the units for which there is no room."""

    batches: tuple[Batch, ...]
    left_out: tuple[Unit, ...] = ()

    @property
    def bytes(self) -> int:
        """What is to be moved, all batches together."""
        return sum(batch.bytes for batch in self.batches)


def plan(units: Iterable[Unit], staged: Mapping[str, int], room: Room,
         without: Collection[str] = ()) -> Plan:
    """Order the units and portion their objects.

    `staged` says how many bytes of an object lie in staging already; `without` names objects not to
    ask for now (they failed too often). A unit for which there is no room is left out, and what
    comes after it is fetched if that fits; a unit that lacks an object of `without` still gets the
    others, so that it needs only that one later.
    """
    chosen: set[str] = set()
    left_out: list[Unit] = []
    taken: list[tuple[int, Wanted]] = []
    bytes_free, files_free = room.bytes, room.files
    for unit in sorted(units, key=lambda unit: _urgency(unit, staged)):
        new = {wanted.sha256: wanted for wanted in unit.lacks
               if wanted.sha256 not in chosen and wanted.sha256 not in without}
        cost = sum(_left(wanted, staged) for wanted in new.values())
        files = sum(name not in staged for name in new)
        if cost > bytes_free or files > files_free:
            left_out.append(unit)
            continue
        bytes_free -= cost
        files_free -= files
        chosen.update(new)
        taken += [(unit.priority, wanted)
                  for wanted in sorted(new.values(), key=lambda wanted: (wanted.size, wanted.sha256))]
    return Plan(tuple(_batches(taken, staged)), tuple(left_out))


def compressible(media_type: str) -> bool:
    """Does compressing bytes of this media type on the way pay?"""
    plain = media_type.split(";")[0].strip().lower()
    if plain in _PACKED:
        return False
    return plain.startswith("text/") or plain.endswith(("+xml", "+json")) or plain in _LOOSE


def bytes_left(units: Iterable[Unit], staged: Mapping[str, int]) -> int:
    """What all units together still lack, each object counted once, less what is staged."""
    lacking = {wanted.sha256: wanted for unit in units for wanted in unit.lacks}
    return sum(_left(wanted, staged) for wanted in lacking.values())


def lacking_room(unit: Unit, plan: Plan, staged: Mapping[str, int], room: Room) -> Room:
    """How much more room a unit that was left out needs, beside what the plan gives to others of its
    priority and above. At least one byte and one file: it was left out."""
    before = [batch for batch in plan.batches if batch.priority >= unit.priority]
    needed = sum(_left(wanted, staged) for wanted in unit.lacks) + sum(batch.bytes for batch in before)
    files = sum(wanted.sha256 not in staged for wanted in unit.lacks)
    files += sum(wanted.sha256 not in staged for batch in before for wanted in batch.objects)
    return Room(max(needed - room.bytes, 1), max(files - room.files, 1))


def _urgency(unit: Unit, staged: Mapping[str, int]) -> tuple[int, int, int, str, str]:
    left = sum(_left(wanted, staged) for wanted in unit.lacks)
    return -unit.priority, unit.due, left, unit.package, unit.resource


def _left(wanted: Wanted, staged: Mapping[str, int]) -> int:
    return max(wanted.size - staged.get(wanted.sha256, 0), 0)


@dataclass(slots=True)
class _Portion:
    priority: int = -1
    objects: list[Wanted] = field(default_factory=list)
    bytes: int = 0


def _batches(taken: Iterable[tuple[int, Wanted]], staged: Mapping[str, int]) -> Iterator[Batch]:
    portion = _Portion()
    for priority, wanted in taken:
        left = _left(wanted, staged)
        full = (priority != portion.priority or len(portion.objects) >= MOST_BATCH_OBJECTS
                or portion.bytes + left > MOST_BATCH_BYTES)
        if portion.objects and full:
            yield Batch(portion.priority, tuple(portion.objects), portion.bytes)
            portion = _Portion()
        portion.priority = priority
        portion.objects.append(wanted)
        portion.bytes += left
    if portion.objects:
        yield Batch(portion.priority, tuple(portion.objects), portion.bytes)
