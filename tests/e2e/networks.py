"""A classroom's network on this machine: a namespace with a switch, and one for each box. Needs root.

Inside a namespace the interface is `eth0`, at 198.51.100.x (TEST-NET-2, RFC 5737); the room itself is x = 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

NETWORK = "198.51.100"


class Room:
    """A switch with an address of its own; `join` adds a machine. `stop` takes all of it away."""

    def __init__(self) -> None:
        self._tag = f"tp{os.getpid()}"
        self.name = f"{self._tag}room"
        self._machines = [self.name]
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "add", "eth0", "type", "bridge")
        ip("-n", self.name, "addr", "add", f"{NETWORK}.1/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def join(self, number: int, *, plugged: bool = True) -> Machine:
        """A machine at NETWORK.number, its cable in the switch or not yet."""
        machine = Machine(f"{self._tag}m{number}", f"{NETWORK}.{number}")
        ip("netns", "add", machine.name)
        self._machines.append(machine.name)
        ip("-n", machine.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0",
           "netns", machine.name)
        ip("-n", self.name, "link", "set", f"port{number}", "master", "eth0", "up")
        if plugged:
            machine.plug()
        return machine

    @property
    def inside(self) -> list[str]:
        """Words before a command that run it in the room."""
        return ["ip", "netns", "exec", self.name]

    def stop(self) -> None:
        """End what still runs there, and remove everything."""
        for name in self._machines:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], check=False)


class Machine:
    """A namespace with one interface."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    @property
    def inside(self) -> list[str]:
        """Words before a command that run it there."""
        return ["ip", "netns", "exec", self.name]

    def plug(self) -> None:
        """Give it its address and its cable."""
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def move(self, address: str) -> None:
        """Another address instead of the one it has."""
        ip("-n", self.name, "addr", "flush", "dev", "eth0")
        self.address = address
        ip("-n", self.name, "addr", "add", f"{address}/24", "dev", "eth0")


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True)


def run_in(inside: Sequence[str], *words: str, timeout_s: float = 60) -> str:
    """What a command there prints; it must end well."""
    done = subprocess.run([*inside, *words], capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout
