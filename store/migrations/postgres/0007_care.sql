-- What operators add to people, and who came and went on which day.

-- Fields that applications keep of a person, per account: a row for each. Of several identities of one person the newest
-- row of a name counts, so that fields outlive it when two people turn out to be one.
CREATE TABLE extensions (
    user_key    BIGINT NOT NULL,        -- the person's uid when it was written
    account_key BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL, -- a JSON string: it can hold what no database's text can
    value       TEXT NOT NULL,          -- JSON
    at_ms       BIGINT NOT NULL,        -- the store's clock, and above that of the row before
    PRIMARY KEY (user_key, account_key, name)
);

-- What was decided about people. Nothing is ever changed here: the last word on any of a person's identities counts.
CREATE TABLE audits (
    audit_key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of storage
    user_key  BIGINT NOT NULL,          -- the person's uid then
    state     TEXT NOT NULL,            -- approved, blocked …: the operators' words
    reason    TEXT NOT NULL,
    decider   TEXT NOT NULL,            -- who says so
    at_ms     BIGINT NOT NULL           -- the store's clock
);
CREATE INDEX audits_by_user ON audits (user_key, audit_key);

-- Follows and unfollows as they were pushed, to be counted by day.
CREATE TABLE follow_news (
    seq         BIGINT PRIMARY KEY,     -- of its event
    account_key BIGINT NOT NULL,
    at          BIGINT NOT NULL,        -- its time
    change      BIGINT NOT NULL         -- 1 a follow, 0 an unfollow
);
CREATE INDEX follow_news_by_account ON follow_news (account_key, at, change);
INSERT INTO follow_news (seq, account_key, at, change)
SELECT seq, account_key, at_ms / 1000, CASE lower(type) WHEN 'weir.event.subscribe' THEN 1 ELSE 0 END
FROM events WHERE lower(type) IN ('weir.event.subscribe', 'weir.event.unsubscribe')
    AND account_key IS NOT NULL AND at_ms IS NOT NULL;

-- All events about one person, so that their contents can be erased.
CREATE INDEX IF NOT EXISTS events_by_subject ON events (account_key, subject) WHERE subject IS NOT NULL;
