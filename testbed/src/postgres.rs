//! A private PostgreSQL for the length of a test.
