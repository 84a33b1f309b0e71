//! The tables of the document: every field, what it may be, and what its absence means.

use crate::shape::Presence::{Optional, Or, OrText, Required};
use crate::shape::{Field, Shape, fields, text};

const MIB: u64 = 1024 * 1024;

/// The whole document.
pub(crate) static DOCUMENT: Shape = Shape::Object {
    fields: fields![
        "accounts" Required, &ACCOUNTS, "The accounts whose pushes come in here.";
        "store" Required, &STORE, "Where everything that is learned goes.";
        "wechat_api" Optional, &WECHAT_API, "Where api.weixin.qq.com is. Needed as soon as one account has an `app_secret_env`.";
        "apps" Optional, &APPS, "The applications that rules forward pushes to.";
        "limits" Optional, &LIMITS, "Bounds and times.";
    ],
    one_of: &[],
};

static ACCOUNTS: Shape = Shape::List {
    of: &ACCOUNT,
    min: 1,
    max: 10_000,
    items: "accounts",
};

/// One account.
pub(crate) static ACCOUNT: Shape = Shape::Object {
    fields: fields![
        "name" Required, &NAME, "Its name in events, metrics, logs and the store's URLs.";
        "path" Required, &PATH, "The exact path of the push URL that is typed in at WeChat, without query.";
        "kind" OrText("official_account"), &KIND, "Official Account (公众号), Mini Program (小程序), third-party platform (第三方平台) or WeCom (企业微信).";
        "original_id" Optional, &ORIGINAL_ID, "The account's original id (原始ID): the `ToUserName` of its pushes. Required for Official Accounts and Mini Programs.";
        "appid" Required, &APPID, "The appid; of WeCom the CorpID or SuiteID.";
        "authorizers_path" Optional, &AUTHORIZERS_PATH, "Third-party platforms: the path of the URL for messages and events of authorised accounts; `$APPID$` stands for theirs.";
        "mode" Required, &MODE, "How pushes are protected, as chosen at WeChat. A request never decides: no downgrade.";
        "format" OrText("xml"), &FORMAT, "In what replies are written: the data format chosen at WeChat.";
        "token_env" Required, &VARIABLE, "Name of the environment variable with the Token.";
        "previous_token_env" Optional, &VARIABLE, "The same for the Token before it, while it is being replaced.";
        "encoding_aes_key_env" Optional, &VARIABLE, "Name of the environment variable with the EncodingAESKey. Required unless the mode is plain.";
        "previous_encoding_aes_key_env" Optional, &VARIABLE, "The same for the key before it.";
        "app_secret_env" Optional, &VARIABLE, "Name of the environment variable with the AppSecret. Without it the account makes no API calls.";
        "late_replies" Optional, &LATE_REPLIES, "What becomes of an application's reply that came after WeChat's last attempt: `send` it as a customer-service message (the default with an `app_secret_env`), or `record` that it did not reach the user.";
        "rules" Optional, &crate::rules::shapes::RULES, "Which push gets which reply: the first rule that applies.";
    ],
    one_of: &[],
};

pub(crate) static NAME: Shape = text!(
    "1 to 32 characters of a-z 0-9 _ -",
    |s| (1..=32).contains(&s.len())
        && s.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)),
    "^[a-z0-9_-]{1,32}$"
);
static PATH: Shape = text!(
    "an absolute path without query, like /wechat/demo",
    is_path,
    "^/[!\"&-/:->@-~$0-9]{0,255}$"
);
static AUTHORIZERS_PATH: Shape = text!(
    "an absolute path with $APPID$ in it, like /platform/$APPID$/callback",
    |s| is_path(s) && s.matches("$APPID$").count() == 1,
    "^/.*\\$APPID\\$.*$"
);
static KIND: Shape = Shape::Choice(&[
    "official_account",
    "mini_program",
    "third_party_platform",
    "wecom",
]);
static ORIGINAL_ID: Shape = text!(
    "the account's original id, like gh_0a1b2c3d4e5f",
    is_id,
    "^[A-Za-z0-9_-]{1,64}$"
);
pub(crate) static APPID: Shape = text!(
    "an appid, like wx0123456789abcdef",
    is_id,
    "^[A-Za-z0-9_-]{1,64}$"
);
static MODE: Shape = Shape::Choice(&["encrypted", "compatible", "plain"]);
static FORMAT: Shape = Shape::Choice(&["xml", "json"]);
static LATE_REPLIES: Shape = Shape::Choice(&["send", "record"]);
pub(crate) static VARIABLE: Shape = text!("the name of an environment variable", |s| !s.is_empty());

fn is_path(s: &str) -> bool {
    s.starts_with('/')
        && s.len() <= 256
        && s.bytes()
            .all(|b| b.is_ascii_graphic() && !b"?#%".contains(&b))
}

fn is_id(s: &str) -> bool {
    (1..=64).contains(&s.len())
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The store.
pub(crate) static STORE: Shape = Shape::Object {
    fields: fields![
        "cluster" Required, &WORD, "Envoy's cluster.";
        "authority" OrText("weir-store"), &WORD, "The `:authority` of the calls.";
        "timeout_ms" Or(3_000), &TIMEOUT, "How long to wait for an answer, milliseconds.";
        "path" OrText("/v1/events"), &URL_PATH, "The path of the event door.";
        "ack" OrText("after_store"), &ACK, "When WeChat gets its answer: after the store's 2xx, or as soon as the reply is known.";
    ],
    one_of: &[],
};

/// Where the WeChat API is.
pub(crate) static WECHAT_API: Shape = Shape::Object {
    fields: fields![
        "cluster" Required, &WORD, "Envoy's cluster.";
        "authority" OrText("api.weixin.qq.com"), &WORD, "The `:authority` of the calls.";
        "timeout_ms" Or(3_000), &TIMEOUT, "How long to wait for an answer, milliseconds.";
    ],
    one_of: &[],
};

static APPS: Shape = Shape::List {
    of: &APP,
    min: 0,
    max: 1_000,
    items: "apps",
};

/// An application.
pub(crate) static APP: Shape = Shape::Object {
    fields: fields![
        "name" Required, &NAME, "Its name in rules and events.";
        "cluster" Required, &WORD, "Envoy's cluster.";
        "authority" OrText("app"), &WORD, "The `:authority` of the calls.";
        "path" OrText("/"), &URL_PATH, "The path of the calls.";
        "format" OrText("cloudevent"), &APP_FORMAT, "What it is sent: the event that the store gets too, or the push as WeChat sends it in plain mode.";
        "timeout_ms" Or(10_000), &Shape::Whole { min: 100, max: 14_000 }, "How long it may take to answer, milliseconds. WeChat comes again after 5 and 10 seconds, and waits 5.";
        "repeat" Optional, &Shape::Flag, "It recognises a push by its id, so a call that failed may be made again. Otherwise it is called once per push.";
    ],
    one_of: &[],
};
static APP_FORMAT: Shape = Shape::Choice(&["cloudevent", "wechat"]);

pub(crate) static WORD: Shape = text!("a word", |s| !s.is_empty());
pub(crate) static TIMEOUT: Shape = Shape::Whole {
    min: 10,
    max: 60_000,
};
pub(crate) static URL_PATH: Shape = text!(
    "an absolute path, like /v1/events",
    |s| s.starts_with('/'),
    "^/"
);
static ACK: Shape = Shape::Choice(&["after_store", "at_once"]);

/// Bounds and times.
pub(crate) static LIMITS: Shape = Shape::Object {
    fields: fields![
        "max_body_bytes" Or(MIB / 4), &whole(1_024, 4 * MIB), "Largest body of a push, bytes.";
        "freshness_s" Or(300), &whole(15, 86_400), "How far a push's timestamp may be from now, seconds, either way.";
        "reply_deadline_ms" Or(4_500), &whole(100, 4_900), "How long after its arrival an attempt is answered at the latest, milliseconds. WeChat waits 5,000.";
        "dedup_slots" Or(65_536), &whole(16, MIB), "Slots of the dedup table, 32 bytes each, shared by all workers.";
        "dedup_retention_s" Or(60), &whole(30, 600), "How long a push is recognised, seconds.";
        "outbox_max_events" Or(20_000), &whole(1, MIB), "Most events waiting for the store, per worker.";
        "outbox_max_bytes" Or(32 * MIB), &whole(1_024, 256 * MIB), "Most bytes of them.";
        "batch_max_events" Or(500), &whole(1, 10_000), "Most events in one call to the store.";
        "batch_max_bytes" Or(MIB), &whole(1_024, 16 * MIB), "Most bytes in one call to the store; one larger event goes alone.";
        "batch_wait_ms" Or(100), &whole(0, 5_000), "How long an event waits for company under `ack: at_once`, milliseconds.";
        "parked_max" Or(5_000), &whole(1, 100_000), "Most requests held at a time, per worker.";
        "profile_wait_ms" Or(200), &whole(0, 10_000), "How long new followers are gathered into one call for their profiles, milliseconds.";
        "profiles_max_queued" Or(10_000), &whole(1, MIB), "Most followers waiting for their profile, per worker.";
        "tags_max_queued" Or(10_000), &whole(1, MIB), "Most users waiting to be tagged, per worker.";
        "forwards_max" Or(2_000), &whole(1, 100_000), "Most pushes that applications are asked about at a time, late replies included, per worker.";
        "replies_max_bytes" Or(4 * MIB), &whole(64 * 1_024, 64 * MIB), "Most bytes of applications' replies that are kept for copies of their pushes, shared by all workers.";
    ],
    one_of: &[],
};

const fn whole(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max }
}
