"""The command line. It only assembles the rooms' commands."""

from __future__ import annotations

import sys

import click

from sync import command_line
from sync.version import VERSION


class Rooms(click.Group):
    """The rooms' commands, each loaded when it is called: `box status` on a small machine does not wait for
    what only a hub needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return ["box", "doctor", "hub"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name == "box":
            import edge.commands  # noqa: F401 - adds `serve` and `index` to the group `box`
            from sync.box.command_group import box
            return box
        if cmd_name == "hub":
            from sync.hub.commands import hub
            return hub
        if cmd_name == "doctor":
            from hardware.commands import doctor
            return doctor
        return None


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="teachpoint")
def teachpoint() -> None:
    """The offline-first education server for remote teaching points.

    \b
    Exit statuses: 0 done, 2 wrong usage, 3 refused (bad input, untrusted, not allowed),
    4 the other side can't be reached, 5 no room, 1 anything else.
    """


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(command_line.run(teachpoint))


if __name__ == "__main__":
    main()
