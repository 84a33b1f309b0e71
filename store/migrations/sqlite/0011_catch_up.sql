-- What is read out of the log again, because it was stored before the store knew what to make of it (store/src/catch_up.rs):
-- one row, or none where there was nothing.
CREATE TABLE catch_up (
    done_seq INTEGER NOT NULL,          -- so far it has been read
    last_seq INTEGER NOT NULL           -- the newest event of before
) STRICT;
INSERT INTO catch_up (done_seq, last_seq) SELECT 0, seq FROM events ORDER BY seq DESC LIMIT 1;
