"""box.db: one named migration after another; one that was released is never edited.

setting      facts about this box: `box` (its id), `generation` (counts up with each change of the
             catalogue: pages' ETag, the search index's age), last contact, last error, hub time.
assigned     what the last trusted feed says the box shall have.
package      what teachers see: for an update the old version, until the new one is whole.
resource     its resources; `complete` = all its files are stored, so it may be opened.
file         their files.
journal      all that happened here, numbered; `segment` once it has been cut into one.
segment      the segments in the outbox, chained by hash, until the hub has acknowledged them.
upload       files that teachers gave for the hub.
problem      what a person should know of, until it has gone.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.database import execute_each

MIGRATIONS = Migrations("teachpoint-box")


FIRST_SCHEMA = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE assigned (
    package TEXT PRIMARY KEY, version INTEGER NOT NULL, manifest TEXT NOT NULL,
    manifest_bytes INTEGER NOT NULL, bytes INTEGER NOT NULL, priority INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE package (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, manifest TEXT NOT NULL, name TEXT NOT NULL,
    inLanguage TEXT NOT NULL, educationalLevel TEXT NOT NULL, about TEXT NOT NULL,
    learningResourceType TEXT NOT NULL, isPartOf TEXT NOT NULL, edition TEXT NOT NULL,
    volume TEXT NOT NULL, position INTEGER NOT NULL, creator TEXT NOT NULL,
    license TEXT NOT NULL, description TEXT NOT NULL, priority INTEGER NOT NULL,
    complete INTEGER NOT NULL, arrived REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE resource (
    package TEXT NOT NULL REFERENCES package(id) ON DELETE CASCADE, id TEXT NOT NULL,
    name TEXT NOT NULL, type TEXT NOT NULL, mediaType TEXT NOT NULL, entry TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT, thumbnail TEXT, text TEXT,
    timeRequired TEXT NOT NULL, pages INTEGER NOT NULL, position INTEGER NOT NULL,
    complete INTEGER NOT NULL, arrived REAL, PRIMARY KEY (package, id)) WITHOUT ROWID;
CREATE INDEX resource_id ON resource (id);
CREATE INDEX resource_arrived ON resource (arrived);
CREATE TABLE file (
    package TEXT NOT NULL, resource TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, PRIMARY KEY (package, path),
    FOREIGN KEY (package, resource) REFERENCES resource(package, id) ON DELETE CASCADE)
    WITHOUT ROWID;
CREATE INDEX file_object ON file (sha256);
CREATE INDEX file_resource ON file (package, resource);
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, clock_quality TEXT NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL, segment INTEGER);
CREATE INDEX journal_open ON journal (segment) WHERE segment IS NULL;
CREATE TABLE segment (
    number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE upload (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    name TEXT NOT NULL, title TEXT NOT NULL, about TEXT NOT NULL,
    educationalLevel TEXT NOT NULL, license TEXT NOT NULL, creator TEXT NOT NULL,
    time REAL NOT NULL, seq INTEGER NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE INDEX upload_object ON upload (sha256);
CREATE TABLE problem (
    code TEXT PRIMARY KEY, facts TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID;
"""


@MIGRATIONS()
def m001_first_schema(db: Database) -> None:
    execute_each(db, FIRST_SCHEMA)
