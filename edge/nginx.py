"""nginx in front of the two apps: its configuration, written anew at each start, and its life.

No path stands in the configuration that is not ours to choose: nginx runs in the data folder and every
path is relative to it. So a data folder may be called anything (nginx cannot quote a `$`), unix sockets
stay short enough, and workers of another user need no right on the folders above.

The listening sockets are bound by this process and inherited (edge.listen). nginx dies with us; if it dies
alone it is started again; if it cannot be kept alive, Python answers instead, and a problem says so.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bytes import ACCEL
from sync import programs
from sync.clock import SYSTEM
from sync.durable import make_folder, write_file
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
{_server("main", settings.main)}
{_server("content", settings.content)}
}}
"""


def _server(app: str, address: tuple[str, int]) -> str:
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
        }}
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


def sweep(data: Path) -> int:
    """End nginx processes that an earlier `box serve` of this folder left; how many. Ours alone: they are
    known by their working directory."""
    left = _left_over(data)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    patience = SYSTEM.monotonic() + 5
    while left and SYSTEM.monotonic() < patience and (set(left) & set(_left_over(data))):
        SYSTEM.sleep(0.02)
    return len(left)


def _left_over(data: Path) -> list[int]:
    place = str(data.resolve())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                name = (entry / "comm").read_text().strip()
                if name == "nginx" and str((entry / "cwd").readlink()) == place:
                    found.append(int(entry.name))
    return found


class Nginx:
    """nginx over the given listeners. `start` returns when it answers, or False where it cannot."""

    #: How long it may take from its start to answering, in seconds.
    START_S = 5.0
    #: Waits before it is started again, in seconds; after the last it is given up.
    BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
    #: Alive for so long, a death is a new story, in seconds.
    SETTLED_S = 60.0

    def __init__(self, data: Path, main: socket.socket, content: socket.socket, *, most_body_bytes: int,
                 lost: Lost, told: Told, give_up: Callable[[], None]) -> None:
        """`give_up` is called, from the watching thread, when nginx has died too often."""
        self._data = data
        self._listeners = (main, content)
        self._settings = Settings(
            main.getsockname()[:2], content.getsockname()[:2], most_body_bytes, worker_user(data),
            min(os.cpu_count() or 1, MOST_WORKERS))
        self._lost, self._told, self._give_up = lost, told, give_up
        self._stopping = threading.Event()
        self._first = threading.Event()  # the first start has succeeded or failed
        self._service: programs.Service | None = None  # set by the watching thread
        self._thread = threading.Thread(target=self._watch, name="nginx", daemon=True)

    @staticmethod
    def installed() -> bool:
        """Is nginx on this machine?"""
        return programs.find("nginx") is not None

    def prepare(self) -> None:
        """Make its folder and write the configuration; the apps' sockets are bound between this and
        `start`. Raises NoRoom, Broken as `durable`."""
        folder = self._data / FOLDER
        make_folder(folder, 0o700)
        if self._settings.user:  # workers pass through run/, and see nothing of what lies there
            uid = pwd.getpwnam(self._settings.user[0]).pw_uid
            (self._data / "run").chmod(0o711)
            os.chown(folder, uid, -1)
        write_file(self._data / CONFIGURATION, configuration(self._settings).encode())

    def own(self, unix_socket: Path) -> None:
        """Let the workers reach an app's socket."""
        if self._settings.user:
            os.chown(unix_socket, pwd.getpwnam(self._settings.user[0]).pw_uid, -1)

    def start(self) -> bool:
        """Start it and keep it running; True when it runs, False when it cannot (told as a problem)."""
        if os.geteuid() == 0 and not self._settings.user:
            log("edge.nginx").warning("workers-run-as-root", reason="the library is closed to other users")
        self._thread.start()
        self._first.wait(self.START_S + 2)
        return self._service is not None and self._service.alive()

    @property
    def pid(self) -> int | None:
        """The process id of its master, while it runs."""
        service = self._service
        return service.pid if service is not None and service.alive() else None

    def stop(self) -> None:
        """End it, answers cut off; returns when it has gone."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    # -- the watching thread -------------------------------------------------------------------------

    def _watch(self) -> None:
        """Starts nginx and lives as long as it: the child gets our death signal from this thread."""
        deaths = 0
        try:
            while not self._stopping.is_set():
                begun = SYSTEM.monotonic()
                reason = self._run_once()
                if self._stopping.is_set():
                    return
                never_ran = not self._first.is_set()
                deaths = deaths + 1 if SYSTEM.monotonic() - begun < self.SETTLED_S else 1
                log("edge.nginx").error("nginx-ended", reason=reason, deaths=deaths)
                if never_ran or deaths > len(self.BACKOFF_S):
                    self._told(Broken("nginx-failing", reason=reason))
                    self._service = None
                    if not never_ran:
                        self._give_up()
                    return
                sweep(self._data)  # workers whose master was killed
                self._stopping.wait(self.BACKOFF_S[deaths - 1])
        finally:
            self._first.set()

    def _run_once(self) -> str:
        """Run it until it ends or we stop; why it ended."""
        said: list[str] = []

        def on_line(line: str) -> None:
            said.append(line)
            del said[:-20]
            self._heard(line)

        numbers = [listener.fileno() for listener in self._listeners]
        environment = {**os.environ, "NGINX": "".join(f"{number};" for number in numbers)}
        try:
            service = self._service = programs.Service(
                "nginx", "-p", "./", "-c", CONFIGURATION, "-e", "stderr", env=environment, on_line=on_line,
                cwd=self._data, pass_fds=numbers)
        except Broken as error:
            return str(error)
        try:
            while service.alive() and not self._stopping.is_set():
                if not self._first.is_set() and self._answers():
                    log("edge.nginx").info("nginx-started", pid=service.pid, workers=self._settings.workers,
                                           user=(self._settings.user or ("same",))[0])
                    self._told(None)
                    self._first.set()
                self._stopping.wait(0.2 if self._first.is_set() else 0.01)
        finally:
            service.stop(patience_s=3)
        return " ".join(said)[-1000:].strip() or "it ended without a word"

    def _answers(self) -> bool:
        """Is its pid file there? It is written after the configuration was read and the sockets taken."""
        with contextlib.suppress(OSError, ValueError):
            text = (self._data / FOLDER / "nginx.pid").read_text()
            return self._service is not None and int(text) == self._service.pid
        return False

    def _heard(self, line: str) -> None:
        """A line of nginx's error log: into ours; a file that it cannot open is a problem of the library."""
        match = re.search(r'open\(\) "library/objects/\w\w/(\w{64})" failed \(2:', line)
        if match:
            self._lost(match[1])
        text = re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line.strip())
        if text and "using inherited sockets from" not in text:
            log("edge.nginx").warning("nginx-says", text=text[:1000])

