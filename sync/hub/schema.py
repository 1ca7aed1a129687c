"""hub.db: one named migration after another; one that was released is never edited.

package      every published version: which manifest, from which source folder.
extract      what `extract` found in a file, by its hash, so that each file is looked into once.
site         the sites, with the public halves of their keys.
assignment   package → site, with a priority; `now_version`: that version is to be fetched whatever the
             site's policy says.
timetable    a site's timetable, as in its feed (docs/format.md §5.4); no row: none.
policy       a site's policy, as in its feed (docs/format.md §5.3); no row: no limits.
segment      the journal segments taken in, by (site, box, number).
record       their records, by (site, box, seq): exactly once.
upload       uploaded files that records tell of, and whether their bytes have come.
review       what became of them: looked at, not taken over, published.
feed         the version numbers a site's feed was given last, and the last hub time written in it.
contact      when a site was last connected.
clock        at most one row: the clock that was last believed, and a jump away from it (`sync.hub.clock`).
scrub        one row: the object read last, rounds done, objects found damaged, ever.
damage       objects of the library that are damaged or missing, until they are back.
problem      what an admin should know of (per site or of the hub itself), until it has gone.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from sync.database import execute_each

MIGRATIONS = Migrations("teachpoint-hub")


FIRST_SCHEMA = """
CREATE TABLE package (
    id TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL, name TEXT NOT NULL,
    resources INTEGER NOT NULL, bytes INTEGER NOT NULL, manifest_bytes INTEGER NOT NULL,
    source TEXT NOT NULL, published REAL NOT NULL,
    PRIMARY KEY (id, version)) WITHOUT ROWID;
CREATE TABLE extract (
    sha256 TEXT NOT NULL, extractor TEXT NOT NULL, found TEXT NOT NULL,
    PRIMARY KEY (sha256, extractor)) WITHOUT ROWID;
CREATE TABLE site (
    site TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL, revoked REAL,
    ssh_public TEXT NOT NULL, journal_public TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE assignment (
    site TEXT NOT NULL REFERENCES site(site), package TEXT NOT NULL, priority INTEGER NOT NULL,
    since REAL NOT NULL, PRIMARY KEY (site, package)) WITHOUT ROWID;
CREATE TABLE segment (
    site TEXT NOT NULL, box TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, ingested REAL NOT NULL,
    PRIMARY KEY (site, box, number)) WITHOUT ROWID;
CREATE TABLE record (
    site TEXT NOT NULL, box TEXT NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
    clock_quality TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (site, box, seq)) WITHOUT ROWID;
CREATE INDEX record_kind ON record (kind, site);
CREATE TABLE upload (
    site TEXT NOT NULL, box TEXT NOT NULL, seq INTEGER NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, name TEXT NOT NULL, received REAL,
    PRIMARY KEY (site, box, seq)) WITHOUT ROWID;
CREATE INDEX upload_object ON upload (sha256);
CREATE TABLE contact (site TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE problem (
    site TEXT NOT NULL, code TEXT NOT NULL, facts TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (site, code)) WITHOUT ROWID;
"""


@MIGRATIONS()
def m001_first_schema(db: Database) -> None:
    execute_each(db, FIRST_SCHEMA)


@MIGRATIONS()
def m002_feed_numbers(db: Database) -> None:
    db.execute("CREATE TABLE feed (site TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, "
               "snapshot INTEGER NOT NULL, targets INTEGER NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m003_gaps(db: Database) -> None:
    """Since when the hub waits for a segment of a box while later ones are there."""
    db.execute("CREATE TABLE gap (site TEXT NOT NULL, box TEXT NOT NULL, number INTEGER NOT NULL, "
               "since REAL NOT NULL, PRIMARY KEY (site, box)) WITHOUT ROWID")
    db.execute("CREATE INDEX upload_open ON upload (site, sha256) WHERE received IS NULL")


@MIGRATIONS()
def m004_policy(db: Database) -> None:
    db.execute("CREATE TABLE policy (site TEXT PRIMARY KEY REFERENCES site(site), policy TEXT NOT NULL, "
               "since REAL NOT NULL) WITHOUT ROWID")
    db.execute("ALTER TABLE assignment ADD COLUMN now_version INTEGER")


@MIGRATIONS()
def m005_scrub(db: Database) -> None:
    db.execute("CREATE TABLE scrub (at TEXT NOT NULL, rounds INTEGER NOT NULL, damaged INTEGER NOT NULL)")
    db.execute("INSERT INTO scrub VALUES ('', 0, 0)")
    db.execute("CREATE TABLE damage (sha256 TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m006_timetable(db: Database) -> None:
    db.execute("CREATE TABLE timetable (site TEXT PRIMARY KEY REFERENCES site(site), "
               "timetable TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m007_clock(db: Database) -> None:
    db.execute("CREATE TABLE clock (boot TEXT NOT NULL, since_boot REAL NOT NULL, wall REAL NOT NULL, "
               "jumped_at REAL, jumped_to REAL)")


@MIGRATIONS()
def m008_reviews(db: Database) -> None:
    """By object, whoever sent it; `verdict` as in the feeds (docs/format.md §5.2). What a package holds
    already is found when it is published again."""
    db.execute("CREATE TABLE review (sha256 TEXT PRIMARY KEY, verdict TEXT NOT NULL, note TEXT NOT NULL, "
               "at REAL NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m009_kinds(db: Database) -> None:
    """Results are asked for among millions of other records."""
    db.execute("CREATE INDEX record_result ON record (site, box, seq) WHERE kind = 'result'")
