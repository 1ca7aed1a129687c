"""`hub policy`: when, how fast and how much a site's line may carry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from sync.command_line import data_option, json_option, show
from sync.errors import Misused
from sync.hub.assign import set_policy
from sync.hub.commands import hub
from sync.hub.feed import site_policy
from sync.hub.settings import open_hub
from sync.hub.sites import get_site
from sync.policy import (
    NO_POLICY,
    WEEK_MIN,
    Cap,
    Span,
    facts,
    in_words,
    merged,
    read_amount,
    read_offset,
    read_rate,
    read_times,
)

_TIMES_HELP = "TIMES: 'mon-fri 18:00-06:00; sat,sun 00:00-24:00'."


@hub.command("policy")
@click.argument("name_of_site", metavar="SITE")
@click.option("--hours", multiple=True, metavar="TIMES",
              help="When lessons and uploads may move by themselves; 'always' takes the limit away. "
                   f"{_TIMES_HELP}")
@click.option("--cap", "caps", multiple=True, metavar="'RATE [TIMES]'",
              help="How fast, in bit/s: '1M', '512k mon-fri 08:00-18:00'; several times for several caps, "
                   "'none' takes them away.")
@click.option("--class-hours", multiple=True, metavar="TIMES",
              help="When classes are held; 'none' takes them away.")
@click.option("--class-rate", metavar="RATE",
              help="What a sync may take of the line in class hours, in bit/s; 0 (at first): nothing "
                   "but records.")
@click.option("--budget", metavar="BYTES",
              help="Bytes in a calendar month, both directions together: '2G'; 'none' takes the limit away.")
@click.option("--utc-offset", metavar="+HH:MM", help="The site's time zone; +08:00 where nothing is said.")
@click.option("--clear", is_flag=True, help="Take the whole policy away.")
@data_option
@json_option
def policy_(name_of_site: str, hours: tuple[str, ...], caps: tuple[str, ...], class_hours: tuple[str, ...],
            class_rate: str | None, budget: str | None, utc_offset: str | None, clear: bool, data: Path,
            as_json: bool) -> None:
    """Show a site's policy, or change what the options name; the rest stays.

    Records move at any hour; what is assigned with --now does, too. The box keeps to a new policy from
    its next sync on, within half a minute where the line is up.

    \b
    Examples:
      teachpoint hub policy dali-03 --data /srv/hub
      teachpoint hub policy dali-03 --hours 'mon-fri 18:00-06:00; sat,sun 00:00-24:00' --data /srv/hub
      teachpoint hub policy dali-03 --class-hours 'mon-fri 08:00-16:30' --class-rate 256k --data /srv/hub
      teachpoint hub policy dali-03 --budget 2G --cap '1M 08:00-20:00' --data /srv/hub
      teachpoint hub policy dali-03 --clear --data /srv/hub

    \b
    Exit statuses: 0 done; 2 no such time, rate or amount; 3 no such site (nothing is changed then).
    """
    opened = open_hub(data)
    get_site(opened, name_of_site)
    changes = _changes(hours, caps, class_hours, class_rate, budget, utc_offset)
    if clear and changes:
        raise click.UsageError("give --clear alone")
    policy = site_policy(opened, name_of_site)
    if clear or changes:
        policy = NO_POLICY if clear else msgspec.structs.replace(policy, **changes)
        set_policy(opened, name_of_site, policy)

    def people(console: Console) -> None:
        for line in in_words(policy):
            console.print(line, markup=False, soft_wrap=True)

    show({"site": name_of_site, "policy": facts(policy)}, as_json, people)


def _changes(hours: tuple[str, ...], caps: tuple[str, ...], class_hours: tuple[str, ...],
             class_rate: str | None, budget: str | None, utc_offset: str | None) -> dict[str, Any]:
    """Field of Policy → its new value, for the options that were given. Raises Misused."""
    changes: dict[str, Any] = {}
    if hours:
        changes["hours"] = _times(hours, "always")
    if caps:
        changes["caps"] = () if caps == ("none",) else tuple(_cap(text) for text in caps)
    if class_hours:
        changes["class_hours"] = _times(class_hours, "none")
    if class_rate is not None:
        changes["class_bits_per_s"] = read_rate(class_rate)
    if budget is not None:
        changes["month_bytes"] = None if budget == "none" else _budget(budget)
    if utc_offset is not None:
        changes["utc_offset_min"] = read_offset(utc_offset)
    return changes


def _times(texts: tuple[str, ...], nothing: str) -> tuple[Span, ...]:
    return () if texts == (nothing,) else merged(span for text in texts for span in read_times(text))


def _budget(text: str) -> int:
    found = read_amount(text)
    if not found:
        raise Misused("policy-amount-bad", text=text)
    return found


def _cap(text: str) -> Cap:
    rate, *times = re.split(r"\s+", text.strip(), maxsplit=1)
    found = read_rate(rate)
    if not found:
        raise Misused("policy-amount-bad", text=rate)
    return Cap(times=read_times(times[0]) if times else ((0, WEEK_MIN),), bits_per_s=found)
