"""box.db: one named migration after another; one that was released is never edited.

setting      facts about this box: `box` (its id), `generation` (counts up with each change of the
             catalogue: pages' ETag, the search index's age), last contact, last error, hub time.
assigned     what the last trusted feed says the box shall have; `now`: whatever the policy says.
usage        what the line has carried in each month of the site, in bytes.
package      what teachers see: for an update the old version, until the new one is whole.
resource     its resources; `complete` = all its files are stored, so it may be opened.
file         their files.
journal      all that happened here, numbered; `segment` once it has been cut into one.
segment      the segments in the outbox, chained by hash, until the hub has acknowledged them.
upload       files that teachers gave for the hub; whose they are, what the hub said of them.
receiving    files that are still being sent to the box, as far as they are on the disk.
tally        per package and type: how many resources and bytes there are, how many are whole. Kept by
             triggers on `resource`, so it is never wrong; a page need not count a million rows.
touched      each package under the number of its last change, also of one that has gone. Kept by triggers.
problem      what a person should know of, until it has gone.
opened       per package the record of its last opening: what was opened longest ago goes first.
display      the screens of the room, and what each shows.
teacher      who may sign in; their passwords as argon2 hashes.
session      who is signed in, by the hash of what the browser holds; gone when the password changes.
device       browsers in which a teacher has signed in before: others' guesses do not lock them out.
plan         lesson plans: what teachers have gathered, in order (`planned`), with notes.
attempt      failures to sign in, by address, account and known device, and until when each must wait.
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


#: What pages ask of a million resources, each through an index (tests/edge/test_catalogue_plans.py).
CATALOGUE_INDEXES = """
CREATE INDEX resource_order ON resource (package, position, id, type, complete);
CREATE INDEX resource_latest ON resource (package, arrived) WHERE arrived > 0;
CREATE INDEX resource_thumbnail ON resource (thumbnail) WHERE thumbnail IS NOT NULL;
CREATE TABLE tally (
    package TEXT NOT NULL, type TEXT NOT NULL, resources INTEGER NOT NULL,
    complete INTEGER NOT NULL, bytes INTEGER NOT NULL, bytes_left INTEGER NOT NULL,
    PRIMARY KEY (package, type)) WITHOUT ROWID;
INSERT INTO tally
    SELECT package, type, count(*), sum(complete), sum(size), sum(iif(complete, 0, size))
    FROM resource GROUP BY package, type
"""
_TALLY_ADD = """
    INSERT INTO tally
    VALUES (NEW.package, NEW.type, 1, NEW.complete, NEW.size, iif(NEW.complete, 0, NEW.size))
    ON CONFLICT (package, type) DO UPDATE SET
        resources = resources + 1, complete = complete + excluded.complete,
        bytes = bytes + excluded.bytes, bytes_left = bytes_left + excluded.bytes_left;"""
_TALLY_TAKE = """
    UPDATE tally SET resources = resources - 1, complete = complete - OLD.complete, bytes = bytes - OLD.size,
        bytes_left = bytes_left - iif(OLD.complete, 0, OLD.size)
    WHERE package = OLD.package AND type = OLD.type;
    DELETE FROM tally WHERE package = OLD.package AND type = OLD.type AND resources = 0;"""
_TALLY_TRIGGERS = (
    f"CREATE TRIGGER resource_added AFTER INSERT ON resource BEGIN {_TALLY_ADD} END",
    f"CREATE TRIGGER resource_removed AFTER DELETE ON resource BEGIN {_TALLY_TAKE} END",
    "CREATE TRIGGER resource_changed AFTER UPDATE OF package, type, complete, size ON resource "
    f"BEGIN {_TALLY_TAKE} {_TALLY_ADD} END",
)


@MIGRATIONS()
def m002_catalogue_of_a_million(db: Database) -> None:
    execute_each(db, CATALOGUE_INDEXES)
    for trigger in _TALLY_TRIGGERS:
        db.execute(trigger)


@MIGRATIONS()
def m003_what_was_sent(db: Database) -> None:
    """`sent`: how many feeds had been read when it was last sent (NULL: never); `tries`: how often;
    `wanted`: an acknowledgement covers the record, and the hub asked for the bytes."""
    for table in ("segment", "upload"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN sent INTEGER")
        db.execute(f"ALTER TABLE {table} ADD COLUMN tries INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE upload ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX segment_open ON segment (number) WHERE acknowledged = 0")
    db.execute("CREATE INDEX upload_open ON upload (sha256) WHERE acknowledged = 0")


@MIGRATIONS()
def m004_what_was_opened(db: Database) -> None:
    """By the number of the record and not by time: the clock may be wrong. Kept by a trigger, so that it is
    true whoever writes the record, and stays when the record is acknowledged and gone."""
    db.execute("CREATE TABLE opened (package TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO opened SELECT json_extract(body, '$.package'), max(seq) FROM journal "
               "WHERE kind = 'resource-opened' AND json_extract(body, '$.package') IS NOT NULL "
               "GROUP BY json_extract(body, '$.package')")
    db.execute("CREATE TRIGGER journal_opened AFTER INSERT ON journal WHEN NEW.kind = 'resource-opened' "
               "AND json_extract(NEW.body, '$.package') IS NOT NULL BEGIN INSERT INTO opened "
               "VALUES (json_extract(NEW.body, '$.package'), NEW.seq) "
               "ON CONFLICT (package) DO UPDATE SET seq = excluded.seq; END")


@MIGRATIONS()
def m005_the_line(db: Database) -> None:
    db.execute("ALTER TABLE assigned ADD COLUMN now INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE TABLE usage (month TEXT PRIMARY KEY, received_bytes INTEGER NOT NULL, "
               "sent_bytes INTEGER NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m006_carried(db: Database) -> None:
    """What the line has carried, ever, by class (`sync.box.line.CLASSES`), both directions together."""
    db.execute("CREATE TABLE carried (class TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def m007_segments_kept(db: Database) -> None:
    """`data`: the segment's bytes until the hub has acknowledged it. The hub takes a number with one content
    only, so a file that rots could not be made anew."""
    db.execute("ALTER TABLE segment ADD COLUMN data BLOB")


@MIGRATIONS()
def m008_displays(db: Database) -> None:
    """The screens of the room, and what each shows: after a power cut it shows it again. `seen` counts up
    with each start of a screen; `version` with each command; `jump` is the version of the last leap in a
    film."""
    db.execute("CREATE TABLE display (id TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, "
               "code TEXT NOT NULL, seen INTEGER NOT NULL, version INTEGER NOT NULL, jump INTEGER NOT NULL, "
               "package TEXT, resource TEXT, page INTEGER NOT NULL, playing INTEGER NOT NULL, "
               "at_s REAL NOT NULL, blank INTEGER NOT NULL) WITHOUT ROWID")


TEACHERS = """
CREATE TABLE teacher (
    id INTEGER PRIMARY KEY AUTOINCREMENT, login TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    password TEXT NOT NULL, created REAL NOT NULL, signed_in REAL);
CREATE TABLE session (
    token TEXT PRIMARY KEY, teacher INTEGER NOT NULL REFERENCES teacher(id) ON DELETE CASCADE,
    own INTEGER NOT NULL, seen REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX session_teacher ON session (teacher);
CREATE TABLE device (
    device TEXT NOT NULL, teacher INTEGER NOT NULL REFERENCES teacher(id) ON DELETE CASCADE,
    since REAL NOT NULL, PRIMARY KEY (teacher, device)) WITHOUT ROWID;
CREATE TABLE attempt (
    who TEXT PRIMARY KEY, failures INTEGER NOT NULL, last REAL NOT NULL, until REAL NOT NULL)
    WITHOUT ROWID;
"""


@MIGRATIONS()
def m009_teachers(db: Database) -> None:
    """Who may sign in, and who is signed in. Nobody needs to where no teacher is: uploads are open then."""
    execute_each(db, TEACHERS)


@MIGRATIONS()
def m010_uploads_go_on(db: Database) -> None:
    """`teacher`: whose it is; `came`: what it was called while it came; `said`, `note`: what became of it at
    the hub (docs/format.md §5.2). `receiving`: `received` bytes of the file `receiving/<id>` are durable."""
    db.execute("ALTER TABLE upload ADD COLUMN teacher INTEGER")
    db.execute("ALTER TABLE upload ADD COLUMN came TEXT")
    db.execute("ALTER TABLE upload ADD COLUMN said TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE upload ADD COLUMN note TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE UNIQUE INDEX upload_came ON upload (came) WHERE came IS NOT NULL")
    db.execute("CREATE INDEX upload_teacher ON upload (teacher)")
    db.execute("CREATE TABLE receiving (id TEXT PRIMARY KEY, teacher INTEGER, size INTEGER NOT NULL, "
               "received INTEGER NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL, changed REAL NOT NULL) "
               "WITHOUT ROWID")


@MIGRATIONS()
def m011_plans(db: Database) -> None:
    """A plan outlives its teacher's account: a class may hold its address."""
    db.execute("CREATE TABLE plan (id TEXT PRIMARY KEY, teacher INTEGER NOT NULL, name TEXT NOT NULL, "
               "note TEXT NOT NULL, changed INTEGER NOT NULL, created REAL NOT NULL) WITHOUT ROWID")
    db.execute("CREATE INDEX plan_teacher ON plan (teacher)")
    db.execute("CREATE TABLE planned (plan TEXT NOT NULL REFERENCES plan(id) ON DELETE CASCADE, "
               "position INTEGER NOT NULL, package TEXT NOT NULL, resource TEXT NOT NULL, "
               "name TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (plan, position)) WITHOUT ROWID")


OFFICE_FILES_AGAIN = """
UPDATE package SET manifest = '' WHERE id IN (SELECT package FROM assigned) AND id IN (
    SELECT package FROM resource WHERE mediaType LIKE 'application/vnd.openxmlformats-%'
    OR mediaType LIKE 'application/vnd.ms-%' OR mediaType LIKE 'application/vnd.oasis.%'
    OR mediaType LIKE 'application/x-wps-%' OR mediaType IN ('application/msword', 'application/rtf'))
"""


@MIGRATIONS()
def m012_renditions(db: Database) -> None:
    """`rendition`: the PDF that is shown in a file's place. Packages with office files are looked at again by
    the next sync: a hub may have sent a PDF already, which this box could not show."""
    db.execute("ALTER TABLE resource ADD COLUMN rendition TEXT")
    db.execute(OFFICE_FILES_AGAIN)


_TOUCH = "DELETE FROM touched WHERE package = {0}; INSERT INTO touched (package) VALUES ({0});"
_PACKAGE_COLUMN = {"package": "id", "tally": "package"}


@MIGRATIONS()
def m013_touched(db: Database) -> None:
    """Whoever knows the catalogue as it was at one number reads only the packages with a higher one."""
    db.execute("CREATE TABLE touched (number INTEGER PRIMARY KEY AUTOINCREMENT, "
               "package TEXT NOT NULL UNIQUE)")
    db.execute("INSERT INTO touched (package) SELECT id FROM package")
    for table, column in _PACKAGE_COLUMN.items():
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            db.execute(f"CREATE TRIGGER {table}_touched_by_{event.lower()} AFTER {event} ON {table} "
                       f"BEGIN {_TOUCH.format(f'{row}.{column}')} END")
