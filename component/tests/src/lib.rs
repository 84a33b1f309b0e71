//! The frame of the components' tests: what the world around a component does, as little of it as can be.
//!
//! What Weir does on this host as on the others is in `host-tests`. Here is what only a component has: what it imports, what it
//! refuses, the codec, and `wasi:keyvalue`.

pub mod host;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};
use weir_host::component::{Batch, Error, Options, Server};
use weir_testbed::layout::Layout;

/// The Token of [`document`]'s account, in the environment variable `TOKEN`.
pub const TOKEN: &str = "AAAAA";

/// One of `target/`'s components, which must have been built.
///
/// # Errors
/// It was not.
pub fn built(path: fn(&Layout) -> PathBuf) -> Result<PathBuf> {
    let path = path(&Layout::of_this_checkout());
    ensure!(
        path.is_file(),
        "{} is not there: run `cargo xtask component --build` first",
        path.display()
    );
    Ok(path)
}

/// A vector file of the crate `protocol`.
///
/// # Errors
/// It is not there, or no JSON.
pub fn vectors(name: &str) -> Result<Value> {
    let path = vectors_dir().join(name);
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}

/// Where the vector files are.
#[must_use]
pub fn vectors_dir() -> PathBuf {
    let layout = Layout::of_this_checkout();
    layout.root().join("protocol/tests/vectors")
}

/// A configuration with one account in plain mode that welcomes followers.
#[must_use]
pub fn document(store: &str) -> Value {
    json!({
        "accounts": [{
            "name": "demo",
            "path": "/wechat/demo",
            "original_id": "gh_0a1b2c3d4e5f",
            "appid": "wx0123456789abcdef",
            "mode": "plain",
            "token_env": "TOKEN",
            "rules": [{ "when": { "event": "subscribe" }, "reply": { "text": "Welcome" } }],
        }],
        "store": { "cluster": store },
    })
}

/// The component in its own host, on some port, with so many instances at most.
///
/// # Errors
/// It was not built. Why it is not served is the inner error.
pub async fn serve(
    document: &Value,
    instances: usize,
    batch: Batch,
) -> Result<Result<Server, Error>> {
    let environment = [
        ("WEIR_CONFIG", document.to_string()),
        ("TOKEN", TOKEN.into()),
    ];
    Ok(Server::start(Options {
        component: built(Layout::component)?,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin: None,
        ways: Vec::new(),
        trusted_ca: Vec::new(),
        instances,
        batch,
    })
    .await)
}

/// Path and query of a request that WeChat has signed now.
#[must_use]
pub fn signed(path: &str, rest: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let timestamp = now.unwrap_or_default().as_secs().to_string();
    let nonce = "415670741";
    let mut parts = [TOKEN, &timestamp, nonce];
    parts.sort_unstable();
    let digest = Sha1::digest(parts.concat());
    let signature: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{path}?signature={signature}&timestamp={timestamp}&nonce={nonce}{rest}")
}

/// A follow by `openid`.
#[must_use]
pub fn follow(openid: &str) -> String {
    format!(
        "<xml><ToUserName>gh_0a1b2c3d4e5f</ToUserName><FromUserName>{openid}</FromUserName>\
         <CreateTime>1714112445</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>\
         <EventKey></EventKey></xml>"
    )
}

/// A store that says yes to everything: where it is, and what comes in.
///
/// # Errors
/// The system refused.
pub async fn store() -> Result<(String, mpsc::UnboundedReceiver<String>)> {
    store_saying(Duration::ZERO, |_| 200).await
}

/// A store that answers a body with a status, after a while, or never with 0: where it is, and what comes in and is answered.
///
/// # Errors
/// The system refused.
pub async fn store_saying(
    after: Duration,
    says: fn(&str) -> u16,
) -> Result<(String, mpsc::UnboundedReceiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while let Ok(1..) = tcp.read_buf(&mut request).await {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head.to_ascii_lowercase();
                    let length = length.split("content-length: ").nth(1);
                    let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
                    if length.is_some_and(|length: usize| body.len() >= length) {
                        let status = says(body);
                        if status == 0 {
                            std::future::pending::<()>().await;
                        }
                        tokio::time::sleep(after).await;
                        // Nobody listens any more when the test is over.
                        let _ = sender.send(body.to_owned());
                        request.clear();
                        let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
                        if tcp.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    Ok((origin, received))
}
