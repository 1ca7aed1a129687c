"""How another device reaches this box: its addresses, and the first of them as a QR code."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import ifaddr
import segno
from markupsafe import Markup

#: Most addresses named on the page.
MOST_ADDRESSES = 5
#: How long the machine's numbers are believed, in seconds: asking for them costs as much as half a page.
NUMBERS_KEPT_S = 5.0


def addresses_of(site: str, host: str, scheme: str, now_s: float) -> list[str]:
    """Addresses to type, the surest first: by number, then by name. `host` is what this browser asked;
    `now_s` is the monotonic time."""
    name, port = _split(host)
    suffix = f":{port}" if port else ""
    numbers = local_numbers(int(now_s // NUMBERS_KEPT_S))
    names: list[str] = []
    if _is_number(name) and not name.startswith("127."):
        names.append(name)
    names += [number for number in numbers if number not in names]
    if name not in ("localhost", *names) and not _is_loopback(name):
        names.append(name)
    names += [f"{label}.local" for label in ("teachpoint", site) if f"{label}.local" not in names]
    return [f"{scheme}://{one}{suffix}/" for one in names[:MOST_ADDRESSES]]


@lru_cache(maxsize=1)
def local_numbers(_moment: int) -> tuple[str, ...]:
    """The IPv4 addresses of this machine on its networks, private ones first; looked up once a moment."""
    found: list[ipaddress.IPv4Address] = []
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            if one.is_IPv4:
                address = ipaddress.IPv4Address(str(one.ip))
                if not address.is_loopback and not address.is_link_local and address not in found:
                    found.append(address)
    return tuple(str(address) for address in sorted(found, key=lambda a: (not a.is_private, a)))


@lru_cache(maxsize=8)
def square(address: str, title: str = "") -> Markup:
    """The address (or another text, told as `title`) as a QR code: an SVG to stand inside a page, black on
    white by the style sheet."""
    svg = segno.make(address, error="m").svg_inline(
        border=4, omitsize=True, svgclass=None, lineclass="dark", title=title or address)
    return Markup(svg)  # noqa: S704 - made by segno, which escapes the title


def _split(host: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", host)
    return (match[1], match[2] or "") if match else ("localhost", "")


def _is_number(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
