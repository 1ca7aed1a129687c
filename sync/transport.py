"""The interface of a link between box and hub, and what a transfer reports. Used from the box's end.

Implementations: `sync.directory.Directory` (a stick, a mirror, another box), `sync.box.https.Https` and
`sync.box.rsync_ssh.RsyncSsh`. Whoever carries the tree needs no trust: nothing here is verified,
all that arrives lies in folders where only verification lets it out.
`tests/e2e/test_transport_contract.py` is held against each implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Wanted:
    """An object to fetch: its name and size; `compressible` says whether compressing it pays; `like` names
    an object that the box may have and that is probably similar: a transport may take from it what is the
    same; `pack` names a manifest (which the box has) most of whose small texts are lacking, this one among
    them: a transport may bring them all at once."""

    sha256: str
    size: int
    compressible: bool = False
    like: str = ""
    pack: str = ""


@dataclass(frozen=True)
class Moved:
    """What a call moved: bytes of files and protocol in each direction, and files that arrived."""

    received_bytes: int = 0
    sent_bytes: int = 0
    files: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.received_bytes + other.received_bytes,
                     self.sent_bytes + other.sent_bytes, self.files + other.files)


#: Largest file taken as part of a feed, in bytes; what is believed has smaller limits (`sync.trust`).
MOST_FEED_FILE_BYTES = 16 * 1024 * 1024


#: Called with the bytes of file content that have arrived (or left) in the running call so far.
Progress = Callable[[int], None]


#: Called with an object's name once all its bytes lie in staging, while the call still runs.
Arrived = Callable[[str], None]


def silent(_bytes: int) -> None:
    """Progress that nobody watches."""


def unheard(_sha256: str) -> None:
    """Arrivals that nobody waits for."""


def segments_first(paths: Sequence[str]) -> list[str]:
    """Paths of an outbox in the order of sending: records never wait for a large upload."""
    return sorted(paths, key=lambda path: (not path.startswith("segments/"), path))


class Transport(Protocol):
    """A link that is open. Every method may raise Unreachable (`hub-unreachable`, `link-broken`,
    `carrier-gone`), Refused (`host-key-changed`, `key-refused`), NoRoom (`disk-full`), Broken, and
    can be called again afterwards: what has arrived stays, and the next call goes on where this one
    stopped.

    Callbacks run in the thread that made the call, one at a time. An exception that a callback
    raises stops the transfer and comes out of the call; so a caller interrupts one for something
    more urgent. One call at a time for each transport; only `progress` of `fetch_objects` may call
    `fetch_feed` and `push_outbox`, and what comes goes on coming meanwhile.
    """

    #: A stick or another folder: what it holds may be older than what is known, and that is no attack.
    carrier: bool

    @property
    def name(self) -> str:
        """What carries: a word for reports."""
        ...

    def limit(self, bytes_per_s: float | None) -> None:
        """From the next call on carry no more than that in each direction; None: as much as it can. What is
        no line (`carrier`) takes no notice."""
        ...

    def fetch_feed(self, into: Path) -> Moved:
        """Make `into` a copy of the site's feed folder (removing what is no longer there)."""
        ...

    def fetch_objects(self, wanted: Sequence[Wanted], staging: Path,
                      progress: Progress = silent, arrived: Arrived = unheard) -> Moved:
        """Bring objects to `staging/<sha256>`, unverified, roughly in the order of `wanted`.

        An object the hub does not have is simply not there afterwards. Partial bytes stay in
        `staging` for the next call, which adds what is missing at their end; so a file there that
        is whole by its size but fails verification must be deleted by the caller. `arrived` is
        told each object once its file has its full size (also one that was there before the
        call); the caller may verify it and move it away at once.
        """
        ...

    def push_outbox(self, outbox: Path, paths: Sequence[str], progress: Progress = silent) -> Moved:
        """Copy `paths` (relative to `outbox`) to the site's inbox, each appearing there whole,
        segments before objects. A path that is not there any more is passed over.

        The same bytes under the same name are not sent again. Other bytes (a file that the other
        side damaged; a cloned box) replace those there, whole, which is logged: what an inbox
        holds is the sender's last word; what was ingested stays ingested (docs/format.md §6).
        """
        ...

    def beside(self) -> Transport | None:
        """Another link for uploads, to be used in another thread meanwhile and to be closed by the caller;
        None where there is only this one."""
        ...

    def close(self) -> Moved:
        """End the link; what it moved beside the calls above (handshakes), where that is known."""
        ...
