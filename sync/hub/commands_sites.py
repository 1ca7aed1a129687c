"""`hub init`, `hub site …`, `hub assign`, `hub unassign`, `hub status`: a hub and its sites."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from sync import pairing
from sync.clock import iso
from sync.command_line import data_option, json_option, show
from sync.errors import Refused
from sync.hub import keys, sites
from sync.hub.assign import DEFAULT_PRIORITY, Assignment, assign, unassign
from sync.hub.commands import hub
from sync.hub.feed import site_policy
from sync.hub.settings import DEFAULT_HTTPS_PORT, DEFAULT_SSH_PORT, NO_HTTPS, init_hub, open_hub
from sync.hub.status import hub_problems, hub_status
from sync.policy import in_words
from sync.reserve import keep_reserve


@hub.command()
@data_option
@click.option("--name", required=True, help="The hub's name, as people see it.")
@click.option("--address", "addresses", multiple=True, metavar="HOST",
              help="Host name or IP address where boxes reach this hub; may be given several times, "
                   "best first. Default: this machine's own.")
@click.option("--ssh-port", default=DEFAULT_SSH_PORT, show_default=True,
              type=click.IntRange(1, 65535), help="Port of the hub's own sshd.")
@click.option("--https-port", default=DEFAULT_HTTPS_PORT, show_default=True,
              type=click.IntRange(NO_HTTPS, 65535), help="Port of HTTPS for boxes; 0: boxes use SSH alone.")
@json_option
def init(data: Path, name: str, addresses: tuple[str, ...], ssh_port: int, https_port: int,
         as_json: bool) -> None:
    """Make a hub: keys, database, empty library.

    Keep a copy of the folder keys/ in a safe place: without it the boxes must be paired anew.

    \b
    Example:
      teachpoint hub init --data /srv/hub --name 大理中心校 --address 192.168.1.10

    \b
    Exit statuses: 0 made; 3 there is one already, or a name or address is refused; 5 no room.
    """
    made = init_hub(data, name, addresses, ssh_port, https_port)
    keep_reserve(data)
    facts = {"data": str(data), "name": made.settings.name, "addresses": made.settings.addresses,
             "ssh_port": made.settings.ssh_port, "ssh_user": made.settings.ssh_user,
             "https_port": made.settings.https_port,
             "ssh_host_key": keys.host_public(made.layout),
             "seal_recipient": keys.seal_recipient(made.layout)}

    def people(console: Console) -> None:
        console.print(f"The hub {made.settings.name} is ready in {data}.", markup=False, soft_wrap=True)
        https = f" and {made.settings.https_port} (HTTPS)" if made.settings.https_port else ""
        console.print(f"Boxes will look for it at {', '.join(made.settings.addresses)}, "
                      f"port {made.settings.ssh_port} (SSH){https}.", markup=False, soft_wrap=True)
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
@_pairing_option(required=False)
@click.option("--feed-only", is_flag=True,
              help="New key for the feed only: this hub was restored from a backup and the box says "
                   "feed-rollback, or the feed key was stolen. The box needs nothing new.")
@data_option
@json_option
def rekey(name_of_site: str, file: Path | None, feed_only: bool, data: Path, as_json: bool) -> None:
    """Give a site new keys of every kind: its box was lost, stolen or replaced.

    The old keys open nothing any more. The box needs the new pairing file.

    \b
    Examples:
      teachpoint hub site rekey dali-03 --pairing dali-03.toml --data /srv/hub
      teachpoint hub site rekey dali-03 --feed-only --data /srv/hub
    """
    if feed_only == (file is not None):
        raise click.UsageError("give either --pairing FILE.toml or --feed-only")
    if file is None:
        sites.renew_feed_key(open_hub(data), name_of_site)
        show({"site": name_of_site, "pairing": None}, as_json, lambda console: console.print(
            f"The feed of {name_of_site} has a new key; its box takes it over at the next sync.",
            markup=False, soft_wrap=True))
        return
    _place(file, name_of_site)
    sites.rekey_site(open_hub(data), name_of_site, deliver=lambda made: pairing.write(file, made))
    _delivered(name_of_site, file, "has new keys", as_json)


@hub.command("restored")
@data_option
@json_option
def restored(data: Path, as_json: bool) -> None:
    """Say that this hub was restored from a backup: its boxes believe it again at their next sync.

    Boxes refuse a feed that is older than what they know (feed-rollback). Every valid site gets a new feed
    key; the boxes need nothing new. What they had told and this hub has lost is shown in `hub status`.

    \b
    Example:
      teachpoint hub restored --data /srv/hub
    """
    opened = open_hub(data)
    done = [one.site for one in sites.list_sites(opened) if one.revoked is None]
    for name in done:
        sites.renew_feed_key(opened, name)
    show({"sites": done}, as_json, lambda console: console.print(
        f"{len(done)} sites have a new feed key; their boxes go on at the next sync.", markup=False))


_TO = click.option("--to", "receivers", multiple=True, required=True, metavar="SITE",
                   help="A site; may be given several times.")


@hub.command("assign")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@_TO
@click.option("--priority", type=int, default=DEFAULT_PRIORITY, show_default=True, metavar="0..9",
              help="9 is the most urgent.")
@click.option("--now", "at_once", is_flag=True,
              help="Fetch today's version at once and at full speed, whatever the sites' policies say.")
@data_option
@json_option
def assign_(packages: tuple[str, ...], receivers: tuple[str, ...], priority: int, at_once: bool, data: Path,
            as_json: bool) -> None:
    """Let sites have packages: the newest version, now and whenever there is a newer one.

    \b
    Examples:
      teachpoint hub assign yuwen-3-01 shuxue-3-01 --to dali-03 --to dali-04 --priority 7 --data /srv/hub
      teachpoint hub assign flood-warning --to dali-03 --now --data /srv/hub

    \b
    Exit statuses: 0 done; 2 no such priority; 3 no such site or package (nothing is changed then).
    """
    _assigned(assign(open_hub(data), packages, receivers, priority, at_once=at_once), as_json)


@hub.command("unassign")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@_TO
@data_option
@json_option
def unassign_(packages: tuple[str, ...], receivers: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Let sites no longer have packages; boxes drop them when they need the room.

    \b
    Example:
      teachpoint hub unassign yuwen-3-01 --to dali-03 --data /srv/hub
    """
    _assigned(unassign(open_hub(data), packages, receivers), as_json)


def _assigned(done: list[Assignment], as_json: bool) -> None:
    def people(console: Console) -> None:
        table = Table("Site", "Package", "Priority", "")
        for one in done:
            table.add_row(one.site, one.package, "" if one.priority is None else str(one.priority),
                          "changed" if one.changed else "as before")
        console.print(table)

    show([asdict(one) for one in done], as_json, people)


@hub.command("status")
@click.argument("name_of_site", metavar="[SITE]", required=False)
@data_option
@json_option
def status_(name_of_site: str | None, data: Path, as_json: bool) -> None:
    """Each site: when it was last heard of, what it has, what is missing, what is in trouble.

    \b
    Examples:
      teachpoint hub status --data /srv/hub
      teachpoint hub status dali-03 --data /srv/hub --json
    """
    opened = open_hub(data)
    found = hub_status(opened, name_of_site)
    ours = hub_problems(opened)

    def people(console: Console) -> None:
        table = Table("Site", "Name", "Last heard of", "Packages", "Left", "Problems")
        for one in found:
            counts = one["packages"]
            table.add_row(one["site"] + (" (revoked)" if one["revoked"] else ""), one["name"],
                          "never" if one["last_heard"] is None else iso(one["last_heard"]),
                          f"{counts['complete']} of {counts['assigned']}", decimal(one["bytes_left"]),
                          str(len(one["problems"]) or ""))
        console.print(table)
        for one in found if name_of_site else ():
            for rule in in_words(site_policy(opened, one["site"])):
                console.print(f"policy: {rule}", markup=False, soft_wrap=True)
            if one["line"]["opens"] is not None:
                console.print(f"lessons wait until {iso(one['line']['opens'])} (records move)", markup=False)
            if (told := one["line"]["told"]) is not None:
                console.print(_line_words(told), markup=False, soft_wrap=True)
            for package in one["missing"]:
                console.print(f"missing: {package['id']} version {package['version']}, "
                              f"up to {decimal(package['bytes'])}", markup=False, soft_wrap=True)
            for package in one["no_room"]:
                console.print(f"no room: {package['id']}, {decimal(package['bytes'])} lacking",
                              markup=False, soft_wrap=True)
        for problem in ours + [problem for one in found for problem in one["problems"]]:
            console.print(f"{problem['message']} {problem['advice']} [{problem['code']}]", style="red",
                          markup=False, soft_wrap=True)

    show(found, as_json, people)


def _line_words(told: dict[str, Any]) -> str:
    """What the box said of its line, for a terminal."""
    words = [f"{decimal(told['rate_bytes_per_s'])}/s" if told["rate_bytes_per_s"] else "not measured yet"]
    words += [f"{decimal(told['left_bytes'])} left"] if told["left_bytes"] else []
    words += [f"all there {iso(told['finish'])}"] if told["left_bytes"] and told["finish"] else []
    words += [f"policy: {told['state']}"] if told["state"] else []
    return f"line: {', '.join(words)} (told {iso(told['at'])})"


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
