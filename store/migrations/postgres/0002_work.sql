-- The ledger of the work behind pushes: an application called once, a reply sent once. A row per push whose work was
-- claimed (weirclaim), or of whose reply an event told. Written in the transaction that stores the event, and kept as
-- long as it.
CREATE TABLE work (
    work_key      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of first storage: what listings page by
    source_key    BIGINT NOT NULL,        -- with push the name of the push's event
    push          TEXT COLLATE "C" NOT NULL, -- CloudEvents id of the push's event
    account_key   BIGINT NOT NULL,        -- repeated from the event, it leads the index; 0: it named no account of ours
    openid        TEXT,                   -- the user, for listings
    claimed_at_ms BIGINT,                 -- when it was claimed first, by the store's clock; NULL: only its outcome is known
    claimant      TEXT NOT NULL,          -- whose it is; empty: nobody's
    held_at_ms    BIGINT,                 -- when this claimant got it: where the lease begins
    lease_ms      BIGINT,                 -- after which another may have it; NULL: never
    done_at_ms    BIGINT,                 -- when the application's answer was stored; NULL: not yet
    app           TEXT,                   -- the application's name in the configuration
    reply         TEXT,                   -- its reply, the JSON as it was sent; NULL: none
    create_time   BIGINT,                 -- of the reply: every copy gets the same
    failed        TEXT,                   -- why the application gave none
    handed        BIGINT NOT NULL,        -- 1: an attempt was told the reply, so it must not be sent
    sender        TEXT,                   -- who may send it, so it must not be handed to an attempt; NULL: nobody yet
    ended_at_ms   BIGINT,                 -- when the end of the send was stored; NULL: not yet
    reason        TEXT,                   -- why it is undeliverable
    errcode       BIGINT,                 -- WeChat's, where it refused
    state         BIGINT NOT NULL         -- 0 waiting, 1 answered, 2 sent, 3 undeliverable: follows from the above, for the index
) WITH (fillfactor = 85);   -- room to put a changed row beside its old self
-- A push has one.
CREATE UNIQUE INDEX work_by_push ON work (source_key, push);
-- An account's in each state, newest first.
CREATE INDEX work_by_state ON work (account_key, state, work_key);
