"""Publishing a folder of very many small files: time, memory, and that nothing is lacking."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.results import table
from tests.e2e.stage import Stage, command

FILES = 100_000
FILES_OF_A_FOLDER = 1000


@dataclass(frozen=True)
class Run:
    """How one `hub publish` went. `peak_bytes`: the largest of its processes."""

    seconds: float
    cpu_s: float
    peak_bytes: int
    facts: str


def run(stage: Stage) -> str:
    """Publish it, publish it again, change one file and publish once more; the text of the section."""
    stage.set_up()
    lesson = make_lesson(stage.place / "lessons" / "题库", FILES)
    began = time.monotonic()
    copy = stage.place / "copy"
    subprocess.run(["cp", "-r", str(lesson), str(copy)], check=True)
    subprocess.run(["sync", "-f", str(copy)], check=True)
    copied_s = time.monotonic() - began
    runs = {"first time": _publish(stage, lesson), "again, nothing changed": _publish(stage, lesson)}
    (lesson / "000" / "00000.txt").write_text("changed", "utf-8")
    runs["one file changed"] = _publish(stage, lesson)
    [package] = stage.hub("packages")
    if (package["version"], package["resources"]) != (2, FILES):
        raise RuntimeError(f"not published as it is: {package}")
    stage.hub("fsck")
    rows = [[name, f"{one.seconds:.0f}", f"{one.cpu_s:.0f}", f"{one.peak_bytes / 2**20:.0f}", one.facts]
            for name, one in runs.items()]
    return f"""\
`hub publish` of one folder with {FILES:,} text files of about 100 bytes in {FILES // FILES_OF_A_FOLDER}
folders; `hub fsck` finds all whole afterwards. Beside it: `cp -r` of the folder and `sync` took
{copied_s:.0f} s.

{table(["", "seconds", "CPU s", "peak MiB", "version, resources, new bytes"], rows)}"""


def make_lesson(folder: Path, files: int) -> Path:
    """A folder of so many small files."""
    for number in range(files):
        path = folder / f"{number // FILES_OF_A_FOLDER:03}" / f"{number:05}.txt"
        if number % FILES_OF_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"第{number}题：{number} + {number * 7 % 13} = ?\n" * 3, "utf-8")
    return folder


def _publish(stage: Stage, lesson: Path) -> Run:
    began = time.monotonic()
    words = [command(), "hub", "publish", str(lesson), "--id", "tiku", "--data", str(stage.hub_data),
             "--json"]
    with (stage.place / "said").open("w+b") as said, (stage.place / "errors").open("w+b") as errors:
        running = subprocess.Popen(words, stdout=said, stderr=errors, env=stage.environment)
        signal.alarm(600)  # a hanging program must not hold the benchmark for ever
        _, status, used = os.wait4(running.pid, 0)
        signal.alarm(0)
        running.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        said.seek(0)
        errors.seek(0)
        text = said.read().decode()
        if running.returncode:
            raise RuntimeError(errors.read().decode()[-2000:])
    numbers = [int(re.findall(rf'"{name}": ?(\d+)', text)[0])
               for name in ("version", "resources", "new_bytes")]
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024,
               ", ".join(f"{number:,}" for number in numbers))
