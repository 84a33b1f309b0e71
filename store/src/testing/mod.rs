//! A PostgreSQL and a store in a box, for tests of this crate and of others (feature `testing`).
//!
//! Nothing here is compiled into the program.

mod postgres;
mod store;

pub use postgres::{TestDatabase, TestPostgres};
pub use store::TestStore;
