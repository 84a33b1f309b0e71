//! The built `weir`, run as people run it; what it prints is judged by its sentences.

mod schema;
mod validate;
mod weir;
