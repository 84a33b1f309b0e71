-- What is left of people who were erased where something else must go on without them.

-- Who was erased last when, by weir_clock: a campaign that was asked for before does not take them in again.
CREATE TABLE erasures (
    user_key INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL
) STRICT;

-- 1: nobody's row any more. Its openid is a name for the row, it is never sent to, and counted all the same.
ALTER TABLE campaign_recipients ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
