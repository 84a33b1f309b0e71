//! The built `weir`, run as people run it; what it prints is judged by its sentences.

mod api;
mod clear_quota;
mod door;
mod gateway;
mod import;
mod replay;
mod schema;
mod send;
mod sync;
mod trigger;
mod validate;
mod watch;
mod weir;
