"""Results of H5P and SCORM as xAPI statements: made at the box, read at the hub (docs/format.md). No I/O.

What a page tells is foreign code's word, passed on by a device in the classroom: held to few verbs and short
texts, and told as such. Nobody signs in: an actor is a device, perhaps with a name that was typed in.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from sync.errors import Misused
from sync.layout import PACKAGE_ID
from sync.manifest import RESOURCE_ID
from sync.text import one_line

#: The kind of a journal's record that holds one.
KIND = "result"
#: Most bytes of one message from a page, and most results in it.
MOST_MESSAGE_BYTES = 32 * 1024
MOST_AT_ONCE = 10
#: Most digits after the point of a score, and how large a score may be.
DIGITS = 4
LARGEST = 1e9

VERBS = "http://adlnet.gov/expapi/verbs/"
Verb = Literal["answered", "completed", "passed", "failed", "scored"]
#: Where the names of devices are at home, as xAPI wants it said; nobody asks there.
HOME = "http://teachpoint.local/"

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
_DURATION = re.compile(r"P(?=.)(?:\d{1,4}D)?(?:T(?=.)(?:\d{1,5}H)?(?:\d{1,6}M)?(?:\d{1,8}(?:\.\d{1,6})?S)?)?")
_OBJECT = re.compile(r"urn:teachpoint:([a-z0-9._-]{1,96}):([a-z0-9]{16})(?:#(.{1,200}))?", re.S)

Id = Annotated[str, Meta(pattern=_UUID)]
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Text200 = Annotated[str, Meta(max_length=200)]
Text500 = Annotated[str, Meta(max_length=500)]


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """As xAPI: `scaled` from -1 to 1."""

    scaled: Annotated[float, Meta(ge=-1, le=1)] | None = None
    raw: Number | None = None
    min: Number | None = None
    max: Number | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a page tells of one result. `id` names it for ever: sent twice, it is one. `part` is the question
    inside the resource, `name` its words, `pupil` what was typed in."""

    id: Id
    package: Annotated[str, Meta(max_length=96)]
    resource: Annotated[str, Meta(max_length=16)]
    device: Id
    verb: Verb
    pupil: Annotated[str, Meta(max_length=40)] = ""
    part: Text200 = ""
    name: Text200 = ""
    response: Text500 = ""
    success: bool | None = None
    completion: bool | None = None
    duration: Annotated[str, Meta(max_length=40)] = ""
    score: Score = Score()


class _Message(msgspec.Struct, frozen=True):
    results: Annotated[list[Told], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class _Named(msgspec.Struct, frozen=True):
    name: Text200
    homePage: str  # noqa: N815 - xAPI


class _Actor(msgspec.Struct, frozen=True):
    account: _Named
    objectType: str = "Agent"  # noqa: N815
    name: Annotated[str, Meta(max_length=40)] = ""


class _Verb(msgspec.Struct, frozen=True):
    id: Text200


class _Definition(msgspec.Struct, frozen=True):
    name: dict[str, Text200] = {}


class _Object(msgspec.Struct, frozen=True):
    id: Annotated[str, Meta(max_length=400)]
    objectType: str = "Activity"  # noqa: N815
    definition: _Definition = _Definition()


class _Result(msgspec.Struct, frozen=True):
    score: Score = Score()
    success: bool | None = None
    completion: bool | None = None
    response: Text500 = ""
    duration: Annotated[str, Meta(max_length=40)] = ""


class Statement(msgspec.Struct, frozen=True):
    """A statement as a record holds it."""

    id: Id
    actor: _Actor
    verb: _Verb
    object: _Object
    result: _Result = _Result()

    @property
    def verb_name(self) -> str:
        """The last word of its verb."""
        return self.verb.id.removeprefix(VERBS)

    @property
    def part(self) -> str:
        """The question inside the resource; "" for the whole."""
        match = _OBJECT.fullmatch(self.object.id)
        return match[3] or "" if match else ""

    @property
    def question(self) -> str:
        """Its words, where they are known."""
        return next(iter(self.object.definition.name.values()), "")


class Result(msgspec.Struct, frozen=True):
    """The body of a `result` record: the resource in words, and the statement."""

    package: str
    version: int
    resource: str
    name: str
    statement: Statement


def read_message(data: bytes) -> list[Told]:
    """What a page sent. Raises Misused `result-bad`."""
    try:
        told = msgspec.json.decode(data, type=_Message).results
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError) as error:
        raise Misused("result-bad", reason=str(error)[:300]) from error
    for one in told:
        if not (PACKAGE_ID.fullmatch(one.package) and RESOURCE_ID.fullmatch(one.resource)):
            raise Misused("result-bad", reason="package or resource is malformed")
        if one.device != told[0].device:
            raise Misused("result-bad", reason="results of several devices")
    return told


def statement(told: Told) -> dict[str, Any]:
    """The statement that a record keeps: xAPI 1.0.3, without what the record says itself (when)."""
    actor: dict[str, Any] = {"objectType": "Agent", "account": {"homePage": HOME, "name": told.device}}
    if pupil := one_line(told.pupil, 40):
        actor["name"] = pupil
    part, name, response = one_line(told.part, 200), one_line(told.name, 200), one_line(told.response, 500)
    whole = f"urn:teachpoint:{told.package}:{told.resource}"
    about: dict[str, Any] = {"objectType": "Activity", "id": f"{whole}#{part}" if part else whole}
    if name:
        about["definition"] = {"name": {"und": name}}
    score = {field: _number(value) for field in Score.__struct_fields__
             if (value := getattr(told.score, field)) is not None}
    result: dict[str, Any] = {"score": score} if score else {}
    for field in ("success", "completion"):
        if (value := getattr(told, field)) is not None:
            result[field] = value
    if response:
        result["response"] = response
    if _DURATION.fullmatch(told.duration):
        result["duration"] = told.duration
    made: dict[str, Any] = {"id": told.id, "actor": actor, "verb": {"id": VERBS + told.verb}, "object": about}
    return made | ({"result": result} if result else {})


def read_result(body: object) -> Result | None:
    """The body of a `result` record; None for one that breaks a rule. A box may have gone bad."""
    try:
        found = msgspec.convert(body, type=Result)
    except msgspec.ValidationError:
        return None
    known = found.statement.verb_name in get_args(Verb) and found.statement.verb.id.startswith(VERBS)
    return found if known and _OBJECT.fullmatch(found.statement.object.id) else None


def _number(value: float) -> int | float:
    """A score without digits that nobody reads; whole ones as whole numbers."""
    short = round(value, DIGITS)
    return int(short) if math.isclose(short, round(short), abs_tol=10**-DIGITS / 2) else short
