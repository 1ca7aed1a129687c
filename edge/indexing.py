"""Builds the search index of a box from its database; run as a program of its own.

    python -m edge.indexing DATABASE LIBRARY FOLDER        (`teachpoint box index` does the same)

A program of its own because reading pinyin needs 60 MB and a processor for a while: the classroom
service stays small and quick, and whatever goes wrong here does not touch it. The index is derived and
may be deleted at any time.

`FOLDER/current.json` names the folder of the index in use and says what it was made of. A change of a
few packages is added to that index; a missing, damaged or outdated one is built anew in a folder
beside it, and `current.json` is replaced only when that is whole. Readers therefore always have one.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import tantivy

from edge.terms import TERMS_VERSION, name_terms, pinyin_spelling, text_terms
from sync.database import open_read_only
from sync.durable import make_folder, write_file
from sync.errors import Broken, TeachpointError
from sync.file_lock import HeldByAnother, exclusive
from sync.layout import object_path
from sync.logs import log
from sync.order import grade_key, subject_key, volume_key

#: Raise it with every change of the schema below; an index of another number is built anew.
SCHEMA_VERSION = 1
VERSION = f"{SCHEMA_VERSION}.{TERMS_VERSION}"

#: Memory tantivy may use for documents that are not yet on the disk, in bytes: its least is 15 MB.
WRITER_HEAP_BYTES = 32_000_000
#: How much of one resource's text is indexed, in bytes: a textbook of 400 pages has about 1 MB.
MOST_TEXT_BYTES = 2 * 1024 * 1024
#: Where more than this part of the resources it holds changed, building anew is cheaper than changing.
REBUILD_PART = 0.3
#: How long an update waits for another one to end, in seconds: a million resources need minutes.
PATIENCE_S = 3600.0
#: Largest `current.json` read, in bytes: 10,000 packages at about 200 bytes each, with room to spare.
MOST_STATE_BYTES = 16 * 1024 * 1024

_CURRENT = "current.json"
_FOLDER = re.compile(r"index-[0-9a-f]{16}")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What `current.json` says: the index's folder and files, and what was indexed.

    `files` are the sizes of its files, so that a torn one is noticed before it is opened;
    `packages` holds a fingerprint of each package as it was indexed, `touched` the number of the last change
    of a package that is in it: as box.db of the box named `box` counts them.
    """

    version: str
    folder: str
    generation: int
    files: dict[str, int]
    packages: dict[str, str]
    touched: int = 0
    box: str = ""


@dataclass(frozen=True)
class Built:
    """What a run did: `kind` is `nothing`, `changed`, `built` or `busy`; how many resources it indexed."""

    kind: str
    resources: int
    generation: int


@lru_cache(maxsize=1)
def schema() -> tantivy.Schema:
    """The fields of the index. Terms come from `edge.terms`; filters are `=` and the value."""
    builder = tantivy.SchemaBuilder()
    for name in ("name", "about", "text"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    for name in ("grade", "subject", "type", "package", "complete"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("rank", fast=True)
    return builder.build()


def read_state(folder: Path) -> State | None:
    """What `current.json` says; None where there is no usable index."""
    try:
        with (folder / _CURRENT).open("rb") as handle:
            state = msgspec.json.decode(handle.read(MOST_STATE_BYTES), type=State)
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return state if state.version == VERSION and _FOLDER.fullmatch(state.folder) else None


def whole(folder: Path, state: State) -> bool:
    """Has the index all its files, at their full size?"""
    return sizes(folder / state.folder) == state.files


def sizes(folder: Path) -> dict[str, int]:
    """The sizes of an index's files, locks left out."""
    try:
        return {file.name: file.stat().st_size for file in folder.iterdir()
                if not file.name.endswith(".lock")}
    except OSError:
        return {}


def update(database: Path, library: Path, folder: Path) -> Built:
    """Bring the index below `folder` to the database's generation.

    Waits for another update to end; does nothing (`busy`) if that takes longer than PATIENCE_S.
    Raises Broken `database-broken`, NoRoom `disk-full`.
    """
    make_folder(folder)
    try:
        with exclusive(folder / "lock", PATIENCE_S):
            source = _Source(database, library)
            try:
                return _update(source, folder)
            except sqlite3.DatabaseError as error:
                raise Broken("database-broken", path=database, reason=error) from error
            finally:
                source.close()
    except HeldByAnother:
        return Built("busy", 0, 0)


def _update(source: _Source, folder: Path) -> Built:
    state = read_state(folder)
    if state is not None and not whole(folder, state):
        log("edge.search").warning("index-damaged", folder=state.folder)
        state = None
    generation, touched, box = source.age()
    goes_on = state is not None and state.touched <= touched and state.box == box
    prints = source.prints(state if goes_on else None)
    if state is not None:
        changed = [package for package in state.packages.keys() | prints.keys()
                   if state.packages.get(package) != prints.get(package)]
        if not changed and state.generation == generation:
            return Built("nothing", 0, generation)
        try:
            index = tantivy.Index.open(str(folder / state.folder))
            if source.count(changed) <= REBUILD_PART * index.searcher().num_docs:
                done = _write(index, source, changed, [package for package in changed if package in prints])
                _write_state(folder, state.folder, generation, touched, box, prints)
                return Built("changed", done, generation)
        except (ValueError, OSError) as error:
            log("edge.search").warning("index-unusable", reason=str(error))
    name = f"index-{secrets.token_hex(8)}"
    try:
        make_folder(folder / name)
        done = _write(tantivy.Index(schema(), path=str(folder / name)), source, [], list(prints))
        _write_state(folder, name, generation, touched, box, prints)
    except BaseException:
        shutil.rmtree(folder / name, ignore_errors=True)
        raise
    for old in folder.iterdir():
        if _FOLDER.fullmatch(old.name) and old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return Built("built", done, generation)


def _write(index: tantivy.Index, source: _Source, removed: Iterable[str], added: Iterable[str]) -> int:
    """Replace the documents of packages in one commit; how many documents were written."""
    writer = index.writer(heap_size=WRITER_HEAP_BYTES, num_threads=1)
    done = 0
    try:
        for package in removed:
            writer.delete_documents_by_term("package", "=" + package)
        for document in source.documents(added):
            writer.add_document(document)
            done += 1
        writer.commit()
        writer.garbage_collect_files()
    finally:
        writer.wait_merging_threads()
    return done


def _write_state(folder: Path, name: str, generation: int, touched: int, box: str,
                 prints: dict[str, str]) -> None:
    state = State(version=VERSION, folder=name, generation=generation, files=sizes(folder / name),
                  packages=prints, touched=touched, box=box)
    write_file(folder / _CURRENT, msgspec.json.encode(state))


_PACKAGE_FIELDS = ("name, educationalLevel, about, learningResourceType, isPartOf, edition, volume,"
                   " position, creator")


#: What the documents of a package are made of.
_PRINTED = (f"SELECT manifest, {_PACKAGE_FIELDS}, (SELECT sum(complete) FROM tally"  # noqa: S608 - constants
            " WHERE tally.package = package.id) FROM package WHERE id = ?")


class _Source:
    """Reads the database at one moment: one transaction from first to last."""

    def __init__(self, database: Path, library: Path) -> None:
        self._connection: sqlite3.Connection = open_read_only(database).conn
        self._connection.execute("BEGIN")
        self._library = library

    def close(self) -> None:
        self._connection.close()

    def age(self) -> tuple[int, int, str]:
        """The generation, the number of the last change of a package, and whose database it is: a box that
        goes on from an old copy gets another name, and its numbers mean other changes from then on."""
        said = dict(self._connection.execute(
            "SELECT name, value FROM setting WHERE name IN ('generation', 'box')").fetchall())
        [last] = self._connection.execute("SELECT max(number) FROM touched").fetchone()
        return int(said.get("generation", 0)), last or 0, said.get("box", "")

    def prints(self, known: State | None) -> dict[str, str]:
        """A fingerprint of each package: of all that its documents are made of. Only those that were touched
        since `known` are read."""
        if known is None:
            ids = self._connection.execute("SELECT id FROM package").fetchall()
            prints = {}
        else:
            ids = self._connection.execute("SELECT package FROM touched WHERE number > ?",
                                           (known.touched,)).fetchall()
            prints = dict(known.packages)
        for (package,) in ids:
            prints.pop(package, None)
            row = self._connection.execute(_PRINTED, (package,)).fetchone()
            if row is not None:
                facts = json.dumps([*row[:-1], row[-1] or 0]).encode()
                prints[package] = hashlib.blake2b(facts, digest_size=12).hexdigest()
        return prints

    def count(self, packages: Iterable[str]) -> int:
        """How many resources these packages have."""
        return sum(self._connection.execute(
            "SELECT coalesce(sum(resources), 0) FROM tally WHERE package = ?", (one,)).fetchone()[0]
            for one in packages)

    def documents(self, packages: Iterable[str]) -> Iterator[tantivy.Document]:
        """A document for each resource of these packages."""
        for package in packages:
            fields = self._connection.execute(
                f"SELECT {_PACKAGE_FIELDS} FROM package WHERE id = ?", (package,)).fetchone()  # noqa: S608 - constants
            name, grade, subject, kind, book, edition, volume, position, creator = fields
            facts = (name, grade, subject, kind, book, edition, volume, creator)
            about = " ".join(name_terms(facts, syllables))
            filters = (("grade", grade), ("subject", subject), ("package", package))
            place = rank_of_package(package, grade, subject, volume, position)
            rows = self._connection.execute(
                "SELECT id, name, type, position, text, complete FROM resource WHERE package = ?", (package,))
            for resource, title, sort, order, text, complete in rows:
                document = tantivy.Document()
                document.add_text("name", " ".join(name_terms((title,), syllables)))
                document.add_text("about", about)
                document.add_text("text", " ".join(text_terms(self._text(text))) if text else "")
                for field, value in (*filters, ("type", sort), ("complete", str(complete))):
                    document.add_text(field, "=" + value)
                document.add_text("key", f"{package}\n{resource}")
                document.add_unsigned("rank", place << 20 | min(max(order, 0), 2**20 - 1))
                yield document

    def _text(self, sha256: str) -> str:
        return read_text(self._library, sha256)


def read_text(library: Path, sha256: str) -> str:
    """The beginning of a text object, "" where it is not here (yet). Pages are divided by form feeds."""
    try:
        with (library / object_path(sha256)).open("rb") as handle:
            return handle.read(MOST_TEXT_BYTES).decode("utf-8", "ignore")
    except OSError:
        return ""


def rank_of_package(package: str, grade: str, subject: str, volume: str, position: int) -> int:
    """Where a package stands among results of equal worth, in 44 bits: as `catalogue.teaching_order`,
    except that packages of one position are told apart by a hash, so that the rank of one does not
    depend on which others there are."""
    grade_rank = grade_key(grade)[0] // 5                        # 8 bits: ranks are multiples of 5, to 999
    subject_rank = min(subject_key(subject)[0], 31)              # 5 bits
    volume_rank = min(volume_key(volume)[0], 7)                  # 3 bits
    place = min(max(position, 0), 2**14 - 1)                     # 14 bits
    own = int.from_bytes(hashlib.blake2b(package.encode(), digest_size=2).digest()) & 0x3FFF  # 14 bits
    return (((grade_rank << 5 | subject_rank) << 3 | volume_rank) << 14 | place) << 14 | own


@lru_cache(maxsize=20_000)
def syllables(run: str) -> tuple[str, ...]:
    """How a Chinese run is read aloud, a syllable for each character, in the spelling of terms."""
    from pypinyin import lazy_pinyin  # 60 MB: only this program pays for it, and only when it works

    unread: Any = lambda unknown: [""] * len(unknown)  # noqa: E731 - its types do not say that it takes lists
    read: Any = lazy_pinyin(run, errors=unread)
    return tuple(pinyin_spelling(one) for one in read)


def main(arguments: list[str]) -> int:
    """`DATABASE LIBRARY FOLDER`: update, print what was done as JSON."""
    database, library, folder = (Path(argument) for argument in arguments)
    try:
        built = update(database, library, folder)
    except TeachpointError as error:
        sys.stderr.write(json.dumps(error.as_json(), ensure_ascii=False) + "\n")
        return error.exit_code
    facts: dict[str, Any] = {"kind": built.kind, "resources": built.resources, "generation": built.generation}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
