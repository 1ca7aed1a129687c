"""Bytes of a text file as words, whatever program wrote them. No I/O."""

from __future__ import annotations


def decoded(data: bytes) -> str:
    """The words of a text file: UTF-8, UTF-16 with its mark, else GB 18030 as Chinese Windows writes it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").lstrip("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3:  # cut in the middle of a character
            return data[:error.start].decode("utf-8-sig")
        return data.decode("gb18030", "replace")
