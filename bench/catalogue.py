"""The catalogue's pages with many resources: first page, browsing, searching, behind nginx and without."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from bench.load import Flood, flood
from bench.results import spread, table
from sync.box.state import open_box
from tests.e2e.stage import Stage, ask, get, wait_for
from tests.edge.shelf_rows import add_package

LESSONS, RESOURCES_OF_A_LESSON = 1000, 20
CLIENTS = 16
ROUNDS, ROUND_S = 2, 3

SUBJECTS = ("语文", "数学", "英语", "科学", "音乐", "美术", "道德与法治", "体育")
GRADES = ("一年级", "二年级", "三年级", "四年级", "五年级", "六年级")
WORDS = ("大青树", "花的学校", "时分秒", "认识钟表", "春晓", "静夜思", "乘法口诀", "圆的面积",
         "植物的根", "水的循环", "小数加法", "望庐山瀑布", "分数", "百分数", "草原", "观潮")
KINDS = (("朗读", "video", "video/mp4", "mp4"), ("生字", "audio", "audio/mpeg", "mp3"),
         ("练习", "document", "application/pdf", "pdf"), ("插图", "picture", "image/png", "png"))


def run(stage: Stage) -> str:
    """Each page in turn from 16 clients; the text of the section."""
    stage.set_up()
    fill(stage)
    found: dict[tuple[str, str], list[Flood]] = {}
    sizes: dict[str, int] = {}
    for turn in range(ROUNDS):
        for front in ((), ("--no-nginx",)) if turn % 2 == 0 else (("--no-nginx",), ()):
            service = stage.serve_box("--no-mdns", "--no-sync", *front)
            wait_for("the search index", lambda: ask(stage.url + "api/v1/resources?q=langdu")["total"])
            for name, paths in pages(stage).items():
                for path in paths:
                    status, _, body = get(stage.url.rstrip("/") + path)
                    if status != 200:
                        raise RuntimeError(f"{path}: {status}")
                    sizes[name] = len(body)
                found.setdefault((name, "without" if front else "nginx"), []).append(flood(
                    "ask.lua", stage.url, *paths, connections=CLIENTS, seconds=ROUND_S))
            service.stop()
    rows = [[name, front, spread([f.requests_per_s for f in floods]), spread([f.p50_ms for f in floods], 1),
             spread([f.p95_ms for f in floods], 1), str(sum(f.errors for f in floods)), f"{sizes[name]:,}"]
            for (name, front), floods in sorted(found.items())]
    return f"""\
A box with {LESSONS * RESOURCES_OF_A_LESSON:,} resources in {LESSONS:,} lessons, {CLIENTS} clients as fast
as they are answered, {ROUNDS} rounds of {ROUND_S} s. Many addresses in turn, except the first page.
Nothing to compare with yet.

{table(["page", "front", "requests/s", "p50 ms", "p95 ms", "errors", "bytes"], rows)}"""


def fill(stage: Stage) -> None:
    """Lessons in the box's database, as a sync would tell of them."""
    box = open_box(stage.box_data)
    for number in range(LESSONS):
        topic = WORDS[number % len(WORDS)]
        add_package(box.database, f"lesson-{number:04}", f"第{number % 30 + 1:02}课 {topic}", [
            {"name": f"{topic}{kind}{place}", "type": type_, "mediaType": media,
             "entry": f"{place:02} {kind}.{suffix}", "size": 1000 + place}
            for place in range(RESOURCES_OF_A_LESSON)
            for kind, type_, media, suffix in [KINDS[place % len(KINDS)]]
        ], about=SUBJECTS[number % len(SUBJECTS)], educationalLevel=GRADES[number % len(GRADES)],
            edition="人教版", volume="上册", position=number % 30 + 1)
    box.database.close()


def pages(stage: Stage) -> dict[str, list[str]]:
    """The addresses by what they are."""
    items = ask(stage.url + "api/v1/resources?limit=100")["items"]
    return {
        "first page": ["/"],
        "browse": [f"/browse?{urlencode({'grade': grade, 'subject': subject})}"
                   for grade in GRADES for subject in SUBJECTS],
        "search": [f"/search?{urlencode({'q': word[:2] + more})}" for word in WORDS
                   for more in ("", " 朗读")],
        "suggestions": [f"/suggest?{urlencode({'q': word[:letters]})}" for word in WORDS
                        for letters in (1, 2)],
        "lesson": [f"/p/lesson-{number:04}" for number in range(0, LESSONS, 7)],
        "resource": [f"/r/{quote(one['package'])}/{one['id']}" for one in items],
        "API search": [f"/api/v1/resources?{urlencode({'q': word[:2], 'limit': 30})}" for word in WORDS],
    }
