"""The command line. It only assembles the rooms' commands."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import click

import edge.commands  # noqa: F401 - adds `serve` and `index` to the group `box`
from hardware.commands import doctor
from sync import command_line
from sync.box.commands import box
from sync.hub.commands import hub

try:
    VERSION = version("teachpoint")
except PackageNotFoundError:  # inside the PyInstaller executable without metadata
    VERSION = "0.1.0"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="teachpoint")
def teachpoint() -> None:
    """The offline-first education server for remote teaching points.

    \b
    Exit statuses: 0 done, 2 wrong usage, 3 refused (bad input, untrusted, not allowed),
    4 the other side can't be reached, 5 no room, 1 anything else.
    """


teachpoint.add_command(hub)
teachpoint.add_command(box)
teachpoint.add_command(doctor)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(command_line.run(teachpoint))


if __name__ == "__main__":
    main()
