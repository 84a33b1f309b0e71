-- Whom an account's blacklist at WeChat has, as syncs told.

-- The newest word on each who was ever on it.
CREATE TABLE blacklist (
    user_key    BIGINT PRIMARY KEY,
    account_key BIGINT NOT NULL,        -- repeated from users: it leads the index
    listed      BIGINT NOT NULL,        -- 1: they are on it
    at          BIGINT NOT NULL,        -- since when that is known, a clock in three parts
    at_ms       BIGINT NOT NULL, 
    tie         BIGINT NOT NULL
);
CREATE INDEX blacklist_by_account ON blacklist (account_key, user_key) WHERE listed = 1;

-- How much of it a pass has read, beside its sync_pages. Gone when the pass is complete.
CREATE TABLE sync_blacklist_pages (
    run       TEXT NOT NULL,            -- the pass
    page      BIGINT NOT NULL,          -- from 0
    total     BIGINT NOT NULL,          -- how many are on it, as this page said
    next      TEXT NOT NULL,            -- where the list goes on
    openids   TEXT NOT NULL,            -- JSON array, in WeChat's order
    asked_ms  BIGINT NOT NULL,          -- when WeChat was asked for it, by the store's clock
    PRIMARY KEY (run, page)
);
