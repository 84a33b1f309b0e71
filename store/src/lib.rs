//! The store: takes Weir's events, keeps them, and answers questions about accounts, users and messages.
pub mod cursor;
pub mod event;
pub mod fact;
pub mod fold;
mod lenient;
pub mod repo;
