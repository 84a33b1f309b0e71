-- Cards of users, member cards above all (store/src/fold/card.rs), and the questions to WeChat about them that are open.

CREATE TABLE cards (
    card_key    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,    -- order of first storage: what listings page by
    account_key BIGINT NOT NULL,
    card_id     TEXT COLLATE "C" NOT NULL,          -- which sort of card
    code        TEXT COLLATE "C" NOT NULL,          -- whose
    openid      TEXT COLLATE "C",                   -- who has it, or had it last; NULL: never told
    card        TEXT NOT NULL           -- JSON, all that is known and how fresh it is: private to fold::card
) WITH (fillfactor = 85);   -- room to put a changed card beside its old self
CREATE UNIQUE INDEX cards_by_name ON cards (card_id, code, account_key);
CREATE INDEX cards_by_account ON cards (account_key, card_key);
CREATE INDEX cards_by_card_id ON cards (account_key, card_id, card_key);
CREATE INDEX cards_by_openid ON cards (account_key, openid, card_key) WHERE openid IS NOT NULL;

-- Cards of which WeChat is to be asked. Written with the event that makes it necessary, gone with the answer.
CREATE TABLE card_fetches (
    card_key BIGINT PRIMARY KEY,
    wanted   BIGINT NOT NULL,          -- counts events: an answer to an older question ends none that came meanwhile
    due_ms   BIGINT,                   -- when to ask, by the store's clock: later while somebody is asking; NULL: WeChat refuses
    tries    BIGINT NOT NULL,          -- how often it was tried in vain
    errcode  BIGINT,                   -- WeChat's, of the last try
    reason   TEXT                      -- what was in the way, in words
);
CREATE INDEX card_fetches_by_due ON card_fetches (due_ms) WHERE due_ms IS NOT NULL;
