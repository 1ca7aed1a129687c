"""A TV without a browser: GUPnP, a real control point, finds the box in the network and takes a film."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.e2e.class_lessons import ffmpeg
from tests.e2e.networks import Machine, Room
from tests.e2e.stage import Stage, wait_for

#: The Python of Debian, which has GUPnP.
PYTHON = "/usr/bin/python3"
PORT = 8200


def _missing() -> bool:
    if os.geteuid() or None in map(which, ("ip", "minidlnad", "ffmpeg")) or not Path(PYTHON).exists():
        return True
    asked = 'import gi; gi.require_version("GUPnP", "1.6"); from gi.repository import GUPnP'
    return subprocess.run([PYTHON, "-c", asked], capture_output=True, check=False).returncode != 0


pytestmark = [pytest.mark.e2e, pytest.mark.root,
              pytest.mark.skipif(_missing(), reason="needs root, ip(8), minidlna and GUPnP")]

#: Looks for a media server and prints what it has: a line each, path, tab, address.
_TV = '''
import sys, warnings
import xml.etree.ElementTree as tree
warnings.simplefilter("ignore")
import gi
gi.require_version("GUPnP", "1.6")
from gi.repository import GLib, GObject, GUPnP
D = "{urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/}"
loop = GLib.MainLoop()
def show(server, parent, path):
    names = ["ObjectID", "BrowseFlag", "Filter", "StartingIndex", "RequestedCount", "SortCriteria"]
    values = [parent, "BrowseDirectChildren", "*", 0, 0, ""]
    action = GUPnP.ServiceProxyAction.new_from_list("Browse", names, values)
    server.call_action(action, None)
    _, [found] = action.get_result_list(["Result"], [GObject.TYPE_STRING])
    for one in tree.fromstring(found):
        here = (*path, one.findtext("{http://purl.org/dc/elements/1.1/}title"))
        if one.tag == D + "container":
            show(server, one.get("id"), here)
        else:
            print("/".join(here), one.findtext(D + "res"), sep="\\t")
def found(_point, server):
    show(server, "0", ())
    loop.quit()
context = GUPnP.Context.new("eth0", 0)
point = GUPnP.ControlPoint.new(context, "urn:schemas-upnp-org:service:ContentDirectory:1")
point.connect("service-proxy-available", found)
point.set_active(True)
GLib.timeout_add_seconds(10, loop.quit)
loop.run()
'''


def listed(tv: Machine) -> dict[str, str]:
    """What the TV shows: path → address."""
    done = subprocess.run([*tv.inside, PYTHON, "-c", _TV], capture_output=True, text=True, timeout=60,
                          check=False)
    return dict(line.split("\t") for line in done.stdout.splitlines())


def fetched(tv: Machine, address: str) -> bytes:
    return subprocess.run([*tv.inside, "curl", "-sf", "--max-time", "30", address], capture_output=True,
                          check=True).stdout


def test_a_tv_finds_the_box_and_takes_its_films(room: Room, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    lesson = tmp_path / "人教版" / "三年级上册" / "语文" / "第01课 大青树"
    lesson.mkdir(parents=True)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=2", "-pix_fmt", "yuv420p",
           str(lesson / "朗读.mp4"))
    (lesson / "课文.txt").write_text("早晨，从山坡上", "utf-8")
    stick = tmp_path / "stick"
    stick.mkdir()
    try:
        stage.set_up()
        published = stage.publish(lesson)
        stage.hub("carry", "s1", "--to", str(stick))
        stage.box("sync", "--once", "--from", str(stick))
        machine, tv = room.join(11), room.join(12)
        stage.inside = machine.inside
        service = stage.begin("box", "serve", "--data", str(stage.box_data), "--no-sync", "--no-mdns",
                              "--http", "0.0.0.0:8080", "--content", "0.0.0.0:8081", "--dlna", str(PORT))
        stage.inside = []
        found = wait_for("the film", lambda: service.up() and listed(tv))
        [(path, address)] = found.items()
        assert path == "三年级/语文/大青树/01 朗读", "films, sounds and pictures alone"
        assert fetched(tv, address) == (lesson / "朗读.mp4").read_bytes()

        [pid] = [pid for pid, words in stage.processes().items() if Path(words[0]).name == "minidlnad"]
        os.kill(pid, 9)
        wait_for("it again", lambda: service.up() and listed(tv))

        stage.hub("unassign", published["id"], "--to", "s1")
        stage.hub("carry", "s1", "--to", str(stick))
        stage.box("sync", "--once", "--from", str(stick))
        wait_for("its end", lambda: service.up() and not listed(tv))
        assert service.stop() == 0
        wait_for("nobody", lambda: not stage.processes())
    finally:
        stage.stop()
