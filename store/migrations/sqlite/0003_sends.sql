-- Active messages that went through the gateway, what WeChat said of them later, and what users allow. All of it is
-- only ever added to, or replaced by what is newer, so the order of arrival cannot matter.

-- Messages, by what their sending brought (weir.send.result).
CREATE TABLE sends (
    seq           INTEGER PRIMARY KEY,  -- of its event: what listings page by
    account_key   INTEGER NOT NULL,
    appid         TEXT,                 -- the account's at that time
    openid        TEXT,                 -- who was to get it; NULL: the request named nobody
    client        TEXT NOT NULL,        -- who sent it
    api           INTEGER NOT NULL,     -- 0 template, 1 subscribe, 2 bizsend, 3 custom
    template_id   TEXT,
    msgtype       TEXT,                 -- of customer-service messages
    client_msg_id TEXT,                 -- the application's own name for it
    digest        TEXT NOT NULL,        -- SHA-1 of the request's body, in hex
    errcode       INTEGER,              -- WeChat's; NULL: it did not answer
    msgid         TEXT,                 -- WeChat's; what later pushes name it by
    outcome       INTEGER NOT NULL,     -- 0 sent, 1 refused, 2 unknown
    sent_at_ms    INTEGER NOT NULL      -- the gateway's clock
) STRICT;
CREATE INDEX sends_by_account ON sends (account_key, seq);
CREATE INDEX sends_by_openid ON sends (account_key, openid, seq) WHERE openid IS NOT NULL;
CREATE INDEX sends_by_msgid ON sends (account_key, msgid, seq) WHERE msgid IS NOT NULL;

-- Whether a message reached its user, as WeChat pushed it: the newest word on each. Also on messages that did not go
-- through the gateway, or whose result is still on its way.
CREATE TABLE reports (
    account_key INTEGER NOT NULL,
    msgid       TEXT NOT NULL,
    failure     TEXT,                   -- why it did not; NULL: it did
    at          INTEGER NOT NULL,       -- the push's clock in three parts: what newer means
    at_ms       INTEGER NOT NULL,
    tie         INTEGER NOT NULL,
    PRIMARY KEY (account_key, msgid)
) STRICT, WITHOUT ROWID;

-- Whom subscribe messages of which template were ever about.
CREATE TABLE credits (
    credit_key  INTEGER PRIMARY KEY,    -- order of first storage: what listings page by
    account_key INTEGER NOT NULL,
    openid      TEXT NOT NULL,
    template_id TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX credits_by_name ON credits (account_key, openid, template_id);
CREATE INDEX credits_by_account ON credits (account_key, credit_key);
CREATE INDEX credits_by_openid ON credits (account_key, openid, credit_key);
CREATE INDEX credits_by_template ON credits (account_key, template_id, credit_key);

-- What changed a user's credits; the balance is computed from it (fold::credit).
CREATE TABLE credit_news (
    credit_key  INTEGER NOT NULL,
    seq         INTEGER NOT NULL,       -- of its event
    place       INTEGER NOT NULL,       -- in its event
    change      INTEGER NOT NULL,       -- 0 granted, 1 withdrawn, 2 used by a send, 3 used as a push says, 4 none left
    msgid       TEXT,                   -- of the message that used it
    at          INTEGER NOT NULL,       -- its clock in three parts
    at_ms       INTEGER NOT NULL,
    tie         INTEGER NOT NULL,
    PRIMARY KEY (credit_key, seq, place)
) STRICT, WITHOUT ROWID;

-- For SQLite's planner, as in the first step: one person or template tells more than an account.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('sends', 'sends_by_account', '1000000 200000 1'),
    ('sends', 'sends_by_openid', '1000000 200000 20 1'),
    ('sends', 'sends_by_msgid', '1000000 200000 2 1'),
    ('credits', 'credits_by_name', '1000000 200000 5 1'),
    ('credits', 'credits_by_account', '1000000 200000 1'),
    ('credits', 'credits_by_openid', '1000000 200000 5 1'),
    ('credits', 'credits_by_template', '1000000 200000 50000 1');
ANALYZE sqlite_schema;
