"""`box serve`: the classroom service put together, started and ended.

The order of a start: the lock (one service for each data folder), what a killed one left, the two
listeners, the apps, the server in front; lessons can be opened now. Then what may take its time: search
index, sync, drop folder, discovery. A failure of those is logged and told, and ends nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge import (
    api,
    clock_page,
    display_pages,
    metrics,
    opds,
    plan_pages,
    poster,
    power_page,
    results,
    sign_in,
    subtitles,
    timetable_page,
    tus,
    uploads,
)
from edge import bytes as file_bytes
from edge.content import create_content_app
from edge.displays import Displays
from edge.forms import form_secret
from edge.listen import Address, bind, bind_unix
from edge.nginx import CONTENT_SOCKET, MAIN_SOCKET, Front
from edge.plans import Plans
from edge.problem_notes import ProblemNotes
from edge.ready import Ready
from edge.state import ContentOrigin, EdgeState
from edge.waiting import WAITING_SOCKET, Waiting
from edge.web import create_app, language_for
from edge.wsgi import CONTENT_THREADS, THREADS, App, WebServer, use_spool
from kiosk_ui.pages import prepare as prepare_pages
from sync import nginx
from sync.box.journal import Journal
from sync.box.outbox import Outbox
from sync.box.state import Box, open_box
from sync.box.status import box_status
from sync.clock import SYSTEM, Clock
from sync.database import thawed
from sync.durable import disk_errors, make_folder
from sync.ending import Ending
from sync.errors import Broken, NoRoom, Refused
from sync.file_lock import HeldByAnother, exclusive
from sync.logs import log, set_up
from sync.version import VERSION

#: How long a start waits for the one before to end, in seconds.
LOCK_PATIENCE_S = 3.0
#: Places that memory is taken from, and what mallopt(3) calls that number.
MOST_ARENAS, _M_ARENA_MAX = 2, -8
#: Bodies of requests lie here while they come in, below the data folder; emptied at each start.
SPOOL = "run/bodies"


def serve(data: Path, http: Address, content: Address, *, sync: bool = True, mdns: bool = True,
          front: bool = True, sticks: Sequence[Path] = (), dlna: int | None = None) -> None:
    """Serve the box in `data` until SIGTERM or SIGINT. `front`: by nginx, where it is installed; `sticks`:
    folders below which sticks are mounted, to be synced with when they are plugged in; `dlna`: the port of a
    media server for TVs, or None for none.

    Raises Refused: `not-a-box`, `pairing-bad`, `box-serving`; Misused `listen-bad`; Broken: `port-taken`,
    `port-forbidden`, `database-broken`, `disk-failing`.
    """
    _share_arenas()
    set_up(role="box", site=open_box(data).pairing.site)
    with Ending() as ending:
        service = BoxService(data, http, content, sync=sync, mdns=mdns, front=front, sticks=sticks, dlna=dlna)
        service.start()
        try:
            ending.wait()
            log("edge.serve").info("ending")
        finally:
            service.stop()


def _share_arenas() -> None:
    """Let all threads take memory from few places: glibc gives each thread its own, in which what was needed
    once stays (measured: 85 MB of an idle box become 79). Elsewhere than with glibc nothing is done."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, MOST_ARENAS)


class OwnBox:
    """The box, opened once for each thread that asks."""

    def __init__(self, data: Path, clock: Clock = SYSTEM) -> None:
        self._data, self._clock, self._own = data, clock, threading.local()

    def __call__(self) -> Box:
        found: Box | None = getattr(self._own, "box", None)
        if found is None or thawed(found.database):
            found = self._own.box = open_box(self._data, self._clock)
        return found

    def journal(self) -> Journal:
        """This thread's journal."""
        box = self()
        return Journal(box.database, box.clock)

    def outbox(self) -> Outbox:
        """This thread's outbox."""
        box = self()
        return Outbox(box.layout, box.database, self.journal(), box.pairing, box.box_id, box.clock)


class BoxService:
    """The service of one box. `start` returns when pages can be asked for; `stop` when all has ended."""

    def __init__(self, data: Path, http: Address, content: Address, *, sync: bool, mdns: bool,
                 front: bool, sticks: Sequence[Path] = (), dlna: int | None = None) -> None:
        self._data, self._http, self._content, self._dlna = data, http, content, dlna
        self._sync, self._mdns, self._front, self._sticks = sync, mdns, front, sticks
        self._box = OwnBox(data)
        self._ended = contextlib.ExitStack()
        self._waiting = Waiting()
        self._servers: list[WebServer] = []   # guarded by _changing
        self._changing = threading.Lock()
        self._stopping = False                # guarded by _changing
        self._wakes: list[Callable[[], None]] = []

    def start(self) -> None:
        """Serve. Raises as `serve`; nothing is left running then."""
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._ended = stack.pop_all()

    def stop(self) -> None:
        """End everything; answers that are under way are cut off."""
        with self._changing:
            self._stopping = True
        self._ended.close()
        log("edge.serve").info("ended")

    def _start(self, stack: contextlib.ExitStack) -> None:
        box = self._box()
        make_folder(box.layout.run, 0o700)
        try:
            stack.enter_context(exclusive(box.layout.run / "serve.lock", LOCK_PATIENCE_S))
        except HeldByAnother:
            raise Refused("box-serving", path=self._data) from None
        if left := nginx.sweep(self._data):
            log("edge.serve").warning("swept", nginx=left)
        self._empty_spool()
        listeners = [bind(self._http), bind(self._content)]
        for listener in listeners:
            stack.callback(listener.close)
        state = EdgeState(data=self._data, site=box.pairing.site, name=box.pairing.name,
                          content=ContentOrigin(listeners[1].getsockname()[1]), wake=self._wake)
        notes = ProblemNotes(lambda: open_box(self._data), self._wake)
        apps = self._apps(state, box, notes)
        stack.callback(self._close_servers)
        self._open_front(stack, state, apps, listeners, notes)
        address = Address(*listeners[0].getsockname()[:2])
        second = Address(*listeners[1].getsockname()[:2])
        log("edge.serve").info("serving", http=str(address), content=str(second), nginx=state.nginx,
                               version=VERSION)
        self._start_background(stack, state, notes, address)

    # -- the apps and the server in front ------------------------------------------------------------

    def _apps(self, state: EdgeState, box: Box, notes: ProblemNotes) -> tuple[App, App]:
        def ask_status() -> dict[str, Any]:
            return box_status(self._box())

        main = create_app(state, ask_status=ask_status, journal=lambda: self._box.journal().append)
        pages, secret = main.extensions["teachpoint-pages"], form_secret(box.pairing)
        try:
            metrics.make_token(state.layout.metrics_token)
        except (NoRoom, Broken) as error:  # a full disk must not keep lessons from opening
            log("edge.serve").warning("no-metrics-token", reason=str(error))
        main.register_blueprint(api.blueprint(state, ask_status, VERSION))
        main.register_blueprint(opds.blueprint(state, VERSION))
        main.register_blueprint(metrics.blueprint(state, ask_status, VERSION))
        main.register_blueprint(file_bytes.blueprint(state, notes.lost))
        main.register_blueprint(subtitles.blueprint(state))
        main.register_blueprint(poster.blueprint(pages))
        main.register_blueprint(results.blueprint(state, self._box.journal))
        signed_in = sign_in.register(main, pages, secret, self._box.journal, lambda teacher: {
            **uploads.sent_by(self._box.outbox(), teacher.id),
            "plans": Plans(self._box().database, state.clock).of(teacher.id)})
        uploads.register(main, state, pages, secret, self._box.outbox, signed_in)
        plan_pages.register(main, pages, secret, lambda: self._box().database, signed_in)
        power_page.register(main, pages, secret, self._box.journal, signed_in,
                            lambda error: notes.tell("shutdown-failed", error))
        self._finishing = tus.Finishing(self._box.outbox, state.wake,
                                        lambda error: notes.tell("upload-unfinished", error))
        tus.register(main, signed_in, self._box.outbox, self._finishing.wake)
        clock_page.register(main, pages, secret, self._box.journal)
        timetable_page.register(main, pages, secret, self._box.journal)
        displays = Displays(lambda: self._box().database, self._waiting, state.clock)
        display_pages.register(main, state, pages, secret, displays, self._waiting)
        return Ready(main, language_for), create_content_app(state, notes.lost)

    def _open_front(self, stack: contextlib.ExitStack, state: EdgeState, apps: tuple[App, App],
                    listeners: list[socket.socket], notes: ProblemNotes) -> None:
        def alone() -> None:
            state.nginx = False
            self._answer(apps, listeners, behind_nginx=False)

        if not self._front or not nginx.installed():
            notes.tell("nginx-failing", None)
            alone()
            return
        front = Front(self._data, *listeners, most_body_bytes=uploads.MOST_BODY_BYTES, lost=notes.lost,
                      told=lambda error: notes.tell("nginx-failing", error), give_up=alone)
        inner = []
        try:
            with disk_errors(self._data):
                front.prepare()
                for path in (MAIN_SOCKET, CONTENT_SOCKET, WAITING_SOCKET):
                    inner.append(bind_unix(self._data / path))
                    stack.callback(inner[-1].close)
                    front.own(self._data / path)
        except (NoRoom, Broken) as error:  # a full or read-only disk must not keep lessons from opening
            log("edge.serve").warning("no-nginx", code=error.code, reason=error.message("en"))
            alone()
            return
        state.nginx = True
        self._waiting.start(inner.pop())
        stack.callback(self._waiting.stop)
        self._answer(apps, inner, behind_nginx=True)
        stack.callback(front.stop)
        front.begin()
        prepare_pages()  # nginx takes about as long to start
        if not front.runs():
            alone()

    def _answer(self, apps: tuple[App, App], listeners: list[socket.socket], *,
                behind_nginx: bool) -> None:
        with self._changing:
            if self._stopping:
                return
            for app, listener, threads in zip(apps, listeners, (THREADS, CONTENT_THREADS), strict=True):
                server = WebServer(app, listener, self._data / SPOOL, threads=threads,
                                   most_body_bytes=uploads.MOST_BODY_BYTES, behind_nginx=behind_nginx)
                server.start()
                self._servers.append(server)

    def _close_servers(self) -> None:
        with self._changing:
            self._stopping = True
            servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    def _empty_spool(self) -> None:
        spool = self._data / SPOOL
        shutil.rmtree(spool, ignore_errors=True)
        try:
            make_folder(spool, 0o700)
            use_spool(spool)
        except (NoRoom, Broken) as error:  # without it uploads fail, and lessons open
            log("edge.serve").error("no-spool", reason=str(error))

    # -- what may take its time ----------------------------------------------------------------------

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()

    def _start_background(self, stack: contextlib.ExitStack, state: EdgeState, notes: ProblemNotes,
                          address: Address) -> None:
        # Each is loaded only now that pages can be asked for: together they take as long as all before.
        from edge.drop_folder import DropFolder
        from sync.box.scrub import scrub_box
        from sync.scrub import Scrub

        def run(what: str, start: Callable[[], None], stop: Callable[[], None]) -> None:
            try:
                start()
            except Exception as error:
                log("edge.serve").error("not-started", what=what, reason=str(error))
            else:
                stack.callback(stop)

        run("problems", notes.start, notes.stop)
        run("search", state.search.start, state.search.stop)
        drop = DropFolder(state.layout.uploads, self._box.outbox, self._wake,
                          lambda error: notes.tell("drop-failed", error))
        run("drop folder", drop.start, drop.stop)
        run("finishing", self._finishing.start, self._finishing.stop)
        if self._dlna:
            from edge.dlna import Dlna

            media = Dlna(state, self._dlna, lambda error: notes.tell("dlna-failing", error))
            run("dlna", media.start, media.stop)
        alone: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        scrub = Scrub(lambda: scrub_box(self._data, notes.lost), "box.scrub")
        run("scrub", scrub.start, scrub.stop)
        if self._sync:
            from sync.box.https import Https
            from sync.box.loop import SyncLoop

            loop = SyncLoop(self._data, lambda box: Https(box.pairing, box.layout.run, box.layout.library))
            self._wakes.append(loop.wake)
            run("sync", loop.start, lambda: loop.stop(patience_s=3))
            alone = loop.alone
        if self._sticks:
            from sync.box.sticks import Sticks

            sticks = Sticks(self._data, alone, self._sticks)
            run("sticks", sticks.start, sticks.stop)
        if self._mdns:
            from edge.discovery import Discovery, addresses_of

            discovery = Discovery(site=state.site, name=state.name, version=VERSION, port=address.port,
                                  addresses=lambda: addresses_of(address.host))
            run("discovery", discovery.start, discovery.stop)


