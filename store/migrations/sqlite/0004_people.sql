-- One person across accounts and apps (store/src/people). Of people nothing is stored: they are computed from what is here
-- when somebody asks. users.user_key leaves the database from now on, as the identity's uid: it is never given to anybody else.

-- The unionids that identities were told to have. The order of arrival cannot matter: a set, with the earliest time of each.
CREATE TABLE unions (
    user_key INTEGER NOT NULL,
    unionid  TEXT NOT NULL,
    at       INTEGER NOT NULL,      -- since when, a clock in three parts
    at_ms    INTEGER NOT NULL,
    tie      INTEGER NOT NULL,
    PRIMARY KEY (user_key, unionid)
) STRICT, WITHOUT ROWID;
-- Who else has it.
CREATE INDEX unions_by_unionid ON unions (unionid, user_key);

-- Who logged in to a Mini Program.
CREATE TABLE logins (
    user_key INTEGER PRIMARY KEY,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT;

-- What profiles have told so far. When it was told first is not known any more; the newest profile had it.
INSERT INTO unions (user_key, unionid, at, at_ms, tie)
SELECT user_key, unionid, coalesce(profile_at_ms / 1000, first_seen_at), coalesce(profile_at_ms, first_seen_at * 1000), 0
FROM users WHERE unionid IS NOT NULL AND unionid <> '';

-- For SQLite's planner, as in the first step: a unionid has few identities.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('unions', 'unions', '1000000 1 1'),
    ('unions', 'unions_by_unionid', '1000000 2 1');
ANALYZE sqlite_schema;
