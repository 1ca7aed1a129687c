"""What becomes a resource: files, bundles, SCORM, order, names; and text for the search."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.hub.publish import Published, publish, publish_tree
from sync.hub.resources import duration
from sync.hub.settings import Hub, init_hub
from sync.manifest import MOST_MANIFEST_BYTES, Manifest, Resource, parse

SCORM = """<manifest><organizations><organization><item identifierref="r"/></organization></organizations>
<resources><resource identifier="r" href="start/Go.html"/></resources></manifest>"""


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


def published(hub: Hub, top: Path, **files: str) -> tuple[Published, dict[str, Resource]]:
    """Publish a folder `课` of these files; its resources by name."""
    for name, text in files.items():
        path = top / "课" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    made = publish(hub, top / "课")
    manifest: Manifest = parse(hub.store.read(made.manifest, MOST_MANIFEST_BYTES))
    return made, {resource.name: resource for resource in manifest.resources}


def text_of(hub: Hub, resource: Resource) -> str:
    return hub.store.read(resource.text.sha256, 1_000_000).decode() if resource.text else ""


def test_each_file_is_a_resource_of_its_type(hub: Hub, tmp_path: Path) -> None:
    _, found = published(
        hub,
        tmp_path,
        **{
            "1 朗读.mp3": "x",
            "2 电影.mp4": "x",
            "3 图.png": "x",
            "4 教案.pdf": "x",
            "5 书.epub": "x",
            "6 课文.html": "<p>早晨",
            "7 词.txt": "早晨",
            "8 课件.ppt": "x",
            "9 讲义.docx": "x",
        },
    )
    assert {name: resource.type for name, resource in found.items()} == {
        "朗读": "audio",
        "电影": "video",
        "图": "picture",
        "教案": "document",
        "书": "book",
        "课文": "page",
        "词": "text",
        "课件": "document",
        "讲义": "document",
    }
    assert [resource.position for resource in found.values()] == list(range(1, 10))
    assert text_of(hub, found["课文"]) == "早晨"
    assert found["词"].mediaType.startswith("text/plain")


def test_a_folder_with_a_page_is_one_bundle_and_its_pages_are_searched(hub: Hub, tmp_path: Path) -> None:
    _, found = published(
        hub,
        tmp_path,
        **{
            "练习/index.html": "<title>IGNORED</title><p>甲",
            "练习/b.html": "<p>乙",
            "练习/a.js": "1",
            "other.txt": "x",
        },
    )
    bundle = found["练习"]
    assert (bundle.type, bundle.entry, len(bundle.files)) == ("bundle", "练习/index.html", 3)
    assert text_of(hub, bundle).split("\f") == ["甲", "乙"]


@pytest.mark.parametrize(
    "files, entry",
    [
        ({"s/imsmanifest.xml": SCORM, "s/start/go.html": "<p>x", "s/index.html": "<p>y"}, "s/start/go.html"),
        ({"s/imsmanifest.xml": "<manifest/>", "s/x.html": "<p>x"}, "s/x.html"),
        ({"s/imsmanifest.xml": "no xml", "s/x.html": "<p>x"}, "s/x.html"),
        ({"s/imsmanifest.xml": SCORM}, "s/imsmanifest.xml"),
        ({"s/h5p.json": "{}", "s/content/content.json": "{}"}, "s/h5p.json"),
        ({"s/INDEX.HTM": "<p>x"}, "s/INDEX.HTM"),
    ],
)
def test_the_page_that_opens_a_bundle_first(
    hub: Hub, tmp_path: Path, files: dict[str, str], entry: str
) -> None:
    made, found = published(hub, tmp_path, **files, **{"z.txt": "z"})
    [bundle] = [resource for resource in found.values() if resource.type == "bundle"]
    assert bundle.entry == entry
    if "start/go.html" not in entry and "imsmanifest.xml" in "".join(files):
        assert any("imsmanifest" in warning for warning in made.warnings)


def test_package_toml_names_and_orders_resources_and_says_what_it_missed(hub: Hub, tmp_path: Path) -> None:
    made, found = published(
        hub,
        tmp_path,
        **{
            "a.txt": "a",
            "b.txt": "b",
            "s/index.html": "<p>1",
            "s/start.html": "<p>2",
            "package.toml": """
        [resources."b.txt"]
        name = "先看"
        position = 1
        [resources.s]
        entry = "start.html"
        [resources."none.txt"]
        name = "x"
        """,
        },
    )
    assert next(iter(found)) == "先看"
    assert found["s"].entry == "s/start.html"
    assert any("none.txt" in warning for warning in made.warnings)


def test_ids_stay_the_same_over_versions_and_moves_of_others(hub: Hub, tmp_path: Path) -> None:
    _, first = published(hub, tmp_path, **{"a.txt": "a", "b.txt": "b"})
    made, second = published(hub, tmp_path, **{"a.txt": "changed", "0 new.txt": "n"})
    assert made.version == 2
    assert (first["a"].id, first["b"].id) == (second["a"].id, second["b"].id)
    assert len({resource.id for resource in second.values()}) == 3


def test_two_folders_that_would_be_one_package_are_told_apart_or_refused(hub: Hub, tmp_path: Path) -> None:
    for disk, text in (("x", "1"), ("y", "2")):
        folder = tmp_path / disk / "课"
        folder.mkdir(parents=True)
        (folder / "package.toml").write_text("id = 'same'")
        (folder / "a.txt").write_text(text)
    results = list(publish_tree(hub, tmp_path / "x")) + list(publish_tree(hub, tmp_path / "y"))
    versions = [result.version for result in results if isinstance(result, Published)]
    assert versions == [1, 2], "an id in package.toml is a promise that it is the same package"


@pytest.mark.parametrize(
    "seconds, text", [(0, ""), (-3, ""), (5, "PT5S"), (65, "PT1M5S"), (3600, "PT1H"), (3605, "PT1H5S")]
)
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text
