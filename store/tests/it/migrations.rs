//! Starting on databases that are there, new, or someone else's.

use weir_store::config::Config;
use weir_store::server::Store;

use crate::world::{Database, T0, World, text};

async fn both() -> Vec<Database> {
    Database::sqlite()
        .into_iter()
        .chain(Database::postgres().await)
        .collect()
}

#[tokio::test]
async fn a_store_finds_what_the_one_before_it_stored() {
    for database in both().await {
        let world = World::new(database).await;
        world.create(&[text("a", "oA", T0, "hello")]).await;
        world.store.stop().await.unwrap();
        let world = World::new(world.database).await;
        assert_eq!(world.user("oA").await.counts.messages, 1);
        world.create(&[text("b", "oA", T0, "hello")]).await;
        assert_eq!(world.user("oA").await.counts.messages, 2);
    }
}

#[tokio::test]
async fn several_stores_may_start_on_an_empty_database_at_once() {
    for database in both().await {
        let config = Config::local(database.url());
        let starting = (0..8).map(|_| {
            let config = config.clone();
            tokio::spawn(async move { Store::open(&config).await.map(|_| ()) })
        });
        for started in starting.collect::<Vec<_>>() {
            started.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_cannot_be_a_database_is_refused_without_repeating_a_password() {
    for url in [
        "mysql://root:hunter2@localhost/x",
        "postgres://weir:hunter2@127.0.0.1:1/x",
        "postgres://weir:hunter2@[",
        "sqlite:/nowhere/at/all/weir.db",
        "sqlite::memory:",
        "hunter2",
    ] {
        let error = Store::open(&Config::local(url)).await.unwrap_err();
        assert!(
            !format!("{error:#}").contains("hunter2"),
            "{url}: {error:#}"
        );
    }
}
