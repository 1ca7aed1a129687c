"""nginx in front of the two apps: its configuration, written anew at each start (its life: `sync.nginx`).

The listening sockets are bound by this process and inherited (edge.listen). If nginx cannot be kept alive,
Python answers instead, and a problem says so.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bytes import ACCEL
from edge.waiting import HOLD_S, PLACE, WAITING_SOCKET
from sync import nginx
from sync.durable import make_folder, sweep_temporary, write_file
from sync.errors import Broken, TeachpointError
from sync.logs import log

#: Where nginx's own files lie, below the data folder.
FOLDER = "run/nginx"
CONFIGURATION = f"{FOLDER}/nginx.conf"
#: The unix sockets of the two apps, below the data folder.
MAIN_SOCKET = f"{FOLDER}/main.sock"
CONTENT_SOCKET = f"{FOLDER}/content.sock"

#: Worker processes at most: one fills a gigabit line at a tenth of a core; a second rides over a slow disk.
MOST_WORKERS = 2
#: Connections of a worker: 60 devices with 6 each, held players, and the apps behind, three times over.
WORKER_CONNECTIONS = 2048
#: Connections from one address: a browser has 6 an origin; behind a router a whole class is one address.
MOST_CONNECTIONS_OF_ADDRESS = 512
#: A player that takes nothing for so long is let go, in seconds: a paused film asks again by itself.
SEND_TIMEOUT_S = 180

#: How long what a refused caller still sends is read and thrown away, in seconds: browsers read an answer
#: when they have sent all; that much takes a film over a slow Wi-Fi.
LINGER_S = 900

#: Users that workers may run as where we are root, the first that exists.
WORKER_USERS = ("www-data", "nobody")

#: The headers of an app's answer that nginx sends on with the bytes (others it drops itself).
_PASSED_ON = ("ETag", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy",
              "Permissions-Policy", "Referrer-Policy", "Access-Control-Allow-Origin",
              "Access-Control-Expose-Headers", "Origin-Agent-Cluster", "X-Frame-Options")

#: Texts are worth squeezing for a phone at the edge of the Wi-Fi; films and pictures are not.
_GZIP_TYPES = ("text/plain text/css text/javascript text/markdown text/vtt text/csv application/json "
               "application/xml application/xhtml+xml application/manifest+json image/svg+xml "
               "application/opds+json application/wasm application/x-subrip font/ttf")

#: What a browser sees while the apps are started again; it tries again by itself.
_WAITING = ("<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=3><title>teachpoint</title>"
            "<p style='font:1.5em sans-serif;margin:2em'>盒子正在启动，请稍候……<br>"
            "The box is starting; this page tries again by itself.")

Lost = Callable[[str], None]
#: Called with a problem when nginx cannot be kept running, and with None when it runs.
Told = Callable[[TeachpointError | None], None]


@dataclass(frozen=True)
class Settings:
    """What the configuration depends on. `user`: of the workers, or None for the same as ours."""

    main: tuple[str, int]
    content: tuple[str, int]
    most_body_bytes: int
    user: tuple[str, str] | None = None
    workers: int = 1


def configuration(settings: Settings) -> str:
    """The text of nginx.conf."""
    user = "user {} {};".format(*settings.user) if settings.user else "# workers run as the same user"
    return f"""\
# Written by `teachpoint box serve` at each start; changes here are lost.
# nginx runs in the data folder: every path is relative to it.
daemon off;
{user}
worker_processes {settings.workers};
worker_shutdown_timeout 2s;
pid {FOLDER}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {WORKER_CONNECTIONS}; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    charset off;
    log_not_found on;

    sendfile on;
    sendfile_max_chunk 1m;   # a fast player gives way to the others after each piece
    aio off;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    max_ranges 1;            # several ranges at once: the whole file, as without nginx
    if_modified_since off;
    etag off;                # ours is the SHA-256
    open_file_cache max=512 inactive=30s;
    open_file_cache_valid 5s;
    reset_timedout_connection on;

    client_body_temp_path {FOLDER}/body;
    proxy_temp_path {FOLDER}/proxy;
    fastcgi_temp_path {FOLDER}/fastcgi;
    uwsgi_temp_path {FOLDER}/uwsgi;
    scgi_temp_path {FOLDER}/scgi;

    client_header_timeout 20s;
    client_body_timeout 60s;
    lingering_time {LINGER_S}s;
    send_timeout {SEND_TIMEOUT_S}s;
    client_header_buffer_size 2k;
    large_client_header_buffers 4 16k;
    client_max_body_size {settings.most_body_bytes};
    limit_conn_zone $binary_remote_addr zone=callers:1m;
    limit_conn callers {MOST_CONNECTIONS_OF_ADDRESS};
    limit_conn_status 503;

    gzip on;
    gzip_comp_level 4;
    gzip_min_length 1024;
    gzip_vary on;
    gzip_types {_GZIP_TYPES};

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Port "";
    proxy_set_header X-Forwarded-By "";
    proxy_set_header Forwarded "";
    proxy_request_buffering off;  # the app refuses what is too large before it is sent
    proxy_connect_timeout 5s;
    proxy_read_timeout 120s;
    proxy_next_upstream off;
    proxy_intercept_errors off;

    upstream main {{ server unix:{MAIN_SOCKET}; keepalive 16; }}
    upstream content {{ server unix:{CONTENT_SOCKET}; keepalive 8; }}
    upstream waiting {{ server unix:{WAITING_SOCKET}; }}
{_server("main", settings.main, _HELD)}
{_server("content", settings.content)}
}}
"""


#: Questions that wait for news, once the app has looked at who asks.
_HELD = f"""
        location {PLACE} {{
            internal;
            proxy_pass http://waiting;
            proxy_read_timeout {HOLD_S + 10:.0f}s;
            proxy_buffering off;
        }}"""


def _server(app: str, address: tuple[str, int], more: str = "") -> str:
    host, port = address
    listen = f"[{host}]:{port} ipv6only=off" if ":" in host else f"{host}:{port}"
    passed_on = "\n".join(f"            add_header {name} $upstream_http_{name.lower().replace('-', '_')};"
                          for name in _PASSED_ON)
    return f"""
    server {{
        listen {listen} default_server;
        location / {{
            proxy_pass http://{app};
            error_page 502 504 = @waiting;
        }}
        location {ACCEL} {{
            internal;
            alias library/objects/;
            add_header Last-Modified "";
            add_header X-Content-Type-Options nosniff always;
{passed_on}
            error_page 403 404 500 = @lost;
        }}{more}
        location @waiting {{
            internal;
            default_type "text/html; charset=utf-8";
            add_header Retry-After 3 always;
            add_header Cache-Control no-store always;
            return 503 "{_WAITING}";
        }}
        location @lost {{
            internal;
            default_type "text/plain; charset=utf-8";
            add_header Cache-Control no-store always;
            return 503 "This file cannot be read from the box's disk. 盒子的磁盘无法读取此文件。\\n";
        }}
    }}"""


def worker_user(data: Path) -> tuple[str, str] | None:
    """The user and group that workers run as. Only root can change it: then an unprivileged user, if
    it can read the library; else the same as ours (None)."""
    if os.geteuid() != 0:
        return None
    for name in WORKER_USERS:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            folders = [data, data / "library", data / "library/objects"]
            if all(_may_search(folder, user.pw_uid, user.pw_gid) for folder in folders):
                return name, grp.getgrgid(user.pw_gid).gr_name
            return None
    return None


def _may_search(folder: Path, uid: int, gid: int) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    needed = stat.S_IXUSR if found.st_uid == uid else stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
    return bool(found.st_mode & needed)


class Front:
    """nginx over the given listeners."""

    def __init__(self, data: Path, main: socket.socket, content: socket.socket, *, most_body_bytes: int,
                 lost: Lost, told: Told, give_up: Callable[[], None]) -> None:
        """`give_up` is called, from the watching thread, when nginx has died too often."""
        self._data = data
        self._settings = Settings(
            main.getsockname()[:2], content.getsockname()[:2], most_body_bytes, worker_user(data),
            min(os.cpu_count() or 1, MOST_WORKERS))
        self._lost = lost
        self._nginx = nginx.Nginx(
            data, FOLDER, part="edge.nginx", heard=self._heard, give_up=give_up, listeners=(main, content),
            told=lambda reason: told(Broken("nginx-failing", reason=reason) if reason else None))

    def prepare(self) -> None:
        """Make its folder and write the configuration; the apps' sockets are bound between this and
        `begin`. Raises NoRoom, Broken as `durable`."""
        folder = self._data / FOLDER
        make_folder(folder, 0o700)
        sweep_temporary(folder)
        if self._settings.user:  # workers pass through run/, and see nothing of what lies there
            uid = pwd.getpwnam(self._settings.user[0]).pw_uid
            (self._data / "run").chmod(0o711)
            os.chown(folder, uid, -1)
        write_file(self._data / CONFIGURATION, configuration(self._settings).encode())

    def own(self, unix_socket: Path) -> None:
        """Let the workers reach an app's socket."""
        if self._settings.user:
            os.chown(unix_socket, pwd.getpwnam(self._settings.user[0]).pw_uid, -1)

    def begin(self) -> None:
        """Start it and keep it running."""
        if os.geteuid() == 0 and not self._settings.user:
            log("edge.nginx").warning("workers-run-as-root", reason="the library is closed to other users")
        self._nginx.begin()

    def runs(self) -> bool:
        """Wait until it answers: True, or False where it cannot run (told as a problem)."""
        return self._nginx.runs()

    def stop(self) -> None:
        """End it, answers cut off; returns when it has gone."""
        self._nginx.stop()

    def _heard(self, line: str) -> None:
        """A file that it cannot open is a problem of the library."""
        match = re.search(r'open\(\) "library/objects/\w\w/(\w{64})" failed \(2:', line)
        if match:
            self._lost(match[1])
