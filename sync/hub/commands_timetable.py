"""`hub timetable`: which grade learns what and when at a site."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

from sync.command_line import data_option, json_option, show
from sync.hub.assign import set_timetable
from sync.hub.commands import hub
from sync.hub.feed import site_timetable
from sync.hub.settings import open_hub
from sync.hub.sites import get_site
from sync.timetable import MOST_FILE_BYTES, NO_TIMETABLE, in_words, read_file, rows


@hub.command("timetable")
@click.argument("name_of_site", metavar="SITE")
@click.option("--from", "file", type=click.File("rb"), metavar="FILE",
              help="Set it from this CSV file (weekday, period, grades, subject) or TOML file.")
@click.option("--clear", is_flag=True, help="Take the timetable away.")
@data_option
@json_option
def timetable_(name_of_site: str, file: BinaryIO | None, clear: bool, data: Path, as_json: bool) -> None:
    """Show a site's timetable, or set it.

    Its box opens with the lessons of the day and fetches first what the next days need. Times are the site's
    own (`hub policy --utc-offset`). A timetable that was set at the box goes before this one.

    \b
    Examples:
      teachpoint hub timetable dali-03 --from week.csv --data /srv/hub
      teachpoint hub timetable dali-03 --data /srv/hub
      teachpoint hub timetable dali-03 --clear --data /srv/hub

    \b
    Exit statuses: 0 done; 2 a row can't be read; 3 no such site (nothing is changed then).
    """
    opened = open_hub(data)
    get_site(opened, name_of_site)
    if clear and file is not None:
        raise click.UsageError("give --from or --clear")
    timetable = site_timetable(opened, name_of_site)
    if clear or file is not None:
        timetable = NO_TIMETABLE if file is None else read_file(file.read(MOST_FILE_BYTES + 1), file.name)
        set_timetable(opened, name_of_site, timetable)

    def people(console: Console) -> None:
        for line in in_words(timetable) or ["no timetable"]:
            console.print(line, markup=False, soft_wrap=True)

    show({"site": name_of_site, "periods": rows(timetable)}, as_json, people)
