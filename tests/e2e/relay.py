"""A TCP relay: the line between a box and its hub, which a test counts, holds still or cuts."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

PIECE_BYTES = 16 * 1024


class Relay:
    """Listens on `port` of loopback and passes everything on to the port `hub` there.

    `down` and `up` count the bytes passed to the box and to the hub; past `most_down` and `most_up` the line
    is held: connections stay open and carry nothing. `pause_s`: how long it rests after each piece of
    PIECE_BYTES in each direction of a connection.
    """

    def __init__(self, hub: int, pause_s: float = 0.0) -> None:
        self._hub, self._pause_s = hub, pause_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()  # guards all below
        self.connections = self.down = self.up = 0
        self._most_down = self._most_up = float("inf")
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, *, down: float = float("inf"), up: float = float("inf")) -> None:
        """Hold the line after so many more bytes in each direction."""
        with self._changed:
            self._most_down, self._most_up = self.down + down, self.up + up
            self._changed.notify_all()

    def held(self) -> bool:
        """Has it carried all that it may, in one direction?"""
        with self._changed:
            return self.down >= self._most_down or self.up >= self._most_up

    def free(self) -> None:
        """Let it carry everything."""
        self.hold()

    def stop(self) -> None:
        """End it and all it carries."""
        self.free()
        with self._changed:
            for one in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                box, _ = self._listener.accept()
                try:
                    hub = socket.create_connection(("127.0.0.1", self._hub))
                except OSError:
                    box.close()
                    continue
                with self._changed:
                    self.connections += 1
                    self._open += [box, hub]
                for source, target, way in ((hub, box, "down"), (box, hub, "up")):
                    threading.Thread(target=self._pass, args=(source, target, way), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                with self._changed:
                    self._changed.wait_for(lambda: getattr(self, way) < getattr(self, f"_most_{way}"))
                    setattr(self, way, getattr(self, way) + len(piece))
                target.sendall(piece)
                time.sleep(self._pause_s)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
