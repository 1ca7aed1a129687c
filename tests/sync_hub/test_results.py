"""`hub results`: what boxes told of exercises, as statements and as a table that harms no spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from sync.canonical import canonical
from sync.hub.commands import hub as commands
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site
from sync.results import Told, statement
from tests.golden_files import same_as_golden

DEVICE = "8b0c6a0e-63a5-4f0e-9d0f-2f6f7d6f0001"
TOLD: dict[str, Any] = {
    "id": "5d0c6a0e-63a5-4f0e-9d0f-2f6f7d6f00aa", "package": "yw-3-1", "resource": "0123456789abcdef",
    "device": DEVICE, "verb": "answered", "pupil": "王小明", "part": "q1", "name": "“绒”怎么读？",
    "response": "1", "success": True, "duration": "PT9S",
    "score": {"raw": 2, "min": 0, "max": 3, "scaled": 2 / 3}}


def body(**more: Any) -> dict[str, Any]:
    """The body of a `result` record."""
    told = msgspec.convert({**TOLD, **more}, type=Told)
    return {"package": told.package, "version": 1, "resource": told.resource, "name": "选一选",
            "statement": statement(told)}


@pytest.fixture
def opened(tmp_path: Path) -> Hub:
    made = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    for site in ("dali", "lijiang"):
        add_site(made, site, site)
    return made


def tell(hub: Hub, site: str, *bodies: object) -> None:
    """As if a box of this site had sent these."""
    before = hub.database.execute("SELECT count(*) FROM record").fetchone()[0]
    for number, told in enumerate(bodies, before + 1):
        hub.database.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", [
            site, "0123456789abcdef", number, 1_700_000_000 + number, "hub", "result", json.dumps(told)])
    hub.database.conn.commit()


def run(hub: Hub, *words: str) -> str:
    done = CliRunner().invoke(commands, ["results", *words, "--data", str(hub.layout.data)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_record_of_a_result_is_written_alike_everywhere() -> None:
    same_as_golden("result.json", canonical(body()))


def test_statements_have_what_the_record_says(opened: Hub) -> None:
    tell(opened, "dali", body(), body(), body(id=str(uuid.uuid4()), verb="passed", part="", name=""))
    tell(opened, "lijiang", body())
    found = json.loads(run(opened, "--json"))
    assert len(found) == 3, "what came twice from one site is there once"
    sites = [one["context"]["extensions"]["urn:teachpoint:site"] for one in found]
    assert sites == ["dali", "dali", "lijiang"]
    assert found[0]["timestamp"] == "2023-11-14T22:13:21Z"
    assert found[0]["actor"]["name"] == "王小明" and found[0]["result"]["score"]["scaled"] == 0.6667
    assert found[1]["object"]["definition"]["name"] == {"und": "选一选"}
    assert len(json.loads(run(opened, "--site", "lijiang", "--json"))) == 1
    assert "王小明" in run(opened) and "2/3 (67 %)" in run(opened)


def test_a_table_has_no_formulas(opened: Hub) -> None:
    tell(opened, "dali", body(pupil="=1+1", response="@SUM(A1)", name="-2"),
         body(id=str(uuid.uuid4()), score={}))
    first, second = csv.DictReader(io.StringIO(run(opened, "--csv").removeprefix("\ufeff")))
    assert (first["pupil"], first["response"], first["question"]) == ("'=1+1", "'@SUM(A1)", "'-2")
    assert (first["success"], first["score"], first["of"], first["percent"]) == ("yes", "2", "3", "67")
    assert (second["score"], second["percent"]) == ("", "")


def test_what_a_bad_box_tells_is_left_out(opened: Hub) -> None:
    other = body()
    other["statement"]["verb"]["id"] = "http://elsewhere.test/verbs/passed"
    wrong = body()
    wrong["statement"]["object"]["id"] = "urn:x"
    tell(opened, "dali", {}, [], None, "x", {"statement": {}}, other, wrong, body())
    assert len(json.loads(run(opened, "--json"))) == 1


def test_the_site_must_be_known_and_one_form_chosen(opened: Hub) -> None:
    for words, status in ((["--site", "nowhere"], 3), (["--csv", "--json"], 2)):
        done = CliRunner().invoke(commands, ["results", *words, "--data", str(opened.layout.data)])
        assert done.exit_code == status or getattr(done.exception, "exit_code", None) == status
