"""What has come over a TCP connection and waits in the kernel behind a lost packet.

It no longer takes room on the line. Who counts it as still under way asks for too little: with 1 % of the
packets lost on a long line, an eighth of the line stayed empty (docs/decisions/0012).
"""

from __future__ import annotations

import socket
import struct

#: Where `tcp_info` (linux/tcp.h) has `tcpi_rcv_mss` and, from Linux 5.4 on, `tcpi_rcv_ooopack`, in bytes.
_SIZE_AT, _OUT_OF_ORDER_AT, _INFO_BYTES = 20, 224, 228
_NUMBER = struct.Struct("=I")


class HeldBack:
    """Of one connected socket; an estimate, as packets need not be alike. Nothing on older kernels."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._packets = 0  # that came before their turn, ever
        self._bytes = 0

    def look(self) -> int:
        """How many bytes are held back now. Raises OSError."""
        info = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        if len(info) == _INFO_BYTES:
            (packets,), (size,) = (_NUMBER.unpack_from(info, at) for at in (_OUT_OF_ORDER_AT, _SIZE_AT))
            self._bytes += (packets - self._packets) * size
            self._packets = packets
        return self._bytes

    def received(self, size: int) -> None:
        """So many bytes were read: what had been held back goes first. Raises OSError."""
        self._bytes = max(self.look() - size, 0)
