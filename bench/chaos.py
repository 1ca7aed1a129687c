"""`python -m bench.chaos [--note TEXT] FILE…`: the section "chaos", from what
`make chaos CHAOS_ARGS="--json FILE"` wrote. TEXT says what else is to be known: runs that failed, for one.

Not part of `make bench`: a run with a thousand kills takes half an hour, and several may be added up.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from bench.results import table, write_section


def section(runs: list[dict[str, Any]], note: str = "") -> str:
    """The text for one run or several."""
    counts: Counter[tuple[str, str]] = Counter()
    held: Counter[str] = Counter()
    for run in runs:
        counts.update({(one["fault"], one["where"]): one["count"] for one in run["counts"]})
        held.update(run["held"])
    kills, minutes = sum(run["kills"] for run in runs), sum(run["seconds"] for run in runs) / 60
    rows = [[fault, where, str(count)] for (fault, where), count in sorted(counts.items())]
    told = "\n".join(f"* {name}: {count:,}" for name, count in held.items())
    return f"""\
{kills:,} kills in {minutes:.0f} minutes, seeds {', '.join(str(run["seed"]) for run in runs)}: a hub and a box
on small disks over a line that fails, while an admin publishes, a teacher opens and sends, pupils read, a
technician syncs, checks and carries a stick. Each run ended with every promise of `tests/e2e/chaos.py` kept.

{table(["fault", "where", "times"], rows)}

Held, in all runs together:

{told}

{note}""".rstrip()


def main(words: list[str]) -> int:
    """Write the section; 2 without files."""
    note, files = (words[1], words[2:]) if words[:1] == ["--note"] and len(words) > 1 else ("", words)
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    runs = [json.loads(Path(file).read_text("utf-8")) for file in files]
    write_section("chaos", section(runs, note), Path(tempfile.gettempdir()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
