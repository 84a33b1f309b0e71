-- Active messages that went through the gateway, what WeChat said of them later, and what users allow. All of it is
-- only ever added to, or replaced by what is newer, so the order of arrival cannot matter.

-- Messages, by what their sending brought (weir.send.result).
CREATE TABLE sends (
    seq           BIGINT PRIMARY KEY,       -- of its event: what listings page by
    account_key   BIGINT NOT NULL,
    appid         TEXT COLLATE "C",         -- the account's at that time
    openid        TEXT COLLATE "C",         -- who was to get it; NULL: the request named nobody
    client        TEXT NOT NULL,            -- who sent it
    api           BIGINT NOT NULL,          -- 0 template, 1 subscribe, 2 bizsend, 3 custom
    template_id   TEXT COLLATE "C",
    msgtype       TEXT,                     -- of customer-service messages
    client_msg_id TEXT,                     -- the application's own name for it
    digest        TEXT NOT NULL,            -- SHA-1 of the request's body, in hex
    errcode       BIGINT,                   -- WeChat's; NULL: it did not answer
    msgid         TEXT COLLATE "C",         -- WeChat's; what later pushes name it by
    outcome       BIGINT NOT NULL,          -- 0 sent, 1 refused, 2 unknown
    sent_at_ms    BIGINT NOT NULL           -- the gateway's clock
);
CREATE INDEX sends_by_account ON sends (account_key, seq);
CREATE INDEX sends_by_openid ON sends (account_key, openid, seq) WHERE openid IS NOT NULL;
CREATE INDEX sends_by_msgid ON sends (account_key, msgid, seq) WHERE msgid IS NOT NULL;

-- Whether a message reached its user, as WeChat pushed it: the newest word on each. Also on messages that did not go
-- through the gateway, or whose result is still on its way.
CREATE TABLE reports (
    account_key BIGINT NOT NULL,
    msgid       TEXT COLLATE "C" NOT NULL,
    failure     TEXT,                       -- why it did not; NULL: it did
    at          BIGINT NOT NULL,            -- the push's clock in three parts: what newer means
    at_ms       BIGINT NOT NULL,
    tie         BIGINT NOT NULL,
    PRIMARY KEY (account_key, msgid)
);

-- Whom subscribe messages of which template were ever about.
CREATE TABLE credits (
    credit_key  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of first storage: what listings page by
    account_key BIGINT NOT NULL,
    openid      TEXT COLLATE "C" NOT NULL,
    template_id TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX credits_by_name ON credits (account_key, openid, template_id);
CREATE INDEX credits_by_account ON credits (account_key, credit_key);
CREATE INDEX credits_by_openid ON credits (account_key, openid, credit_key);
CREATE INDEX credits_by_template ON credits (account_key, template_id, credit_key);

-- What changed a user's credits; the balance is computed from it (fold::credit).
CREATE TABLE credit_news (
    credit_key  BIGINT NOT NULL,
    seq         BIGINT NOT NULL,            -- of its event
    place       BIGINT NOT NULL,            -- in its event
    change      BIGINT NOT NULL,            -- 0 granted, 1 withdrawn, 2 used by a send, 3 used as a push says, 4 none left
    msgid       TEXT,                       -- of the message that used it
    at          BIGINT NOT NULL,            -- its clock in three parts
    at_ms       BIGINT NOT NULL,
    tie         BIGINT NOT NULL,
    PRIMARY KEY (credit_key, seq, place)
);
