"""Office files as programs write them, as small as they can be."""

from __future__ import annotations

from tests.lesson_packages import packed

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def docx(pages: list[str]) -> bytes:
    """A Word document of these pages."""
    turn = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    body = turn.join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in pages)
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return _ooxml("word/document.xml", kind,
                  f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>')


def xlsx(cells: list[str]) -> bytes:
    """An Excel sheet with one row."""
    row = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in cells)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return _ooxml(
        "xl/workbook.xml", f"{kind}.sheet.main+xml",
        f'<workbook xmlns="{_S}" xmlns:r="{_KINDS}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
        "</workbook>",
        {"xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" '
         f'Type="{_KINDS}/worksheet" Target="sheet.xml"/></Relationships>',
         "xl/sheet.xml": f'<worksheet xmlns="{_S}"><sheetData><row>{row}</row></sheetData></worksheet>'},
        f'<Override PartName="/xl/sheet.xml" ContentType="{kind}.worksheet+xml"/>')


def odp(slides: list[str]) -> bytes:
    """Slides of an OpenDocument presentation."""
    body = "".join(
        f'<draw:page draw:master-page-name="m"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="20cm" '
        f'svg:height="5cm"><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame></draw:page>'
        for text in slides)
    return _odf("presentation", f"<office:presentation>{body}</office:presentation>")


def odt(body: str) -> bytes:
    """An OpenDocument text with this XML in it."""
    return _odf("text", f"<office:text>{body}</office:text>")


def _odf(kind: str, body: str) -> bytes:
    names = {"office": "office", "text": "text", "draw": "drawing", "svg": "svg-compatible"}
    spaces = " ".join(f'xmlns:{short}="{_ODF}:{long}:1.0"' for short, long in names.items())
    media = f"application/vnd.oasis.opendocument.{kind}"
    return packed({name: text.encode() for name, text in {
        "mimetype": media,
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="{_ODF}:manifest:1.0"><m:file-entry m:full-path="/" '
        f'm:media-type="{media}"/><m:file-entry m:full-path="content.xml" m:media-type="text/xml"/>'
        "</m:manifest>",
        "content.xml": f'<office:document-content {spaces} xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'office:version="1.2"><office:body>{body}</office:body></office:document-content>'}.items()})


def _ooxml(main: str, kind: str, text: str, more: dict[str, str] | None = None, types: str = "") -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return packed({name: (head + xml).encode() for name, xml in {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType="application/'
        'vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{kind}"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1" '
        f'Type="{_KINDS}/officeDocument" Target="{main}"/></Relationships>',
        main: text, **(more or {})}.items()})
