"""EPUBs for tests, as a publisher packs them."""

from __future__ import annotations

import io
import zipfile

_CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
_OPF = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">{title}</dc:identifier>
<dc:title>{title}</dc:title><dc:creator>王老师</dc:creator><dc:language>zh-CN</dc:language></metadata>
<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
{items}{more}</manifest><spine>{spine}</spine></package>"""
_XHTML = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head>
<title>{name}</title></head><body>{body}</body></html>"""


def make_epub(chapters: dict[str, str], title: str = "课外读物", **files: tuple[str, bytes]) -> bytes:
    """An EPUB 3: name of a chapter → its body. `files`: id=(path, bytes) of more, SVG and PNG by suffix."""
    names = list(chapters)
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>'
                    for n in range(len(names)))
    types = {"svg": "image/svg+xml", "png": "image/png", "js": "text/javascript"}
    more = "".join(f'<item id="{key}" href="{path}" media-type="{types[path.rsplit(".", 1)[-1]]}"/>'
                   for key, (path, _) in files.items())
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(names)))
    contents = "".join(f'<li><a href="c{n}.xhtml">{name}</a></li>' for n, name in enumerate(names))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", _CONTAINER)
        book.writestr("OPS/book.opf", _OPF.format(title=title, items=items, more=more, spine=spine))
        book.writestr("OPS/nav.xhtml", _XHTML.format(
            name=title, body=f'<nav epub:type="toc"><ol>{contents}</ol></nav>'))
        for number, (name, body) in enumerate(chapters.items()):
            book.writestr(f"OPS/c{number}.xhtml", _XHTML.format(name=name, body=body))
        for path, data in files.values():
            book.writestr(f"OPS/{path}", data)
    return out.getvalue()
