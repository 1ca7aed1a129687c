"""HTTPS for boxes: nginx answers them alone, with files of the data folder (docs/sync.md, docs/format.md §8).

Who asks is told by the certificate: its serial is looked up in a map that is made of hub.db. nginx reads the
map again when the sites have changed, whichever process changed them; where a site was taken away,
connections that are open are ended too. The hub itself does nothing for a box that asks: it hears of it.

Whatever keeps nginx from working, the hub goes on over SSH alone, says so, and tries again.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import resource
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sync import nginx
from sync.certificates import hub_certificate, public_key, serial
from sync.clock import SYSTEM
from sync.durable import disk_errors, make_folder, sweep_temporary, write_if_changed
from sync.errors import Broken, TeachpointError
from sync.hub.keys import host_private
from sync.hub.settings import Hub, open_hub
from sync.hub.sshd import valid_sites
from sync.layout import SITE_NAME
from sync.logs import log
from sync.segment import MOST_SEGMENT_BYTES

#: Where nginx's own files lie, below the data folder.
FOLDER = "run/https"
#: nginx tells there of each site that asked for news: a datagram that ends with its name.
CONTACT_SOCKET = "contact.sock"
#: Longest such datagram, in bytes: date, tag and a site name.
MOST_DATAGRAM_BYTES = 1024

MOST_WORKERS = 2
#: Connections of a worker: 500 boxes with six each are 3,000; idle ones are kept 75 s, so 10,000 boxes that
#: ask every half minute fit as well. One that is idle gives way to a new one before any is refused.
WORKER_CONNECTIONS = 8192
#: Requests of one site at a time: a box that fetches small objects has 100 on the way; a stolen key no more.
MOST_REQUESTS_OF_SITE = 512
#: An idle connection is kept for so long, in seconds: a box asks every half minute.
KEEPALIVE_S = 75
#: A box that takes nothing, or stops in the middle of a segment, is let go after so long, in seconds.
STALLED_S = 60
#: From connecting to the end of a request's headers, in seconds: ten round trips of 2 s, with losses.
HEADER_S = 30
#: After a change of the sites, transfers that run go on for so long under the map before, in seconds.
DRAIN_S = 600
#: How often the sites are looked at, in seconds: so long may a revoked key still open something.
LOOK_S = 0.3


@dataclass(frozen=True)
class Settings:
    """What the configuration depends on. `user` and `group`: of the workers, where we are root."""

    listen: tuple[str, int]
    workers: int = 1
    connections: int = WORKER_CONNECTIONS
    account: tuple[str, str] | None = None


def configuration(settings: Settings) -> str:
    """The text of nginx.conf. `\\z`, not `$`: the latter lets a line end through at the end."""
    host, port = settings.listen
    listen = f"[{host}]:{port} ipv6only=off" if ":" in host else f"{host}:{port}"
    account = "user {} {};".format(*settings.account) if settings.account else "# workers: the same account"
    told = f"access_log syslog:server=unix:{FOLDER}/{CONTACT_SOCKET},nohostname,tag=news contact;"
    return f"""\
# Written by `teachpoint hub serve` at each start; changes here are lost.
# nginx runs in the data folder: every path is relative to it (certificates and map: to this file).
daemon off;
{account}
worker_processes {settings.workers};
worker_rlimit_nofile {settings.connections * 2};
worker_shutdown_timeout {DRAIN_S}s;
pid {FOLDER}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {settings.connections}; }}
http {{
    access_log off;
    log_format contact "$site";
    log_not_found off;
    server_tokens off;
    types {{ }}
    default_type "";

    # TLS: a small handshake, nothing kept. Whom the serial names is asked anew for each connection.
    ssl_protocols TLSv1.3;
    ssl_certificate hub.pem;
    ssl_certificate_key key.pem;
    ssl_client_certificate hub.pem;
    ssl_verify_client on;
    ssl_verify_depth 1;
    ssl_session_cache off;
    ssl_session_tickets off;
    ssl_conf_command NumTickets 0;
    ssl_ecdh_curve X25519;

    map_hash_max_size 65536;
    map_hash_bucket_size 128;
    map $ssl_client_serial $site {{
        default "";
        include sites.map;
    }}

    sendfile on;
    http2_chunk_size 16k;    # a whole TLS record each
    output_buffers 2 128k;
    tcp_nodelay on;
    keepalive_timeout {KEEPALIVE_S}s;
    keepalive_requests 1000000;
    client_header_timeout {HEADER_S}s;
    client_body_timeout {STALLED_S}s;
    send_timeout {STALLED_S}s;
    reset_timedout_connection on;
    client_header_buffer_size 1k;
    large_client_header_buffers 4 4k;
    client_max_body_size 1;
    client_body_temp_path {FOLDER}/body;
    proxy_temp_path {FOLDER}/proxy;
    fastcgi_temp_path {FOLDER}/fastcgi;
    uwsgi_temp_path {FOLDER}/uwsgi;
    scgi_temp_path {FOLDER}/scgi;
    limit_conn_zone $site zone=sites:4m;
    limit_conn sites {MOST_REQUESTS_OF_SITE};
    limit_conn_status 503;

    max_ranges 1;
    if_modified_since off;
    add_header Last-Modified "";

    server {{
        listen {listen} ssl http2 default_server backlog=1024;
        error_page 403 495 496 = @forbidden;
        error_page 404 = @nothing;
        if ($site = "") {{ return 403; }}

        location = /v1/news {{
            limit_except GET {{ deny all; }}
            alias news/$site;
            {told}
            error_page 403 = @forbidden;
            error_page 404 = @no_news;
        }}
        location ~ "^/v1/objects/(([0-9a-f]{{2}})[0-9a-f]{{62}})\\z" {{
            limit_except GET {{ deny all; }}
            alias library/objects/$2/$1;
            disable_symlinks on from=./library/objects;
            etag off;
        }}
        location ~ "^/v1/squeezed/(([0-9a-f]{{2}})[0-9a-f]{{62}})\\z" {{
            limit_except GET {{ deny all; }}
            alias squeezed/$2/$1;
        }}
        location ~ "^/v1/packs/([0-9a-f]{{64}})\\z" {{
            limit_except GET {{ deny all; }}
            alias packs/$1;
        }}
        location ~ "^/v1/inbox/segments/([0-9a-f]{{16}})/([0-9]{{10}}\\.segment)\\z" {{
            limit_except PUT {{ deny all; }}
            alias inbox/$site/segments/$1/$2;
            dav_methods PUT;
            create_full_put_path on;
            dav_access user:rw;
            client_max_body_size {MOST_SEGMENT_BYTES};
        }}
        location / {{ return 404; }}
        # One byte each: nginx's own pages would be 150.
        location @forbidden {{ return 403 "\\n"; }}
        location @nothing {{ return 404 "\\n"; }}
        location @no_news {{
            {told}
            return 404 "\\n";
        }}
    }}
}}
"""


def site_map(sites: Mapping[str, str]) -> str:
    """The map's lines, of site → `ssh-ed25519 AAAA…`: the serial as nginx writes it, in whole bytes."""
    lines = []
    for site, line in sorted(sites.items()):
        number = serial(public_key(line))
        digits = number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()
        lines.append(f"{digits} {site};\n")
    return "".join(lines)


class Https:
    """The running nginx for boxes. `start` and `stop` are called once each."""

    def __init__(self, hub: Hub, listen: tuple[str, int], on_contact: Callable[[str], None],
                 on_problem: Callable[[TeachpointError | None], None]) -> None:
        """`on_contact(site)` for each site that asks for news; `on_problem` when boxes cannot use HTTPS, and
        with None when they can again; both from threads of this object."""
        self._data, self._listen = hub.layout.data, listen
        self._on_contact = on_contact
        self._sites: dict[str, str] = {}  # as in the map that lies there
        self._ending = threading.Event()
        self._nginx = nginx.Nginx(
            self._data, FOLDER, part="hub.https", heard=lambda _line: None,
            told=lambda reason: on_problem(Broken("https-failing", reason=reason) if reason else None))
        self._thread = threading.Thread(target=self._run, name="https", daemon=True)

    def start(self) -> None:
        """Write all its files, and begin; it may take a moment until it answers. May be called again after it
        has raised.

        Raises Broken `key-missing`, `disk-failing`; NoRoom `disk-full`.
        """
        hub = open_hub(self._data)
        folder = self._data / FOLDER
        make_folder(folder, 0o700)
        folder.chmod(0o700)
        shutil.rmtree(folder / "body", ignore_errors=True)  # what killed workers left of segments
        sweep_temporary(folder)
        host = host_private(hub.layout)
        write_if_changed(folder / "hub.pem", hub_certificate(host).encode())
        key = host.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_if_changed(folder / "key.pem", key, 0o600)  # OpenSSL does not read OpenSSH's form
        write_if_changed(folder / "nginx.conf", configuration(_settings(self._listen)).encode())
        self._sites = valid_sites(hub)
        self._write_map()
        with disk_errors(folder):
            self._socket = _bound(folder / CONTACT_SOCKET)
        self._socket.settimeout(LOOK_S)
        self._hub = hub
        self._thread.start()
        self._nginx.begin()

    def stop(self) -> None:
        """End it and all its connections; returns when it has gone."""
        self._ending.set()
        self._nginx.stop()
        if self._thread.is_alive():
            self._thread.join(10)
            self._socket.close()

    def _run(self) -> None:
        version, looked = None, SYSTEM.monotonic()
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                self._heard(self._socket.recv(MOST_DATAGRAM_BYTES))
            if SYSTEM.monotonic() - looked < LOOK_S:
                continue
            looked = SYSTEM.monotonic()
            try:
                # Changes with each transaction of another connection, whichever process it belongs to.
                now = self._hub.database.execute("PRAGMA data_version").fetchone()[0]
                if now != version:
                    self._look_at_sites()
                    version = now
            except (TeachpointError, sqlite3.DatabaseError) as error:  # looked at again in a moment
                log("hub.https").error("sites-not-read", reason=str(error))

    def _heard(self, datagram: bytes) -> None:
        site = datagram.decode("ascii", "replace").rpartition(" ")[2].strip()
        if SITE_NAME.fullmatch(site):
            self._on_contact(site)

    def _look_at_sites(self) -> None:
        before, now = self._sites, valid_sites(self._hub)
        if now == before:
            return
        self._sites = now
        try:
            self._write_map()
        except BaseException:
            self._sites = before  # try again
            raise
        gone = {site for site, line in before.items() if now.get(site) != line}
        log("hub.https").info("sites-changed", sites=len(now), gone=len(gone))
        self._nginx.reload(cut=bool(gone))

    def _write_map(self) -> None:
        write_if_changed(self._data / FOLDER / "sites.map", site_map(self._sites).encode(), 0o600)


def _settings(listen: tuple[str, int]) -> Settings:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = WORKER_CONNECTIONS
    if most_files != resource.RLIM_INFINITY:
        connections = max(min(connections, most_files // 2), 64)
    # As root nginx would take another account for its workers, who could not read or write anything here.
    account = (pwd.getpwuid(0).pw_name, grp.getgrgid(os.getegid()).gr_name) if os.geteuid() == 0 else None
    return Settings(listen, min(os.cpu_count() or 1, MOST_WORKERS), connections, account)


def _bound(path: Path) -> socket.socket:
    """A datagram socket at `path`, also where that is longer than a socket's path may be."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o600)
    finally:
        os.close(folder)
    return made
