-- The phone number that somebody gave to a Mini Program: the newest. All of them are in the events.
CREATE TABLE phones (
    user_key          BIGINT PRIMARY KEY,
    phone_number      TEXT NOT NULL,
    pure_phone_number TEXT NOT NULL,
    country_code      TEXT NOT NULL,
    at                BIGINT NOT NULL,      -- since when, a clock in three parts
    at_ms             BIGINT NOT NULL,
    tie               BIGINT NOT NULL
);
