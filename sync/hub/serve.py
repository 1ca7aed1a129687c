"""`hub serve`: the hub's services until it is stopped: sshd, HTTPS, ingest, watch folder, console.

Each part has a thread of its own and opens the hub for itself. A killed hub leaves nothing that blocks the
next start: children die with it, locks go with it, and what was half done is done again.

A full disk ends nothing: what cannot be begun is tried again, what cannot be written waits (docs/sync.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from waitress.server import create_server
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from sync import nginx
from sync.clock import SYSTEM
from sync.database import transaction
from sync.durable import make_folder
from sync.ending import Ending
from sync.errors import Broken, NoRoom, TeachpointError
from sync.file_lock import HeldByAnother, exclusive
from sync.hub.clock import believed_time, waits
from sync.hub.console import create_console
from sync.hub.contacts import Contacts
from sync.hub.feed import refresh_feeds
from sync.hub.https import Https
from sync.hub.ingest import ingest
from sync.hub.packs import PackKeeper
from sync.hub.scrub import scrub_hub
from sync.hub.settings import NO_HTTPS, Hub, open_hub
from sync.hub.sshd import Sshd
from sync.hub.watch import WatchFolder
from sync.logs import log, set_up
from sync.reserve import keep_reserve
from sync.scrub import Scrub

#: How long after a change in an inbox it is taken in, in seconds: the files of one push come together.
SETTLE_S = 0.5
#: How often inboxes are looked through although nothing was heard, in seconds: inotify can run out.
LOOK_S = 30.0
#: How often feeds are looked at for metadata that has half of its life behind it, in seconds.
REFRESH_S = 3600.0
#: Threads that answer the console: one admin looks on, a monitor asks.
CONSOLE_THREADS = 4
#: How often what found no room is tried again, in seconds.
NO_ROOM_S = 5.0

Address = tuple[str, int]
T = TypeVar("T")


def serve(data: Path, http: Address, ssh: Address | None, watch: Path | None,
          https: Address | None = None) -> None:
    """Run until SIGTERM or SIGINT. Without `ssh` and `https` boxes connect to the ports of `hub.toml`.

    Raises Refused `not-a-hub`; Broken: `hub-running` (another `hub serve` on the same data), `port-taken`,
    `program-missing`, …
    """
    set_up(role="hub")
    with suppress(_ToldToEnd), ExitStack() as running:
        ending = running.enter_context(Ending())
        hub = _patiently(ending, lambda: open_hub(data))
        _patiently(ending, lambda: running.enter_context(_alone(hub)))
        running.enter_context(_console(hub, http))  # first: it says what is the matter
        hub.store.sweep()
        if left := nginx.sweep(data):
            log("hub.serve").warning("swept", nginx=left)
        keep_reserve(data)
        inbox = InboxKeeper(data, feeds_due=not _refreshed(hub))
        running.enter_context(inbox.running())
        listen = ssh or ("0.0.0.0", hub.settings.ssh_port)  # noqa: S104 - as below
        contacts = Contacts(data)
        running.enter_context(contacts.running())
        sshd = _patiently(ending, lambda: Sshd(
            hub, listen, contacts.note, lambda error: note_problem(data, "sshd-stopped", error)))
        running.callback(sshd.stop)
        secure = https or _everywhere(hub.settings.https_port)
        running.enter_context(_https(hub, secure, contacts.note, ending))
        running.enter_context(PackKeeper(data).running())
        scrub = Scrub(lambda: scrub_hub(data), "hub.scrub")
        scrub.start()
        running.callback(scrub.stop)
        if watch is not None:
            folder = WatchFolder(data, watch)
            folder.start()
            running.callback(folder.stop)
        log("hub.serve").info("serving", http=f"{http[0]}:{http[1]}", ssh=f"{listen[0]}:{listen[1]}",
                              https=f"{secure[0]}:{secure[1]}" if secure else None,
                              watch=str(watch) if watch else None)
        ending.wait()
        log("hub.serve").info("ending")


class _ToldToEnd(Exception):
    """The signal came before all was begun."""


def _patiently(ending: Ending, start: Callable[[], T]) -> T:
    """Do it, as soon as there is room on the disk. Raises _ToldToEnd; else as `start`."""
    told = False
    while True:
        try:
            return start()
        except NoRoom as error:
            if not told:
                log("hub.serve").error("waits-for-room", code=error.code, reason=error.message("en"))
            told = True
        if ending.wait(NO_ROOM_S):
            raise _ToldToEnd


def _refreshed(hub: Hub) -> bool:
    """Bring the feeds up to date; False where there was no room for that. Raises as `refresh_feeds`."""
    try:
        refresh_feeds(hub)
    except NoRoom as error:
        log("hub.serve").error("feeds-wait", code=error.code, reason=error.message("en"))
        return False
    return True


def note_problem(data: Path, code: str, error: TeachpointError | None) -> None:
    """What boxes connect to has failed (an error with that code), or is up again (None): kept as a problem
    of the hub."""
    try:
        hub = open_hub(data)
        try:
            with transaction(hub.database):
                hub.database.execute("DELETE FROM problem WHERE site = '' AND code = ?", [code])
                if error is not None:
                    hub.database.execute("INSERT INTO problem VALUES ('', ?, json_object('reason', ?), ?)",
                                         [code, str(error.facts.get("reason", "")), hub.clock.now()])
        finally:
            hub.database.close()
    except TeachpointError as failure:  # a full disk must not end the link
        log("hub.serve").warning("problem-not-noted", problem=code, code=failure.code)


class InboxKeeper(FileSystemEventHandler):
    """Takes in what sites send, soon after it has come, and keeps feeds from ageing. What finds no room is
    tried again at each look."""

    def __init__(self, data: Path, *, feeds_due: bool = False) -> None:
        """`feeds_due`: the feeds could not be brought up to date before."""
        self._data, self._feeds_due = data, feeds_due
        self._heard = threading.Event()
        self._ending = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Something has changed in an inbox (watchdog's thread)."""
        if event.event_type not in ("opened", "closed_no_write"):
            self._heard.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run for the block."""
        hub = open_hub(self._data)
        make_folder(hub.layout.inboxes, 0o700)
        observer = Observer()
        observer.schedule(self, str(hub.layout.inboxes), recursive=True)
        observer.start()
        thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._heard.set()
            observer.stop()
            observer.join(5)
            thread.join(30)

    def _run(self) -> None:
        hub = open_hub(self._data)
        refreshed, abandoned_before = SYSTEM.monotonic(), hub.clock.now()
        while not self._ending.is_set():
            self._heard.clear()
            try:
                ingest(hub, abandoned_before=abandoned_before)
                # Only once: after a clock that was wrong is set back, running transfers are "before" it too.
                abandoned_before = 0.0
                if self._feeds_due or self._clock_settled(hub) or SYSTEM.monotonic() - refreshed > REFRESH_S:
                    refresh_feeds(hub)
                    refreshed, self._feeds_due = SYSTEM.monotonic(), False
                keep_reserve(self._data)
            except NoRoom as error:
                self._feeds_due = True  # one of them may be what could not be written
                log("hub.serve").error("waits-for-room", code=error.code, reason=error.message("en"))
            except TeachpointError as error:
                log("hub.serve").error("ingest-failed", code=error.code, reason=error.message("en"))
            except Exception as error:  # the hub goes on whatever one inbox holds
                log("hub.serve").error("ingest-broke", exc_info=error)
            if self._heard.wait(NO_ROOM_S if self._feeds_due else LOOK_S):
                self._ending.wait(SETTLE_S)

    def _clock_settled(self, hub: Hub) -> bool:
        """Has a jump of the clock just been believed, or gone? Looking is what finds a jump, too."""
        jumped = waits(hub)
        believed_time(hub)
        return jumped and not waits(hub)


@contextmanager
def _alone(hub: Hub) -> Iterator[None]:
    make_folder(hub.layout.run, 0o700)
    try:
        with exclusive(hub.layout.run / "serve.lock"):
            yield
    except HeldByAnother:
        raise Broken("hub-running", path=hub.layout.data) from None


def _everywhere(port: int) -> Address | None:
    return None if port == NO_HTTPS else ("0.0.0.0", port)  # noqa: S104 - boxes come from anywhere; keys decide


@contextmanager
def _https(hub: Hub, listen: Address | None, on_contact: Callable[[str], None],
           ending: Ending) -> Iterator[None]:
    """HTTPS for the block, where there shall be one; whatever keeps it from working, the hub goes on."""
    def on_problem(error: TeachpointError | None) -> None:
        note_problem(hub.layout.data, "https-failing", error)

    if listen is None:
        on_problem(None)
        yield
        return
    front = Https(hub, listen, on_contact, on_problem)
    try:
        _patiently(ending, front.start)
    except TeachpointError as error:
        log("hub.serve").error("no-https", code=error.code, reason=error.message("en"))
        on_problem(Broken("https-failing", reason=error))
    try:
        yield
    finally:
        front.stop()


@contextmanager
def _console(hub: Hub, http: Address) -> Iterator[None]:
    host, port = http
    try:
        server = create_server(create_console(hub), host=host, port=port, threads=CONSOLE_THREADS,
                               ident="teachpoint")
    except OSError as error:
        raise Broken("port-taken", host=host, port=port, reason=error.strerror) from error
    thread = threading.Thread(target=server.run, name="console", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.close()
        thread.join(5)
