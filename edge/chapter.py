"""A chapter of a book as safe HTML: known elements and attributes only, links and pictures turned to ours.

Parsing is lenient, as a browser's is; what is written is balanced and escaped. No script, style, form,
frame, event handler or outside address gets through. The answer goes out from the content origin, in a
sandbox and with a policy that allows no script: two more walls behind this one.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from html.parser import HTMLParser

#: Elements that may stand in a chapter.
KEPT = frozenset((
    "a", "abbr", "aside", "article", "audio", "b", "bdi", "bdo", "blockquote", "br", "caption",
    "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption",
    "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins",
    "kbd", "li", "main", "mark", "ol", "p", "pre", "q", "rb", "rp", "rt", "rtc", "ruby", "s",
    "samp", "section", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot",
    "th", "thead", "time", "tr", "u", "ul", "var", "video", "wbr", "math", "mi", "mn", "mo", "ms",
    "mtext", "mspace", "mrow", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "msub", "msup",
    "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "semantics"))
#: Elements whose content is dropped with them.
DROPPED = frozenset(("script", "style", "head", "template", "object", "applet", "iframe", "frameset",
                     "noframes", "noembed", "textarea", "annotation", "annotation-xml"))
#: Elements that hold nothing.
EMPTY = frozenset(("br", "hr", "img", "wbr", "col", "mspace"))
#: Attributes that may stand on any element, and on some.
ANYWHERE = frozenset(("lang", "dir", "title"))
ATTRIBUTES = {
    "td": ("colspan", "rowspan"), "th": ("colspan", "rowspan", "scope"), "ol": ("start", "type", "reversed"),
    "li": ("value",), "col": ("span",), "colgroup": ("span",), "time": ("datetime",), "img": ("alt",),
    "math": ("display",), "mo": ("stretchy",),
}
#: Deepest nesting written; a browser's own limit is near it.
MOST_DEPTH = 250
#: Elements that HTML gives the parser as raw text: they never close inside.
_RAW = frozenset(("script", "style"))

#: link → our address, or None to leave it out; the second argument says what stands there.
Turn = Callable[[str, str], str | None]


def chapter_html(source: str, turn: Turn) -> str:
    """The body of a chapter. `turn(link, kind)` gives addresses; kind is `link`, `picture` or `media`."""
    cleaner = _Cleaner(turn)
    cleaner.feed(source)
    cleaner.close()
    return cleaner.finished()


class _Cleaner(HTMLParser):
    def __init__(self, turn: Turn) -> None:
        super().__init__(convert_charrefs=True)
        self._turn = turn
        self._out: list[str] = []
        self._open: list[str] = []
        self._dropping: list[str] = []

    def finished(self) -> str:
        """All that was written, with what is still open closed."""
        while self._open:
            self._out.append(f"</{self._open.pop()}>")
        return "".join(self._out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, attrs, closed=False)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, attrs, closed=True)
        if tag in _RAW:
            self.clear_cdata_mode()

    def _start(self, tag: str, attrs: list[tuple[str, str | None]], *, closed: bool) -> None:
        if self._dropping == ["head"] and tag == "body":  # HTML may leave `</head>` out
            self._dropping.clear()
        if self._dropping:
            if not closed and tag == self._dropping[-1]:
                self._dropping.append(tag)
            return
        if tag in DROPPED:
            if not closed:
                self._dropping.append(tag)
            return
        given = {name: value or "" for name, value in attrs}
        if tag == "image":  # of an SVG cover
            tag, given = "img", {"src": given.get("xlink:href") or given.get("href", ""), "alt": ""}
        if tag not in KEPT or len(self._open) >= MOST_DEPTH:
            return
        written = self._attributes(tag, given)
        if tag == "img" and "src" not in written:
            self._out.append(escape(given.get("alt", "")))
            return
        self._out.append(f"<{tag}" + "".join(f' {n}="{escape(v)}"' for n, v in written.items()) + ">")
        if tag in EMPTY:
            return
        if closed:
            self._out.append(f"</{tag}>")
        else:
            self._open.append(tag)

    def _attributes(self, tag: str, given: dict[str, str]) -> dict[str, str]:
        kept = {name: given[name] for name in given if name in ANYWHERE or name in ATTRIBUTES.get(tag, ())}
        if "lang" not in kept and given.get("xml:lang"):
            kept["lang"] = given["xml:lang"]
        if given.get("id"):
            kept["id"] = given["id"]
        if tag == "a" and given.get("href"):
            target = self._turn(given["href"], "link")
            if target:
                kept["href"] = target
        elif tag == "a" and given.get("name") and "id" not in kept:
            kept["id"] = given["name"]
        if tag in ("img", "audio", "video"):
            kind = "picture" if tag == "img" else "media"
            target = self._turn(given.get("src", ""), kind)
            if target:
                kept["src"] = target
            if tag != "img":
                kept["controls"] = ""
                kept["preload"] = "none"
            else:
                kept.setdefault("alt", "")
        return kept

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            if tag == self._dropping[-1]:
                self._dropping.pop()
            return
        if tag in EMPTY or tag not in self._open:
            return
        while True:
            last = self._open.pop()
            self._out.append(f"</{last}>")
            if last == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self._out.append(escape(data, quote=False))
