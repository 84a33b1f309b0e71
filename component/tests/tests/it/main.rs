//! What only the components have. What they do as every host does is in `host-tests`.
#![allow(missing_docs, reason = "tests are read, not linked to")]

mod component;
