"""A stage whose hub answers over SSH, without the rest of `hub serve`: for tests of the link alone."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from sync import pairing
from sync.hub.settings import open_hub
from sync.hub.sshd import Sshd
from tests.e2e.stage import Stage


@contextlib.contextmanager
def answering(stage: Stage) -> Iterator[list[str]]:
    """The hub's sshd runs for the block; the list of sites that logged in meanwhile."""
    contacts: list[str] = []
    sshd = Sshd(open_hub(stage.hub_data), ("127.0.0.1", stage.ssh_port), contacts.append)
    try:
        yield contacts
    finally:
        sshd.stop()


def key_file(stage: Stage, folder: Path) -> Path:
    """The site's SSH key as a file, as a thief of the box would have it."""
    from sync.box.ssh_link import _openssh_key
    path = folder / "stolen"
    path.write_bytes(_openssh_key(pairing.read(stage.pairing).key.private))
    path.chmod(0o600)
    return path


def ssh_words(stage: Stage, key: Path) -> list[str]:
    """ssh with the stolen key, to the host that is called `hub` here."""
    user = pairing.read(stage.pairing).hub.ssh_user
    return ["ssh", "-F", "none", "-i", str(key), "-p", str(stage.ssh_port), "-l", user,
            *(word for option in ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                                  "IdentitiesOnly=yes", "LogLevel=ERROR", "HostName=127.0.0.1")
              for word in ("-o", option))]


def as_thief(stage: Stage, key: Path, *command: str, options: Sequence[str] = (),
             stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """ssh with the stolen key, these options, and this command, whatever it is."""
    return subprocess.run([*ssh_words(stage, key), *options, "hub", *command], input=stdin,
                          capture_output=True, timeout=20, check=False)


def rsync_as_thief(stage: Stage, key: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """rsync with the stolen key; `hub::` in the words is the hub's daemon."""
    return subprocess.run(["rsync", f"--rsh={' '.join(ssh_words(stage, key))}", *words], capture_output=True,
                          text=True, timeout=30, check=False)
