"""RESULTS.md: one section for each benchmark; a section whose benchmark was not run stays as it was."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

_HEAD = """\
# What was measured

Made by `make bench`; `python -m bench NAME` makes one section anew. Each section compares within one run on
one machine: look at the ratios first.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, and the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def write_section(name: str, body: str, place: Path) -> None:
    """Replace the section `name`; the others stay. `place`: a folder on the disk that was measured."""
    sections = _sections(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    sections[name] = f"## {name}\n\n{facts(place)}\n\n{body.strip()}\n"
    RESULTS.write_text("\n".join([_HEAD, *(sections[one] for one in sorted(sections))]), "utf-8")


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n", text, flags=re.M)[1:]
    return {name: f"## {name}\n{body.rstrip()}\n" for name, body in zip(parts[::2], parts[1::2], strict=True)}


def facts(place: Path) -> str:
    """What the machine is, in one paragraph, without its name."""
    system = {line.partition("=")[0]: line.partition("=")[2].strip('"')
              for line in Path("/etc/os-release").read_text().splitlines()}
    memory = next(int(line.split()[1]) // 1024**2 for line in Path("/proc/meminfo").read_text().splitlines()
                  if line.startswith("MemTotal"))
    disk = _said("stat", "-f", "-c", "%T", str(place))
    versions = [f"Python {platform.python_version()}", _version(r"nginx/([\d.]+)", "nginx", "-v"),
                _version(r"version ([\d.]+)", "rsync", "--version"),
                _version(r"OpenSSH_([\w.]+)", "ssh", "-V"),
                _version(r"wrk .*?([\d.]+\d)", "wrk", "-v")]
    kernel = platform.release().partition("-")[0]
    return (f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} CPUs, {memory} GiB, "
            f"{system.get('PRETTY_NAME', 'Linux')}, Linux {kernel}, "
            f"files on {disk}. "
            f"{', '.join(versions)}.")


def _version(pattern: str, program: str, *arguments: str) -> str:
    found = re.search(pattern, _said(program, *arguments))
    return f"{program} {found[1] if found else 'none'}"


def _said(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return ""
    return (done.stdout + done.stderr).strip()
