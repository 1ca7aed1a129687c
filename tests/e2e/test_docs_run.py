"""The pages for admins and technicians, executed: every `sh` block, in order, in a fresh folder.

What stands in the running text (`teachpoint … serve` runs until it is stopped) is not run here; its form is
held by tests/test_docs.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.e2e.stage import MARK, Stage, ask, get

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parent.parent.parent / "docs"
#: The ports that the pages use; others here, since somebody may use them on this machine.
PORT, HTTPS_PORT = "2822", "2843"
PACKAGE = "大青树下的小学"


class Reader:
    """Somebody who follows the pages in a folder of their own."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.folder = stage, stage.place
        # The folders that the pages name.
        stage.hub_data, stage.box_data, stage.site = self.folder / "hub", self.folder / "box", "qingshan"
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder),
            "LANG": "C.UTF-8", "TEACHPOINT_DATA": str(self.folder / "data"), MARK: str(self.folder)}

    def follow(self, page: str) -> str:
        """Run the page's blocks; everything they printed."""
        blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
        assert blocks, page
        return "".join(self.run(block) for block in blocks)

    def run(self, block: str) -> str:
        block = block.replace(HTTPS_PORT, str(self.stage.https_port)).replace(PORT, str(self.stage.ssh_port))
        words = ["bash", "-euc", block]
        done = subprocess.run(words, cwd=self.folder, env=self._environment, capture_output=True, text=True,
                              timeout=240, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.mark.parametrize(("admin", "technician"), [("admin.md", "technician.md"),
                                                   ("admin.zh.md", "technician.zh.md")])
def test_who_follows_the_pages_has_a_lesson_in_the_box(stage: Stage, admin: str, technician: str) -> None:
    reader = Reader(stage)
    said = reader.follow(admin)
    assert PACKAGE in said and "qingshan" in said
    assert (reader.folder / "qingshan.toml").stat().st_mode & 0o777 == 0o600
    [package] = stage.hub("packages")
    assert package["name"] == PACKAGE

    hub = stage.serve_hub()
    assert get(f"http://127.0.0.1:{stage.hub_port}/")[0] == 200
    said = reader.follow(technician)
    status = stage.box("status")
    assert status["packages"]["complete"] == 1 and status["packages"]["assigned"] == 1
    assert json.dumps(status["site"]) in said
    box = stage.serve_box()
    assert [one["name"] for one in ask(stage.url + "api/v1/packages")] == [PACKAGE]
    assert box.stop() == 0 and hub.stop() == 0
    assert not (reader.folder / "data").exists(), "each command says where its data lies"


def test_the_package_toml_of_the_page_means_what_the_page_says(paired: Stage) -> None:
    page = (DOCS / "publishing.md").read_text("utf-8")
    [text] = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    said = tomllib.loads(text)
    lesson = paired.place / "some folder"
    lesson.mkdir()
    (lesson / "package.toml").write_text(text, "utf-8")
    (lesson / "课文.txt").write_text("早晨", "utf-8")
    (lesson / "朗读.mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(400))
    published = paired.publish(lesson, "--set", "creator=王老师")
    assert published["id"] == said["id"]
    manifest = json.loads((paired.hub_data / "library" / "objects" / published["manifest"][:2]
                           / published["manifest"]).read_bytes())
    corrections = said.pop("resources")["朗读.mp3"]
    said.pop("id")
    assert said.pop("creator") == "青山镇中心学校" and manifest["creator"] == "王老师", "--set overrides"
    for field, value in said.items():
        assert manifest[field] == value, field
    assert corrections["name"] in [one["name"] for one in manifest["resources"]]
    assert len(manifest["resources"]) == 2, "package.toml is no resource"


def test_folder_names_mean_what_the_page_says(paired: Stage) -> None:
    """The first example of publishing.md, as it stands there."""
    page = (DOCS / "publishing.md").read_text("utf-8")
    [path] = re.findall(r"^    (人教版/\S.*)/$", page, re.MULTILINE)
    lesson = paired.place / "lessons" / path
    lesson.mkdir(parents=True)
    (lesson / "课文.txt").write_text("早晨", "utf-8")
    published = paired.publish(lesson)
    manifest = json.loads((paired.hub_data / "library" / "objects" / published["manifest"][:2]
                           / published["manifest"]).read_bytes())
    assert {field: manifest[field] for field in ("edition", "educationalLevel", "volume", "about", "position",
                                                 "name")} == {
        "edition": "人教版", "educationalLevel": "三年级", "volume": "上册", "about": "语文", "position": 1,
        "name": PACKAGE}
