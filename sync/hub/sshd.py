"""The hub's own sshd: what its files say, and the process.

Below `ssh/` (0700): `sshd_config`, `authorized_keys` (one line a site), `rsyncd/<site>.conf`. A site's key
opens one thing only: an rsync daemon on its own connection that knows three modules, `feed` (the site's
feed, read only), `library` (objects by name, read only, never listed) and `inbox` (write only). All
files are written anew from the database; a change takes effect at the next login, without a restart.

`StrictModes` is off because sshd would refuse any data folder below one that others may write to
(/tmp, a shared disk); instead the folder with the keys is made private here, each time.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pwd
import queue
import re
import shlex
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sync import programs
from sync.clock import SYSTEM
from sync.durable import make_folder, sweep_temporary, write_if_changed
from sync.errors import Broken, Refused, TeachpointError
from sync.file_lock import exclusive
from sync.hub.keys import host_key
from sync.hub.settings import Hub, open_hub
from sync.logs import log

#: How long another process may take to write the key files, in seconds; it takes 0.1.
LOCK_PATIENCE_S = 30.0
#: How long sshd may take until it listens, in seconds.
START_PATIENCE_S = 15.0
#: The first and the longest wait before a dead sshd is started again, in seconds.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
#: A run as long as this counts as healthy: the next wait is the first one again. In seconds.
HEALTHY_AFTER_S = 60.0
#: Lines of sshd kept for a message when it dies.
KEPT_LINES = 20
#: Where sshd of Debian wants an empty folder when it runs as root (privilege separation).
PRIVSEP_FOLDER = Path("/run/sshd")

#: First come the algorithms a box asks for (`sync.box.rsync_ssh`); all are in OpenSSH 9.2 (Debian 12).
_SSHD_CONFIG = """\
# Written by teachpoint at each start; changes are overwritten.
ListenAddress {listen}
HostKey {host_key}
AuthorizedKeysFile {keys}
AllowUsers {user}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin {root}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
DisableForwarding yes
AllowTcpForwarding no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
AcceptEnv none
PrintMotd no
PrintLastLog no
UseDNS no
Compression no
TCPKeepAlive yes
ClientAliveInterval 20
ClientAliveCountMax 3
LoginGraceTime 60
MaxAuthTries 3
MaxSessions 4
MaxStartups 100:30:500
LogLevel INFO
HostKeyAlgorithms ssh-ed25519
PubkeyAcceptedAlgorithms ssh-ed25519
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,sntrup761x25519-sha512@openssh.com
Ciphers aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-gcm@openssh.com
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com
"""

#: `refuse options` beginning with `*` is a list of what is allowed: exactly what a box sends
#: (`sync.box.rsync_ssh`) and what the next version is likely to need. `library` allows neither -r
#: nor -d and no pattern in the request, so that nobody learns names there that the feed did not tell.
_RSYNCD_CONF = """\
# Written by teachpoint for the site {site}; changes are overwritten.
list = no
use chroot = {chroot}
{account}munge symlinks = yes
numeric ids = yes
reverse lookup = no
forward lookup = no
log file = /dev/null
max verbosity = 0
timeout = 300
incoming chmod = D700,F600

[feed]
path = {feed}
read only = yes
refuse options = * !stats !recursive !times !checksum !timeout !bwlimit {compress}

[library]
path = {library}
read only = yes
pre-xfer exec = case "$RSYNC_REQUEST" in library|library/) ;; *) exit 1;; esac
refuse options = * !stats !append !partial !inplace !no-relative !files-from !from0 !size-only !timeout \
!bwlimit !ignore-times !whole-file !no-whole-file !no-W {compress}

[inbox]
path = {inbox}
read only = no
write only = yes
filter = + .tmp-partial/ + /segments/ + /segments/*/ + /segments/*/*.segment + /objects/ + /objects/??/ \
+ /objects/??/{hexadecimal} + /objects/??/.tmp-partial/{hexadecimal} - *
refuse options = * !stats !times !relative !checksum !ignore-times !partial !partial-dir !fsync !timeout \
!bwlimit {compress}
"""
_COMPRESS = "!compress !compress-level !compress-choice !new-compress !old-compress !skip-compress"

_LISTENING = re.compile(r"Server listening on ")
_ACCEPTED = re.compile(r"Accepted publickey for \S+ from (\S+) port \d+ ssh2: \S+ (SHA256:\S+)")


@dataclass(frozen=True)
class Listen:
    """Where sshd listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def write_authorized_keys(hub: Hub) -> None:
    """Write the key file and each site's rsync configuration from the database. Idempotent.

    A revoked key opens nothing at the next login, and nothing over a connection that is open still.
    Raises Refused `data-path-unusable`; Broken `program-missing` (rsync); NoRoom `disk-full`.
    """
    layout = hub.layout
    _hold_path(layout.data)
    rsync = programs.require("rsync")
    configurations = layout.ssh / "rsyncd"
    _make_private(layout.ssh)
    _make_private(configurations)
    # Under the lock the database is read anew, so that the last writer has the last word.
    with exclusive(layout.ssh / "keys.lock", LOCK_PATIENCE_S):
        sites = valid_sites(hub)
        for site in sites:
            _write(configurations / f"{site}.conf", _site_configuration(hub, site))
        lines = [_key_line(rsync, configurations / f"{site}.conf", public)
                 for site, public in sites.items()]
        _write(layout.ssh / "authorized_keys", "".join(lines))
        for file in configurations.glob("*.conf"):
            if file.stem not in sites:
                file.unlink(missing_ok=True)


def write_configuration(hub: Hub, listen: tuple[str, int]) -> Path:
    """Write `sshd_config`; its path. Raises Refused `data-path-unusable`; NoRoom `disk-full`."""
    layout = hub.layout
    _hold_path(layout.data)
    _make_private(layout.ssh)
    text = _SSHD_CONFIG.format(
        listen=Listen(*listen), host_key=_sshd_word(host_key(layout)),
        keys=_sshd_word(layout.ssh / "authorized_keys").replace("%", "%%"),
        user=hub.settings.ssh_user, root="forced-commands-only" if _as_root(hub) else "no")
    path = layout.ssh / "sshd_config"
    with exclusive(layout.ssh / "keys.lock", LOCK_PATIENCE_S):
        sweep_temporary(layout.ssh)
        _write(path, text)
    return path


class Sshd:
    """The running sshd. Started again with growing waits when it dies; ends with this process."""

    def __init__(self, hub: Hub, listen: tuple[str, int], on_contact: Callable[[str], None],
                 on_problem: Callable[[TeachpointError | None], None] = lambda _problem: None) -> None:
        """Write all its files, start it and wait until it listens.

        `on_contact(site)` is called for each login of a site; `on_problem` when sshd dies, and with
        None when it is up again; both in a thread of this object.

        Raises Broken: `port-taken`, `program-missing`, `hub-account-unusable`, `sshd-stopped`;
        Refused `data-path-unusable`; NoRoom `disk-full`.
        """
        self._data, self._clock = hub.layout.data, hub.clock
        self._on_contact, self._on_problem = on_contact, on_problem
        self._listen = Listen(*listen)
        _hold_account(hub)
        write_authorized_keys(hub)
        self._configuration = write_configuration(hub, listen)
        _hold_port(self._listen)
        if os.geteuid() == 0:
            make_folder(PRIVSEP_FOLDER, 0o755)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._ready = threading.Event()
        self._first_failure: TeachpointError | None = None
        self._thread = threading.Thread(target=self._run, name="sshd", daemon=True)
        self._thread.start()
        self._ready.wait(START_PATIENCE_S)
        if self._first_failure is not None or not self._ready.is_set():
            self.stop()
            raise self._first_failure or Broken("sshd-stopped", reason="it does not listen")

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listen.port

    def stop(self) -> None:
        """End it and all its connections; returns when they have ended (a few seconds at most)."""
        self._ending.set()
        self._thread.join()

    # The child dies with the thread that started it (sync.programs), so one thread does it all.
    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        names = _Fingerprints(self._data)
        while not self._ending.is_set():
            started = SYSTEM.monotonic()
            failure = self._run_once(names)
            if self._ending.is_set():
                return
            if not self._ready.is_set():
                self._first_failure = failure
                self._ready.set()
                return
            log("hub.sshd").error("sshd-stopped", reason=failure.facts.get("reason"))
            self._on_problem(failure)
            if SYSTEM.monotonic() - started > HEALTHY_AFTER_S:
                wait_s = FIRST_WAIT_S
            self._ending.wait(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _run_once(self, names: _Fingerprints) -> TeachpointError:
        last: list[str] = []
        try:
            service = programs.Service("sshd", "-D", "-e", "-f", str(self._configuration),
                                       on_line=self._lines.put)
        except TeachpointError as error:
            return error
        try:
            while not self._ending.is_set() and service.alive():
                with contextlib.suppress(queue.Empty):
                    self._take(self._lines.get(timeout=0.2), last, names)
            while not self._lines.empty():
                self._take(self._lines.get(), last, names)
        finally:
            service.stop(whole_tree=True)
        return Broken("sshd-stopped", reason=" / ".join(last) or "it said nothing")

    def _take(self, line: str, last: list[str], names: _Fingerprints) -> None:
        line = line.strip()
        last[:] = [*last, line][-KEPT_LINES:]
        if _LISTENING.match(line):
            self._on_problem(None)  # also of a service before this one, which was killed meanwhile
            self._ready.set()
        elif found := _ACCEPTED.match(line):
            site = self._site(names, found[2])
            log("hub.sshd").info("contact", site=site, address=found[1])
            if site is not None:
                self._on_contact(site)
        else:
            log("hub.sshd").debug("said", line=line)


    def _site(self, names: _Fingerprints, fingerprint: str) -> str | None:
        try:
            return names.site(fingerprint)
        except (TeachpointError, sqlite3.DatabaseError) as error:  # sshd itself must not end with it
            log("hub.sshd").error("sites-not-read", reason=str(error))
            return None


class _Fingerprints:
    """Which site a key's fingerprint belongs to; read anew when an unknown one comes."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._hub: Hub | None = None
        self._sites: dict[str, str] = {}

    def site(self, fingerprint: str) -> str | None:
        if fingerprint not in self._sites:
            self._hub = self._hub or open_hub(self._data)
            self._sites = {_fingerprint(public): site for site, public in valid_sites(self._hub).items()}
        return self._sites.get(fingerprint)


def _fingerprint(public: str) -> str:
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def valid_sites(hub: Hub) -> dict[str, str]:
    """Who may connect: site → the public key that opens (`ssh-ed25519 AAAA…`), as hub.db says now."""
    rows = hub.database.execute("SELECT site, ssh_public FROM site WHERE revoked IS NULL ORDER BY site")
    return dict(rows.fetchall())


def _site_configuration(hub: Hub, site: str) -> str:
    layout = hub.layout
    make_folder(layout.feed(site))
    make_folder(layout.inbox(site), 0o700)
    account = ""
    if _as_root(hub):  # else rsync would change to `nobody`, who may not read private folders
        account = "uid = 0\ngid = 0\n"
    return _RSYNCD_CONF.format(
        site=site, chroot="yes" if _as_root(hub) else "no", account=account, feed=layout.feed(site),
        library=layout.library, inbox=layout.inbox(site), compress=_COMPRESS,
        hexadecimal="[0-9a-f]" * 64)


def _key_line(rsync: str, configuration: Path, public: str) -> str:
    words = ["exec", rsync, "--server", "--daemon", f"--config={configuration}", "."]
    command = " ".join(shlex.quote(word) for word in words).replace('"', '\\"')
    return f'restrict,command="{command}" {public}\n'


def _sshd_word(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _as_root(hub: Hub) -> bool:
    """Do the boxes' sessions run as root (a demo, CI)? Then they are locked in with chroot."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(hub.settings.ssh_user).pw_uid == 0
    return False


def _make_private(folder: Path) -> None:
    make_folder(folder, 0o700)
    folder.chmod(0o700)


def _write(path: Path, text: str) -> None:
    write_if_changed(path, os.fsencode(text), mode=0o600)


def _hold_path(data: Path) -> None:
    """Refuse a data folder whose name cannot be written into the files of sshd and rsync."""
    if re.search(r"[\x00-\x1f\x7f%]", str(data)):
        raise Refused("data-path-unusable", path=repr(str(data)))


def _hold_account(hub: Hub) -> None:
    """Raise Broken `hub-account-unusable` where boxes could not log in to the account of this hub."""
    user = hub.settings.ssh_user

    def refuse(reason: str) -> None:
        raise Broken("hub-account-unusable", user=user, reason=reason)

    try:
        account = pwd.getpwnam(user)
    except KeyError:
        refuse("there is no such account")
        return
    if os.geteuid() not in (0, account.pw_uid):
        refuse(f"the hub runs as {pwd.getpwuid(os.geteuid()).pw_name}")
    if Path(account.pw_shell).name in ("nologin", "false"):
        refuse(f"its shell is {account.pw_shell}")
    for line in _shadow_lines():
        name, _, rest = line.partition(":")
        if name == user and rest.startswith("!"):  # sshd without PAM takes it for locked
            refuse("it is locked (passwd -l); `usermod -p '*'` unlocks it without a password")


def _shadow_lines() -> Iterator[str]:
    with contextlib.suppress(OSError), Path("/etc/shadow").open(encoding="utf-8", errors="replace") as lines:
        yield from lines


def _hold_port(listen: Listen) -> None:
    """Raise Broken `port-taken` before sshd finds out, with a message for people."""
    for family, kind, protocol, _, address in socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise Broken("port-taken", host=listen.host, port=listen.port,
                             reason=error.strerror) from error
        return

