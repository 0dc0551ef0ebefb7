-- Version 3: documents, small named records that are no run. `user` is the person whose a document is.
-- Ids are compared by their bytes. The body is a row's last column, so that a list of ids reads none of it.
CREATE TABLE document (
    key INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user TEXT,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX document_id ON document (collection, tenant, id);
CREATE INDEX document_user ON document (tenant, user) WHERE user IS NOT NULL;
