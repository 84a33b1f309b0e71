//! The reader and the schema, which are made from the same tables, judge alike.
#![allow(missing_docs, reason = "tests are read, not linked to")]

mod door;
mod judge;
mod schema;
