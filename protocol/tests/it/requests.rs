//! Whole requests, against the smallest receiver that the public interface makes.

use serde_json::Value;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher::decrypt;
use weir_protocol::envelope::Envelope;
use weir_protocol::push::{Format, Push};
use weir_protocol::query::CallbackQuery;
use weir_protocol::reply::Reply;
use weir_protocol::signature::{Token, verify, verify_encrypted};
use weir_protocol::verification::{echostr, open_echostr};

use crate::vectors::{list, load, read, str};

#[derive(Debug)]
enum Outcome {
    Echo(String),
    Accept {
        mode: &'static str,
        message: Vec<u8>,
    },
    Reject,
}

struct Account {
    token: Token,
    key: EncodingAesKey,
    appid: String,
    encrypted_only: bool,
    wecom: bool,
}

impl Account {
    fn new(config: &Value) -> Self {
        Self {
            token: Token::parse(str(config, "token")).unwrap(),
            key: EncodingAesKey::parse(str(config, "encodingAESKey")).unwrap(),
            appid: str(config, "appid").to_owned(),
            encrypted_only: config["mode"] == "safe",
            wecom: config["kind"] == "wecom",
        }
    }

    fn get(&self, query: &str) -> Option<Outcome> {
        let query = CallbackQuery::parse(query).ok()?;
        let echo = if self.wecom {
            open_echostr([&self.token], [&self.key], &self.appid, &query).ok()?
        } else {
            echostr([&self.token], &query).ok()?.to_owned()
        };
        Some(Outcome::Echo(echo))
    }

    fn post(&self, query: &str, body: &[u8]) -> Option<Outcome> {
        let query = CallbackQuery::parse(query).ok()?;
        let stamp = query.stamp().ok()?;
        if !query.is_encrypted() {
            let signed = verify(
                &self.token,
                stamp.timestamp,
                stamp.nonce,
                query.signature.as_deref()?,
            );
            let accepted = signed && !self.encrypted_only && Push::parse(body).is_ok();
            return accepted.then(|| Outcome::Accept {
                mode: "plain",
                message: body.to_vec(),
            });
        }
        let envelope = Envelope::parse(body).ok()?;
        let given = query.msg_signature.as_deref()?;
        if !verify_encrypted(
            &self.token,
            stamp.timestamp,
            stamp.nonce,
            &envelope.encrypt,
            given,
        ) {
            return None;
        }
        let message = decrypt(&self.key, &envelope.encrypt, &self.appid).ok()?;
        Push::parse(&message).ok()?;
        let mode = if Push::parse(body).is_ok() {
            "compatible"
        } else {
            "safe"
        };
        Some(Outcome::Accept { mode, message })
    }
}

#[test]
fn every_request_has_the_expected_outcome() {
    for request in list(&load("requests.json"), "requests") {
        let (id, expect) = (str(&request, "id"), &request["expect"]);
        let account = Account::new(&request["config"]);
        let query = str(&request, "query");
        let outcome = match request["body"].as_str() {
            None => account.get(query),
            Some(body) => account.post(query, body.as_bytes()),
        };
        match (
            outcome.unwrap_or(Outcome::Reject),
            &expect["status"],
            &expect["outcome"],
        ) {
            (Outcome::Echo(echo), Value::Number(_), _) => {
                if let Some(body) = expect["body"].as_str() {
                    assert_eq!(echo, body, "{id}");
                }
            }
            (Outcome::Accept { mode, message }, _, Value::String(expected))
                if expected == "accept" =>
            {
                assert_eq!(mode, str(expect, "mode"), "{id}");
                if let Some(file) = expect["file"].as_str() {
                    let original = read(file);
                    assert_eq!(
                        Push::parse(&message).unwrap().fields(),
                        Push::parse(&original).unwrap().fields(),
                        "{id}"
                    );
                }
            }
            (Outcome::Reject, Value::String(status), _) if status == "4xx" => {}
            (Outcome::Reject, _, Value::String(expected)) if expected.starts_with("reject") => {}
            (outcome, ..) => panic!("{id}: {outcome:?}"),
        }
    }
}

#[test]
fn a_sealed_reply_is_opened_by_the_other_side() {
    let key = EncodingAesKey::parse("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB").unwrap();
    let token = Token::parse("weixinToken1").unwrap();
    for format in [Format::Xml, Format::Json] {
        let reply = Reply::Text {
            content: "你好".into(),
        }
        .encode(format, "o1", "gh_1", 1_714_112_446);
        let sealed = Envelope::seal(
            format,
            &key,
            &token,
            "wx1",
            &reply,
            1_714_112_446,
            "n]]>\"1",
            &[3; 16],
        );
        let envelope = Envelope::parse(&sealed).unwrap();
        assert_eq!(envelope.format, format);
        let fields = fields(&sealed);
        let text = |name: &str| fields[name].as_str().unwrap().to_owned();
        assert_eq!(text("Nonce"), "n]]>\"1");
        let timestamp = fields["TimeStamp"].to_string().replace('"', "");
        assert!(verify_encrypted(
            &token,
            &timestamp,
            &text("Nonce"),
            &envelope.encrypt,
            &text("MsgSignature")
        ));
        assert_eq!(decrypt(&key, &envelope.encrypt, "wx1").unwrap(), reply);
    }
}

/// The top-level fields of a sealed reply, read by someone else's parser.
fn fields(body: &[u8]) -> Value {
    let text = std::str::from_utf8(body).unwrap();
    if text.starts_with('{') {
        return serde_json::from_str(text).unwrap();
    }
    let document = roxmltree::Document::parse(text).unwrap();
    let field = |node: roxmltree::Node<'_, '_>| {
        let text: String = node.children().filter_map(|child| child.text()).collect();
        (node.tag_name().name().to_owned(), Value::String(text))
    };
    document.root_element().children().map(field).collect()
}
