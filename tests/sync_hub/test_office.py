"""Office files get a PDF beside them, by the real LibreOffice; broken and hostile ones stay what they are."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.hub import office
from sync.hub.office import NoPdf, to_pdf
from sync.hub.publish import Published, publish
from sync.hub.readers import Found, read_pdf
from sync.hub.settings import Hub, init_hub
from sync.manifest import MOST_MANIFEST_BYTES, Resource, parse
from sync.programs import find
from tests.lesson_packages import packed
from tests.office_files import docx, odp, odt, xlsx

needs_office = pytest.mark.skipif(find(office.PROGRAM) is None, reason="no LibreOffice here")


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)


def published(hub: Hub, top: Path, **files: bytes) -> tuple[Published, dict[str, Resource]]:
    """Publish a folder `课` of these files; its resources by entry."""
    (top / "课").mkdir(exist_ok=True)
    for name, data in files.items():
        (top / "课" / name).write_bytes(data)
    made = publish(hub, top / "课")
    resources = parse(hub.store.read(made.manifest, MOST_MANIFEST_BYTES)).resources
    return made, {resource.entry: resource for resource in resources}


def words(pdf: Path) -> list[str]:
    found = Found()
    read_pdf(pdf, found)
    return found.text.split("\f")


@needs_office
def test_office_files_get_a_pdf_that_is_searched_page_by_page(hub: Hub, tmp_path: Path) -> None:
    made, found = published(hub, tmp_path, **{
        "教案.docx": docx(["早晨，从山坡上", "绒球花和太阳花"]), "课件.odp": odp(["第一张", "第二张"]),
        "成绩.xlsx": xlsx(["王小明", "九十五"])})
    assert made.warnings == []
    for entry, texts in {"教案.docx": ["山坡", "绒球花"], "课件.odp": ["第一张", "第二张"],
                         "成绩.xlsx": ["九十五"]}.items():
        one = found[entry]
        assert one.type == "document" and [file.path for file in one.files] == [entry]
        assert one.pages == len(texts) and one.rendition is not None and one.thumbnail is not None
        assert one.rendition.mediaType == "application/pdf"
        assert hub.store.path(one.rendition.sha256).read_bytes().startswith(b"%PDF-")
        assert one.text is not None
        pages = hub.store.read(one.text.sha256, 10_000).decode().split("\f")
        assert [text in page for text, page in zip(texts, pages, strict=True)] == [True] * len(texts)
    again, _ = published(hub, tmp_path)
    assert not again.changed, "made once for the same bytes"
    assert list(hub.store.incoming.iterdir()) == [], "and no profile is left"


@needs_office
def test_what_older_programs_wrote_is_turned_too(tmp_path: Path) -> None:
    """Also under another suffix, as often happens."""
    (tmp_path / "1").mkdir()
    (tmp_path / "b.wps").write_bytes(docx(["山坡"]))
    assert "山坡" in words(to_pdf(tmp_path / "b.wps", "wps", tmp_path / "1"))[0]


@pytest.mark.parametrize(("name", "data", "reason"), [
    ("a.docx", b"\0noise" * 500, "no office file"), ("a.pptx", b"", "is empty"),
    ("a.xlsx", packed({"x.txt": b"x"}), "no office file"), ("a.doc", b"<html>", "no office file"),
    ("a.odt", odt("<x/>")[:-30], "no whole office file")])
def test_what_is_no_office_file_is_published_as_it_is(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, reason: str
) -> None:
    monkeypatch.setattr(office, "PROGRAM", "sh")  # it is not even started
    made, found = published(hub, tmp_path, **{name: data, "词.txt": b"x"})
    assert found[name].rendition is None and found[name].type == "document"
    [warning] = made.warnings
    assert warning.startswith(f"{name}: ") and reason in warning and "another program" in warning


@needs_office
def test_a_damaged_one_is_published_as_it_is(hub: Hub, tmp_path: Path) -> None:
    broken = packed({"[Content_Types].xml": b"<Types", "word/document.xml": b"\0\0"})
    made, found = published(hub, tmp_path, **{"a.docx": broken})
    assert found["a.docx"].rendition is None and "damaged" in made.warnings[0]


def test_without_libreoffice_it_is_said_once(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "PROGRAM", "no-such-program")
    made, found = published(hub, tmp_path, **{"a.docx": docx(["x"]), "b.odp": odp(["x"])})
    [warning] = made.warnings
    assert "LibreOffice" in warning and "2 office files" in warning
    assert {one.rendition for one in found.values()} == {None}


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A web server on this machine, and what it was asked for."""
    paths: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            paths.append(str(self.raw_requestline))
            super().handle_one_request()

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], paths
    server.shutdown()
    server.server_close()


@needs_office
def test_links_to_files_and_hosts_are_not_followed(tmp_path: Path, asked: tuple[int, list[str]]) -> None:
    port, paths = asked
    (tmp_path / "secret.txt").write_text("TOPSECRET")
    (tmp_path / "made").mkdir()
    (tmp_path / "a.odt").write_bytes(odt(
        f'<text:section text:name="s"><text:section-source xlink:href="file://{tmp_path}/secret.txt" '
        'text:filter-name="Text"/><text:p>beginning</text:p></text:section><text:p><draw:frame '
        'svg:width="5cm" svg:height="3cm"><draw:image xlink:type="simple" '
        f'xlink:href="http://127.0.0.1:{port}/x.png"/></draw:frame></text:p><text:p>end</text:p>'))
    text = words(to_pdf(tmp_path / "a.odt", "odt", tmp_path / "made"))[0]
    assert "end" in text and "TOPSECRET" not in text and paths == []


@needs_office
def test_one_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "SECONDS_A_FILE", 0.05)
    (tmp_path / "made").mkdir()
    (tmp_path / "a.docx").write_bytes(docx(["x"]))
    with pytest.raises(NoPdf) as refused:
        to_pdf(tmp_path / "a.docx", "docx", tmp_path / "made")
    assert refused.value.again
    running = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # others' may end meanwhile
            running.append(path.read_bytes())
    assert not [words for words in running if str(tmp_path).encode() in words], "nothing is left running"
