"""A page as a browser's reader meets it, and the rules that every page keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import urljoin

#: Elements that are never closed.
EMPTY = frozenset(("meta", "link", "img", "input", "br", "hr", "source", "wbr", "col"))
#: Drawings are XML: any of their elements may close itself.
DRAWING = frozenset(("use", "path", "circle", "rect", "line"))


@dataclass
class Element:
    """An element with its attributes and the words inside it."""

    tag: str
    attributes: dict[str, str | None]
    words: str = ""

    def get(self, name: str) -> str:
        """An attribute; "" where there is none, or it has no value."""
        return self.attributes.get(name) or ""


@dataclass
class Page(HTMLParser):
    """All elements of a page, in order; `faults` are breaches of HTML itself."""

    html: str
    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.html)
        self.close()
        self.faults += [f"<{element.tag}> is never closed" for element in self._open]

    def __hash__(self) -> int:
        return id(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) < len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY | DRAWING:
            self.faults.append(f"<{tag}/> does not close itself in HTML")
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words += data

    # -- asking

    def all(self, *tags: str) -> list[Element]:
        """All elements of these kinds."""
        return [element for element in self.elements if element.tag in tags]

    def with_class(self, name: str) -> list[Element]:
        """All elements of a class."""
        return [element for element in self.elements if name in element.get("class").split()]

    @property
    def words(self) -> str:
        """What is read on it, in one line."""
        return " ".join(next(iter(self.all("body"))).words.split())

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [element.get("href") for element in self.all("a") if "href" in element.attributes]

    def references(self) -> set[str]:
        """What a browser fetches for it by itself, fragments taken off."""
        names = {"link": "href", "script": "src", "img": "src", "use": "xlink:href", "iframe": "src",
                 "video": "src", "audio": "src", "object": "data"}
        return {element.get(names[element.tag]).split("#")[0] for element in self.all(*names)
                if element.tag != "link" or element.get("rel") in ("stylesheet", "icon")}


def broken_rules(page: Page, language: str) -> list[str]:
    """What a page does against the rules; nothing, if all is well."""
    found = list(page.faults)
    ids = [element.get("id") for element in page.elements if "id" in element.attributes]
    found += [f"id {one!r} twice" for one in set(ids) if ids.count(one) > 1]
    [html] = page.all("html")
    if html.get("lang") != language:
        found.append(f"lang is {html.get('lang')}")
    if len(page.all("h1")) != 1 or not page.all("h1")[0].words.strip():
        found.append(f"{len(page.all('h1'))} first headings")
    levels = [int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")]
    found += [f"heading {one} under {above}" for above, one in pairwise(levels)
              if one > above + 1]
    if not page.all("title")[0].words.strip(" ·"):
        found.append("no title")
    for element in page.elements:
        for name, value in element.attributes.items():
            script = name in ("href", "src", "action", "data") and (value or "").startswith("javascript:")
            if name.startswith("on") or name == "style" or script:
                found.append(f"<{element.tag} {name}={value!r}>: the policy forbids it")
            if name in ("aria-labelledby", "aria-describedby", "for", "list") and value not in ids:
                found.append(f"{name}={value!r} names nothing")
        if element.tag == "script" and (element.words.strip() or not element.get("src")):
            found.append("a script inside the page")
        if element.tag == "img" and "alt" not in element.attributes:
            found.append(f"no alt: {element.get('src')}")
        if element.tag in ("iframe", "object") and not (element.get("title") or element.get("aria-label")):
            found.append(f"<{element.tag}> without a name")
        words = element.words.strip() or element.get("aria-label") or re.search(
            rf'<a href="{re.escape(element.get("href"))}"><img [^>]*alt="[^"]+', page.html)
        if element.tag in ("a", "button") and not words:
            found.append(f"<{element.tag} {element.get('href')}> says nothing")
    labelled = {element.get("for") for element in page.all("label")}
    found += [f"field {element.get('name')} without label" for element in page.all("input", "select")
              if element.get("type") != "hidden" and not element.get("aria-label")
              and element.get("id") not in labelled]
    if "#main" not in page.links or "main" not in ids:
        found.append("no way to skip to the content")
    return found


def local(address: str, at: str) -> str | None:
    """A link of the page at `at` as a path of this box, without fragment; None if it leads elsewhere."""
    whole = urljoin("http://localhost" + at, address).split("#")[0]
    return whole.removeprefix("http://localhost") if whole.startswith("http://localhost/") else None
