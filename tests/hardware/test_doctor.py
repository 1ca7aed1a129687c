"""Each check of the doctor, against a machine that has exactly one thing wrong."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from hardware import doctor
from hardware.commands import doctor as command
from sync import programs
from sync.clock import ManualClock
from sync.layout import BoxLayout, HubLayout
from sync.pairing import HubPart, KeyPart, Pairing, SealPart, TrustPart, write


@pytest.fixture(autouse=True)
def bbr(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What says how TCP sends: BBR."""
    path = tmp_path_factory.mktemp("proc") / "tcp_congestion_control"
    path.write_text("bbr\n")
    monkeypatch.setattr(doctor, "CONGESTION", path)
    return path


def problems(data: Path, clock: ManualClock | None = None) -> dict[str, str]:
    """check → code of the problem, for those that found one."""
    found = doctor.examine(data, clock or ManualClock(1_790_000_000))
    return {f.check: f.problem.code for f in found if f.problem is not None}


def make_box(data: Path, port: int = 1) -> BoxLayout:
    layout = BoxLayout(data)
    data.mkdir(parents=True, exist_ok=True)
    sqlite3.connect(layout.database).close()
    write(layout.pairing, Pairing(
        site="s1", name="一号",
        hub=HubPart(name="h", addresses=["127.0.0.1"], ssh_port=port, ssh_host_key="ssh-ed25519 AAAA"),
        trust=TrustPart(root="{}"), key=KeyPart(private="p"), journal=KeyPart(private="j"),
        seal=SealPart(recipient="age1" + "q" * 58)))
    return layout


def test_a_sound_machine_has_nothing_to_mend(tmp_path: Path) -> None:
    assert problems(tmp_path) == {}


def test_a_missing_program_is_told_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = programs.find
    monkeypatch.setattr(programs, "find", lambda name: None if name == "rsync" else found(name))
    assert problems(tmp_path)["program rsync"] == "program-missing"


def test_an_old_rsync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = programs.Finished(0, "rsync  version 3.1.3  protocol version 31\n", "")
    monkeypatch.setattr(programs, "run", lambda *_a, **_k: old)
    assert problems(tmp_path)["rsync version"] == "program-old"


def test_a_hub_that_each_lost_packet_holds_back_is_told_and_a_box_is_not(tmp_path: Path, bbr: Path) -> None:
    hub = HubLayout(tmp_path / "hub")
    hub.keys.mkdir(parents=True)
    hub.settings.write_text("")
    sqlite3.connect(hub.database).close()
    make_box(tmp_path / "box")
    assert "congestion control" not in problems(hub.data)
    bbr.write_text("cubic\n")
    assert problems(hub.data)["congestion control"] == "congestion-slow"
    assert "congestion control" not in problems(tmp_path / "box")
    bbr.unlink()
    assert "congestion control" not in problems(hub.data)


def test_a_hub_whose_https_fails_is_told_why(tmp_path: Path) -> None:
    hub = HubLayout(tmp_path)
    hub.keys.mkdir(parents=True)
    hub.settings.write_text("")
    database = sqlite3.connect(hub.database)
    database.execute("CREATE TABLE problem (site TEXT, code TEXT, facts TEXT, since REAL)")
    assert problems(tmp_path) == {}
    database.execute("INSERT INTO problem VALUES ('', 'https-failing', '{\"reason\": \"port in use\"}', 1)")
    database.commit()
    database.close()
    [found] = [one.problem for one in doctor.examine(tmp_path, ManualClock(1_790_000_000)) if one.problem]
    assert found.code == "https-failing" and "port in use" in found.message("zh")


def test_a_hub_without_nginx_is_warned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = HubLayout(tmp_path)
    hub.keys.mkdir(parents=True)
    hub.settings.write_text("")
    sqlite3.connect(hub.database).close()
    found = programs.find
    monkeypatch.setattr(programs, "find", lambda name: None if name == "nginx" else found(name))
    assert problems(tmp_path) == {"program nginx": "program-missing"}


@pytest.mark.parametrize("now", [0.0, 2_300_000_000.0])
def test_a_clock_that_was_never_set_is_told(tmp_path: Path, now: float) -> None:
    assert problems(tmp_path, ManualClock(now)) == {"clock": "clock-wrong"}


def test_a_full_disk_and_one_without_inodes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**62)
    assert problems(tmp_path) == {"disk room": "disk-nearly-full"}


def test_a_file_where_the_data_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    assert problems(tmp_path / "data")["data folder"] == "folder-not-writable"


def test_a_secret_others_can_read_is_told(tmp_path: Path) -> None:
    layout = make_box(tmp_path)
    layout.pairing.chmod(0o644)
    assert problems(tmp_path)["secrets"] == "secret-exposed"


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    layout = make_box(tmp_path)
    layout.database.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    assert problems(tmp_path)["database"] == "database-broken"


def test_a_silent_hub_is_a_warning_and_an_answering_one_is_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        make_box(tmp_path, server.getsockname()[1])
        assert problems(tmp_path) == {}
        port = server.getsockname()[1]
    make_box(tmp_path, port)
    assert problems(tmp_path) == {"hub": "hub-silent"}
    result = CliRunner().invoke(command, ["--data", str(tmp_path), "--json"])
    assert result.exit_code == 0, "lessons work without the hub"
    assert {"check": "hub", "state": "warn"}.items() <= next(
        f for f in json.loads(result.stdout) if f["check"] == "hub").items()


def test_hub_keys_are_looked_at(tmp_path: Path) -> None:
    hub = HubLayout(tmp_path)
    hub.keys.mkdir()
    hub.settings.write_text("")
    sqlite3.connect(hub.database).close()
    (hub.keys / "root.pem").write_text("secret")
    (hub.keys / "root.pem").chmod(0o640)
    assert problems(tmp_path)["secrets"] == "secret-exposed"


def test_what_must_be_mended_is_exit_status_1_and_words_in_both_languages(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").write_text("no folder")
    for language, word in (("zh", "无法写入"), ("en", "cannot be written")):
        monkeypatch.setenv("TEACHPOINT_LANG", language)
        result = CliRunner().invoke(command, ["--data", str(tmp_path / "data")])
        assert result.exit_code == 1
        assert word in " ".join(result.stdout.split())
