"""`hub ingest`, `hub uploads`: taking in what the sites sent, and looking at what teachers gave."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from sync.canonical import is_sha256
from sync.clock import iso
from sync.command_line import data_option, json_option, show
from sync.durable import disk_errors, move_into_place, temporary_beside
from sync.errors import Refused
from sync.hub.commands import hub
from sync.hub.ingest import ingest as ingest_inboxes
from sync.hub.ingest import ingest_stick
from sync.hub.ingest_objects import object_file
from sync.hub.reviews import DECLINED, REVIEWED, review
from sync.hub.settings import Hub, open_hub
from sync.text import one_line

CHUNK_BYTES = 1024 * 1024


@hub.command()
@data_option
@click.option("--from", "stick", metavar="STICK",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Take in from a stick that was at a site; nothing on it is changed.")
@json_option
def ingest(data: Path, stick: Path | None, as_json: bool) -> None:
    """Take in what the sites sent. `hub serve` does it by itself.

    \b
    Example:
      teachpoint hub ingest --from /media/stick --data /srv/hub

    \b
    Exit statuses: 0 done (also when there was nothing, or something was refused: see `hub status`);
    3 there is nothing of ours on the stick; 5 no room.
    """
    opened = open_hub(data)
    done = ingest_inboxes(opened) if stick is None else ingest_stick(opened, stick)

    def people(console: Console) -> None:
        console.print(f"Taken in: {done.records} records in {done.segments} segments, "
                      f"{done.objects} uploaded files.")
        if done.duplicates:
            console.print(f"{done.duplicates} were here already.")
        if done.waiting:
            console.print(f"{done.waiting} segments wait for an earlier one.")
        if done.refused:
            console.print(f"{done.refused} were refused: `teachpoint hub status` says why.", style="red")
        if stick is not None:
            console.print("The stick can be pulled out.")

    show(asdict(done), as_json, people)


@hub.command()
@data_option
@click.option("--get", "sha256", metavar="SHA256", help="Write out this one.")
@click.option("--to", "target", metavar="FILE", type=click.Path(path_type=Path),
              help="Where to write it; a file that is there is not replaced.")
@click.option("--review", "looked_at", metavar="SHA256",
              help="Say that this one was looked at; its teacher is told.")
@click.option("--decline", is_flag=True, help="With --review: it is not taken over.")
@click.option("--note", default="", metavar="WORDS", help="With --review: a word to the teacher.")
@json_option
def uploads(data: Path, sha256: str | None, target: Path | None, looked_at: str | None, decline: bool,
            note: str, as_json: bool) -> None:
    """What teachers sent: one line a file, the newest last; and what became of it.

    A file that is published, in whatever folder, is noted by that alone. The teacher sees it at the box.

    \b
    Examples:
      teachpoint hub uploads --data /srv/hub
      teachpoint hub uploads --get 9f86d0…0f00a08 --to 作业.pdf --data /srv/hub
      teachpoint hub uploads --review 9f86d0…0f00a08 --note 很好 --data /srv/hub
      teachpoint hub uploads --review 9f86d0…0f00a08 --decline --note 看不清 --data /srv/hub

    \b
    Exit statuses: 0 done; 2 options that do not go together; 3 there is no such upload, it has not come yet,
    or FILE is there already; 5 no room.
    """
    if (sha256 is None) != (target is None):
        raise click.UsageError("--get and --to belong together")
    if (decline or note) and looked_at is None:
        raise click.UsageError("--decline and --note belong to --review")
    opened = open_hub(data)
    if looked_at is not None:
        verdict = DECLINED if decline else REVIEWED
        sites = review(opened, looked_at, verdict, note)
        show({"sha256": looked_at, "verdict": verdict, "sites": sites}, as_json,
             lambda console: console.print(f"Noted; told to {', '.join(sites)}.", markup=False))
        return
    if sha256 is not None and target is not None:
        size = _write_out(opened, sha256, target)
        show({"sha256": sha256, "to": str(target), "size": size}, as_json,
             lambda console: console.print(f"Written: {target} ({decimal(size)})", markup=False))
        return
    found = list_uploads(opened)

    def people(console: Console) -> None:
        table = Table("Site", "Time", "File", "Title", "Size", "Received", "Verdict", "SHA-256")
        for one in found:
            received = iso(one["received"]) if one["received"] is not None else "still to come"
            table.add_row(one["site"], iso(one["time"]), Text(one["name"]), Text(one["title"]),
                          decimal(one["size"]), received, one["verdict"], one["sha256"])
        console.print(table)

    show(found, as_json, people)


def list_uploads(opened: Hub) -> list[dict[str, Any]]:
    """All uploads that records tell of, in the order in which they came in, ready for JSON: `site`, `box`,
    `seq`, `time` (by the box's clock), `name`, `title`, `about`, `educationalLevel`, `license`, `creator`,
    `size`, `sha256`, `received` (None: its bytes have not come yet), `verdict`, `note` (`sync.hub.reviews`;
    empty: none). Texts are one line each."""
    rows = opened.database.execute(
        "SELECT u.site, u.box, u.seq, r.time, u.name, u.size, u.sha256, u.received, r.body, "
        "coalesce(v.verdict, ''), coalesce(v.note, '') FROM upload u LEFT JOIN review v USING (sha256) "
        "JOIN record r ON (r.site, r.box, r.seq) = (u.site, u.box, u.seq) "
        "JOIN segment s ON (s.site, s.box) = (u.site, u.box) AND u.seq BETWEEN s.first_seq AND s.last_seq "
        "ORDER BY s.ingested, u.site, u.box, u.seq")
    found = []
    for site, box, seq, time, name, size, sha256, received, body, verdict, note in rows:
        told = msgspec.json.decode(body)
        texts = {field: one_line(str(told.get(field, "")), 1000)
                 for field in ("title", "about", "educationalLevel", "license", "creator")}
        found.append({"site": site, "box": box, "seq": seq, "time": time, "name": name, **texts,
                      "size": size, "sha256": sha256, "received": received, "verdict": verdict, "note": note})
    return found


def _write_out(opened: Hub, sha256: str, target: Path) -> int:
    """Copy an uploaded object to `target`, whole or not at all; its size."""
    if not is_sha256(sha256):
        raise Refused("upload-unknown", sha256=sha256)
    source = object_file(opened, sha256)
    if target.exists() or target.is_symlink():
        raise Refused("file-exists", path=target)
    if not target.parent.is_dir():
        raise Refused("file-vanished", path=target.parent)
    temporary = temporary_beside(target)
    with disk_errors(target):
        try:
            with source.open("rb") as original, temporary.open("xb") as copy:
                while chunk := original.read(CHUNK_BYTES):
                    copy.write(chunk)
            move_into_place([(temporary, target)])
        except PermissionError as error:
            raise Refused("file-unreadable", path=target, reason=error.strerror) from error
        finally:
            temporary.unlink(missing_ok=True)
    return target.stat().st_size
