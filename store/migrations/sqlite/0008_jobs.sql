-- The database's clock: what leases of several stores are measured by.
CREATE VIEW weir_clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now_ms;

-- What the store does for accounts through the API door, and who asked for it: kept, it is the audit.
CREATE TABLE jobs (
    job_key   INTEGER PRIMARY KEY,      -- order of asking: what listings page by, and the id that is told
    account   TEXT NOT NULL,            -- as in the gateway's configuration; it may have no events yet
    kind      TEXT NOT NULL,            -- sync
    name      TEXT NOT NULL,            -- of a sync: its pass, which another job goes on with if this one ends early
    state     TEXT NOT NULL,            -- waiting, running, resting, done, failed, stopped
    request   TEXT NOT NULL,            -- JSON, what is wanted
    whole     INTEGER NOT NULL,  -- 1: a sync of all who follow
    asked_by  TEXT,                     -- who asked, in their own words; NULL: not said
    why       TEXT,                     -- likewise
    asked_ms  INTEGER NOT NULL,
    begun_ms  INTEGER,                  -- when a store first took it up
    ended_ms  INTEGER,                  -- NULL: there is something left to do
    due_ms    INTEGER NOT NULL,         -- not before; a rest ends then
    stop      INTEGER NOT NULL,         -- 1: somebody wants it to end
    tries     INTEGER NOT NULL,         -- rests in a row
    errcode   INTEGER,                  -- WeChat's, where it was WeChat who would not
    reason    TEXT,                     -- why it rests or ended before its work did
    counts    TEXT NOT NULL             -- JSON, how far it is
) STRICT;
-- One sync of an account at a time, whoever asks.
CREATE UNIQUE INDEX jobs_open_sync ON jobs (account) WHERE kind = 'sync' AND ended_ms IS NULL;
CREATE INDEX jobs_by_account ON jobs (account, kind, job_key);
CREATE INDEX jobs_by_due ON jobs (due_ms) WHERE ended_ms IS NULL;

-- Which store is at work: one for each account and kind. One that died is taken over when its time is up.
CREATE TABLE job_leases (
    account   TEXT NOT NULL,
    kind      TEXT NOT NULL,
    owner     TEXT NOT NULL,            -- made up for each time it is taken
    until_ms  INTEGER NOT NULL,         -- by weir_clock
    PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;

-- How far a pass over an account's followers is. Gone when it is complete.
CREATE TABLE sync_pages (
    run       TEXT NOT NULL,            -- the pass
    page      INTEGER NOT NULL,         -- from 0
    total     INTEGER NOT NULL,         -- how many follow, as this page said
    next      TEXT NOT NULL,            -- where the list goes on
    openids   TEXT NOT NULL,            -- JSON array, in WeChat's order
    PRIMARY KEY (run, page)
) STRICT;
CREATE TABLE sync_batches (
    run       TEXT NOT NULL,
    batch     INTEGER NOT NULL,         -- a hundred users who are stored, by their place among all
    PRIMARY KEY (run, batch)
) STRICT, WITHOUT ROWID;
