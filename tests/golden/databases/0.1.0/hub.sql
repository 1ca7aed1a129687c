BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'teachpoint-hub','m001_first_schema','2026-11-25 16:16:07.684750+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'teachpoint-hub','m002_feed_numbers','2026-11-25 16:16:07.688171+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'teachpoint-hub','m003_gaps','2026-11-25 16:16:07.861383+00:00');
CREATE TABLE assignment (
    site TEXT NOT NULL REFERENCES site(site), package TEXT NOT NULL, priority INTEGER NOT NULL,
    since REAL NOT NULL, PRIMARY KEY (site, package)) WITHOUT ROWID;
INSERT INTO "assignment" VALUES('s1','da-qing-shu-2fbfae1c90f9',5,1790000000.0);
INSERT INTO "assignment" VALUES('s1','hua-de-xue-xiao-7582f98a4f08',5,1790000000.0);
CREATE TABLE contact (site TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE extract (
    sha256 TEXT NOT NULL, extractor TEXT NOT NULL, found TEXT NOT NULL,
    PRIMARY KEY (sha256, extractor)) WITHOUT ROWID;
INSERT INTO "extract" VALUES('119af509ad0770c505f73a3dba50874c651f3230b371dfeeb0088d8ba68e375e','text/1','{"text":{"sha256":"119af509ad0770c505f73a3dba50874c651f3230b371dfeeb0088d8ba68e375e","size":6,"mediaType":"text/plain"}}');
INSERT INTO "extract" VALUES('76157a157798d6e9896131d712b1aa765e2500b7cff6888913ceddd664659dad','text/1','{"text":{"sha256":"76157a157798d6e9896131d712b1aa765e2500b7cff6888913ceddd664659dad","size":21,"mediaType":"text/plain"}}');
INSERT INTO "extract" VALUES('de1e74ab72fc34d061794ee2ef26152dd9ee3531593287e8864acead7453a3f1','text/1','{"text":{"sha256":"de1e74ab72fc34d061794ee2ef26152dd9ee3531593287e8864acead7453a3f1","size":6,"mediaType":"text/plain"}}');
INSERT INTO "extract" VALUES('f2c5f7607824c2d5da4ac967cf1ebc5df2ffc91c5e75c47b30dc2da9ba364996','text/1','{"text":{"sha256":"f2c5f7607824c2d5da4ac967cf1ebc5df2ffc91c5e75c47b30dc2da9ba364996","size":6,"mediaType":"text/plain"}}');
CREATE TABLE feed (site TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, snapshot INTEGER NOT NULL, targets INTEGER NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "feed" VALUES('s1',6,6,6,1790000000);
CREATE TABLE gap (site TEXT NOT NULL, box TEXT NOT NULL, number INTEGER NOT NULL, since REAL NOT NULL, PRIMARY KEY (site, box)) WITHOUT ROWID;
CREATE TABLE package (
    id TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL, name TEXT NOT NULL,
    resources INTEGER NOT NULL, bytes INTEGER NOT NULL, manifest_bytes INTEGER NOT NULL,
    source TEXT NOT NULL, published REAL NOT NULL,
    PRIMARY KEY (id, version)) WITHOUT ROWID;
INSERT INTO "package" VALUES('da-qing-shu-2fbfae1c90f9',1,'5627fbc42a976839b61423be5b1e8a2a4f994efdc8b8170834e0d9f1cb1f03a7','大青树',2,12,833,'/srv/lessons/大青树',1790000000.0);
INSERT INTO "package" VALUES('da-qing-shu-2fbfae1c90f9',2,'55285d2991a56d5d9ad1d0fae89abf8d45888a9240b13f274025378b50a0d541','大青树',2,27,835,'/srv/lessons/大青树',1790000000.0);
INSERT INTO "package" VALUES('hua-de-xue-xiao-7582f98a4f08',1,'74014d6d663b69f2c1ec5241308159dbe7af861336595c37529e544a5b6c7d6a','花的学校',1,6,489,'/srv/lessons/花的学校',1790000000.0);
CREATE TABLE problem (
    site TEXT NOT NULL, code TEXT NOT NULL, facts TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (site, code)) WITHOUT ROWID;
CREATE TABLE record (
    site TEXT NOT NULL, box TEXT NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
    clock_quality TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (site, box, seq)) WITHOUT ROWID;
INSERT INTO "record" VALUES('s1','8f1364375cfb2146',1,1790000000.0,'hub','package','{"complete":true,"id":"da-qing-shu-2fbfae1c90f9","manifest":"5627fbc42a976839b61423be5b1e8a2a4f994efdc8b8170834e0d9f1cb1f03a7","version":1}');
INSERT INTO "record" VALUES('s1','8f1364375cfb2146',2,1790000000.0,'hub','resource-opened','{"package":"大青树","resource":"r"}');
INSERT INTO "record" VALUES('s1','8f1364375cfb2146',3,1790000000.0,'hub','upload','{"license":"CC BY 4.0","name":"教案.txt","sha256":"0e2abd2ec0ac5ced7e8aecc378b600022b6e7d1ac3650911fc8e3c9f093996d4","size":6,"title":"教案"}');
INSERT INTO "record" VALUES('s1','8f1364375cfb2146',4,1790000000.0,'hub','package','{"complete":true,"id":"da-qing-shu-2fbfae1c90f9","manifest":"55285d2991a56d5d9ad1d0fae89abf8d45888a9240b13f274025378b50a0d541","version":2}');
INSERT INTO "record" VALUES('s1','8f1364375cfb2146',5,1790000000.0,'hub','package','{"complete":true,"id":"hua-de-xue-xiao-7582f98a4f08","manifest":"74014d6d663b69f2c1ec5241308159dbe7af861336595c37529e544a5b6c7d6a","version":1}');
CREATE TABLE segment (
    site TEXT NOT NULL, box TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, ingested REAL NOT NULL,
    PRIMARY KEY (site, box, number)) WITHOUT ROWID;
INSERT INTO "segment" VALUES('s1','8f1364375cfb2146',1,'8bb94bed476750a89d169e1b0d23c229fec45fbcb5706fe4a8c924b6e2f0c781',1,1,1790000000.0);
INSERT INTO "segment" VALUES('s1','8f1364375cfb2146',2,'8f95da0544b52023ceae4e2230c118517e92572935384acedb644b9a1bec746b',2,3,1790000000.0);
INSERT INTO "segment" VALUES('s1','8f1364375cfb2146',3,'7c596dcd36d06ae421d8543d464b484f7dad6cb35e059da4ae5583bedfafc266',4,5,1790000000.0);
CREATE TABLE site (
    site TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL, revoked REAL,
    ssh_public TEXT NOT NULL, journal_public TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "site" VALUES('s1','一号',1790000000.0,NULL,'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAVwZlVWbxnK3rfU3SxqUP4rVSGR2Slv+zJh00GnwEX9','-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA9MGl304Doy1KxVa+JZxyA2AYK/qYgfcfTeeVBv46ppM=
-----END PUBLIC KEY-----
');
CREATE TABLE upload (
    site TEXT NOT NULL, box TEXT NOT NULL, seq INTEGER NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, name TEXT NOT NULL, received REAL,
    PRIMARY KEY (site, box, seq)) WITHOUT ROWID;
INSERT INTO "upload" VALUES('s1','8f1364375cfb2146',3,'0e2abd2ec0ac5ced7e8aecc378b600022b6e7d1ac3650911fc8e3c9f093996d4',6,'教案.txt',1790000000.0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX record_kind ON record (kind, site);
CREATE INDEX upload_object ON upload (sha256);
CREATE INDEX upload_open ON upload (site, sha256) WHERE received IS NULL;
COMMIT;
