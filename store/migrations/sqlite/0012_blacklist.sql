-- Whom an account's blacklist at WeChat has, as syncs told.

-- The newest word on each who was ever on it.
CREATE TABLE blacklist (
    user_key    INTEGER PRIMARY KEY,
    account_key INTEGER NOT NULL,       -- repeated from users: it leads the index
    listed      INTEGER NOT NULL,       -- 1: they are on it
    at          INTEGER NOT NULL,       -- since when that is known, a clock in three parts
    at_ms       INTEGER NOT NULL,
    tie         INTEGER NOT NULL
) STRICT;
CREATE INDEX blacklist_by_account ON blacklist (account_key, user_key) WHERE listed = 1;

-- How much of it a pass has read, beside its sync_pages. Gone when the pass is complete.
CREATE TABLE sync_blacklist_pages (
    run       TEXT NOT NULL,            -- the pass
    page      INTEGER NOT NULL,         -- from 0
    total     INTEGER NOT NULL,         -- how many are on it, as this page said
    next      TEXT NOT NULL,            -- where the list goes on
    openids   TEXT NOT NULL,            -- JSON array, in WeChat's order
    asked_ms  INTEGER NOT NULL,         -- when WeChat was asked for it, by the store's clock
    PRIMARY KEY (run, page)
) STRICT;

-- For SQLite's planner, as in the first step.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('blacklist', 'blacklist_by_account', '100000 20000 1');
ANALYZE sqlite_schema;
