-- Version 4: runs that were over when they were created, many in a row (see bundle.rs). `key` is the key of the first;
-- the others have those that follow. `ids` has their ids one after the other. Whatever they refer to stands in
-- `reference` under `-key`. The contents are a row's last columns, so that to find a run reads none of them.
CREATE TABLE bundle (
    key INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    user TEXT NOT NULL,
    parent BLOB,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    ids BLOB NOT NULL,
    heads BLOB NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX bundle_at ON bundle (tenant, at);
CREATE INDEX bundle_user ON bundle (tenant, user);

-- Which run is in a bundle, by the first eight bytes of its id as a number, and under which key. Short rows in the order
-- of numbers: ids are random, so that every one of them changes another page, and few pages are better than many.
CREATE TABLE bundled (
    prefix INTEGER PRIMARY KEY,
    key INTEGER NOT NULL
);
