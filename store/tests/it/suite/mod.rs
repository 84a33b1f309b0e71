//! What every database must do. Each test is run against SQLite and PostgreSQL.

/// Makes each of the functions, which take a [`World`](crate::world::World), a test for both databases.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                if let Some(database) = $crate::world::Database::sqlite() {
                    super::$name($crate::world::World::new(database).await).await;
                }
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(database) = $crate::world::Database::postgres().await {
                    super::$name($crate::world::World::new(database).await).await;
                }
            })*
        }
    };
}

mod events;
mod follows;
mod messages;
mod profiles;
mod users;
