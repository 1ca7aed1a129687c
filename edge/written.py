"""Texts as pages: plain ones as they are, part by part; Markdown as safe HTML in the page's own headings.

Markdown passes two walls: the renderer lets no HTML of the text through, and what it writes goes through
`edge.chapter`, which keeps known elements and leads links and pictures to files of this box only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from edge.chapter import Turn, chapter_html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

#: Characters of a part of a plain text: some ten pages of a book, 48 KB of Chinese.
PART_CHARACTERS = 16_000
#: Longest Markdown that is rendered, in characters: a hostile one takes a second or two, a lesson plan has a
#: tenth. A longer one is shown as plain text.
MOST_MARKDOWN = 40_000
#: Headings of HTML end here; the page's own is the first.
DEEPEST_HEADING = 6


@dataclass(frozen=True)
class Written:
    """One part of a text: either `html` or `text`; `number` of `count` parts. Neither: it is no text."""

    html: str = ""
    text: str = ""
    number: int = 1
    count: int = 1


def written(words: str, part: int, turn: Turn | None) -> Written:
    """What is shown of `words`; `turn` (as in `edge.chapter`) where they are Markdown."""
    if "\0" in words or not words.strip():
        return Written()
    if turn is not None and len(words) <= MOST_MARKDOWN:
        return Written(html=chapter_html(_rendered(words), turn))
    places = _parts(words)
    number = min(max(part, 1), len(places))
    start, end = places[number - 1]
    return Written(text=words[start:end], number=number, count=len(places))


def _parts(words: str) -> list[tuple[int, int]]:
    """Where the parts begin and end: at the last line end that fits, in the middle where there is none."""
    places = []
    start = 0
    while start < len(words):
        end = min(start + PART_CHARACTERS, len(words))
        if end < len(words):
            line = words.rfind("\n", start + PART_CHARACTERS // 2, end)
            end = line + 1 if line >= 0 else end
        places.append((start, end))
        start = end
    return places


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # sixty modules, which most boxes never need
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _rendered(words: str) -> str:
    tokens = _markdown().parse(words)
    _lower(tokens)
    return str(_markdown().renderer.render(tokens, _markdown().options, {}))


def _lower(tokens: list[Token]) -> None:
    """Put the headings below the page's own, and leave no step out: readers' programs go by them."""
    last = 1
    for token in tokens:
        if token.type == "heading_open":
            last = min(int(token.tag[1]) + 1, last + 1, DEEPEST_HEADING)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{last}"
