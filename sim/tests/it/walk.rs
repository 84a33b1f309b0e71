//! The walk against a small backend with a store that does everything right, and against worse ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::api::{Options as ApiOptions, Server};
use weir_sim::http::{self, Request, Target};
use weir_sim::walk::{self, Options, Report};
use weir_sim::wechat::{AesKey, Mode, cipher, signature};
use weir_sim::{Account, Fields, SendingClock};

use crate::backend::{Act, Backend, Received};

type Rows = Arc<Mutex<HashMap<String, Value>>>;

/// What the backend does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    RepliesInTheClear,
    ForgetsTheScene,
    FailsTheFirstAttempt,
    LosesTexts,
    EchoesWithNewline,
}

/// Speaks WeChat, answers `/v1/users/…`, and fetches profiles from `api`.
#[derive(Clone)]
struct App {
    account: Account,
    api: String,
    rows: Rows,
    flaw: Flaw,
}

impl App {
    fn act(&self, number: usize, request: &Received) -> Act {
        if let Some(user) = request.path.strip_prefix("/v1/users/demo/") {
            return match self.rows.lock().unwrap().get(user) {
                Some(row) => Act::ok(row.to_string()),
                None => Act::Answer(404, vec![]),
            };
        }
        if self.flaw == Flaw::FailsTheFirstAttempt && number == 2 {
            return Act::Answer(500, vec![]);
        }
        let query = |name: &str| request.query[name].as_str();
        if let Some(echostr) = request.query.get("echostr") {
            let end = if self.flaw == Flaw::EchoesWithNewline {
                "\n"
            } else {
                ""
            };
            return Act::ok(format!("{echostr}{end}"));
        }
        let push = self.open(&request.body);
        let reply = match push.text("Event") {
            Some("subscribe") => self.subscribe(&push),
            Some("unsubscribe") => return self.unsubscribe(query("openid")),
            _ => self.text(query("openid")),
        };
        Act::ok(self.seal(&push, &reply))
    }

    fn subscribe(&self, push: &Fields) -> String {
        let openid = push.text("FromUserName").unwrap().to_owned();
        let scene = push
            .text("EventKey")
            .unwrap()
            .strip_prefix("qrscene_")
            .unwrap();
        let scene = if self.flaw == Flaw::ForgetsTheScene {
            ""
        } else {
            scene
        };
        self.rows.lock().unwrap().insert(
            openid.clone(),
            json!({"account": "demo", "openid": openid, "profile": null, "counts": {"messages": 0},
                   "follow": {"state": "following", "scene": scene}}),
        );
        tokio::spawn(self.clone().fetch_profile(openid));
        format!("Welcome! You came by {scene}.")
    }

    async fn fetch_profile(self, openid: String) {
        let target = Target::parse(&self.api).unwrap();
        let mut request = Request::new("POST", "/cgi-bin/stable_token");
        let Account { appid, secret, .. } = &self.account;
        request.body = json!({"grant_type": "client_credential", "appid": appid, "secret": secret})
            .to_string()
            .into_bytes();
        let token: Value =
            serde_json::from_slice(&http::exchange(&target, &request).await.unwrap().body).unwrap();
        let mut request = Request::new("GET", "/cgi-bin/user/info");
        request
            .set_query("access_token", token["access_token"].as_str().unwrap())
            .set_query("openid", &openid);
        let profile: Value =
            serde_json::from_slice(&http::exchange(&target, &request).await.unwrap().body).unwrap();
        self.rows.lock().unwrap().get_mut(&openid).unwrap()["profile"] = profile;
    }

    fn text(&self, openid: &str) -> String {
        if self.flaw != Flaw::LosesTexts {
            self.rows.lock().unwrap().get_mut(openid).unwrap()["counts"]["messages"] = json!(1);
        }
        "default".to_owned()
    }

    fn unsubscribe(&self, openid: &str) -> Act {
        self.rows.lock().unwrap().get_mut(openid).unwrap()["follow"]["state"] = json!("unfollowed");
        Act::ok("success")
    }

    fn open(&self, body: &[u8]) -> Fields {
        let outer = Fields::from_xml(body).unwrap();
        if self.account.mode == Mode::Plain {
            return outer;
        }
        let key = AesKey::parse(&self.account.encoding_aes_key).unwrap();
        let message =
            cipher::decrypt(&key, outer.text("Encrypt").unwrap(), &self.account.appid).unwrap();
        Fields::from_xml(&message).unwrap()
    }

    fn seal(&self, push: &Fields, content: &str) -> String {
        let reply = Fields::new()
            .with("ToUserName", push.text("FromUserName").unwrap())
            .with("FromUserName", push.text("ToUserName").unwrap())
            .with("CreateTime", 1_714_112_446_i64)
            .with("MsgType", "text")
            .with("Content", content)
            .to_xml();
        if self.account.mode != Mode::Encrypted || self.flaw == Flaw::RepliesInTheClear {
            return reply;
        }
        let key = AesKey::parse(&self.account.encoding_aes_key).unwrap();
        let encrypt = cipher::encrypt(&key, [7; 16], reply.as_bytes(), &self.account.appid);
        let signature = signature::sign(&[&self.account.token, "1714112446", "n", &encrypt]);
        Fields::new()
            .with("Encrypt", encrypt)
            .with("MsgSignature", signature)
            .with("TimeStamp", 1_714_112_446_i64)
            .with("Nonce", "n")
            .to_xml()
    }
}

async fn walk(mode: Mode, flaw: Flaw) -> (Report, Server) {
    let account = Account::random("demo").with_mode(mode);
    let server = Server::start(ApiOptions::local(vec![account.clone()]))
        .await
        .unwrap();
    let api = format!("http://{}", server.addr());
    let app = App {
        account: account.clone(),
        api,
        rows: Rows::default(),
        flaw,
    };
    let backend = Backend::start(move |number, request| app.act(number, request)).await;
    let options = Options {
        store: Some(backend.url("")),
        api_control: Some(format!("http://{}", server.control_addr().unwrap())),
        expect_follow: Some("by 123456".to_owned()),
        expect_text: Some("default".to_owned()),
        // Only a flaw waits this long.
        patience: if flaw == Flaw::None {
            Duration::from_secs(30)
        } else {
            Duration::from_millis(500)
        },
        timing: SendingClock {
            interval: Duration::from_millis(1),
            ..SendingClock::default()
        },
        ..Options::new(account, &backend.url("/wechat/demo"))
    };
    (walk::run(&options).await.unwrap(), server)
}

async fn check(flaw: Flaw, wrong_steps: &[&str]) {
    let (report, _) = walk(Mode::Encrypted, flaw).await;
    let wrong: Vec<&str> = report
        .steps
        .iter()
        .filter(|s| !s.is_right())
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(wrong, wrong_steps, "{report:#?}");
    assert_eq!(report.is_right(), wrong_steps.is_empty());
}

#[tokio::test]
async fn a_right_backend_walks_through_in_every_mode() {
    for mode in [Mode::Plain, Mode::Compatible, Mode::Encrypted] {
        let (report, server) = walk(mode, Flaw::None).await;
        assert!(report.is_right(), "{report:#?}");
        assert_eq!(report.steps.len(), 6);
        assert_eq!(server.world().ledger().count("/cgi-bin/user/info"), 1);
    }
}

#[tokio::test]
async fn what_a_backend_does_wrong_is_found_at_its_step() {
    let (follow, text) = ("follow by QR code, scene 123456", "send “hello”");
    let (kept, ended) = (
        "the store has user and profile",
        "the store keeps it, unfollowed",
    );
    check(Flaw::RepliesInTheClear, &[follow, text]).await;
    check(Flaw::ForgetsTheScene, &[follow, kept, ended]).await;
    check(Flaw::FailsTheFirstAttempt, &[follow]).await;
    check(Flaw::LosesTexts, &[ended]).await;
    check(Flaw::EchoesWithNewline, &["verify the URL"]).await;
}

#[tokio::test]
async fn a_walk_works_without_store_and_api() {
    let account = Account::random("demo");
    let backend = Backend::start(|_, request| match request.query.get("echostr") {
        Some(echostr) => Act::ok(echostr.as_str()),
        None => Act::ok("success"),
    })
    .await;
    let report = walk::run(&Options::new(account, &backend.url("/")))
        .await
        .unwrap();
    assert!(report.is_right(), "{report:#?}");
    assert_eq!(report.steps.len(), 4);
}
