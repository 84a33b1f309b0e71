-- Cards of users, member cards above all (store/src/fold/card.rs), and the questions to WeChat about them that are open.

CREATE TABLE cards (
    card_key    INTEGER PRIMARY KEY,    -- order of first storage: what listings page by
    account_key INTEGER NOT NULL,
    card_id     TEXT NOT NULL,          -- which sort of card
    code        TEXT NOT NULL,          -- whose
    openid      TEXT,                   -- who has it, or had it last; NULL: never told
    card        TEXT NOT NULL           -- JSON, all that is known and how fresh it is: private to fold::card
) STRICT;
CREATE UNIQUE INDEX cards_by_name ON cards (card_id, code, account_key);
CREATE INDEX cards_by_account ON cards (account_key, card_key);
CREATE INDEX cards_by_card_id ON cards (account_key, card_id, card_key);
CREATE INDEX cards_by_openid ON cards (account_key, openid, card_key) WHERE openid IS NOT NULL;

-- Cards of which WeChat is to be asked. Written with the event that makes it necessary, gone with the answer.
CREATE TABLE card_fetches (
    card_key INTEGER PRIMARY KEY,
    wanted   INTEGER NOT NULL,          -- counts events: an answer to an older question ends none that came meanwhile
    due_ms   INTEGER,                   -- when to ask, by the store's clock: later while somebody is asking; NULL: WeChat refuses
    tries    INTEGER NOT NULL,          -- how often it was tried in vain
    errcode  INTEGER,                   -- WeChat's, of the last try
    reason   TEXT                       -- what was in the way, in words
) STRICT;
CREATE INDEX card_fetches_by_due ON card_fetches (due_ms) WHERE due_ms IS NOT NULL;

-- For SQLite's planner, as in the first step: one person has few cards, a sort of card many.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('cards', 'cards_by_name', '1000000 200000 1 1'),
    ('cards', 'cards_by_account', '1000000 200000 1'),
    ('cards', 'cards_by_card_id', '1000000 200000 50000 1'),
    ('cards', 'cards_by_openid', '1000000 200000 3 1');
ANALYZE sqlite_schema;
