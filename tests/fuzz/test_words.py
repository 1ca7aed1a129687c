"""What people type and what they call their files: the words of `hub policy`, and the names of uploads by the
form, the drop folder and a record."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from hypothesis import strategies as st

from edge.drop_folder import QUIET_S, UNSURE_QUIET_S, DropFolder
from sync import policy
from sync.box.state import open_box
from sync.command_line import run
from sync.errors import TeachpointError
from sync.hub import commands_policy
from sync.hub.commands import hub as hub_commands
from sync.hub.commands_ingest import list_uploads
from sync.hub.console import create_console
from sync.hub.feed import site_policy
from sync.hub.ingest import ingest
from sync.text import file_name
from tests.edge.classroom import make_room
from tests.fuzz.hostile import TEXTS, Raw
from tests.fuzz.running import fuzz, named_errors, nothing_written
from tests.sync_box.outbox_fixture import make_outbox
from tests.sync_box.shelf_stage import SITE, join

# -- hub policy -----------------------------------------------------------------------------------------

PIECES = st.sampled_from((
    "mon", "fri", "mon-fri", "sat,sun", "周一", "星期日", "周一至周五", "每天", "daily", "always", "none",
    "18:00-06:00", "00:00-24:00", "24:00-00:00", "08:00-08:00", "1:5-2:00", "25:61-99:99",
    "０８:００-１２:００", "08:00-12:00,13:00-17:00", "²:00-3:00", "-", ",", ";", "；", "、", ":", "1M",
    "512k", "0", "2G", "1e9", "-1", "999999999T", "0.001k", "٣M", "1.5Mbit/s", "+08:00", "-12:00", "+99:99",
    "+14:01", "\0", "\udcff", "\ufeff", "x" * 5000, " " * 300, "mon-" * 500))
WORDS = st.lists(PIECES, max_size=6).flatmap(lambda words: st.sampled_from((" ", "", ";")).map(
    lambda between: between.join(words)))


@fuzz(300, text=WORDS | st.text(max_size=20))
def test_times_rates_and_offsets(text: str) -> None:
    for read in (policy.read_times, policy.read_offset, policy.read_amount, policy.read_rate):
        with named_errors("policy-"):
            read(text)


def test_whatever_is_typed_the_policy_that_comes_of_it_is_one_that_boxes_take(place: Path) -> None:
    joined = join(place / "pair")
    hub = joined.hub
    options = st.sampled_from(
        ("--hours", "--cap", "--class-hours", "--class-rate", "--budget", "--utc-offset"))
    assert commands_policy.policy_.name == "policy"

    @fuzz(60, typed=st.lists(st.tuples(options, WORDS), min_size=1, max_size=3))
    def look(typed: list[tuple[str, str]]) -> None:
        words = [word for pair in typed for word in pair]
        with nothing_written(place, hub.layout.data):
            status = run(hub_commands, ["policy", SITE, "--data", str(hub.layout.data), "--json", *words])
            assert status in (0, 2)
            kept = site_policy(hub, SITE)
            assert policy.parse_policy(policy.as_plain(kept)) in (kept, policy.NO_POLICY)

    look()


# -- names of uploads -----------------------------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from([text for text in TEXTS if not isinstance(text, Raw)]), st.text(max_size=20),
    st.sampled_from(("../" * 20 + "etc/passwd", "/", "\\", "..", "a" * 300 + ".pdf", "课" * 300 + ".pdf",
                     "\ud800.txt", "\udcff\udcfe", "a\r\nSet-Cookie: x=1", "\x7f", "\x00", "CON", "....",
                     " . ", "a/", "-rf /")))


@fuzz(300, name=NAMES)
def test_a_file_name_is_one_part_of_one_line(name: str) -> None:
    shown = file_name(name)
    assert 1 <= len(shown) <= 255 and "/" not in shown and "\0" not in shown and "\n" not in shown
    assert shown.encode("utf-8")


def test_an_upload_of_any_name_reaches_the_hub_and_nothing_else(place: Path) -> None:
    joined = join(place / "pair")
    box, hub = joined.box, joined.hub
    outbox = make_outbox(box.layout.data, box.box_id, box.pairing)
    file = place / "work" / "file"

    @fuzz(30, name=NAMES, title=NAMES, content=st.binary(max_size=5))
    def look(name: str, title: str, content: bytes) -> None:
        file.write_bytes(content)
        before = len(list_uploads(hub))
        with nothing_written(place, box.layout.data, hub.layout.data):
            outbox.add_upload(file, name=name, title=title, creator=title)
            outbox.cut()
            joined.link().push_outbox(box.layout.outbox, outbox.pending())
            ingest(hub)
            told = list_uploads(hub)
            assert len(told) == before + 1 and told[-1]["received"] is not None
        assert create_console(hub).test_client().get("/").status_code == 200

    look()


def test_the_form_takes_any_name_or_says_why_not(place: Path) -> None:
    room = make_room(place / "box")
    browser = room.client()
    page = browser.get("/upload").get_data(as_text=True)
    token = page.split('name="token" value="')[1].split('"')[0]

    @fuzz(50, name=NAMES, title=NAMES, licence=NAMES)
    def look(name: str, title: str, licence: str) -> None:
        fields = {key: value.encode("utf-8", "replace").decode() for key, value in
                  (("title", title), ("license", licence), ("about", name))}
        safe = name.encode("utf-8", "replace").decode().replace("\r", "").replace("\n", "")
        with nothing_written(place, room.data):
            answer = browser.post("/upload", data={**fields, "token": token, "file": (BytesIO(b"x"), safe)})
            assert answer.status_code in (303, 400)
            shown = browser.get(answer.location or "/upload")
            assert shown.status_code == 200 and "<script>" not in shown.get_data(as_text=True).replace(
                '<script src="', "")
        assert not list((place / "temporary").iterdir())

    look()


def test_the_drop_folder_takes_any_name_that_a_disk_holds(place: Path) -> None:
    joined = join(place / "pair")
    box, clock = joined.box, joined.clock
    told: list[TeachpointError | None] = []

    @fuzz(30, name=NAMES | st.binary(min_size=1, max_size=40).map(os.fsdecode))
    def look(name: str) -> None:
        folder = box.layout.uploads
        if "/" in name:
            return
        try:
            (folder / name).write_bytes(b"x")
        except (OSError, ValueError):  # no disk holds it, so no teacher can drop it
            return
        dropped = DropFolder(folder, lambda: make_outbox(box.layout.data, box.box_id, box.pairing),
                             lambda: None, told.append, clock)
        with nothing_written(place, box.layout.data):
            for _ in range(3):
                dropped.look()
                clock.advance(max(QUIET_S, UNSURE_QUIET_S) + 1)
        for left in folder.iterdir():
            left.unlink()

    look()
    opened = open_box(box.layout.data, clock)
    names = [name for (name,) in opened.database.execute("SELECT name FROM upload")]
    assert names and not any("/" in name for name in names) and told == []
