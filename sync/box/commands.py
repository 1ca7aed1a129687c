"""`teachpoint box …`: making a box, syncing it, asking how it is. Imported for its effect."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from sync.box import line
from sync.box.command_group import box
from sync.box.https import Https
from sync.box.journal import Journal
from sync.box.power import set_shutdown_command, shutdown_command
from sync.box.renew import renew
from sync.box.room import set_disk_budget
from sync.box.session import noted, sync_once
from sync.box.shelf import Shelf
from sync.box.state import Box, init_box, open_box
from sync.box.status import box_status, clock_told
from sync.box.timetable import set_own_timetable, timetable_of, timetable_told
from sync.box.wall_clock import read_time, set_clock
from sync.clock import iso
from sync.command_line import data_option, json_option, show, transfer_progress
from sync.directory import Directory
from sync.errors import Broken, Misused
from sync.file_lock import HeldByAnother, exclusive
from sync.fsck import Version, advice, check_library
from sync.policy import in_words
from sync.reserve import keep_reserve
from sync.timetable import MOST_FILE_BYTES, NO_TIMETABLE, read_file
from sync.timetable import in_words as timetable_words
from sync.transport import Transport

#: How long `box renew` waits for a sync that is running, in seconds.
RENEW_PATIENCE_S = 30.0
#: `--disk-budget all`: no budget but the disk.
ALL = -1
_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _budget(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value.lower() == "all":
        return ALL
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter("a size is a number and KB, MB, GB or TB, as 50GB; or `all`")
    return int(match[1]) * _UNITS[match[2].upper()]


@box.command()
@click.option("--pairing", "pairing", required=True, type=click.Path(path_type=Path), metavar="FILE.toml",
              help="The site's pairing file, from `teachpoint hub site add`.")
@click.option("--disk-budget", "budget", callback=_budget, metavar="SIZE",
              help="Most that lessons may take on the disk, as 50GB or 800MB; `all` (at first): all but a "
                   "reserve. May be changed later by the same command.")
@data_option
@json_option
def init(pairing: Path, budget: int | None, data: Path, as_json: bool) -> None:
    """Make this machine the box of the site that the pairing file names.

    \b
    Examples:
      teachpoint box init --pairing qingshan.toml --data /var/lib/teachpoint
      teachpoint box init --pairing qingshan.toml --disk-budget 50GB --data /var/lib/teachpoint
    """
    made = init_box(data, pairing)
    keep_reserve(data)
    if budget is not None:
        set_disk_budget(made.database, None if budget == ALL else budget)
    facts = {"site": made.pairing.site, "name": made.pairing.name, "box": made.box_id}
    show(facts, as_json, lambda console: console.print(
        f"This is the box of {made.pairing.name} ({made.pairing.site}).\n"
        f"Delete your copy of {pairing}: it holds secrets. Next: teachpoint box serve", markup=False))


@box.command()
@click.option("--once", is_flag=True, help="One whole sync now; `box serve` syncs by itself.")
@click.option("--from", "stick", type=click.Path(path_type=Path), metavar="STICK",
              help="Sync with the tree on this stick instead of over the line, in both directions.")
@click.option("--anyway", is_flag=True,
              help="Also what the policy of the line lets wait now; a stick is never limited.")
@data_option
@json_option
def sync(once: bool, stick: Path | None, anyway: bool, data: Path, as_json: bool) -> None:
    """Sync with the hub: records and uploads up, packages down.

    Where the policy that the hub set for the line lets lessons and uploads wait, only records and what must
    come at once move, and the command says so (exit status 3); --anyway moves the rest.

    \b
    Exit statuses: 0 all is here, 3 refused, 4 the hub can't be reached, 5 no room for all of it.
    Cut off at any time, the next sync goes on where this one stopped.

    \b
    Examples:
      teachpoint box sync --once --data /var/lib/teachpoint
      teachpoint box sync --once --anyway --data /var/lib/teachpoint
      teachpoint box sync --once --from /media/stick --json
    """
    if not once:
        raise Misused("sync-once")
    opened = open_box(data)
    with noted(opened), transfer_progress("sync") as told:
        transport = _link(opened, stick)
        if not (anyway or transport.carrier or line.decision(opened).records):
            raise line.refusal(opened)
        report = sync_once(opened, transport, lambda done, _total: told(done), anyway=anyway)
    facts = report.as_json()
    show(facts, as_json, lambda console: _tell_sync(console, facts))
    if report.held:
        raise line.refusal(opened)


def _link(opened: Box, stick: Path | None) -> Transport:
    if stick is not None:
        return Directory(stick, opened.pairing.site)
    return Https(opened.pairing, opened.layout.run, opened.layout.library)


def _tell_sync(console: Console, facts: dict[str, Any]) -> None:
    console.print(
        f"Synced in {facts['seconds']:.1f} s: {decimal(facts['received_bytes'])} came, "
        f"{decimal(facts['sent_bytes'])} went.\n{facts['objects']} objects, {facts['packages']} packages "
        f"became whole; {facts['records_up']} records sent, {facts['records_down']} confirmed by the hub.",
        markup=False)
    if not facts["news"]:
        console.print("It had no newer news from the hub than this box knows.")
    if facts["transport"] == "directory":
        console.print("The stick can be pulled out.")


@box.command()
@data_option
@json_option
def status(data: Path, as_json: bool) -> None:
    """How this box is doing: the hub, packages, room, journal, problems.

    \b
    Example:
      teachpoint box status --data /var/lib/teachpoint --json
    """
    opened = open_box(data)
    facts = box_status(opened)
    rules = in_words(line.policy_of(opened.database))
    show(facts, as_json, lambda console: _tell_status(console, facts, rules))


#: What the policy lets happen on the line now, for a terminal.
_STATES = {"open": "open", "unsure": "open, but slow: the box's clock can't be believed",
           "hours": "lessons and uploads wait for the policy's hours",
           "class": "lessons and uploads wait: class hours",
           "budget": "lessons and uploads wait: the month's budget is used up but for records",
           "spent": "one exchange of records a day: the month's budget is used up"}


def _line_words(told: dict[str, Any]) -> list[str]:
    left, measured = told["left"], told["rate_bytes_per_s"]
    state = _STATES[told["state"]]
    if told["bits_per_s"] is not None:
        state += f", at most {told['bits_per_s'] / 1000:g} kbit/s"
    if told["opens"] is not None:
        state += f", until {iso(told['opens'])}"
    finish = iso(told["finish"]) if told["finish"] else "not known yet"
    due = {None: "when `box serve` runs", 0: "within a minute"}.get(
        told["next_attempt"], iso(told["next_attempt"] or 0))
    return [f"line      {state}",
            f"  left    records {decimal(left['records'])}, lessons {decimal(left['lessons'])}, uploads "
            f"{decimal(left['uploads'])}" + (f"; all lessons here {finish}" if left["lessons"] else ""),
            f"  rate    {f'{decimal(round(measured))}/s measured' if measured else 'not measured yet'}; "
            f"{decimal(told['month_used_bytes'])} in {told['month']}; next sync {due}"]


def _tell_status(console: Console, facts: dict[str, Any], rules: list[str]) -> None:
    hub, packages = facts["hub"], facts["packages"]
    contact = iso(hub["last_contact"]) if hub["last_contact"] else "never"
    lines = [
        f"{facts['name']} ({facts['site']}), teachpoint {facts['version']}",
        f"hub       {hub['name']}, last contact {contact}",
        f"packages  {packages['complete']} whole of {packages['assigned']} assigned, "
        f"{decimal(facts['bytes_left'])} to come",
        f"room      {decimal(facts['disk']['free'])} of {decimal(facts['disk']['total'])}",
        f"journal   {facts['journal']['unacknowledged']} records not yet confirmed by the hub, "
        f"{facts['uploads']['waiting']} uploads waiting",
        f"clock     {iso(facts['clock']['now'])} ({facts['clock']['quality']})",
    ]
    lines += [*_line_words(facts["line"]), *(f"  policy  {rule}" for rule in rules)]
    if facts["disk"]["budget"] is not None:
        lines.append(f"budget    {decimal(facts['disk']['budget'])} for lessons")
    lines += [f"  no room {one['id']}: {decimal(one['bytes'])} lacking" for one in facts["no_room"]]
    lines += [f"  coming  {one['name']}: {decimal(one['left'])} of {decimal(one['bytes'])} left"
              for one in packages["partial"]]
    console.print(Text("\n".join(lines)))
    for problem in [hub["last_error"], *facts["problems"]]:
        if problem is not None:
            console.print(Text(f"{problem['message']}\n{problem['advice']} [{problem['code']}]", "yellow"))


@box.command("clock")
@click.option("--set", "wish", metavar="TIME",
              help="Set it, as 2026-11-25T18:00:00+08:00; without an offset: the site's own time.")
@data_option
@json_option
def clock_(wish: str | None, data: Path, as_json: bool) -> None:
    """Show the box's clock and what it is worth, or set it: for a box without a battery clock.

    The hub's signed time sets one that is wrong by days; a teacher can set it on the box's page /clock. The
    machine's own clock is set only where TEACHPOINT_SET_MACHINE_CLOCK=1 and the system allow it; elsewhere
    the box keeps the difference by itself, until the machine is started again.

    \b
    Examples:
      teachpoint box clock --data /var/lib/teachpoint
      teachpoint box clock --set 2026-11-25T18:00 --data /var/lib/teachpoint

    \b
    Exit statuses: 0 done; 3 that is no time, or one that cannot be right (nothing is changed then).
    """
    opened = open_box(data)
    if wish is not None:
        at = read_time(wish, line.policy_of(opened.database).utc_offset_min)
        set_clock(Journal(opened.database, opened.clock), at, "hand")
    facts = clock_told(opened)
    believed = "believed" if facts["believed"] else "not believed"
    show({**facts, "iso": iso(facts["now"])}, as_json, lambda console: console.print(
        f"{iso(facts['now'])} ({facts['quality']}: {believed})"
        + ("; the machine's own clock is another" if facts["corrected"] else ""), markup=False))


@box.command("timetable")
@click.option("--from", "file", type=click.File("rb"), metavar="FILE",
              help="Set it from this CSV file (weekday, period, grades, subject) or TOML file.")
@click.option("--clear", is_flag=True, help="Take away what was set at this box: the hub's holds again.")
@data_option
@json_option
def timetable_(file: BinaryIO | None, clear: bool, data: Path, as_json: bool) -> None:
    """Show the timetable that this box goes by, or set one here: it goes before the hub's.

    The box's page /timetable does the same.

    \b
    Examples:
      teachpoint box timetable --data /var/lib/teachpoint
      teachpoint box timetable --from week.csv --data /var/lib/teachpoint
      teachpoint box timetable --clear --data /var/lib/teachpoint

    \b
    Exit statuses: 0 done; 2 a row can't be read (nothing is changed then).
    """
    opened = open_box(data)
    if clear and file is not None:
        raise click.UsageError("give --from or --clear")
    if clear or file is not None:
        wish = NO_TIMETABLE if file is None else read_file(file.read(MOST_FILE_BYTES + 1), file.name)
        set_own_timetable(Journal(opened.database, opened.clock), wish)
    timetable, source = timetable_of(opened.database)
    lines = {"hub": ["set at the hub:"], "box": ["set at this box:"], "": ["no timetable"]}[source]
    show(timetable_told(opened.database), as_json, lambda console: console.print(
        "\n".join([*lines, *timetable_words(timetable)]), markup=False, soft_wrap=True))


@box.command("power")
@click.option("--off-command", "command", metavar="COMMAND",
              help="How this machine is switched off, as 'systemctl poweroff'; empty: teachers may not.")
@data_option
@json_option
def power_(command: str | None, data: Path, as_json: bool) -> None:
    """Show or set how teachers who are signed in switch the box off from its page.

    Nothing is set at first, and the page does not offer it. The command runs as the account of `box serve`,
    which must be allowed to do it; no shell reads it.

    \b
    Examples:
      teachpoint box power --data /var/lib/teachpoint
      teachpoint box power --off-command 'systemctl poweroff' --data /var/lib/teachpoint
      teachpoint box power --off-command '' --data /var/lib/teachpoint

    \b
    Exit statuses: 0 done; 1 there is no such program; 2 that is no command.
    """
    opened = open_box(data)
    if command is not None:
        set_shutdown_command(opened.database, command)
    words = shutdown_command(opened.database)
    show({"off": words}, as_json, lambda console: console.print(
        f"Teachers switch it off by: {shlex.join(words)}" if words else "Teachers can't switch it off.",
        markup=False, soft_wrap=True))


@box.command("renew")
@data_option
@json_option
def renew_(data: Path, as_json: bool) -> None:
    """Give this box a new name for its records: it was cloned, or restored from a backup (`ack-mismatch`).

    Nothing is lost: what the hub has not confirmed is told again under the new name.

    \b
    Example:
      teachpoint box renew --data /var/lib/teachpoint

    \b
    Exit statuses: 0 done; 1 a sync is running, try again when it has ended.
    """
    opened = open_box(data)
    before = opened.box_id
    try:
        with exclusive(opened.layout.run / "sync.lock", RENEW_PATIENCE_S):
            after = renew(opened)
    except HeldByAnother:
        raise Broken("sync-running", path=data) from None
    show({"before": before, "box": after}, as_json, lambda console: console.print(
        f"This box was {before} and is {after} now; the next sync tells the hub.", markup=False))


@box.command()
@data_option
@json_option
def fsck(data: Path, as_json: bool) -> None:
    """Read every stored file again; set damaged ones aside, so that the next sync fetches them anew.

    \b
    Exit statuses: 0 all is whole, 1 something was damaged.

    \b
    Example:
      teachpoint box fsck --data /var/lib/teachpoint
    """
    opened = open_box(data)
    shelf = Shelf(opened.database, opened.store, Journal(opened.database, opened.clock), opened.clock)
    versions = [Version(*row) for row in opened.database.execute(
        "SELECT id, version, manifest FROM package WHERE complete = 1 ORDER BY id")]
    with transfer_progress("reading the library") as progress:
        found = check_library(opened.store, versions, progress)
    resources = shelf.lost([*found.damaged, *found.missing])
    lines = advice(found, "The next sync fetches again what is lacking.")
    show({**found.as_json(), "resources": resources}, as_json,
         lambda console: console.print("\n".join(lines), markup=False, soft_wrap=True))
    if not found.whole:
        sys.exit(1)
