"""Cutting a tree into lessons, and listing the files of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sync.errors import Refused
from sync.hub import folder as folders
from sync.hub.folder import Lesson, lessons, look_at, natural


def tree(top: Path, *files: str) -> Path:
    for name in files:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")
    return top


def cut(top: Path) -> list[str]:
    return [
        str(lesson.path.relative_to(top.parent)) + ("/*" if lesson.shallow else "") for lesson in lessons(top)
    ]


@pytest.mark.parametrize(
    "files, expected",
    [
        (["课/a.txt"], ["课"]),
        (["课/01 视频/a.mp4", "课/02 练习/b.pdf"], ["课"]),
        (
            ["人教版/三年级/语文/第01课 树/a", "人教版/三年级/语文/第02课 花/b"],
            ["人教版/三年级/语文/第01课 树", "人教版/三年级/语文/第02课 花"],
        ),
        (
            ["语文/第10课 丙/a", "语文/第2课 乙/a", "语文/第一课 甲/a"],
            ["语文/第一课 甲", "语文/第2课 乙", "语文/第10课 丙"],
        ),
        (["三年级/语文/课程表.pdf", "三年级/语文/第1课 树/a"], ["三年级/语文/*", "三年级/语文/第1课 树"]),
        (["互动/index.html", "互动/第1课/a.js"], ["互动"]),
        (["课/package.toml", "课/第1课/a", "课/第2课/a"], ["课"]),
        (
            ["三年级/语文/第1课 空/.hidden", "三年级/语文/第2课/a"],
            ["三年级/语文/第1课 空", "三年级/语文/第2课"],
        ),
    ],
)
def test_names_say_where_one_lesson_ends(tmp_path: Path, files: list[str], expected: list[str]) -> None:
    tree(tmp_path, *files)
    assert cut(tmp_path / files[0].split("/")[0]) == expected


def test_a_single_file_is_a_lesson(tmp_path: Path) -> None:
    tree(tmp_path, "树.mp4")
    content = look_at(lessons(tmp_path / "树.mp4")[0])
    assert [entry.path for entry in content.entries] == ["树.mp4"]


def test_files_come_in_the_order_of_people_and_junk_is_left_out_and_told(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "课/10 c.txt",
        "课/2 b.txt",
        "课/1 a.txt",
        "课/Thumbs.db",
        "课/.DS_Store",
        "课/~$教案.docx",
        "课/大.mp4.crdownload",
        "课/__MACOSX/x",
        "课/package.toml",
    )
    content = look_at(Lesson(tmp_path / "课"))
    assert [entry.path for entry in content.entries] == ["1 a.txt", "2 b.txt", "10 c.txt"]
    assert content.toml == b"\xe8\xaf\xbe/package.toml"
    [warning] = content.warnings
    assert "Thumbs.db" in warning and "crdownload" in warning


def test_bundles_are_the_outermost_folders_with_a_mark(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "课/a/index.html",
        "课/a/sub/index.html",
        "课/b/imsmanifest.xml",
        "课/c/h5p.json",
        "课/d/x.html",
    )
    assert look_at(Lesson(tmp_path / "课")).bundles == {"a", "b", "c"}


def test_links_that_stay_inside_are_read_and_others_refused(tmp_path: Path) -> None:
    tree(tmp_path, "课/a.txt", "课/内/b.txt", "外.txt")
    (tmp_path / "课" / "c.txt").symlink_to("a.txt")
    (tmp_path / "课" / "dir").symlink_to("内")
    content = look_at(Lesson(tmp_path / "课"))
    assert [entry.path for entry in content.entries] == ["a.txt", "c.txt", "内/b.txt"]
    assert any("link to a folder" in warning for warning in content.warnings)
    for target, code in (
        ("../外.txt", "link-outside"),
        ("/etc/passwd", "link-outside"),
        ("none", "file-unreadable"),
        ("loop", "file-unreadable"),
    ):
        (tmp_path / "课" / "loop").unlink(missing_ok=True)
        (tmp_path / "课" / "loop").symlink_to(target)
        with pytest.raises(Refused) as caught:
            look_at(Lesson(tmp_path / "课"))
        assert caught.value.code == code


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    tree(tmp_path, "课/a:b.txt", "课/CON", "课/ok.txt")
    os.mkfifo(tmp_path / "课" / "pipe")
    with pytest.raises(Refused) as caught:
        look_at(Lesson(tmp_path / "课"))
    assert "2 more" in str(caught.value.facts["reason"])


def test_more_files_than_a_package_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, *(f"课/{number}" for number in range(4)))
    monkeypatch.setattr(folders, "MOST_FILES", 3)
    with pytest.raises(Refused) as caught:
        look_at(Lesson(tmp_path / "课"))
    assert caught.value.code == "too-many-files"


def test_a_very_deep_tree_is_one_lesson_and_no_recursion_error(tmp_path: Path) -> None:
    deep = "课/" + "/".join("d" for _ in range(300)) + "/a.txt"
    tree(tmp_path, deep)
    assert len(look_at(lessons(tmp_path / "课")[-1]).entries) == 1


def test_natural_order() -> None:
    assert sorted(["第十课", "第二课", "10", "9", "a2", "a10", "第十一课"], key=natural) == [
        "9",
        "10",
        "a2",
        "a10",
        "第二课",
        "第十课",
        "第十一课",
    ]
