"""Which older object is probably similar to which new one."""

from __future__ import annotations

from sync.alike import LEAST_BYTES, Piece, alike
from sync.canonical import sha256_hex
from sync.manifest import Blob, File, Resource


def name(text: str) -> str:
    return sha256_hex(text.encode())


def resource(id_: str, *files: tuple[str, str, int], text: str = "") -> Resource:
    made = [File(path=path, sha256=name(data), size=size) for path, data, size in files]
    blob = Blob(sha256=name(text), size=LEAST_BYTES, mediaType="text/plain") if text else None
    return Resource(id=id_, name=id_, type="bundle" if len(files) > 1 else "video", mediaType="video/mp4",
                    entry=files[0][0], files=made, text=blob)


def test_same_path_first_then_the_same_resource() -> None:
    before = [Piece("film", "a.mp4", name("old a"), True), Piece("other", "b.mp4", name("old b"), True)]
    new = [resource("film", ("b.mp4", "new b", LEAST_BYTES)),
           resource("other", ("c.mp4", "new c", LEAST_BYTES))]
    assert alike(before, new) == {name("new b"): name("old b"), name("new c"): name("old b")}


def test_files_of_a_bundle_go_by_their_path_alone() -> None:
    before = [Piece("web", "m/1.bin", name("old 1"), False), Piece("web", "index.html", name("old i"), False)]
    new = resource("web", ("m/1.bin", "new 1", LEAST_BYTES), ("m/2.bin", "new 2", LEAST_BYTES))
    assert alike(before, [new]) == {name("new 1"): name("old 1")}


def test_small_and_unchanged_objects_have_no_partner() -> None:
    before = [Piece("film", "a.mp4", name("same"), True), Piece("tiny", "t", name("old t"), True)]
    new = [resource("film", ("a.mp4", "same", LEAST_BYTES)),
           resource("tiny", ("t", "new t", LEAST_BYTES - 1))]
    assert alike(before, new) == {}


def test_texts_go_by_their_resource() -> None:
    before = [Piece("book", "", name("old text"), False), Piece("book", "b.pdf", name("old"), True)]
    new = resource("book", ("b.pdf", "new", LEAST_BYTES), text="new text")
    assert alike(before, [new]) == {name("new"): name("old"), name("new text"): name("old text")}
