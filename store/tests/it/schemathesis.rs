//! The API held against its own description by schemathesis (`tests/schemathesis`): requests that fit it and requests that
//! do not, in all shapes that it thinks of, must never be answered with 500, nor with anything that the description has not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use weir_store::openapi;
use weir_store_api::read::Page;

use crate::cards::{self, CARD};
use crate::openapi::{TOKEN, close};
use crate::world::{ACCOUNT, Database, T0, World};
use crate::world::{claim, event, given, push, snapshot, subscribe, text, unsubscribe};

/// Set to `1`, these tests are left out, unless `CI` is `true`.
const LEAVE_OUT: &str = "WEIR_WITHOUT_SDKS";
/// Requests that are made up for each operation, at most.
const EXAMPLES: &str = "20";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_answers_is_what_it_says_it_answers_on_sqlite() {
    if let Some(database) = Database::sqlite() {
        answers_as_described(database, "sqlite").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_answers_is_what_it_says_it_answers_on_postgres() {
    if let Some(database) = Database::postgres().await {
        answers_as_described(database, "postgres").await;
    }
}

/// Something of each kind, two of each where they are listed.
async fn populate(world: &World) {
    let result = |id: &str, second: i64| {
        let data = json!({
            "account": ACCOUNT, "appid": "wx0123456789abcdef", "client": "shop", "api": "subscribe", "template_id": "T",
            "digest": "0".repeat(40), "errcode": 0, "msgid": id, "outcome": "sent", "sent_at_ms": second * 1000,
        });
        let mut event = event("weir.send.result", id, second, &data);
        event["subject"] = json!("oA");
        event
    };
    let accept = |id: &str, template: &str| {
        let fields = json!({"MsgType": "event", "Event": "subscribe_msg_popup_event",
            "List": [{"TemplateId": template, "SubscribeStatusString": "accept", "PopupScene": "0"}]});
        push("weir.event.subscribe_msg_popup_event", id, "oA", T0, fields)
    };
    let card = |id: &str, code: &str| {
        cards::about(
            "user_get_card",
            id,
            "oA",
            T0,
            code,
            json!({"IsGiveByFriend": 0, "OuterId": 1}),
        )
    };
    world
        .create(&[
            subscribe("a", "oA", T0, "1"),
            snapshot(
                "b",
                "oA",
                T0 + 1,
                json!({"subscribe": 1, "remark": "牧", "unionid": "uA"}),
            ),
            text("c", "oA", T0 + 2, "hello"),
            text("d", "oB", T0 + 3, "你好"),
            subscribe("e", "oB", T0 + 4, ""),
            unsubscribe("f", "oB", T0 + 5),
            claim("g", "somebody"),
            given("h", "g", &json!({"text": "hi"})),
            claim("i", "somebody"),
            result("j", T0),
            result("k", T0 + 1),
            accept("l", "T"),
            accept("m", "U"),
            card("n", "111"),
            card("o", "222"),
        ])
        .await;
}

/// A cursor of each listing. Those of users mean something with the same filters only, which nobody can guess; those of one
/// account's jobs are empty, since this store knows no door.
async fn cursors(world: &World) -> Map<String, Value> {
    let document: Value = serde_json::from_str(openapi::document()).unwrap();
    let mut cursors = Map::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        if path != "/v1/users"
            && !path.contains("/{account}/")
            && parameters
                .map(|parameter| &parameter["name"])
                .any(|name| name == "cursor")
        {
            let page: Page<Value> = world.get(&format!("{path}?limit=1")).await;
            let cursor = page
                .next_cursor
                .unwrap_or_else(|| panic!("{path} has one item at most"));
            cursors.insert(path.clone(), cursor.into());
        }
    }
    cursors
}

async fn answers_as_described(database: Database, name: &str) {
    if left_out() {
        return;
    }
    let world = World::new(database).await;
    populate(&world).await;
    let cursors = cursors(&world).await;
    let known = json!({"account": ACCOUNT, "openid": "oA", "uid": 1, "card_id": CARD, "code": "111", "id": 1, "name": "spring"});
    let world = close(world).await;
    let url = world.url("/v1/openapi.json");
    let name = name.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let dir = installed();
        // Beside the program lie traces of other runs.
        let work = dir.join(&name);
        fs::create_dir_all(&work).unwrap();
        Command::new(dir.join("bin/schemathesis"))
            .args([
                "run",
                &url,
                "--checks",
                "all",
                "--max-examples",
                EXAMPLES,
                "--seed",
                "1",
            ])
            .arg("--generation-deterministic")
            // Who waits for a busy machine has found nothing.
            .args(["--max-response-time", "3600", "--request-timeout", "3600"])
            // A person who is deleted is still found: by uid, without anything personal.
            .args(["--exclude-checks", "use_after_free"])
            .args(["--continue-on-failure", "--no-color", "--warnings", "off"])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            .current_dir(work)
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", sources())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KNOWN", known.to_string())
            .env("CURSORS", Value::from(cursors).to_string())
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap()
    });
    let ran = ran.await.unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // All but the one that gives the description: it has been asked already.
    let operations = openapi::document().matches("\"operationId\"").count() - 1;
    assert!(
        said.contains(&format!("Tested: {operations}\n")),
        "not everything was tried: {said}"
    );
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}

/// The directory under `target` where schemathesis was installed; once, until its version changes.
fn installed() -> PathBuf {
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = INSTALLING.lock().unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let done = dir.join("installed");
    let wanted = fs::read(sources().join("requirements.txt")).unwrap();
    if fs::read(&done).is_ok_and(|there| there == wanted) {
        return dir;
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&dir));
    run(Command::new(dir.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(sources().join("requirements.txt")));
    fs::write(done, wanted).unwrap();
    dir
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "schemathesis cannot be installed ({LEAVE_OUT}=1 leaves it out): {}",
        String::from_utf8_lossy(&output.stderr)
    );
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
