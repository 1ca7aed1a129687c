from __future__ import annotations

from pathlib import Path

import pytest

from sync.errors import Broken
from tests.edge.programs_app import VERSION, Programs, add_lessons, make_programs
from tests.edge.shelf_rows import add_package, name_of, resource_id


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return make_programs(tmp_path)


@pytest.fixture
def lessons(programs: Programs) -> Programs:
    add_lessons(programs.database)
    programs.state.search.refresh()
    return programs


def test_health(programs: Programs) -> None:
    answer = programs.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"ok": True, "version": VERSION, "site": "dqs", "role": "box"}


def test_health_says_when_pages_cannot_be_served(programs: Programs) -> None:
    programs.state.layout.database.write_bytes(b"garbage" * 1000)
    for more in ("-wal", "-shm"):
        (programs.data / f"box.db{more}").unlink(missing_ok=True)
    answer = programs.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["error"]["code"] == "database-broken"


def test_status_is_that_of_the_box(programs: Programs) -> None:
    answer = programs.get("/api/v1/status")
    assert answer.json == programs.status
    assert answer.headers["Cache-Control"] == "no-store"


def test_packages(lessons: Programs) -> None:
    found = lessons.get("/api/v1/packages").json
    assert [package["id"] for package in found] == ["yw-3-1", "sx-4-1"]
    contract = {"id", "version", "name", "educationalLevel", "about", "isPartOf", "position", "complete",
                "resources"}
    assert contract <= found[0].keys()
    assert found[0]["resources"] == 4 and found[0]["complete"] is True
    assert found[1]["complete"] is False and found[1]["bytesLeft"] == 5000
    assert [p["id"] for p in lessons.get("/api/v1/packages?grade=四年级").json] == ["sx-4-1"]
    assert [p["id"] for p in lessons.get("/api/v1/packages?limit=1&offset=1").json] == ["sx-4-1"]


def test_resources(lessons: Programs) -> None:
    found = lessons.get("/api/v1/resources").json
    assert found["total"] == 6 == len(found["items"])
    contract = {"id", "package", "version", "name", "type", "url", "mediaType", "size", "sha256", "complete"}
    assert all(contract <= item.keys() for item in found["items"])
    by_name = {item["name"]: item for item in found["items"]}
    assert by_name["课文"]["url"] == "/files/yw-3-1/%E8%AF%BE%E6%96%87.pdf"
    assert by_name["朗读 & 录音"]["url"] == "/files/yw-3-1/%E6%9C%97%E8%AF%BB%201.mp3"
    assert by_name["游戏"]["url"] == "http://localhost:8081/c/yw-3-1/%E6%B8%B8%E6%88%8F/index.html"
    assert by_name["插图"]["url"].startswith("http://localhost:8081/c/")
    assert by_name["游戏"]["sha256"] is None
    assert by_name["课文"]["sha256"] == name_of("yw-3-1课文.pdf")
    assert by_name["还在路上"]["complete"] is False


def test_content_origin_follows_the_host(lessons: Programs) -> None:
    for host, origin in (("192.168.4.1", "http://192.168.4.1:8081"), ("teachpoint.local:80",
                         "http://teachpoint.local:8081"), ("[fe80::1]:8000", "http://[fe80::1]:8081")):
        items = lessons.get("/api/v1/resources?type=bundle", headers={"Host": host}).json["items"]
        assert items[0]["url"].startswith(f"{origin}/c/yw-3-1/")


@pytest.mark.parametrize(("query", "names"), [
    ("q=dqs", ["课文", "朗读 & 录音", "游戏", "插图"]),
    ("q=大&subject=数学", ["亿以内的数", "还在路上"]),
    ("q=录音&type=audio", ["朗读 & 录音"]),
    ("type=audio", ["朗读 & 录音"]),
    ("package=sx-4-1", ["亿以内的数", "还在路上"]),
    ("grade=三年级&subject=语文&limit=2&offset=1", ["朗读 & 录音", "游戏"]),
    ("q=&grade=&subject=&type=&package=sx-4-1&limit=&offset=", ["亿以内的数", "还在路上"]),
    ("package=none", []),
    ("q=!!!", []),
    ("q=%ff%fe", []),
    ("type=%ed%a0%80", []),
])
def test_what_can_be_asked(lessons: Programs, query: str, names: list[str]) -> None:
    answer = lessons.get(f"/api/v1/resources?{query}")
    assert [item["name"] for item in answer.json["items"]] == names
    assert answer.json["total"] >= len(names)


@pytest.mark.parametrize("query", [
    "limit=-1", "limit=501", "limit=ten", "limit=1.5", "limit=²", "offset=-1", "offset=1000001",
    "offset=99999999999999999999", "limit=%00"])
@pytest.mark.parametrize("address", ["/api/v1/resources"])
def test_bounds_are_told(lessons: Programs, address: str, query: str) -> None:
    answer = lessons.get(f"{address}?{query}")
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error.keys() == {"code", "message", "advice", "facts"}
    assert error["code"] == "parameter-bad"
    assert error["facts"]["name"] == query.partition("=")[0]


def test_errors_are_told_in_the_asker_s_language(lessons: Programs) -> None:
    def message(language: str) -> str:
        answer = lessons.get("/api/v1/resources?limit=x", headers={"Accept-Language": language})
        return str(answer.json["error"]["message"])

    assert message("en-GB").startswith("The parameter")
    assert message("zh-CN").startswith("参数")


def test_unchanged_lists_are_not_sent_again(lessons: Programs) -> None:
    for address in ("/api/v1/packages", "/api/v1/resources", "/api/v1/resources?q=dqs"):
        first = lessons.get(address)
        tag = first.headers["ETag"]
        again = lessons.get(address, headers={"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
        assert lessons.get(address, headers={"Host": "other", "If-None-Match": tag}).status_code == 200
        weak = lessons.get(address, headers={"If-None-Match": f"W/{tag}"})
        assert weak.status_code == 304
        add_package(lessons.database, f"new-{len(address)}", "新", [{"name": "新课"}])
        assert lessons.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_a_new_index_changes_the_tag_of_searches(lessons: Programs) -> None:
    add_package(lessons.database, "new", "新", [{"name": "dqs notes"}])
    before = lessons.get("/api/v1/resources?q=dqs").headers["ETag"]
    lessons.state.search.refresh()
    answer = lessons.get("/api/v1/resources?q=dqs", headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.json["total"] == 5


def test_head_gives_headers_alone(lessons: Programs) -> None:
    answer = lessons.app.test_client().head("/api/v1/resources")
    assert answer.status_code == 200 and answer.data == b"" and answer.headers["ETag"]


def test_a_broken_database_is_told_in_json(lessons: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise Broken("database-broken", path="box.db", reason="disk I/O error")

    monkeypatch.setattr(lessons.state, "catalogue", broken)
    for address in ("/healthz", "/api/v1/packages", "/api/v1/resources", "/opds/v2"):
        answer = lessons.get(address)
        assert answer.status_code == 503
        assert answer.json["error"]["code"] == "database-broken"


def test_a_name_that_is_no_unicode_is_a_broken_database(lessons: Programs) -> None:
    lessons.database.execute("UPDATE resource SET name = CAST(x'e5a4a7ff' AS TEXT) WHERE id = ?",
                             [resource_id("yw-3-1", "课文")])
    answer = lessons.get("/api/v1/resources?package=yw-3-1")
    assert answer.status_code == 503
    assert answer.json["error"]["code"] == "database-broken"
