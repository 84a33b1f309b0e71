-- The log and its projections. Keys that end in _key (and seq) are this database's own and never leave it.
-- No foreign keys: every row is written by the one transaction that also writes what it refers to, nothing is
-- deleted, and a lookup per row and key would be paid at every push. Times are Unix seconds, or _ms milliseconds.

-- Senders of events, so that the log's unique index holds a small number instead of a text per event.
CREATE TABLE sources (
    source_key  INTEGER PRIMARY KEY,
    source      TEXT NOT NULL UNIQUE    -- CloudEvents source, e.g. /accounts/demo
) STRICT;

-- The accounts whose events were seen.
CREATE TABLE accounts (
    account_key INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE    -- as in the gateway's configuration
) STRICT;

-- The appids an account had; the one that came into use last is its own now. Kept as a set with a minimum, so that
-- the order in which events arrive cannot matter and no row is written again for every event.
CREATE TABLE account_appids (
    account_key   INTEGER NOT NULL,
    appid         TEXT NOT NULL,        -- wx…, or empty where an event had none
    first_seen_at INTEGER NOT NULL,     -- time of the earliest event with it
    PRIMARY KEY (account_key, appid)
) STRICT, WITHOUT ROWID;

-- The log: every event as it came, and the judge of what is new.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY,   -- order of storage; the table only ever grows at its end
    source_key   INTEGER NOT NULL,
    id           TEXT NOT NULL,         -- CloudEvents id
    type         TEXT NOT NULL,         -- CloudEvents type
    at_ms        INTEGER,               -- CloudEvents time; NULL: it had none
    subject      TEXT,                  -- CloudEvents subject
    data         TEXT,                  -- CloudEvents data, byte for byte; large integers survive
    account_key  INTEGER,               -- whom it concerns, so that a listing need not parse; NULL: no account of ours
    stored_at_ms INTEGER NOT NULL       -- the store's clock
) STRICT;
-- An event's name for good: what makes sending it again harmless.
CREATE UNIQUE INDEX events_by_id ON events (source_key, id);
-- An account's events, newest first. Grows at its end per account.
CREATE INDEX events_by_account ON events (account_key, seq) WHERE account_key IS NOT NULL;

-- People, as an account knows them. Written when something about them changes, not at every push.
CREATE TABLE users (
    user_key        INTEGER PRIMARY KEY,    -- order of first storage: what listings page by
    account_key     INTEGER NOT NULL,
    openid          TEXT NOT NULL,
    first_seen_at   INTEGER NOT NULL,       -- time of the earliest event about them
    -- The official profile, field by field (WeChat, /cgi-bin/user/info); NULL: never told.
    subscribe       INTEGER,                -- what the newest profile said; the state is in follows
    nickname        TEXT,                   -- not filled by WeChat since 2021; emoji and all
    sex             INTEGER,                -- 1 male, 2 female; unknown is NULL
    language        TEXT,                   -- zh_CN …
    city            TEXT,
    province        TEXT,
    country         TEXT,
    headimgurl      TEXT,
    subscribe_time  INTEGER,                -- the last follow, as WeChat has it
    unionid         TEXT,                   -- the person across accounts of one Open Platform account
    remark          TEXT,                   -- the operators' name for them; empty: cleared
    groupid         INTEGER,                -- the legacy group
    tagid_list      TEXT,                   -- JSON array of tag ids
    subscribe_scene TEXT,                   -- ADD_SCENE_…; belongs to subscribe_time, like the next two
    qr_scene        INTEGER,                -- scene of the QR code, when a number; 0: none
    qr_scene_str    TEXT,                   -- scene of the QR code, when text
    profile_at_ms   INTEGER,                -- time of the newest profile; NULL: none yet
    profile_clocks  TEXT                    -- JSON, how fresh each field is: private to fold::profile
) STRICT;
CREATE UNIQUE INDEX users_by_openid ON users (account_key, openid);
CREATE INDEX users_by_account ON users (account_key, user_key);
-- One person across accounts.
CREATE INDEX users_by_unionid ON users (unionid) WHERE unionid IS NOT NULL;

-- Who follows whom, now or once: one row per person, kept when they leave, reopened when they return.
CREATE TABLE follows (
    user_key         INTEGER PRIMARY KEY,
    account_key      INTEGER NOT NULL,      -- repeated from users: it leads the indexes
    state            INTEGER NOT NULL,      -- 1 following, 0 unfollowed
    since            INTEGER NOT NULL,      -- when the newest follow began; 0: unknown (a number, so that pages can be cut by it)
    until            INTEGER,               -- when it ended; NULL while it lasts
    scene            TEXT,                  -- scene of the QR code they came by
    subscribe_scene  TEXT,                  -- how they came, in WeChat's words
    followed_times   INTEGER NOT NULL,      -- pushes of a follow
    unfollowed_times INTEGER NOT NULL,      -- pushes of an unfollow
    evidence         TEXT NOT NULL          -- JSON, the newest push of each kind: private to fold::follow
) STRICT;
CREATE INDEX follows_by_state ON follows (account_key, state, since, user_key);
CREATE INDEX follows_by_scene ON follows (account_key, scene, state, since, user_key) WHERE scene IS NOT NULL;

-- What people sent. The full push stays in the log, under the same seq.
CREATE TABLE messages (
    seq         INTEGER PRIMARY KEY,    -- of its event
    account_key INTEGER NOT NULL,
    user_key    INTEGER NOT NULL,
    kind        TEXT NOT NULL,          -- MsgType, lower case
    sent_at     INTEGER NOT NULL,       -- CreateTime
    received_ms INTEGER NOT NULL,       -- when the gateway had it complete
    msg_id      TEXT,                   -- MsgId; not always a number
    text        TEXT                    -- Content, or what speech recognition heard
) STRICT;
CREATE INDEX messages_by_account ON messages (account_key, sent_at, seq);
CREATE INDEX messages_by_kind ON messages (account_key, kind, sent_at, seq);
CREATE INDEX messages_by_user ON messages (user_key, sent_at, seq);

-- What SQLite's planner takes for granted: rows in all, then rows per distinct value of each further column of the
-- index. Without any figures it takes an account for as telling as an account and a kind. Only the proportions
-- matter; nothing here ever runs ANALYZE, so plans stay what the tests saw.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('messages', 'messages_by_account', '1000000 200000 20 1'),
    ('messages', 'messages_by_kind', '1000000 200000 50000 10 1'),
    ('messages', 'messages_by_user', '1000000 20 2 1');
-- Read them now, not only when the file is opened next.
ANALYZE sqlite_schema;
