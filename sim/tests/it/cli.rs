//! The program itself: what it prints when it serves, and its exit codes.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use weir_sim::api::{ControlClient, Follow};
use weir_sim::{Account, wechat};

use crate::backend::{Act, Backend, Received};

/// An account file that is gone with the test.
struct AccountFile(PathBuf);

impl AccountFile {
    fn new(name: &str) -> Self {
        let file =
            std::env::temp_dir().join(format!("weir-sim-{name}-{}.json", std::process::id()));
        std::fs::write(
            &file,
            serde_json::to_string(&[Account::random("demo")]).unwrap(),
        )
        .unwrap();
        Self(file)
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-sim"));
        command
            .arg(subcommand)
            .arg("--account-file")
            .arg(&self.0)
            .kill_on_drop(true);
        command
    }
}

impl Drop for AccountFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Echoes, and has nothing to say.
fn content(_: usize, request: &Received) -> Act {
    Act::ok(
        request
            .query
            .get("echostr")
            .map_or("success", String::as_str),
    )
}

async fn code(command: &mut Command) -> (i32, String) {
    let output = command.output().await.unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test]
async fn the_api_says_in_one_line_where_it_is_and_ends_politely() {
    let file = AccountFile::new("api");
    let mut child: Child = file
        .command("api")
        .args(["--control", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .next_line()
        .await
        .unwrap()
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!((words[0], words[3]), ("ready", "accounts=demo"));
    assert!(words[1].starts_with("api=http://127.0.0.1:"));
    let control = ControlClient::new(words[2].strip_prefix("control=").unwrap()).unwrap();
    control
        .follow("demo", &wechat::ids::openid(), &Follow::default())
        .await
        .unwrap();
    assert!(
        control
            .follow("nobody", "o1", &Follow::default())
            .await
            .is_err()
    );
    assert_eq!(control.ledger().await.unwrap().calls.len(), 0);

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_walk_exits_with_0_only_if_every_step_was_right() {
    let file = AccountFile::new("walk");
    let backend = Backend::start(content).await;
    let url = backend.url("/wechat/demo");
    let (right, shown) = code(file.command("walk").args(["--url", &url])).await;
    assert_eq!(right, 0, "{shown}");
    assert!(shown.contains("all 4 steps right"), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours into a pipe");
    let (wrong, shown) =
        code(
            file.command("walk")
                .args(["--url", &url, "--expect-text", "Welcome"]),
        )
        .await;
    assert_eq!(wrong, 1, "{shown}");
    assert!(shown.contains("1 of 4 steps wrong: send"), "{shown}");
    assert_eq!(
        code(file.command("walk").args(["--url", "nowhere"]))
            .await
            .0,
        2
    );
}

#[tokio::test]
async fn one_push_of_any_kind_can_be_sent() {
    let file = AccountFile::new("push");
    let backend = Backend::start(content).await;
    let url = backend.url("/wechat/demo");
    let args = [
        "--url",
        &url,
        "--mode",
        "plain",
        "--from",
        "oUser",
        "--create-time",
        "1714113001",
    ];
    let fields = [
        "--field",
        "ScanCodeInfo.ScanType=qrcode",
        "--field",
        "ScanCodeInfo.Size:=3",
    ];
    let (right, _) = code(
        file.command("push")
            .args(args)
            .args(fields)
            .args(["event", "scancode_waitmsg"]),
    )
    .await;
    assert_eq!(right, 0);
    let body = String::from_utf8(backend.received()[0].body.clone()).unwrap();
    assert!(
        body.ends_with(
            "<FromUserName><![CDATA[oUser]]></FromUserName><CreateTime>1714113001</CreateTime>\
             <MsgType><![CDATA[event]]></MsgType><Event><![CDATA[scancode_waitmsg]]></Event>\
             <ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType><Size>3</Size></ScanCodeInfo></xml>"
        ),
        "{body}"
    );
    assert_eq!(
        code(file.command("verify").args(["--url", &url])).await.0,
        0
    );
}
