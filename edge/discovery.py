"""Being found without an address: DNS-SD services and names below `.local` (RFC 6762, 6763).

Announced are `_teachpoint._tcp` (for programs) at `<site>.local` and `_http._tcp` (for browsers) at
`teachpoint.local`. A name of a service that is taken when it is announced gets a number (zeroconf does it).
Names of hosts are held against the network here: one that answers for somebody else's address gets a number
too. Where two boxes meet later (two networks joined, two boxes switched on at once), one gives way: for a
host the one with the lower address, for a service the one with the lower record, as RFC 6762 §8.2 compares.

Nothing here is needed for a lesson: whatever fails is logged and tried again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ifaddr

from sync.clock import SYSTEM
from sync.logs import log

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

#: The host name that is the same at every box.
HOST = "teachpoint"
API = "/api/v1"
#: How often it is looked whether the network is another one, in seconds.
LOOK_EVERY_S = 5.0
#: How often the names in use are asked for, in seconds: nothing else tells two boxes that their networks
#: were joined, since those who look for them may be answered alone (RFC 6762 §5.4). 200 bytes each time.
ASK_EVERY_S = 30.0
#: Longest wait after failures, in seconds.
LONGEST_WAIT_S = 60.0
#: How long a name is asked for before it is used, in milliseconds (RFC 6762 §8.1 probes for 750 ms).
PROBE_MS = 800
#: Most names tried: so many boxes in one network is beyond any classroom.
MOST_NAMES = 50
#: Longest instance name and longest text of a TXT record, in bytes (RFC 6763 §4.1.1, §6.1).
MOST_INSTANCE_BYTES, MOST_TEXT_BYTES = 63, 255

#: Interfaces that lead to no classroom.
_INNER = ("docker", "veth", "br-", "virbr", "lxc", "cni", "flannel", "wg", "tun", "tap", "ifb", "dummy")

Addresses = Callable[[], frozenset[str]]


def addresses_of(host: str) -> frozenset[str]:
    """The IPv4 addresses under which a server that listens on `host` can be reached."""
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        with contextlib.suppress(ValueError):
            return frozenset({str(ipaddress.IPv4Address(host))})
        return frozenset()
    found = set()
    for adapter in ifaddr.get_adapters():
        if not str(adapter.name).startswith(_INNER):
            found |= {str(one.ip) for one in adapter.ips if one.is_IPv4}
    return frozenset(one for one in found if not ipaddress.IPv4Address(one).is_loopback)


class Discovery:
    """Announces one box from `start` to `stop`, in a thread; follows changes of the network."""

    def __init__(self, *, site: str, name: str, version: str, port: int, addresses: Addresses) -> None:
        self.site, self.name, self.version, self.port = site, name, version, port
        self._addresses = addresses
        self._ending = threading.Event()
        self._awake = threading.Event()
        self._lost: set[str] = set()  # labels that another host claimed with right; of zeroconf's thread
        self._services: dict[str, ServiceInfo] = {}  # what is announced, by its lower-case name
        self._lost_services: set[str] = set()  # of those, what another box has with right
        self._zeroconf: Zeroconf | None = None
        self._announced: frozenset[str] = frozenset()
        self._asked = 0.0  # when the names were asked for last, by the monotonic clock
        #: The labels in use, by the label that was wished for.
        self.hosts: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)

    def start(self) -> None:
        """Begin to announce."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and end."""
        self._ending.set()
        self._awake.set()
        self._thread.join(timeout=4)

    def _run(self) -> None:
        wait_s, told = LOOK_EVERY_S, ""
        while not self._ending.is_set():
            self._awake.clear()
            try:
                self._follow()
                wait_s, told = LOOK_EVERY_S, ""
            except Exception as error:  # no multicast, no network, a broken packet: lessons go on
                reason = f"{type(error).__name__}: {error}"
                if reason != told:
                    log("edge.discovery").warning("not-announced", reason=reason)
                told = reason
                self._leave()
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            self._awake.wait(wait_s)
        self._leave()

    def _follow(self) -> None:
        """Announce anew if the addresses have changed, or a name was lost to somebody else."""
        addresses = self._addresses()
        if addresses == self._announced and not self._lost and not self._lost_services:
            self._ask()
            return
        self._leave()
        if addresses:
            self._announce(addresses)

    def _announce(self, addresses: frozenset[str]) -> None:
        from zeroconf import IPVersion, ServiceInfo, Zeroconf

        self._zeroconf = zeroconf = Zeroconf(interfaces=sorted(addresses), ip_version=IPVersion.V4Only)
        taken, self._lost = set(self._lost), set()
        self.hosts = {}
        for wish in dict.fromkeys((HOST, self.site)):
            self.hosts[wish] = self._free_label(zeroconf, wish, addresses, taken | set(self.hosts.values()))
        zeroconf.add_listener(_listener(self._heard, self._heard_service, addresses), None)
        packed = [ipaddress.IPv4Address(one).packed for one in sorted(addresses)]
        for kind, wish, texts in (
                ("_http._tcp.local.", HOST, {"path": "/"}),
                ("_teachpoint._tcp.local.", self.site, self.texts())):
            if self._ending.is_set():
                return
            info = ServiceInfo(kind, f"{instance_name(self.name or self.site)}.{kind}", self.port,
                               addresses=packed, properties=texts, server=f"{self.hosts[wish]}.local.")
            zeroconf.register_service(info, allow_name_change=True)
            self._services[info.name.lower()] = info
        self._announced = addresses
        log("edge.discovery").info("announced", hosts=sorted(self.hosts.values()),
                                   addresses=sorted(addresses))

    def _ask(self) -> None:
        """Ask, now and then, who else has our names; `_heard` and `_heard_service` take the answers."""
        from zeroconf import DNSOutgoing, DNSQuestion
        from zeroconf.const import _CLASS_IN, _FLAGS_QR_QUERY, _TYPE_A, _TYPE_SRV

        if self._zeroconf is None or SYSTEM.monotonic() - self._asked < ASK_EVERY_S:
            return
        self._asked = SYSTEM.monotonic()
        query = DNSOutgoing(_FLAGS_QR_QUERY)
        for label in self.hosts.values():
            query.add_question(DNSQuestion(f"{label}.local.", _TYPE_A, _CLASS_IN))
        for info in self._services.values():
            query.add_question(DNSQuestion(info.name, _TYPE_SRV, _CLASS_IN))
        self._zeroconf.send(query)

    def texts(self) -> dict[str, str]:
        """The TXT record of `_teachpoint._tcp`."""
        wanted = {"site": self.site, "name": self.name, "version": self.version, "api": API}
        return {key: cut(value, MOST_TEXT_BYTES - len(key) - 1) for key, value in wanted.items()}

    def _free_label(self, zeroconf: Zeroconf, wish: str, addresses: frozenset[str], taken: set[str]) -> str:
        """The first of `wish`, `wish-2`, … that nobody else answers for."""
        from zeroconf import AddressResolverIPv4

        for number in range(1, MOST_NAMES):
            label = wish if number == 1 else f"{wish}-{number}"
            if label in taken:
                continue
            resolver = AddressResolverIPv4(f"{label}.local.")
            resolver.request(zeroconf, PROBE_MS)
            others = set(resolver.parsed_addresses()) - addresses
            if not others or self._ending.is_set():
                return label
            log("edge.discovery").warning("host-name-taken", host=label, by=sorted(others))
        return wish

    def _heard(self, name: str, address: str, ours: frozenset[str]) -> None:
        """Somebody says that `name` is at `address`, which is none of ours: who gives way?"""
        label = name.lower().removesuffix(".local.")
        if label in self.hosts.values() and _number(address) > max(map(_number, ours)):
            self._lost.add(label)
            self._awake.set()

    def _heard_service(self, name: str, port: int, server: str) -> None:
        """Somebody says that a service of our name is elsewhere: who gives way?"""
        ours = self._services.get(name.lower())
        if ours is not None and (port, server.lower()) > (ours.port or 0, (ours.server or "").lower()):
            self._lost_services.add(name.lower())
            self._awake.set()

    def _leave(self) -> None:
        zeroconf, self._zeroconf, self._announced = self._zeroconf, None, frozenset()
        services, self._services = self._services, {}
        lost, self._lost_services = self._lost_services, set()
        if zeroconf is None:
            return
        with contextlib.suppress(Exception):
            for name in lost & set(services):  # a goodbye for these would be taken for their owner's
                if zeroconf.loop is not None:
                    zeroconf.loop.call_soon_threadsafe(zeroconf.registry.async_remove, services[name])
            zeroconf.close()


def _listener(heard: Callable[[str, str, frozenset[str]], None],
              heard_service: Callable[[str, int, str], None], ours: frozenset[str]) -> Any:
    from zeroconf import DNSAddress, DNSService, RecordUpdate, RecordUpdateListener

    class Listener(RecordUpdateListener):
        def async_update_records(self, _zeroconf: Zeroconf, _now: float, records: list[RecordUpdate]) -> None:
            for record in records:
                new = record.new
                if isinstance(new, DNSAddress) and len(new.address) == 4 and new.ttl > 0:
                    address = str(ipaddress.IPv4Address(new.address))
                    if address not in ours:
                        heard(new.name, address, ours)
                elif isinstance(new, DNSService) and new.ttl > 0:
                    heard_service(new.name, new.port, new.server)

    return Listener()


def instance_name(name: str) -> str:
    """A service's name for people, from the site's name: one label of DNS."""
    plain = "".join(c if c.isprintable() else " " for c in name).replace(".", "．")
    return cut(" ".join(plain.split()), MOST_INSTANCE_BYTES - 4) or HOST  # room for a number behind it


def cut(text: str, most_bytes: int) -> str:
    """`text`, at most so many bytes of UTF-8, no character cut in two."""
    return text.encode("utf-8", "replace")[:max(most_bytes, 0)].decode("utf-8", "ignore")


def _number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


