"""docs/api.md: every address stands there, and every example in it is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.edge.programs_app import add_lessons, make_programs

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
EXAMPLE = re.compile(r"```\nGET (?P<address>\S+)\n```\n(?:```json\n(?P<answer>.*?)\n```)?", re.S)
EXAMPLES = [(m["address"], json.loads(m["answer"]) if m["answer"] else None) for m in EXAMPLE.finditer(DOCS)]


def holds(told: Any, found: Any, where: str = "") -> None:
    """Is all that is told in what was found? Lists by their first elements; `…` is anything."""
    if told == "…":
        assert found is not None, where
    elif isinstance(told, dict):
        for name, value in told.items():
            assert name in found, f"{where}.{name}"
            holds(value, found[name], f"{where}.{name}")
    elif isinstance(told, list):
        assert len(found) >= len(told), where
        for number, value in enumerate(told):
            holds(value, found[number], f"{where}[{number}]")
    else:
        assert told == found, where


@pytest.mark.parametrize(("address", "told"), EXAMPLES, ids=[address for address, _ in EXAMPLES])
def test_example(tmp_path: Path, address: str, told: Any) -> None:
    programs = make_programs(tmp_path)
    add_lessons(programs.database)
    programs.state.search.refresh()
    answer = programs.get(address, headers={"Accept-Language": "en"})
    assert answer.status_code == (400 if isinstance(told, dict) and "error" in told else 200)
    if told is not None:
        holds(told, answer.json)


def test_every_address_is_described_and_has_an_example(tmp_path: Path) -> None:
    rules = {rule.rule for rule in make_programs(tmp_path).app.url_map.iter_rules()}
    described = {re.sub(r"<\w+>", "<>", rule) for rule in re.findall(r"/[\w/<>.]+", DOCS)}
    assert not {rule for rule in rules if re.sub(r"<\w+>", "<>", rule) not in described}
    tried = {address.partition("?")[0] for address, _ in EXAMPLES}
    assert {"/healthz", "/api/v1/status", "/api/v1/packages", "/api/v1/resources", "/opds/v2",
            "/metrics"} <= tried


def test_every_metric_is_described(tmp_path: Path) -> None:
    text = make_programs(tmp_path).get("/metrics").text
    for name in set(re.findall(r"^teachpoint_(\w+)", text, re.M)) - {"requests_created"}:
        assert f"`{name}`" in DOCS or f"`{name}{{" in DOCS, name
