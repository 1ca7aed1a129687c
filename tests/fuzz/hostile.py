"""What a stranger writes: valid messages, changed where it hurts. Structure first, bytes second.

`spoiled` changes a message as a tree (types, numbers, names, keys twice, nesting, parts of it elsewhere);
`as_json` writes it down, also what JSON writers refuse to write; `bitten` changes bytes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Raw(str):
    """Goes into the JSON as it is."""

    __slots__ = ()


class Again(str):
    """A key of a dict that may stand beside the same key."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


#: Depths: harmless, beyond msgspec's and Python's recursion, beyond any stack.
DEPTHS = (1, 3, 1100, 50_000)
NUMBERS = (-1, 0, 1, 2**31 - 1, 2**31, 2**32, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 0.5,
           -0.0, 1e300, Raw("1" + "0" * 400), Raw("9" * 5000), Raw("1e999"), Raw("-1E-999"), Raw("NaN"),
           Raw("-Infinity"), Raw("1.0"), Raw("01"), Raw("0x10"))
TEXTS = ("", "\0", "a\0b", "a\n", " a", "a ", ".", "..", "../../outside/written", "/etc/passwd", "a/../../b",
         "a\\b", "C:\\x", "CON", "com1.txt", "a" * 256, "课" * 400, "x" * 70_000, "e\u0301", "\u202egpj.exe",
         "\ufeff", "\u2028", "\U0001f4da", "０１", "²", "-rf", "--", "%s%n", "{0.__class__}", "<script>",
         "'; DROP TABLE record; --", "%2e%2e/", "0" * 64, "f" * 64, "A" * 64, "0" * 16, "NaN", "true", "1",
         "1e3", Raw(r'"\ud800"'), Raw(r'"\udc00\ud800"'), Raw('"\x01"'), Raw(r'"\u0000"'), Raw('"'))
OTHERS = (None, True, False, [], {}, [[]], {"": {}}, [None] * 3,
          Raw("[1,]"), Raw("//"), Raw(""), Raw("undefined"))
HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.sampled_from(OTHERS), st.integers(),
    st.text(max_size=8), st.sampled_from(DEPTHS).map(lambda depth: Raw("[" * depth + "]" * depth)),
    st.sampled_from(DEPTHS).map(lambda depth: Raw('{"a":' * depth + "0" + "}" * depth)))

#: What every JSON writer can write.
PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([one for one in (*NUMBERS, *TEXTS, *OTHERS) if not isinstance(one, Raw)
                     and not (isinstance(one, int) and abs(one) >= 2**53)]),
    st.sampled_from((True, 2**53 - 1, 1 - 2**53)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8))

Place = tuple[Any, Any]


def places(tree: Any) -> list[Place]:
    """Each (container, key or index) in a tree."""
    found: list[Place] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            waiting.append(node[key])
    return found


def spoiled(draw: Draw, tree: Any, most: int = 3, values: st.SearchStrategy[Any] = HOSTILE) -> Any:
    """A copy of `tree` with one to `most` changes."""
    whole = {"": copy.deepcopy(tree)}
    for _ in range(draw(st.integers(1, most))):
        found = places(whole)
        if not found:
            break
        node, key = found[draw(st.integers(0, len(found) - 1))]
        _change(draw, node, key, found, values)
    return whole.get("")


def _change(draw: Draw, node: Any, key: Any, found: Sequence[Place], values: st.SearchStrategy[Any]) -> None:
    value = node[key]
    match draw(st.sampled_from(("value", "value", "type", "gone", "key", "twice", "splice", "nest", "many"))):
        case "value":
            node[key] = copy.deepcopy(draw(values))
        case "type":
            node[key] = _other_type(draw, value)
        case "gone":
            del node[key]
        case "key" if isinstance(node, dict):
            del node[key]
            node[draw(st.sampled_from([text for text in TEXTS if type(text) is str]))] = value
        case "twice" if isinstance(node, dict):
            node[Again(key)] = copy.deepcopy(draw(values))
        case "splice":
            other, place = found[draw(st.integers(0, len(found) - 1))]
            node[key] = copy.deepcopy(other[place]) if place in other or isinstance(other, list) else None
        case "nest":
            node[key] = {str(key): value} if draw(st.booleans()) else [value]
        case "many":
            node[key] = [copy.deepcopy(value) for _ in range(draw(st.sampled_from((2, 30))))]
        case _:
            node[key] = copy.deepcopy(draw(values))


def _other_type(draw: Draw, value: Any) -> Any:
    if isinstance(value, dict):
        return draw(st.sampled_from((list(value.values()), list(value), json.dumps(list(value)))))
    if isinstance(value, list):
        return draw(st.sampled_from(({str(n): one for n, one in enumerate(value)}, len(value), str(value))))
    if isinstance(value, str):
        return draw(st.sampled_from((len(value), [value], list(value[:20]), {value: value}, value.upper())))
    return draw(st.sampled_from((str(value), [value], {"": value}, float(value or 0), not value)))


def as_json(tree: Any, *, spaced: bool = False) -> bytes:
    """`tree` as JSON: as RFC 8785 writes it as far as that is defined for it."""
    if isinstance(tree, Raw):
        return tree.encode()
    if isinstance(tree, dict):
        pairs = sorted(((str.__str__(key), value) for key, value in tree.items()),
                       key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))
        inner = [_text(key) + b":" + as_json(value, spaced=spaced) for key, value in pairs]
        return b"{" + (b", " if spaced else b",").join(inner) + b"}"
    if isinstance(tree, list | tuple):
        return b"[" + (b" , " if spaced else b",").join(as_json(one, spaced=spaced) for one in tree) + b"]"
    if isinstance(tree, str):
        return _text(tree)
    return json.dumps(tree).encode()


def _text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")


def bitten(draw: Draw, whole: bytes, other: bytes = b"") -> bytes:
    """`whole` with some of its bytes cut off, changed, put in, doubled, or taken from `other`."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + draw(st.sampled_from((1, 4, 60, 4000))))))
        match draw(st.sampled_from(("cut", "flip", "put", "double", "gone", "splice"))):
            case "cut":
                del data[start:]
            case "flip" if start < len(data):
                data[start] ^= 1 << draw(st.integers(0, 7))
            case "put":
                data[start:start] = draw(st.binary(max_size=30) | st.sampled_from(
                    (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\x1b[2J", b"0" * 5000)))
            case "double":
                data[end:end] = data[start:end]
            case "gone":
                del data[start:end]
            case "splice":
                data[start:end] = other[start:start + 200]
    return bytes(data)


@st.composite
def json_of(draw: Draw, tree: Any, most: int = 3) -> bytes:
    """The bytes of a message, spoiled; now and then its bytes too, or written otherwise."""
    spaced = draw(st.sampled_from((False, False, False, True)))
    data = as_json(spoiled(draw, tree, most), spaced=spaced)
    return bitten(draw, data) if draw(st.integers(0, 4)) == 0 else data
