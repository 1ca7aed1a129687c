"""`teachpoint hub publish`, `packages`, `fsck`: what the library holds."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from sync.command_line import data_option, json_option, show, tell_people, transfer_progress
from sync.errors import Misused, TeachpointError
from sync.fsck import Version, advice, check_library
from sync.hub import readers
from sync.hub.commands import hub
from sync.hub.damage import mend, note_damage
from sync.hub.publish import Published, list_packages, publish_tree
from sync.hub.settings import open_hub


@hub.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...",
                type=click.Path(path_type=Path))
@click.option("--id", "package", metavar="ID", help="The package's id; PATH is then one package.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE",
              help="Set a field (name, educationalLevel, about, …) whatever names and package.toml say.")
@data_option
@json_option
def publish(paths: tuple[Path, ...], package: str | None, settings: tuple[str, ...], data: Path,
            as_json: bool) -> None:
    """Publish folders or files: each lesson below PATH becomes a package, or a new version of one.

    What is refused is told on standard error; the other lessons are published all the same.
    docs/publishing.md says how folders are read.

    \b
    Example:
      teachpoint hub publish 人教版/ --data /srv/hub
    """
    if package and len(paths) > 1:
        raise Misused("one-id-many-paths", count=len(paths))
    fields = dict(_pair(setting) for setting in settings)
    opened = open_hub(data)
    done: list[Published] = []
    errors: list[TeachpointError] = []
    for path in paths:
        with transfer_progress(str(path)) as progress:
            for result in publish_tree(opened, path, id=package, fields=fields, progress=progress):
                if isinstance(result, Published):
                    done.append(result)
                else:
                    errors.append(result)
    if done:
        show([result.as_json() for result in done], as_json, lambda console: _tell(console, done))
    for result in done:
        for warning in result.warnings if not as_json else ():
            tell_people(f"{result.name}: {warning}", "yellow")
    for error in errors[1:]:
        tell_people(str(error), "red")
    if errors:
        raise errors[0]


@hub.command()
@data_option
@json_option
def packages(data: Path, as_json: bool) -> None:
    """List what is published: the newest version of each package.

    \b
    Example:
      teachpoint hub packages --data /srv/hub
    """
    rows = list_packages(open_hub(data))

    def people(console: Console) -> None:
        table = Table(Column("id", overflow="fold"), "version", Column("name", overflow="fold"), "resources",
                      "size", "published", box=None)
        for row in rows:
            table.add_row(row["id"], str(row["version"]), row["name"], str(row["resources"]),
                          _size(row["bytes"]), row["published"])
        console.print(table if rows else "Nothing is published yet.")

    show(rows, as_json, people)


@hub.command()
@click.pass_context
@data_option
@json_option
def fsck(context: click.Context, data: Path, as_json: bool) -> None:
    """Read the whole library again, and put damaged objects into quarantine. What the folders that packages
    were published from still hold comes back from there.

    Exit status 1 if anything is damaged or missing after that: publish the packages that are named again,
    from their folders; that brings the bytes back and makes no new version.

    \b
    Example:
      teachpoint hub fsck --data /srv/hub
    """
    opened = open_hub(data)
    versions = [Version(*row) for row in opened.database.execute(
        "SELECT id, max(version), manifest FROM package GROUP BY id ORDER BY id")]
    with transfer_progress("reading the library") as progress:
        checked = check_library(opened.store, versions, progress)
    note_damage(opened, [*checked.damaged, *checked.missing])
    mended = mend(opened)
    whole = set(mended) >= {*checked.damaged, *checked.missing}
    lines = [*advice(checked, "Publish these packages again from their folders: that brings the bytes back."
                     if not whole else "All is whole again."),
             *(f"Brought back from where it was published: {name}" for name in mended)]
    show({**checked.as_json(), "ok": whole, "mended": mended}, as_json,
         lambda console: console.print("\n".join(lines), markup=False, soft_wrap=True))
    if not whole:
        context.exit(1)


@hub.command("read-files", hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
def read_files(folder: Path) -> None:
    """The reading process of the executable (see sync/hub/readers.py)."""
    readers.main(sys.stdin, folder)


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise click.BadParameter(f"{setting!r} is not FIELD=VALUE", param_hint="--set")
    return name.strip(), value


def _tell(console: Console, done: list[Published]) -> None:
    for result in done:
        what = "version" if result.changed else "unchanged, version"
        console.print(f"{result.id}  {what} {result.version}  {result.resources} resources, "
                      f"{_size(result.bytes)} ({_size(result.new_bytes)} new)  {result.name}",
                      markup=False, soft_wrap=True)


def _size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
