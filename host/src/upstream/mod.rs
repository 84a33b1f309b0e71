//! HTTP towards upstreams: clusters, their connections, requests on them, and the modules' callouts.

pub(crate) mod call;
pub(crate) mod forward;
pub(crate) mod pool;
mod retry;
mod tls;
