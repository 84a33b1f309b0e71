//! Starting on databases that are there, new, or someone else's.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use weir_store::config::Config;
use weir_store::server::Store;
use weir_store_api::read::Person;
use weir_store_api::{EventStatus, WorkState};

use crate::world::{Database, T0, World, claim, text};

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

/// A database as the first release left it, with one event.
const FIRST_RELEASE: &str = "
    CREATE TABLE weir_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL,
        applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
    INSERT INTO weir_migrations (version, name) VALUES (1, '0001_initial');
    INSERT INTO sources (source) VALUES ('/accounts/demo');
    INSERT INTO events (source_key, id, type, stored_at_ms) VALUES (1, 'p', 'weir.message.text', 0);";

/// Makes such a database, with these rows.
async fn made(database: &Database, rows: &str) {
    let initial = match &database {
        Database::Sqlite(_) => include_str!("../../migrations/sqlite/0001_initial.sql"),
        Database::Postgres(_) => include_str!("../../migrations/postgres/0001_initial.sql"),
    };
    let made = format!("{initial};{FIRST_RELEASE};{rows}");
    database.change(&made).await;
}

#[tokio::test]
async fn a_database_of_the_first_release_gains_the_ledger() {
    for database in both().await {
        made(&database, "").await;
        let world = World::new(database).await;
        let told = world.post(&[claim("p", "a"), claim("q", "a")]).await;
        let told: Vec<_> = told
            .results
            .into_iter()
            .map(|result| (result.status, result.work.unwrap().state))
            .collect();
        use EventStatus::{Created, Duplicate};
        assert_eq!(
            told,
            [(Duplicate, WorkState::Yours), (Created, WorkState::Yours)]
        );
    }
}

/// As a release before people knew them: with the unionid in the profile alone.
#[tokio::test]
async fn people_of_before_are_held_together_by_their_profiles() {
    const USERS: &str = "
        INSERT INTO accounts (name) VALUES ('demo');
        INSERT INTO users (account_key, openid, first_seen_at, unionid, profile_at_ms)
            SELECT account_key, 'oA', 100, 'u', 200000 FROM accounts;
        INSERT INTO users (account_key, openid, first_seen_at, unionid)
            SELECT account_key, 'oB', 90, 'u' FROM accounts;
        INSERT INTO users (account_key, openid, first_seen_at) SELECT account_key, 'oC', 80 FROM accounts;";
    for database in both().await {
        made(&database, USERS).await;
        let world = World::new(database).await;
        let uid = world.user("oA").await.uid;
        let person: Person = world.get(&format!("/v1/people/{uid}")).await;
        let openids = person
            .identities
            .iter()
            .map(|known| known.user.openid.as_str());
        assert_eq!(openids.collect::<Vec<_>>(), ["oB", "oA"]);
        assert_eq!(person.merges[0].at, "1970-01-01T00:03:20Z");
    }
}

/// As a release before jobs were found by whom they name, and when an operation's outcome named followers.
#[tokio::test]
async fn jobs_of_before_are_found_by_whom_they_name() {
    const UNDONE: &str = "DROP TABLE job_names; DELETE FROM weir_migrations WHERE version = 14;";
    let job = |kind: &str, name: &str, request: &str, ended: &str| {
        format!(
            "INSERT INTO jobs (account, kind, name, state, request, asked_ms, ended_ms, due_ms, stop, tries, counts, whole) \
             VALUES ('demo', '{kind}', '{name}', 'done', '{request}', 5, {ended}, 9007199254740991, 0, 0, '{{}}', 0);"
        )
    };
    let give = |who: &str| format!(r#"{{"change":"give","id":100,"openids":["{who}"]}}"#);
    let chosen = |who: &str| format!(r#"{{"appid":"wx","openids":["{who}"]}}"#);
    let jobs = [
        job("tags", "over", &give("oB"), "9"),
        // Texts that PostgreSQL's JSON cannot hold, and one that looks like them.
        job(
            "tags",
            "waits",
            &give(r#"oB","a\u0000b","a\\u0000b"#),
            "NULL",
        ),
        job(
            "tags",
            "names nobody",
            r#"{"change":"delete","id":100}"#,
            "9",
        ),
        job("sync", "names one who is erased", &chosen("oA"), "9"),
        job("sync", "names one who is not", &chosen("oB"), "9"),
    ];
    for database in both().await {
        let world = World::new(database).await;
        let (one, other) = (text("a", "oA", T0, "x"), text("b", "oB", T0, "x"));
        world.create(&[one, other]).await;
        let uid = world.user("oA").await.uid;
        let path = format!("/v1/people/{uid}?by=Li&reason=asked");
        let erased = world.ask(Method::DELETE, &path, &Value::Null).await;
        assert_eq!(erased.status(), StatusCode::OK);
        world.store.stop().await.unwrap();
        let database = world.database;
        let trigger = match &database {
            Database::Sqlite(_) => "DROP TRIGGER jobs_name;",
            Database::Postgres(_) => {
                "DROP TRIGGER jobs_name ON jobs; DROP FUNCTION weir_job_names(); DROP FUNCTION weir_named(TEXT);"
            }
        };
        database
            .change(&format!("{trigger}{UNDONE}{}", jobs.concat()))
            .await;

        let world = World::new(database).await;
        let count = async |table: &str, which: &str| {
            let query = format!("SELECT COUNT(*) FROM {table} WHERE {which}");
            world.database.number(&query).await
        };
        assert_eq!(count("jobs", "true").await, 3);
        let kept = "name IN ('waits', 'names nobody', 'names one who is not')";
        assert_eq!(count("jobs", kept).await, 3);
        assert_eq!(count("job_names", "true").await, 2);
        assert_eq!(count("job_names", "openid = 'oB'").await, 2);
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

/// SQLite's switch to its write-ahead log does not wait by itself: it is refused while anybody writes.
#[tokio::test]
async fn a_store_waits_for_the_one_that_makes_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let config = Config::local(format!("sqlite:{}", path.display()));
    let starting = tokio::spawn(async move { Store::open(&config).await.map(|_| ()) });
    // Time to meet the lock; whoever is later finds none, and nothing is shown.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    other.execute_batch("COMMIT").unwrap();
    starting.await.unwrap().unwrap();
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
