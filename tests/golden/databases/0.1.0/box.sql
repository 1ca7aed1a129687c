BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'teachpoint-box','m001_first_schema','2026-11-25 16:16:08.098847+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'teachpoint-box','m002_catalogue_of_a_million','2026-11-25 16:16:08.104933+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'teachpoint-box','m003_what_was_sent','2026-11-25 16:16:08.107487+00:00');
CREATE TABLE assigned (
    package TEXT PRIMARY KEY, version INTEGER NOT NULL, manifest TEXT NOT NULL,
    manifest_bytes INTEGER NOT NULL, bytes INTEGER NOT NULL, priority INTEGER NOT NULL)
    WITHOUT ROWID;
INSERT INTO "assigned" VALUES('da-qing-shu-2fbfae1c90f9',2,'55285d2991a56d5d9ad1d0fae89abf8d45888a9240b13f274025378b50a0d541',835,27,5);
INSERT INTO "assigned" VALUES('hua-de-xue-xiao-7582f98a4f08',1,'74014d6d663b69f2c1ec5241308159dbe7af861336595c37529e544a5b6c7d6a',489,6,5);
CREATE TABLE file (
    package TEXT NOT NULL, resource TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, PRIMARY KEY (package, path),
    FOREIGN KEY (package, resource) REFERENCES resource(package, id) ON DELETE CASCADE)
    WITHOUT ROWID;
INSERT INTO "file" VALUES('da-qing-shu-2fbfae1c90f9','345f86c3b8feb2f1','词语.txt','de1e74ab72fc34d061794ee2ef26152dd9ee3531593287e8864acead7453a3f1',6);
INSERT INTO "file" VALUES('da-qing-shu-2fbfae1c90f9','e369b69f875d4461','课文.txt','76157a157798d6e9896131d712b1aa765e2500b7cff6888913ceddd664659dad',21);
INSERT INTO "file" VALUES('hua-de-xue-xiao-7582f98a4f08','805e10c14a0ada2f','课文.txt','f2c5f7607824c2d5da4ac967cf1ebc5df2ffc91c5e75c47b30dc2da9ba364996',6);
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, clock_quality TEXT NOT NULL,
    kind TEXT NOT NULL, body TEXT NOT NULL, segment INTEGER);
INSERT INTO "journal" VALUES(6,1790000000.0,'hub','resource-opened','{"package":"花的学校","resource":"r"}',4);
CREATE TABLE package (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, manifest TEXT NOT NULL, name TEXT NOT NULL,
    inLanguage TEXT NOT NULL, educationalLevel TEXT NOT NULL, about TEXT NOT NULL,
    learningResourceType TEXT NOT NULL, isPartOf TEXT NOT NULL, edition TEXT NOT NULL,
    volume TEXT NOT NULL, position INTEGER NOT NULL, creator TEXT NOT NULL,
    license TEXT NOT NULL, description TEXT NOT NULL, priority INTEGER NOT NULL,
    complete INTEGER NOT NULL, arrived REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "package" VALUES('da-qing-shu-2fbfae1c90f9',2,'55285d2991a56d5d9ad1d0fae89abf8d45888a9240b13f274025378b50a0d541','大青树','zh-CN','','','','','','',0,'','','',5,1,1790000000.0);
INSERT INTO "package" VALUES('hua-de-xue-xiao-7582f98a4f08',1,'74014d6d663b69f2c1ec5241308159dbe7af861336595c37529e544a5b6c7d6a','花的学校','zh-CN','','','','','','',0,'','','',5,1,1790000000.0);
CREATE TABLE problem (
    code TEXT PRIMARY KEY, facts TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE resource (
    package TEXT NOT NULL REFERENCES package(id) ON DELETE CASCADE, id TEXT NOT NULL,
    name TEXT NOT NULL, type TEXT NOT NULL, mediaType TEXT NOT NULL, entry TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT, thumbnail TEXT, text TEXT,
    timeRequired TEXT NOT NULL, pages INTEGER NOT NULL, position INTEGER NOT NULL,
    complete INTEGER NOT NULL, arrived REAL, PRIMARY KEY (package, id)) WITHOUT ROWID;
INSERT INTO "resource" VALUES('da-qing-shu-2fbfae1c90f9','345f86c3b8feb2f1','词语','text','text/plain','词语.txt',6,'de1e74ab72fc34d061794ee2ef26152dd9ee3531593287e8864acead7453a3f1',NULL,'de1e74ab72fc34d061794ee2ef26152dd9ee3531593287e8864acead7453a3f1','',0,1,1,1790000000.0);
INSERT INTO "resource" VALUES('da-qing-shu-2fbfae1c90f9','e369b69f875d4461','课文','text','text/plain','课文.txt',21,'76157a157798d6e9896131d712b1aa765e2500b7cff6888913ceddd664659dad',NULL,'76157a157798d6e9896131d712b1aa765e2500b7cff6888913ceddd664659dad','',0,2,1,1790000000.0);
INSERT INTO "resource" VALUES('hua-de-xue-xiao-7582f98a4f08','805e10c14a0ada2f','课文','text','text/plain','课文.txt',6,'f2c5f7607824c2d5da4ac967cf1ebc5df2ffc91c5e75c47b30dc2da9ba364996',NULL,'f2c5f7607824c2d5da4ac967cf1ebc5df2ffc91c5e75c47b30dc2da9ba364996','',0,1,1,1790000000.0);
CREATE TABLE segment (
    number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0, sent INTEGER, tries INTEGER NOT NULL DEFAULT 0);
INSERT INTO "segment" VALUES(1,1,1,'8bb94bed476750a89d169e1b0d23c229fec45fbcb5706fe4a8c924b6e2f0c781',1,0,1);
INSERT INTO "segment" VALUES(2,2,3,'8f95da0544b52023ceae4e2230c118517e92572935384acedb644b9a1bec746b',1,0,1);
INSERT INTO "segment" VALUES(3,4,5,'7c596dcd36d06ae421d8543d464b484f7dad6cb35e059da4ae5583bedfafc266',1,1,1);
INSERT INTO "segment" VALUES(4,6,6,'f2729b3b5d258796d3b1b705198a3d534e234e6c4f38c3cc6a08652b163e03f1',0,1,1);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "setting" VALUES('box','8f1364375cfb2146');
INSERT INTO "setting" VALUES('clock_quality','hub');
INSERT INTO "setting" VALUES('generation','11');
INSERT INTO "setting" VALUES('hub_time','1790000000');
INSERT INTO "setting" VALUES('last_contact','1790000000');
INSERT INTO "setting" VALUES('outbox_feeds_read','2');
INSERT INTO "setting" VALUES('paired_with','1f59c7ff8e52b725262843c755fd2a0ffe3103f9bea30a3a71f7972a7c2ae8e1');
CREATE TABLE tally (
    package TEXT NOT NULL, type TEXT NOT NULL, resources INTEGER NOT NULL,
    complete INTEGER NOT NULL, bytes INTEGER NOT NULL, bytes_left INTEGER NOT NULL,
    PRIMARY KEY (package, type)) WITHOUT ROWID;
INSERT INTO "tally" VALUES('da-qing-shu-2fbfae1c90f9','text',2,2,27,0);
INSERT INTO "tally" VALUES('hua-de-xue-xiao-7582f98a4f08','text',1,1,6,0);
CREATE TABLE upload (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    name TEXT NOT NULL, title TEXT NOT NULL, about TEXT NOT NULL,
    educationalLevel TEXT NOT NULL, license TEXT NOT NULL, creator TEXT NOT NULL,
    time REAL NOT NULL, seq INTEGER NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0, sent INTEGER, tries INTEGER NOT NULL DEFAULT 0, wanted INTEGER NOT NULL DEFAULT 0);
INSERT INTO "upload" VALUES(1,'0e2abd2ec0ac5ced7e8aecc378b600022b6e7d1ac3650911fc8e3c9f093996d4',6,'教案.txt','教案','','','CC BY 4.0','',1790000000.0,3,1,0,1,0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX resource_id ON resource (id);
CREATE INDEX resource_arrived ON resource (arrived);
CREATE INDEX file_object ON file (sha256);
CREATE INDEX file_resource ON file (package, resource);
CREATE INDEX journal_open ON journal (segment) WHERE segment IS NULL;
CREATE INDEX upload_object ON upload (sha256);
CREATE INDEX resource_order ON resource (package, position, id, type, complete);
CREATE INDEX resource_latest ON resource (package, arrived) WHERE arrived > 0;
CREATE INDEX resource_thumbnail ON resource (thumbnail) WHERE thumbnail IS NOT NULL;
CREATE TRIGGER resource_added AFTER INSERT ON resource BEGIN 
    INSERT INTO tally
    VALUES (NEW.package, NEW.type, 1, NEW.complete, NEW.size, iif(NEW.complete, 0, NEW.size))
    ON CONFLICT (package, type) DO UPDATE SET
        resources = resources + 1, complete = complete + excluded.complete,
        bytes = bytes + excluded.bytes, bytes_left = bytes_left + excluded.bytes_left; END;
CREATE TRIGGER resource_removed AFTER DELETE ON resource BEGIN 
    UPDATE tally SET resources = resources - 1, complete = complete - OLD.complete, bytes = bytes - OLD.size,
        bytes_left = bytes_left - iif(OLD.complete, 0, OLD.size)
    WHERE package = OLD.package AND type = OLD.type;
    DELETE FROM tally WHERE package = OLD.package AND type = OLD.type AND resources = 0; END;
CREATE TRIGGER resource_changed AFTER UPDATE OF package, type, complete, size ON resource BEGIN 
    UPDATE tally SET resources = resources - 1, complete = complete - OLD.complete, bytes = bytes - OLD.size,
        bytes_left = bytes_left - iif(OLD.complete, 0, OLD.size)
    WHERE package = OLD.package AND type = OLD.type;
    DELETE FROM tally WHERE package = OLD.package AND type = OLD.type AND resources = 0; 
    INSERT INTO tally
    VALUES (NEW.package, NEW.type, 1, NEW.complete, NEW.size, iif(NEW.complete, 0, NEW.size))
    ON CONFLICT (package, type) DO UPDATE SET
        resources = resources + 1, complete = complete + excluded.complete,
        bytes = bytes + excluded.bytes, bytes_left = bytes_left + excluded.bytes_left; END;
CREATE INDEX segment_open ON segment (number) WHERE acknowledged = 0;
CREATE INDEX upload_open ON upload (sha256) WHERE acknowledged = 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('journal',6);
INSERT INTO "sqlite_sequence" VALUES('upload',1);
COMMIT;
