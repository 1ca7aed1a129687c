"""What a stranger sends to the teachers' pages: the protocol of uploads, signing in, lesson plans."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import strategies as st

from edge import sign_in
from edge.plans import MOST_NOTE, Plans
from edge.tus import MOST_METADATA_BYTES, PLACE
from sync.box.teachers import Teachers
from tests.edge.classroom import add_lessons, make_room, resource_id
from tests.fuzz.running import fuzz, nothing_written
from tests.fuzz.test_words import NAMES

HEADERS = st.sampled_from((
    "0", "1", "-1", "+1", "1.0", "1e3", " 5", "٣", "²", "5" * 18, "5" * 400, "", "x", "1,1", "0x10", "nan"))
IDS = st.sampled_from(("", "x", "..", "%2e%2e%2fbox.db", "a" * 32, "A" * 32, "0" * 5000, "\u0661" * 32))


def clean(text: str) -> str:
    """What a client could put into a header or a form at all."""
    return text.encode("utf-8", "replace").decode().replace("\r", "").replace("\n", "")


def test_a_file_in_pieces_is_what_was_sent_or_nothing(place: Path) -> None:
    """Pieces at right and wrong places, again and again, between what is no request at all."""
    room = make_room(place / "box")
    browser = room.client()
    steps = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 40), HEADERS, IDS), max_size=12)

    @fuzz(40, size=st.integers(0, 100), steps=steps, name=NAMES, raw=st.text(max_size=40))
    def look(size: int, steps: list[tuple[int, int, str, str]], name: str, raw: str) -> None:
        whole, tus = bytes(range(size)), {"Tus-Resumable": "1.0.0"}
        told = base64.b64encode(name.encode("utf-8", "replace")).decode()
        with nothing_written(place, room.data):
            odd = clean(raw).encode("ascii", "ignore").decode()
            answer = browser.post(PLACE, headers={**tus, "Upload-Length": "5", "Upload-Metadata": odd})
            assert answer.status_code in (201, 400)
            about = f"filename {told},title {told}"
            answer = browser.post(PLACE, headers={
                **tus, "Upload-Length": str(size), "Upload-Metadata": about})
            if len(about) > MOST_METADATA_BYTES:
                assert answer.status_code == 400
                return
            address, here = answer.headers["Location"], 0
            for by, count, header, id_ in steps:
                offset = max(here + by * 7, 0)
                sent = whole[offset:offset + count]
                answer = browser.patch(address, data=sent, headers={
                    **tus, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"})
                assert answer.status_code == (204 if offset == here else 409)
                here += len(sent) if offset == here else 0
                for other in (address, f"{PLACE}/{id_}"):
                    answer = browser.patch(other, data=b"!", headers={
                        **tus, "Upload-Offset": header, "Content-Type": "text/plain"})
                    assert 400 <= answer.status_code < 500
            answer = browser.head(address, headers=tus)
            assert answer.headers["Upload-Offset"] == str(here)
            rows = room.journal.database.execute("SELECT size, name FROM upload WHERE came = ?",
                                                 [address.rpartition("/")[2]]).fetchall()
            assert [row[0] for row in rows] == ([size] if here == size else [])
            assert all("/" not in row[1] and row[1] for row in rows)

    look()


def test_signing_in_says_yes_or_no(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = make_room(place / "box")
    room.journal.clock = room.clock
    Teachers(room.journal).add("wang", "王老师", "hash")
    monkeypatch.setattr(sign_in, "right", lambda kept, password: kept == "hash" and password == "right")
    places = NAMES | st.sampled_from(("//evil.test", "/\\evil", "http://evil.test", "/language/en?next=//x"))

    @fuzz(60, login=NAMES | st.just("wang"), password=NAMES | st.just("right"), then=places, kept=NAMES,
          cookie=st.text(max_size=20))
    def look(login: str, password: str, then: str, kept: str, cookie: str) -> None:
        browser = room.client()
        room.clock.advance(86400 * 2)  # so that nobody has to wait
        page = browser.get("/teacher").get_data(as_text=True)
        token = page.split('name="token" value="')[1].split('"')[0]
        with nothing_written(place, room.data):
            answer = browser.post("/teacher/sign-in", data={"token": token, **{
                name: clean(value) for name, value in
                (("login", login), ("password", password), ("then", then), ("kept", kept))}})
            good = clean(login).strip().casefold() == "wang" and password == "right"
            assert answer.status_code == (303 if good else 403)
            if good:
                assert urlsplit(answer.location).netloc == "" and answer.location.startswith("/")
            browser.set_cookie("teachpoint-teacher", clean(cookie).encode("ascii", "ignore").decode())
            page = browser.get("/teacher").get_data(as_text=True)
            assert "王老师" not in page

    look()


def test_a_plan_holds_what_was_typed_within_its_bounds(place: Path) -> None:
    room = make_room(place / "box")
    add_lessons(room)
    teacher = Teachers(room.journal).add("wang", "王老师", "hash")
    film = room.state.catalogue().resource("poems", resource_id("poems", "静夜思"))
    assert film is not None

    @fuzz(60, name=NAMES, note=NAMES | st.text(max_size=900), keys=st.lists(NAMES, max_size=3))
    def look(name: str, note: str, keys: list[str]) -> None:
        plans = Plans(room.database, room.clock)
        id_ = plans.make(teacher.id, f"x{name}")
        plan = plans.find(id_)
        assert plan is not None
        plans.add(plan, film, note)
        plans.change(plan, {"name": name, "note": note, **{f"note {key}": note for key in keys}}, keys)
        found = plans.find(id_)
        assert found is not None and found.name and len(found.entries) == 1
        assert len(found.note.encode().decode()) <= MOST_NOTE
        page = room.page(f"/plan/{id_}")
        assert "<script>" not in page.replace('<script src="', "")
        plans.remove(plan)

    look()
