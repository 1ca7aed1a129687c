"""`python -m bench [NAME…]`: run the benchmarks (all, or those named) and rewrite their sections.

`line` has cases: `python -m bench line idle changed`; `--full` takes the sizes of the goals there, and in
`classroom` a box with a million resources.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import catalogue, classroom, line, polls, publish, sending, serving, sync, wan
from bench.results import RESULTS, write_section
from tests.e2e.stage import Stage

#: Each is given an empty stage and returns the text of its section.
BENCHMARKS: dict[str, Callable[[Stage], str]] = {
    "catalogue": catalogue.run, "polls": polls.run, "publish": publish.run, "sending": sending.run,
    "serving": serving.run, "sync": sync.run}


def main(words: list[str]) -> int:
    """Run them; 2 for an unknown name."""
    names = [name for name in words if name != "--full"]
    full = "--full" in words
    benchmarks: dict[str, Callable[[Stage], str]] = {
        **BENCHMARKS, "classroom": partial(classroom.run, full),
        **{f"line {name}": partial(run, full) for name, run in line.CASES.items()}}
    if "line" in names:
        cases = [name for name in names if name in line.CASES] or list(line.CASES)
        names = [name for name in names if name not in ("line", *cases)] + [f"line {name}" for name in cases]
    unknown = [name for name in names if name not in benchmarks]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(benchmarks)}", file=sys.stderr)
        return 2
    for name in names or benchmarks:
        if name.startswith("line ") and (reason := wan.why_not()):
            print(f"\n== {name} is left out: {reason}")
            continue
        began = time.monotonic()
        place = Path(tempfile.mkdtemp(prefix="bench-"))
        place.chmod(0o755)  # nginx's workers are another user where we are root
        stage = Stage(place)
        try:
            body = benchmarks[name](stage)
            write_section(name, body, place)
        finally:
            stage.stop()
            shutil.rmtree(place)
        print(f"\n== {name}, {time.monotonic() - began:.0f} s\n{body}", flush=True)
    print(f"\nwritten: {RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
