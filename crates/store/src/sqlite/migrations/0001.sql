-- Version 1. A migration that was released is never edited; the next change is the next file.

-- Numbers of the store itself: schema_version, boot.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- The head row of each run. `status`: 0 idle, 1 running, 2 waiting. `inbox` counts the signals that are not consumed,
-- `signals` all that ever came. `tail` places the batches that no `segment` places yet (see place.rs).
-- AUTOINCREMENT, because a key must never name another run after its own is gone.
CREATE TABLE run (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    wake_at INTEGER,
    status INTEGER NOT NULL,
    inbox INTEGER NOT NULL DEFAULT 0,
    signals INTEGER NOT NULL DEFAULT 0,
    tail BLOB NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    user TEXT NOT NULL,
    session TEXT NOT NULL,
    parent BLOB,
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX run_id ON run (tenant, id);
CREATE INDEX run_touched ON run (tenant, touched_at);
CREATE INDEX run_user ON run (tenant, user, touched_at);
CREATE INDEX run_wake ON run (wake_at) WHERE wake_at IS NOT NULL;

-- The batches of all runs in the order in which they were written, so that a commit of many runs fills few pages; cut
-- into pieces, so that pages fill up whatever the sizes of batches are (see pieces.rs).
CREATE TABLE piece (
    pos INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- Where the batches of a run are, some dozens of places in a row (see place.rs).
CREATE TABLE segment (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    places BLOB NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;

-- Signals that wait; and the keys of all that ever came, so that a late second one is known.
CREATE TABLE inbox (
    run INTEGER NOT NULL,
    id INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
CREATE TABLE signal_key (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;

-- Blobs by content. `put_at`: when one was put that no run has referred to since.
CREATE TABLE blob (
    key INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL,
    put_at INTEGER,
    content BLOB NOT NULL
);
CREATE UNIQUE INDEX blob_hash ON blob (tenant, hash);
CREATE INDEX blob_put ON blob (put_at) WHERE put_at IS NOT NULL;

-- Which run refers to which blob, and from which position on.
CREATE TABLE reference (
    run INTEGER NOT NULL,
    blob INTEGER NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (run, blob)
) WITHOUT ROWID;
CREATE INDEX reference_blob ON reference (blob);

CREATE TABLE snapshot (
    run INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    state BLOB NOT NULL
);

-- The ids of runs that were deleted; nothing of their content.
CREATE TABLE tombstone (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- Forks that hold a copy of another user's run.
CREATE TABLE lineage (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, run)
) WITHOUT ROWID;
CREATE INDEX lineage_run ON lineage (run);

-- API keys; `secret_hash` is a keyed hash, `agents` a JSON array.
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user TEXT,
    agents TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) WITHOUT ROWID;
