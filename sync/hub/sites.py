"""The sites: adding, listing, revoking, giving new keys; each comes with its pairing file.

The private keys of a site exist in its pairing file only; the hub keeps the public halves. So a
pairing file is delivered before the database tells of the site: a site that cannot be used by
anybody never comes to be.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from sync.certificates import public_key, site_certificate
from sync.database import transaction
from sync.durable import make_folder
from sync.errors import Refused
from sync.hub import keys, roots
from sync.hub.feed import feed_lock, hub_time, remove_news, write_feed
from sync.hub.settings import Hub, check_name
from sync.hub.sshd import write_authorized_keys
from sync.layout import SITE_NAME
from sync.pairing import HubPart, KeyPart, Pairing, SealPart, TrustPart


@dataclass(frozen=True)
class Site:
    """A site as the hub knows it. Times are seconds since 1970; `revoked` is None while it is valid.

    `ssh_public` is `ssh-ed25519 AAAA…` without a comment, `journal_public` PEM SubjectPublicKeyInfo.
    """

    site: str
    name: str
    created: float
    revoked: float | None
    ssh_public: str
    journal_public: str


def nobody(_pairing: Pairing) -> None:
    """Deliver a pairing to nobody: the caller does it."""


def add_site(hub: Hub, site: str, name: str, *,
             deliver: Callable[[Pairing], None] = nobody) -> Pairing:
    """Make a site with fresh keys and an empty feed; its pairing.

    `deliver` gets the pairing (to write its file) before the site is there; if it raises, the site
    is not made.

    Raises Refused: `site-name-bad`, `site-exists` (also a revoked one), `name-bad`; Broken
    `key-missing` (the root key is offline); NoRoom `disk-full`; what `deliver` raises.
    """
    if not SITE_NAME.fullmatch(site):
        raise Refused("site-name-bad", site=site)
    title = check_name(name)
    with feed_lock(hub.layout, site), transaction(hub.database):
        if _row(hub, site) is not None:
            raise Refused("site-exists", site=site)
        # What an addition left that was cut off: nobody holds keys that it could serve.
        shutil.rmtree(keys.site_keys(hub.layout, site), ignore_errors=True)
        keys.make_feed_key(hub.layout, site)
        pairing, ssh_public, journal_public = _pairing(hub, site, title)
        hub.database.execute("INSERT INTO site VALUES (?, ?, ?, NULL, ?, ?)",
                             [site, title, hub.clock.now(), ssh_public, journal_public])
        make_folder(hub.layout.inbox(site), 0o700)
        deliver(pairing)
    write_feed(hub, site)
    write_authorized_keys(hub)
    return pairing


def list_sites(hub: Hub) -> list[Site]:
    """All sites, revoked ones too, by short name."""
    rows = hub.database.execute(
        "SELECT site, name, created, revoked, ssh_public, journal_public FROM site ORDER BY site")
    return [Site(*row) for row in rows]


def get_site(hub: Hub, site: str) -> Site:
    """One site. Raises Refused `site-unknown`."""
    found = _row(hub, site)
    if found is None:
        raise Refused("site-unknown", site=site)
    return found


def revoke_site(hub: Hub, site: str) -> None:
    """Take away the site's right to connect and to be heard. What it has stays there; what it sent
    stays here. Twice is no error. Raises Refused `site-unknown`."""
    with transaction(hub.database):
        get_site(hub, site)
        hub.database.execute("UPDATE site SET revoked = ? WHERE site = ? AND revoked IS NULL",
                             [hub.clock.now(), site])
    write_authorized_keys(hub)
    remove_news(hub, site)


def renew_feed_key(hub: Hub, site: str) -> None:
    """Give the site's feed a new key, and nothing else: the feed key was stolen, or this hub was
    restored from a backup and the box refuses its feed (`feed-rollback`). The box needs nothing new.

    Raises Refused `site-unknown`; Broken `key-missing` (the root key is offline); NoRoom `disk-full`.
    """
    get_site(hub, site)
    with feed_lock(hub.layout, site):
        keys.replace_feed_key(hub.layout, site)
        roots.ensure_root(hub.layout, site, hub_time(hub, site))
    write_feed(hub, site)


def rekey_site(hub: Hub, site: str, *, deliver: Callable[[Pairing], None] = nobody) -> Pairing:
    """Give the site new keys of every kind: a lost, stolen or replaced box. Its old keys open nothing
    any more; a revoked site is valid again. The new pairing, delivered as `add_site` does.

    Raises Refused `site-unknown`; Broken `key-missing` (the root key is offline); NoRoom
    `disk-full`; what `deliver` raises: the SSH and journal keys then stay the old ones.
    """
    with feed_lock(hub.layout, site), transaction(hub.database):
        found = get_site(hub, site)
        keys.replace_feed_key(hub.layout, site)
        pairing, ssh_public, journal_public = _pairing(hub, site, found.name)
        hub.database.execute(
            "UPDATE site SET revoked = NULL, ssh_public = ?, journal_public = ? WHERE site = ?",
            [ssh_public, journal_public, site])
        deliver(pairing)
    write_feed(hub, site)
    write_authorized_keys(hub)
    return pairing


def _row(hub: Hub, site: str) -> Site | None:
    row = hub.database.execute(
        "SELECT site, name, created, revoked, ssh_public, journal_public FROM site WHERE site = ?",
        [site]).fetchone()
    return Site(*row) if row else None


def _pairing(hub: Hub, site: str, name: str) -> tuple[Pairing, str, str]:
    """A pairing with fresh keys and the newest root; and the public halves of SSH and journal key."""
    ssh_private, ssh_public = keys.new_ssh_pair()
    journal_private, journal_public = keys.new_journal_pair()
    root = roots.ensure_root(hub.layout, site, hub_time(hub, site))
    settings = hub.settings
    certificate = site_certificate(keys.host_private(hub.layout), site, public_key(ssh_public))
    pairing = Pairing(
        site=site, name=name,
        hub=HubPart(name=settings.name, addresses=settings.addresses, ssh_port=settings.ssh_port,
                    ssh_host_key=keys.host_public(hub.layout), ssh_user=settings.ssh_user,
                    https_port=settings.https_port or None),
        trust=TrustPart(root=root.decode()),
        key=KeyPart(private=ssh_private, certificate=certificate), journal=KeyPart(private=journal_private),
        seal=SealPart(recipient=keys.seal_recipient(hub.layout)))
    return pairing, ssh_public, journal_public
