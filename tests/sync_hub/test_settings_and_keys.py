"""Making and opening a hub, its settings and key files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from sync.errors import Broken, Refused
from sync.hub import keys
from sync.hub.settings import HubSettings, init_hub, open_hub, own_addresses, read_settings
from sync.layout import HubLayout
from sync.pairing import ADDRESS


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_hub_can_be_opened_and_says_what_it_was_given(tmp_path: Path) -> None:
    made = init_hub(tmp_path / "hub", " 大理中心校 ", ["192.168.1.10", "hub.lan"], 2200)
    opened = open_hub(tmp_path / "hub")
    assert opened.settings == made.settings
    assert opened.settings.name == "大理中心校"
    assert opened.settings.addresses == ["192.168.1.10", "hub.lan"]
    assert opened.settings.ssh_port == 2200
    assert list(opened.store.names()) == []


def test_secrets_are_for_the_account_of_the_hub_only(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    assert mode(layout.keys) == 0o700
    assert mode(layout.ssh) == 0o700
    assert mode(layout.inboxes) == 0o700
    for secret in (keys.root_key(layout), keys.seal_key(layout), keys.host_key(layout), layout.database):
        assert mode(secret) == 0o600, secret


def test_the_host_key_is_openssh_and_its_public_half_beside_it(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    public = keys.host_public(layout)
    assert public.startswith("ssh-ed25519 AAAA")
    assert len(public.split()) == 2
    assert keys.host_key(layout).read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert (layout.ssh / "host_ed25519.pub").read_text() == public + "\n"


def test_the_seal_identity_opens_what_its_recipient_seals(tmp_path: Path) -> None:
    import pyrage

    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    recipient = pyrage.x25519.Recipient.from_str(keys.seal_recipient(layout))
    identity = pyrage.x25519.Identity.from_str(keys.seal_identity(layout))
    assert pyrage.decrypt(pyrage.encrypt(b"seq 1", [recipient]), [identity]) == b"seq 1"


def test_a_number_of_thousands_of_digits_in_hub_toml_is_refused_by_name(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    layout.settings.write_text(f"later = {'9' * 5000}\n{layout.settings.read_text('utf-8')}", "utf-8")
    with pytest.raises(Refused) as caught:
        read_settings(layout.settings)
    assert caught.value.code == "settings-bad"


@pytest.mark.parametrize("line", [f"name{'.x' * 3000} = 1",
                                  f"name = 'H'\naddresses = [{{x{'.x' * 3000} = 1}}]"])
def test_what_is_no_text_in_hub_toml_is_refused_however_deep_it_is(tmp_path: Path, line: str) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    kept = [old for old in layout.settings.read_text("utf-8").splitlines() if old.startswith("ssh_")]
    rest = [] if "addresses" in line else ['addresses = ["h"]']
    layout.settings.write_text("\n".join([*kept, *rest, line, ""]), "utf-8")
    with pytest.raises(Refused) as caught:
        read_settings(layout.settings)
    assert caught.value.message("en") and caught.value.code in ("name-bad", "address-bad")


def test_a_second_hub_in_the_same_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    before = {path: path.read_bytes() for path in layout.keys.rglob("*") if path.is_file()}
    with pytest.raises(Refused) as caught:
        init_hub(tmp_path / "hub", "Other", ["h"], 2200)
    assert caught.value.code == "hub-exists"
    assert open_hub(tmp_path / "hub").settings.name == "H"
    assert before == {path: path.read_bytes() for path in before}


def test_a_making_that_was_cut_off_is_no_hub_and_goes_on_with_its_keys(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    root = keys.root_key(layout).read_bytes()
    layout.settings.unlink()
    with pytest.raises(Refused) as caught:
        open_hub(tmp_path / "hub")
    assert caught.value.code == "not-a-hub"
    init_hub(tmp_path / "hub", "H", ["h"], 2200)
    assert keys.root_key(layout).read_bytes() == root


@pytest.mark.parametrize("address", ["", "-oProxyCommand=x", "a b", "a\n", "user@host", "h/x", "x" * 300])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(Refused) as caught:
        init_hub(tmp_path / "hub", "H", [address], 2200)
    assert caught.value.code == "address-bad"
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "\x1b[31m", "x" * 101, "\udcff"])
def test_a_name_that_people_could_not_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused) as caught:
        init_hub(tmp_path / "hub", name, ["h"], 2200)
    assert caught.value.code == "name-bad"


def test_without_an_address_this_machine_names_its_own() -> None:
    found = own_addresses()
    assert found
    assert all(ADDRESS.fullmatch(address) for address in found)


GOOD = 'name = "H"\naddresses = ["h"]\nssh_port = 2222\nssh_user = "t"\n'


def test_settings_with_unknown_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(GOOD + 'later = "x"\n')
    assert read_settings(tmp_path / "hub.toml") == HubSettings("H", ["h"], 2222, "t", 2443)


def test_a_hub_may_have_no_https(tmp_path: Path) -> None:
    init_hub(tmp_path / "hub", "H", ["h"], 2200, 0)
    assert open_hub(tmp_path / "hub").settings.https_port == 0


@pytest.mark.parametrize("text", [
    "not toml", "name = 3", GOOD.replace("2222", "0"), GOOD.replace("2222", "true"),
    GOOD.replace('["h"]', "[]"), GOOD.replace('["h"]', '"h"'), GOOD.replace('"t"', '"-l"'),
    GOOD + "https_port = -1", GOOD + 'https_port = "1"', GOOD + "https_port = true",
    GOOD + "https_port = 2222",
    GOOD.replace('"t"', "7"), GOOD.replace('name = "H"\n', ""), GOOD + "#" * 70_000, "\xff",
])
def test_damaged_settings_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "hub.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused) as caught:
        read_settings(tmp_path / "hub.toml")
    assert caught.value.code == "settings-bad"


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_missing_or_damaged_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    for path, use in ((keys.root_key(layout), lambda: keys.signer(keys.root_key(layout))),
                      (keys.seal_key(layout), lambda: keys.seal_recipient(layout)),
                      (keys.host_key(layout), lambda: keys.host_public(layout))):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Broken) as caught:
            use()
        assert caught.value.code == "key-missing"
        assert caught.value.facts["path"] == path


def test_a_damaged_age_identity_is_named(tmp_path: Path) -> None:
    layout = init_hub(tmp_path / "hub", "H", ["h"], 2200).layout
    keys.seal_key(layout).write_text("AGE-SECRET-KEY-1XXXX\n")
    with pytest.raises(Broken) as caught:
        keys.seal_recipient(layout)
    assert caught.value.code == "key-missing"


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())
    (tmp_path / "k.pem").write_bytes(pem)
    with pytest.raises(Broken) as caught:
        keys.signer(tmp_path / "k.pem")
    assert caught.value.code == "key-missing"
    layout = HubLayout(tmp_path)
    layout.ssh.mkdir()
    keys.host_key(layout).write_bytes(other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()))
    with pytest.raises(Broken):
        keys.host_public(layout)
