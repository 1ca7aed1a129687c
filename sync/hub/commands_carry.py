"""`teachpoint hub carry`: a stick for sites that the line does not reach."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal

from sync.carrier import Carrier
from sync.command_line import data_option, json_option, show, transfer_progress
from sync.errors import Broken, Misused, NoRoom
from sync.hub.carry import Carried, carry
from sync.hub.commands import hub
from sync.hub.settings import open_hub
from sync.hub.sites import list_sites


@hub.command("carry")
@click.argument("sites", nargs=-1, metavar="SITE...")
@click.option("--to", "stick", required=True, metavar="STICK", type=click.Path(path_type=Path),
              help="The folder where the stick is mounted.")
@click.option("--every-site", is_flag=True, help="For all sites of this hub.")
@click.option("--all", "everything", is_flag=True,
              help="Everything assigned, also what the box has told to have (for a new box).")
@click.option("--check", is_flag=True, help="Read again what lies on the stick, instead of trusting sizes.")
@data_option
@json_option
def carry_command(sites: tuple[str, ...], stick: Path, every_site: bool, everything: bool, check: bool,
                  data: Path, as_json: bool) -> None:
    """Fill a stick for SITE, and take in what it brought back.

    The box takes it with `teachpoint box sync --once --from STICK`, or by itself when it is plugged in.
    Only what the site lacks is written, as far as the hub knows. Repeat it when it was cut off.

    \b
    Examples:
      teachpoint hub carry daqingshan --to /media/stick --data /srv/hub
      teachpoint hub carry --every-site --to /media/stick

    \b
    Exit statuses: 0 all is on it; 1 files here are damaged; 3 refused (unknown or revoked site);
    4 the stick can't be read or written; 5 not all found room.
    """
    opened = open_hub(data)
    if every_site:
        sites = tuple(site.site for site in list_sites(opened) if site.revoked is None)
    if not sites:
        raise Misused("carry-for-whom")
    with transfer_progress("stick") as told:
        done = carry(opened, sites, Carrier(stick.absolute()), everything=everything, check=check,
                     progress=lambda bytes_done, _total: told(bytes_done))
    show(done.as_json(), as_json, lambda console: _tell(console, done))
    if done.too_large:
        raise NoRoom("carrier-file-too-large", path=stick, count=len(done.too_large))
    if done.damaged:
        raise Broken("library-damaged", objects=len(done.damaged), packages=", ".join(done.hurt_packages))
    if done.left_bytes:
        raise NoRoom("carrier-full", path=stick)


def _tell(console: Console, done: Carried) -> None:
    if done.records or done.uploads:
        console.print(f"Taken in: {done.records} records, {done.uploads} uploaded files.")
    for site in done.sites:
        knows = "" if site.known else " (nothing heard of its box yet: all that is assigned)"
        left = f"; {decimal(site.left_bytes)} found no room" if site.left_bytes else ""
        console.print(f"{site.site}: {site.packages} packages, {site.objects} files, {decimal(site.bytes)}"
                      f"{knows}{left}", markup=False)
    console.print(f"Written: {done.written_objects} files, {decimal(done.written_bytes)}. "
                  "The stick can be pulled out.")
