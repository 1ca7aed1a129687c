"""`make binary`: the one executable does the whole job on a machine without the virtual environment.

It runs with an empty environment, from another folder, and with nothing but the system's programs in PATH.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.stage import MARK, Stage, ask, get, wait_for
from tests.edge.books import make_epub

pytestmark = pytest.mark.e2e


@pytest.fixture
def bare(executable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage whose commands are the executable, with an empty environment."""
    monkeypatch.setenv("TEACHPOINT_COMMAND", str(executable))
    (place := tmp_path / "place").mkdir()
    stage = Stage(place)
    stage.inside = ["env", "-i", f"--chdir={place}", f"{MARK}={place}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    try:
        yield stage
    finally:
        stage.stop()


def lesson(folder: Path) -> Path:
    """A lesson that needs each reader at the hub: PDF, EPUB, a picture, a page, a text, a film."""
    here = folder / "人教版" / "三年级上册" / "语文" / "第01课 大青树下的小学"
    (here / "笔顺").mkdir(parents=True)
    (here / "教案.pdf").write_bytes(pdf(["Teaching plan", "Second page"]))
    (here / "读物.epub").write_bytes(make_epub({"第一章": "<p>早晨，从山坡上。</p>"}))
    Image.new("RGB", (640, 480), "green").save(here / "大青树.png")
    (here / "笔顺" / "index.html").write_text("<title>笔顺</title><p>字", "utf-8")
    (here / "词语.txt").write_text("早晨 山坡 坪坝\n", "utf-8")
    if shutil.which("ffmpeg"):
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=2", "-y",
                        str(here / "朗读.mp3")], check=True)
    return here


def pdf(pages: list[str]) -> bytes:
    """A small PDF with a line of text on each page, written by hand: objects, then where they are."""
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"]
    for number, text in enumerate(pages):
        stream = f"BT /F 24 Tf 72 700 Td ({text}) Tj ET"
        objects += [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * number} 0 R "
                    "/Resources << /Font << /F << /Type /Font /Subtype /Type1 "
                    "/BaseFont /Helvetica >> >> >> >>",
                    f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return out + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
                  f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n").encode()


def test_the_doctor_runs(bare: Stage) -> None:
    done = bare.start("doctor", "--data", str(bare.place / "none"))
    out, err = done.communicate(timeout=60)
    assert "Traceback" not in out + err
    states = {one["check"]: one["state"] for one in json.loads(out)}
    assert states["program rsync"] == states["program ssh"] == "ok"


def test_a_hub_and_a_box_from_the_one_file(bare: Stage, tmp_path: Path) -> None:
    bare.set_up()
    published = bare.publish(lesson(tmp_path / "lessons"))
    assert published["changed"] and published["version"] == 1
    hub = bare.serve_hub()
    report = bare.sync()
    assert report["ok"] and report["left"] == 0 and report["packages"] == 1
    box = bare.serve_box()
    assert ask(bare.url + "healthz")["role"] == "box"

    items = {one["name"]: one for one in ask(bare.url + "api/v1/resources?limit=100")["items"]}
    details = dict(bare.run("hub", "packages", "--data", str(bare.hub_data))[0])
    assert details["resources"] == len(items) >= 5
    page = get(bare.url, **{"Accept-Language": "zh-CN"})[2].decode()
    assert "大青树下的小学" in page and "三年级" in page
    assert re.search(r'href="/static/[^"]+\.css', page), "templates, translations and styles are in the file"
    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
    assert style and get(bare.url.rstrip("/") + style[1])[0] == 200
    for one in items.values():
        status, _, body = get(one["url"] if "://" in one["url"] else bare.url.rstrip("/") + one["url"])
        assert status == 200 and body

    # The index is made by a child process: the same file, called again.
    for words, name in (("cy", "词语"), ("dqs", "大青树"), ("坪坝", "词语"), ("Teaching plan", "教案")):
        found = wait_for(f"what {words} finds", lambda words=words: ask(
            bare.url + f"api/v1/resources?q={words}")["items"])
        assert name in [one["name"] for one in found], words

    upload = bare.box_data / "uploads" / "作业.txt"
    upload.write_text("写好了", "utf-8")
    wait_for("the upload at the hub", lambda: bare.hub("uploads"))
    assert box.stop() == 0 and hub.stop() == 0
    for service in (box, hub):
        assert "Traceback" not in service.text()
        assert "program-failed" not in service.text() and "program-missing" not in service.text()
    wait_for("the end of all", lambda: bare.processes() == {})


def test_the_readers_at_the_hub_run_from_the_file(bare: Stage, tmp_path: Path) -> None:
    """Page counts, titles and small pictures come from child processes; each kind of file is looked into."""
    bare.set_up()
    done = bare.start("hub", "publish", str(lesson(tmp_path / "lessons")), "--data", str(bare.hub_data))
    out, err = done.communicate(timeout=240)
    assert done.returncode == 0, err
    assert "could not" not in err and "warning" not in err, err
    [published] = json.loads(out)
    manifest = bare.hub_data / "library" / "objects" / published["manifest"][:2] / published["manifest"]
    found = {one["name"]: one for one in json.loads(manifest.read_bytes())["resources"]}
    assert found["教案"]["pages"] == 2
    assert found["教案"].get("text") and found["大青树"].get("thumbnail")
    assert found["课文" if "课文" in found else "读物"]["type"] == "book"


def test_a_child_leaves_its_parents_unpacked_files_alone(bare: Stage, tmp_path: Path) -> None:
    """PyInstaller unpacks the file into TMPDIR at a start and removes that at its end. A child that runs the
    same file must not take its parent's away, and the parent must take its own away."""
    (unpacked := tmp_path / "unpacked").mkdir()
    bare.set_up()
    bare.publish(lesson(tmp_path / "lessons"))
    bare.box("sync", "--once", "--from", str(bare.hub_data))
    bare.inside.append(f"TMPDIR={unpacked}")
    service = bare.serve_box("--no-mdns", "--no-sync")
    wait_for("an index, made by a child", lambda: ask(bare.url + "api/v1/resources?q=cy")["items"])
    for page in ("", "search?q=dqs", "help"):
        assert get(bare.url + page, **{"Accept-Language": "en"})[0] == 200
    assert len(list(unpacked.glob("_MEI*"))) == 1
    assert service.stop() == 0
    assert list(unpacked.glob("_MEI*")) == []
