-- Registry, schema version 2. A record may stand in several logs, each with its own index and time, so tag ids are unique
-- within neither the registry nor a log. Every table stays append-only.

DROP TRIGGER entries_no_update;
DROP TRIGGER entries_no_delete;
DROP TRIGGER entries_no_replace;
DROP TRIGGER records_no_update;
DROP TRIGGER records_no_delete;
DROP TRIGGER records_no_replace;
DROP TRIGGER proofs_no_update;
DROP TRIGGER proofs_no_delete;
DROP TRIGGER proofs_no_replace;
DROP INDEX entries_tag_id;

ALTER TABLE entries RENAME TO entries_1;
ALTER TABLE records RENAME TO records_1;
ALTER TABLE proofs RENAME TO proofs_1;

CREATE TABLE entries (
    entry_id INTEGER PRIMARY KEY,
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    carrier_id INTEGER NOT NULL REFERENCES carriers (carrier_id),
    tag_id INTEGER NOT NULL,
    phash INTEGER NOT NULL,
    logged_at TEXT NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    UNIQUE (log_id, log_index)
) STRICT;

CREATE TABLE records (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (entry_id),
    record BLOB NOT NULL,
    binding BLOB,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    descriptors_sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    preview_sha256 BLOB REFERENCES blobs (sha256)
) STRICT;

CREATE TABLE proofs (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (entry_id),
    checkpoint_id INTEGER NOT NULL REFERENCES checkpoints (checkpoint_id),
    path BLOB NOT NULL CHECK (length(path) % 32 = 0)
) STRICT;

INSERT INTO entries (entry_id, log_id, log_index, carrier_id, tag_id, phash, logged_at, leaf_hash)
SELECT entry_id, log_id, log_index, carrier_id, tag_id, phash, logged_at, leaf_hash FROM entries_1;
INSERT INTO records (entry_id, record, binding, public_key, descriptors_sha256, preview_sha256)
SELECT entry_id, record, binding, public_key, descriptors_sha256, preview_sha256 FROM records_1;
INSERT INTO proofs (entry_id, checkpoint_id, path) SELECT entry_id, checkpoint_id, path FROM proofs_1;

DROP TABLE proofs_1;
DROP TABLE records_1;
DROP TABLE entries_1;

CREATE INDEX entries_tag_id ON entries (tag_id);
CREATE INDEX entries_carrier_id ON entries (carrier_id, tag_id);

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (
    SELECT 1 FROM entries WHERE entry_id = NEW.entry_id
    UNION ALL SELECT 1 FROM entries WHERE log_id = NEW.log_id AND log_index = NEW.log_index
) BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;

CREATE TRIGGER records_no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;
CREATE TRIGGER records_no_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;
CREATE TRIGGER records_no_replace BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE entry_id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;

CREATE TRIGGER proofs_no_update BEFORE UPDATE ON proofs BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
CREATE TRIGGER proofs_no_delete BEFORE DELETE ON proofs BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
CREATE TRIGGER proofs_no_replace BEFORE INSERT ON proofs
WHEN EXISTS (SELECT 1 FROM proofs WHERE entry_id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
