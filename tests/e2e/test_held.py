"""What the kernel holds back behind a lost packet, with a real kernel and packets of our own making."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.box.held import HeldBack

pytestmark = [pytest.mark.e2e, pytest.mark.root,
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
              pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs tun devices")]

#: TEST-NET-3 (RFC 5737): this machine and one that is not there.
HERE, THERE, PORT = "203.0.113.1", "203.0.113.2", 443
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SYN, ACK = 0x02, 0x10
SIZE = 1000


class Peer:
    """A hub of which every packet is written by hand."""

    def __init__(self) -> None:
        name = f"tp{os.getpid()}"[:15]
        self._line = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._line, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
        for words in (("addr", "add", f"{HERE}/30", "dev", name), ("link", "set", name, "up")):
            subprocess.run(["ip", *words], check=True, timeout=20)
        self._box_port = self._box_next = 0

    def meet(self) -> socket.socket:
        """A connection of this machine to it."""
        box = socket.socket()
        box.setblocking(False)
        box.connect_ex((THERE, PORT))
        self._box_port, sequence = self._question()
        self._box_next = sequence + 1
        self._say(SYN | ACK, 0)
        self._question()
        box.setblocking(True)
        box.settimeout(20)
        return box

    def send(self, number: int) -> None:
        """The packet of this number, from 0 on."""
        self._say(ACK, 1 + number * SIZE, bytes([number]) * SIZE)

    def close(self) -> None:
        os.close(self._line)

    def _question(self) -> tuple[int, int]:
        """Port and sequence number of the next TCP packet for it."""
        while True:
            packet = os.read(self._line, 2048)
            if packet[0] == 0x45 and packet[9] == socket.IPPROTO_TCP:
                port, _, sequence = struct.unpack("!HHI", packet[20:28])
                return port, sequence

    def _say(self, flags: int, sequence: int, data: bytes = b"") -> None:
        ends = socket.inet_aton(THERE) + socket.inet_aton(HERE)
        tcp = struct.pack("!HHIIBBHHH", PORT, self._box_port, sequence, self._box_next, 5 << 4, flags, 65535,
                          0, 0)
        whole = checksum(ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp) + len(data)) + tcp + data)
        tcp = tcp[:16] + struct.pack("!H", whole) + tcp[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(data), 0, 0, 64, socket.IPPROTO_TCP, 0)
        head += ends
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        os.write(self._line, head + tcp + data)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def read(box: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += box.recv(size - len(data))
    return data


def test_what_came_behind_a_lost_packet_is_held_back_until_that_comes(peer: Peer) -> None:
    with peer.meet() as box:
        held = HeldBack(box)
        peer.send(0)
        held.received(len(read(box, SIZE)))
        assert held.look() == 0
        for number in (2, 3, 4):  # 1 is lost
            peer.send(number)
        assert held.look() == 3 * SIZE
        assert held.look() == 3 * SIZE, "looking changes nothing"
        peer.send(1)
        data = read(box, 4 * SIZE)
        assert data == b"".join(bytes([number]) * SIZE for number in (1, 2, 3, 4))
        held.received(len(data))
        assert held.look() == 0


def test_two_holes_are_let_go_one_after_the_other(peer: Peer) -> None:
    with peer.meet() as box:
        held = HeldBack(box)
        peer.send(0)
        held.received(len(read(box, SIZE)))
        for number in (2, 4):
            peer.send(number)
        assert held.look() == 2 * SIZE
        peer.send(1)
        held.received(len(read(box, 2 * SIZE)))
        assert held.look() == 0 or held.look() == SIZE
        peer.send(3)
        held.received(len(read(box, 2 * SIZE)))
        assert held.look() == 0
