-- Tags of accounts: those at WeChat as it said last, and the store's own where the account may not use tags there.

CREATE TABLE tags (
    account   TEXT NOT NULL,            -- as in the gateway's configuration; it may have no events yet
    tag_id    INTEGER NOT NULL,         -- WeChat's; below 0: the store's own
    name      TEXT NOT NULL,
    count     INTEGER,                  -- how many have it, as WeChat said; NULL: not said
    told_ms   INTEGER NOT NULL,         -- when WeChat was asked, or when it was made; by weir_clock
    why_local TEXT,                     -- why the store alone keeps it
    PRIMARY KEY (account, tag_id)
) STRICT, WITHOUT ROWID;
-- Two who make a tag of one name at a time make one.
CREATE UNIQUE INDEX tags_local_names ON tags (account, name) WHERE tag_id < 0;

-- Who has a tag of the store's own. Of WeChat's the profiles say it.
CREATE TABLE local_tagged (
    user_key  INTEGER NOT NULL,
    tag_id    INTEGER NOT NULL,
    account   TEXT NOT NULL,            -- the tag's
    given_at  INTEGER NOT NULL,         -- by weir_clock, Unix seconds
    PRIMARY KEY (user_key, tag_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX local_tagged_by_tag ON local_tagged (account, tag_id);

-- For SQLite's planner, as in the first step: a user has few tags, a tag many users.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('local_tagged', 'local_tagged_by_tag', '100000 20000 2000');
ANALYZE sqlite_schema;
