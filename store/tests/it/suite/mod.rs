//! What every database must do. Each test is run against SQLite and PostgreSQL.

mod events;
mod follows;
mod messages;
mod profiles;
mod users;
mod work;
