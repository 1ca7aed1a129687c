"""Load: wrk flat out, streams held at their rate, a page asked meanwhile; and what servers spend on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")

#: One held stream: bytes per second, and bytes read at a time (a player's buffer is filled in pieces).
STREAM_BYTES_PER_S = 4_000_000 // 8
PIECE_BYTES = STREAM_BYTES_PER_S // 10
#: The receiving buffer of a held stream, in bytes: small, so that the server waits for the player.
STREAM_BUFFER_BYTES = 128 * 1024


@dataclass(frozen=True)
class Flood:
    """What wrk saw: requests, bytes and seconds; latencies in milliseconds; answers that were errors."""

    requests: int
    bytes: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    client_cpu_s: float

    @property
    def requests_per_s(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds

    @property
    def bytes_per_s(self) -> float:
        """Bytes received in a second."""
        return self.bytes / self.seconds


def flood(script: str, address: str, *arguments: str, connections: int, seconds: int,
          threads: int = 1) -> Flood:
    """Ask `address` from so many connections, each as fast as it is answered; `script` is a file of ours."""
    before = os.times()
    done = subprocess.run(
        ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s",
         "-s", str(HERE / script), address, "--", *arguments],
        capture_output=True, text=True, check=True, cwd=HERE)
    after = os.times()
    found = re.search(r"^RESULT (.*)$", done.stdout, re.M)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Flood(**json.loads(found[1]), client_cpu_s=spent)


@dataclass
class Spent:
    """CPU seconds that some processes used during a block."""

    seconds: float = 0.0


@contextlib.contextmanager
def cpu_of(pids: list[int]) -> Iterator[Spent]:
    """Count what these processes (which must go on running) use meanwhile."""
    spent = Spent()
    before = sum(_cpu_s(pid) for pid in pids)
    yield spent
    spent.seconds = sum(_cpu_s(pid) for pid in pids) - before


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1]


@dataclass(frozen=True)
class Held:
    """How held streams went: how many of how many kept their rate to the end; and the page meanwhile."""

    held: int
    streams: int
    page_p95_ms: float
    pages: int
    pages_failed: int


def hold_streams(address: str, page: str, streams: int, seconds: float) -> Held:
    """Hold so many streams of one film open at their rate, and ask for `page` ten times a second, in a
    process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.load", address, page, str(streams), str(seconds)],
                          capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Held(**json.loads(done.stdout))


async def _hold(address: str, page: str, streams: int, seconds: float) -> Held:
    latencies: list[float] = []
    players = [asyncio.create_task(_play(address, seconds)) for _ in range(streams)]
    failed = await _ask_pages(page, seconds, latencies)
    held = sum(await asyncio.gather(*players))
    p95_ms = percentile(latencies, 0.95) if len(latencies) > 1 else float("inf")
    return Held(held, streams, p95_ms, len(latencies), failed)


async def _play(address: str, seconds: float) -> bool:
    """Read one stream at its rate; did the bytes come in time to the end?"""
    parts = urlsplit(address)
    assert parts.hostname and parts.port
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STREAM_BUFFER_BYTES)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (parts.hostname, parts.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=PIECE_BYTES)
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nRange: bytes=0-\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        if b" 206 " not in head.split(b"\r\n")[0]:
            return False
        began, wanted = time.monotonic(), 0
        while (now := time.monotonic() - began) < seconds:
            while wanted < now * STREAM_BYTES_PER_S:  # a second late is a picture that stands still
                await asyncio.wait_for(reader.readexactly(PIECE_BYTES), 1.0)
                wanted += PIECE_BYTES
            await asyncio.sleep(PIECE_BYTES / STREAM_BYTES_PER_S / 2)
        return True
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    finally:
        connection.close()


async def _ask_pages(page: str, seconds: float, latencies: list[float]) -> int:
    """Ask ten times a second, each on a connection of its own; how many were not answered with 200."""
    parts = urlsplit(page)
    failed = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        asked = time.monotonic()
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                         "Connection: close\r\n\r\n".encode())
            body = await asyncio.wait_for(reader.read(-1), 10)
            writer.close()
            failed += b" 200 " not in body.split(b"\r\n")[0]
            latencies.append((time.monotonic() - asked) * 1000)
        except (OSError, TimeoutError):
            failed += 1
        await asyncio.sleep(max(0.1 - (time.monotonic() - asked), 0))
    return failed


if __name__ == "__main__":
    result = asyncio.run(_hold(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    print(json.dumps(result.__dict__))
