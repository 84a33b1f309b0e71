-- The phone number that somebody gave to a Mini Program: the newest. All of them are in the events.
CREATE TABLE phones (
    user_key          INTEGER PRIMARY KEY,
    phone_number      TEXT NOT NULL,
    pure_phone_number TEXT NOT NULL,
    country_code      TEXT NOT NULL,
    at                INTEGER NOT NULL,      -- since when, a clock in three parts
    at_ms             INTEGER NOT NULL,
    tie               INTEGER NOT NULL
) STRICT;
