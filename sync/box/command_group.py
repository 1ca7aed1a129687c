"""`teachpoint box …`: the group; its commands stand in files of their own."""

from __future__ import annotations

import click


class _Box(click.Group):
    """`box serve` (edge.commands) is loaded alone: pages do not wait for what only a sync needs. The rest is
    loaded when something else is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        from sync.box import commands as commands
        from sync.box import commands_teacher as commands_teacher


@click.group(cls=_Box)
def box() -> None:
    """The box at a teaching point: pair, sync, serve."""
