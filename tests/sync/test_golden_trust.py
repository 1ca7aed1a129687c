"""The golden feed, its two targets, and a pairing file. The keys in them are small numbers."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sync import pairing
from sync.canonical import sha256_hex
from sync.certificates import site_certificate
from sync.desired import ACKS_FORMAT, Ack, Acks, Told, dump, parse_acks, parse_desired
from sync.pairing import HubPart, KeyPart, Pairing, SealPart, TrustPart
from sync.trust import Trusted, believe
from tests.golden_files import GOLDEN, same_as_golden
from tests.sync.repository_simulator import START, RepositorySimulator, a_package

ACKS = Acks(format=ACKS_FORMAT, site="dali",
            boxes={"0123456789abcdef": Ack(segment=7, chain=sha256_hex(b"segment 7"), seq=120)},
            wanted=[sha256_hex(b"upload")])
PACKAGES = [a_package(1), a_package(2)]


def golden_feed() -> RepositorySimulator:
    """A site made at START, given two packages and an acknowledgement a minute later."""
    feed = RepositorySimulator()
    feed.publish(after_s=0)
    feed.acks = ACKS
    feed.publish(*PACKAGES)
    return feed


def golden_pairing() -> Pairing:
    def private(number: int) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))

    host = private(4).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    journal = private(5).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    ssh = ("-----BEGIN OPENSSH PRIVATE KEY-----\n(OpenSSH's form has random bytes in it)\n"
           "-----END OPENSSH PRIVATE KEY-----\n")
    return Pairing(
        site="dali", name="大理教学点",
        hub=HubPart(name="大理中心校", addresses=["192.168.1.10", "hub.lan"], ssh_port=2222,
                    ssh_host_key=host, https_port=2443),
        trust=TrustPart(root=RepositorySimulator().pairing_root.decode()),
        key=KeyPart(private=ssh, certificate=site_certificate(private(4), "dali", private(6).public_key())),
        journal=KeyPart(private=journal),
        seal=SealPart(recipient="age1ep0u464ej9ymuu7sw3n4x3jky56emwp3jqgg7v078l3z64wh89qs5t4wek"))


def test_the_golden_feed_is_written_so() -> None:
    files = golden_feed().files
    for name, data in files.items():
        same_as_golden(f"feed/{name}", data)
    assert {path.name for path in (GOLDEN / "feed").iterdir()} == set(files)


def test_the_golden_feed_is_believed() -> None:
    files = {path.name: path.read_bytes() for path in (GOLDEN / "feed").iterdir()}
    believed = believe("dali", Trusted(files["1.root.json"]), files)
    assert believed.desired.packages == PACKAGES
    assert believed.acks == ACKS
    assert believed.trusted.time == START + 60


def test_the_golden_targets() -> None:
    feed = golden_feed()
    name = feed.targets.targets["desired.json"].hashes["sha256"]
    same_as_golden("desired.json", feed.files[f"{name}.desired.json"])
    same_as_golden("acks.json", dump(ACKS))
    assert parse_desired((GOLDEN / "desired.json").read_bytes(), "dali").packages == PACKAGES
    assert parse_acks((GOLDEN / "acks.json").read_bytes(), "dali") == ACKS


def test_the_golden_acks_that_tell_of_files() -> None:
    acks = msgspec.structs.replace(ACKS, told=[
        Told(sha256=sha256_hex(b"upload"), state="declined", note="看不清"),
        Told(sha256=sha256_hex(b"another"), state="spread")])
    same_as_golden("acks-told.json", dump(acks))
    assert parse_acks((GOLDEN / "acks-told.json").read_bytes(), "dali") == acks


def test_the_golden_pairing_file(tmp_path: Path) -> None:
    pairing.write(tmp_path / "pairing.toml", golden_pairing())
    same_as_golden("pairing.toml", (tmp_path / "pairing.toml").read_bytes())
    assert pairing.read(GOLDEN / "pairing.toml") == golden_pairing()
