"""`teachpoint box serve`: the classroom service. Imported for its effect: it adds to the group `box`."""

from __future__ import annotations

from pathlib import Path

import click

from edge import commands_index as commands_index
from sync.box.command_group import box
from sync.command_line import data_option, json_option


@box.command("serve")
@data_option
@click.option("--http", default="0.0.0.0:8080", show_default=True, metavar="HOST:PORT",
              help="Where pages, files and the API are served.")
@click.option("--content", default="0.0.0.0:8081", show_default=True, metavar="HOST:PORT",
              help="Where lessons made of HTML are served, apart from the rest.")
@json_option
@click.option("--no-sync", is_flag=True, help="Do not sync in the background.")
@click.option("--no-mdns", is_flag=True, help="Do not announce the box in the network.")
@click.option("--dlna", type=click.IntRange(1, 65535), metavar="PORT",
              help="Serve films, sounds and pictures to TVs without a browser at this port, by minidlna "
                   "(usual: 8200).")
@click.option("--no-nginx", is_flag=True, help="Answer without nginx, also where it is installed.")
@click.option("--sticks", multiple=True, metavar="FOLDER", type=click.Path(path_type=Path),
              help="Where sticks are mounted; one with lessons for this site is taken when it is plugged in "
                   "[default: /media and /run/media].")
@click.option("--no-sticks", is_flag=True, help="Leave sticks that are plugged in alone.")
def serve(data: Path, http: str, content: str, no_sync: bool, no_mdns: bool, dlna: int | None, no_nginx: bool,
          sticks: tuple[Path, ...], no_sticks: bool,
          as_json: bool) -> None:  # noqa: ARG001 - an error is then told as JSON (sync.command_line)
    """Serve the classroom: pages, files, API; sync in the background. Runs until stopped.

    \b
    Exit statuses: 0 stopped by SIGTERM or Ctrl-C; 1 a port is taken, the disk or the database is broken;
    2 an address that is none; 3 there is no box in DIR, or it is served already.

    \b
    Example:
      teachpoint box serve --data /srv/box --http 0.0.0.0:80 --content 0.0.0.0:8081
    """
    from edge.listen import parse_address  # what serves is loaded only where it is used
    from edge.serve import serve as serve_box
    from sync.box.sticks import WATCHED

    serve_box(data, parse_address(http), parse_address(content), sync=not no_sync, mdns=not no_mdns,
              front=not no_nginx, sticks=() if no_sticks else sticks or WATCHED, dlna=dlna)
