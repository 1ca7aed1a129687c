"""The tree that a media server for TVs shows, and its configuration."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from edge.dlna import configuration, file_name, lay_out, place_of
from sync.layout import object_path
from tests.edge.classroom import make_room
from tests.edge.shelf_rows import add_package, name_of

ONE, OTHER = name_of("one"), name_of("other")


def tree_of(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): path.readlink().name
            for path in place.rglob("*") if path.is_symlink()}


def test_lessons_stand_below_grade_and_subject(tmp_path: Path) -> None:
    room = make_room(tmp_path / "box")
    add_package(room.database, "a", "第01课 大青树", [
        {"name": "朗读/慢", "type": "video", "mediaType": "video/mp4", "entry": "x/朗读.MP4"}],
        educationalLevel="三年级", about="语文")
    [row] = room.state.catalogue().resources().items
    assert place_of(row) == PurePosixPath("三年级/语文/第01课 大青树/01 朗读 慢.mp4")


def test_the_tree_holds_what_is_wanted_and_nothing_else(tmp_path: Path) -> None:
    tree, library = tmp_path / "tree", tmp_path / "library"
    tree.mkdir()
    first = PurePosixPath("三年级/语文/一.mp4")
    lay_out(tree, library, iter([(first, ONE), (PurePosixPath("三年级/二.jpg"), OTHER)]))
    assert tree_of(tree) == {"三年级/语文/一.mp4": ONE, "三年级/二.jpg": OTHER}
    assert (tree / first).readlink() == library / object_path(ONE)
    before = (tree / first).lstat().st_ino
    (tree / "left").write_text("of another time")
    lay_out(tree, library, iter([(first, ONE)]))
    assert tree_of(tree) == {"三年级/语文/一.mp4": ONE}
    assert (tree / first).lstat().st_ino == before, "what is right is not touched"
    assert {path.name for path in tree.rglob("*")} == {"三年级", "语文", "一.mp4"}
    lay_out(tree, library, iter([(first, OTHER)]))
    assert tree_of(tree) == {"三年级/语文/一.mp4": OTHER}
    lay_out(tree, library, iter([]))
    assert list(tree.iterdir()) == []


def test_two_of_one_name_are_both_there(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    path = PurePosixPath("a/一.mp4")
    lay_out(tree, tmp_path / "library", iter([(path, ONE), (path, OTHER), (path, ONE)]))
    assert tree_of(tree) == {"a/一.mp4": ONE, "a/一 (2).mp4": OTHER}


@given(st.text(max_size=300), st.sampled_from(["", ".mp4", ".jpeg"]))
def test_no_name_leads_elsewhere(text: str, suffix: str) -> None:
    name = file_name(text, suffix)
    assert name.endswith(suffix) and name.strip() not in ("", ".", "..")
    assert "/" not in name and "\0" not in name and len(name.encode()) <= 255


def test_a_name_cannot_add_an_option(tmp_path: Path) -> None:
    text = configuration("青山\nuser=root\r\nport=1", "s1", tmp_path, 8200, None)
    assert "friendly_name=青山 user=root port=1\n" in text
    assert [line for line in text.splitlines() if line.startswith(("user=", "port="))] == ["port=8200"]
