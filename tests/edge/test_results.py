"""`POST /api/v1/results`: what is kept of what a lesson's page tells, and what keeps the journal small."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from edge import results
from sync.results import MOST_AT_ONCE, MOST_MESSAGE_BYTES, read_result
from tests.edge.classroom import Room, add_lessons, add_package, file_of, make_room, resource_id
from tests.lesson_packages import h5p, scorm_12

DEVICE = "8b0c6a0e-63a5-4f0e-9d0f-2f6f7d6f0001"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = make_room(tmp_path)
    add_lessons(made)
    add_package(made.database, "q", "练习", [
        {"name": "选一选", "type": "bundle", "mediaType": "application/json", "entry": "a/h5p.json",
         "files": [file_of(made, f"a/{name}", data) for name, data in h5p().items()]},
        {"name": "识字测验", "type": "bundle", "mediaType": "text/html", "entry": "b/pages/one.html",
         "files": [file_of(made, f"b/{name}", data) for name, data in scorm_12().items()]}])
    return made


def told(of: str = "选一选", **more: Any) -> dict[str, Any]:
    """One result, as `static/lesson.js` sends it."""
    return {"id": str(uuid.uuid4()), "package": "q", "resource": resource_id("q", of), "device": DEVICE,
            "verb": "answered", **more}


def send(room: Room, *found: Any, **headers: str) -> TestResponse:
    return room.client().post("/api/v1/results", data=json.dumps({"results": list(found)}),
                              content_type="application/json", headers=headers)


def records(room: Room) -> list[dict[str, Any]]:
    rows = room.journal.database.execute("SELECT body FROM journal WHERE kind = 'result' ORDER BY seq")
    return [json.loads(body) for (body,) in rows]


def test_a_result_becomes_an_xapi_statement_in_the_journal(room: Room) -> None:
    one = told(verb="passed", pupil="王小明", part="q1", name="“绒”怎么读？", response="1", success=True,
               completion=True, duration="PT9S", score={"raw": 2, "min": 0, "max": 3, "scaled": 0.66666666})
    answer = send(room, one)
    assert (answer.status_code, answer.json) == (200, {"kept": 1})
    [body] = records(room)
    assert body.pop("statement") == {
        "id": one["id"], "verb": {"id": "http://adlnet.gov/expapi/verbs/passed"},
        "actor": {"objectType": "Agent", "name": "王小明",
                  "account": {"homePage": "http://teachpoint.local/", "name": DEVICE}},
        "object": {"objectType": "Activity", "id": f"urn:teachpoint:q:{one['resource']}#q1",
                   "definition": {"name": {"und": "“绒”怎么读？"}}},
        "result": {"score": {"raw": 2, "min": 0, "max": 3, "scaled": 0.6667}, "success": True,
                   "completion": True, "response": "1", "duration": "PT9S"}}
    assert body == {"package": "q", "version": 1, "resource": one["resource"], "name": "选一选"}
    assert all(read_result(body) for body in records(room))


def test_what_is_sent_twice_is_kept_once(room: Room) -> None:
    one = told()
    assert [send(room, one, one).json, send(room, one).json] == [{"kept": 1}, {"kept": 0}]
    assert len(records(room)) == 1


def test_only_lessons_that_are_here_and_play_have_results(room: Room) -> None:
    gone = {**told(), "package": "nowhere"}
    assert send(room, told(), told("识字测验"), told("无"), gone).json == {"kept": 2}
    other = {**told(), "package": "g3-yuwen-01", "resource": resource_id("g3-yuwen-01", "笔顺练习")}
    assert send(room, other).json == {"kept": 0}


@pytest.mark.parametrize("bad", [
    {"verb": "experienced"}, {"verb": "http://adlnet.gov/expapi/verbs/passed"}, {"id": "1"}, {"device": "x"},
    {"device": DEVICE.upper()}, {"package": "../x"}, {"resource": "A"}, {"pupil": "x" * 41},
    {"part": "x" * 201}, {"response": "x" * 501}, {"score": {"raw": 1e300}}, {"score": {"scaled": 2}},
    {"success": "yes"}, {"score": [1]}, {"name": 5}])
def test_what_is_no_result_is_refused_whole(room: Room, bad: dict[str, Any]) -> None:
    answer = send(room, told(), {**told(), **bad})
    assert answer.status_code == 400 and answer.json is not None
    assert answer.json["error"]["code"] == "result-bad" and records(room) == []


def test_steering_characters_and_odd_durations_are_left_out(room: Room) -> None:
    send(room, told(pupil=" a\u202eb\n", response="\x1b[31m", duration="P<script>"))
    [body] = records(room)
    assert body["statement"]["actor"]["name"] == "a b" and body["statement"]["result"] == {"response": "[31m"}


@pytest.mark.parametrize("headers", [
    {"Origin": "null"}, {"Origin": "http://elsewhere.test"}, {"Origin": "http://localhost:8081"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_other_origins_are_refused(room: Room, headers: dict[str, str]) -> None:
    assert send(room, told(), **headers).status_code == 403
    assert records(room) == []


def test_a_form_of_another_page_cannot_send_them(room: Room) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = room.client().post("/api/v1/results", content_type=kind,
                                    data=json.dumps({"results": [told()]}))
        assert answer.status_code == 403
    assert records(room) == []


def test_too_much_at_once_is_refused_before_it_is_read(room: Room) -> None:
    assert send(room, *[told() for _ in range(MOST_AT_ONCE + 1)]).status_code == 400
    answer = room.client().post("/api/v1/results", data=b" " * (MOST_MESSAGE_BYTES + 1),
                                content_type="application/json")
    assert answer.status_code == 413 and records(room) == []
    assert send(room, told(), told(device="8b0c6a0e-63a5-4f0e-9d0f-2f6f7d6f0002")).status_code == 400


def test_a_device_that_sends_without_end_is_told_to_wait(room: Room) -> None:
    for _ in range(3):
        assert send(room, *[told() for _ in range(MOST_AT_ONCE)]).status_code == 200
    answer = send(room, told())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert send(room, told(device="8b0c6a0e-63a5-4f0e-9d0f-2f6f7d6f0002")).status_code == 200
    room.clock.advance(2)
    assert send(room, told()).status_code == 200 and len(records(room)) == 32


def test_ever_new_devices_of_one_address_are_held_to_its_allowance(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "OF_ADDRESS", results.Allowance(12, 0.1))
    kept = [send(room, told(device=str(uuid.uuid4()))).status_code for _ in range(20)]
    assert kept == [200] * 12 + [429] * 8


def test_all_together_are_held_to_what_the_box_keeps(room: Room) -> None:
    meter = results.Meter(room.clock)
    few = results.Allowance(5, 0.5)
    waits = [meter.take([(f"address {number}", results.OF_ADDRESS), ("box", few)], 1) for number in range(7)]
    assert waits == [0, 0, 0, 0, 0, 2, 2]
    assert len(meter._left) == 6, "who is refused is not remembered"
