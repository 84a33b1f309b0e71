//! What is let in, and what a stranger learns.

use weir_engine::Method;

use crate::world::{ACCOUNT, START_UNIX_MS, World, document, text};

#[test]
fn a_url_is_verified_by_echoing_the_string_and_nothing_else() {
    let mut world = World::new(1);
    let query = world.query(None) + "&echostr=4375120948345356249";
    let stream = world.request(0, Method::Get, &query, b"");
    assert_eq!(world.body(stream).as_deref(), Some("4375120948345356249"));
    let (_, response) = &world.responses[&stream];
    assert_eq!(
        (response.status, response.content_type),
        (200, Some("text/plain"))
    );
}

/// Makes a request that is to be refused: method, query, body.
type BadRequest = Box<dyn Fn(&mut World) -> (Method, String, String)>;

/// Every bad request is refused with the same words, and counted by its class.
#[test]
fn a_stranger_learns_nothing_from_a_refusal() {
    let body = text(1, "hi");
    let cases: Vec<(&str, BadRequest)> = vec![
        (
            "refused_signature",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None).replace("signature=", "signature=0"),
                    text(1, "hi"),
                )
            }),
        ),
        (
            "refused_signature",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None).replace("nonce=", "nonce=x"),
                    text(1, "hi"),
                )
            }),
        ),
        (
            "refused_query",
            Box::new(|_| (Method::Post, String::new(), text(1, "hi"))),
        ),
        (
            "refused_query",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None) + "&timestamp=1714112445",
                    text(1, "hi"),
                )
            }),
        ),
        (
            "refused_mode",
            Box::new(|w| (Method::Post, w.query(Some("abc")), text(1, "hi"))),
        ),
        (
            "refused_mode",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None) + "&encrypt_type=des",
                    text(1, "hi"),
                )
            }),
        ),
        (
            "refused_malformed",
            Box::new(|w| (Method::Post, w.query(None), "<xml>".to_owned())),
        ),
        (
            "refused_malformed",
            Box::new(|w| (Method::Post, w.query(None), String::new())),
        ),
        (
            "refused_malformed",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None),
                    format!("<!DOCTYPE a>{}", text(1, "hi")),
                )
            }),
        ),
        (
            "refused_wrong_account",
            Box::new(|w| {
                (
                    Method::Post,
                    w.query(None),
                    text(1, "hi").replace(ACCOUNT, "gh_other"),
                )
            }),
        ),
        (
            "refused_query",
            Box::new(|w| (Method::Get, w.query(None), String::new())),
        ),
        (
            "refused_query",
            Box::new(|w| {
                (
                    Method::Get,
                    format!("{}&echostr={}", w.query(None), "1".repeat(129)),
                    String::new(),
                )
            }),
        ),
        (
            "refused_signature",
            Box::new(|w| {
                (
                    Method::Get,
                    w.query(None).replace("signature=", "signature=0") + "&echostr=1",
                    String::new(),
                )
            }),
        ),
    ];
    for (class, request) in cases {
        let mut world = World::new(1);
        let (method, query, body) = request(&mut world);
        let stream = world.request(0, method, &query, body.as_bytes());
        let (_, response) = world.responses.get(&stream).expect("refused at once");
        assert_eq!(
            response,
            &weir_engine::Response::empty(403),
            "{class} {query}"
        );
        let counted = world.metrics.iter().any(|m| {
            m.name(|_| "demo".to_owned())
                .ends_with(&format!(".outcome.{class}"))
        });
        assert!(counted, "{class}: {:?}", world.metrics);
        world.run(3_000);
        assert!(world.stored.is_empty());
    }
    // The same world takes the right one.
    let mut world = World::new(1);
    let stream = world.push(0, &body);
    world.run(100);
    assert_eq!(world.status(stream), Some(200));
}

#[test]
fn a_timestamp_is_good_for_the_window_and_not_a_second_longer() {
    for (seconds, status) in [(-301_i64, 403), (-300, 200), (300, 200), (301, 403)] {
        let mut world = World::new(1);
        let query = world.query(None);
        world.now.unix_ms = START_UNIX_MS.saturating_add_signed(seconds * 1_000);
        let stream = world.request(0, Method::Post, &query, text(1, "hi").as_bytes());
        world.run(100);
        assert_eq!(world.status(stream), Some(status), "{seconds}");
    }
}

#[test]
fn an_encrypted_account_takes_no_plain_push() {
    for mode in ["encrypted", "compatible"] {
        let document = document(|d| d["accounts"][0]["mode"] = mode.into());
        let mut world = World::with(1, &document);
        let plain = world.push(0, &text(1, "hi"));
        let sealed = world.push_encrypted(0, &text(1, "hi"));
        world.run(100);
        assert_eq!(
            (world.status(plain), world.status(sealed)),
            (Some(403), Some(200)),
            "{mode}"
        );
    }
}

#[test]
fn a_body_over_the_limit_is_too_large_and_another_method_is_not_ours() {
    let mut world = World::with(
        1,
        &document(|d| d["limits"] = serde_json::json!({"max_body_bytes": 1024})),
    );
    let query = world.query(None);
    let large = world.request(0, Method::Post, &query, &[b'x'; 1025]);
    let other = world.request(0, Method::Other, &query, b"");
    assert_eq!(
        (world.status(large), world.status(other)),
        (Some(413), Some(405))
    );
}

#[test]
fn refusals_make_one_line_a_second_and_no_line_says_what_was_sent() {
    let mut world = World::new(1);
    for _ in 0..500 {
        world.push(0, "<xml><secret-body/></xml>");
    }
    world.run(5_000);
    assert_eq!(
        world.logs,
        ["weir: account=demo outcome=refused_malformed pushes=500"]
    );
}

#[test]
fn wecom_signs_and_encrypts_the_string_that_verifies_a_url() {
    // WeCom's published sample, at its time.
    let config = document(|d| {
        let account = d["accounts"][0].as_object_mut().unwrap();
        for field in ["original_id", "app_secret_env"] {
            account.remove(field);
        }
        account.insert("kind".to_owned(), "wecom".into());
        account.insert("mode".to_owned(), "encrypted".into());
        account.insert("appid".to_owned(), "wx5823bf96d3bd56c7".into());
        account.insert("token_env".to_owned(), "WECOM_TOKEN".into());
        account.insert("encoding_aes_key_env".to_owned(), "WECOM_KEY".into());
    });
    let mut world = World::with(1, &config);
    world.now.unix_ms = 1_409_659_589_000;
    let query = "msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780\
                 &echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ%3D%3D";
    let stream = world.request(0, Method::Get, query, b"");
    assert_eq!(world.body(stream).as_deref(), Some("1616140317555161061"));
    // A signature over the Token alone opens nothing here.
    let query = query.replace("msg_signature=5c", "msg_signature=6c");
    let stream = world.request(0, Method::Get, &query, b"");
    assert_eq!(world.status(stream), Some(403));
}
