-- Version 2: a record is one JSON object, which costs a third of what 36 columns cost to write. Names that a later
-- version adds are absent in older records.

CREATE TABLE record (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

INSERT INTO record SELECT tenant, id, json_object(
    'at', at, 'user', user, 'key', key, 'team', team, 'agent', agent, 'session', session, 'run', run,
    'tags', json(coalesce(tags, '{}')), 'jurisdiction', jurisdiction, 'batch', json(iif(priority, 'true', 'false')),
    'dialect', dialect, 'stream', json(iif(stream, 'true', 'false')), 'route', route, 'reason', reason,
    'target', target, 'provider', provider, 'model', model, 'attempts', attempts, 'cache', cache,
    'degraded', degraded, 'guard', guard, 'markers', markers, 'input', input, 'output', output,
    'cache_read', cache_read, 'cache_write', cache_write, 'estimated', json(iif(estimated, 'true', 'false')),
    'cost', cost, 'saved', saved, 'first_us', first_us, 'total_us', total_us, 'error', error, 'message', message,
    'cancelled', json(iif(outcome = 2, 'true', 'false')))
FROM call;

DROP TABLE call;
