"""A segment opened at the hub: damaged on the way, or made by a box gone bad that holds the right keys. It is
taken in or refused by name; and whatever records were taken in, all that tells of them goes on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pyrage
import zstandard
from hypothesis import strategies as st

from sync import segment
from sync.canonical import canonical
from sync.clock import ManualClock
from sync.errors import Refused
from sync.hub.assign import assign
from sync.hub.commands_ingest import list_uploads
from sync.hub.console import create_console
from sync.hub.ingest import ingest
from sync.hub.publish import publish
from sync.hub.settings import Hub, init_hub, open_hub
from sync.hub.sites import add_site
from sync.hub.status import hub_status
from sync.segment import NO_PREVIOUS, open_segment, read_header, segment_name
from tests.fuzz.hostile import HOSTILE, PLAIN, as_json, bitten, spoiled
from tests.fuzz.running import fuzz, named_errors, nothing_written
from tests.golden_files import GOLDEN
from tests.sync.segment_forger import forge, seal, sign
from tests.sync.segment_keys import BOX, IDENTITY, PUBLIC, RECIPIENT, SITE

SEGMENT = (GOLDEN / "journal.segment").read_bytes()
HEADER: dict[str, Any] = msgspec.json.decode(SEGMENT.partition(b"\n")[0])
PAYLOAD = SEGMENT[len(SEGMENT) - read_header(SEGMENT, PUBLIC).payload_size:]
LINES: list[Any] = [{"site": SITE, "box": BOX, "number": 1}, *(
    msgspec.to_builtins(record) for record in open_segment(SEGMENT, PUBLIC, IDENTITY)[1])]


def opened(data: bytes) -> None:
    with named_errors("segment-"):
        open_segment(data, PUBLIC, IDENTITY)


@fuzz(200, data=st.data())
def test_bytes_damaged_on_the_way(data: st.DataObject) -> None:
    bad = bitten(data.draw, SEGMENT, PAYLOAD)
    try:
        open_segment(bad, PUBLIC, IDENTITY)
    except Refused as error:
        assert error.code.startswith("segment-")
    else:
        assert bad == SEGMENT


@fuzz(200, data=st.data())
def test_any_header_that_a_bad_box_signs(data: st.DataObject) -> None:
    opened(sign(as_json(spoiled(data.draw, HEADER)).replace(b"\n", b""), PAYLOAD))


@fuzz(200, data=st.data())
def test_any_payload_that_a_bad_box_seals(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        changed = spoiled(data.draw, LINES)
        lines = [as_json(line) for line in changed] if isinstance(changed, list) else [as_json(changed)]
    else:
        lines = bitten(data.draw, b"\n".join(map(canonical, LINES))).split(b"\n")
    count = data.draw(st.sampled_from((1, 2, 3, len(lines), 10_000)))
    opened(forge(seal(b"\n".join(lines) + b"\n"), last_seq=count))


def bombs() -> list[bytes]:
    """What unpacks to more than it may, or says so."""
    zeros = bytes(64 * 1024 * 1024)
    small, frame = b"\n" * 1000, zstandard.ZstdCompressor(level=1)
    honest = frame.compress(small)
    lying = bytearray(zstandard.ZstdCompressor(level=19).compress(zeros))
    window = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(
        window_log=27, enable_ldm=True, write_content_size=False)).compress(zeros)
    # The content size stands in the frame's header behind magic and descriptor: claim a small one.
    lying[5:9] = (1000).to_bytes(4, "little")
    unsaid = zstandard.ZstdCompressor(write_content_size=False).compress(zeros)
    skipped = b"\x50\x2a\x4d\x18" + (2**32 - 1).to_bytes(4, "little") + honest
    nested = honest
    for _ in range(3):
        nested = frame.compress(nested * 1000)
    return [bytes(lying), window, unsaid, skipped, nested, honest * 1000, frame.compress(zeros), b""]


BOMBS = bombs()


@fuzz(60, bomb=st.sampled_from(BOMBS), data=st.data())
def test_decompression_bombs(bomb: bytes, data: st.DataObject) -> None:
    packed = bitten(data.draw, bomb) if data.draw(st.booleans()) and len(bomb) < 100_000 else bomb
    payload = pyrage.encrypt(packed, [pyrage.x25519.Recipient.from_str(RECIPIENT)])
    if len(payload) <= segment.MOST_PAYLOAD_BYTES:
        opened(forge(payload))


# -- records of a bad box, at a real hub ----------------------------------------------------------------

MANIFEST = "0" * 64
#: One record of each kind that the hub reads, as a good box writes it (docs/format.md §6.3).
RECORDS: list[tuple[str, dict[str, Any]]] = [
    ("package", {"id": "ke-yi", "version": 1, "manifest": MANIFEST, "complete": True}),
    ("package-removed", {"id": "ke-yi"}),
    ("no-room", {"packages": [{"id": "ke-yi", "bytes": 5}]}),
    ("box-renewed", {"before": "0" * 16, "lost_first": 1, "lost_last": 3}),
    ("upload", {"sha256": "0" * 64, "size": 3, "name": "a.txt", "title": "甲", "creator": "老师"}),
    ("problem", {"code": "disk-full", "facts": {"path": "/x"}}),
    ("line", {"rate": 30_000, "left": 5_000_000, "state": "open", "finish": 1_790_100_000}),
    ("clock-set", {"before": 0, "after": 1_790_000_000, "by": "device"}),
    ("resource-opened", {"package": "ke-yi", "resource": "a" * 16}),
]


def forged_records(draw: Any, private: str, recipient: str) -> bytes:
    """A segment by the site's own keys whose records are spoiled as far as JSON goes."""
    chosen = draw(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=4))
    plain = [{"seq": 1 + at, "time": 1_700_000_000, "clock_quality": "hub", "kind": kind, "body": body}
             for at, (kind, body) in enumerate(chosen)]
    for one in plain:
        one["body"] = spoiled(draw, one["body"], 2, draw(st.sampled_from((PLAIN, PLAIN, HOSTILE))))
        if draw(st.integers(0, 9)) == 0:
            one["time"] = draw(st.sampled_from((0, 2**53 - 1, -1, "x")))
    first = canonical({"site": "s1", "box": BOX, "number": 1})
    lines = b"\n".join([first, *map(as_json, plain)]) + b"\n"
    payload = pyrage.encrypt(zstandard.ZstdCompressor().compress(lines),
                             [pyrage.x25519.Recipient.from_str(recipient)])
    return segment.assemble(payload, site="s1", box=BOX, number=1, first_seq=1, last_seq=len(plain),
                            previous=NO_PREVIOUS, private=private, recipient=recipient)


def told(hub: Hub) -> None:
    """All that shows what sites say."""
    canonical(msgspec.to_builtins([{**one, "problems": []} for one in hub_status(hub)]))
    msgspec.json.encode(list_uploads(hub))
    browser = create_console(hub).test_client()
    for address in ("/", "/metrics"):
        assert browser.get(address).status_code == 200


def test_any_records_of_a_bad_box_are_taken_in_or_refused_and_the_hub_goes_on(place: Path) -> None:
    pristine = init_hub(place / "pristine", "中心校", ["127.0.0.1"], 2222)
    pairing = add_site(pristine, "s1", "一号")
    (place / "课一").mkdir()
    (place / "课一" / "a.txt").write_text("甲", "utf-8")
    assign(pristine, [publish(pristine, place / "课一", id="ke-yi").id], ["s1"])
    pristine.database.close()
    clock = ManualClock(1_790_000_000)

    @fuzz(100, data=st.data())
    def look(data: st.DataObject) -> None:
        content = forged_records(data.draw, pairing.journal.private, pairing.seal.recipient)
        shutil.rmtree(place / "hub", ignore_errors=True)
        shutil.copytree(place / "pristine", place / "hub", symlinks=True)
        hub = open_hub(place / "hub", clock)
        folder = hub.layout.inbox("s1") / "segments" / BOX
        folder.mkdir(parents=True)
        (folder / segment_name(1)).write_bytes(content)
        with nothing_written(place, place / "hub"):
            done = ingest(hub)
            assert done.segments + done.refused == 1
            told(hub)
        hub.database.close()

    look()
