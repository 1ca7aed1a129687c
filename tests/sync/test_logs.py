"""What reaches a log, and what never does."""

from __future__ import annotations

import json

import pytest

from sync.logs import log, set_up


def lines(captured: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.splitlines()]


def test_a_line_is_one_json_object_with_role_and_site(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(role="box", site="s1")
    log("box.sync").info("synced", objects=3, name="大青树")
    [line] = lines(capsys.readouterr().err)
    assert (line["part"], line["event"], line["role"], line["site"]) == ("box.sync", "synced", "box", "s1")
    assert line["objects"] == 3 and line["name"] == "大青树"


def test_secrets_stay_out_also_out_of_the_frames_of_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(role="box")
    in_the_frame = "hunter" + "2"

    def fails(password: str) -> None:
        raise ValueError(f"{len(password)} is wrong")

    try:
        fails(in_the_frame)
    except ValueError as error:
        log("box.test").error("broke", exc_info=error, token=in_the_frame)
    text = capsys.readouterr().err
    assert in_the_frame not in text
    [line] = lines(text)
    assert "fails" in json.dumps(line["exception"]) and line["token"] == "(hidden)"
    assert len(text) < 4000
