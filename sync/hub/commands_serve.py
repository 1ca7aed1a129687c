"""`teachpoint hub serve`."""

from __future__ import annotations

from pathlib import Path

import click

from sync.command_line import data_option, host_and_port, json_option
from sync.hub.commands import hub


@hub.command("serve")
@click.option("--http", default="127.0.0.1:8100", show_default=True, metavar="HOST:PORT",
              callback=host_and_port, help="Where the status page is.")
@click.option("--ssh", default=None, metavar="HOST:PORT", callback=host_and_port,
              help="Where boxes connect [default: every address, the port of `hub init`].")
@click.option("--https", default=None, metavar="HOST:PORT", callback=host_and_port,
              help="Where boxes connect by HTTPS [default: every address, the port of `hub init`].")
@click.option("--watch", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Publish what is dropped into this folder, once it has stopped changing.")
@data_option
@json_option
def serve_command(http: tuple[str, int], ssh: tuple[str, int] | None, https: tuple[str, int] | None,
                  watch: Path | None, data: Path, as_json: bool) -> None:
    """Answer the boxes, take in what they send, show the status page; until stopped.

    \b
    Examples:
      teachpoint hub serve --data /var/lib/teachpoint
      teachpoint hub serve --http 0.0.0.0:8100 --ssh 0.0.0.0:2222 --watch /srv/lessons
    """
    from sync.hub.serve import serve  # what serves is loaded only where it is used

    del as_json  # it prints no facts; errors are JSON with it (sync.command_line)
    serve(data, http, ssh, watch, https)
