"""Adding, listing, revoking sites and giving them new keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from sync.certificates import hub_certificate, public_key, serial
from sync.errors import Broken, NoRoom, Refused
from sync.hub import keys
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, get_site, list_sites, rekey_site, revoke_site
from sync.pairing import Pairing


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return init_hub(tmp_path / "hub", "中心校", ["192.0.2.10"], 2200)


def test_a_new_site_is_listed_with_the_public_halves_of_its_pairing(hub: Hub) -> None:
    pairing = add_site(hub, "dali-03", "大理三号教学点")
    found = get_site(hub, "dali-03")
    assert (found.site, found.name, found.revoked) == ("dali-03", "大理三号教学点", None)
    assert list_sites(hub) == [found]
    assert pairing.site == "dali-03"
    assert pairing.hub.addresses == ["192.0.2.10"]
    assert pairing.hub.ssh_host_key == keys.host_public(hub.layout)
    assert pairing.seal.recipient == keys.seal_recipient(hub.layout)
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
        load_ssh_private_key,
    )
    ssh = load_ssh_private_key(pairing.key.private.encode(), None).public_key()
    assert ssh.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() == found.ssh_public
    journal = load_pem_private_key(pairing.journal.private.encode(), None).public_key()
    assert journal.public_bytes(Encoding.PEM,
                                PublicFormat.SubjectPublicKeyInfo).decode() == found.journal_public


def test_a_pairing_brings_the_certificate_of_its_key(hub: Hub) -> None:
    root = load_pem_x509_certificate(hub_certificate(keys.host_private(hub.layout)).encode())
    for make in (lambda: add_site(hub, "a", "A"), lambda: rekey_site(hub, "a")):
        pairing = make()
        assert pairing.hub.https_port == 2443
        certificate = load_pem_x509_certificate((pairing.key.certificate or "").encode())
        certificate.verify_directly_issued_by(root)
        assert certificate.serial_number == serial(public_key(get_site(hub, "a").ssh_public))
        assert pairing.journal.certificate is None


def test_a_hub_without_https_makes_pairings_for_ssh_alone(tmp_path: Path) -> None:
    pairing = add_site(init_hub(tmp_path / "hub", "H", ["h"], 2200, 0), "a", "A")
    assert pairing.hub.https_port is None


def test_private_keys_of_a_site_stand_nowhere_at_the_hub(hub: Hub) -> None:
    pairing = add_site(hub, "a", "A")
    secret = "".join(pairing.key.private.split("\n")[1:-2])[100:160].encode()
    for path in hub.layout.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes().replace(b"\n", b"")
            assert secret not in content, path


@pytest.mark.parametrize("site", ["", "A", "a_b", "-a", "a-", "../x", "a" * 33, "a b", "大理", "a\n"])
def test_a_bad_short_name_is_refused(hub: Hub, site: str) -> None:
    with pytest.raises(Refused) as caught:
        add_site(hub, site, "X")
    assert caught.value.code == "site-name-bad"
    assert list_sites(hub) == []


def test_a_site_is_added_once(hub: Hub) -> None:
    add_site(hub, "a", "A")
    feed_key = keys.feed_key(hub.layout, "a").read_bytes()
    with pytest.raises(Refused) as caught:
        add_site(hub, "a", "B")
    assert caught.value.code == "site-exists"
    assert get_site(hub, "a").name == "A"
    assert keys.feed_key(hub.layout, "a").read_bytes() == feed_key


def test_a_site_whose_pairing_could_not_be_delivered_is_not_there(hub: Hub) -> None:
    def full(_pairing: Pairing) -> None:
        raise NoRoom("disk-full", path="x")

    with pytest.raises(NoRoom):
        add_site(hub, "a", "A", deliver=full)
    assert list_sites(hub) == []
    add_site(hub, "a", "A")


@pytest.mark.parametrize("act", [get_site, revoke_site, rekey_site])
def test_an_unknown_site_is_refused(hub: Hub, act) -> None:
    with pytest.raises(Refused) as caught:
        act(hub, "nowhere")
    assert caught.value.code == "site-unknown"


def test_revoking_keeps_the_first_moment_and_rekeying_makes_it_valid_again(hub: Hub) -> None:
    add_site(hub, "a", "A")
    revoke_site(hub, "a")
    first = get_site(hub, "a").revoked
    assert first is not None
    revoke_site(hub, "a")
    assert get_site(hub, "a").revoked == first
    before = get_site(hub, "a")
    rekey_site(hub, "a")
    after = get_site(hub, "a")
    assert after.revoked is None
    assert after.ssh_public != before.ssh_public
    assert after.journal_public != before.journal_public


def test_without_the_root_key_a_site_cannot_be_added(hub: Hub) -> None:
    keys.root_key(hub.layout).rename(hub.layout.data / "away.pem")
    with pytest.raises(Broken) as caught:
        add_site(hub, "a", "A")
    assert caught.value.code == "key-missing"
    assert list_sites(hub) == []
