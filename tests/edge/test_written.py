"""Texts and Markdown as pages: nothing of a stranger's HTML gets through, and headings keep their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.written import MOST_MARKDOWN, PART_CHARACTERS, written
from tests.edge.classroom import add_package, file_of, make_room, resource_id


def turn(link: str, kind: str) -> str | None:
    return f"/{kind}/{link}" if link.startswith("own") else None


@pytest.mark.parametrize(("given", "html"), [
    ("# 一\n### 三\n## 二\n###### 六", "<h2>一</h2>\n<h3>三</h3>\n<h3>二</h3>\n<h4>六</h4>\n"),
    ("*a* **b** ~~c~~", "<p><em>a</em> <strong>b</strong> <s>c</s></p>\n"),
    ("[x](own.pdf) [y](http://a.b/) [z](javascript:alert(1))",
     '<p><a href="/link/own.pdf">x</a> <a>y</a> [z](javascript:alert(1))</p>\n'),
    ("![x](own.png) ![y](http://a.b/c.png)", '<p><img alt="x" src="/picture/own.png"> y</p>\n'),
    ("<script>alert(1)</script>\n\n<b onclick=x>b</b>",
     "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n<p>&lt;b onclick=x&gt;b&lt;/b&gt;</p>\n"),
    ("|a|b|\n|-|-|\n|1|2|", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n"
     "<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n"),
])
def test_markdown_is_safe_html(given: str, html: str) -> None:
    assert written(given, 1, turn).html == html


@pytest.mark.parametrize("hostile", ["[" * 20_000, "> " * 20_000, "*a _b " * 10_000, "`" * 20_000,
                                     "- " * 20_000, "|a" * 10_000 + "\n" + "|-" * 10_000,
                                     "![" * 10_000 + "](" * 10_000])
def test_no_text_is_too_deep(hostile: str) -> None:
    assert written(hostile, 1, turn).html.count("<") < 200_000


def test_a_text_is_cut_at_its_lines_and_nothing_is_lost() -> None:
    words = "".join(f"{number:07}\n" for number in range(5_000))
    parts = [written(words, number, None) for number in range(1, 4)]
    assert "".join(part.text for part in parts) == words and {part.count for part in parts} == {3}
    assert all(part.text.endswith("\n") and len(part.text) <= PART_CHARACTERS for part in parts)
    assert written(words, 99, None).number == 3 and written(words, -1, None).number == 1


@pytest.mark.parametrize("words", ["", " \n\t", "a\0b"])
def test_what_is_no_text_shows_nothing(words: str) -> None:
    for renderer in (turn, None):
        assert (found := written(words, 1, renderer)).html == found.text == ""


def test_long_markdown_is_shown_as_it_is() -> None:
    found = written("# a\n" * MOST_MARKDOWN, 1, turn)
    assert not found.html and found.text.startswith("# a\n") and found.count > 1


def test_markdown_leads_to_its_neighbours_in_the_lesson(tmp_path: Path) -> None:
    room = make_room(tmp_path / "box")
    add_package(room.database, "p", "课", [
        {"name": "教案", "type": "text", "mediaType": "text/markdown", "entry": "课/教案.md", "files": [
            file_of(room, "课/教案.md",
                    "# 教案\n[卷子](../卷子.pdf) ![图](图.png) [外](//x/y) [无](无.pdf)".encode())]},
        {"name": "卷子", "entry": "卷子.pdf", "files": [file_of(room, "卷子.pdf", b"%PDF")]},
        {"name": "图", "type": "picture", "mediaType": "image/png", "entry": "课/图.png",
         "files": [file_of(room, "课/图.png", b"png")]}])
    page = room.client().get(f"/r/p/{resource_id('p', '教案')}").text
    assert f'<a href="/r/p/{resource_id("p", "卷子")}">卷子</a>' in page
    assert '<img alt="图" src="/files/p/%E8%AF%BE/%E5%9B%BE.png">' in page
    assert "<a>外</a> <a>无</a>" in page and "<h2>教案</h2>" in page
