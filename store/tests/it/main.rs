//! Behaviour of the store, seen from outside. `suite` runs against both databases.

mod world;

mod suite;
