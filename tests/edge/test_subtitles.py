"""Subtitles as teachers have them, shown as browsers want them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.subtitles import MOST_BYTES, webvtt
from tests.edge.classroom import Room, add_package, file_of, make_room, resource_id

SRT = ("1\r\n00:00:01,000 --> 00:00:02,500\r\n<font color=red>早上好</font>\r\n\r\n"
       "2\r\n00:00:03,5 --> 00:00:04,000\r\n再见")
VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n早上好\n\n00:00:03.500 --> 00:00:04.000\n再见\n"


@pytest.mark.parametrize(("given", "cues"), [
    (SRT, ["00:00:01.000 --> 00:00:02.500\n早上好", "00:00:03.500 --> 00:00:04.000\n再见"]),
    ("WEBVTT - x\n\nNOTE no cue\n\nSTYLE\n::cue { color: red }\n\n"
     "id\n01:02.003 --> 01:03.000 align:end\n<b>a</b>",
     ["00:01:02.003 --> 00:01:03.000\n<b>a</b>"]),
    ("1\n00:00:01,000 --> 00:00:02,000\n{\\an8}a < b & c --> d <v Anna>e</v>",
     ["00:00:01.000 --> 00:00:02.000\na &lt; b &amp; c --&gt; d e"]),
    ("1\n00:00:01,000 --> broken\nx\n\n2\n00:00:02,000 --> 00:00:03,000\ny",
     ["00:00:02.000 --> 00:00:03.000\ny"]),
    ("", []), ("\0" * 100, []), ("00:00:01,000 --> 00:00:02,000\n\n\n", []),
])
def test_whatever_is_given_plain_webvtt_comes_out(given: str, cues: list[str]) -> None:
    assert webvtt(given) == "\n\n".join(["WEBVTT", *cues]) + "\n"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return make_room(tmp_path / "box")


def test_the_file_beside_a_film_is_its_subtitles(room: Room) -> None:
    """In any of the usual spellings, each language once, WebVTT first; written by a Chinese Windows."""
    film = {"path": "课/朗读.mp4", "sha256": "0" * 64, "size": 9}
    add_package(room.database, "p", "课", [
        {"name": "朗读", "type": "video", "mediaType": "video/mp4", "entry": "课/朗读.mp4", "files": [film]},
        *({"name": path, "type": "text", "mediaType": "text/plain", "entry": path,
           "files": [file_of(room, path, data)]} for path, data in {
            "课/朗读.srt": SRT.encode("gb18030"), "课/朗读.en.vtt": b"WEBVTT", "课/朗读.en.srt": b"",
            "课/别的.srt": b"", "课/朗读.zh.srt": b" " * (MOST_BYTES + 1)}.items())])
    client = room.client()
    page = client.get(f"/r/p/{resource_id('p', '朗读')}").text
    assert page.count("<track ") == 2 and page.count(" default>") == 1
    assert 'src="/subtitles/p/%E8%AF%BE/%E6%9C%97%E8%AF%BB.srt" label="Subtitles" default' in page
    assert 'src="/subtitles/p/%E8%AF%BE/%E6%9C%97%E8%AF%BB.en.vtt" srclang="en" label="English">' in page
    answer = client.get("/subtitles/p/课/朗读.srt")
    assert answer.content_type == "text/vtt; charset=utf-8" and answer.text == VTT
    again = client.get("/subtitles/p/课/朗读.srt", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    for path in ("课/朗读.mp4", "课/朗读.zh.srt", "没有.srt", "../../etc/passwd"):
        assert client.get(f"/subtitles/p/{path}").status_code == 404
