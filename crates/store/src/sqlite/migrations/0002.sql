-- Version 2: the team that a key belongs to.

ALTER TABLE api_key ADD COLUMN team TEXT;
