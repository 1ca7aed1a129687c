"""XML that strangers wrote, as a tree: no entities of its own, bounded depth. No I/O."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

#: Depth of elements; real files (EPUB, SCORM) have under 10.
MOST_DEPTH = 100

#: Encodings that Windows programs in China write, which expat does not know; GB 18030 holds all of them.
_CHINESE = re.compile(rb"""^\s*<\?xml[^>]{0,200}encoding\s*=\s*["'](?:gb2312|gbk|gb18030)["']""", re.I)


class BadXml(Exception):
    """This is no XML, or none that is read here; the message says why."""


def parse_xml(data: bytes) -> ET.Element:
    """XML into a tree, names without their namespaces. Raises BadXml."""
    builder = ET.TreeBuilder()
    encoding = "utf-8" if _CHINESE.match(data) else None
    parser = expat.ParserCreate(encoding, namespace_separator="}")
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise BadXml("holds XML that is nested too deep")
        builder.start(_local(name), {_local(k): v for k, v in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def entity(*_: Any) -> None:
        raise BadXml("holds XML that declares entities")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(data.decode("gb18030").encode() if encoding else data, True)
        return builder.close()
    except (expat.ExpatError, UnicodeError) as error:
        raise BadXml(f"is no whole XML: {error}") from error


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]
