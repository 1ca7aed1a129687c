"""Kolibri from PyPI as the peer of a benchmark: installed, filled and started in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.stage import free_port

VERSION = "0.19.5"
START_PATIENCE_S = 180.0
LEARN = "/en/learn/"

#: Makes a channel of so many topics with so many resources each, by Kolibri's own models; prints its id.
_FILL = '''
import sys, uuid
from kolibri.utils.main import initialize
initialize()
from django.utils import timezone
from kolibri.core.content.models import ChannelMetadata, ContentNode, File, LocalFile
lessons, each, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
def name(*parts): return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))).hex
channel = name("channel")
def node(id, title, kind, left, right, level, parent):
    return ContentNode(id=id, title=title, content_id=name("c", id), channel_id=channel, available=True,
                       kind=kind, lft=left, rght=right, tree_id=1, level=level, parent_id=parent,
                       sort_order=left)
nodes, local, files, at = [], [], [], 2
for lesson in range(lessons):
    topic, first, inside = name("lesson", lesson), at, []
    at += 1
    for place in range(each):
        one = name("resource", lesson, place)
        inside.append(node(one, f"{words[lesson % len(words)]} {place}", "document", at, at + 1, 2, topic))
        at += 2
        local.append(LocalFile(id=one, extension="pdf", available=True, file_size=1000))
        files.append(File(id=name("file", lesson, place), local_file_id=one, contentnode_id=one,
                          preset="document", supplementary=False, thumbnail=False, priority=1))
    title = f"{lesson % 30 + 1:02} {words[lesson % len(words)]}"
    nodes += [node(topic, title, "topic", first, at, 1, channel), *inside]
    at += 1
for model, rows in ((ContentNode, [node(channel, "Lessons", "topic", 1, at, 0, None), *nodes]),
                    (LocalFile, local), (File, files)):
    model.objects.bulk_create(rows, batch_size=500)
ChannelMetadata.objects.create(id=channel, name="Lessons", root_id=channel, version=1, min_schema_version="5",
                               last_updated=timezone.now(), total_resource_count=lessons * each,
                               published_size=1)
print(channel)
'''


@dataclass(frozen=True)
class Kolibri:
    """A running one: its address, its channel's id, its processes, and seconds from start to first page."""

    url: str
    channel: str
    pids: list[int]
    start_s: float


@contextlib.contextmanager
def kolibri(place: Path, lessons: int, each: int, words: list[str]) -> Iterator[Kolibri]:
    """Kolibri with a channel while the block runs. Raises CalledProcessError where it cannot be installed."""
    place.mkdir()
    program, home = _installed(place), place / "home"
    environment = {**os.environ, "KOLIBRI_HOME": str(home), "NO_COLOR": "1"}

    def run(*words: str) -> str:
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=True,
                              timeout=1200).stdout

    run(str(program), "manage", "provisiondevice", "--facility", "School", "--superusername", "admin",
        "--superuserpassword", "adminadmin", "--preset", "informal", "--language_id", "en",
        "--verbosity", "0", "--noinput")
    (place / "fill.py").write_text(_FILL, "utf-8")
    channel = run(str(program.with_name("python")), str(place / "fill.py"), str(lessons), str(each),
                  *words).split()[-1]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    process = subprocess.Popen([str(program), "start", "--foreground", "--port", str(port), "--zip-port",
                                str(free_port())], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not _answers(url + LEARN):
            if process.poll() is not None or time.monotonic() - began > START_PATIENCE_S:
                raise RuntimeError("Kolibri does not start")
            time.sleep(0.05)
        yield Kolibri(url, channel, _session(process.pid), time.monotonic() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait(10)


def _installed(place: Path) -> Path:
    """Its program: the one on the PATH, or a fresh one from PyPI."""
    if found := shutil.which("kolibri"):
        return Path(found)
    folder = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    subprocess.run([str(folder / "bin" / "pip"), "install", "-q", f"kolibri=={VERSION}"], check=True,
                   timeout=900)
    return folder / "bin" / "kolibri"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200 and answer.read())
    except (OSError, urllib.error.HTTPError):
        return False


def _session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                found.append(int(entry.name))
    return found
