//! The application: a program of its own, so that it can be killed. It writes every push it is asked about into a file
//! before it does anything else, and answers `{"text": "app says …"}` after as many milliseconds as the text asks for.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use weir_testbed::process::Process;

/// How long it may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What every text that is forwarded begins with; then a number for the push, and the milliseconds.
pub(super) const ASK: &str = "ask ";

/// What it answers to a text.
pub(super) fn answer(content: &str) -> String {
    format!("app says {content}")
}

/// Serves until it is killed: `weir-chaos app ADDRESS FILE`.
///
/// # Errors
/// It cannot listen.
pub async fn serve(listen: SocketAddr, file: PathBuf) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("app=http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/", post(ask))
        .with_state(Arc::new(file));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn ask(State(file): State<Arc<PathBuf>>, body: String) -> Result<String, StatusCode> {
    let event: Value = serde_json::from_str(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let id = event["id"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
    let content = event["data"]["push"]["Content"]
        .as_str()
        .ok_or(StatusCode::BAD_REQUEST)?;
    note(&file, id).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let ms = content.rsplit(' ').next().and_then(|ms| ms.parse().ok());
    tokio::time::sleep(Duration::from_millis(ms.unwrap_or(0))).await;
    Ok(json!({"text": answer(content)}).to_string())
}

/// One line, written at once: a kill does not take it back.
fn note(file: &Path, id: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    Ok(())
}

/// The program, ended when this is dropped.
pub(super) struct App {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl App {
    /// Starts it; port 0 picks a free one.
    pub(super) fn start(program: &Path, dir: &Path, listen: SocketAddr) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["app", &listen.to_string()])
            .arg(ledger(dir))
            .current_dir(dir);
        let mut process = Process::start("app", command, dir)?;
        let address = process.wait_for_line("its address", START_LIMIT, |line| {
            line.strip_prefix("app=http://")?.parse().ok()
        })?;
        Ok(Self { process, address })
    }
}

fn ledger(dir: &Path) -> PathBuf {
    dir.join("app.calls")
}

/// The pushes it was asked about, in order.
pub(super) fn calls(dir: &Path) -> Result<Vec<String>> {
    let file = ledger(dir);
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
