"""Texts that came from outside, made fit for one line on a page, a terminal and a file. No I/O."""

from __future__ import annotations

import re

#: What would end a line or steer a terminal: C0 and C1 controls, the line and paragraph separators,
#: and what turns the direction of writing (a name could show another suffix than it has).
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


#: Letters and digits that nobody takes for one another (without 0 o, 1 l i): to be read out and typed.
CLEAR_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def one_line(text: str, most: int) -> str:
    """`text` without steering characters, trimmed, at most `most` characters, always valid UTF-8."""
    plain = text.encode("utf-8", "replace").decode()
    return _STEERING.sub(" ", plain)[:most].strip()


def size_in_words(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def file_name(text: str) -> str:
    """A file name to show to people, from whatever a form or a folder gave: its last part, at most 255
    characters (the end is kept, it holds the suffix), never empty. Not for making paths."""
    last = re.split(r"[/\\]", one_line(text, 4096))[-1]
    return last[-255:].strip() or "file"
