"""Clients that ask at a pace, as readers do: each at its own moments, over a connection of its own."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from bench.load import percentile

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Paced:
    """Answers with 200, and how long they took from question to last byte, in milliseconds."""

    answers: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def pace(url: str, paths: list[str], clients: int, pages_per_s: float, seconds: float) -> Paced:
    """So many clients ask for `paths` below `url` in turn, each so often and from a place of its own on. In
    a process of its own.

    Raises CalledProcessError where one was not answered with 200.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.pacing", url, str(clients), str(pages_per_s), str(seconds)],
        input=json.dumps(paths), capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Paced(**json.loads(done.stdout))


async def _run(url: str, paths: list[str], clients: int, pages_per_s: float, seconds: float) -> Paced:
    found = await asyncio.gather(*(_client(url, paths, number, clients, pages_per_s, seconds)
                                   for number in range(clients)))
    took_ms = [took * 1000 for one in found for took in one]
    return Paced(len(took_ms), *(percentile(took_ms, share) for share in (0.5, 0.95, 0.99)))


async def _client(url: str, paths: list[str], number: int, clients: int, pages_per_s: float,
                  seconds: float) -> list[float]:
    parts, chance = urlsplit(url), random.Random(number)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
    took = []
    began = time.monotonic()
    due = began + chance.random() / pages_per_s
    turn = number * len(paths) // clients
    while due < began + seconds:
        await asyncio.sleep(max(due - time.monotonic(), 0))
        asked = time.monotonic()
        writer.write(f"GET {paths[turn % len(paths)]} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        await asyncio.wait_for(_answer(reader), TIMEOUT_S)
        took.append(time.monotonic() - asked)
        turn += 1
        due += 1 / pages_per_s
    writer.close()
    return took


async def _answer(reader: asyncio.StreamReader) -> None:
    """Read one whole answer. Raises RuntimeError for one that is not 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    if " 200 " not in f"{head[0]} ":
        raise RuntimeError(head[0])
    fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    if "content-length" in fields:
        await reader.readexactly(int(fields["content-length"]))
        return
    while size := int((await reader.readline()).split(b";")[0], 16):
        await reader.readexactly(size + 2)
    await reader.readline()


if __name__ == "__main__":
    result = asyncio.run(_run(sys.argv[1], json.load(sys.stdin), int(sys.argv[2]), float(sys.argv[3]),
                              float(sys.argv[4])))
    print(json.dumps(asdict(result)))
