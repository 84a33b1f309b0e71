-- What operators add to people, and who came and went on which day.

-- Fields that applications keep of a person, per account: a row for each. Of several identities of one person the newest
-- row of a name counts, so that fields outlive it when two people turn out to be one.
CREATE TABLE extensions (
    user_key    INTEGER NOT NULL,       -- the person's uid when it was written
    account_key INTEGER NOT NULL,
    name        TEXT NOT NULL,          -- a JSON string: it can hold what no database's text can
    value       TEXT NOT NULL,          -- JSON
    at_ms       INTEGER NOT NULL,       -- the store's clock, and above that of the row before
    PRIMARY KEY (user_key, account_key, name)
) STRICT, WITHOUT ROWID;

-- What was decided about people. Nothing is ever changed here: the last word on any of a person's identities counts.
CREATE TABLE audits (
    audit_key INTEGER PRIMARY KEY,      -- order of storage
    user_key  INTEGER NOT NULL,         -- the person's uid then
    state     TEXT NOT NULL,            -- approved, blocked …: the operators' words
    reason    TEXT NOT NULL,
    decider   TEXT NOT NULL,            -- who says so
    at_ms     INTEGER NOT NULL          -- the store's clock
) STRICT;
CREATE INDEX audits_by_user ON audits (user_key, audit_key);

-- Follows and unfollows as they were pushed, to be counted by day.
CREATE TABLE follow_news (
    seq         INTEGER PRIMARY KEY,    -- of its event
    account_key INTEGER NOT NULL,
    at          INTEGER NOT NULL,       -- its time
    change      INTEGER NOT NULL        -- 1 a follow, 0 an unfollow
) STRICT;
CREATE INDEX follow_news_by_account ON follow_news (account_key, at, change);
INSERT INTO follow_news (seq, account_key, at, change)
SELECT seq, account_key, at_ms / 1000, CASE lower(type) WHEN 'weir.event.subscribe' THEN 1 ELSE 0 END
FROM events WHERE lower(type) IN ('weir.event.subscribe', 'weir.event.unsubscribe')
    AND account_key IS NOT NULL AND at_ms IS NOT NULL;

-- All events about one person, so that their contents can be erased.
CREATE INDEX events_by_subject ON events (account_key, subject) WHERE subject IS NOT NULL;

-- For SQLite's planner, as in the first step.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('events', 'events_by_subject', '1000000 200000 5'),
    ('extensions', 'extensions', '1000000 5 5 1'),
    ('audits', 'audits_by_user', '1000000 2 1'),
    ('follow_news', 'follow_news_by_account', '1000000 200000 2 1');
ANALYZE sqlite_schema;
