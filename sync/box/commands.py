"""`teachpoint box …`: making a box, syncing it, asking how it is."""

from __future__ import annotations

import click


@click.group()
def box() -> None:
    """The box at a teaching point: pair, sync, serve."""
