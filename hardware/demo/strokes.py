"""Draws Chinese characters stroke by stroke, from the outlines and middle lines of hanzi-writer-data.

The data's square is 1024 wide, its y axis points up and its top is at 900. No font is needed.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]

#: Points into which each curve of an outline is cut.
_CURVE_STEPS = 8
#: Half the width of the brush that uncovers a stroke, in units of the data; the widest stroke has 70.
_BRUSH = 90


@dataclass(frozen=True)
class Character:
    """A character's strokes in writing order: outlines (polygons) and the lines along their middle."""

    text: str
    outlines: list[list[Point]]
    middles: list[list[Point]]


def load(raw: Path, text: str) -> Character:
    """The strokes of one character from the data package."""
    data = json.loads((raw / f"{text}.json").read_text("utf-8"))
    return Character(text, [_outline(path) for path in data["strokes"]],
                     [[(float(x), 900 - float(y)) for x, y in line] for line in data["medians"]])


def picture(character: Character, size: int, strokes: float) -> Image.Image:
    """The character's first `strokes` strokes (2.5: two and half of the third) on a practice grid."""
    grid = _grid(size)
    scale = size * 2 / 1024
    ink = Image.new("L", (size * 2, size * 2), 0)
    for number, (outline, middle) in enumerate(zip(character.outlines, character.middles, strict=True)):
        part = min(1.0, strokes - number)
        if part <= 0:
            break
        shape = Image.new("L", ink.size, 0)
        ImageDraw.Draw(shape).polygon([(x * scale, y * scale) for x, y in outline], fill=255)
        if part < 1:
            brush = Image.new("L", ink.size, 0)
            line = [(x * scale, y * scale) for x, y in _beginning(middle, part)]
            draw = ImageDraw.Draw(brush)
            draw.line(line, fill=255, width=int(2 * _BRUSH * scale), joint="curve")
            for x, y in line:
                r = _BRUSH * scale
                draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
            shape = ImageChops.multiply(shape, brush)
        ink = ImageChops.lighter(ink, shape)
    grid.paste((32, 36, 48), mask=ink.resize((size, size), Image.Resampling.BILINEAR))
    return grid


def frames(character: Character, size: int, per_stroke: int, hold: int) -> Iterator[Image.Image]:
    """The film of writing the character: `per_stroke` pictures a stroke, then `hold` of the whole."""
    for number in range(len(character.outlines)):
        for step in range(per_stroke):
            yield picture(character, size, number + (step + 1) / per_stroke)
    whole = picture(character, size, len(character.outlines))
    for _ in range(hold):
        yield whole


def _grid(size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), (255, 252, 244))
    draw = ImageDraw.Draw(image)
    for a, b in (((0, 0), (size, size)), ((size, 0), (0, size)), ((size // 2, 0), (size // 2, size)),
                 ((0, size // 2), (size, size // 2))):
        draw.line((a, b), fill=(236, 208, 200), width=2)
    draw.rectangle((1, 1, size - 2, size - 2), outline=(200, 90, 80), width=4)
    return image


def _outline(path: str) -> list[Point]:
    tokens = re.findall(r"[MLQCZ]|-?[0-9.]+", path)
    points: list[Point] = []
    position = 0

    def take() -> Point:
        nonlocal position
        x, y = float(tokens[position]), 900 - float(tokens[position + 1])
        position += 2
        return x, y

    while position < len(tokens):
        command = tokens[position]
        position += 1
        if command in "ML":
            points.append(take())
        elif command in "QC":
            controls = [points[-1]] + [take() for _ in range(2 if command == "Q" else 3)]
            points += [_bezier(controls, step / _CURVE_STEPS) for step in range(1, _CURVE_STEPS + 1)]
    return points


def _bezier(points: list[Point], t: float) -> Point:
    while len(points) > 1:
        points = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
                  for a, b in itertools.pairwise(points)]
    return points[0]


def _beginning(line: list[Point], part: float) -> list[Point]:
    lengths = [((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 for a, b in itertools.pairwise(line)]
    left = sum(lengths) * part
    found = [line[0]]
    for (a, b), length in zip(itertools.pairwise(line), lengths, strict=True):
        if length >= left:
            t = left / length if length else 0
            return [*found, (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)]
        found.append(b)
        left -= length
    return found
