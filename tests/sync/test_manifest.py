"""The manifest: golden bytes, each rule broken once, and whatever a stranger may send."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.canonical import canonical, sha256_hex
from sync.errors import Refused
from sync.manifest import (
    FORMAT,
    MOST_FILES,
    MOST_MANIFEST_BYTES,
    MOST_PART_BYTES,
    Blob,
    File,
    Manifest,
    Resource,
    dump,
    parse,
    path_fault,
)
from tests.golden_files import same_as_golden

A, B, C, D = (sha256_hex(name.encode()) for name in "abcd")

MANIFEST = Manifest(
    format=FORMAT,
    id="da-qing-shu-51447fc1cddd",
    version=3,
    name="大青树下的小学",
    inLanguage="zh-CN",
    educationalLevel="三年级",
    about="语文",
    edition="人教版",
    volume="上册",
    position=1,
    isPartOf="人教版语文三年级上册",
    creator="青山镇中心学校",
    license="CC BY-SA 4.0",
    description="认识民族小学。\n感受同学之间的友爱。",
    resources=[
        Resource(
            id="0123456789abcdef",
            name="朗读",
            type="audio",
            mediaType="audio/mpeg",
            entry="朗读.mp3",
            files=[File(path="朗读.mp3", sha256=A, size=70_000)],
            timeRequired="PT1M5S",
            position=1,
            thumbnail=Blob(sha256=B, size=900, mediaType="image/jpeg"),
        ),
        Resource(
            id="fedcba9876543210",
            name="笔顺",
            type="bundle",
            mediaType="text/html",
            entry="笔顺/index.html",
            position=2,
            files=[
                File(path="笔顺/index.html", sha256=C, size=10),
                File(path="笔顺/空.js", sha256=D, size=0),
            ],
        ),
    ],
)


def plain(manifest: Manifest = MANIFEST) -> Any:
    """As JSON values, free to be spoiled."""
    return json.loads(dump(manifest))


def refused(value: Any) -> str:
    with pytest.raises(Refused) as caught:
        parse(canonical(value))
    assert caught.value.code == "manifest-bad"
    return str(caught.value.facts["reason"])


def test_it_is_written_so() -> None:
    same_as_golden("manifest.json", dump(MANIFEST))


def test_what_is_written_is_read_back() -> None:
    assert parse(dump(MANIFEST)) == MANIFEST
    assert MANIFEST.objects() == {A: 70_000, B: 900, C: 10, D: 0}


def test_fields_of_a_later_version_are_allowed_and_ignored() -> None:
    value = plain()
    value["mood"] = "gay"
    value["resources"][0]["colour"] = {"red": 1}
    assert parse(canonical(value)) == MANIFEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"format":"teachpoint-package/1"}',
        b"[" * 100_000,
        dump(MANIFEST) + b"\n",
        b" " + dump(MANIFEST),
        dump(MANIFEST)[:-1],
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="manifest"):
        parse(data)


def test_one_value_has_one_representation() -> None:
    for other in (
        json.dumps(plain()),
        json.dumps(plain(), ensure_ascii=False, indent=1),
        json.dumps(plain(), ensure_ascii=False, separators=(",", ":"), sort_keys=True)[::-1],
    ):
        with pytest.raises(Refused):
            parse(other.encode())


def test_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(Refused, match=str(MOST_MANIFEST_BYTES)):
        parse(b" " * (MOST_MANIFEST_BYTES + 1))


@pytest.mark.parametrize(
    "field, value",
    [
        ("format", "teachpoint-package/2"),
        ("id", "../etc"),
        ("id", "A"),
        ("id", ""),
        ("id", "a" * 97),
        ("version", 0),
        ("version", -1),
        ("version", 2**31 + 1),
        ("version", "1"),
        ("version", True),
        ("name", "x" * 1001),
        ("name", None),
        ("position", -1),
        ("description", "x" * 10_001),
        ("resources", None),
    ],
)
def test_a_field_out_of_bounds_is_refused(field: str, value: Any) -> None:
    assert refused({**plain(), field: value})


@pytest.mark.parametrize(
    "field, value",
    [
        ("id", "short"),
        ("id", "0123456789ABCDEF"),
        ("type", "program"),
        ("entry", "other.mp3"),
        ("files", []),
        ("pages", -1),
        ("name", 7),
        ("thumbnail", {"sha256": "x" * 64, "size": 1}),
        ("thumbnail", {"sha256": A, "size": 1}),
    ],
)
def test_a_resource_that_breaks_a_rule_refuses_all(field: str, value: Any) -> None:
    spoiled = plain()
    spoiled["resources"][0][field] = value
    assert refused(spoiled)


@pytest.mark.parametrize(
    "field, value",
    [
        ("sha256", A.upper()),
        ("sha256", A[:-1]),
        ("sha256", "g" * 64),
        ("size", -1),
        ("size", 2**40 + 1),
        ("size", 1.5),
    ],
)
def test_a_file_that_breaks_a_rule_refuses_all(field: str, value: Any) -> None:
    spoiled = plain()
    spoiled["resources"][0]["files"][0][field] = value
    assert refused(spoiled)


def test_ids_paths_and_objects_are_told_apart() -> None:
    twice = plain()
    twice["resources"][1]["id"] = twice["resources"][0]["id"]
    assert "twice" in refused(twice)
    for path in ("朗读.mp3", "笔顺/index.html/x", "笔顺"):
        spoiled = plain()
        spoiled["resources"][1]["files"][1]["path"] = path
        assert "twice" in refused(spoiled) or "both" in refused(spoiled)
    case = plain()
    case["resources"][1]["files"][1]["path"] = "笔顺/INDEX.html"
    assert "twice" in refused(case)
    sizes = plain()
    sizes["resources"][1]["files"][1] = {"path": "笔顺/b", "sha256": A, "size": 1}
    assert "two sizes" in refused(sizes)
    several = plain()
    several["resources"][1]["type"] = "page"
    assert "no bundle" in refused(several)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".",
        "..",
        "a\\b",
        "C:\\x",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "CON",
        "con.txt",
        "x/nul",
        "LPT1.a.b",
        "COM¹",
        "a.",
        "a ",
        " a",
        "x/a./y",
        "x" * 256,
        "课" * 86,
        unicodedata.normalize("NFD", "é"),
        "\ud800",
        "a?b",
        "a*b",
        "a|b",
        'a"b',
        "a<b",
        "a:b",
        "a/" * 1600 + "a",
    ],
)
def test_a_path_that_somebody_could_not_hold_is_refused(path: str) -> None:
    assert path_fault(path)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "课文.html",
        "第1课 大青树/朗读 (1).mp3",
        ".hidden",
        "console.txt",
        "a..b",
        "é",
        "x" * MOST_PART_BYTES,
        "课" * 85,
        "a/b/c/d/e",
        "#%&+=@[]{}~`'!,;.txt",
        "اللغة.txt",
    ],
)
def test_a_usual_path_is_taken(path: str) -> None:
    assert path_fault(path) == ""


def test_too_many_files_are_refused() -> None:
    files = [File(path=str(number), sha256=A, size=70_000) for number in range(MOST_FILES + 1)]
    many = msgspec.structs.replace(
        MANIFEST,
        resources=[
            msgspec.structs.replace(MANIFEST.resources[1], entry="0", files=files[:MOST_FILES]),
            msgspec.structs.replace(MANIFEST.resources[0], entry=str(MOST_FILES), files=files[-1:]),
        ],
    )
    with pytest.raises(Refused, match="more than"):
        dump(many)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.sampled_from("aB课é1 .-_"), min_size=1, max_size=12).filter(
    lambda name: not path_fault(name)
)


@given(
    st.lists(
        st.tuples(names, st.integers(0, 2**40), texts), max_size=6, unique_by=lambda row: row[0].casefold()
    ),
    texts.filter(bool),
    st.integers(1, 2**31),
    st.integers(0, 1_000_000),
)
def test_any_good_manifest_comes_back_the_same(
    rows: list[tuple[str, int, str]], name: str, version: int, position: int
) -> None:
    made = Manifest(
        format=FORMAT,
        id="p",
        version=version,
        name=name,
        position=position,
        resources=[
            Resource(
                id=sha256_hex(path.encode())[:16],
                name=title,
                type="file",
                mediaType="x/y",
                entry=path,
                files=[File(path=path, sha256=sha256_hex(path.encode()), size=size)],
            )
            for path, size, title in rows
        ],
    )
    data = dump(made)
    assert parse(data) == made and dump(parse(data)) == data
