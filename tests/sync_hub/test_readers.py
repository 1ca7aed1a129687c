"""Looking into files: what is found in good ones, and that bad ones give a warning and nothing worse."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sync.hub import readers
from sync.hub.readers import read, tidy_title

Look = Callable[[str, bytes], tuple[readers.Found, bytes]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """look(kind, bytes) → (Found, thumbnail)."""

    def looked(kind: str, data: bytes) -> tuple[readers.Found, bytes]:
        path = tmp_path / "object"
        path.write_bytes(data)
        return read(kind, path)

    return looked


def pdf(text: str = "Hello", title: str = "A title") -> bytes:
    """The smallest PDF with a page of Latin text."""
    stream = f"BT /F1 24 Tf 50 700 Td ({text}) Tj ET".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Title(%s)>>" % title.encode(),
    ]
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    offsets = []
    for number, part in enumerate(parts, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj%s endobj\n" % (number, part))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer<</Size %d/Root 1 0 R/Info 6 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(parts) + 1, start))
    return out.getvalue()


OPF = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>唐诗</dc:title></metadata><manifest>
<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/><item id="b" href="sub/b.xhtml"/>
<item id="c" href="c.png" properties="cover-image" media-type="image/png"/></manifest>
<spine><itemref idref="b"/><itemref idref="a"/></spine></package>"""


def picture(width: int = 640, height: int = 480, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(data, kind)
    return data.getvalue()


def epub(**changed: bytes) -> bytes:
    entries = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": b'<container><rootfile full-path="O/x.opf"/></container>',
        "O/x.opf": OPF.encode(),
        "O/a.xhtml": "<p>床前明月光".encode(),
        "O/sub/b.xhtml": "<p>白日依山尽".encode(),
        "O/c.png": picture(),
        **changed,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


def test_a_pdf_tells_title_pages_and_text(look: Look) -> None:
    found, _ = look("pdf", pdf())
    assert (found.title, found.pages, found.text, found.warnings) == ("A title", 1, "Hello", [])


def test_an_epub_tells_title_text_in_reading_order_and_its_cover(look: Look) -> None:
    found, thumbnail = look("epub", epub())
    assert found.title == "唐诗" and found.warnings == []
    assert found.text.index("白日依山尽") < found.text.index("床前明月光")
    assert Image.open(io.BytesIO(thumbnail)).size == (320, 240)


@pytest.mark.parametrize(
    "page, text",
    [
        (
            "<title>T</title><script>var x</script><style>p{}</style><p>早晨</p><p>从<b>山坡</b>上",
            "早晨\n从山坡上",
        ),
        ("<ruby>鹳<rt>guàn</rt>雀<rt>què</rt></ruby>楼", "鹳雀楼"),
        ("<ruby>鹳<rp>(</rp><rt>guàn<rp>)</rp>雀<rt>què</ruby>楼", "鹳雀楼"),
        ("<ruby><rb>鹳<rt>guàn<rb>雀<rt>què</ruby>楼", "鹳雀楼"),
        ("<ruby>鹳<rt>guàn<p>下一段", "鹳\n下一段"),
        ("a&nbsp;&amp;&#x4e00;", "a &一"),
        ("<template>x</template><noscript>y</noscript>z", "z"),
        ("<svg><text>x</text></svg>z<br>w", "z\nw"),
        ("<p unclosed <p>x", "x"),
    ],
)
def test_what_a_page_shows_is_its_text(look: Look, page: str, text: str) -> None:
    assert look("html", page.encode())[0].text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_texts_are_read_in_the_encoding_they_have(look: Look, encoding: str) -> None:
    assert look("text", "早晨，从山坡上".encode(encoding))[0].text == "早晨，从山坡上"
    declared = f'<meta charset="{encoding}"><p>早晨'.encode(encoding)
    assert look("html", declared)[0].text == "早晨"


def test_subtitles_are_their_words(look: Look) -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\n早晨\n\n2\n00:00:03,000 --> 00:00:04,000\n<i>山坡</i>\n"
    vtt = "WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.000\n早晨\n\n00:03.000 --> 00:04.000\n山坡\n"
    for data in (srt, vtt):
        text = look("subtitles", data.encode())[0].text
        assert "早晨" in text and "山坡" in text and "-->" not in text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_gets_a_small_one(look: Look, kind: str) -> None:
    _, thumbnail = look("picture", picture(1000, 500, kind))
    assert Image.open(io.BytesIO(thumbnail)).size == (320, 160)


LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    b"<package><metadata><title>&b;</title></metadata></package>"
)


@pytest.mark.parametrize(
    "kind, data",
    [
        ("pdf", b""),
        ("pdf", b"%PDF-1.4"),
        ("pdf", pdf()[:300]),
        ("pdf", os.urandom(5000)),
        ("epub", b"PK\x03\x04"),
        ("epub", epub()[:-100]),
        ("epub", os.urandom(5000)),
        ("epub", epub(**{"O/x.opf": LAUGHS})),
        ("epub", epub(**{"O/x.opf": b"<a>" * 100_000})),
        ("epub", epub(**{"META-INF/container.xml": b"<container/>"})),
        ("epub", epub(**{"O/a.xhtml": b"x" * 40_000_000})),
        ("epub", epub(**{"META-INF/container.xml": b'<c><rootfile full-path="../../../etc/passwd"/></c>'})),
        ("picture", b""),
        ("picture", picture()[:200]),
        ("picture", os.urandom(5000)),
    ],
)
def test_a_bad_file_gives_a_warning(look: Look, kind: str, data: bytes) -> None:
    found, thumbnail = look(kind, data)
    assert found.warnings or (thumbnail == b"" and not found.text), (found, thumbnail)
    assert "root:" not in found.text and "haha" not in found.title


def test_a_picture_that_unpacks_to_gigabytes_is_not_unpacked(look: Look) -> None:
    found, thumbnail = look("picture", picture(20_000, 6_000))
    assert thumbnail == b"" and "pixels" in found.warnings[0]


@pytest.mark.parametrize(
    "title, tidy",
    [
        ("Microsoft Word - 教案.doc", ""),
        ("untitled", ""),
        ("  大青树\n 下  ", "大青树 下"),
        ("幻灯片 1", ""),
        ("x.pdf", ""),
        ("2024", ""),
        ("第一课", "第一课"),
        ("a\x00b", "ab"),
    ],
)
def test_titles_that_programs_invent_are_none(title: str, tidy: str) -> None:
    assert tidy_title(title) == tidy


@settings(deadline=None)
@given(
    st.sampled_from(["pdf", "epub", "html", "text", "subtitles", "picture"]),
    st.binary(max_size=400),
    st.integers(0, 3000),
    st.booleans(),
)
def test_no_bytes_are_an_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: bytes, at: int, spoil: bool
) -> None:
    good = {"pdf": pdf(), "epub": epub(), "picture": picture(64, 64)}.get(kind, b"<p>x" * 200)
    whole = good[: at % len(good)] + data + good[at % len(good) + len(data) :] if spoil else data
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(whole)
    found, _ = read(kind, path)
    assert isinstance(found.text, str) and all(isinstance(warning, str) for warning in found.warnings)
    found.text.encode()
