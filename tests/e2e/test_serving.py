"""`box serve` as it is installed: real nginx in front, and without it; started, stopped, killed."""

from __future__ import annotations

import json
import os
import re
import socket
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from sync.programs import find
from tests.e2e.stage import PATIENCE_S, Stage, ask, get, plain, wait_for

pytestmark = pytest.mark.e2e

NGINX = pytest.mark.skipif(find("nginx") is None, reason="no nginx here")
FRONTS = [pytest.param((), id="nginx", marks=NGINX), pytest.param(("--no-nginx",), id="alone")]
QUIET = ("--no-mdns", "--no-sync")
VIDEO = bytes(range(256)) * 4096  # 1 MiB


def lesson(folder: Path) -> Path:
    """A lesson with a film, a text, a page and a bundle, its names in Chinese."""
    here = folder / "第01课 大青树"
    (here / "笔顺").mkdir(parents=True)
    (here / "朗读.mp4").write_bytes(VIDEO)
    (here / "空.txt").write_bytes(b"")
    (here / "词语.txt").write_text("早晨\n", "utf-8")
    (here / "笔顺" / "index.html").write_text("<script src=a.js></script>", "utf-8")
    (here / "笔顺" / "a.js").write_text("1", "utf-8")
    return here


@pytest.fixture
def filled(paired: Stage, tmp_path: Path) -> Stage:
    """A box that has the lesson, brought as by a stick: the hub's folder is such a tree."""
    paired.publish(lesson(tmp_path / "source"), "--id", "dqs")
    paired.box("sync", "--once", "--from", str(paired.hub_data))
    return paired


def items(stage: Stage) -> dict[str, Any]:
    """Resources of the API by name."""
    return {one["name"]: one for one in ask(stage.url + "api/v1/resources?limit=100")["items"]}


def raw(stage: Stage, path: str, port: int = 0, method: str = "GET",
        **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request without following redirects."""
    connection = HTTPConnection("127.0.0.1", port or stage.box_port, timeout=PATIENCE_S)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def path_of(address: str) -> str:
    """The path of an address."""
    return re.sub(r"^https?://[^/]+", "", plain(address))


@pytest.mark.parametrize("front", FRONTS)
def test_files_and_pages_are_served(filled: Stage, front: tuple[str, ...]) -> None:
    service = filled.serve_box(*QUIET, *front)
    found = items(filled)
    video = path_of(found["朗读"]["url"])
    status, headers, body = raw(filled, video)
    assert (status, body) == (200, VIDEO)
    assert headers["content-type"] == "video/mp4" and headers["accept-ranges"] == "bytes"
    assert headers["etag"] == f'"{found["朗读"]["sha256"]}"' and "last-modified" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "filename*=UTF-8''%E6%9C%97%E8%AF%BB.mp4" in headers["content-disposition"]
    status, headers, body = raw(filled, video, Range="bytes=1000000-1000099")
    assert (status, body) == (206, VIDEO[1000000:1000100])
    assert headers["content-range"] == f"bytes 1000000-1000099/{len(VIDEO)}"
    assert raw(filled, video, Range="bytes=-5")[2] == VIDEO[-5:]
    assert raw(filled, video, Range="bytes=0-1,5-6")[::2] == (200, VIDEO)
    assert raw(filled, video, Range=f"bytes={len(VIDEO)}-")[0] == 416
    assert raw(filled, video, If_None_Match=headers["etag"])[::2] == (304, b"")
    assert raw(filled, video, Range="bytes=0-4", If_Range='"other"')[0] == 200
    assert raw(filled, video, Range="bytes=0-4", If_Range=headers["etag"])[0] == 206
    status, headers, body = raw(filled, video, method="HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(VIDEO)), b"")
    assert raw(filled, path_of(found["空"]["url"]))[::2] == (200, b"")
    assert raw(filled, path_of(found["词语"]["url"]))[1]["content-type"] == "text/plain; charset=utf-8"

    bundle = found["笔顺"]["url"]
    assert f":{filled.content_port}/c/dqs/" in bundle
    status, headers, body = raw(filled, path_of(bundle), filled.content_port)
    assert status == 200 and b"<script" in body
    assert "sandbox allow-scripts" in headers["content-security-policy"]
    assert "allow-same-origin" not in headers["content-security-policy"]
    main = path_of(bundle).replace("/c/", "/files/")
    assert raw(filled, main)[0] == 307, "no HTML from the origin of the pages"
    name = found["朗读"]["sha256"]
    assert raw(filled, f"/_objects/{name[:2]}/{name}")[0] in (404, 503), "only what the catalogue offers"
    assert raw(filled, "/files/dqs/..%2f..%2fpairing.toml")[0] == 404

    status, headers, body = get(filled.url, **{"Accept-Language": "zh"})
    assert status == 200 and "大青树" in body.decode() and "default-src 'none'" in headers[
        "content-security-policy"]
    wait_for("search", lambda: ask(filled.url + "api/v1/resources?q=langdu")["total"])
    assert service.stop() == 0
    assert "Traceback" not in service.text()
    assert filled.processes() == {}


@pytest.mark.parametrize("front", FRONTS)
def test_a_file_sent_by_form_is_confirmed_and_waits_for_the_hub(
        filled: Stage, front: tuple[str, ...]) -> None:
    filled.serve_box(*QUIET, *front)
    status, headers, body = raw(filled, "/upload", Accept_Language="en")
    cookie = headers["set-cookie"].split(";")[0]
    token = re.search(rb'name="token" value="(\w+)"', body)
    assert status == 200 and token
    data = os.urandom(2_000_000)

    def send(given: str, **more: str) -> tuple[int, dict[str, str], bytes]:
        fields = {"token": given, "title": "<b>练习</b>", "about": "数学", "license": "CC BY 4.0"}
        parts = b"".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
                         for k, v in fields.items())
        file = 'Content-Disposition: form-data; name="file"; filename="练习 二.pdf"'
        head = f"--x\r\n{file}\r\nContent-Type: application/pdf\r\n\r\n".encode()
        body = parts + head + data + b"\r\n--x--\r\n"
        connection = HTTPConnection("127.0.0.1", filled.box_port, timeout=PATIENCE_S)
        connection.request("POST", "/upload", body, {"Content-Type": "multipart/form-data; boundary=x",
                                                     "Cookie": cookie, "Accept-Language": "en", **more})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    assert send("0" * 64)[0] == 403
    assert send(token[1].decode(), Origin="http://evil.example")[0] == 403
    assert ask(filled.url + "api/v1/status")["uploads"]["waiting"] == 0
    status, headers, body = send(token[1].decode(), Origin=filled.url.rstrip("/"))
    assert status == 303, body[-2000:]
    page = get(filled.url.rstrip("/") + headers["location"], **{"Accept-Language": "en"})[2].decode()
    assert "&lt;b&gt;练习&lt;/b&gt;" in page and "is safe in the box" in page and "<b>练习" not in page
    assert ask(filled.url + "api/v1/status")["uploads"]["waiting"] == 1
    [stored] = [path for path in (filled.box_data / "outbox" / "objects").rglob("*") if path.is_file()]
    assert stored.read_bytes() == data
    assert not any((filled.box_data / "run" / "bodies").iterdir()), "nothing stays of the body"


def test_a_dropped_file_becomes_an_upload_once_it_is_quiet(paired: Stage) -> None:
    drop = paired.box_data / "uploads"
    (drop / "早.txt").write_text("before the start", "utf-8")
    paired.serve_box(*QUIET)
    with (drop / "晚.txt").open("w", encoding="utf-8") as slow:
        slow.write("half")
        slow.flush()
        wait_for("the first", lambda: not (drop / "早.txt").exists())
        time.sleep(3)
        assert (drop / "晚.txt").exists(), "somebody writes it"
        slow.write(" and half")
    wait_for("the second", lambda: not (drop / "晚.txt").exists())
    assert ask(paired.url + "api/v1/status")["uploads"]["waiting"] == 2
    assert {path.read_text("utf-8") for path in (paired.box_data / "outbox/objects").rglob("*")
            if path.is_file()} == {"before the start", "half and half"}


@pytest.mark.parametrize("front", FRONTS)
def test_after_sigkill_the_next_start_serves_at_once(filled: Stage, front: tuple[str, ...]) -> None:
    for _ in range(3):
        service = filled.serve_box(*QUIET, *front)  # would say if it had to be started twice
        service.kill()
    service = filled.serve_box(*QUIET, *front)
    assert items(filled)
    assert service.stop() == 0
    wait_for("the end of all", lambda: filled.processes() == {})


def test_what_keeps_it_from_starting_is_said(filled: Stage) -> None:
    service = filled.serve_box(*QUIET)
    error = filled.box("serve", *QUIET, "--http", "127.0.0.1:0", status=3)
    assert error["code"] == "box-serving"
    assert ask(filled.url + "healthz")["ok"], "the first goes on"
    service.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", filled.box_port))
        taken.listen()
        error = filled.box("serve", *QUIET, "--http", f"127.0.0.1:{filled.box_port}", status=1)
        assert error["code"] == "port-taken"
        assert error["facts"] == {"host": "127.0.0.1", "port": filled.box_port}
    assert filled.box("serve", "--http", "nowhere", status=2)["code"] == "listen-bad"
    assert filled.box("serve", *QUIET, data=filled.place / "none", status=3)["code"] == "not-a-box"


@pytest.mark.parametrize("front", FRONTS)
def test_a_file_gone_from_the_disk_is_a_problem_and_no_broken_answer(
        filled: Stage, front: tuple[str, ...]) -> None:
    filled.serve_box(*QUIET, *front)
    row = items(filled)["朗读"]
    (filled.box_data / "library/objects" / row["sha256"][:2] / row["sha256"]).unlink()
    assert raw(filled, path_of(row["url"]))[0] == 503
    problems = wait_for("the problem", lambda: ask(filled.url + "api/v1/status")["problems"])
    assert [one["code"] for one in problems] == ["object-lost"]
    assert not items(filled)["朗读"]["complete"], "offered to nobody until it is back"


@NGINX
def test_a_killed_nginx_comes_back(filled: Stage) -> None:
    filled.serve_box(*QUIET)
    masters = [pid for pid, words in filled.processes().items() if "nginx: master" in words[0]]
    assert len(masters) == 1
    os.kill(masters[0], 9)
    wait_for("answers", lambda: ask(filled.url + "healthz")["ok"])
    assert json.loads(urllib.request.urlopen(filled.url + "healthz").read())["role"] == "box"


def test_threads_share_the_places_of_memory(filled: Stage) -> None:
    """glibc keeps 64 MB of addresses for each arena beside the first: one here, however many threads."""
    service = filled.serve_box("--no-mdns", "--no-sync")
    for _ in range(40):
        assert get(filled.url)[0] == 200
    maps = Path(f"/proc/{service.process.pid}/maps").read_text().splitlines()
    bounds = [(int(first, 16), int(end, 16)) for first, end in (re.split("[- ]", line)[:2] for line in maps)]
    arenas = [at for at, (first, end) in enumerate(bounds[:-1])
              if first % 2**26 == 0 and bounds[at + 1][0] == end and bounds[at + 1][1] - first == 2**26]
    assert len(arenas) <= 1
