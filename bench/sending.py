"""What a gigabyte costs the hub: its CPU over HTTPS, beside rsync over SSH without compression."""

from __future__ import annotations

import random
import time

from bench.polls import IDLE_S, watched
from bench.results import table
from sync.canonical import sha256_hex
from sync.layout import object_path
from tests.e2e.sshd_stage import key_file, rsync_as_thief
from tests.e2e.stage import Stage, wait_for

FILMS, FILM_BYTES = 4, 128 * 1024 * 1024
GOAL = 1.5


def run(stage: Stage) -> str:
    """Four films of 128 MiB to a new box, then by rsync from the same hub; the text of the section."""
    stage.set_up()
    folder = stage.place / "lessons" / "课"
    folder.mkdir(parents=True)
    names = []
    for number in range(FILMS):
        data = random.Random(number).randbytes(FILM_BYTES)
        (folder / f"{number}.mp4").write_bytes(data)
        names.append(sha256_hex(data))
    stage.publish(folder)
    service = stage.serve_hub()
    wait_for("nginx", lambda: '"nginx-started"' in service.text())
    time.sleep(5)
    with watched(stage) as idle:
        time.sleep(IDLE_S)
    with watched(stage) as https:
        report = stage.sync()
    if report["transport"] != "https" or report["left"]:
        raise RuntimeError(f"not all came over HTTPS: {report}")
    key = key_file(stage, stage.place)
    wanted, copies = stage.place / "wanted", stage.place / "copies"
    wanted.write_text("".join(f"{object_path(name)}\n" for name in names), "utf-8")
    with watched(stage) as ssh:
        done = rsync_as_thief(stage, key, f"--files-from={wanted}", "--no-relative", "hub::library/",
                              f"{copies}/")
    if done.returncode or len(list(copies.iterdir())) != FILMS:
        raise RuntimeError(done.stderr)
    gigabytes = FILMS * FILM_BYTES / 1e9
    by_https, by_ssh = (load.cpu_s - idle.cpu_s / idle.seconds * load.seconds for load in (https, ssh))
    rows = [[what, f"{load.seconds:.1f}", f"{used_s / gigabytes:.2f}", f"{load.memory / 2**20:.0f}"]
            for what, load, used_s in (("box sync (HTTPS)", https, by_https),
                                       ("rsync over SSH, no compression", ssh, by_ssh))]
    ratio = by_https / by_ssh
    return f"""\
{FILMS} films of {FILM_BYTES // 2**20} MiB that cannot be compressed, over loopback. CPU of all the hub's
processes, kernel time included, less what the idle hub uses ({idle.cpu_s / idle.seconds * 1000:.0f} ms a
second); memory is PSS of all of them at its peak.

{table(["", "seconds", "hub CPU s/GB", "peak MiB"], rows)}

Goal: CPU ≤ {GOAL} × that of rsync without compression: {"reached" if ratio <= GOAL else "NOT reached"}, \
{ratio:.2f} ×."""
