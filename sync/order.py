"""The order teachers expect: grades from kindergarten up, subjects as on a timetable. No I/O.

Every key is a tuple that sorts; what is not known sorts behind what is, by its text; empty sorts last.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: A key that sorts: (rank, natural text). Texts compare number by number, then letter by letter.
Key = tuple[int, tuple[tuple[int, int, str], ...]]

#: Rank of what is unknown, and of what is empty: behind all that is known.
UNKNOWN, EMPTY = 900, 999

#: Stands between the book and the unit in `isPartOf` (docs/format.md §2).
UNIT_AFTER = " / "

_DIGITS = {"〇": 0, "零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7,
           "八": 8, "九": 9}

_GRADES = (
    (re.compile(r"托班"), 10),
    (re.compile(r"小班"), 20),
    (re.compile(r"中班"), 30),
    (re.compile(r"大班"), 40),
    (re.compile(r"学前|幼儿|preschool|kindergarten|nursery|reception|^k$", re.I), 50),
)
#: School levels whose grades count from one again: 初一 is the seventh, 高一 the tenth.
_LEVELS = (
    (re.compile(r"高中?"), 9),
    (re.compile(r"初中?"), 6),
)
_ENGLISH_GRADE = re.compile(r"\b(?:grade|year|class|form|standard|g|y)\.?\s*(\d{1,2})\b", re.I)

_SUBJECTS: tuple[tuple[str, ...], ...] = (
    ("语文", "chinese"),
    ("数学", "mathematics", "maths", "math"),
    ("英语", "english"),
    ("道德与法治", "品德与社会", "品德与生活", "思想品德", "思想政治", "政治",
     "civics", "ethics", "politics"),
    ("科学", "science"),
    ("物理", "physics"),
    ("化学", "chemistry"),
    ("生物学", "生物", "biology"),
    ("历史", "history"),
    ("地理", "geography"),
    ("音乐", "music"),
    ("美术", "art", "arts"),
    ("艺术",),
    ("书法", "calligraphy"),
    ("体育与健康", "体育", "physical education", "sport", "sports", "pe"),
    ("信息科技", "信息技术", "computing", "computer science", "information technology", "ict"),
    ("通用技术", "technology"),
    ("劳动", "labour", "crafts"),
    ("综合实践活动", "综合实践", "综合"),
    ("心理健康", "心理", "health"),
    ("民族语文", "藏语文", "蒙古语文", "维吾尔语文"),
)
_SUBJECT_RANK = {name: rank for rank, names in enumerate(_SUBJECTS, 1) for name in names}

#: Digits, Chinese numerals, all else.
_PIECES = re.compile(r"\d+|[〇零一二两三四五六七八九十百]+|[^\d〇零一二两三四五六七八九十百]+")

_VOLUMES = (("上", 1), ("中", 2), ("下", 3), ("全", 4))


@lru_cache(maxsize=4096)
def grade_key(grade: str) -> Key:
    """学前, 一年级 … 九年级, 高一 … 高三; Grade 1 …; a level without a number stands before its grades."""
    text = _plain(grade)
    if not text:
        return EMPTY, ()
    for pattern, rank in _GRADES:
        if pattern.search(text):
            return rank, natural(text)
    english = _ENGLISH_GRADE.search(text)
    number = int(english[1]) if english else None
    base = 0
    for pattern, before in _LEVELS:
        if pattern.match(text):
            base = before
            break
    if number is None:
        number = _number_in(text) if ("年" in text or "级" in text or base) else None
    if number is not None:
        absolute = number + base if number <= 6 else number
        return 100 + absolute * 10 + 5, natural(text)
    if base:
        return 100 + (base + 1) * 10, natural(text)
    if text.startswith("小学") or text in ("primary", "primary school"):
        return 100 + 10, natural(text)
    return UNKNOWN, natural(text)


@lru_cache(maxsize=4096)
def subject_key(subject: str) -> Key:
    """语文, 数学, 英语 … as on a timetable."""
    text = _plain(subject)
    if not text:
        return EMPTY, ()
    return _SUBJECT_RANK.get(text, UNKNOWN), natural(text)


def same_kind(key: Key) -> Key:
    """What `grade_key` or `subject_key` give alike for all names of one thing: 三年级, 3年级, Grade 3."""
    return key if key[0] == UNKNOWN else (key[0], ())


def teaching_key(grade: str, subject: str, edition: str, volume: str, part_of: str, position: int,
                 name: str) -> tuple[Key, Key, Key, Key, Key, int, object]:
    """The order of lessons; `part_of` as in a manifest (`isPartOf`)."""
    return (grade_key(grade), subject_key(subject), edition_key(edition), volume_key(volume),
            unit_key(unit_of(part_of)), position, natural(name))


def unit_of(part_of: str) -> str:
    """The unit in what a lesson is part of: `语文三年级上册 / 第二单元` → `第二单元`; "" where none is."""
    return part_of.partition(UNIT_AFTER)[2].strip()


def unit_key(unit: str) -> Key:
    """第二单元 before 第十单元, Unit 2 before Unit 10; what is in no unit last."""
    return _text_key(unit)


@lru_cache(maxsize=4096)
def volume_key(volume: str) -> Key:
    """上册, (中册,) 下册, 全一册; then by number; none at all last."""
    text = _plain(volume)
    if not text:
        return EMPTY, ()
    for sign, rank in _VOLUMES:
        if text.startswith(sign):
            return rank, natural(text)
    return UNKNOWN, natural(text)


def edition_key(edition: str) -> Key:
    """By text; none at all last."""
    return _text_key(edition)


@lru_cache(maxsize=4096)
def _text_key(name: str) -> Key:
    text = _plain(name)
    return (0, natural(text)) if text else (EMPTY, ())


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key in which 第2课 stands before 第10课, and 第二课 before 第十课."""
    parts: list[tuple[int, int, str]] = []
    for piece in _PIECES.findall(_plain(text)):
        if piece.isdecimal():
            parts.append((0, int(piece[:18]), piece))
        elif piece[0] in _DIGITS or piece[0] in "十百":
            parts.append((0, chinese_number(piece), piece))
        else:
            parts.append((1, 0, piece))
    return tuple(parts)


def chinese_number(text: str) -> int:
    """三 → 3, 十二 → 12, 一百零五 → 105, 二〇二六 → 2026."""
    if not any(c in "十百" for c in text):
        return int("".join(str(_DIGITS.get(c, 0)) for c in text)[:18] or "0")
    total, digit = 0, 0
    for character in text:
        if character == "百":
            total, digit = total + (digit or 1) * 100, 0
        elif character == "十":
            total, digit = total + (digit or 1) * 10, 0
        else:
            digit = _DIGITS.get(character, 0)
    return total + digit


def _number_in(text: str) -> int | None:
    digits = re.search(r"\d{1,2}", text)
    if digits:
        return int(digits[0])
    chinese = re.search(r"[一二两三四五六七八九十]+", text)
    return chinese_number(chinese[0]) if chinese else None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().lower()
