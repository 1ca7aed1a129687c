"""The PDF of an office file comes with it, is held as dear as it, and goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.box.journal import Journal
from sync.box.room import set_disk_budget
from sync.box.schema import OFFICE_FILES_AGAIN
from sync.box.shelf import Shelf
from sync.box.state import open_box
from sync.errors import NoRoom
from sync.hub import office
from sync.hub.assign import assign
from sync.hub.publish import publish
from sync.manifest import MOST_MANIFEST_BYTES, Blob, Manifest, parse
from sync.programs import find
from tests.office_files import docx
from tests.sync_box.shelf_stage import SITE, Joined, join

pytestmark = pytest.mark.skipif(find(office.PROGRAM) is None, reason="no LibreOffice here")


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    made = join(tmp_path)
    folder = tmp_path / "lessons" / "课"
    folder.mkdir(parents=True)
    (folder / "教案.docx").write_bytes(docx(["山坡"]))
    assign(made.hub, [publish(made.hub, folder).id], [SITE], 3)
    made.sync()
    return made


def pdf_of(joined: Joined) -> tuple[str, bool]:
    """The rendition by the catalogue, and whether its resource can be opened."""
    rows = joined.box.database.execute("SELECT rendition, complete FROM resource")
    [(rendition, complete)] = rows.fetchall()
    return rendition, bool(complete)


def test_it_comes_and_what_is_lost_of_it_comes_again(joined: Joined) -> None:
    rendition, complete = pdf_of(joined)
    assert complete and joined.box.store.path(rendition).read_bytes().startswith(b"%PDF-")
    joined.box.store.remove(rendition)
    journal = Journal(joined.box.database, joined.clock)
    shelf = Shelf(joined.box.database, joined.box.store, journal, joined.clock)
    assert shelf.lost([rendition]) == 1 and shelf.names(rendition) and not pdf_of(joined)[1]
    link = joined.link()
    joined.sync(link)
    assert link.objects == [rendition] and pdf_of(joined) == (rendition, True)


def test_a_box_that_could_not_show_it_yet_finds_it_after_an_update(joined: Joined) -> None:
    rendition, _ = pdf_of(joined)
    joined.box.database.execute("UPDATE resource SET rendition = NULL")
    joined.box.database.execute(OFFICE_FILES_AGAIN)
    joined.box.database.conn.commit()
    link = joined.link()
    joined.sync(link)
    assert link.objects == [] and pdf_of(joined) == (rendition, True)
    assert joined.packages().popitem()[1] == (1, True)


def test_it_goes_when_the_room_is_needed(joined: Joined) -> None:
    rendition, _ = pdf_of(joined)
    joined.box = open_box(joined.box.layout.data, joined.clock)
    set_disk_budget(joined.box.database, joined.box.store.size_bytes() + 6000)
    assign(joined.hub, [joined.lesson("急", a="急" * 2000)], [SITE], 9)
    with pytest.raises(NoRoom):
        joined.sync()
    assert not pdf_of_package(joined, rendition) and not joined.box.store.has(rendition)


def pdf_of_package(joined: Joined, rendition: str) -> bool:
    """Can the resource with this rendition be opened?"""
    return bool(joined.box.database.execute("SELECT 1 FROM resource WHERE rendition = ? AND complete = 1",
                                            [rendition]).fetchall())


def test_packs_count_as_boxes_that_know_no_rendition_do(joined: Joined) -> None:
    manifest: Manifest = parse(joined.hub.store.read(joined.hub.database.execute(
        "SELECT manifest FROM package").fetchone()[0], MOST_MANIFEST_BYTES))
    [resource] = manifest.resources
    assert isinstance(resource.rendition, Blob)
    names = list(manifest.objects())
    assert names[-1] == resource.rendition.sha256
    assert names[:-1] == [name for name, _ in resource.numbered_objects()]
