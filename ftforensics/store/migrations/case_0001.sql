-- Case, schema version 1. Every table is append-only: rows are never changed, deleted or replaced.

-- body is RFC 8785 canonical JSON; hash covers every other column and the previous event's hash.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    previous_hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
) STRICT;

-- Signed heads: one row for every append, so that the chain's end at each moment stays on record.
CREATE TABLE heads (
    event_count INTEGER PRIMARY KEY,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    envelope BLOB NOT NULL
) STRICT;

-- An index over the events of kind 'finding', for resuming a scan. The events are the truth.
-- ordinal is the finding's own place in the scan's order.
CREATE TABLE findings (
    seq INTEGER PRIMARY KEY REFERENCES events (seq),
    ordinal INTEGER NOT NULL,
    exhibit_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    path_b64 TEXT NOT NULL,
    verdict TEXT NOT NULL
) STRICT;

CREATE INDEX findings_exhibit_id ON findings (exhibit_id, seq);
CREATE INDEX findings_sha256 ON findings (sha256);
CREATE INDEX findings_path_b64 ON findings (path_b64);
CREATE INDEX events_kind ON events (kind);

CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'append-only: events'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'append-only: events'); END;
CREATE TRIGGER events_no_gap BEFORE INSERT ON events
WHEN NEW.seq IS NOT (SELECT ifnull(max(seq) + 1, 0) FROM events)
BEGIN SELECT RAISE(ABORT, 'append-only: events'); END;

CREATE TRIGGER heads_no_update BEFORE UPDATE ON heads BEGIN SELECT RAISE(ABORT, 'append-only: heads'); END;
CREATE TRIGGER heads_no_delete BEFORE DELETE ON heads BEGIN SELECT RAISE(ABORT, 'append-only: heads'); END;
CREATE TRIGGER heads_only_forward BEFORE INSERT ON heads
WHEN NEW.event_count <= (SELECT ifnull(max(event_count), 0) FROM heads)
BEGIN SELECT RAISE(ABORT, 'append-only: heads'); END;

CREATE TRIGGER findings_no_update BEFORE UPDATE ON findings BEGIN SELECT RAISE(ABORT, 'append-only: findings'); END;
CREATE TRIGGER findings_no_delete BEFORE DELETE ON findings BEGIN SELECT RAISE(ABORT, 'append-only: findings'); END;
CREATE TRIGGER findings_only_forward BEFORE INSERT ON findings
WHEN NEW.seq <= (SELECT ifnull(max(seq), -1) FROM findings)
BEGIN SELECT RAISE(ABORT, 'append-only: findings'); END;
