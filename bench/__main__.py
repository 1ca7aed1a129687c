"""`python -m bench [NAME…]`: run the benchmarks (all, or those named) and rewrite their sections."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import catalogue, publish, serving, sync
from bench.results import RESULTS, write_section
from tests.e2e.stage import Stage

#: Each is given an empty stage and returns the text of its section.
BENCHMARKS: dict[str, Callable[[Stage], str]] = {
    "catalogue": catalogue.run, "publish": publish.run, "serving": serving.run, "sync": sync.run}


def main(names: list[str]) -> int:
    """Run them; 2 for an unknown name."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        began = time.monotonic()
        place = Path(tempfile.mkdtemp(prefix="bench-"))
        place.chmod(0o755)  # nginx's workers are another user where we are root
        stage = Stage(place)
        try:
            body = BENCHMARKS[name](stage)
            write_section(name, body, place)
        finally:
            stage.stop()
            shutil.rmtree(place)
        print(f"\n== {name}, {time.monotonic() - began:.0f} s\n{body}", flush=True)
    print(f"\nwritten: {RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
