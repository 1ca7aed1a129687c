from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from edge.opds import PER_PAGE
from tests.edge.opds_rules import FEED, check_feed, check_publication, rels
from tests.edge.programs_app import Programs, add_lessons, make_programs
from tests.edge.shelf_rows import add_package, resource_id


@pytest.fixture
def lessons(tmp_path: Path) -> Programs:
    programs = make_programs(tmp_path)
    add_lessons(programs.database)
    programs.state.search.refresh()
    return programs


def feed(programs: Programs, address: str, language: str = "en") -> dict[str, object]:
    answer = programs.get(address, headers={"Accept-Language": language})
    assert answer.status_code == 200, address
    assert answer.mimetype == FEED
    assert answer.headers["ETag"]
    check_feed(answer.json)
    return dict(answer.json)


def local(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def test_an_empty_box_has_a_catalogue_too(tmp_path: Path) -> None:
    found = feed(make_programs(tmp_path), "/opds/v2")
    assert found["metadata"] == {"title": "大青树教学点"}


def test_every_feed_and_publication_that_can_be_reached_keeps_the_rules(lessons: Programs) -> None:
    waiting, seen = ["/opds/v2"], set()
    publications = 0
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        found = feed(lessons, address)
        groups = [found, *found.get("groups", [])]  # type: ignore[misc]
        for group in groups:
            for link in [*group.get("links", []), *group.get("navigation", [])]:
                if link.get("type") == FEED and not link.get("templated"):
                    waiting.append(local(link["href"]))
            for publication in group.get("publications", []):
                publications += 1
                own = next(link for link in publication["links"] if "self" in rels(link))
                alone = lessons.get(local(own["href"]))
                assert alone.mimetype == own["type"] == "application/opds-publication+json"
                check_publication(alone.json)
                assert alone.json == lessons.get(local(own["href"])).json
        for facet in found.get("facets", []):  # type: ignore[attr-defined]
            waiting += [local(link["href"]) for link in facet["links"]][:2]
    assert publications >= 10
    assert len(seen) > 6


def test_what_is_said_of_a_publication(lessons: Programs) -> None:
    address = f"/opds/v2/publications/yw-3-1/{resource_id('yw-3-1', '朗读 & 录音')}"
    found = lessons.get(address).json
    assert found["metadata"] == {
        "@type": "http://schema.org/AudioObject",
        "identifier": f"urn:teachpoint:yw-3-1:{resource_id('yw-3-1', '朗读 & 录音')}",
        "title": "朗读 & 录音", "language": "zh-CN", "author": "王老师", "modified": "2023-11-14T22:13:22Z",
        "duration": 200, "subject": [{"name": "语文"}, {"name": "三年级"}],
        "belongsTo": {"series": {"name": "大青树下的小学", "position": 2}}}
    acquisition = found["links"][1]
    assert acquisition == {"rel": "http://opds-spec.org/acquisition/open-access", "type": "audio/mpeg",
                           "href": "http://localhost/files/yw-3-1/%E6%9C%97%E8%AF%BB%201.mp3"}


def test_only_what_can_be_opened_is_published(lessons: Programs) -> None:
    titles = [p["metadata"]["title"] for p in feed(lessons, "/opds/v2/publications")["publications"]]  # type: ignore[attr-defined]
    assert "还在路上" not in titles and len(titles) == 5
    late = resource_id("sx-4-1", "还在路上")
    answer = lessons.get(f"/opds/v2/publications/sx-4-1/{late}")
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "resource-unknown"
    assert feed(lessons, "/opds/v2/search?query=还在路上")["publications"] == []


def test_pages(lessons: Programs) -> None:
    add_package(lessons.database, "many", "很多", [{"name": f"题 {n}"} for n in range(2 * PER_PAGE + 1)],
                educationalLevel="一年级")
    sizes = []
    address = "/opds/v2/publications?grade=一年级"
    while True:
        page = feed(lessons, address)
        assert page["metadata"]["numberOfItems"] == 2 * PER_PAGE + 1  # type: ignore[index]
        sizes.append(len(page["publications"]))  # type: ignore[arg-type]
        after = [link for link in page["links"] if "next" in rels(link)]  # type: ignore[attr-defined]
        if not after:
            break
        address = local(after[0]["href"])
    assert sizes == [PER_PAGE, PER_PAGE, 1]
    assert feed(lessons, "/opds/v2/publications?page=99")["publications"] == []
    assert lessons.get("/opds/v2/publications?page=0").status_code == 400


def test_search_template_works(lessons: Programs) -> None:
    links = feed(lessons, "/opds/v2")["links"]
    template = next(link["href"] for link in links if "search" in rels(link))  # type: ignore[attr-defined]
    assert template.endswith("{?query}")
    found = feed(lessons, local(template.replace("{?query}", "?query=dqs")))
    assert found["metadata"]["numberOfItems"] == 4  # type: ignore[index]
    assert feed(lessons, "/opds/v2/search")["publications"] == []


def test_titles_speak_the_reader_s_language(lessons: Programs) -> None:
    assert feed(lessons, "/opds/v2", "en")["navigation"][0]["title"] == "Everything"  # type: ignore[index]
    assert feed(lessons, "/opds/v2", "zh-CN")["navigation"][0]["title"] == "全部资源"  # type: ignore[index]


def test_plain_covers_are_pictures(lessons: Programs) -> None:
    for kind in ("audio", "nonsense"):
        answer = lessons.get(f"/opds/v2/covers/{kind}.png")
        assert answer.mimetype == "image/png" and len(answer.data) < 2000
        picture = Image.open(io.BytesIO(answer.data))
        picture.load()
        assert picture.size == (240, 320)
