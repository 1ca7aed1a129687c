"""The connections to the hub's HTTPS port: one for questions, several more while lessons come.

Several, because each begins slowly and halves its rate with a lost packet: measured with 2 Mbit/s, 600 ms and
1 % lost (docs/decisions/0012), nine bring 6 MiB in 33.9 s where six take 35 and one 44. The one for questions
carries the feed, records and pings; nothing large waits before them.

One thread; `pump` waits until something happens on any connection and lets it happen.
"""

from __future__ import annotations

import selectors
import ssl
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sync.box.http2 import Connection, Exchange
from sync.box.ssh_link import CONNECT_TIMEOUT_S
from sync.box.tls import Tls, client_context
from sync.box.window import Window
from sync.clock import SYSTEM
from sync.errors import Refused, TeachpointError, Unreachable
from sync.logs import log
from sync.pairing import Pairing

#: Connections that carry lessons.
CONNECTIONS = 9
#: Silence on all connections while something was asked: the line is dead. In seconds.
SILENT_S = 9.0
#: Silence on one while others talk: what was asked there is asked elsewhere. In seconds: while there is more
#: to ask for (it harms nobody, and what is on its way would come twice); when all waits for the last pieces.
STALLED_S, LAST_STALLED_S = 12.0, 3.0
#: How often the round trip is looked at: at least and at most between two pings, in seconds.
PING_LEAST_S, PING_MOST_S = 0.1, 1.0
#: … and so many in a round trip of the idle line between these.
PINGS_A_TRIP = 4
#: A turn that took longer than this, in seconds, says nothing about the line: we were busy ourselves.
BUSY_S = 0.05
#: Nobody listened for so long, in seconds: silence counts from now on.
RESUMED_AFTER_S = 1.0
#: How often a connection that carries lessons is opened again in vain.
MOST_FAILURES = 3


class Pool:
    """Connections to the hub of `pairing`; `folder` gets the site's key for a moment while it opens."""

    def __init__(self, pairing: Pairing, folder: Path) -> None:
        self._pairing, self._folder = pairing, folder
        self._context: ssl.SSLContext | None = None
        self._selector = selectors.DefaultSelector()
        self._known: dict[Connection, int] = {}  # connection → what the selector waits for
        self._address = ("", 0)
        self._control: Connection | None = None
        self._carriers: list[Connection] = []
        self._failures = 0
        self._closed_received = self._closed_sent = 0
        self._pinged = float("-inf")
        self._turned = self._resumed = SYSTEM.monotonic()
        self._came = deque([(self._turned, 0)])  # when pings were answered, and the bytes that had come then
        self._prompt = False  # were we quick enough for a ping to mean something?
        self.window = Window()
        #: Called after each turn: a transfer asks for more.
        self.between: Callable[[], None] = lambda: None
        #: Is all asked for, so that the transfer waits for the last pieces only?
        self.last = False
        #: Was the window full since the last answer to a ping?
        self.window_used = False

    @property
    def hub(self) -> str:
        """The hub's name, for messages."""
        return self._pairing.hub.name

    @property
    def open(self) -> bool:
        """Is the connection for questions open?"""
        return self._control is not None and self._control.open

    @property
    def received_bytes(self) -> int:
        """Bytes received on all connections so far, TLS included."""
        return self._closed_received + sum(one.tls.received_bytes for one in self._known)

    @property
    def held_bytes(self) -> int:
        """Of what was asked for, what is here already behind a lost packet: it no longer takes room on the
        line."""
        return sum(one.tls.held_bytes for one in self._carriers)

    @property
    def sent_bytes(self) -> int:
        """Bytes sent, TLS included."""
        return self._closed_sent + sum(one.tls.sent_bytes for one in self._known)

    def start(self) -> None:
        """Open the connection for questions, unless it is open; addresses are tried in order.

        Raises Unreachable `hub-unreachable`; Refused `host-key-changed`, `pairing-bad`; NoRoom `disk-full`.
        """
        if self.open:
            return
        self.close()
        hub = self._pairing.hub
        self._context = self._context or client_context(self._pairing, self._folder)
        failures: list[TeachpointError] = []
        for address in hub.addresses:
            self._address = (address, hub.https_port or 0)
            facts = {"hub": hub.name, "address": address, "port": hub.https_port}
            began = SYSTEM.monotonic()
            try:
                self._control = self._connect()
            except OSError as error:
                failures.append(Unreachable("hub-unreachable", **facts, reason=error.strerror or error))
                continue
            while not self._control.open and not self._control.ended:
                if SYSTEM.monotonic() - began > CONNECT_TIMEOUT_S:
                    self._control.tls.failed = f"no answer within {CONNECT_TIMEOUT_S} s"
                self._turn(0.2)
            if self._control.open:
                log("box.https").info("link-open", address=address)
                return
            failures.append(
                Refused("host-key-changed", **facts) if self._control.tls.stranger
                else Unreachable("hub-unreachable", **facts, reason=self._control.ended))
            self._drop(self._control)
        raise next((one for one in failures if isinstance(one, Refused)), failures[-1])

    def widen(self) -> None:
        """Open the connections that carry lessons, as far as they are not; returns at once."""
        while len(self._carriers) < CONNECTIONS and self._failures < MOST_FAILURES and self.open:
            try:
                self._carriers.append(self._connect())
            except OSError:
                self._failures += 1

    def carriers(self) -> list[Connection]:
        """Where lessons can be asked for now: the connection for questions only while no other is open."""
        found = [one for one in self._carriers if not one.full]
        if not found and not any(one.open for one in self._carriers):
            found = [one for one in (self._control,) if one is not None and not one.full]
        return found

    @property
    def opening(self) -> bool:
        """Are connections that carry lessons on their way?"""
        return any(not one.open for one in self._carriers)

    def ask(self, exchange: Exchange) -> None:
        """Ask something small, over the connection for questions. Raises as `pump`."""
        while self._control is not None and self._control.full and not self._control.ended:
            self.pump()
        if self._control is None or self._control.ended:
            raise self._broken("closed")
        self._control.ask(exchange)

    def pump(self, most_s: float = 0.2) -> None:
        """Wait until something happens, at most so long; then let it happen.

        Raises Unreachable `link-broken` where the connection for questions has ended or all are silent.
        """
        self._turn(most_s)
        self.between()
        control = self._control
        if control is None or control.ended:
            raise self._broken(control.ended if control is not None else "closed")
        now = SYSTEM.monotonic()
        heard = max(self._resumed, *(one.heard for one in self._known))
        if now - heard > SILENT_S and any(one.busy for one in self._known):
            raise self._broken(f"silent for {SILENT_S:.0f} s")
        patience_s = LAST_STALLED_S + 3 * self.window.idle_s if self.last else STALLED_S
        for one in [one for one in self._carriers if one.busy]:
            if now - max(one.heard, self._resumed) > patience_s and now - heard < patience_s / 2:
                log("box.https").info("connection-stalled")
                self._drop(one)

    def close(self) -> None:
        """End all connections."""
        for one in list(self._known):
            self._drop(one)
        self._control, self._failures = None, 0

    def _connect(self) -> Connection:
        assert self._context is not None  # noqa: S101 - `start` has made it
        connection = Connection(Tls(self._address, self._context, self._pairing.hub.ssh_host_key), "hub")
        self._known[connection] = 0
        return connection

    def _turn(self, most_s: float) -> None:
        began = SYSTEM.monotonic()
        self._prompt = began - self._turned < BUSY_S
        if began - self._turned > RESUMED_AFTER_S:
            self._resumed = began
        self._watch()
        if self._known:
            for key, _ in self._selector.select(most_s):
                connection: Connection = key.data
                connection.turn()
        for one in [one for one in self._known if one.ended]:
            if one is not self._control:
                self._failures += not one.open and one.heard == one.began
                log("box.https").info("connection-ended", reason=one.ended)
                self._drop(one)
        self._ping()
        self._turned = SYSTEM.monotonic()

    def _watch(self) -> None:
        """Tell the selector what each connection waits for."""
        for one, before in self._known.items():
            if one.ended:
                continue
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if one.tls.wants_write else 0)
            if not before:
                self._selector.register(one.tls.socket, events, one)
            elif before != events:
                self._selector.modify(one.tls.socket, events, one)
            self._known[one] = events

    def _ping(self) -> None:
        now = SYSTEM.monotonic()
        pause = min(max(self.window.idle_s / PINGS_A_TRIP, PING_LEAST_S), PING_MOST_S)
        # Behind an answer on the same connection a ping would wait for that, not for the line.
        if self._control is None or self._control.busy or now - self._pinged < pause:
            return
        self._control.on_ping = self._answered
        if self._control.ping():
            self._pinged = now

    def _answered(self, took_s: float) -> None:
        now, received = SYSTEM.monotonic(), self.received_bytes + self.held_bytes
        # The rate is that of two round trips: a lost packet holds up what comes behind it for one.
        while len(self._came) > 1 and now - self._came[1][0] >= 2 * self.window.idle_s:
            self._came.popleft()
        since, before = self._came[0]
        self._came.append((now, received))
        if self._prompt:
            self.window.answered(took_s, now, used=self.window_used,
                                 bytes_per_s=(received - before) / max(now - since, 1e-3))
        self.window_used = False

    def _drop(self, connection: Connection) -> None:
        if self._known.pop(connection, 0):
            self._selector.unregister(connection.tls.socket)
        self._closed_received += connection.tls.received_bytes
        self._closed_sent += connection.tls.sent_bytes
        if connection in self._carriers:
            self._carriers.remove(connection)
        connection.close()

    def _broken(self, reason: str) -> Unreachable:
        """The error of a line that is dead; all connections are given up."""
        self.close()
        return Unreachable("link-broken", hub=self.hub, reason=reason)


def hub_names_port(pairing: Pairing) -> bool:
    """Does the pairing name an HTTPS port, and has the site a certificate for it?"""
    return bool(pairing.hub.https_port and pairing.key.certificate)
