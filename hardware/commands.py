"""`teachpoint doctor`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hardware.doctor import Finding, examine
from sync.command_line import data_option, json_option, show

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()
@data_option
@json_option
def doctor(data: Path, as_json: bool) -> None:
    """Look for what would keep teachpoint from working, and say how to mend each thing.

    \b
    Exit statuses: 0 nothing that stops it, 1 something must be mended.

    \b
    Examples:
      teachpoint doctor
      teachpoint doctor --data /var/lib/teachpoint --json
    """
    findings = examine(data)
    show([finding.as_json() for finding in findings], as_json, lambda console: _tell(console, findings))
    if any(finding.problem is not None and finding.weight == "fail" for finding in findings):
        sys.exit(1)


def _tell(console: Console, findings: list[Finding]) -> None:
    for finding in findings:
        state = "ok" if finding.problem is None else finding.weight
        mark, colour = _MARKS[state]
        console.print(Text.assemble((f"{mark} ", colour), finding.check))
        if finding.problem is not None:
            words = Text(f"{finding.problem.message()}\n{finding.problem.advice()} [{finding.problem.code}]")
            console.print(Padding(words, (0, 0, 0, 4)))
