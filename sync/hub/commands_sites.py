"""`hub init`, `hub site …`: making a hub and its sites."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sync import pairing
from sync.clock import iso
from sync.command_line import data_option, json_option, show
from sync.errors import Refused
from sync.hub import keys, sites
from sync.hub.commands import hub
from sync.hub.settings import DEFAULT_SSH_PORT, init_hub, open_hub


@hub.command()
@data_option
@click.option("--name", required=True, help="The hub's name, as people see it.")
@click.option("--address", "addresses", multiple=True, metavar="HOST",
              help="Host name or IP address where boxes reach this hub; may be given several times, "
                   "best first. Default: this machine's own.")
@click.option("--ssh-port", default=DEFAULT_SSH_PORT, show_default=True,
              type=click.IntRange(1, 65535), help="Port of the hub's own sshd.")
@json_option
def init(data: Path, name: str, addresses: tuple[str, ...], ssh_port: int, as_json: bool) -> None:
    """Make a hub: keys, database, empty library.

    Keep a copy of the folder keys/ in a safe place: without it the boxes must be paired anew.

    \b
    Example:
      teachpoint hub init --data /srv/hub --name 大理中心校 --address 192.168.1.10

    \b
    Exit statuses: 0 made; 3 there is one already, or a name or address is refused; 5 no room.
    """
    made = init_hub(data, name, addresses, ssh_port)
    facts = {"data": str(data), "name": made.settings.name, "addresses": made.settings.addresses,
             "ssh_port": made.settings.ssh_port, "ssh_user": made.settings.ssh_user,
             "ssh_host_key": keys.host_public(made.layout),
             "seal_recipient": keys.seal_recipient(made.layout)}

    def people(console: Console) -> None:
        console.print(f"The hub {made.settings.name} is ready in {data}.", markup=False, soft_wrap=True)
        console.print(f"Boxes will look for it at {', '.join(made.settings.addresses)}, "
                      f"port {made.settings.ssh_port}.", markup=False, soft_wrap=True)
        console.print(f"Keep a copy of {made.layout.keys} in a safe place. "
                      f"Next: teachpoint hub site add --help", markup=False, soft_wrap=True)

    show(facts, as_json, people)


@hub.group()
def site() -> None:
    """The sites (teaching points) of this hub."""


def _pairing_option(required: bool) -> Callable[[Any], Any]:
    return click.option("--pairing", "file", required=required, metavar="FILE.toml",
                        type=click.Path(dir_okay=False, path_type=Path),
                        help="Where to write the pairing file. It holds secrets: carry it to the box, "
                             "then delete it.")


@site.command("add")
@click.argument("name_of_site", metavar="SITE")
@click.option("--name", required=True, help="The site's name, as people see it.")
@_pairing_option(required=True)
@data_option
@json_option
def add(name_of_site: str, name: str, file: Path, data: Path, as_json: bool) -> None:
    """Make a site and its pairing file.

    SITE is its short name: a-z, 0-9 and -; it becomes part of addresses.

    \b
    Example:
      teachpoint hub site add dali-03 --name 大理三号教学点 --pairing dali-03.toml --data /srv/hub

    \b
    Exit statuses: 0 made; 3 the name is refused or taken, or FILE is something else; 5 no room.
    """
    _place(file, name_of_site)
    opened = open_hub(data)
    sites.add_site(opened, name_of_site, name,
                   deliver=lambda made: pairing.write(file, made))
    _delivered(name_of_site, file, "is there", as_json)


@site.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """All sites, revoked ones too.

    \b
    Example:
      teachpoint hub site list --data /srv/hub --json
    """
    found = sites.list_sites(open_hub(data))

    def people(console: Console) -> None:
        table = Table("Site", "Name", "Made", "Revoked")
        for one in found:
            table.add_row(one.site, one.name, iso(one.created),
                          iso(one.revoked) if one.revoked is not None else "")
        console.print(table)

    show([asdict(one) for one in found], as_json, people)


@site.command()
@click.argument("name_of_site", metavar="SITE")
@data_option
@json_option
def revoke(name_of_site: str, data: Path, as_json: bool) -> None:
    """Take away a site's right to connect and to be heard, at once.

    What it has stays there, what it sent stays here. `site rekey` makes it valid again.

    \b
    Example:
      teachpoint hub site revoke dali-03 --data /srv/hub
    """
    opened = open_hub(data)
    sites.revoke_site(opened, name_of_site)
    show(asdict(sites.get_site(opened, name_of_site)), as_json,
         lambda console: console.print(f"The site {name_of_site} is revoked.", markup=False))


@site.command()
@click.argument("name_of_site", metavar="SITE")
@_pairing_option(required=True)
@data_option
@json_option
def rekey(name_of_site: str, file: Path, data: Path, as_json: bool) -> None:
    """Give a site new keys of every kind: its box was lost, stolen or replaced.

    The old keys open nothing any more. The box needs the new pairing file.

    \b
    Example:
      teachpoint hub site rekey dali-03 --pairing dali-03.toml --data /srv/hub
    """
    _place(file, name_of_site)
    sites.rekey_site(open_hub(data), name_of_site, deliver=lambda made: pairing.write(file, made))
    _delivered(name_of_site, file, "has new keys", as_json)


def _delivered(name_of_site: str, file: Path, what: str, as_json: bool) -> None:
    show({"site": name_of_site, "pairing": str(file.absolute())}, as_json,
         lambda console: console.print(
             f"The site {name_of_site} {what}. Its pairing file is {file}: it holds secrets; carry it "
             f"to the box (teachpoint box init --pairing {file.name}), then delete it.",
             markup=False, soft_wrap=True))


def _place(file: Path, name_of_site: str) -> None:
    """Hold the place of a pairing file before anything is changed: its folder takes files, and
    nothing but an older pairing file of the same site is overwritten.

    Raises Refused: `folder-unusable`, `pairing-exists`.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        raise Refused("folder-unusable", path=folder, reason="it is not there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused("folder-unusable", path=folder, reason="permission denied")
    if file.exists():
        try:
            old = pairing.read(file).site
        except Refused:
            old = ""
        if old != name_of_site:
            raise Refused("pairing-exists", path=file, site=name_of_site)
