"""A TCP relay: the line between a box and its hub, which a test counts, holds still, cuts or spoils."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import threading
import time

PIECE_BYTES = 16 * 1024
_libc = ctypes.CDLL(None)
#: A `struct sockaddr` of AF_UNSPEC: connecting to it sends RST at once (connect(2)), as a router does that
#: has forgotten the connection; closing would wait for those who read.
_NOWHERE = bytes(16)


class Relay:
    """Listens on `port` of loopback (0: any) and passes everything on to the port `hub` there.

    `down` and `up` count the bytes passed to the box and to the hub; past `most_down` and `most_up` the line
    is held: connections stay open and carry nothing. `pause_s`: how long it rests after each piece of
    PIECE_BYTES in each direction of a connection.
    """

    def __init__(self, hub: int, pause_s: float = 0.0, port: int = 0) -> None:
        self._hub, self._pause_s = hub, pause_s
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()  # guards all below
        self.connections = self.down = self.up = 0
        self._most_down = self._most_up = float("inf")
        self._flip_at = {"down": float("inf"), "up": float("inf")}
        self.flipped = 0
        self._open: set[socket.socket] = set()
        self._listen()

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

    def cut(self, *, reset: bool = False) -> int:
        """End all connections, in order or (`reset`) without a word; how many there were."""
        with self._changed:
            ended = list(self._open)
            for one in ended:
                with contextlib.suppress(OSError):
                    if reset:
                        _libc.connect(one.fileno(), _NOWHERE, len(_NOWHERE))
                    one.shutdown(socket.SHUT_RDWR)
        return len(ended) // 2

    def leave(self) -> int:
        """The hub cannot be reached: nothing listens and nothing is open; how many connections there were."""
        self._deafen()
        return self.cut(reset=True)

    def come_back(self) -> None:
        """Listen again after `leave`."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listen()

    def flip(self, way: str, after_bytes: int) -> None:
        """Flip a bit of the byte that comes after so many more in the direction `way` ("down", "up")."""
        with self._changed:
            self._flip_at[way] = getattr(self, way) + after_bytes

    def stop(self) -> None:
        """End it and all it carries."""
        self.free()
        self.leave()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                box, _ = listener.accept()
                threading.Thread(target=self._carry, args=(box,), daemon=True).start()

    def _carry(self, box: socket.socket) -> None:
        """One connection to its end."""
        with contextlib.suppress(OSError), box, socket.create_connection(("127.0.0.1", self._hub)) as hub:
            with self._changed:
                self.connections += 1
                self._open |= {box, hub}
            down = threading.Thread(target=self._pass, args=(hub, box, "down"), daemon=True)
            down.start()
            try:
                self._pass(box, hub, "up")
                down.join()
            finally:
                with self._changed:
                    self._open -= {box, hub}

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                with self._changed:
                    self._changed.wait_for(lambda: getattr(self, way) < getattr(self, f"_most_{way}"))
                    piece = self._spoil(piece, way)
                    setattr(self, way, getattr(self, way) + len(piece))
                target.sendall(piece)
                time.sleep(self._pause_s)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _spoil(self, piece: bytes, way: str) -> bytes:
        at = self._flip_at[way] - getattr(self, way)
        if at >= len(piece):
            return piece
        self._flip_at[way] = float("inf")
        self.flipped += 1
        at = max(int(at), 0)
        return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
