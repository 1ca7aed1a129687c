"""The two addresses a box listens on: read from the command line, bound once, held until the end.

The sockets belong to this process. nginx inherits them, so while nginx is started again callers wait in the
queue instead of being refused; and where nginx cannot run, Python answers on the same sockets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from sync.errors import Broken, Misused

#: Callers that may wait to be accepted: a class of 60 devices with a few connections each.
BACKLOG = 512


@dataclass(frozen=True)
class Address:
    """Where to listen. `host` is an IPv4 or IPv6 address, or a name that resolves to one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT` (`0.0.0.0:8080`, `[::]:8080`; `:8080` means every address, IPv4 and IPv6).

    Raises Misused `listen-bad`.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]*)\]|([^\[\]:]*)):(\d{1,5})", text.strip())
    if not match or not 0 <= int(match[3]) < 65536:
        raise Misused("listen-bad", address=text)
    return Address(match[1] or match[2] or "::", int(match[3]))


def bind(address: Address) -> socket.socket:
    """Listen on `address`; port 0 takes a free one. `[::]` also takes IPv4 callers. Who accepts where nobody
    calls gets BlockingIOError.

    Raises Broken `port-taken`, `port-forbidden`; Misused `listen-bad` (no such address here).
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM,
                                   flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise Misused("listen-bad", address=address) from error
    try:
        listener = socket.socket(found[0], socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT and address.host == "::":
            return bind(Address("0.0.0.0", address.port))  # noqa: S104 - a machine without IPv6
        raise Misused("listen-bad", address=address) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0] == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(found[4])
        listener.listen(BACKLOG)
        # Two workers of nginx wake for one caller. The slower one would stand in `accept` until the next
        # caller, and all its films with it: nginx leaves an inherited socket as it finds it.
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Broken("port-taken", host=address.host, port=address.port) from error
        if error.errno == errno.EACCES:
            raise Broken("port-forbidden", host=address.host, port=address.port) from error
        raise Misused("listen-bad", address=address) from error
    return listener


def bind_unix(path: Path) -> socket.socket:
    """Listen on a unix socket at `path`, replacing one that a dead process left. Also where the path is
    longer than a socket's may be: it is reached through a handle on its folder."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o600)
        listener.listen(BACKLOG)
    finally:
        os.close(folder)
    return listener
