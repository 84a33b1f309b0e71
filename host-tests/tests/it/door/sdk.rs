//! SDKs as they are published, at the door. What they do is in `host-tests/sdk`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::block_in_place;
use weir_host_tests::{Gateway, SHOP_KEY, somebody};
use weir_sim::api::{Act, Follow};
use weir_testbed::layout::Layout;

use super::{STABLE_TOKEN, open};

/// Set to `1`, these tests are left out, unless `CI` is `true`.
const LEAVE_OUT: &str = "WEIR_WITHOUT_SDKS";
/// How often each SDK goes through all of its calls: two texts, of the five that a user's message allows.
const ROUNDS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wechatpy_works_as_it_is_and_never_sees_a_token_die() -> Result<()> {
    works_as_it_is("wechatpy", |layout| {
        let dir = installed(layout, "wechatpy", &["requirements.txt"], |dir| {
            run(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
            run(Command::new(dir.join("bin/python"))
                .args(["-m", "pip", "install", "-q", "--disable-pip-version-check"])
                .args(["-r", "requirements.txt"])
                .current_dir(dir))
        })?;
        let mut command = Command::new(dir.join("bin/python"));
        command
            .args(["-W", "ignore"])
            .arg(sources(layout).join("wechatpy_calls.py"));
        Ok(command)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn co_wechat_api_works_as_it_is_and_never_sees_a_token_die() -> Result<()> {
    works_as_it_is("co-wechat-api", |layout| {
        let files = ["package.json", "package-lock.json"];
        let dir = installed(layout, "co-wechat-api", &files, |dir| {
            run(Command::new("npm")
                .args([
                    "ci",
                    "--loglevel=error",
                    "--no-audit",
                    "--no-fund",
                    "--ignore-scripts",
                ])
                .current_dir(dir))
        })?;
        // Modules are looked for beside the program.
        let program = dir.join("calls.js");
        fs::copy(sources(layout).join("co_wechat_api_calls.js"), &program)?;
        let mut command = Command::new("node");
        command.arg(program);
        Ok(command)
    })
    .await
}

fn sources(layout: &Layout) -> PathBuf {
    layout.root().join("host-tests/sdk")
}

/// A directory under `target/sdk` where these files are and what they ask for was installed; once, until they change.
fn installed(
    layout: &Layout,
    name: &str,
    files: &[&str],
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let dir = layout.target().join("sdk").join(name);
    let wanted = sources(layout);
    let done = dir.join("installed");
    let same = |file: &&str| {
        fs::read(dir.join(file))
            .is_ok_and(|there| fs::read(wanted.join(file)).is_ok_and(|f| f == there))
    };
    if done.is_file() && files.iter().all(same) {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    for file in files {
        fs::copy(wanted.join(file), dir.join(file))?;
    }
    install(&dir)
        .with_context(|| format!("{name} cannot be installed ({LEAVE_OUT}=1 leaves it out)"))?;
    fs::write(done, "")?;
    Ok(dir)
}

/// Runs a program to its end; what it printed.
fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = block_in_place(|| command.output()).with_context(|| format!("{program:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{program:?}: {}\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Whether these tests are left out, which is told.
fn left_out() -> bool {
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
    let out = is(LEAVE_OUT, "1") && !is("CI", "true");
    if out {
        eprintln!("left out: ${LEAVE_OUT} is set");
    }
    out
}

/// The SDK makes all of its calls through the door. Before each the access token is invalidated, which none may notice.
async fn works_as_it_is(
    name: &str,
    program: impl FnOnce(&Layout) -> Result<Command>,
) -> Result<()> {
    if left_out() {
        return Ok(());
    }
    let mut program = program(&Layout::of_this_checkout())?;
    let Some(world) = open(name, |_| {}).await? else {
        return Ok(());
    };
    let world = Arc::new(world);
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    world.api().act("demo", &openid, Act::Message)?;

    let of_the_route = world.clone();
    let invalidate = move || {
        let done = of_the_route.api().invalidate_tokens("demo", None);
        async move { done.map_or(StatusCode::NOT_FOUND, |()| StatusCode::OK) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let between = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/", post(invalidate));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    program
        .env("DOOR", format!("http://{}", world.gateway.door_address()?))
        .env("APPID", &world.account.appid)
        .env("KEY", SHOP_KEY)
        .env("OPENID", &openid)
        .env("ROUNDS", ROUNDS.to_string())
        .env("BETWEEN", between)
        .env("BETWEEN_BODY", "{}")
        .env("NO_PROXY", "127.0.0.1");
    let told: Value = serde_json::from_str(&output(&mut program)?)?;
    serving.abort();
    assert_eq!(told["sdk"], name);
    assert_eq!(told["logins"], 1, "the SDK saw no token refused: {told}");

    let ledger = world.api().ledger();
    let refused: u64 = ledger
        .calls
        .values()
        .filter_map(|calls| calls.errcodes.get(&40_001))
        .sum();
    ensure!(refused > 0, "no token died");
    assert_eq!(ledger.count("/cgi-bin/token"), 0, "logins are the door's");
    ensure!(ledger.count(STABLE_TOKEN) > 1, "no token was fetched again");
    assert!(
        ledger.strange_headers.is_empty(),
        "{:?}",
        ledger.strange_headers
    );
    for api in ["template", "custom"] {
        let sent = world.api().recipients("demo", api)?;
        assert_eq!(sent.len(), 1, "{api}");
        assert_eq!(sent[&openid], ROUNDS as u64, "{api}: each message once");
    }
    let msgids = told["msgids"].as_array().context("ids")?;
    let template = ledger.sends.iter().filter(|sent| sent.api == "template");
    let real: Vec<String> = template.map(|sent| sent.msgid.to_string()).collect();
    assert_eq!(
        msgids.iter().filter_map(Value::as_str).collect::<Vec<_>>(),
        real
    );
    Ok(())
}
