"""Boxes in a classroom's network, found by other programs: zeroconf in another process, and avahi's tools.

Each box and each seeker has a network namespace of its own, so nothing of this machine's network is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from tests.e2e.networks import NETWORK, Machine, Room, run_in
from tests.e2e.stage import Service, Stage, wait_for

pytestmark = [
    pytest.mark.e2e, pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or which("ip") is None, reason="needs root and ip(8)")]

AVAHI = pytest.mark.skipif(None in map(which, ("avahi-daemon", "avahi-browse", "dbus-daemon")),
                           reason="needs avahi-daemon, avahi-utils, dbus")

#: Browses for both services and asks for the names given, then prints what it found as JSON.
_SEEK = """
import json, sys, time
from zeroconf import AddressResolverIPv4, ServiceBrowser, Zeroconf
network = Zeroconf(interfaces=[sys.argv[1]])
names = set()
def heard(zeroconf, service_type, name, state_change):
    names.add((service_type, name))
kinds = ["_teachpoint._tcp.local.", "_http._tcp.local."]
ServiceBrowser(network, kinds, handlers=[heard])
time.sleep(1.5)
found = {"services": [], "hosts": {}}
for kind, name in sorted(names):
    info = network.get_service_info(kind, name, 1500)
    if info:
        found["services"].append({
            "kind": kind.removesuffix(".local."), "name": name.removesuffix("." + kind), "port": info.port,
            "server": info.server, "addresses": sorted(info.parsed_addresses()),
            "texts": {k.decode(): (v or b"").decode() for k, v in info.properties.items()}})
for host in sys.argv[2:]:
    resolver = AddressResolverIPv4(host + ".local.")
    resolver.request(network, 1500)
    found["hosts"][host] = sorted(resolver.parsed_addresses())
print(json.dumps(found))
"""

#: Prints each service that appears or goes, until it is killed.
_WATCH = """
import sys, time
from zeroconf import ServiceBrowser, Zeroconf
network = Zeroconf(interfaces=[sys.argv[1]])
def heard(zeroconf, service_type, name, state_change):
    print(state_change.name, name, flush=True)
ServiceBrowser(network, ["_teachpoint._tcp.local.", "_http._tcp.local."], handlers=[heard])
time.sleep(120)
"""


@pytest.fixture(scope="module")
def pairings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairing files of two sites with one name, as `<site>.toml`."""
    place = tmp_path_factory.mktemp("hub")
    stage = Stage(place)
    stage.hub("init", "--name", "中心校", "--address", "127.0.0.1", "--ssh-port", str(stage.ssh_port),
              "--https-port", str(stage.https_port))
    for site in ("dqs", "xqs"):
        stage.hub("site", "add", site, "--name", "青山 教学点", "--pairing", str(place / f"{site}.toml"))
    return place


class Boxes:
    """Boxes that run in machines of the room."""

    def __init__(self, place: Path, pairings: Path) -> None:
        self._place, self._pairings = place, pairings
        self._stages: list[Stage] = []

    def start(self, machine: Machine, site: str = "dqs") -> Service:
        """`box serve` in this machine, as it is installed; it may not be announced yet."""
        place = self._place / machine.name
        place.mkdir()
        stage = Stage(place, site)
        self._stages.append(stage)
        stage.run("box", "init", "--pairing", str(self._pairings / f"{site}.toml"), "--data",
                  str(stage.box_data))
        stage.inside = machine.inside
        return Service(stage, ("box", "serve", "--data", str(stage.box_data), "--no-sync", "--http",
                               "0.0.0.0:8080", "--content", "0.0.0.0:8081"))

    def announced(self, machine: Machine, site: str = "dqs") -> Service:
        """The same, once it says that it is announced."""
        service = self.start(machine, site)
        wait_for("the announcement", lambda: service.up() and announcements(service))
        return service

    def stop(self) -> None:
        for stage in self._stages:
            stage.stop()


@pytest.fixture
def boxes(tmp_path: Path, pairings: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, pairings)
    try:
        yield made
    finally:
        made.stop()


def announcements(service: Service) -> list[Any]:
    """The `announced` lines of its log."""
    lines = (line for line in service.text().splitlines() if line.startswith("{"))
    return [line for line in map(json.loads, lines) if line["event"] == "announced"]


def seek(room: Room, *hosts: str) -> Any:
    """What a program in the room finds: services, and the addresses of `<host>.local`."""
    return json.loads(run_in(room.inside, sys.executable, "-c", _SEEK, f"{NETWORK}.1", *hosts))


def find_all(room: Room, *hosts: str, services: int) -> Any:
    """The same, once so many services and an address for each name are found: answers may be slow."""
    def there() -> Any:
        found = seek(room, *hosts)
        return found if len(found["services"]) >= services and all(found["hosts"].values()) else None
    return wait_for(f"{services} services and {', '.join(hosts)}", there)


def test_a_program_of_another_machine_finds_the_services_and_the_names(room: Room, boxes: Boxes) -> None:
    machine = room.join(11)
    boxes.announced(machine)
    found = find_all(room, "teachpoint", "dqs", services=2)
    by_kind = {one["kind"]: one for one in found["services"]}
    assert sorted(by_kind) == ["_http._tcp", "_teachpoint._tcp"] and len(found["services"]) == 2
    ours, web = by_kind["_teachpoint._tcp"], by_kind["_http._tcp"]
    assert ours["name"] == web["name"] == "青山 教学点"
    assert ours["texts"].pop("version")
    assert ours["texts"] == {"site": "dqs", "name": "青山 教学点", "api": "/api/v1"}
    assert ours["server"] == "dqs.local." and web["server"] == "teachpoint.local."
    assert ours["port"] == web["port"] == 8080
    assert ours["addresses"] == web["addresses"] == [machine.address]
    assert found["hosts"] == {"teachpoint": [machine.address], "dqs": [machine.address]}
    # What was found works.
    address = f"http://{web['addresses'][0]}:{web['port']}{ours['texts']['api']}/status"
    status = json.loads(run_in(room.inside, sys.executable, "-c", "import sys, urllib.request as u;"
                               "print(u.urlopen(sys.argv[1]).read().decode())", address))
    assert status["site"] == "dqs"


def test_a_second_box_takes_names_that_are_free(room: Room, boxes: Boxes) -> None:
    """RFC 6762 §9 and RFC 6763 §D: who comes later takes a name with a number; nobody loses what it has."""
    first, second = room.join(11), room.join(12)
    boxes.announced(first, "dqs")
    boxes.announced(second, "xqs")
    found = find_all(room, "teachpoint", "teachpoint-2", "dqs", "xqs", services=4)
    assert found["hosts"] == {"teachpoint": [first.address], "teachpoint-2": [second.address],
                              "dqs": [first.address], "xqs": [second.address]}
    names = {one["texts"]["site"]: one["name"] for one in found["services"]
             if one["kind"] == "_teachpoint._tcp"}
    assert names["dqs"] == "青山 教学点"
    assert names["xqs"] != names["dqs"] and names["xqs"].startswith("青山 教学点")
    assert len([one for one in found["services"] if one["kind"] == "_http._tcp"]) == 2


def test_boxes_switched_on_at_once_agree_who_has_the_name(room: Room, boxes: Boxes) -> None:
    """After a power cut all start together: in the end each name has one owner, and both boxes are found."""
    machines = [room.join(11), room.join(12)]
    for machine, site in zip(machines, ("dqs", "xqs"), strict=True):
        boxes.start(machine, site)

    def settled() -> bool:
        found = seek(room, "teachpoint", "teachpoint-2")
        sites = [one["texts"]["site"] for one in found["services"] if one["kind"] == "_teachpoint._tcp"]
        return (sorted(found["hosts"].values()) == [[machine.address] for machine in machines]
                and sorted(sites) == ["dqs", "xqs"])

    wait_for("one owner for each name", settled)


def test_two_networks_that_are_joined_agree_who_has_the_name(room: Room, boxes: Boxes) -> None:
    """Each box had `teachpoint.local` to itself until a cable joined them."""
    first, second = room.join(11), room.join(12)
    run_in(["ip"], "-n", room.name, "link", "set", "port12", "down")
    boxes.announced(first, "dqs")
    alone = boxes.announced(second, "xqs")
    assert announcements(alone)[0]["hosts"] == ["teachpoint", "xqs"]
    run_in(["ip"], "-n", room.name, "link", "set", "port12", "up")

    def settled() -> bool:
        found = seek(room, "teachpoint", "teachpoint-2")
        sites = [one["texts"]["site"] for one in found["services"] if one["kind"] == "_teachpoint._tcp"]
        return (sorted(found["hosts"].values()) == [[first.address], [second.address]]
                and sorted(sites) == ["dqs", "xqs"])

    wait_for("one owner for each name", settled)


def test_it_says_goodbye(room: Room, boxes: Boxes) -> None:
    """Who browses sees it go at once, not when its records expire in 75 minutes."""
    machine = room.join(11)
    service = boxes.announced(machine)
    watcher = subprocess.Popen([*room.inside, sys.executable, "-c", _WATCH, f"{NETWORK}.1"],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert watcher.stdout is not None
        came = sorted(watcher.stdout.readline().split()[0] for _ in range(2))
        assert came == ["Added", "Added"]
        pids = run_in(["ip"], "netns", "pids", machine.name).split()
        assert str(service.process.pid) in pids, "ip(8) becomes the program: the signal reaches it"
        assert service.stop() == 0
        went = sorted(watcher.stdout.readline().split(" ", 1)[0] for _ in range(2))
        assert went == ["Removed", "Removed"]
    finally:
        watcher.kill()
        watcher.wait()
    assert seek(room, "teachpoint") == {"services": [], "hosts": {"teachpoint": []}}


def test_it_follows_its_network(room: Room, boxes: Boxes) -> None:
    """Switched on before its cable is in, and given another address later: found without a restart."""
    machine = room.join(11, plugged=False)
    service = boxes.start(machine)
    wait_for("the pages", lambda: service.up() and "serving" in service.text())
    assert seek(room, "teachpoint")["hosts"]["teachpoint"] == []
    machine.plug()

    def followed() -> bool:
        found = seek(room, "teachpoint", "dqs")
        addresses = [*found["hosts"].values(), *(one["addresses"] for one in found["services"])]
        return addresses == [[machine.address]] * 4

    wait_for("its first address", followed)
    machine.move(f"{NETWORK}.77")
    wait_for("its second address", followed)


# -- avahi ------------------------------------------------------------------------------------------

#: A private /run for a private system bus and daemon; the mounts are seen in this process tree alone.
_AVAHI = """
mount -t tmpfs none /run && mkdir -p /run/dbus /run/avahi-daemon &&
dbus-daemon --system --nopidfile --fork &&
exec avahi-daemon --no-drop-root --no-chroot --no-rlimits --file="$1"
"""


@pytest.fixture
def avahi(room: Room, tmp_path: Path) -> Iterator[list[str]]:
    """Words before avahi's tools that run them in the room, beside a daemon of their own."""
    configuration = tmp_path / "avahi.conf"
    configuration.write_text("[server]\nhost-name=seeker\nuse-ipv6=no\nallow-interfaces=eth0\n"
                             "enable-dbus=yes\ndisallow-other-stacks=no\n")
    daemon = subprocess.Popen([*room.inside, "sh", "-c", _AVAHI, "avahi", str(configuration)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    inside = ["nsenter", "-t", str(daemon.pid), "-n", "-m"]
    try:
        wait_for("avahi-daemon", lambda: daemon.poll() is None and subprocess.run(
            [*inside, "avahi-browse", "-t", "-a"], capture_output=True, check=False).returncode == 0, 20)
        yield inside
    finally:
        daemon.terminate()
        daemon.communicate()


def browse(avahi: list[str], kind: str) -> list[list[str]]:
    """What avahi-browse resolves: [=, interface, protocol, name, type, domain, host, address, port, txt]."""
    lines = run_in(avahi, "avahi-browse", "--parsable", "--resolve", "--terminate", kind).splitlines()
    return [line.split(";", 9) for line in lines if line.startswith("=")]


@AVAHI
def test_avahi_finds_it_too(room: Room, boxes: Boxes, avahi: list[str]) -> None:
    """The other mDNS in the world (Linux desktops, printers, many appliances): browse and resolve."""
    machine = room.join(11)
    service = boxes.announced(machine)

    def found(kind: str) -> list[list[str]]:
        return wait_for(kind, lambda: browse(avahi, kind))

    [ours] = found("_teachpoint._tcp")
    assert unescaped(ours[3]) == "青山 教学点"
    assert ours[6:9] == ["dqs.local", machine.address, "8080"]
    assert {'"site=dqs"', '"api=/api/v1"'} <= set(ours[9].split())
    assert '"name=青山 教学点"' in unescaped(ours[9])
    [web] = found("_http._tcp")
    assert web[6:9] == ["teachpoint.local", machine.address, "8080"]
    for host in ("teachpoint.local", "dqs.local"):
        assert run_in(avahi, "avahi-resolve", "-4", "-n", host).split() == [host, machine.address]
    assert service.stop() == 0
    wait_for("the goodbye", lambda: not browse(avahi, "_teachpoint._tcp"))
    assert browse(avahi, "_http._tcp") == []


@AVAHI
def test_a_name_that_avahi_has_is_left_to_it(room: Room, boxes: Boxes, avahi: list[str]) -> None:
    """A machine called `teachpoint` was there first."""
    run_in(avahi, "avahi-set-host-name", "teachpoint")
    machine = room.join(11)
    service = boxes.announced(machine)
    assert announcements(service)[0]["hosts"] == ["dqs", "teachpoint-2"]
    assert run_in(avahi, "avahi-resolve", "-4", "-n", "teachpoint-2.local").split()[1] == machine.address
    assert run_in(avahi, "avahi-resolve", "-4", "-n", "teachpoint.local").split()[1] == f"{NETWORK}.1"


def unescaped(text: str) -> str:
    """avahi-browse writes bytes that are not letters as `\\ddd`, in decimal."""
    raw = bytearray()
    rest = text.encode()
    while rest:
        if rest[:1] == b"\\" and rest[1:4].isdigit():
            raw.append(int(rest[1:4]))
            rest = rest[4:]
        else:
            raw += rest[:1]
            rest = rest[1:]
    return raw.decode()
