//! The crate as its users see it, against published and independent vectors.

mod answers;
mod api;
mod callbacks;
mod crypt;
mod kinds;
mod malformed;
mod open_data;
mod profile;
mod properties;
mod query;
mod replies;
mod requests;
mod roundtrip;
mod rules;
mod signature;
mod vectors;
mod verification;
