-- One person across accounts and apps (store/src/people). Of people nothing is stored: they are computed from what is here
-- when somebody asks. users.user_key leaves the database from now on, as the identity's uid: it is never given to anybody else.

-- The unionids that identities were told to have. The order of arrival cannot matter: a set, with the earliest time of each.
CREATE TABLE unions (
    user_key BIGINT NOT NULL,
    unionid  TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,      -- since when, a clock in three parts
    at_ms    BIGINT NOT NULL,
    tie      BIGINT NOT NULL,
    PRIMARY KEY (user_key, unionid)
);
-- Who else has it.
CREATE INDEX unions_by_unionid ON unions (unionid, user_key);

-- Who logged in to a Mini Program.
CREATE TABLE logins (
    user_key BIGINT PRIMARY KEY,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL
);

-- What profiles have told so far. When it was told first is not known any more; the newest profile had it.
INSERT INTO unions (user_key, unionid, at, at_ms, tie)
SELECT user_key, unionid, coalesce(profile_at_ms / 1000, first_seen_at), coalesce(profile_at_ms, first_seen_at * 1000), 0
FROM users WHERE unionid IS NOT NULL AND unionid <> '';
