//! What the user sees for each answer: WeChat's strictness, one line per answer.

use weir_sim::wechat::{AesKey, Format, Mode, cipher, signature};
use weir_sim::{Account, Fault, Fields, Push, Sender, UserSees};

const USER: &str = "oAbCdEf0123456789GhIjKlMnOpQ";

struct World {
    account: Account,
    push: Push,
}

impl World {
    fn new(mode: Mode, format: Format) -> Self {
        let account = Account::random("demo").with_mode(mode).with_format(format);
        Self {
            push: Push::text(&account, USER, "hi"),
            account,
        }
    }

    fn judge(&self, body: impl AsRef<[u8]>) -> UserSees {
        Sender::new(self.account.clone(), "http://127.0.0.1:1/")
            .unwrap()
            .judge(&self.push, body.as_ref())
    }

    fn fault(&self, body: impl AsRef<[u8]>) -> Fault {
        match self.judge(&body) {
            UserSees::ServiceFault(fault) => fault,
            other => panic!(
                "{} was taken: {other:?}",
                String::from_utf8_lossy(body.as_ref())
            ),
        }
    }

    fn reply(&self, msg_type: &str) -> Fields {
        Fields::new()
            .with("ToUserName", USER)
            .with("FromUserName", self.account.original_id.as_str())
            .with("CreateTime", 1_714_112_446_i64)
            .with("MsgType", msg_type)
    }

    fn text(&self, content: &str) -> String {
        self.reply("text").with("Content", content).to_xml()
    }

    fn seal(&self, message: &str) -> Fields {
        let key = AesKey::parse(&self.account.encoding_aes_key).unwrap();
        let encrypt = cipher::encrypt(
            &key,
            *b"0123456789abcdef",
            message.as_bytes(),
            &self.account.appid,
        );
        let signature =
            signature::sign(&[&self.account.token, "1714112446", "415670741", &encrypt]);
        Fields::new()
            .with("Encrypt", encrypt)
            .with("MsgSignature", signature)
            .with("TimeStamp", 1_714_112_446_i64)
            .with("Nonce", "415670741")
    }
}

#[test]
fn success_and_nothing_are_no_reply_in_every_mode() {
    for mode in [Mode::Plain, Mode::Compatible, Mode::Encrypted] {
        for format in [Format::Xml, Format::Json] {
            let world = World::new(mode, format);
            assert_eq!(world.judge("success"), UserSees::Nothing);
            assert_eq!(world.judge(""), UserSees::Nothing);
        }
    }
}

#[test]
fn a_text_reply_is_shown_as_it_was_written() {
    let world = World::new(Mode::Plain, Format::Xml);
    for content in ["Welcome!", "你好 😀\nline 2", "a]]>b", " blanks "] {
        assert_eq!(world.judge(world.text(content)).text(), Some(content));
    }
}

#[test]
fn an_encrypted_reply_is_opened_and_its_own_signature_checked() {
    for mode in [Mode::Compatible, Mode::Encrypted] {
        let world = World::new(mode, Format::Xml);
        let UserSees::Reply(reply) = world.judge(world.seal(&world.text("hi")).to_xml()) else {
            panic!()
        };
        assert!(reply.encrypted);
        assert_eq!(reply.text(), Some("hi"));
    }
}

#[test]
fn a_json_account_is_answered_in_json() {
    let world = World::new(Mode::Encrypted, Format::Json);
    let text = world.reply("text").with("Content", "hi").to_json();
    assert_eq!(world.judge(world.seal(&text).to_json()).text(), Some("hi"));
    assert_eq!(
        world.fault(world.seal(&text).to_xml()),
        Fault::XmlInsteadOfJson
    );
    assert_eq!(
        world.fault(world.seal(&world.text("hi")).to_json()),
        Fault::XmlInsteadOfJson
    );
}

#[test]
fn the_mode_decides_what_must_and_may_be_encrypted() {
    let safe = World::new(Mode::Encrypted, Format::Xml);
    assert_eq!(safe.fault(safe.text("hi")), Fault::NotEncrypted);
    let plain = World::new(Mode::Plain, Format::Xml);
    assert_eq!(
        plain.fault(plain.seal(&plain.text("hi")).to_xml()),
        Fault::Encrypted
    );
    let compatible = World::new(Mode::Compatible, Format::Xml);
    assert_eq!(compatible.judge(compatible.text("hi")).text(), Some("hi"));
}

#[test]
fn an_envelope_must_be_signed_and_sealed_for_this_account() {
    let world = World::new(Mode::Encrypted, Format::Xml);
    let swap = |name: &str, value: &str| {
        let mut fields = Fields::new();
        for (n, v) in world.seal(&world.text("hi")).iter() {
            fields.push(n, if n == name { value.into() } else { v.clone() });
        }
        fields.to_xml()
    };
    assert_eq!(world.fault(swap("Nonce", "1")), Fault::MsgSignature);
    assert_eq!(
        world.fault(swap("TimeStamp", "1714112447")),
        Fault::MsgSignature
    );
    assert_eq!(
        world.fault(swap("TimeStamp", "soon")),
        Fault::NotANumber("TimeStamp")
    );
    assert_eq!(
        world.fault(swap("MsgSignature", "")),
        Fault::Missing("MsgSignature")
    );

    let mut stranger = World::new(Mode::Encrypted, Format::Xml);
    stranger.account.token = world.account.token.clone();
    let foreign = stranger.seal(&world.text("hi")).to_xml();
    assert!(matches!(world.fault(foreign), Fault::Undecryptable(_)));
}

#[test]
fn anything_beside_the_document_is_a_fault() {
    let world = World::new(Mode::Plain, Format::Xml);
    let good = world.text("hi");
    for stray in ["Success", "success\n", "ok", " ", "\u{feff}success"] {
        assert_eq!(world.fault(stray), Fault::StrayText, "{stray:?}");
    }
    for around in [
        format!("{good}\n"),
        format!(" {good}"),
        format!("<?xml version=\"1.0\"?>{good}"),
    ] {
        assert_eq!(world.fault(around), Fault::StrayText);
    }
    assert_eq!(
        world.fault("{\"MsgType\":\"text\"}"),
        Fault::JsonInsteadOfXml
    );
}

#[test]
fn malformed_xml_is_a_fault() {
    let world = World::new(Mode::Plain, Format::Xml);
    for body in [
        &b"<xml><a></xml>"[..],
        b"<xml><Content>a & b</Content></xml>",
        b"<xml>\xff</xml>",
        b"<xml></xml><xml></xml>",
        b"<xml><a/>words</xml>",
        b"<xml><Content>\x01</Content></xml>",
    ] {
        assert!(
            matches!(world.fault(body), Fault::Malformed(_)),
            "{:?}",
            String::from_utf8_lossy(body)
        );
    }
    let twice = world
        .reply("text")
        .with("Content", "a")
        .with("Content", "b")
        .to_xml();
    assert_eq!(world.fault(twice), Fault::Repeated("Content".into()));
}

#[test]
fn the_parties_must_be_swapped() {
    let world = World::new(Mode::Plain, Format::Xml);
    let unswapped = world.push.fields().to_xml();
    assert_eq!(world.fault(unswapped), Fault::ToUserName);
    let forged = world
        .text("hi")
        .replace(&world.account.original_id, "gh_somebody");
    assert_eq!(world.fault(forged), Fault::FromUserName);
}

#[test]
fn each_type_has_what_it_must_have() {
    let world = World::new(Mode::Plain, Format::Xml);
    assert_eq!(world.fault(world.text("")), Fault::Missing("Content"));
    assert_eq!(
        world.fault(world.text(&"x".repeat(2049))),
        Fault::TextTooLong(2049)
    );
    assert_eq!(
        world.fault(world.reply("image").to_xml()),
        Fault::Missing("Image.MediaId")
    );
    assert_eq!(
        world.fault(world.reply("hologram").to_xml()),
        Fault::MsgType("hologram".into())
    );
    assert!(matches!(
        world.judge(world.reply("transfer_customer_service").to_xml()),
        UserSees::Reply(_)
    ));
    let image = world
        .reply("image")
        .with("Image", Fields::new().with("MediaId", "m"))
        .to_xml();
    assert!(matches!(world.judge(image), UserSees::Reply(_)));
}

#[test]
fn news_are_counted_and_a_message_gets_one_article_of_them() {
    let mut world = World::new(Mode::Plain, Format::Xml);
    let news = |declared: i64, found: usize| {
        let items = vec![Fields::new().with("Title", "t").with("Url", "u"); found];
        world
            .reply("news")
            .with("ArticleCount", declared)
            .with("Articles", Fields::new().with("item", items))
            .to_xml()
    };
    let (two, nine) = (news(2, 2), news(9, 9));
    assert_eq!(
        world.fault(news(2, 1)),
        Fault::ArticleCount {
            declared: 2,
            found: 1
        }
    );
    assert_eq!(
        world.fault(nine),
        Fault::ArticleCount {
            declared: 9,
            found: 9
        }
    );
    let shown = |world: &World| match world.judge(&two) {
        UserSees::Reply(reply) => reply.articles_shown,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(&world), 1);
    world.push = Push::subscribe(&world.account, USER);
    assert_eq!(shown(&world), 2);
}
