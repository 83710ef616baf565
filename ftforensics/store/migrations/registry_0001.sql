-- Registry, schema version 1. Every table is append-only: rows are never changed, deleted or replaced.
-- log_id 1 is the registry's own log; other logs came in with bundles and are kept in their origin's order.

CREATE TABLE logs (
    log_id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    key_id TEXT NOT NULL,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    UNIQUE (origin, key_id)
) STRICT;

CREATE TABLE carriers (
    carrier_id INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE blobs (
    blob_id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    content BLOB NOT NULL
) STRICT;

-- Narrow on purpose: matching and near-duplicate search walk this table only.
-- tag_id and phash are 64-bit values stored as signed integers.
CREATE TABLE entries (
    entry_id INTEGER PRIMARY KEY,
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    carrier_id INTEGER NOT NULL REFERENCES carriers (carrier_id),
    tag_id INTEGER NOT NULL,
    phash INTEGER NOT NULL,
    logged_at TEXT NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    UNIQUE (log_id, log_index),
    UNIQUE (carrier_id, tag_id)
) STRICT;

CREATE INDEX entries_tag_id ON entries (tag_id);

CREATE TABLE records (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (entry_id),
    record BLOB NOT NULL,
    binding BLOB,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    descriptors_sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    preview_sha256 BLOB REFERENCES blobs (sha256)
) STRICT;

-- frontier: the roots of the complete subtrees of the log's first tree_size leaves, largest first, 32 bytes each.
-- Empty for logs that came in with a bundle.
CREATE TABLE checkpoints (
    checkpoint_id INTEGER PRIMARY KEY,
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    tree_size INTEGER NOT NULL CHECK (tree_size >= 0),
    envelope BLOB NOT NULL,
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0),
    UNIQUE (log_id, tree_size)
) STRICT;

-- Inclusion proofs of imported entries against the checkpoint they came with.
CREATE TABLE proofs (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (entry_id),
    checkpoint_id INTEGER NOT NULL REFERENCES checkpoints (checkpoint_id),
    path BLOB NOT NULL CHECK (length(path) % 32 = 0)
) STRICT;

CREATE TRIGGER logs_no_update BEFORE UPDATE ON logs BEGIN SELECT RAISE(ABORT, 'append-only: logs'); END;
CREATE TRIGGER logs_no_delete BEFORE DELETE ON logs BEGIN SELECT RAISE(ABORT, 'append-only: logs'); END;
CREATE TRIGGER logs_no_replace BEFORE INSERT ON logs
WHEN EXISTS (
    SELECT 1 FROM logs WHERE log_id = NEW.log_id OR (origin = NEW.origin AND key_id = NEW.key_id)
) BEGIN SELECT RAISE(ABORT, 'append-only: logs'); END;

CREATE TRIGGER carriers_no_update BEFORE UPDATE ON carriers BEGIN SELECT RAISE(ABORT, 'append-only: carriers'); END;
CREATE TRIGGER carriers_no_delete BEFORE DELETE ON carriers BEGIN SELECT RAISE(ABORT, 'append-only: carriers'); END;
CREATE TRIGGER carriers_no_replace BEFORE INSERT ON carriers
WHEN EXISTS (SELECT 1 FROM carriers WHERE carrier_id = NEW.carrier_id OR key_id = NEW.key_id)
BEGIN SELECT RAISE(ABORT, 'append-only: carriers'); END;

CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs BEGIN SELECT RAISE(ABORT, 'append-only: blobs'); END;
CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs BEGIN SELECT RAISE(ABORT, 'append-only: blobs'); END;
CREATE TRIGGER blobs_no_replace BEFORE INSERT ON blobs
WHEN EXISTS (SELECT 1 FROM blobs WHERE blob_id = NEW.blob_id OR sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'append-only: blobs'); END;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (
    SELECT 1 FROM entries WHERE entry_id = NEW.entry_id
    UNION ALL SELECT 1 FROM entries WHERE log_id = NEW.log_id AND log_index = NEW.log_index
    UNION ALL SELECT 1 FROM entries WHERE carrier_id = NEW.carrier_id AND tag_id = NEW.tag_id
) BEGIN SELECT RAISE(ABORT, 'append-only: entries'); END;

CREATE TRIGGER records_no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;
CREATE TRIGGER records_no_delete BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;
CREATE TRIGGER records_no_replace BEFORE INSERT ON records
WHEN EXISTS (SELECT 1 FROM records WHERE entry_id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'append-only: records'); END;

CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'append-only: checkpoints'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'append-only: checkpoints'); END;
CREATE TRIGGER checkpoints_no_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (
    SELECT 1 FROM checkpoints WHERE checkpoint_id = NEW.checkpoint_id
    UNION ALL SELECT 1 FROM checkpoints WHERE log_id = NEW.log_id AND tree_size = NEW.tree_size
) BEGIN SELECT RAISE(ABORT, 'append-only: checkpoints'); END;

CREATE TRIGGER proofs_no_update BEFORE UPDATE ON proofs BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
CREATE TRIGGER proofs_no_delete BEFORE DELETE ON proofs BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
CREATE TRIGGER proofs_no_replace BEFORE INSERT ON proofs
WHEN EXISTS (SELECT 1 FROM proofs WHERE entry_id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'append-only: proofs'); END;
