//! Schemas and reference of events, against the events themselves.

mod page;
mod schemas;
