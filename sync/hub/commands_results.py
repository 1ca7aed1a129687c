"""`hub results`: what classes answered in H5P and SCORM, as a table, CSV or xAPI statements."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync.clock import iso
from sync.command_line import data_option, json_option, show
from sync.hub.commands import hub
from sync.hub.settings import Hub, open_hub
from sync.hub.sites import get_site
from sync.results import KIND, Score, read_result

#: Columns of the CSV, in order.
COLUMNS = ("site", "time", "clock", "package", "resource", "name", "pupil", "device", "verb", "part",
           "question", "response", "success", "score", "of", "percent", "duration")
#: With one of these a spreadsheet would take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@hub.command("results")
@click.option("--site", "name_of_site", metavar="SITE", help="Only of this site.")
@click.option("--csv", "as_csv", is_flag=True, help="A table for spreadsheets (UTF-8), on standard output.")
@data_option
@json_option
def results_(name_of_site: str | None, as_csv: bool, data: Path, as_json: bool) -> None:
    """What classes answered in exercises (H5P, SCORM): the newest last.

    --json gives xAPI 1.0.3 statements, as a learning record store takes them. Nobody signs in to learn: an
    actor is a device, and perhaps the name that was typed in.

    \b
    Examples:
      teachpoint hub results --site dali-03 --data /srv/hub
      teachpoint hub results --csv --data /srv/hub > results.csv

    \b
    Exit statuses: 0 done; 2 --csv with --json; 3 no such site.
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json")
    opened = open_hub(data)
    if name_of_site is not None:
        get_site(opened, name_of_site)
    if as_csv:
        click.echo(as_table(list_results(opened, name_of_site)), nl=False)
        return

    def people(console: Console) -> None:
        table = Table("Site", "Time", "Who", "Lesson", "Question", "Result")
        for one in list_results(opened, name_of_site):
            who = Text(one["pupil"] or one["device"][:8])
            table.add_row(one["site"], one["time"], who, Text(one["name"]),
                          Text(one["question"] or one["part"]), Text(_in_words(one)))
        console.print(table)

    show([one["statement"] for one in list_results(opened, name_of_site)] if as_json else [], as_json, people)


def list_results(opened: Hub, site: str | None = None) -> Iterator[dict[str, Any]]:
    """The results that records tell of, one by one, each once; `statement` is the whole xAPI statement, the
    other fields are those of COLUMNS. Records that break a rule are left out."""
    rows = opened.database.execute(
        "SELECT r.site, r.box, r.seq, r.time, r.clock_quality, r.body FROM record r WHERE r.kind = ?"
        " AND (? IS NULL OR r.site = ?) ORDER BY r.site, r.box, r.seq", [KIND, site, site])
    seen: set[tuple[str, str]] = set()
    for of, _, _, time, quality, body in rows:
        plain = msgspec.json.decode(body)
        read = read_result(plain)
        if read is None or (of, read.statement.id) in seen:
            continue
        seen.add((of, read.statement.id))
        told = read.statement
        yield {
            "site": of, "time": iso(time), "clock": quality, "package": read.package,
            "resource": read.resource, "name": read.name, "pupil": told.actor.name,
            "device": told.actor.account.name, "verb": told.verb_name, "part": told.part,
            "question": told.question, "response": told.result.response, "success": told.result.success,
            "score": told.result.score.raw, "of": told.result.score.max,
            "percent": _percent(told.result.score), "duration": told.result.duration,
            "statement": _whole(plain["statement"], of, time, quality, read.name)}


def as_table(found: Iterator[dict[str, Any]]) -> str:
    """Results as CSV, for spreadsheets: with a byte order mark, so that Excel reads it as UTF-8."""
    into = io.StringIO()
    into.write("\ufeff")
    writer = csv.writer(into)
    writer.writerow(COLUMNS)
    for one in found:
        writer.writerow([_cell(one[column]) for column in COLUMNS])
    return into.getvalue()


def _cell(value: object) -> object:
    """Whatever a child's device sent must stay text in a spreadsheet."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value


def _percent(score: Score) -> int | None:
    if score.scaled is not None:
        return round(100 * score.scaled)
    if score.raw is None or score.max is None or score.max <= (score.min or 0):
        return None
    least = score.min or 0
    return round(100 * (score.raw - least) / (score.max - least))


def _whole(statement: dict[str, Any], site: str, time: int, quality: str, name: str) -> dict[str, Any]:
    """With what the record says: when by which clock, and the resource's name where no question has one."""
    about = statement["object"]
    if "definition" not in about:
        about = {**about, "definition": {"name": {"und": name}}}
    told = {"urn:teachpoint:site": site, "urn:teachpoint:clock": quality}
    return {**statement, "object": about, "timestamp": iso(time),
            "context": {"platform": "teachpoint", "extensions": told}}


def _in_words(one: dict[str, Any]) -> str:
    words = [one["verb"]]
    if one["verb"] == "answered" and one["success"] is not None:
        words.append("right" if one["success"] else "wrong")
    if one["score"] is not None:
        words.append(f"{one['score']:g}" if one["of"] is None else f"{one['score']:g}/{one['of']:g}")
    if one["percent"] is not None:
        words.append(f"({one['percent']} %)")
    return " ".join(words)
