"""Questions that wait for news: held by one thread of their own, not by those that answer pages.

A screen or a phone asks "is it still as I know it?" and is answered when it is not, or after HOLD_S. An app
looks at who asks, then hands the question on by X-Accel-Redirect; nginx brings it here over a unix socket.
So a waiting device costs a connection and no thread (docs/decisions/0014-displays.md). Without nginx the app
answers at once and the device asks again after a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from asyncio import Future, StreamReader, StreamWriter
from typing import Any

from sync.logs import log

#: The internal address that nginx leads here, and the socket below the data folder.
PLACE = "/_waiting/"
WAITING_SOCKET = "run/nginx/waiting.sock"
#: How long a question is held, in seconds: under the shortest patience of proxies and browsers (30 s).
HOLD_S = 25.0
#: Questions held at once: 60 devices, each of them twice after a torn connection, and as many again.
MOST_HELD = 240
#: Largest head of a request, in bytes: nginx takes 4 × 16 KB from browsers.
MOST_HEAD_BYTES = 80 * 1024
#: How long a head may take to come, in seconds: it comes from nginx, whole.
HEAD_S = 10.0

_ASKED = re.compile(rb"GET " + PLACE.encode() + rb"([a-z]+-[0-9a-f]+)/([0-9a-z.]*) HTTP/1\.[01]\r\n")


class Waiting:
    """What is new on each channel, and who waits for it. A channel is `<kind>-<id>`; its news is a body with
    a tag, which changes when those who wait must hear of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, tuple[str, bytes]] = {}      # guarded by _lock
        self._held: dict[str, set[Future[None]]] = {}     # changed by the loop's thread alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, channel: str, tag: str, body: bytes) -> None:
        """This is how it is now. Those who know another tag are answered at once."""
        with self._lock:
            before = self._now.get(channel, ("", b""))[0]
            self._now[channel] = (tag, body)
        if tag != before:
            self._call(channel)

    def drop(self, channel: str) -> None:
        """The channel is no more; who waits is answered that nothing is new, and asks again."""
        with self._lock:
            self._now.pop(channel, None)
        self._call(channel)

    def now(self, channel: str) -> tuple[str, bytes]:
        """Its tag and body; both empty where nothing was put."""
        with self._lock:
            return self._now.get(channel, ("", b""))

    def held(self, channel: str) -> int:
        """How many questions wait on this channel."""
        return len(self._held.get(channel, ()))

    def start(self, listener: socket.socket) -> None:
        """Answer on `listener`, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, args=[listener], name="waiting", daemon=True)
        self._thread.start()
        self._ready.wait(5)

    def stop(self) -> None:
        """Let go of all who wait."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=3)

    # -- the loop's thread -------------------------------------------------------------------------

    def _call(self, channel: str) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(self._wake, channel)

    def _wake(self, channel: str) -> None:
        for waiting in self._held.get(channel, ()):
            if not waiting.done():
                waiting.set_result(None)

    def _run(self, listener: socket.socket) -> None:
        loop = self._loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(asyncio.start_unix_server(
                self._connected, sock=listener.dup(), limit=MOST_HEAD_BYTES))
            self._ready.set()
            loop.run_forever()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        except OSError as error:
            log("edge.waiting").error("not-started", reason=str(error))
        finally:
            self._ready.set()
            loop.close()

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            asked = _ASKED.match(head)
            if asked is None:
                writer.write(_answer("404 Not Found"))
            else:
                writer.write(await self._answer(asked[1].decode(), asked[2].decode(), reader))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asked has gone
        finally:
            writer.close()

    async def _answer(self, channel: str, known: str, reader: StreamReader) -> bytes:
        tag, body = self.now(channel)
        if tag == known:
            if sum(map(len, self._held.values())) >= MOST_HELD:
                return _answer("503 Service Unavailable")
            await self._hold(channel, reader)
            tag, body = self.now(channel)
        return _answer("200 OK", body) if body and tag != known else _answer("204 No Content")

    async def _hold(self, channel: str, reader: StreamReader) -> None:
        """Until there is news, or it has been long enough, or who asked has gone."""
        news: Future[None] = asyncio.get_running_loop().create_future()
        gone: Future[bytes] = asyncio.ensure_future(reader.read(1))
        both: set[Future[Any]] = {news, gone}
        self._held.setdefault(channel, set()).add(news)
        try:
            await asyncio.wait(both, timeout=HOLD_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            self._held[channel].discard(news)
            if not self._held[channel]:
                del self._held[channel]


def _answer(status: str, body: bytes = b"") -> bytes:
    """A whole answer."""
    length = b"" if status.startswith("204") else f"Content-Length: {len(body)}\r\n".encode()
    return (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n").encode() + length + b"\r\n" + body
