//! The host, seen from outside: through a plugin that does one thing per path, and an upstream that misbehaves on
//! request. One file per subject, one sentence per behaviour.

mod bodies;
mod breaking_off;
mod callouts;
mod client;
mod configuration;
mod contexts;
mod faults;
mod guest;
mod http2;
mod lifecycle;
mod observability;
mod replies;
mod rig;
mod shared;
mod tls;
mod upstream;
