from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.metrics import make_token
from sync.errors import Broken
from tests.edge.programs_app import Programs, add_lessons, make_programs


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return make_programs(tmp_path)


def scrape(programs: Programs) -> dict[str, Any]:
    answer = programs.get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return {f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
            for family in text_string_to_metric_families(answer.text) for sample in family.samples}


def test_how_the_box_is_doing(programs: Programs) -> None:
    add_lessons(programs.database)
    found = scrape(programs)
    for name, value in {
            "status_ok": 1, "packages_assigned": 3, "packages_complete": 2, "bytes_left": 5,
            "disk_free_bytes": 1000, "disk_total_bytes": 4000, "journal_last_seq": 7,
            "journal_unacknowledged": 4, "uploads_waiting": 1, "problems": 0, "last_sync_ok": 1,
            "last_contact_age_seconds": 60, "resources": 6, "resources_complete": 5,
            "search_index_current": 0}.items():
        assert found[f"teachpoint_{name}"] == value, name
    assert found["teachpoint_info[('site', 'dqs'), ('version', '9.9')]"] == 1


def test_what_has_no_room_and_what_the_line_carried(programs: Programs) -> None:
    programs.status["no_room"] = [{"id": "a", "bytes": 5}, {"id": "b", "bytes": 7}]
    programs.status["disk"]["budget"] = 900
    programs.status["clock"]["believed"] = False
    programs.status["line"] = {"carried": {"records": 1, "lessons": 2, "uploads": 3}, "next_attempt": 9,
                               "left": {"records": 4, "lessons": 5, "uploads": 6}, "state": "open"}
    programs.status["hub"]["last_error"] = {"code": "link-broken", "message": "", "advice": ""}
    found = scrape(programs)
    for name, value in {
            "no_room_packages": 2, "no_room_bytes": 12, "disk_budget_bytes": 900, "clock_believed": 0,
            "line_next_attempt_time_seconds": 9, "last_error[('code', 'link-broken')]": 1,
            "line_carried_bytes_total[('class', 'lessons')]": 2,
            "line_left_bytes[('class', 'uploads')]": 6}.items():
        assert found[f"teachpoint_{name}"] == value, name


def test_a_failed_sync_and_an_old_clock(programs: Programs) -> None:
    programs.status["hub"]["last_error"] = {"code": "hub-unreachable", "message": "", "advice": ""}
    programs.status["hub"]["last_contact"] = 2_000_000_000.0
    found = scrape(programs)
    assert found["teachpoint_last_sync_ok"] == 0
    assert found["teachpoint_last_contact_age_seconds"] == 0


def test_a_box_that_never_met_its_hub(programs: Programs) -> None:
    programs.status["hub"] = {"name": "x", "last_contact": None, "last_error": None}
    assert not [name for name in scrape(programs) if "last_" in name and "seq" not in name]


def test_a_status_that_cannot_be_had_is_said(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise Broken("database-broken", path="box.db", reason="disk I/O error")

    monkeypatch.setattr(programs.state, "catalogue", broken)
    found = scrape(programs)
    assert found["teachpoint_status_ok"] == 0
    assert "teachpoint_bytes_left" not in found


def test_requests_are_counted_by_address_and_status(programs: Programs) -> None:
    for number in range(3):
        programs.get(f"/api/v1/resources?q={number}")
    programs.get("/api/v1/resources?limit=x")
    programs.get("/no/such/address")
    found = scrape(programs)
    assert found["teachpoint_requests_total[('endpoint', 'api.resources'), ('status', '200')]"] == 3
    assert found["teachpoint_requests_total[('endpoint', 'api.resources'), ('status', '400')]"] == 1
    assert found["teachpoint_requests_total[('endpoint', 'none'), ('status', '404')]"] == 1


def test_many_threads_lose_no_count(programs: Programs) -> None:
    def ask() -> None:
        for _ in range(20):
            programs.get("/healthz")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scrape(programs)["teachpoint_requests_total[('endpoint', 'api.health'), ('status', '200')]"] == 80


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_the_box_itself_may_ask(programs: Programs, address: str) -> None:
    assert programs.get("/metrics", environ_overrides={"REMOTE_ADDR": address}).status_code == 200


@pytest.mark.parametrize("address", [
    "192.168.4.7", "::ffff:10.0.0.1", "2001:db8::1", "localhost", "", "unix:"])
def test_others_need_the_token(programs: Programs, address: str) -> None:
    def status(**headers: str) -> int:
        answer = programs.get("/metrics", environ_overrides={"REMOTE_ADDR": address}, headers=headers)
        return int(answer.status_code)

    file = programs.state.layout.metrics_token
    assert status() == 403
    assert status(Authorization="Bearer ") == 403  # no token was made yet: nothing opens
    make_token(file)
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert status(Authorization=f"Bearer {token}") == 200
    for wrong in (token, f"Basic {token}", f"Bearer {token[:-1]}", f"Bearer {token}x", "Bearer", "Bearer é"):
        assert status(Authorization=wrong) == 403, wrong
    make_token(file)
    assert file.read_text().strip() == token
    file.write_text("\n")
    assert status(Authorization="Bearer ") == 403


def test_the_refusal_has_the_shape_of_all_errors(programs: Programs) -> None:
    answer = programs.get("/metrics", environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    assert answer.json["error"]["code"] == "metrics-forbidden"
    assert answer.json["error"].keys() == {"code", "message", "advice", "facts"}
