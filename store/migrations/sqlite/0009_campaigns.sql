-- A campaign of an account is sent under one name once.
CREATE UNIQUE INDEX jobs_campaigns ON jobs (account, name) WHERE kind = 'campaign';

-- Who gets a campaign's message, and what became of it: kept, so that nobody gets it twice.
CREATE TABLE campaign_recipients (
    recipient_key INTEGER PRIMARY KEY,  -- order of asking: what listings page by, and the order it is sent in
    job_key   INTEGER NOT NULL,
    openid    TEXT NOT NULL,
    vals      TEXT NOT NULL,            -- JSON array, one text for each column that the message uses
    begins    INTEGER NOT NULL,         -- how often it was about to leave: who counts it up sends it
    begun_ms  INTEGER,                  -- when the message that may have been sent left first; NULL: there is none
    outcome   TEXT,                     -- sent, refused, unknown; NULL: not known, which after begun_ms is: sent or not
    errcode   INTEGER,                  -- WeChat's
    msgid     TEXT,                     -- WeChat's
    reason    TEXT,                     -- why it was not sent, in words
    field     TEXT,                     -- which key of the data WeChat did not take
    retryable INTEGER NOT NULL          -- 1: the next run sends it by itself
) STRICT;
CREATE UNIQUE INDEX campaign_recipients_by_openid ON campaign_recipients (job_key, openid);
CREATE INDEX campaign_recipients_by_key ON campaign_recipients (job_key, recipient_key);
