from __future__ import annotations

import pytest

from sync.text import file_name, one_line


@pytest.mark.parametrize(("given", "clean"), [
    ("a.txt", "a.txt"), ("../../etc/passwd", "passwd"), ("C:\\x\\课.doc", "课.doc"),
    ("a\nb\x00.txt", "a b .txt"),
    ("", "file"), ("/", "file"), ("\udcff.txt", "?.txt"), ("x" * 400 + ".txt", "x" * 251 + ".txt"),
    ("gpj.\u202eexe", "gpj. exe"), ("\x1b[2J.txt", "[2J.txt")])
def test_any_name_becomes_one_for_people(given: str, clean: str) -> None:
    assert file_name(given) == clean


def test_a_text_becomes_one_line() -> None:
    assert one_line(" a\r\n\tb\u2028c ", 100) == "a b c"
    assert one_line("三年级作业", 3) == "三年级"
    assert one_line("\ud800", 3) == "?"
