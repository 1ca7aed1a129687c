"""HTTPS for boxes: real `hub serve`, real nginx, asked as a box would ask."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync.programs import find
from tests.e2e.https_client import Client, credentials, curl
from tests.e2e.stage import Stage, can_connect, get, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(find("nginx") is None, reason="no nginx here")]

BOX = "0123456789abcdef"
SEGMENT = f"/v1/inbox/segments/{BOX}/0000000001.segment"
FILM_BYTES = 24 * 1024 * 1024


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("https")


@pytest.fixture(scope="module")
def hub(place: Path) -> Iterator[Stage]:
    """A hub that serves, with one site and a film."""
    stage = Stage(place)
    stage.set_up()
    lesson = place / "lessons" / "课"
    lesson.mkdir(parents=True)
    (lesson / "film.mp4").write_bytes(random.Random(5).randbytes(FILM_BYTES))
    stage.publish(lesson)
    stage.serve_hub()
    yield stage
    stage.stop()


@pytest.fixture
def box(hub: Stage, place: Path) -> Iterator[Client]:
    client = Client(hub.https_port, credentials(hub.pairing, place))
    yield client
    client.close()


def film(stage: Stage) -> tuple[str, Path]:
    """Name and file of the largest object."""
    found = max((stage.hub_data / "library/objects").rglob("*"), key=lambda path: path.stat().st_size)
    return found.name, found


def status(stage: Stage, site: str) -> Any:
    [found] = stage.hub("status", site)
    return found


def test_an_object_is_sent_by_its_name_whole_and_in_ranges(hub: Stage, box: Client) -> None:
    name, file = film(hub)
    code, headers, body = box.ask("GET", f"/v1/objects/{name}")
    assert (code, body == file.read_bytes()) == (200, True)
    assert headers.keys().isdisjoint({"last-modified", "etag", "content-type"}), "each byte is paid for"
    code, headers, body = box.ask("GET", f"/v1/objects/{name}", Range="bytes=1000000-1065535")
    assert (code, headers["content-range"]) == (206, f"bytes 1000000-1065535/{FILM_BYTES}")
    assert body == file.read_bytes()[1_000_000:1_065_536]
    assert box.ask("GET", f"/v1/objects/{'0' * 64}")[0] == 404
    assert len(box.ask("GET", "/v1/packs/nothing")[2]) == 1, "and an answer that is no has one byte"


def test_http_2_is_spoken(hub: Stage, place: Path) -> None:
    name, file = film(hub)
    done = curl(hub.https_port, credentials(hub.pairing, place), f"/v1/objects/{name}", "-w",
                "%{http_version}")
    assert done.stdout == file.read_bytes() + b"2"


def test_a_segment_lies_in_the_inbox_whole_and_is_taken_in(hub: Stage, box: Client) -> None:
    assert box.ask("PUT", SEGMENT, b"not a segment" * 1000)[0] == 201
    refused = hub.hub_data / "inbox" / hub.site / "refused"
    wait_for("the hub to look at it", lambda: list(refused.glob("*")) and
             "segment-malformed" in {one["code"] for one in status(hub, hub.site)["problems"]})
    left = [path for path in (hub.hub_data / "run/https/body").rglob("*") if path.is_file()]
    assert left == [], "nothing temporary stays"


def test_a_box_that_asks_for_news_was_there(hub: Stage, box: Client, place: Path) -> None:
    other = place / "other.toml"
    hub.hub("site", "add", "other", "--name", "二号", "--pairing", str(other))
    client = Client(hub.https_port, credentials(other, place))
    wait_for("the new site to be known", lambda: _asked(client, "/v1/news") != 403)
    assert wait_for("its contact", lambda: status(hub, "other")["last_contact"])
    assert status(hub, hub.site)["last_contact"] is None, "what another asks does not count"
    client.close()


def _asked(client: Client, path: str) -> int:
    """The status of a fresh connection's answer."""
    client.close()
    return client.ask("GET", path, Range="bytes=0-0")[0]


def test_a_site_that_was_added_or_rekeyed_disturbs_no_transfer(hub: Stage, place: Path, box: Client) -> None:
    name, file = film(hub)
    box.connection.request("GET", f"/v1/objects/{name}")
    answer = box.connection.getresponse()
    begin = answer.read(1000)
    third = place / "third.toml"
    hub.hub("site", "add", "third", "--name", "三号", "--pairing", str(third))
    client = Client(hub.https_port, credentials(third, place))
    wait_for("the new site to be known", lambda: _asked(client, "/v1/news") != 403)
    assert begin + answer.read() == file.read_bytes()
    client.close()


def test_a_revoked_site_is_out_at_once_also_with_what_is_open(hub: Stage, place: Path, box: Client) -> None:
    name, _ = film(hub)
    lost = place / "lost.toml"
    hub.hub("site", "add", "lost", "--name", "丢失", "--pairing", str(lost))
    thief, idle = (Client(hub.https_port, credentials(lost, place)) for _ in range(2))
    wait_for("the new site to be known", lambda: _asked(thief, "/v1/news") != 403)
    assert idle.ask("GET", f"/v1/objects/{name}", Range="bytes=0-0")[0] == 206
    thief.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    thief.connection.request("GET", f"/v1/objects/{name}")
    answer = thief.connection.getresponse()
    answer.read(1000)
    hub.hub("site", "revoke", "lost")
    fresh = Client(hub.https_port, credentials(lost, place))
    wait_for("its key to open nothing", lambda: _asked(fresh, f"/v1/objects/{name}") == 403)
    wait_for("old connections to be ended", lambda: len(_nginx(hub)) <= 3)
    with pytest.raises((http.client.HTTPException, OSError)):
        answer.read()
    with pytest.raises((http.client.HTTPException, OSError)):
        idle.ask("GET", f"/v1/objects/{name}", Range="bytes=0-0")
    assert box.ask("GET", f"/v1/objects/{name}", Range="bytes=0-0")[0] == 206, "others go on"
    # With new keys the site is in again, the old key is not.
    again = place / "again.toml"
    hub.hub("site", "rekey", "lost", "--pairing", str(again))
    (place / "again").mkdir()
    renewed = Client(hub.https_port, credentials(again, place / "again"))
    wait_for("the new key to be known", lambda: _asked(renewed, f"/v1/objects/{name}") == 206)
    assert _asked(fresh, f"/v1/objects/{name}") == 403


def _nginx(stage: Stage) -> list[int]:
    return [pid for pid, words in stage.processes().items() if words[0].startswith("nginx")]


def test_killed_nginx_comes_back_and_a_killed_hub_leaves_none(stage: Stage, tmp_path: Path) -> None:
    stage.set_up()
    service = stage.serve_hub()
    client = Client(stage.https_port, credentials(stage.pairing, tmp_path))
    [master] = [pid for pid, words in stage.processes().items() if words[0].startswith("nginx: master")]
    os.kill(master, signal.SIGKILL)
    wait_for("another nginx", lambda: service.text().count('"nginx-started"') == 2)
    assert _asked(client, "/v1/objects/x") == 404
    wait_for("the problem to go", lambda: b"https-failing" not in _console(stage))
    service.kill()
    wait_for("nginx to end", lambda: _nginx(stage) == [])
    service = stage.serve_hub()
    assert _asked(client, "/v1/objects/x") == 404
    assert service.stop() == 0
    assert _nginx(stage) == []


def _console(stage: Stage) -> bytes:
    return get(f"http://127.0.0.1:{stage.hub_port}/")[2]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_nginx_the_hub_goes_on_over_ssh_and_says_so(paired: Stage, language: str) -> None:
    """A port that is taken stands for all that keeps nginx from running."""
    paired.environment["TEACHPOINT_LANG"] = language
    with socket.create_server(("127.0.0.1", paired.https_port)):
        service = paired.serve_hub()
        wait_for("the problem", lambda: '"nginx-ended"' in service.text())
        findings = paired.run("doctor", "--data", str(paired.hub_data))
        [found] = [one for one in findings if one["check"] == "https"]
        assert found["state"] == "warn" and found["error"]["code"] == "https-failing"
        assert "SSH" in found["error"]["advice"] and "Address already in use" in found["error"]["message"]
        assert can_connect(paired.ssh_port)
        assert paired.sync()["ok"]
    wait_for("nginx, once the port is free", lambda: '"nginx-started"' in service.text())
    findings = paired.run("doctor", "--data", str(paired.hub_data))
    assert [one["state"] for one in findings if one["check"] == "https"] == ["ok"]


def test_a_hub_may_have_no_https(stage: Stage) -> None:
    stage.hub("init", "--name", "校", "--address", "127.0.0.1", "--ssh-port", str(stage.ssh_port),
              "--https-port", "0")
    stage.hub("site", "add", "s1", "--name", "一号", "--pairing", str(stage.pairing))
    assert "https" not in stage.pairing.read_text("utf-8")
    service = stage.begin("hub", "serve", "--data", str(stage.hub_data), "--http",
                          f"127.0.0.1:{stage.hub_port}", "--ssh", f"127.0.0.1:{stage.ssh_port}")
    wait_for("hub serve", lambda: service.up() and '"serving"' in service.text())
    assert json.loads(service.text().splitlines()[-1])["https"] is None
    assert _nginx(stage) == []


def test_an_unfinished_segment_is_none(hub: Stage, box: Client) -> None:
    folder = hub.hub_data / "inbox" / hub.site / "segments" / ("f" * 16)
    box.connection.putrequest("PUT", f"/v1/inbox/segments/{'f' * 16}/0000000001.segment")
    box.connection.putheader("Content-Length", "1000000")
    box.connection.endheaders(b"x" * 300_000)
    body = hub.hub_data / "run/https/body"
    wait_for("what has come to be written", lambda: [one for one in body.rglob("*") if one.is_file()])
    box.close()
    wait_for("it to be dropped", lambda: not [one for one in body.rglob("*") if one.is_file()])
    assert not folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
