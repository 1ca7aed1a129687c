"""One SSH connection to the hub, held open for a whole sync (OpenSSH's ControlMaster).

All that ssh is told stands in files of our own below the run folder (0700): `config`, `key`, `known_hosts`.
The user's and the system's ssh configuration, agents and known hosts are not looked at. The hub is known
by the host key of the pairing file alone, under whatever address it answers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync import programs
from sync.clock import SYSTEM
from sync.durable import make_folder, write_file
from sync.errors import Refused, TeachpointError, Unreachable
from sync.logs import log
from sync.pairing import Pairing

#: How long an address may take until the hub's key is verified, in seconds: five round trips of 2 s, and half
#: of that for lost packets.
CONNECT_TIMEOUT_S = 15
#: How long an address may take until the link is open, in seconds (name look-up and sign-in included).
OPEN_TIMEOUT_S = 30.0
#: A silent line is asked every so many seconds, and given up after so many unanswered questions: 12 s.
#: What arrives counts as an answer, so a slow line that carries data is not taken for dead.
ALIVE_EVERY_S, ALIVE_MOST = 3, 3
#: How often it is looked whether the link is open, in seconds.
LOOK_AGAIN_S = 0.02
#: Longest path of a folder for the control socket, in bytes: a socket's path has at most 107 (unix(7)),
#: and ssh appends 17 to ours while it makes it.
MOST_FOLDER_BYTES = 80
#: The name under which the pinned key stands in known_hosts, and which the configuration is for.
ALIAS = "teachpoint-hub"

# The algorithms are few so that the handshake is small (each side lists all it knows), and the ones of
# curve25519 because the post-quantum exchange costs 2.2 KB more for each connection: what is secret on
# this link is encrypted and signed in itself (segments, feed).
_CONFIG = """\
Host {alias}
Port {port}
User {user}
IdentityFile "{folder}/key"
IdentitiesOnly yes
IdentityAgent none
CertificateFile none
UserKnownHostsFile "{folder}/known_hosts"
GlobalKnownHostsFile none
HostKeyAlias {alias}
HostKeyAlgorithms {key_type}
StrictHostKeyChecking yes
CheckHostIP no
UpdateHostKeys no
VerifyHostKeyDNS no
CanonicalizeHostname no
BatchMode yes
PreferredAuthentications publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
GSSAPIAuthentication no
HostbasedAuthentication no
PubkeyAcceptedAlgorithms ssh-ed25519
KexAlgorithms curve25519-sha256
Ciphers aes128-gcm@openssh.com,chacha20-poly1305@openssh.com
MACs hmac-sha2-256-etm@openssh.com
Compression no
ConnectTimeout {connect_s}
ConnectionAttempts 1
ServerAliveInterval {alive_s}
ServerAliveCountMax {alive_most}
TCPKeepAlive yes
IPQoS cs1 cs1
ClearAllForwardings yes
ForwardAgent no
ForwardX11 no
PermitLocalCommand no
RequestTTY no
EscapeChar none
ControlPersist no
ControlPath "{socket}"
"""

_TRANSFERRED = re.compile(r"Transferred: sent (\d+), received (\d+) bytes")
_KEY_REFUSED = re.compile(r"Permission denied \(|Too many authentication failures|no mutual signature")
_HOST_KEY_CHANGED = re.compile(r"Host key verification failed|IDENTIFICATION HAS CHANGED|"
                               r"no matching host key type")


@dataclass(frozen=True)
class Carried:
    """All that a link carried, in bytes, as ssh counted them (encrypted, without TCP and IP)."""

    sent_bytes: int
    received_bytes: int


class SshLink:
    """The link to a hub; opened when it is first needed, and again after it broke."""

    def __init__(self, pairing: Pairing, run_folder: Path) -> None:
        self._pairing = pairing
        self._given = run_folder / "link"
        self._short: Path | None = None
        self._folder = self._given
        self._master: programs.Service | None = None

    @property
    def remote_shell(self) -> str:
        """For `rsync --rsh`: runs over the open link; fails at once where it is not open any more."""
        return f"ssh -F {self._folder}/config -o ControlMaster=no -o LogLevel=ERROR -o ProxyCommand=false"

    @property
    def host(self) -> str:
        """The host's name for `remote_shell`."""
        return ALIAS

    def open(self) -> None:
        """Open the link, unless it is open. The thread that calls must live as long as the link.

        Raises Unreachable `hub-unreachable` (no address answers); Refused: `host-key-changed`,
        `key-refused`; Broken `program-missing`; NoRoom `disk-full`.
        """
        if self._master is not None and self._master.alive():
            return
        self.close()
        programs.require("ssh")
        self._write_files()
        failures: list[tuple[str, TeachpointError]] = []
        for address in self._pairing.hub.addresses:
            failure = self._try(address)
            if failure is None:
                log("box.link").info("link-open", address=address)
                return
            log("box.link").info("address-failed", address=address, code=failure.code,
                                 reason=failure.facts.get("reason"))
            failures.append((address, failure))
            if failure.code == "key-refused":  # the hub itself said so: its host key was verified
                raise failure
        # Another machine behind one address does not hide that none answered, but is worse news.
        raise next((failure for _, failure in failures if isinstance(failure, Refused)),
                   failures[-1][1])

    def alive(self) -> bool:
        """Is the link open?"""
        return self._master is not None and self._master.alive()

    def said(self) -> str:
        """The last thing ssh said, for a message."""
        lines = self._master.output().strip().splitlines() if self._master is not None else []
        return lines[-1].strip() if lines else ""

    def close(self) -> Carried | None:
        """End the link; what it carried, where ssh could still tell."""
        master, self._master = self._master, None
        if master is None:
            return None
        master.stop()
        found = _TRANSFERRED.search(master.output())
        return Carried(int(found[1]), int(found[2])) if found else None

    def forget(self) -> None:
        """Close, and remove the files; `open` writes them anew."""
        self.close()
        for name in ("key", "known_hosts", "config"):
            (self._given / name).unlink(missing_ok=True)
        if self._short is not None:
            _remove_short(self._short)
            self._short = None

    def _try(self, address: str) -> TeachpointError | None:
        socket = self._socket()
        socket.unlink(missing_ok=True)
        name = address.replace("%", "%%")  # the zone of an IPv6 address; ssh expands % in HostName
        master = programs.Service("ssh", "-F", f"{self._folder}/config", "-M", "-N", "-o", "LogLevel=VERBOSE",
                                  "-o", f"HostName={name}", ALIAS, env=environment())
        last = SYSTEM.monotonic() + OPEN_TIMEOUT_S
        try:
            while not socket.exists():  # ssh makes it when the hub has let it in
                if not master.alive():
                    return self._failure(address, master.output())
                if SYSTEM.monotonic() > last:
                    master.stop(patience_s=1.0)
                    return self._failure(address, f"no answer within {OPEN_TIMEOUT_S:.0f} s")
                SYSTEM.sleep(LOOK_AGAIN_S)
        except BaseException:
            master.stop(patience_s=1.0)
            raise
        self._master = master
        return None

    def _failure(self, address: str, output: str) -> TeachpointError:
        hub = self._pairing.hub
        facts = {"hub": hub.name, "address": address, "port": hub.ssh_port}
        if _HOST_KEY_CHANGED.search(output):
            return Refused("host-key-changed", **facts)
        if _KEY_REFUSED.search(output):
            return Refused("key-refused", site=self._pairing.site, **facts)
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        return Unreachable("hub-unreachable", **facts, reason=lines[-1] if lines else "no answer")

    def _write_files(self) -> None:
        make_folder(self._given, 0o700)
        self._given.chmod(0o700)
        self._folder = self._given if _fits(self._given) else self._short_folder() / "link"
        hub = self._pairing.hub
        files = {
            "key": _openssh_key(self._pairing.key.private),
            "known_hosts": f"{ALIAS} {hub.ssh_host_key}\n".encode(),
            "config": _CONFIG.format(
                alias=ALIAS, port=hub.ssh_port, user=hub.ssh_user, folder=self._folder,
                key_type=hub.ssh_host_key.split()[0], connect_s=CONNECT_TIMEOUT_S, alive_s=ALIVE_EVERY_S,
                alive_most=ALIVE_MOST, socket=self._socket()).encode(),
        }
        for name, data in files.items():
            write_file(self._given / name, data, mode=0o600)

    def _socket(self) -> Path:
        return (self._short or self._folder) / "master"

    def _short_folder(self) -> Path:
        """A private folder with a short path that holds the control socket and a link to the files. Its
        name is the same each time, so that a killed process leaves one such folder, not many."""
        short = _short_of(self._given)
        with contextlib.suppress(FileExistsError):
            short.mkdir(mode=0o700)
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            short = Path(tempfile.mkdtemp(prefix="teachpoint-", dir=short.parent))
        link = short / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(self._given.absolute())
        self._short = short
        return short


def sweep(run_folder: Path) -> None:
    """Remove what the link of a killed process left outside of its run folder. To be called while no other
    process may open a link with it; the next link may go another way and would let it lie for ever."""
    _remove_short(_short_of(run_folder / "link"))


def _short_of(folder: Path) -> Path:
    """The short name for a link's folder whose path is too long: in the temporary folder, or in /tmp where
    that one's path is too long itself."""
    tag = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"teachpoint-{os.geteuid()}-{tag}"
    return short if _fits(short) else Path("/tmp") / short.name  # noqa: S108 - used if ours and private


def _remove_short(short: Path) -> None:
    with contextlib.suppress(OSError):  # it is not there, or is somebody else's
        for name in ("link", "master"):
            (short / name).unlink(missing_ok=True)
        short.rmdir()


def environment() -> dict[str, str]:
    """For ssh and rsync: messages in English, since they are read by code; no options of the user's."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("RSYNC_", "SSH_", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _fits(folder: Path) -> bool:
    """May the path stand unquoted in ssh's configuration and rsync's --rsh, and hold a socket?"""
    text = os.fsencode(folder)
    return len(text) <= MOST_FOLDER_BYTES and re.fullmatch(rb"[A-Za-z0-9/._-]+", text) is not None


def _openssh_key(private: str) -> bytes:
    """The site's key as ssh reads it: OpenSSH 9.2 takes Ed25519 in its own format only."""
    data = private.encode()
    try:
        if b"BEGIN OPENSSH" in data:
            serialization.load_ssh_private_key(data, password=None)
            return data if data.endswith(b"\n") else data + b"\n"
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise Refused("pairing-bad", reason=f"key.private: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused("pairing-bad", reason="key.private is no Ed25519 key")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
                             serialization.NoEncryption())
