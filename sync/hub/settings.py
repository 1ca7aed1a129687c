"""The hub itself: its settings in `hub.toml`, making one, opening one.

`hub.toml` is the last file `init_hub` writes: a hub whose making was cut off is no hub yet, and the
same command finishes it. People may edit the file; addresses stand in new pairing files only.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tomli_w
from sqlite_utils import Database

from sync.clock import SYSTEM, Clock
from sync.database import open_database
from sync.durable import make_folder, write_file
from sync.errors import Broken, Refused
from sync.hub.keys import make_hub_keys
from sync.hub.schema import MIGRATIONS
from sync.layout import HubLayout
from sync.pairing import ADDRESS, USER
from sync.store import Store

#: The port of the hub's own sshd where none is named: free for everybody, unlike 22.
DEFAULT_SSH_PORT = 2222
#: The port of HTTPS for boxes where none is named; NO_HTTPS in its place: no HTTPS.
DEFAULT_HTTPS_PORT = 2443
NO_HTTPS = 0
#: Longest name of a hub or a site, in characters: it stands in pages, TXT records and tables.
MOST_NAME_CHARACTERS = 100
#: Largest `hub.toml` read, in bytes; a real one has about 200.
MOST_SETTINGS_BYTES = 64 * 1024
#: An address of TEST-NET-1 (RFC 5737): asking the way there sends nothing, it only picks a route.
_NOWHERE = ("192.0.2.1", 9)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class HubSettings:
    """What `hub.toml` says.

    name       the hub's name as people see it
    addresses  host names or IP addresses under which boxes reach the hub, best first
    ssh_port   TCP port of the hub's own sshd
    ssh_user   the account that boxes log in to: the one that runs the hub
    https_port TCP port of HTTPS for boxes; NO_HTTPS: none
    """

    name: str
    addresses: list[str]
    ssh_port: int
    ssh_user: str
    https_port: int = DEFAULT_HTTPS_PORT


@dataclass
class Hub:
    """An open hub. Cheap to open: each thread that works in parallel opens its own."""

    layout: HubLayout
    settings: HubSettings
    database: Database
    store: Store
    clock: Clock


def init_hub(data: Path, name: str, addresses: Sequence[str], ssh_port: int,
             https_port: int = DEFAULT_HTTPS_PORT) -> Hub:
    """Make a hub in `data`: folders, keys, database, empty library, settings. `hub.toml` comes last.

    Without `addresses` this machine's own are taken. Called again after it was cut off it goes on,
    with the keys that are there.

    Raises Refused: `hub-exists` (nothing is changed then), `name-bad`, `address-bad`, `settings-bad`
    (a port); NoRoom `disk-full`.
    """
    layout = HubLayout(data)
    if layout.settings.exists():
        raise Refused("hub-exists", path=data)
    settings = HubSettings(name=check_name(name), addresses=list(addresses) or own_addresses(),
                           ssh_port=ssh_port, ssh_user=_account(), https_port=https_port)
    _hold(settings, layout.settings)
    for folder, mode in ((data, 0o755), (layout.library, 0o755), (layout.feeds, 0o755),
                         (layout.inboxes, 0o700), (layout.keys, 0o700), (layout.ssh, 0o700),
                         (layout.run, 0o700)):
        make_folder(folder, mode)
    make_hub_keys(layout)
    # Records name children: the database is for the hub's own account only.
    layout.database.touch(mode=0o600)
    database = open_database(layout.database, MIGRATIONS)
    store = Store(layout.library)
    write_file(layout.settings, tomli_w.dumps(asdict(settings)).encode())
    return Hub(layout, settings, database, store, SYSTEM)


def open_hub(data: Path, clock: Clock = SYSTEM) -> Hub:
    """Open the hub in `data`.

    Raises Refused: `not-a-hub`, `settings-bad`, `file-unreadable`; Broken: `database-newer`,
    `database-broken`, `hub-database-missing`.
    """
    layout = HubLayout(data)
    settings = read_settings(layout.settings)
    if not layout.database.is_file():  # an empty one would shut out every site, and say nothing
        raise Broken("hub-database-missing", path=layout.database)
    return Hub(layout, settings, open_database(layout.database, MIGRATIONS), Store(layout.library),
               clock)


def read_settings(path: Path) -> HubSettings:
    """Read `hub.toml`. Raises Refused: `not-a-hub`, `settings-bad`, `file-unreadable`."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MOST_SETTINGS_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise Refused("not-a-hub", path=path.parent) from None
    except OSError as error:
        raise Refused("file-unreadable", path=path, reason=error.strerror) from error
    if len(data) > MOST_SETTINGS_BYTES:
        raise Refused("settings-bad", path=path, reason=f"larger than {MOST_SETTINGS_BYTES} bytes")
    try:
        plain = tomllib.loads(data.decode("utf-8"))
        settings = HubSettings(name=plain["name"], addresses=plain["addresses"],
                               ssh_port=plain["ssh_port"], ssh_user=plain["ssh_user"],
                               https_port=plain.get("https_port", DEFAULT_HTTPS_PORT))
    except KeyError as error:
        raise Refused("settings-bad", path=path, reason=f"{error} is missing") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of thousands of digits
        raise Refused("settings-bad", path=path, reason=error) from error
    _hold(settings, path)
    return settings


def check_name(name: str) -> str:
    """A hub's or site's name for people, trimmed. Raises Refused `name-bad`."""
    trimmed = name.strip() if isinstance(name, str) else ""
    if not trimmed or len(trimmed) > MOST_NAME_CHARACTERS or _CONTROL.search(trimmed):
        raise Refused("name-bad", name=_shown(name), most=MOST_NAME_CHARACTERS)
    try:
        trimmed.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("name-bad", name=name, most=MOST_NAME_CHARACTERS) from None
    return trimmed


def own_addresses() -> list[str]:
    """This machine's address towards its network, where it has one, then its host name."""
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_NOWHERE)
            found.append(probe.getsockname()[0])
        except OSError:
            pass  # no network at the moment: the name must do
    host = socket.gethostname()
    if ADDRESS.fullmatch(host):
        found.append(host)
    return found or ["localhost"]


def _shown(value: object) -> str:
    """What a message says of a text; of something else, which may be as deep as TOML can be, its kind."""
    return value if isinstance(value, str) else type(value).__name__


def _account() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _hold(settings: HubSettings, path: Path) -> None:
    check_name(settings.name)
    addresses, port, user = settings.addresses, settings.ssh_port, settings.ssh_user
    if not isinstance(addresses, list) or not 1 <= len(addresses) <= 16:
        raise Refused("settings-bad", path=path, reason="there must be 1 to 16 addresses")
    for address in addresses:
        if not isinstance(address, str) or not ADDRESS.fullmatch(address):
            raise Refused("address-bad", address=_shown(address))
    if type(port) is not int or not 1 <= port <= 65535:
        raise Refused("settings-bad", path=path, reason="ssh_port must be 1 to 65535")
    if type(settings.https_port) is not int or not NO_HTTPS <= settings.https_port <= 65535:
        raise Refused("settings-bad", path=path, reason="https_port must be 1 to 65535, or 0 for none")
    if settings.https_port == port:
        raise Refused("settings-bad", path=path, reason="ssh_port and https_port must differ")
    if not isinstance(user, str) or not USER.fullmatch(user):
        raise Refused("settings-bad", path=path, reason="ssh_user is not the name of an account")
