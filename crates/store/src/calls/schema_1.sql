-- Version 1 of calls.db: what model calls left behind, and what is counted against limits and budgets. A version that
-- was released is never edited.

-- One row for each call, in the order of time: an id begins with it. `tags` is a JSON object; durations are
-- microseconds; money is millionths of a US dollar. `outcome`: 0 ok, 1 failed, 2 cancelled.
CREATE TABLE call (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    user TEXT,
    key TEXT,
    team TEXT,
    agent TEXT,
    session TEXT,
    run TEXT,
    tags TEXT,
    jurisdiction TEXT,
    priority INTEGER NOT NULL,
    dialect TEXT NOT NULL,
    stream INTEGER NOT NULL,
    route TEXT NOT NULL,
    reason TEXT,
    target TEXT,
    provider TEXT,
    model TEXT,
    attempts INTEGER NOT NULL,
    cache TEXT,
    degraded TEXT,
    guard TEXT,
    markers INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost INTEGER,
    saved INTEGER NOT NULL,
    first_us INTEGER,
    total_us INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    error TEXT,
    message TEXT,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- What was logged of calls, compressed with LZ4.
CREATE TABLE payload (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    request BLOB NOT NULL,
    response BLOB NOT NULL
);
CREATE UNIQUE INDEX payload_id ON payload (tenant, id);

-- What is counted in the buckets of days, months and runs; what was held when the process died counts as used.
CREATE TABLE ledger (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, period, bucket)
) WITHOUT ROWID;
