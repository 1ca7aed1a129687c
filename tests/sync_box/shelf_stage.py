"""A real hub and a real box joined by a directory, for tests of a sync; the link misbehaves on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sync import pairing as pairing_format
from sync.box.session import SyncReport, sync_once
from sync.box.state import Box, init_box, open_box
from sync.clock import ManualClock
from sync.directory import Directory
from sync.errors import Unreachable
from sync.hub.assign import assign, unassign
from sync.hub.ingest import ingest
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site
from sync.transport import Arrived, Moved, Progress, Wanted, silent, unheard

SITE = "s1"


@dataclass
class Link(Directory):
    """The directory with faults, and a note of what was asked of it."""

    root: Path
    site: str
    asked: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    cut_after: int | None = None
    flip: set[str] = field(default_factory=set)
    name: str = "directory"

    def __post_init__(self) -> None:
        super().__init__(self.root, self.site)

    def fetch_feed(self, into: Path) -> Moved:
        self.asked.append("feed")
        return super().fetch_feed(into)

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path, progress: Progress = silent,
                      arrived: Arrived = unheard) -> Moved:
        self.asked.append("objects")
        moved = Moved()
        for one in wanted:
            if self.cut_after is not None and len(self.objects) >= self.cut_after:
                raise Unreachable("link-broken", hub="h", reason="cut")
            self.objects.append(one.sha256)
            self.wanted.append(one)

            def come(name: str) -> None:
                if name in self.flip:
                    path = staging / name
                    data = bytearray(path.read_bytes())
                    data[0] ^= 1
                    path.write_bytes(data)
                arrived(name)
            moved += super().fetch_objects([one], staging, progress, come)
        return moved

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        self.asked.append("push")
        return super().push_outbox(outbox, paths, progress)


@dataclass
class Joined:
    """A hub, its box, and what lies between."""

    place: Path
    hub: Hub
    box: Box
    clock: ManualClock

    def link(self, **faults: object) -> Link:
        """A fresh link."""
        return Link(self.hub.layout.data, SITE, **faults)  # type: ignore[arg-type]

    def sync(self, link: Link | None = None) -> SyncReport:
        """One sync of a box that has just been opened, as a process would."""
        self.box = open_box(self.box.layout.data, self.clock)
        return sync_once(self.box, link or self.link())

    def lesson(self, name: str, **files: str) -> str:
        """Publish and assign a lesson of text files; its id."""
        folder = self.place / "lessons" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, text in files.items():
            (folder / f"{file}.txt").write_text(text, "utf-8")
        published = publish(self.hub, folder)
        assign(self.hub, [published.id], [SITE])
        return published.id

    def unassign(self, package: str) -> None:
        """Take it off the site's list."""
        unassign(self.hub, [package], [SITE])

    def ingest(self) -> None:
        """The hub takes in what came."""
        ingest(self.hub)

    def packages(self) -> dict[str, tuple[int, bool]]:
        """What teachers see: id → (version, whole)."""
        return {id_: (version, bool(complete)) for id_, version, complete in self.box.database.execute(
            "SELECT id, version, complete FROM package")}

    def texts(self, package: str) -> dict[str, str]:
        """The texts of the whole resources of a package, as the box would serve them."""
        rows = self.box.database.execute(
            "SELECT file.path, file.sha256 FROM file JOIN resource ON resource.package = file.package "
            "AND resource.id = file.resource WHERE file.package = ? AND resource.complete = 1", [package])
        return {path.removesuffix(".txt"): self.box.store.path(sha256).read_text("utf-8")
                for path, sha256 in rows}

    def problems(self) -> set[str]:
        """Codes of the box's problems."""
        return {code for (code,) in self.box.database.execute("SELECT code FROM problem")}

    def generation(self) -> int:
        """How often the catalogue has changed."""
        row = self.box.database.execute("SELECT value FROM setting WHERE name = 'generation'").fetchone()
        return int(row[0]) if row else 0


def join(place: Path) -> Joined:
    """A fresh pair."""
    clock = ManualClock(1_790_000_000)
    hub = init_hub(place / "hub", "中心校", ["127.0.0.1"], 2222)
    hub.clock = clock
    file = place / "s1.toml"
    pairing_format.write(file, add_site(hub, SITE, "一号"))
    return Joined(place, hub, init_box(place / "box", file, clock), clock)


class _PowerCut(BaseException):
    """The power goes."""


def sync_cut_off(joined: Joined, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str, *,
                 after: bool) -> None:
    """A sync during which the power goes just before (or `after`) the call `owner.step`."""
    real = getattr(owner, step)

    def cut(*arguments: Any, **named: Any) -> Any:
        if after:
            real(*arguments, **named)
        raise _PowerCut

    monkeypatch.setattr(owner, step, cut)
    with pytest.raises(_PowerCut):
        joined.sync()
    monkeypatch.undo()
