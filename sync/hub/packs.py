"""What HTTPS sends smaller: `packs/<manifest>` and `squeezed/ab/<sha256>` (docs/format.md §8.2, §8.3).

All of it is derived from the library, may be deleted at any time, and is made again: at publishing what boxes
will ask for first, by `hub serve` in the background what is lacking. A file that is there is whole; nobody
trusts it. Beside each pack `<manifest>.made` lists what was made for that version, so that
nothing is compressed twice only to find again that it does not pay.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import zstandard

from sync import pack
from sync.canonical import is_sha256
from sync.clock import SYSTEM
from sync.durable import (
    disk_errors,
    make_folder,
    make_folders,
    move_into_place,
    sweep_temporary,
    temporary_beside,
    write_file,
)
from sync.errors import TeachpointError
from sync.file_lock import HeldByAnother, exclusive
from sync.hub.settings import Hub, open_hub
from sync.layout import HubLayout
from sync.logs import log
from sync.manifest import MOST_MANIFEST_BYTES, Manifest, parse

#: Smaller objects are not worth a file of their own, in bytes.
LEAST_SQUEEZED_BYTES = 1024
#: Larger objects take half a minute to squeeze and much memory at a box, in bytes. A manifest may be larger.
MOST_SQUEEZED_BYTES = 16 * 1024 * 1024
#: Squeezed to more than this share of its size an object goes as it is.
WORTH = 0.9
#: How long to wait for another process that makes the same, in seconds; then it is left to `hub serve`.
LOCK_PATIENCE_S = 60.0
#: How often `hub serve` looks for new versions, and for what has been deleted or has failed, in seconds.
LOOK_S, LOOK_AGAIN_S = 60.0, 3600.0
#: Bytes given to the compressor at a time: between two it can be stopped.
_CHUNK_BYTES = 256 * 1024
_MADE = ".made"


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a version. `whole`: what is in the pack was squeezed one by one as well."""

    pack: bool
    squeezed: list[str]
    whole: bool


class _Stopped(Exception):
    """It shall end now."""


def never() -> bool:
    """Nobody stops it."""
    return False


def make(hub: Hub, manifest: str, *, whole: bool = False, stopping: Callable[[], bool] = never) -> bool:
    """Make what is lacking of a version; True if it is there now. `whole`: also what a box asks for only
    after small changes. Never raises for a full or failing disk: boxes then get the objects as they are.
    """
    try:
        with _alone(hub.layout):
            made = _read(hub.layout, manifest)
            if made is None or (whole and not made.whole):
                _Making(hub, manifest, whole, stopping).run()
        return True
    except HeldByAnother:
        log("hub.packs").info("left-to-another", manifest=manifest)
    except _Stopped:
        pass
    except TeachpointError as error:
        log("hub.packs").warning("not-packed", manifest=manifest, code=error.code, reason=str(error))
    return False


def remove_superseded(hub: Hub) -> int:
    """Remove what belongs to no newest version, and unfinished writes; how many files.

    Raises HeldByAnother; Refused and Broken where the library or the disk fails.
    """
    layout, removed = hub.layout, 0
    with _alone(layout):
        manifests = newest(hub)
        needed = set(manifests)
        for name in manifests:
            made = _read(layout, name)
            needed.update(made.squeezed if made is not None else _manifest(hub, name).objects())
        for folder, kept in ((layout.packs, set(manifests)), (layout.squeezed, needed)):
            removed += sweep_temporary(folder) if folder.is_dir() else 0
            for path in [path for path in folder.rglob("*") if path.is_file()]:
                if path.name.removesuffix(_MADE) not in kept:
                    path.unlink(missing_ok=True)
                    removed += 1
    return removed


def newest(hub: Hub) -> list[str]:
    """The manifest of each package's newest version, the last published first."""
    rows = hub.database.execute(
        "SELECT manifest FROM package p WHERE version = (SELECT max(version) FROM package WHERE id = p.id) "
        "ORDER BY published DESC")
    return [manifest for (manifest,) in rows]


class PackKeeper:
    """Makes what is lacking and removes what is superseded while `hub serve` runs."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._ending = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run for the block."""
        thread = threading.Thread(target=self._run, name="packs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join(10)

    def _run(self) -> None:
        hub = open_hub(self._data)
        seen: set[str] = set()
        began = SYSTEM.monotonic()
        while not self._ending.is_set():
            try:
                if SYSTEM.monotonic() - began > LOOK_AGAIN_S:
                    seen, began = set(), SYSTEM.monotonic()
                if set(newest(hub)) != seen:
                    seen = self._bring_up_to_date(hub, seen)
            except HeldByAnother:
                pass  # the next look
            except TeachpointError as error:
                log("hub.packs").error("packs-failed", code=error.code, reason=str(error))
            except Exception as error:  # the hub goes on whatever one package holds
                log("hub.packs").error("packs-broke", exc_info=error)
            self._ending.wait(LOOK_S)

    def _bring_up_to_date(self, hub: Hub, seen: set[str]) -> set[str]:
        """One round; the versions seen. What fails is tried again after LOOK_AGAIN_S only: it costs much."""
        now = newest(hub)
        for manifest in now:
            if manifest not in seen and not self._ending.is_set():
                make(hub, manifest, whole=True, stopping=self._ending.is_set)
        if not self._ending.is_set():
            remove_superseded(hub)
        return set(now)


class _Making:
    """The making of one version, under the lock."""

    def __init__(self, hub: Hub, manifest: str, whole: bool, stopping: Callable[[], bool]) -> None:
        self._hub, self._name, self._whole, self._stopping = hub, manifest, whole, stopping
        self._compressor = zstandard.ZstdCompressor(level=pack.LEVEL)
        self._squeezed: list[str] = []
        self._moves: list[tuple[Path, Path]] = []

    def run(self) -> None:
        layout = self._hub.layout
        make_folders((layout.packs, layout.squeezed))
        sweep_temporary(layout.packs)  # nobody else writes there now
        manifest = _manifest(self._hub, self._name)
        members = pack.members(manifest)
        folder = temporary_beside(layout.packs / self._name)
        try:
            with disk_errors(folder):
                folder.mkdir()
            if members:
                self._pack(manifest, members, folder)
            for name, most in self._to_squeeze(manifest, members):
                self._squeeze(name, most, folder)
            move_into_place(self._moves)
            made = _Made(pack=bool(members), squeezed=self._squeezed, whole=self._whole or not members)
            write_file(layout.packs / f"{self._name}{_MADE}", msgspec.json.encode(made))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        log("hub.packs").info("packed", manifest=self._name, members=len(members),
                              squeezed=len(self._squeezed))

    def _pack(self, manifest: Manifest, members: Mapping[str, int], folder: Path) -> None:
        target = self._hub.layout.packs / self._name
        if target.is_file():
            return
        staged = folder / self._name
        with disk_errors(staged), staged.open("wb") as into:
            pack.write(into, manifest.objects(), members,
                       lambda name: self._read(name, pack.MOST_MEMBER_BYTES))
        self._moves.append((staged, target))

    def _to_squeeze(self, manifest: Manifest, members: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        """(name, most bytes) of what may be worth it."""
        yield self._name, MOST_MANIFEST_BYTES
        pays = {sha256 for resource in manifest.resources for sha256 in pack.loose(resource)}
        for sha256, size in manifest.objects().items():
            if (sha256 in pays and LEAST_SQUEEZED_BYTES <= size <= MOST_SQUEEZED_BYTES
                    and (self._whole or sha256 not in members)):
                yield sha256, MOST_SQUEEZED_BYTES

    def _squeeze(self, name: str, most: int, folder: Path) -> None:
        target = self._hub.layout.squeezed / name[:2] / name
        if not target.is_file():
            data = self._read(name, most)
            squeezed = b"".join(self._compressed(data))
            if len(data) < LEAST_SQUEEZED_BYTES or len(squeezed) > len(data) * WORTH:
                return
            staged = folder / f"{name}.squeezed"
            with disk_errors(staged):
                staged.write_bytes(squeezed)
            self._moves.append((staged, target))
        self._squeezed.append(name)

    def _compressed(self, data: bytes) -> Iterator[bytes]:
        frame = self._compressor.compressobj(size=len(data))
        for at in range(0, len(data), _CHUNK_BYTES):
            yield frame.compress(data[at:at + _CHUNK_BYTES])
            self._hold()
        yield frame.flush()

    def _read(self, name: str, most: int) -> bytes:
        self._hold()
        return self._hub.store.read(name, most)

    def _hold(self) -> None:
        if self._stopping():
            raise _Stopped


@contextmanager
def _alone(layout: HubLayout) -> Iterator[None]:
    make_folder(layout.run, 0o700)
    with exclusive(layout.run / "packs.lock", LOCK_PATIENCE_S):
        yield


def _manifest(hub: Hub, name: str) -> Manifest:
    return parse(hub.store.read(name, MOST_MANIFEST_BYTES))


def _read(layout: HubLayout, manifest: str) -> _Made | None:
    """What was made of a version, if all of it is there still."""
    try:
        made = msgspec.json.decode((layout.packs / f"{manifest}{_MADE}").read_bytes(), type=_Made)
    except (OSError, msgspec.MsgspecError):
        return None
    there = (not made.pack or (layout.packs / manifest).is_file()) and all(
        is_sha256(name) and (layout.squeezed / name[:2] / name).is_file() for name in made.squeezed)
    return made if there else None
