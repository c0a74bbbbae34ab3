-- oauth2-stores: version 2 of oauth-server, from version 1
-- Run it with: psql -v ON_ERROR_STOP=1 -1 -c "SET LOCAL lock_timeout = '200ms'" -f oauth-server-2.sql
-- and again if it could not get a lock in time: nothing waits longer for it, and nothing is half done.

-- More room in a page: the first refresh of a grant, which is its largest change, is a HOT update more often. It holds for
-- pages from now on, and keeps nobody from reading or writing meanwhile.
ALTER TABLE oauth_grant SET (fillfactor = 75);

UPDATE oauth_schema SET version = 2 WHERE component = 'oauth-server' AND version = 1;
