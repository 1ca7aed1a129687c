"""`teachpoint hub …`: the group; each topic's commands stand in a file of their own."""

from __future__ import annotations

import click


@click.group()
def hub() -> None:
    """The hub school: publish packages, assign them to sites, serve and take in."""


from sync.hub import (  # noqa: E402 - they register their commands on the group
    commands_carry,  # noqa: F401
    commands_ingest,  # noqa: F401
    commands_policy,  # noqa: F401
    commands_publish,  # noqa: F401
    commands_results,  # noqa: F401
    commands_serve,  # noqa: F401
    commands_sites,  # noqa: F401
    commands_timetable,  # noqa: F401
)
