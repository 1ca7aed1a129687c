"""The pairing file: written, read back, refused where it could do harm."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import pairing
from sync.errors import Refused
from sync.pairing import HubPart, KeyPart, Pairing, SealPart, TrustPart

GOOD = Pairing(
    site="dali-03", name="大理三号教学点",
    hub=HubPart(name="中心校", addresses=["192.168.1.10", "fe80::1%eth0", "hub.lan"], ssh_port=2222,
                ssh_host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq", ssh_user="teachpoint"),
    trust=TrustPart(root='{"signatures":[],"signed":{}}'), key=KeyPart(private="-----BEGIN\nx\n"),
    journal=KeyPart(private="-----BEGIN\ny\n"), seal=SealPart(recipient="age1qqqq"))
LIMITED = settings(max_examples=100, deadline=None)

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=60)
PAIRINGS = st.builds(
    Pairing, site=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True), name=LINES,
    hub=st.builds(HubPart, name=LINES, ssh_port=st.integers(1, 65535),
                  addresses=st.lists(st.from_regex(pairing.ADDRESS, fullmatch=True).filter(str.isascii),
                                     min_size=1, max_size=3),
                  ssh_host_key=st.just(GOOD.hub.ssh_host_key),
                  ssh_user=st.from_regex(pairing.USER, fullmatch=True),
                  https_port=st.none() | st.integers(1, 65535)),
    trust=st.builds(TrustPart, root=TEXTS),
    key=st.builds(KeyPart, private=TEXTS, certificate=st.none() | TEXTS),
    journal=st.builds(KeyPart, private=TEXTS), seal=st.just(GOOD.seal))


def plain() -> dict[str, Any]:
    """The pairing of an older hub: without HTTPS."""
    found: dict[str, Any] = msgspec.to_builtins(GOOD)
    del found["hub"]["https_port"], found["key"]["certificate"], found["journal"]["certificate"]
    return found


@LIMITED
@given(PAIRINGS)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, made: Pairing) -> None:
    path = tmp_path_factory.getbasetemp() / "pairing.toml"
    pairing.write(path, made)
    assert pairing.read(path) == made


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    pairing.write(tmp_path / "p.toml", GOOD)
    assert stat.S_IMODE((tmp_path / "p.toml").stat().st_mode) == 0o600


def test_a_number_of_thousands_of_digits_is_refused_by_name() -> None:
    with pytest.raises(Refused) as caught:
        pairing.parse(f"later = {'9' * 5000}\n".encode() + tomli_w.dumps(plain()).encode())
    assert caught.value.code == "pairing-bad"


@pytest.mark.parametrize(("part", "field", "value"), [
    ("", "site", "../x"), ("", "site", "a\n"), ("", "site", ""), ("", "name", "a\nb"), ("", "name", "a\n"),
    ("", "name", "\x1b[2J"), ("", "name", 3), ("hub", "addresses", []), ("hub", "addresses", ["h"] * 17),
    ("hub", "addresses", ["-oProxyCommand=sh"]), ("hub", "addresses", ["a b"]), ("hub", "addresses", ["h\n"]),
    ("hub", "https_port", 0), ("hub", "https_port", 65536), ("key", "certificate", 3),
    ("hub", "addresses", ["user@h"]), ("hub", "addresses", ["h;x"]), ("hub", "addresses", ["x" * 256]),
    ("hub", "ssh_port", 0), ("hub", "ssh_port", 65536), ("hub", "ssh_port", "22"), ("hub", "ssh_user", "-l"),
    ("hub", "ssh_user", "a b"), ("hub", "ssh_user", ""), ("hub", "ssh_host_key", "ssh-ed25519 AAAA\nx"),
    ("hub", "ssh_host_key", "ssh-ed25519 AAAA comment"), ("hub", "ssh_host_key", "ssh-ed25519"),
    ("seal", "recipient", "age1x\n"), ("seal", "recipient", "AGE-SECRET-KEY-1X"), ("trust", "root", 1)])
def test_a_field_that_could_do_harm_is_refused(part: str, field: str, value: Any) -> None:
    damaged = plain()
    (damaged[part] if part else damaged)[field] = value
    with pytest.raises(Refused) as caught:
        pairing.parse(tomli_w.dumps(damaged).encode())
    assert caught.value.code == "pairing-bad"


@pytest.mark.parametrize("part", ["site", "name", "hub", "trust", "key", "journal", "seal"])
def test_a_missing_part_is_refused(part: str) -> None:
    damaged = plain()
    del damaged[part]
    with pytest.raises(Refused):
        pairing.parse(tomli_w.dumps(damaged).encode())


def test_unknown_fields_and_a_missing_user_are_taken() -> None:
    later = plain()
    later["later"] = {"x": 1}
    del later["hub"]["ssh_user"]
    assert pairing.parse(tomli_w.dumps(later).encode()) == GOOD


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none", "file-vanished"), (tmp_path, "file-unreadable")):
        with pytest.raises(Refused) as caught:
            pairing.read(path)
        assert caught.value.code == code
    (tmp_path / "big").write_bytes(b"#" * 70_000)
    with pytest.raises(Refused) as caught:
        pairing.read(tmp_path / "big")
    assert caught.value.code == "pairing-bad"
