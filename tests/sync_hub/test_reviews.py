"""What became of a teacher's file is told to its site, by a feed that also an older box can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.desired import MOST_TOLD, MOST_TOLD_NOTE, Told, dump
from sync.errors import Refused
from sync.hub.feed import current_acks
from sync.hub.ingest import ingest
from sync.hub.publish import publish
from sync.hub.reviews import DECLINED, REVIEWED, SPREAD, review
from sync.hub.settings import Hub, init_hub
from sync.hub.sites import add_site, revoke_site
from sync.segment import Upload
from tests.sync_hub.test_ingest import SITE, Pair, pair

__all__ = ["pair"]  # the fixture

WORK = "我的卷子".encode()


def sent(pair: Pair, tmp_path: Path, data: bytes = WORK) -> str:
    """A file that a teacher sent, and that is at the hub; its SHA-256."""
    file = tmp_path / "卷子.txt"
    file.write_bytes(data)
    pair.outbox.add_upload(file, name="卷子.txt", title="卷子")
    pair.outbox.cut()
    pair.carry()
    ingest(pair.hub)
    pair.acknowledge()
    (sha256,) = pair.box.database.execute("SELECT sha256 FROM upload ORDER BY id DESC").fetchone()
    return str(sha256)


def hear(pair: Pair) -> list[tuple[str, str]]:
    """The box reads the feed; what it knows of its files then."""
    pair.outbox.hear(current_acks(pair.hub, SITE))
    return pair.box.database.execute("SELECT said, note FROM upload ORDER BY id").fetchall()


def test_what_nobody_looked_at_is_not_in_the_feed(pair: Pair, tmp_path: Path) -> None:
    sent(pair, tmp_path)
    assert b"told" not in dump(current_acks(pair.hub, SITE)) and hear(pair) == [("", "")]


def test_a_word_reaches_the_teacher(pair: Pair, tmp_path: Path) -> None:
    sha256 = sent(pair, tmp_path)
    assert review(pair.hub, sha256, REVIEWED, "很好\n" + "！" * 200) == [SITE]
    [(said, note)] = hear(pair)
    assert said == REVIEWED and note.startswith("很好 ！") and len(note) <= MOST_TOLD_NOTE
    review(pair.hub, sha256, DECLINED, "看不清")
    assert hear(pair) == [(DECLINED, "看不清")]
    assert pair.outbox.hear(current_acks(pair.hub, SITE)) == 0, "nothing new is not written again"


@pytest.mark.parametrize("leaf", ["卷子.txt", "另一个名字.txt"])
def test_what_is_published_is_spread_by_that(pair: Pair, tmp_path: Path, leaf: str) -> None:
    sha256 = sent(pair, tmp_path)
    review(pair.hub, sha256, REVIEWED, "很好")
    lesson = tmp_path / "语文" / "第01课"
    lesson.mkdir(parents=True)
    (lesson / "别的.txt").write_text("别的", "utf-8")
    publish(pair.hub, lesson)
    assert hear(pair) == [(REVIEWED, "很好")]
    (lesson / leaf).write_bytes(WORK)
    publish(pair.hub, lesson)
    assert hear(pair) == [(SPREAD, "")]


def test_files_that_nobody_sent_and_sites_that_are_gone(pair: Pair, tmp_path: Path) -> None:
    for sha256 in ("0" * 64, "x", "../.."):
        with pytest.raises(Refused) as refused:
            review(pair.hub, sha256, REVIEWED, "")
        assert refused.value.code == "upload-unknown"
    sha256 = sent(pair, tmp_path)
    revoke_site(pair.hub, SITE)
    with pytest.raises(Refused):
        review(pair.hub, sha256, REVIEWED, "")


def test_a_site_is_told_of_its_own_files_alone_the_newest_first(tmp_path: Path) -> None:
    hub: Hub = init_hub(tmp_path / "hub", "中心校", ["127.0.0.1"], 2222)
    for site in ("s1", "s2"):
        add_site(hub, site, site)
        for number in range(MOST_TOLD + 9):
            upload = Upload(sha256=f"{number:063d}{site[1]}", size=1, name="a")
            hub.database.execute("INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, 1)",
                                 [site, "0" * 16, number + 1, upload.sha256, upload.size, upload.name])
            hub.database.execute("INSERT INTO review VALUES (?, 'reviewed', '', ?)", [upload.sha256, number])
    told = current_acks(hub, "s1").told
    assert told == [Told(sha256=f"{number:063d}1", state=REVIEWED) for number in range(MOST_TOLD + 8, 8, -1)]


def test_states_of_a_later_hub_are_kept(pair: Pair, tmp_path: Path) -> None:
    sha256 = sent(pair, tmp_path)
    pair.hub.database.execute("INSERT INTO review VALUES (?, 'praised', '', 1)", [sha256])
    assert hear(pair) == [("praised", "")]
