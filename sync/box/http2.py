"""One HTTP/2 connection to the hub (RFC 9113, by the `h2` library): many exchanges at a time, none waits.

Who asks gives an `Exchange` with what to do when the answer comes; `Connection.turn` does what the socket
allows now and calls them. Nothing here knows what is asked for, or tries again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings

from sync.box.tls import Tls
from sync.clock import SYSTEM

#: What the hub may send unasked-for: more than any window of ours, so that only what is asked for counts.
ROOM_BYTES = 2**30
#: Exchanges at once: nginx allows 128.
MOST_EXCHANGES = 100
#: Pings at once: several in each round trip, so that it is seen soon when others use the line.
MOST_PINGS = 6

_SETTINGS = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: ROOM_BYTES}


@dataclass(eq=False)
class Exchange:
    """A request, and what to do with its answer. `on_head(status, headers)`, `on_data(bytes)`, `on_end()`;
    or, whatever came until then, `on_failure(reason)`. None of them may raise."""

    method: str
    path: str
    on_head: Callable[[int, dict[str, str]], None]
    on_data: Callable[[bytes], None]
    on_end: Callable[[], None]
    on_failure: Callable[[str], None]
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class Connection:
    """A connection that is being opened, is open, or has ended."""

    def __init__(self, tls: Tls, authority: str) -> None:
        self._tls, self._authority = tls, authority
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._greeted = False
        self._leaving = False  # the hub wants no more exchanges on this one
        self._running: dict[int, Exchange] = {}
        self._bodies: dict[int, memoryview] = {}
        self._pings: dict[bytes, float] = {}  # what was sent → when
        self._ping_number = 0
        #: Called with a round trip in seconds.
        self.on_ping: Callable[[float], None] = lambda _took_s: None
        #: When something came last, and when it began; of the monotonic clock.
        self.heard = self.began = SYSTEM.monotonic()

    @property
    def open(self) -> bool:
        """May it be asked?"""
        return self._greeted and not self._leaving and not self._tls.failed

    @property
    def ended(self) -> str:
        """Why it has ended; "" while it has not."""
        return self._tls.failed

    @property
    def busy(self) -> int:
        """Exchanges under way."""
        return len(self._running)

    @property
    def full(self) -> bool:
        """Must a further exchange go elsewhere?"""
        most = min(MOST_EXCHANGES, self._h2.remote_settings.max_concurrent_streams)
        return not self.open or len(self._running) >= most

    @property
    def tls(self) -> Tls:
        """What it runs over."""
        return self._tls

    def ask(self, exchange: Exchange) -> None:
        """Begin an exchange; only while not `full`."""
        number = self._h2.get_next_available_stream_id()
        headers = [(":method", exchange.method), (":scheme", "https"), (":authority", self._authority),
                   (":path", exchange.path), *exchange.headers]
        if exchange.body:
            headers.append(("content-length", str(len(exchange.body))))
        self._h2.send_headers(number, headers, end_stream=not exchange.body)
        self._running[number] = exchange
        if exchange.body:
            self._bodies[number] = memoryview(exchange.body)
            self._send_bodies()
        self._flush()

    def give_up(self, exchange: Exchange) -> None:
        """End an exchange; it is called no more."""
        for number, one in list(self._running.items()):
            if one is exchange:
                self._forget(number)
                if not self._tls.failed:
                    with contextlib.suppress(StreamClosedError):  # its end has come
                        self._h2.reset_stream(number, ErrorCodes.CANCEL)
                    self._flush()

    def ping(self) -> bool:
        """Ask how long an answer takes, unless MOST_PINGS are under way; True if it was asked."""
        if len(self._pings) >= MOST_PINGS or not self.open:
            return False
        self._ping_number += 1
        data = self._ping_number.to_bytes(8, "big")
        self._h2.ping(data)
        self._pings[data] = SYSTEM.monotonic()
        self._flush()
        return True

    def turn(self) -> None:
        """Do what the socket allows now."""
        data = self._tls.turn()
        if self._tls.open and not self._greeted:
            self._greet()
        if data:
            self.heard = SYSTEM.monotonic()
            self._receive(data)
        if self._tls.failed:
            self._fail_all(self._tls.failed)
        elif self._greeted:
            self._send_bodies()
            self._flush()
            self._tls.send()

    def close(self) -> None:
        """End it; what is under way fails."""
        if self._greeted and not self._tls.failed:
            self._h2.close_connection()
            self._flush()
            self._tls.send()
        self._tls.close()
        self._fail_all("closed")

    def _greet(self) -> None:
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(ROOM_BYTES - 65535)
        self._greeted = True
        self.heard = SYSTEM.monotonic()
        self._flush()

    def _receive(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError as error:
            self._tls.failed = f"HTTP/2: {error}"
            return
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, PingAckReceived):
            asked = self._pings.pop(event.ping_data or b"", None)
            if asked is not None:
                self.on_ping(SYSTEM.monotonic() - asked)
        elif isinstance(event, ConnectionTerminated):
            self._leaving = True
            last = event.last_stream_id if event.last_stream_id is not None else 0
            for number in [number for number in self._running if number > last]:
                self._forget(number).on_failure("not taken")
        elif isinstance(event, (ResponseReceived, DataReceived, StreamEnded, StreamReset)):
            self._answer(event)

    def _answer(self, event: ResponseReceived | DataReceived | StreamEnded | StreamReset) -> None:
        number = event.stream_id or 0
        if isinstance(event, DataReceived):  # also of an exchange that was given up
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
        exchange = self._running.get(number)
        if exchange is None:
            return
        if isinstance(event, ResponseReceived):
            headers = {str(name): str(value) for name, value in event.headers or ()}
            status = headers.pop(":status", "")
            exchange.on_head(int(status) if status.isdigit() else 0, headers)
        elif isinstance(event, DataReceived):
            exchange.on_data(event.data or b"")
        elif isinstance(event, StreamEnded):
            self._forget(number).on_end()
        else:
            self._forget(number).on_failure(f"reset: {event.error_code}")

    def _send_bodies(self) -> None:
        for number, rest in list(self._bodies.items()):
            while rest and (most := min(self._h2.local_flow_control_window(number),
                                        self._h2.max_outbound_frame_size, len(rest))) > 0:
                self._h2.send_data(number, rest[:most].tobytes(), end_stream=most == len(rest))
                rest = rest[most:]
            if rest:
                self._bodies[number] = rest
            else:
                del self._bodies[number]

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._tls.failed:
            self._tls.write(data)

    def _forget(self, number: int) -> Exchange:
        self._bodies.pop(number, None)
        return self._running.pop(number)

    def _fail_all(self, reason: str) -> None:
        for number in list(self._running):
            self._forget(number).on_failure(reason)
