"""Waitress as this box uses it: on sockets that are given, in a thread of its own.

Bodies are checked against the room on the disk before a byte of them is taken, so that an upload that
cannot fit is refused at once and in words, instead of breaking off in the middle. Answers that are ready
(`edge.ready`) are sent by the thread that reads requests.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import MultiSocketServer, TcpWSGIServer, UnixWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from edge.ready import Ready
from sync.durable import disk_errors
from sync.errors import NoRoom
from sync.text import size_in_words

#: Threads that answer requests of the main origin. A page takes a millisecond or two and no thread ever
#: waits for a player, so more threads would only take turns; some are left when a disk hangs.
THREADS = 8
#: The same for the content origin: its answers are looked up and handed on.
CONTENT_THREADS = 4
#: Connections at once, beyond which callers wait. Each costs a file handle and some KB.
MOST_CONNECTIONS = 1000
#: A connection without a word for so long is closed, in seconds.
IDLE_S = 120
#: How many times a body lies on the disk while it is taken in: received, taken apart, put in its place.
COPIES = 3
#: Room that stays free whatever is uploaded, in bytes: for the journal and the system.
RESERVE_BYTES = 256 * 1024 * 1024
#: Bodies below this are not measured against the disk: forms, in memory.
SMALL_BODY_BYTES = 512 * 1024

App = Callable[..., Any]


class TooLarge(Error):  # type: ignore[misc]  # waitress has no types
    """A body over the limit, or chunked past it. Sent as it stands, to whatever asked."""

    code = 413
    reason = "Request Entity Too Large"


class NoRoomForBody(Error):  # type: ignore[misc]  # waitress has no types
    """A body that cannot fit on the disk."""

    code = 507
    reason = "Insufficient Storage"


class WebServer:
    """One app on one socket. `start` serves; `close` ends it; what is running is finished or cut off."""

    def __init__(self, app: App, listener: socket.socket, spool: Path, *, threads: int, most_body_bytes: int,
                 behind_nginx: bool) -> None:
        self._listener = listener
        self._dispatcher = (_ReadyFirst(app, behind_nginx) if isinstance(app, Ready)
                            else ThreadedTaskDispatcher())
        self._dispatcher.set_thread_count(threads)
        adjustments = _adjustments(most_body_bytes, behind_nginx)
        self._map: dict[int, Any] = {}
        unix = listener.family == socket.AF_UNIX
        server_class = UnixWSGIServer if unix else TcpWSGIServer
        about = (listener.family, listener.type, listener.proto, listener.getsockname())
        server = server_class(app, self._map, True, listener.dup(), dispatcher=self._dispatcher,
                              adj=adjustments, bind_socket=False, sockinfo=about)
        server.channel_class = _channel_class(spool, most_body_bytes)
        self._server = MultiSocketServer(self._map, adjustments, [], self._dispatcher, server.log_info)
        self._wake = server.pull_trigger  # else the loop notices at its next turn
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-server", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering; the listener itself stays open, for its owner."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._wake()
            self._server.close()
        self._thread.join(timeout=3)

    def _run(self) -> None:
        try:
            self._server.run()
        except (OSError, ValueError, KeyError):  # its sockets were closed under it
            if not self._closing.is_set():
                raise


class _ReadyFirst(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """Gives a request to a thread only where its answer is not ready."""

    def __init__(self, ready: Ready, behind_nginx: bool) -> None:
        super().__init__()
        self._ready, self._behind_nginx = ready, behind_nginx

    def add_task(self, task: Any) -> None:
        if not self._at_once(task):
            super().add_task(task)

    def _at_once(self, channel: Any) -> bool:
        """Send the answer to the channel's only request, if it is ready. Its `requests_lock` is held."""
        request = channel.requests[0]
        if (request.error or request.command != "GET" or request.version != "1.1" or request.connection_close
                or request.chunked or request.content_length or len(channel.requests) > 1
                or channel.total_outbufs_len or not channel.connected):
            return False
        headers = request.headers.get
        scheme = headers("X_FORWARDED_PROTO", "") if self._behind_nginx else "http"
        answer = self._ready.at_once(self._ready.question(request.path, request.query, scheme, headers))
        if answer is None:
            return False
        del channel.requests[0]
        with contextlib.suppress(ClientDisconnected):
            channel.write_soon(answer)
            channel.current_outbuf_count = channel.adj.outbuf_high_watermark  # the next one begins its own
        return True


def use_spool(folder: Path) -> None:
    """Let the bodies of requests lie in `folder` while they come in: on the data disk, not in a small /tmp
    that may be memory."""
    tempfile.tempdir = str(folder)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is no event


def _adjustments(most_body_bytes: int, behind_nginx: bool) -> Adjustments:
    options: dict[str, Any] = {
        "connection_limit": MOST_CONNECTIONS, "channel_timeout": IDLE_S, "cleanup_interval": 30,
        "asyncore_use_poll": True, "asyncore_loop_timeout": 1, "ident": None, "expose_tracebacks": False,
        "max_request_body_size": most_body_bytes, "max_request_header_size": 64 * 1024,
        "log_socket_errors": False, "clear_untrusted_proxy_headers": True}
    if behind_nginx:  # only nginx can reach the unix socket, and it overwrites these headers
        options |= {"trusted_proxy": "*", "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"}}
    return Adjustments(**options)


def _channel_class(spool: Path, most_body_bytes: int) -> type[HTTPChannel]:
    class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
        error: Any

        def received(self, data: bytes) -> int:
            was_finished = self.headers_finished
            try:
                with disk_errors(spool):
                    count: int = super().received(data)
            except NoRoom:  # somebody else took the room while it came
                self.error = NoRoomForBody(_NO_ROOM.format(size=size_in_words(self.content_length)))
                self.completed = True
                return len(data)
            if isinstance(self.error, Error) and self.error.code == 413:
                self.error = TooLarge(_TOO_LARGE.format(most=size_in_words(most_body_bytes)))
            elif self.headers_finished and not was_finished and self.content_length > SMALL_BODY_BYTES and (
                    self.content_length * COPIES + RESERVE_BYTES > shutil.disk_usage(spool).free):
                self.error = NoRoomForBody(_NO_ROOM.format(size=size_in_words(self.content_length)))
                self.completed = True
            return count

    class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
        """One that lets who was refused end what they send: browsers read an answer only then, and a socket
        closed on bytes that nobody has read takes the answer back."""

        parser_class = Parser
        close_when_flushed: bool
        _refused = False   # set by the thread that answers, before the answer
        _ending = False    # the answer is sent and the end of ours said; what still comes is thrown away
        _thrown_away_bytes = 0

        def service(self) -> None:
            self._refused = self.requests[0].error is not None
            super().service()

        def handle_write(self) -> None:
            if not (self._refused and self.close_when_flushed) or self.will_close:
                super().handle_write()
                return
            self._flush_exception(self._flush_some)
            if self.will_close:  # there was nobody any more
                self.handle_close()
            elif not self.total_outbufs_len:
                self._ending, self.close_when_flushed = True, False
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)

        def received(self, data: bytes) -> bool:
            if not self._ending:
                return bool(super().received(data))
            self._thrown_away_bytes += len(data)
            self.will_close = self._thrown_away_bytes > most_body_bytes
            return True

    return Channel


_TOO_LARGE = ("This file is larger than the {most} that the box takes. Nothing was kept. "
              "此文件超过盒子允许的 {most}，没有保存任何内容。")
_NO_ROOM = ("The box has no room for {size}. Nothing was kept; lessons can still be opened. "
            "盒子没有 {size} 的空间，没有保存任何内容；课程仍可打开。")
