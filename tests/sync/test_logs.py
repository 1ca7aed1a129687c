"""What reaches a log, and what never does."""

from __future__ import annotations

import json
import threading

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


def test_a_line_of_any_thread_has_role_and_site(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(role="box", site="s1")
    thread = threading.Thread(target=lambda: log("box.sync").info("synced"))
    thread.start()
    thread.join()
    [line] = lines(capsys.readouterr().err)
    assert (line["role"], line["site"]) == ("box", "s1")


def test_what_led_to_an_exception_is_told_too_the_innermost_frames_of_each(
        capsys: pytest.CaptureFixture[str]) -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise KeyError("深")

    set_up(role="box")
    try:
        try:
            deep(500)
        except KeyError as error:
            raise RuntimeError("could not") from error
    except RuntimeError:
        log("box.test").exception("broke", count=1)
    [line] = lines(capsys.readouterr().err)
    exception = line["exception"]
    assert isinstance(exception, list) and line["level"] == "error" and line["count"] == 1
    assert [(one["type"], one["value"]) for one in exception] == [("RuntimeError", "could not"),
                                                                 ("KeyError", "'深'")]
    assert "test_what_led_to" in exception[0]["frames"][0]
    assert len(exception[1]["frames"]) == 20 and exception[1]["frames"][-1].endswith(" deep")


def test_a_command_tells_of_warnings_only_a_service_of_more(capsys: pytest.CaptureFixture[str],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.logs._Lines.lowest", 30)
    log("hub.publish").info("published")
    log("hub.publish").warning("odd")
    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["odd"]
    set_up(role="hub")
    log("hub.publish").debug("looked")
    log("hub.publish").info("published")
    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["published"]
    set_up(role="hub", verbose=True)
    log("hub.publish").debug("looked")
    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["looked"]
