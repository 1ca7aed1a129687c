"""Writes docs/errors.md from the error texts: `python docs/write_errors.py`. A test holds that it was run."""

from __future__ import annotations

from pathlib import Path

from sync.error_texts import TEXTS


def page() -> str:
    """The page: a heading a code, its words and advice in both languages."""
    parts = ["# Error codes 错误代码\n\n"
             "Codes never change; `{…}` stands for the facts of the case. "
             "Exit statuses: 0 done · 1 our machine is not as it must be · 2 wrong usage · 3 refused · "
             "4 the other side can't be reached · 5 no room.\n"]
    for code in sorted(TEXTS):
        parts.append(f"\n## {code}\n")
        for language in ("zh", "en"):
            what, advice = TEXTS[code][language]
            parts.append(f"\n{what}\n{advice}\n")
    return "".join(parts)


if __name__ == "__main__":
    (Path(__file__).parent / "errors.md").write_text(page(), "utf-8")
