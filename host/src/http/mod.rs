//! HTTP from the client's side: connections, streams, the filters on them, and where they go.

pub(crate) mod filter;
pub(crate) mod headers;
pub(crate) mod local_reply;
mod path;
pub(crate) mod pipe;
pub(crate) mod property;
pub(crate) mod request;
mod router;
pub(crate) mod server;
pub(crate) mod stream;
mod travel;
mod view;
