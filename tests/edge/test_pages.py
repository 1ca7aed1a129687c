"""Every page of the classroom in both languages and in every state of the box, as its readers meet it."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient

from edge.browse import LESSONS_A_PAGE
from edge.web import RESOURCES_A_PAGE, RESULTS_A_PAGE
from kiosk_ui.i18n import DEFAULT, LANGUAGES
from kiosk_ui.pages import FIRST_PAGE, environment, has_static, prepare
from sync.box.journal import Journal
from tests.edge.books import make_epub
from tests.edge.classroom import Room, add_lessons, add_package, file_of, make_room, resource_id
from tests.edge.page_html import Page, broken_rules, local

#: What a page may weigh, uncompressed, and what a first visit may weigh with all it fetches, in bytes.
MOST_PAGE_BYTES = 60_000
MOST_FIRST_VISIT_BYTES = 100_000
#: What a first visit may ask for: the page, its style, its two scripts, its drawings, its icon.
MOST_REQUESTS = 6

HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
    "javascript:alert(1)//", "{{ 7*7 }}{% raw %}", "\u202eمرحبا درس\u202c", "</title><h1>x", "&lt;b&gt; & 课",
    "课" * 300, "a\u0301" * 40, "🏫 课", "../../etc/passwd?x=1#y%00",
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A box with nothing in it yet."""
    return make_room(tmp_path / "box")


def usual(room: Room) -> None:
    add_lessons(room)


def never_contacted(room: Room) -> None:
    room.status["hub"] |= {"last_contact": None, "hub_time": None}
    room.status["packages"] |= {"assigned": 0, "complete": 0}


def nothing_assigned(room: Room) -> None:
    room.status["packages"] |= {"assigned": 0, "complete": 0}


def offline(room: Room) -> None:
    add_lessons(room)
    room.status["hub"] |= {"last_contact": room.clock.now() - 3 * 86400,
                           "last_error": {"code": "hub-unreachable", "facts": {"addresses": "10.0.0.1"}}}


def problems(room: Room) -> None:
    add_lessons(room)
    room.status["problems"] = [{"code": "disk-failing", "facts": {"path": "/data", "reason": "I/O"}},
                               {"code": "of-next-year", "message": "<b>new</b>", "advice": "<i>wait</i>"}]


def coming(room: Room) -> None:
    add_lessons(room)
    room.status["packages"]["partial"] = [
        {"id": f"p{n}", "name": f"<第{n}课>", "bytes": 2_000_000, "left": 1_500_000} for n in range(11)]
    room.status["bytes_left"] = 16_500_000


def only_coming(room: Room) -> None:
    coming(room)
    for table in ("file", "resource", "package"):
        room.database.execute(f"DELETE FROM {table}")
    room.database.conn.commit()


def no_status(room: Room) -> None:
    add_lessons(room)
    room.status_fails = sqlite3.DatabaseError("disk image is malformed")


def hostile(room: Room) -> None:
    for number, text in enumerate(HOSTILE):
        add_package(room.database, f"h{number}", text, [
            {"name": text, "entry": "a.pdf", "files": [file_of(room, "a.pdf", b"%PDF-1.4")]},
            {"name": f"{text} 2", "type": "text", "mediaType": "text/plain", "entry": "a.txt",
             "files": [file_of(room, "a.txt", text.encode())]},
            {"name": f"{text} 3", "complete": 0}],
            educationalLevel=text, about=text, edition=text, volume=text, isPartOf=text, creator=text,
            license=text, description=text, inLanguage=text[:8])
    room.status["packages"]["partial"] = [{"id": t, "name": t, "bytes": 2, "left": 1} for t in HOSTILE[:3]]


POLICY = {"utc_offset_min": 480, "hours": [{"days": [0, 1, 2, 3, 4], "from": "18:00", "to": "06:00"},
                                            {"days": [5, 6], "from": "00:00", "to": "24:00"}],
          "caps": [{"days": list(range(7)), "from": "00:00", "to": "24:00", "bits_per_s": 1_500_000}],
          "class_hours": [{"days": [0, 2], "from": "08:00", "to": "16:30"}], "class_bits_per_s": 256_000,
          "month_bytes": 2_000_000_000}


def held(room: Room) -> None:
    """Lessons wait for the evening: it is Tuesday 2023-11-14 22:13 UTC, the site 8 hours ahead."""
    coming(room)
    room.status["line"] = {
        "policy": POLICY, "state": "hours", "bits_per_s": 256_000, "until": 1_700_006_400,
        "utc_offset_min": 480, "opens": 1_700_042_400, "rate_bytes_per_s": 130_000.0, "finish": 1_700_052_500,
        "month": "2023-11",
        "left": {"records": 2_000, "lessons": 16_500_000, "uploads": 3_000_000},
        "month_used_bytes": 812_000_000, "next_attempt": 1_700_000_900}


def by_timetable(room: Room) -> None:
    """Tuesday 14:10 at the site, in the middle of a period; one grade has been at it before."""
    coming(room)
    room.clock.set_wall(1_699_942_200.0)
    room.status["timetable"] = {"source": "hub", "periods": [
        {"day": 1, "from": start, "to": end, "grades": grades, "subject": subject}
        for start, end, grades, subject in (
            ("08:00", "08:40", ["一年级"], "语文"), ("14:00", "14:40", ["一年级", "三年级"], "语文"),
            ("14:50", "15:30", ["三年级"], "数学"), ("14:50", "15:30", ["五年级"], "<英语>"),
            ("15:40", "16:20", [], "体育"))]}
    add_package(room.database, "g3-yuwen-02", "第02课 花的学校", [
        {"name": "课文朗读", "type": "video", "mediaType": "video/mp4", "entry": "a.mp4"}],
        educationalLevel="三年级", about="语文", edition="人教版", volume="上册", position=2)
    Journal(room.database).append("resource-opened", {
        "package": "g3-yuwen-01", "version": 1, "resource": "a", "name": "课文"})


STATES: list[Callable[[Room], None]] = [usual, by_timetable, never_contacted, nothing_assigned, offline,
                                        problems, coming, only_coming, held, no_status, hostile]

#: Addresses no link leads to, with the status they answer.
BESIDES = {**dict.fromkeys(("/no/such/page", "/p/none", "/r/none/none", "/p/%3Cscript%3E",
                            "/language/fr"), 404),
           **dict.fromkeys(("/search", "/search?q=%E8%AF%BE", "/search?q=no-such-word", "/browse?page=99",
                            "/search?q=%3Cb%3E&type=video", "/search?q=a&type=nonsense&page=-3",
                            "/browse?grade=no&subject=such", "/upload?sent=99999999999999999999",
                            "/upload?sent=-1"), 200)}


def crawl(client: FlaskClient, language: str) -> dict[str, Page]:
    """Every page that links lead to from the first page, each held to the rules; address → page."""
    pages: dict[str, Page] = {}
    waiting = ["/", *BESIDES]
    while waiting:
        address = waiting.pop()
        if address in pages:
            continue
        answer = client.get(address)
        assert answer.status_code == BESIDES.get(address, 200), (address, answer.status_code)
        if answer.mimetype != "text/html":
            continue
        page = pages[address] = Page(answer.get_data(as_text=True))
        assert broken_rules(page, language) == [], address
        assert len(answer.data) <= MOST_PAGE_BYTES, address
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], address
        assert "unsafe" not in answer.headers["Content-Security-Policy"], address
        assert answer.headers["X-Content-Type-Options"] == "nosniff", address
        if address in BESIDES:
            continue
        found = (local(link, address) for link in page.links)
        waiting += [link for link in found
                    if link and not link.startswith(("/language/", "/files/", "/help"))]
    return pages


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_page_in_every_state_keeps_the_rules(room: Room, state: Callable[[Room], None],
                                                   language: str) -> None:
    state(room)
    room.state.search.refresh()
    pages = crawl(room.client(language), language)
    for address in ("/", "/browse", "/upload", "/status"):
        assert address in pages, f"no link leads to {address}"
    count = room.database.execute("SELECT count(*) FROM resource").fetchone()[0]
    assert sum(address.startswith("/r/") for address in pages if address not in BESIDES) == count
    for address, page in pages.items():
        if state is hostile:
            assert "<script>alert" not in page.html and "<img src=x" not in page.html, address
            assert "49" not in page.words, address
        if language == "en":
            assert not re.search(r"%\(\w+\)|\{\{|\{%", re.sub(r"\{\{ 7\*7 \}\}\{% raw %\}", "", page.words))
    assert room.client(language).get("/help").status_code == 200


@pytest.mark.parametrize(("state", "chinese", "english"), [
    (never_contacted, "还没有联系上中心校", "has not reached its hub school yet"),
    (nothing_assigned, "还没有为本教学点分配课程", "has not assigned any lessons"),
    (offline, "3 天前", "last reached 3 days ago"),
    (coming, "还有 3 ", "and 3 more"),
    (problems, "of-next-year", "<b>new</b> <i>wait</i>"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_the_first_page_says_how_things_are(room: Room, state: Callable[[Room], None], chinese: str,
                                            english: str) -> None:
    state(room)
    page = Page(room.page("/", "en"))
    assert english in page.words
    in_chinese = Page(room.page("/", "zh-CN")).words
    assert chinese in in_chinese if state is not problems else "<b>new</b> <i>wait</i>" in in_chinese
    if state is offline:
        assert "All lessons here work just the same" in page.words and "大青树下的小学" in page.words


def test_the_first_visit_is_light(room: Room) -> None:
    for grade in range(14):
        for number in range(20):
            add_package(room.database, f"g{grade}-{number}", f"第{number}课 {grade} 年级的一课",
                        [{"name": f"课文 {number}"}], educationalLevel=f"{grade} 年级",
                        about=("语文", "数学", "英语")[number % 3])
    client = room.client("zh-CN")
    answer = client.get("/")
    page = Page(answer.get_data(as_text=True))
    fetched = {address: len(client.get(address).data) for address in page.references()}
    assert len(answer.data) <= MOST_PAGE_BYTES
    assert 1 + len(fetched) <= MOST_REQUESTS, fetched
    assert len(answer.data) + sum(fetched.values()) <= MOST_FIRST_VISIT_BYTES, fetched
    for address in fetched:
        assert "immutable" in client.get(address).headers["Cache-Control"], address
    assert client.get("/favicon.ico").status_code == 200


def test_the_templates_of_the_first_page_are_ready_when_it_is_asked_for(room: Room) -> None:
    add_lessons(room)
    environment.cache_clear()  # as at a start
    prepare()
    ready = list(environment(DEFAULT).cache.keys())
    assert len(ready) == len(FIRST_PAGE)
    room.page("/", DEFAULT)
    assert set(environment(DEFAULT).cache.keys()) == set(ready)


def test_the_first_page_leads_on_only_where_there_is_more(room: Room) -> None:
    usual(room)
    assert "See all" not in Page(room.page("/")).words
    for number in range(9):
        add_package(room.database, f"m{number}", f"第{number}课", [{"name": "一"}], educationalLevel="三年级")
    page = Page(room.page("/"))
    assert [link.words.split(":")[1].strip() for link in page.with_class("more")] == ["三年级"]


def test_the_first_page_tells_other_devices_where_to_go(room: Room) -> None:
    page = Page(room.client().get("/", headers={"Host": "10.42.0.1:8080"}).get_data(as_text=True))
    [connect] = page.with_class("connect")
    assert connect.get("href") == "/help" and connect.words.split()[-1] == "http://10.42.0.1:8080"
    elsewhere = Page(room.client().get("/", headers={"Host": "10.42.0.2"}).get_data(as_text=True))
    assert elsewhere.with_class("connect")[0].words.split()[-1] == "http://10.42.0.2"


def test_nothing_in_english_stands_on_a_chinese_page(room: Room) -> None:
    coming(room)
    room.status["problems"] = [{"code": "disk-failing", "facts": {"path": "x", "reason": "坏道"}}]
    room.state.search.refresh()
    known = {"English", "http", "local", "teachpoint", "dqs", "USB", "PDF", "doctor", "data", "DIR", "box",
             "add", "screen", "Cookie"}
    for address, page in crawl(room.client("zh-CN"), "zh-CN").items():
        if "%3C" not in address:
            strange = set(re.findall("[A-Za-z]{3,}", page.words)) - known - set(re.findall("[a-z]+", address))
            assert not strange, address


def test_nothing_on_a_page_comes_from_elsewhere(room: Room) -> None:
    """No font, script or picture from another machine: there is no internet."""
    usual(room)
    for address, page in crawl(room.client("zh-CN"), "zh-CN").items():
        for reference in page.references():
            assert reference.startswith(("/", "http://localhost:8081/")), (address, reference)
    for style in ("teachpoint.css", "reader.css", "keys.js", "icons.svg"):
        text = room.client().get(f"/static/{style}").get_data(as_text=True)
        assert not re.search(r"@import|url\((?!['\"]?data:)|https?://(?!www\.w3\.org/)", text), style


def test_pages_are_kept_by_browsers_until_something_changes(room: Room) -> None:
    usual(room)
    client = room.client("zh-CN")
    for address in ("/", "/browse", "/search?q=x", "/p/g3-yuwen-01", "/status", "/help",
                    f"/r/g3-yuwen-01/{resource_id('g3-yuwen-01', '插图')}"):
        first = client.get(address)
        tag = {"If-None-Match": first.headers["ETag"]}
        again = client.get(address, headers=tag)
        assert (again.status_code, again.data) == (304, b""), address
        other = client.get(address, headers={**tag, "Accept-Language": "en"})
        assert other.status_code == 200 and 'lang="en"' in other.get_data(as_text=True), address
    tag = {"If-None-Match": client.get("/").headers["ETag"]}
    add_package(room.database, "new", "新课", [{"name": "新"}], educationalLevel="一年级")
    assert "新课" in client.get("/", headers=tag).get_data(as_text=True)
    tag = {"If-None-Match": client.get("/").headers["ETag"]}
    room.status["problems"] = [{"code": "disk-failing", "facts": {"path": "/data", "reason": "I/O"}}]
    room.clock.advance(10)
    assert client.get("/", headers=tag).status_code == 200


# -- resources ---------------------------------------------------------------------------------------

def shown(room: Room, name: str, language: str = "en", package: str = "g3-yuwen-01", query: str = "") -> Page:
    return Page(room.page(f"/r/{package}/{resource_id(package, name)}{query}", language))


def only(page: Page, tag: str) -> Any:
    [element] = page.all(tag)
    return element


def test_each_type_of_resource_has_its_player(room: Room) -> None:
    usual(room)
    client = room.client()

    def whole(address: str) -> bytes:
        return client.get(address).data

    video = only(shown(room, "课文朗读"), "video")
    assert "controls" in video.attributes and whole(video.get("src")) == b"video"
    audio = only(shown(room, "生字读音"), "audio")
    assert "controls" in audio.attributes and whole(audio.get("src")) == b"audio"
    picture = only(shown(room, "插图"), "img")
    assert whole(picture.get("src")) == b"picture" and picture.get("alt") == "插图"
    pdf = shown(room, "教案")
    assert only(pdf, "object").get("type") == "application/pdf"
    assert whole(only(pdf, "object").get("data").split("#")[0]) == b"%PDF-1.4"
    assert "Open on the whole screen" in pdf.words and "6 pages" in pdf.words
    for name in ("课文", "笔顺练习"):
        frame = only(shown(room, name), "iframe")
        assert frame.get("src").startswith("http://localhost:8081/c/g3-yuwen-01/")
        assert "allow-same-origin" not in frame.get("sandbox") and "allow-top" not in frame.get("sandbox")
        answer = room.content.test_client().get(urlsplit(frame.get("src")).path)
        assert answer.status_code == 200 and answer.data.startswith(b"<p>")
    assert "绒球花" in only(shown(room, "词语表"), "pre").words
    other = shown(room, "课件")
    assert "opens in another program" in other.words
    [download] = [a for a in other.all("a") if "download" in a.attributes]
    assert download.get("download") == "课件.ppt" and whole(download.get("href")) == b"ppt"


def test_opening_is_noted_once_for_each_opening_and_never_when_only_looked_at(room: Room) -> None:
    usual(room)
    address = f"/r/g3-yuwen-01/{resource_id('g3-yuwen-01', '课文朗读')}"
    client = room.client()
    client.get(address)
    client.head(address)
    client.get(address, headers={"Sec-Purpose": "prefetch"})
    tag = client.get(address).headers["ETag"]
    client.get(address, headers={"If-None-Match": tag})
    room.classroom.opened.flush()
    assert [note["name"] for note in room.noted] == ["课文朗读"] * 3
    client.get(f"/r/g1-yuwen-01/{resource_id('g1-yuwen-01', '古诗动画')}")
    room.classroom.opened.flush()
    assert len(room.noted) == 3, "what is not here yet was not opened"


def test_what_is_still_coming_says_how_much(room: Room) -> None:
    usual(room)
    page = shown(room, "古诗动画", package="g1-yuwen-01")
    assert "still on its way" in page.words and "52\u00a0MB" in page.html and not page.all("video")
    assert only(page, "progress").get("value") == "0"
    lesson = Page(room.page("/p/g1-yuwen-01"))
    assert "52\u00a0MB to come" in lesson.html
    assert f"/r/g1-yuwen-01/{resource_id('g1-yuwen-01', '天地人')}" in lesson.links


def test_a_long_text_is_read_part_by_part(room: Room) -> None:
    text = "早晨上学。" * 20_000
    add_package(room.database, "long", "长文", [
        {"name": "长", "type": "text", "mediaType": "text/plain", "entry": "长.txt",
         "files": [file_of(room, "长.txt", text.encode())]},
        {"name": "国标", "type": "text", "mediaType": "text/plain", "entry": "g.txt",
         "files": [file_of(room, "g.txt", "<大青树>".encode("gb18030"))]},
        {"name": "宽", "type": "text", "mediaType": "text/plain", "entry": "u.txt",
         "files": [file_of(room, "u.txt", "大青树".encode("utf-16"))]}])
    read, address, parts = "", f"/r/long/{resource_id('long', '长')}", 0
    while address:
        page = Page(room.page(address))
        read, parts = read + only(page, "pre").words, parts + 1
        assert len(page.html.encode()) <= MOST_PAGE_BYTES and f"Page {parts} of 7" in page.words
        address = next((one.get("href") for one in page.all("a") if one.get("rel") == "next"
                        and "Next page" in one.words), None)
    assert read == text and parts == 7
    room.classroom.opened.flush()
    assert [note["name"] for note in room.noted] == ["长"], "opened once, then turned"
    for name, expected in (("国标", "<大青树>"), ("宽", "大青树")):
        page = shown(room, name, package="long")
        assert only(page, "pre").words == expected


def test_a_drawing_is_shown_as_a_picture_and_cannot_run(room: Room) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    add_package(room.database, "svg", "图", [
        {"name": "图", "type": "picture", "mediaType": "image/svg+xml", "entry": "图.svg",
         "files": [file_of(room, "图.svg", svg)]}])
    page = shown(room, "图", package="svg")
    picture = only(page, "img")
    assert picture.get("src").startswith("http://localhost:8081/c/svg/"), "never from the pages' origin"
    answer = room.content.test_client().get(urlsplit(picture.get("src")).path)
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert "http://localhost:8081" in room.client().get("/").headers["Content-Security-Policy"]
    assert room.client().get(f"/files/svg/{quote('图.svg')}").status_code == 307


# -- books -------------------------------------------------------------------------------------------

def with_book(room: Room, data: bytes) -> None:
    add_package(room.database, "book", "读物", [
        {"name": "读物", "type": "book", "mediaType": "application/epub+zip", "entry": "读物.epub",
         "files": [file_of(room, "读物.epub", data)]}])


def chapter_of(room: Room, page: Page) -> Any:
    address = urlsplit(only(page, "iframe").get("src"))
    assert address.netloc == "localhost:8081"
    return room.content.test_client().get(address.path)


def test_a_book_opens_chapter_by_chapter(room: Room) -> None:
    with_book(room, make_epub({
        "第一章": '<h1>山里的早晨</h1><p><a href="c1.xhtml#x">公鸡</a><img src="鸡.png" alt="鸡"/></p>',
        "第二章 &lt;b>": "<p onclick='alert(1)'>太阳出来了。</p><script>alert(1)</script>",
        "第三章": "<p>完</p>"},
        cock=("鸡.png", b"png")))
    page = shown(room, "读物", package="book")
    assert "Part 1 of 3" in page.words and "王老师" in page.words
    answer = chapter_of(room, page)
    first = answer.get_data(as_text=True)
    assert answer.status_code == 200 and "山里的早晨" in first
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy.replace("allow-scripts", "!")
    assert "frame-ancestors http://localhost:*" in policy
    picture = re.search(r'src="(/e/[^"]+)"', first)
    assert picture and room.content.test_client().get(picture[1]).data == b"png"
    style = room.content.test_client().get("/e/reader.css")
    assert style.status_code == 200 and style.headers["Cross-Origin-Resource-Policy"] == "cross-origin", \
        "a sandboxed page is of no site"
    [following] = [a.get("href") for a in page.all("a") if a.get("rel") == "next"]
    second = Page(room.page(following))
    assert "Part 2 of 3" in second.words
    text = chapter_of(room, second).get_data(as_text=True)
    assert "太阳出来了" in text and "alert" not in text
    here = [a.words for a in second.all("a") if a.get("aria-current") and "chapter=" in a.get("href")]
    assert len(here) == 1 and here[0].startswith("第二章")
    assert "Part 3 of 3" in Page(room.page(f"{following.split('?')[0]}?chapter=99")).words
    assert broken_rules(second, "en") == []


def damaged(data: bytes) -> bytes:
    return data[:len(data) // 2]


def without_chapters(_data: bytes) -> bytes:
    return make_epub({})


def another_file(_data: bytes) -> bytes:
    return b"%PDF-1.4 no zip at all"


@pytest.mark.parametrize("damage", [damaged, without_chapters, another_file])
def test_a_broken_book_says_so_and_can_be_downloaded(room: Room, damage: Callable[[bytes], bytes]) -> None:
    data = damage(make_epub({"一": "<p>一</p>"}))
    with_book(room, data)
    page = shown(room, "读物", package="book")
    assert "This book cannot be opened here" in page.words and not page.all("iframe")
    [download] = [a for a in page.all("a") if "download" in a.attributes]
    assert room.client().get(download.get("href")).data == data
    assert room.content.test_client().get(f"/e/book/{resource_id('book', '读物')}/1").status_code == 404


# -- lists -------------------------------------------------------------------------------------------

def test_long_lists_stand_on_several_pages_and_nothing_is_lost(room: Room) -> None:
    count = LESSONS_A_PAGE * 2 + 5
    for number in range(count):
        add_package(room.database, f"p{number}", f"第{number}课 青蛙", [{"name": f"青蛙 {number}"}],
                    educationalLevel="三年级", about="科学", position=number)
    add_package(room.database, "big", "练习册", [{"name": f"练习 {n}"} for n in range(RESOURCES_A_PAGE + 1)],
                educationalLevel="三年级", about="数学")
    room.state.search.refresh()
    client = room.client()

    def all_of(address: str, kind: str) -> list[str]:
        found: list[str] = []
        while True:
            page = Page(client.get(address).get_data(as_text=True))
            main = page.html.split("<main", 1)[1]
            found += [link for link in page.links if link.startswith(kind) and f'"{link}"' in main]
            following = [a.get("href") for a in page.all("a") if a.get("rel") == "next"]
            if not following:
                return found
            assert len(following) == 1
            address = following[0]

    lessons = all_of("/browse?grade=三年级&subject=科学", "/p/")
    assert lessons == [f"/p/p{number}" for number in range(count)]
    assert len(all_of("/p/big", "/r/big/")) == RESOURCES_A_PAGE + 1
    results = all_of("/search?q=青蛙", "/r/")
    assert len(results) == len(set(results)) == count > 2 * RESULTS_A_PAGE
    assert f"{count} things found" in Page(room.page("/search?q=青蛙")).words
    last = Page(room.page("/search?q=青蛙&page=999"))
    assert not last.all("ol") or last.with_class("row") or "Nothing found" in last.words
    second = Page(room.page("/p/big?page=2"))
    assert second.all("ol")[-1].get("start") == str(RESOURCES_A_PAGE + 1)


def test_a_book_is_shown_unit_by_unit(room: Room) -> None:
    book = {"educationalLevel": "三年级", "about": "语文", "edition": "人教版", "volume": "上册"}
    for name, unit, position in (
            ("秋天的雨", " / 第二单元", 2), ("大青树下的小学", " / 第一单元", 1),
            ("古诗三首", " / 第二单元", 1), ("综合复习", "", 9), ("海滨小城", " / 第十单元", 1)):
        add_package(room.database, name, name, [{"name": "朗读"}], **book, position=position,
                    isPartOf=f"人教版语文三年级上册{unit}")
    page = Page(room.page("/browse?grade=三年级&subject=语文"))
    assert [tag.words for tag in page.with_class("unit")] == ["第一单元", "第二单元", "第十单元", "Other"]
    assert [link for link in page.links if link.startswith("/p/")] == [
        f"/p/{quote(name)}" for name in ("大青树下的小学", "古诗三首", "秋天的雨", "海滨小城", "综合复习")]
    [second] = [a.get("href") for a in page.all("a") if a.words == "第二单元"]
    one = Page(room.page(second))
    assert [link for link in one.links if link.startswith("/p/")] == [
        f"/p/{quote(name)}" for name in ("古诗三首", "秋天的雨")]
    assert [a.words for a in one.all("a") if a.get("aria-current") == "true"] == ["第二单元"]


def test_units_can_be_chosen_in_one_of_several_books(room: Room) -> None:
    for edition in ("人教版", "北师大版"):
        for number in (1, 2):
            add_package(room.database, f"{edition}{number}", f"课文{number}", [{"name": "朗读"}],
                        educationalLevel="三年级", about="语文", edition=edition, volume="上册",
                        isPartOf=f"{edition}语文三年级上册 / 第{number}单元")
    both = Page(room.page("/browse?grade=三年级&subject=语文"))
    assert not [a for a in both.all("a") if a.words == "第2单元"], "of which book?"
    [chosen] = [a.get("href") for a in both.all("a") if a.words == "北师大版 上册"]
    page = Page(room.page(chosen))
    [second] = [a.get("href") for a in page.all("a") if a.words == "第2单元"]
    assert [link for link in Page(room.page(second)).links if link.startswith("/p/")] == [
        f"/p/{quote('北师大版2')}"]


@pytest.mark.parametrize("words", ["青树", "树", "dqs", "DQS", "课文", " 大青树  下 "])
def test_search_finds_by_characters_and_initials(room: Room, words: str) -> None:
    usual(room)
    room.state.search.refresh()
    page = Page(room.client().get("/search", query_string={"q": words}).get_data(as_text=True))
    assert any(link.startswith("/r/g3-yuwen-01/") for link in page.links)
    assert next(e for e in page.all("input") if e.get("name") == "q").get("value") == " ".join(words.split())


def test_search_by_type_and_the_way_back(room: Room) -> None:
    usual(room)
    room.state.search.refresh()
    page = Page(room.page("/search?q=大青树&type=video"))
    assert len(page.with_class("row")) == 1 and "1 thing found" in page.words
    nothing = Page(room.page("/search?q=静夜思&type=video"))
    assert "Nothing found" in nothing.words
    assert any("type=" not in link and link.startswith("/search?") for link in nothing.links)


def test_rows_of_search_escape_what_was_typed(room: Room) -> None:
    for text in HOSTILE:
        page = Page(room.client().get("/search", query_string={"q": text}).get_data(as_text=True))
        assert broken_rules(page, "en") == []
        assert all(str(script.get("src")).startswith("/static/") for script in page.all("script"))
        assert next(e for e in page.all("input") if e.get("name") == "q").get("value") == text[:100]


def test_a_subject_is_narrowed_to_an_edition_and_volume(room: Room) -> None:
    usual(room)
    assert "edition=" not in room.page("/browse?grade=三年级&subject=语文"), "one book alone is no choice"
    for edition, volume in (("人教版", "下册"), ("北师大版", "上册"), ("", "")):
        add_package(room.database, f"more-{edition}-{volume}", f"{edition}{volume}的一课", [{"name": "课文"}],
                    educationalLevel="三年级", about="语文", edition=edition, volume=volume)
    page = Page(room.page("/browse?grade=三年级&subject=语文"))
    narrow = [link for link in page.links if "edition=" in link]
    assert [link.words for link in page.all("a") if "edition=" in str(link.get("href"))] == [
        "人教版 上册", "人教版 下册", "北师大版 上册", "Other"]
    lessons = [[link for link in Page(room.page(address)).links if link.startswith("/p/")]
               for address in narrow]
    assert [len(found) for found in lessons] == [1, 1, 1, 1] and lessons[0] == ["/p/g3-yuwen-01"]
    everything = sorted(link for link in page.links if link.startswith("/p/"))
    assert sorted(link for found in lessons for link in found) == everything
    for address in narrow:
        there = Page(room.page(address))
        assert broken_rules(there, "en") == []
        [here] = [link for link in there.all("a") if link.get("aria-current") == "true"]
        assert here.get("href") == address
    assert "Nothing here yet" in room.page("/browse?grade=三年级&subject=语文&edition=x&volume=y")


# -- language, errors, forms -------------------------------------------------------------------------

def test_the_language_is_switched_and_kept(room: Room) -> None:
    usual(room)
    client = room.client("zh-CN")
    page = Page(client.get("/search?q=大青树&type=video").get_data(as_text=True))
    [switch] = page.with_class("language")
    assert switch.get("lang") == "en" and switch.words.strip() == "English"
    answer = client.get(switch.get("href"))
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/search?q=%E5%A4%A7%E9%9D%92%E6%A0%91&type=video"
    assert 'lang="en"' in client.get("/browse").get_data(as_text=True)
    [back] = Page(client.get("/").get_data(as_text=True)).with_class("language")
    assert back.words.strip() == "中文"
    client.get(back.get("href"))
    assert 'lang="zh-CN"' in client.get("/").get_data(as_text=True)


@pytest.mark.parametrize("wish", ["http://evil.example/", "//evil.example", "/\\evil.example", "/language/en",
                                  "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "", "/" + "x" * 3000])
def test_the_language_switch_leads_nowhere_else(room: Room, wish: str) -> None:
    answer = room.client().get("/language/en", query_string={"next": wish})
    assert answer.status_code == 303 and answer.headers["Location"] == "/"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", [400, 404, 405, 500, 503])
def test_an_error_says_what_happened_and_leads_back(room: Room, status: int, language: str) -> None:
    usual(room)
    client = room.client(language)
    room.app.config["PROPAGATE_EXCEPTIONS"] = False
    if status == 500:
        room.classroom.facts.values = None  # type: ignore[assignment, method-assign]
        answer = client.get("/status")
    elif status == 503:
        sha256 = room.database.execute("SELECT sha256 FROM file WHERE path = '插图.png'").fetchone()[0]
        room.store.path(sha256).unlink()
        answer = client.get(f"/files/g3-yuwen-01/{quote('插图.png')}")
        assert room.lost == [sha256]
    else:
        answer = {400: lambda: client.get("/", headers={"Host": "a b"}), 404: lambda: client.get("/nothing"),
                  405: lambda: client.post("/status")}[status]()
    assert answer.status_code == status
    page = Page(answer.get_data(as_text=True))
    assert broken_rules(page, language) == []
    assert "/" in page.links and "/browse" in page.links and answer.headers["Cache-Control"] == "no-store"
    assert "Traceback" not in page.html and "edge/" not in page.html


def test_a_file_is_sent_without_scripts_and_what_is_wrong_is_said(room: Room) -> None:
    client = room.client()
    page = Page(client.get("/upload").get_data(as_text=True))
    form = next(e for e in page.all("form") if e.get("method") == "post")
    fields = {e.get("name"): e.get("value") for e in page.all("input") if e.get("name") not in ("q", "file")}
    assert form.get("enctype") == "multipart/form-data"

    def send(**more: Any) -> Any:
        return client.post(form.get("action"), data={**fields, **more}, content_type=form.get("enctype"))

    empty = send(title="<i>卷子</i>")
    assert empty.status_code == 400
    refused = Page(empty.get_data(as_text=True))
    assert refused.with_class("warn") and broken_rules(refused, "en") == []
    assert next(e for e in refused.all("input") if e.get("name") == "title").get("value") == "<i>卷子</i>", \
        "what was typed is still there"
    sent = send(title="<i>卷子</i>", about="数学", file=(io.BytesIO(b"sheet"), "卷子.pdf"))
    assert sent.status_code == 303
    done = Page(client.get(sent.headers["Location"]).get_data(as_text=True))
    assert "“<i>卷子</i>” is safe in the box." in done.words and broken_rules(done, "en") == []
    assert "waiting for the line" in done.words
    assert client.post(form.get("action"), data={**fields, "token": "0"}).status_code == 403
    assert room.app.test_client().post("/upload", data=fields).status_code == 403, "no cookie, no form"


def test_help_names_addresses_and_draws_the_square(room: Room) -> None:
    page = Page(room.client().get("/help", headers={"Host": "10.42.0.1:8080"}).get_data(as_text=True))
    assert broken_rules(page, "en") == []
    assert {"http://10.42.0.1:8080/", "http://teachpoint.local:8080/"} <= set(page.links)
    below = [line.strip() for line in page.with_class("qr")[0].words.splitlines() if line.strip()]
    assert below[-2:] == ["http://10.42.0.1:8080", "Poster for the wall"]


@pytest.mark.parametrize("host", ["evil.example/<script>", "a" * 300, "a b", "a:99999", "[::1", "a\"b"])
def test_a_malformed_host_is_refused(room: Room, host: str) -> None:
    answer = room.client().get("/", headers={"Host": host})
    assert answer.status_code == 400 and "<script>" not in answer.get_data(as_text=True).split("<main", 1)[1]


@pytest.mark.parametrize(("language", "words"), [
    ("en", ["The line is kept free until 18:00", "Around 21:00 all is here.", "Mon to Fri 18:00–06:00",
            "Sat to Sun 00:00–24:00", "At most 1.5 Mbit/s: at all times",
            "In class hours at most 256 kbit/s: Mon, Wed", "in a month", "a second",
            "Next sync: 06:28.", "files 3 MB"]),
    ("zh-CN", ["18:00 之前线路留作他用", "预计 21:00 左右全部到齐", "周一至周五 18:00–06:00", "任何时间",
               "下次同步：06:28。"])])
def test_the_status_page_tells_the_line_and_its_rules_in_words(
        room: Room, language: str, words: list[str]) -> None:
    held(room)
    text = " ".join(room.page("/status", language).split())
    assert [word for word in words if word not in text] == []
    today = " ".join(room.page("/", language).split())
    assert words[0] in today and words[1] in today


@pytest.mark.parametrize(("state", "opens", "words"), [
    ("budget", 1_701_360_000, "budget of the line is used up; lessons go on coming from 12-01 00:00"),
    ("spent", None, "budget of the line is used up; lessons wait"), ("unsure", None, "can’t be believed"),
    ("class", 1_700_006_400, "kept free until 08:00"), ("open", None, "come at 256 kbit/s at most")])
def test_each_state_of_the_line_has_its_words(room: Room, state: str, opens: int | None, words: str) -> None:
    held(room)
    room.status["line"] |= {"state": state, "opens": opens, "finish": None}
    text = room.page("/")
    assert words in text and "not known yet" in text


def test_a_document_is_drawn_by_scripts_of_the_box_that_make_no_code_of_it(room: Room) -> None:
    """pdf.js 2.16 would evaluate what a hostile font says (CVE-2024-4367): not so told, and refused twice."""
    assert has_static("pdfjs/pdf.min.js"), "run `make install`: it puts pdf.js below kiosk_ui/static/"
    add_package(room.database, "pdf", "课", [{"name": "课文"}])
    client = room.client()
    page = client.get(f"/r/pdf/{resource_id('pdf', '课文')}")
    assert 'data-paper="/files/pdf/%E8%AF%BE%E6%96%87.pdf"' in page.text
    scripts = re.findall(r'(?:src|data-worker)="(/static/[^"]+)"', page.text)
    scripts = [one for one in scripts if "/show.js" not in one]  # the screen's, of no document
    assert [Path(urlsplit(one).path).name for one in scripts] == [
        "keys.js", "suggest.js", "pdf.worker.min.js", "pdf.min.js", "paper.js"]
    for answer in (page, *(client.get(one) for one in scripts)):
        assert answer.status_code == 200 and "'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
    assert "isEvalSupported: false" in client.get(scripts[-1]).text
