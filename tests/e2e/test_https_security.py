"""A stolen box, a stranger, a forger: what the HTTPS door opens for them. Real `hub serve`, nginx and TLS."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from sync import pairing
from sync.certificates import hub_certificate, public_key, site_certificate
from sync.hub.keys import host_private
from sync.layout import HubLayout
from sync.programs import find
from sync.segment import MOST_SEGMENT_BYTES
from tests.e2e.https_client import Client, credentials, curl, written
from tests.e2e.stage import PATIENCE_S, Stage, can_connect, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(find("nginx") is None, reason="no nginx here")]

BOX = "0123456789abcdef"
SEGMENT = f"/v1/inbox/segments/{BOX}/0000000001.segment"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("https")


@pytest.fixture(scope="module")
def robbed(place: Path) -> Iterator[Stage]:
    """A hub with two sites and a lesson; the box of site s1 was stolen. Ingest looks away: what lies in an
    inbox stays to be seen."""
    stage = Stage(place)
    stage.set_up()
    stage.hub("site", "add", "s2", "--name", "二号", "--pairing", str(place / "s2.toml"))
    lesson = place / "lessons" / "课"
    lesson.mkdir(parents=True)
    for number in range(10):
        (lesson / f"{number}.txt").write_text(f"甲{number}" * 900, "utf-8")
    [published] = stage.hub("publish", str(lesson))
    stage.hub("assign", published["id"], "--to", "s1", "--to", "s2")
    inbox = stage.hub_data / "inbox" / "s2" / "segments" / BOX
    inbox.mkdir(parents=True)
    (inbox / "9999999999.segment").write_bytes(b"what s2 said")  # waits for the numbers before it
    stage.serve_hub()
    yield stage
    stage.stop()


@pytest.fixture(scope="module")
def stolen(robbed: Stage, place: Path) -> Path:
    return credentials(robbed.pairing, place)


@pytest.fixture
def thief(robbed: Stage, stolen: Path) -> Iterator[Client]:
    client = Client(robbed.https_port, stolen)
    yield client
    client.close()


def an_object(stage: Stage) -> str:
    found = (stage.hub_data / "library/objects").rglob("?" * 64)
    return max(found, key=lambda path: path.stat().st_size).name


def test_its_own_news_and_objects_can_be_read(robbed: Stage, thief: Client) -> None:
    """The thief's tools work: what the other tests see refused is not refused for another reason."""
    status, headers, body = thief.ask("GET", "/v1/news")
    assert (status, body) == (200, (robbed.hub_data / "news/s1").read_bytes())
    assert thief.ask("GET", "/v1/news", If_None_Match=headers["etag"])[:1] == (304,)
    assert thief.ask("GET", f"/v1/objects/{an_object(robbed)}")[0] == 200
    squeezed = f"/v1/squeezed/{an_object(robbed)}"
    wait_for("the hub to squeeze it", lambda: thief.ask("GET", squeezed)[0] == 200)
    [pack] = (robbed.hub_data / "packs").glob("?" * 64)
    assert thief.ask("GET", f"/v1/packs/{pack.name}")[0] == 200
    assert thief.ask("HEAD", "/v1/news")[0] == 200


# -- who is let in


def asked_by(stage: Stage, identity: Path | None) -> set[int]:
    """The statuses that somebody gets for what every site may have; 0 where the connection is ended."""
    client = Client(stage.https_port, identity)
    try:
        found = {client.ask("GET", path)[0] for path in ("/v1/news", f"/v1/objects/{an_object(stage)}")}
        found.add(client.ask("PUT", SEGMENT, b"x")[0])
    except (http.client.HTTPException, OSError):
        return {0}
    finally:
        client.close()
    return found


def stolen_key(stage: Stage) -> Ed25519PrivateKey:
    private = load_ssh_private_key(pairing.read(stage.pairing).key.private.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    return private


def test_nobody_without_a_certificate_of_this_hub_is_let_in(robbed: Stage, tmp_path: Path) -> None:
    own, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    site = stolen_key(robbed)
    host = public_key(pairing.read(robbed.pairing).hub.ssh_host_key)
    forged = {
        "nobody": None,
        "signed by itself": written(tmp_path / "1", own, hub_certificate(own)),
        "by another hub": written(tmp_path / "2", own, site_certificate(other, "s1", own.public_key())),
        "by another hub, for the stolen key": written(
            tmp_path / "3", site, site_certificate(other, "s1", site.public_key())),
        "by the stolen key, as if it were a hub": written(
            tmp_path / "4", own, site_certificate(site, "s2", own.public_key())),
        "with the whole chain": written(
            tmp_path / "5", own, site_certificate(site, "s2", own.public_key())
            + (pairing.read(robbed.pairing).key.certificate or "")),
    }
    for name, identity in forged.items():
        assert asked_by(robbed, identity) == {403}, name
    with pytest.raises(ssl.SSLError):  # the hub's own, without its key
        written(tmp_path / "6", own, site_certificate(own, "s2", host))
        Client(robbed.https_port, tmp_path / "6")


def test_a_certificate_for_a_key_that_is_no_sites_is_refused(robbed: Stage, tmp_path: Path) -> None:
    """Such as the one of a site's keys before, or of a hub restored to before the site was made."""
    own = Ed25519PrivateKey.generate()
    host = host_private(HubLayout(robbed.hub_data))
    for number, (key, certificate) in enumerate((
            (own, site_certificate(host, "s1", own.public_key())), (host, hub_certificate(host)))):
        assert asked_by(robbed, written(tmp_path / f"{number}", key, certificate)) == {403}


def test_the_old_key_of_a_rekeyed_site_opens_nothing(robbed: Stage, place: Path, tmp_path: Path) -> None:
    old = place / "s3.toml"
    robbed.hub("site", "add", "s3", "--name", "三号", "--pairing", str(old))
    identity = credentials(old, tmp_path)
    wait_for("the new site to be known", lambda: asked_by(robbed, identity) not in ({403}, {0}))
    robbed.hub("site", "rekey", "s3", "--pairing", str(old))
    wait_for("the old key to open nothing", lambda: asked_by(robbed, identity) == {403})


def test_older_tls_and_no_tls_are_refused(robbed: Stage, stolen: Path) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        Client(robbed.https_port, stolen, ssl.TLSVersion.TLSv1_2).ask("GET", "/v1/news")
    plain = http.client.HTTPConnection("127.0.0.1", robbed.https_port, timeout=PATIENCE_S)
    plain.request("GET", "/v1/news")
    assert plain.getresponse().status == 400


# -- what is beyond


#: Ways to say `up`, and to say `/`.
UPS = ("..", "%2e%2e", ".%2e", "%2E.", "..%00", "..;", "%252e%252e", "..%c0%af", "..\\", "%5c..")
ADDRESSES = [
    "/", "/v1", "/v1/", "/v1/objects", "/v1/objects/", "/v1/objects/aa/", "/v1/packs/", "/v1/squeezed/",
    "/v1/inbox/", "/v1/inbox/segments/", f"/v1/inbox/segments/{BOX}/", "/v1/news/", "/v1/news/s2",
    "/v1/news%00", "/v1/news/../s2", "/v1/news?site=s2",
    "/news/s2", "/hub.db", "/keys/root.pem", "/v2/news", "/run/https/key.pem", "//etc/passwd", "/etc/passwd",
    "/v1/inbox/segments", f"/v1/inbox/segments/{BOX}/9999999999.segment", "/v1/objects/" + "A" * 64,
    "/v1/objects/" + "0" * 63, "/v1/objects/" + "0" * 65, "/v1/packs/" + "0" * 64 + ".made",
    *(f"/v1/{folder}/{up}/{up}/{target}" for up in UPS for folder in ("objects", "packs", "squeezed", "news")
      for target in ("hub.db", "news/s2", "keys/root.pem", "run/https/key.pem", "inbox/s2/segments/" + BOX)),
    *(f"/v1/objects{slash}..{slash}..{slash}hub.db" for slash in ("%2f", "%2F", "%5c", "//", "/./"))]


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_nothing_else_can_be_read_or_listed(robbed: Stage, stolen: Path, version: str) -> None:
    """All in one connection, sent as they are."""
    beyond = [b"SQLite format", b"PRIVATE KEY", b"root:", b"what s2 said",
              (robbed.hub_data / "news/s2").read_bytes()]
    names = [name.name.encode() for name in (robbed.hub_data / "library/objects").rglob("?" * 64)]
    words = [f"https://127.0.0.1:{robbed.https_port}{address}" for address in ADDRESSES[1:]]
    done = curl(robbed.https_port, stolen, ADDRESSES[0], version, "-w", "\n%{http_code}\n", *words)
    assert done.returncode == 0
    statuses = [line for line in done.stdout.split(b"\n") if line.isdigit()]
    assert len(statuses) == len(ADDRESSES)
    assert set(statuses) - {b"200"} <= {b"403", b"404", b"400"}
    # `?site=s2` alone is answered: with the thief's own news.
    assert statuses.count(b"200") == 1 and (robbed.hub_data / "news/s1").read_bytes() in done.stdout
    assert not [word for word in beyond if word in done.stdout]
    assert not [name for name in names if name in done.stdout]


@pytest.mark.parametrize("method", ["POST", "DELETE", "MKCOL", "MOVE", "COPY", "PROPFIND", "OPTIONS", "TRACE",
                                    "PATCH", "LOCK", "CONNECT", "X"])
def test_nothing_but_get_and_put_is_done(robbed: Stage, thief: Client, method: str) -> None:
    before = set(robbed.hub_data.rglob("*"))
    for path in ("/v1/news", f"/v1/objects/{an_object(robbed)}", SEGMENT, "/v1/inbox/segments/", "/"):
        try:
            status = thief.ask(method, path, Destination="/v1/objects/x", Depth="infinity")[0]
        except http.client.HTTPException:
            thief.close()
            continue
        assert status in (400, 403, 404, 405), (method, path)
    after = set(robbed.hub_data.rglob("*"))
    gone = {path for path in before - after if "run" not in path.parts}
    assert {path for path in gone if "-wal" not in path.name and not path.name.startswith(".tmp-")} == set()


@pytest.mark.parametrize("path", [
    "/v1/news", "/v1/packs/" + "0" * 64, "/v1/objects/" + "0" * 64, SEGMENT[:-1]])
def test_what_may_be_read_can_not_be_written(robbed: Stage, thief: Client, path: str) -> None:
    assert thief.ask("PUT", path, b"p")[0] in (403, 404)
    assert thief.ask("GET", SEGMENT)[0] == 403, "and what may be written can not be read"


STRANGE = [
    f"/v1/inbox/segments/{BOX}/1.segment", f"/v1/inbox/segments/{BOX}/00000000001.segment",
    f"/v1/inbox/segments/{BOX}/0000000001.segmen", f"/v1/inbox/segments/{BOX}/0000000001.segment/",
    f"/v1/inbox/segments/{BOX}/0000000001.segment/x", f"/v1/inbox/segments/{BOX.upper()}/0000000001.segment",
    f"/v1/inbox/segments/{BOX[1:]}/0000000001.segment", f"/v1/inbox/segments/{BOX}/.tmp-x",
    f"/v1/inbox/segments/{BOX}/0000000001.segment%00", f"/v1/inbox/segments/{BOX}/0000000001.segment%0a",
    f"/v1/inbox/segments/../../s2/segments/{BOX}/0000000001.segment",
    f"/v1/inbox/segments/%2e%2e/s2/{BOX}/0000000001.segment", f"/v1/inbox/objects/aa/{'a' * 64}",
    f"/v1/inbox/s2/segments/{BOX}/0000000001.segment", f"/inbox/s2/segments/{BOX}/0000000001.segment",
    f"/v1/objects/{'a' * 64}", "/v1/inbox/segments/planted", "/planted"]


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
@pytest.mark.parametrize("path", STRANGE)
def test_no_other_name_is_put(robbed: Stage, stolen: Path, path: str, version: str) -> None:
    for body in ("p", "planted"):  # within what any address takes, and beyond
        done = curl(robbed.https_port, stolen, path, version, "-X", "PUT", "--data-binary", body,
                    "-w", "%{http_code}")
        assert done.stdout[-3:] in (b"403", b"404", b"400", b"413"), done.stdout
    assert not [file for file in robbed.hub_data.rglob("*") if file.is_file()
                and file.stat().st_size < 8 and file.read_bytes() in (b"p", b"planted")]


def test_a_segment_of_one_site_lands_nowhere_but_in_its_own_inbox(robbed: Stage, thief: Client) -> None:
    """Also with headers that a proxy might believe."""
    assert thief.ask("PUT", f"/v1/inbox/segments/{BOX}/0000000009.segment", b"mine", Host="s2",
                     X_Original_URI="/v1/inbox/s2", X_Forwarded_For="s2")[0] in (201, 204)
    lies_there = [path.read_bytes() for path in (robbed.hub_data / "inbox/s2").rglob("*.segment")]
    assert lies_there == [b"what s2 said"]


def test_too_large_a_segment_is_refused_and_leaves_nothing(robbed: Stage, thief: Client) -> None:
    """By what it says beforehand, and by what comes where it says nothing."""
    path = f"/v1/inbox/segments/{BOX}/0000000007.segment"
    assert thief.ask("PUT", path, b"x" * MOST_SEGMENT_BYTES)[0] == 201
    thief.close()
    with pytest.raises((http.client.HTTPException, OSError)):
        status = thief.ask("PUT", path.replace("07", "08"), b"x" * (MOST_SEGMENT_BYTES + 1))[0]
        raise http.client.HTTPException(status) if status == 413 else AssertionError(status)
    thief.close()
    chunks = iter([b"x" * 1_000_000] * 6)
    with pytest.raises((http.client.HTTPException, OSError)):
        thief.connection.request("PUT", path.replace("07", "08"), chunks, encode_chunked=True,
                                 headers={"Transfer-Encoding": "chunked"})
        assert thief.connection.getresponse().status == 413
        raise http.client.HTTPException
    assert not list((robbed.hub_data / "inbox/s1").rglob("0000000008.segment"))
    body = robbed.hub_data / "run/https/body"
    wait_for("nothing to be left", lambda: not [one for one in body.rglob("*") if one.is_file()])


def test_a_part_of_a_segment_can_not_be_put_into_another(thief: Client) -> None:
    assert thief.ask("PUT", SEGMENT, b"x", Content_Range="bytes 5-5/9")[0] in (400, 403, 501)


@pytest.mark.parametrize(("name", "value"), [
    ("X-Large", "x" * 100_000), ("X" * 100_000, "x"), ("Cookie", "a=b;" * 30_000),
    ("Range", "bytes=" + "0-0," * 20_000 + "0-0")], ids=["value", "name", "cookie", "range"])
def test_huge_headers_are_refused_and_others_are_answered(robbed: Stage, thief: Client, stolen: Path,
                                                          name: str, value: str) -> None:
    with contextlib.suppress(http.client.HTTPException, OSError):
        assert thief.ask("GET", "/v1/news", **{name: value})[0] in (400, 431)
    thief.close()
    done = curl(robbed.https_port, stolen, "/v1/news", "-H", f"{name}: {value}", "-w", "%{http_code}",
                "-o", "/dev/null")
    assert done.stdout in (b"400", b"431", b"000")
    assert thief.ask("GET", "/v1/news")[0] == 200


def test_many_ranges_are_one_answer(robbed: Stage, thief: Client) -> None:
    """No multiplying of what is sent."""
    name = an_object(robbed)
    size = (robbed.hub_data / "library/objects" / name[:2] / name).stat().st_size
    status, _, body = thief.ask("GET", f"/v1/objects/{name}", Range="bytes=" + ",".join(["0-"] * 50))
    assert status in (200, 416) and len(body) <= size


def test_who_connects_and_says_nothing_hinders_nobody(robbed: Stage, thief: Client) -> None:
    silent = [socket.create_connection(("127.0.0.1", robbed.https_port)) for _ in range(300)]
    try:
        for one in silent[::3]:
            one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a hello
        assert thief.ask("GET", "/v1/news")[0] == 200
        assert can_connect(robbed.https_port)
    finally:
        for one in silent:
            one.close()


def test_secrets_of_the_door_are_for_the_hubs_account_only(robbed: Stage) -> None:
    folder = robbed.hub_data / "run/https"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
