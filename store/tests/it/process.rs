//! The program itself: how it starts, what it prints, how it ends.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::world::Database;

/// A running `weir-store`.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts it on a free port; returns once it says where it listens.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, &[], &[]).await
    }

    /// The same with more arguments and variables.
    pub(crate) async fn start_with(
        database: &Database,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = command(database);
        command.args(arguments).envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the store says where it listens");
        let url = line.strip_prefix("listening on ").expect(&line).to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, url }
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn end(mut self, signal: Signal) -> ExitStatus {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        self.child.wait().await.unwrap()
    }
}

fn command(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-store"));
    command
        .args(["--listen", "127.0.0.1:0", "--database", &database.url()])
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_signal_to_end_is_a_good_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let database = Database::sqlite().unwrap();
        let process = Process::start(&database).await;
        let health = reqwest::get(format!("{}/healthz", process.url))
            .await
            .unwrap();
        assert_eq!(health.status(), 200);
        assert!(process.end(signal).await.success(), "{signal:?}");
    }
}

#[tokio::test]
async fn the_token_comes_from_the_variable_that_is_named() {
    let database = Database::sqlite().unwrap();
    let mut command = command(&database);
    command
        .args(["--bearer-token-env", "MY_TOKEN"])
        .env("MY_TOKEN", "s3cret");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = format!("{}/v1/users", line.strip_prefix("listening on ").unwrap());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 401);
    let request = reqwest::Client::new().get(&url).bearer_auth("s3cret");
    assert_eq!(request.send().await.unwrap().status(), 200);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn what_it_cannot_do_it_says_and_fails() {
    let database = Database::sqlite().unwrap();
    for (arguments, said) in [
        (["--database", "mysql://x"], "the database must be"),
        (["--max-batch-events", "0"], "max-batch-events is 0"),
        (
            ["--bearer-token-env", "WEIR_TEST_THIS_IS_NOT_SET"],
            "WEIR_TEST_THIS_IS_NOT_SET",
        ),
    ] {
        let mut command = command(&database);
        if arguments[0] == "--database" {
            // It may be given once.
            command = Command::new(env!("CARGO_BIN_EXE_weir-store"));
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut words)
            .await
            .unwrap();
        assert!(!child.wait().await.unwrap().success());
        assert!(words.contains(said), "{arguments:?}: {words}");
    }
}
