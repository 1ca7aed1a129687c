"""When each site was last there: noted at once, and for many that come together in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync.database import transaction
from sync.errors import TeachpointError
from sync.hub.settings import open_hub
from sync.logs import log

#: How long after a transaction the next one waits, in seconds: 10,000 boxes ask 300 times a second.
GATHER_S = 3.0


class Contacts:
    """`note` takes a contact from any thread and never waits."""

    def __init__(self, data: Path) -> None:
        self._hub = open_hub(data)           # for the writing thread
        self._lock = threading.Lock()        # guards _seen
        self._seen: dict[str, float] = {}
        self._heard, self._ending = threading.Event(), threading.Event()

    def note(self, site: str) -> None:
        """The site is connected now."""
        with self._lock:
            self._seen[site] = self._hub.clock.now()
        self._heard.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write what is noted for the block, and what is left at its end."""
        thread = threading.Thread(target=self._run, name="contacts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._heard.set()
            thread.join(10)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._heard.wait()
            self._heard.clear()
            self._write()
            self._ending.wait(GATHER_S)
        self._write()

    def _write(self) -> None:
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            with transaction(self._hub.database):
                self._hub.database.conn.executemany(
                    "INSERT INTO contact VALUES (?, ?) ON CONFLICT (site) DO UPDATE SET at = excluded.at",
                    sorted(seen.items()))
        except TeachpointError as error:  # a full disk must not end the link
            log("hub.contacts").warning("contacts-not-noted", sites=len(seen), code=error.code)
