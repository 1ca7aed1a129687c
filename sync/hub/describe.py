"""What names and `package.toml` say about a package. No I/O: names and bytes come in, fields go out.

`人教版/三年级上册/语文/第01课 大青树下的小学` says edition, grade, volume, subject, order and title;
a `package.toml` in the folder adds or corrects; `--set` overrides both. docs/publishing.md tells
admins the same in their words.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sync.errors import Misused, Refused
from sync.layout import PACKAGE_ID
from sync.manifest import TYPES

#: The name of a package whose folder has none that could be shown (blanks; the root of a disk).
UNNAMED = "未命名"
#: The file that adds to or corrects what the names say.
PACKAGE_TOML = "package.toml"
#: Largest `package.toml` read, in bytes; one that names 1,000 resources has about 100 KB.
MOST_TOML_BYTES = 1024 * 1024
#: Longest pinyin part of a derived id, in characters; with `-` and the hash well below 96.
MOST_SLUG = 48
#: Hexadecimal digits of the naming's SHA-256 in a derived id: 48 bits, so that among a million
#: packages two different namings share an id with a chance below 1 in 500.
ID_HASH_DIGITS = 12

#: Fields of a manifest that names, package.toml and --set may fill, besides `position`.
TEXT_FIELDS = ("name", "inLanguage", "educationalLevel", "about", "learningResourceType", "isPartOf",
               "edition", "volume", "creator", "license", "timeRequired", "description")

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_NUMBER = r"(?:\d{1,4}|[零〇一二两三四五六七八九十百]{1,6})"
_GAP = r"[\s　.、:：_\-–—·]*"

_LESSON = re.compile(
    rf"(?:第\s*(?P<zh>{_NUMBER})\s*(?:课时|课|讲|节)"
    rf"|(?<![a-z])lesson[\s_-]*(?P<en>\d{{1,4}})(?!\d)){_GAP}", re.I)
_UNIT = re.compile(
    rf"^(?:第\s*(?P<zh>{_NUMBER})\s*(?:单元|章|模块|组|部分)"
    r"|(?:unit|chapter|module|part)[\s_-]*(?P<en>\d{1,4})(?!\d))", re.I)
_ORDINAL = re.compile(r"^(?P<number>\d{1,4})(?:[.、_\-–—)）:：\s　]+)(?=[^\d\s])")
_GRADE = re.compile(
    r"(?:(?P<zh>1[0-2]|[1-9]|[一二三四五六七八九])年级"
    r"|初(?P<junior>[一二三123])|高(?P<senior>[一二三123])(?!\w*版)"
    r"|(?P<pre>学前班|幼儿园(?:[大中小]班)?)"
    r"|(?<![a-z])(?P<word>grade|year|class)[\s_-]*(?P<en>1[0-2]|[1-9])(?!\d))", re.I)
_VOLUME = re.compile(r"上册|下册|全一册|全册|上学期|下学期|第[一二]学期"
                     r"|(?<=级)(?:[上下](?!\w)|[（(][上下][）)])"
                     r"|(?:选择性)?必修(?:第?[一二三四五1-5]册?)?"
                     r"|(?<![a-z])(?:volume|vol\.?|term|semester)[\s_-]*\d(?!\d)", re.I)
_KNOWN_EDITION = re.compile(
    r"(?:人教|部编|统编|北师大|苏教|沪教|外研|冀教|西师大?|青岛|鲁教|鲁科|湘教|湘少|湘美|浙教|教科|粤教|粤人|语文社?"
    r"|人音|人美|译林|牛津|沪科|华师大?|闽教|陕旅|科普|鄂教|长春|苏科|接力|大象|川教|桂美|岭南|辽海|京改|北京)"
    r"(?:社)?(?:PEP|精通)?版(?:[（(][^（）()]{1,20}[）)])?|(?<![a-z])PEP(?![a-z])", re.I)
_ANY_EDITION = re.compile(r"(?=.{2,16}$).*(?<![电子高清完整精简修订打印网页手机教师学生正式测试新旧出])版"
                          r"(?:[（(][^（）()]{1,20}[）)])?|.{1,40}\sedition", re.I)
_SUBJECTS = (
    "道德与法治", "历史与社会", "品德与社会", "品德与生活", "思想品德", "体育与健康",
    "综合实践活动", "综合实践", "信息技术", "信息科技", "通用技术", "劳动技术", "劳动与技术",
    "心理健康", "安全教育", "藏语文", "蒙古语文", "朝鲜语文", "维吾尔语文", "哈萨克语文",
    "彝语文", "壮语文", "语文", "数学", "英语", "科学", "音乐", "美术", "体育", "劳动", "书法",
    "写字", "物理", "化学", "生物学", "生物", "历史", "地理", "政治", "日语", "俄语", "国学",
    "physical education", "social studies", "mathematics", "computing", "chemistry", "geography",
    "chinese", "english", "history", "physics", "biology", "science", "maths", "music", "math", "art", "ict",
)
_SUBJECT = re.compile("|".join(
    re.escape(s) if not s.isascii() else rf"(?<![a-z]){s}(?![a-z])" for s in _SUBJECTS), re.I)
#: Words that may stand between the others without a meaning of their own here.
_FILLER = re.compile(r"义务教育|教科书|教材|课本|同步|电子|资源|小学|初中|高中|[\s　._\-–—()（）【】\[\]]+")
_STAGE = re.compile(r"(?:义务教育|小学|初中|高中|primary(?: school)?"
                    r"|(?:junior |senior )?(?:high|middle) school)", re.I)
#: Folders that sort a lesson's files by kind and are no lessons themselves.
_CATEGORY = re.compile(
    r"视频|音频|图片|照片|课件|教案|教学设计|练习|习题|作业|试卷|素材|资料|文档|动画|微课|导学案|朗读|字幕"
    r"|videos?|audios?|images?|pictures?|photos?|slides?|docs?|documents?|exercises?|worksheets?|media|assets|subtitles?",
    re.I)
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0002ffff]")
_KANA = re.compile(r"[\u3040-\u30ff]")


@dataclass
class Tokens:
    """What one folder's name says; `rest` is what no rule has explained."""

    edition: str = ""
    grade: str = ""
    volume: str = ""
    subject: str = ""
    rest: str = ""

    @property
    def any(self) -> bool:
        """Does it say anything?"""
        return bool(self.edition or self.grade or self.volume or self.subject)


@dataclass(frozen=True)
class Naming:
    """What the names say: the fields, and the parts whose hash makes the derived id."""

    fields: dict[str, str]
    position: int
    parts: tuple[str, ...]


class ResourcePart(msgspec.Struct, frozen=True, kw_only=True):
    """`[resources."path"]` of package.toml: corrections for one file or bundle."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    type: str | None = None
    entry: str | None = None
    timeRequired: Annotated[str, Meta(max_length=100)] | None = None  # noqa: N815 - LRMI spelling
    position: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class PackageToml(msgspec.Struct, frozen=True, kw_only=True):
    """package.toml as docs/publishing.md says it. Everything is optional."""

    id: str | None = None
    name: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    inLanguage: Annotated[str, Meta(max_length=1000)] | None = None  # noqa: N815
    educationalLevel: Annotated[str, Meta(max_length=1000)] | None = None  # noqa: N815
    about: Annotated[str, Meta(max_length=1000)] | None = None
    learningResourceType: Annotated[str, Meta(max_length=1000)] | None = None  # noqa: N815
    isPartOf: Annotated[str, Meta(max_length=1000)] | None = None  # noqa: N815
    edition: Annotated[str, Meta(max_length=1000)] | None = None
    volume: Annotated[str, Meta(max_length=1000)] | None = None
    creator: Annotated[str, Meta(max_length=1000)] | None = None
    license: Annotated[str, Meta(max_length=1000)] | None = None
    timeRequired: Annotated[str, Meta(max_length=1000)] | None = None  # noqa: N815
    description: Annotated[str, Meta(max_length=10_000)] | None = None
    position: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    resources: dict[str, ResourcePart] = {}


@dataclass(frozen=True)
class Described:
    """All that is known of a package before its files are looked into."""

    id: str
    id_derived: bool
    fields: dict[str, str]
    position: int
    resources: dict[str, ResourcePart]
    warnings: list[str] = field(default_factory=list)


def describe(above: Sequence[str], leaf: str, *, ending: str = "", given: int = 0,
             toml: bytes | None = None, id: str | None = None,
             fields: Mapping[str, str] | None = None) -> Described:
    """Describe the package whose folder is `leaf`, below the folders `above` (outermost first); of a
    single file `leaf` is the stem, `ending` the rest. The last `given` of `above` stand at or below
    the path the admin gave: they count as part of the name even where no rule knows them.

    Raises Refused `package-toml-bad`, `package-id-bad`; Misused `field-unknown`, `field-bad`,
    `id-conflict` (package.toml and --id name different ids).
    """
    naming = read_names(above, leaf, given=given)
    parts = (*naming.parts[:-1], naming.parts[-1] + ending.casefold())
    found, position = dict(naming.fields), naming.position
    warnings: list[str] = []
    resources: dict[str, ResourcePart] = {}
    toml_id = None
    if toml is not None:
        package, warnings = parse_toml(toml)
        toml_id, resources = package.id, package.resources
        for name in TEXT_FIELDS:
            value = getattr(package, name)
            if value is not None:
                found[name] = value
        position = package.position if package.position is not None else position
    for name, value in (fields or {}).items():
        if name == "position":
            if not (value.isascii() and value.isdigit() and int(value) <= 1_000_000):
                raise Misused("field-bad", field=name, value=value)
            position = int(value)
        elif name in TEXT_FIELDS:
            if len(value) > (10_000 if name == "description" else 1000) or (name == "name" and not value):
                raise Misused("field-bad", field=name, value=value[:80])
            found[name] = value
        else:
            raise Misused("field-unknown", field=name, known=", ".join((*TEXT_FIELDS, "position")))
    if toml_id and id and toml_id != id:
        raise Misused("id-conflict", id=id, toml_id=toml_id)
    chosen = toml_id or id
    if chosen and not PACKAGE_ID.fullmatch(chosen):
        raise Refused("package-id-bad", id=chosen)
    clean = {name: unicodedata.normalize("NFC", value) for name, value in found.items() if value}
    return Described(id=chosen or derived_id(parts, naming.fields["name"]), id_derived=not chosen,
                     fields=clean, position=position, resources=resources, warnings=warnings)


def parse_toml(data: bytes) -> tuple[PackageToml, list[str]]:
    """Read package.toml: what it says, and a warning for each key nobody knows (a typing error
    must not go unseen, a later version's key must not stop an admin).

    Raises Refused `package-toml-bad`: not TOML, a wrong type, a value out of bounds.
    """
    if len(data) > MOST_TOML_BYTES:
        raise Refused("package-toml-bad", reason=f"larger than {MOST_TOML_BYTES} bytes")
    try:
        # Windows Notepad puts a byte order mark in front.
        plain: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
        package = msgspec.convert(plain, type=PackageToml)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, …
        raise Refused("package-toml-bad", reason=str(error)) from error
    known = set(PackageToml.__struct_fields__)
    warnings = [f"package.toml: the key {key!r} is unknown and was ignored"
                for key in plain if key not in known]
    for path, part in plain.get("resources", {}).items():
        warnings += [f"package.toml: the key {key!r} of the resource {path!r} is unknown and was ignored"
                     for key in part if key not in ResourcePart.__struct_fields__]
    for path, resource in package.resources.items():
        if resource.type is not None and (resource.type not in TYPES or resource.type == "bundle"):
            raise Refused("package-toml-bad",
                          reason=f"the resource {path!r} cannot be of the type {resource.type!r}")
    return package, warnings


def read_names(above: Sequence[str], leaf: str, *, given: int = 0) -> Naming:
    """What the names of a lesson's folder and those above it say."""
    leaf = _plain(leaf)
    tokens = Tokens()
    books: list[str] = []
    units: list[str] = []
    parts = [leaf]
    for distance, raw in enumerate(reversed([_plain(name) for name in above])):
        said = read_tokens(raw)
        if said.any or _STAGE.fullmatch(raw):
            _take(tokens, said)
        elif _UNIT.match(raw):
            units.insert(0, raw)
        elif distance < given and not (tokens.grade or tokens.edition):
            books.insert(0, raw)
        else:
            break
        parts.insert(0, raw)
    name, position, kind, own = _read_leaf(leaf)
    _take(tokens, own)
    fields = {"name": name or UNNAMED, "edition": tokens.edition, "educationalLevel": tokens.grade,
              "volume": tokens.volume, "about": tokens.subject, "learningResourceType": kind,
              "isPartOf": " / ".join([*_book(tokens, books), *units]),
              "inLanguage": _language(name, tokens.subject)}
    return Naming({k: v for k, v in fields.items() if v}, position,
                  tuple(re.sub(r"\s+", " ", part).casefold() for part in parts))


def read_tokens(name: str) -> Tokens:
    """Edition, grade, volume and subject in one folder's name, in any order (`人教版三年级上册语文`)."""
    found = Tokens()
    rest = name
    edition = _KNOWN_EDITION.search(rest)
    if not edition and not _GRADE.search(rest):
        edition = _ANY_EDITION.fullmatch(rest)
    if edition:
        found.edition = edition.group().strip()
        rest = rest[:edition.start()] + " " + rest[edition.end():]
    # The volume first: `三年级上` is known by the 级 before it.
    volume = _VOLUME.search(rest)
    if volume:
        spelled = volume.group()
        found.volume = {"上": "上册", "下": "下册"}.get(spelled.strip("（()）"), spelled)
        rest = rest[:volume.start()] + " " + rest[volume.end():]
    grade = _GRADE.search(rest)
    if grade:
        found.grade = _grade(grade)
        rest = rest[:grade.start()] + " " + rest[grade.end():]
    subject = _SUBJECT.search(rest)
    if subject:
        without = rest[:subject.start()] + " " + rest[subject.end():]
        # A subject counts only where nothing else is left: `数学乐园` is a title.
        if not _FILLER.sub("", without):
            found.subject, rest = subject.group().strip(), without
    found.rest = _FILLER.sub("", rest)
    if found.rest and found.volume and not found.grade:
        found.volume, found.rest = "", name
    return found


def is_lesson(name: str) -> bool:
    """Does the name number a lesson (`第01课 …`, `Lesson 1`)?"""
    return bool(_LESSON.search(_plain(name)))


def is_container(name: str) -> bool:
    """Does the name say that lessons lie below (an edition, a grade, a subject, a unit, a stage)?"""
    plain = _plain(name)
    tokens = read_tokens(plain)
    return bool((tokens.any and not tokens.rest) or _UNIT.match(plain) or _STAGE.fullmatch(plain))


def is_strong_mark(name: str) -> bool:
    """Does a folder of this name, found below another, show that the other holds many lessons?

    A subject alone does not: `音乐` inside a lesson is where its music lies.
    """
    plain = _plain(name)
    tokens = read_tokens(plain)
    return is_lesson(plain) or bool(_UNIT.match(plain)) or (
        bool(tokens.grade or tokens.edition) and not tokens.rest)


def is_category(name: str) -> bool:
    """Is this a folder that only sorts a lesson's files by kind (`视频`, `images`)?"""
    return bool(_CATEGORY.fullmatch(_plain(name)))


def resource_name(stem: str) -> tuple[str, int]:
    """Title and order from a file's name without suffix: `01 导入` → (`导入`, 1)."""
    plain = _plain(stem)
    ordinal = _ORDINAL.match(plain)
    if ordinal:
        return plain[ordinal.end():].strip() or plain, min(int(ordinal["number"]), 1_000_000)
    return plain or stem, 0


def derived_id(parts: Sequence[str], title: str) -> str:
    """The id of a package by its naming: the title's pinyin to read, a hash of all names to tell apart."""
    import pypinyin  # a third of a second: only a publish pays for it

    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:ID_HASH_DIGITS]
    words = re.findall(r"[a-z0-9]+", " ".join(pypinyin.lazy_pinyin(title)).casefold())
    slug = ""
    for word in words:
        if len(slug) + len(word) + 1 > MOST_SLUG:
            break
        slug = f"{slug}-{word}" if slug else word
    return f"{slug}-{digest}" if slug else f"p-{digest}"


def _read_leaf(leaf: str) -> tuple[str, int, str, Tokens]:
    """(title, order, kind of thing, tokens in the name itself)."""
    lesson = _LESSON.search(leaf)
    if lesson:
        own = read_tokens(leaf[:lesson.start()].strip()) if lesson.start() else Tokens()
        rest = leaf[lesson.end():].strip()
        return _unquoted(rest) or leaf, number(lesson["zh"] or lesson["en"]), "lesson", own
    unit = _UNIT.match(leaf)
    if unit:
        return leaf, number(unit["zh"] or unit["en"]), "unit", Tokens()
    own = read_tokens(leaf)
    name, position = resource_name(leaf)
    return _unquoted(name), position, "", own


def _take(into: Tokens, said: Tokens) -> None:
    """The name nearest to the lesson wins."""
    into.edition = into.edition or said.edition
    into.grade = into.grade or said.grade
    into.volume = into.volume or said.volume
    into.subject = into.subject or said.subject


def _book(tokens: Tokens, books: list[str]) -> list[str]:
    """The book's name: a folder of its own, or what edition, subject, grade and volume make."""
    if books:
        return books
    if not tokens.subject or not (tokens.grade or tokens.edition):
        return []
    words = [w for w in (tokens.edition, tokens.subject, tokens.grade, tokens.volume) if w]
    return [("" if all(_HAN.search(w) for w in words) else " ").join(words)]


def _language(name: str, subject: str) -> str:
    foreign = subject in ("英语", "日语", "俄语") or _KANA.search(name)
    return "zh-CN" if _HAN.search(name) and not foreign else ""


def _grade(found: re.Match[str]) -> str:
    if found["zh"]:
        text = found["zh"]
        return f"{_chinese(int(text)) if text.isdigit() else text}年级"
    if found["junior"]:
        return f"{_chinese(6 + number(found['junior']))}年级"
    if found["senior"]:
        return f"高{_chinese(number(found['senior']))}"
    if found["pre"]:
        return found["pre"]
    return f"{found['word'].capitalize()} {int(found['en'])}"


def _chinese(number: int) -> str:
    """1…19 in Chinese."""
    ones = "零一二三四五六七八九"
    return ones[number] if number < 10 else "十" + (ones[number - 10] if number > 10 else "")


def number(text: str) -> int:
    """`12`, `十二`, `二十`, `一百零三` → int."""
    if text.isdigit() and text.isascii():
        return int(text)
    total, current = 0, 0
    for character in text:
        if character == "百":
            total, current = total + (current or 1) * 100, 0
        elif character == "十":
            total, current = total + (current or 1) * 10, 0
        elif character in _DIGITS:
            current = _DIGITS[character]
        else:
            current = current * 10 + int(unicodedata.digit(character, 0))
    return total + current


def _unquoted(title: str) -> str:
    """`《静夜思》` → `静夜思`, where the marks enclose the whole."""
    inner = title[1:-1]
    return inner if title.startswith("《") and title.endswith("》") and "《" not in inner else title


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()
