//! Turns a document into what it means.

use serde_json::Value;
use weir_engine::config::{
    Account, AccountKind, Ack, App, AppFormat, Config, LateReplies, Limits, Mode, Peer, Secret,
    Store, is_appid,
};
use weir_engine::fold::FoldMap;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::push::Format;
use weir_protocol::signature::Token;
use zeroize::Zeroizing;

use crate::node::Node;
use crate::shape::Field;
use crate::{rules, shapes};

/// What stands for the authorised account's appid in the path of a third-party platform.
const APPID_PLACEHOLDER: &str = "$APPID$";

pub(crate) fn read_document(
    root: &Node<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<Config> {
    let store = read_store(&root.field("store"));
    let after_store = store.as_ref().is_none_or(|s| s.ack == Ack::AfterStore);
    let apps = read_apps(&root.field("apps"));
    let nodes = root.field("accounts");
    let mut accounts: Vec<Account> = Vec::new();
    let (mut paths, mut names) = (FoldMap::default(), FoldMap::default());
    for node in nodes.items() {
        let Some(account) = read_account(&node, env, after_store, &apps) else {
            continue;
        };
        let path = &account.path;
        if paths.insert(path.clone(), ()).is_some() {
            node.wrong(format!("the path {path} is taken by another account"));
        }
        let name = &account.name;
        if names.insert(name.clone(), ()).is_some() {
            node.wrong(format!("the name {name} is taken by another account"));
        }
        if let Some((before, after)) = &account.authorizers_path {
            let clash = |(b, a): &(String, String)| {
                (b.starts_with(before) || before.starts_with(b))
                    && (a.ends_with(after) || after.ends_with(a))
            };
            let others = accounts.iter().filter_map(|a| a.authorizers_path.as_ref());
            if others.into_iter().any(clash) {
                let path = node.field("authorizers_path");
                path.wrong("could be taken for that of another account");
            }
        }
        accounts.push(account);
    }
    let wechat_api = root
        .at("wechat_api")
        .and_then(|node| read_peer(&node, shapes::WECHAT_API.fields()));
    if root.at("wechat_api").is_none()
        && let Some(account) = accounts.iter().find(|account| account.app_secret.is_some())
    {
        let name = &account.name;
        nodes.wrong(format!(
            "account {name} has an app_secret_env, so the top level needs \"wechat_api\""
        ));
    }
    let limits = read_limits(&root.field("limits"));
    Some(Config::new(accounts, store?, wechat_api, apps, limits))
}

fn read_account(
    node: &Node<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    after_store: bool,
    apps: &[App],
) -> Option<Account> {
    let table = shapes::ACCOUNT.fields();
    let text = |name| node.text(table, name).map(str::to_owned);
    let kind = match node.text(table, "kind")? {
        "mini_program" => AccountKind::MiniProgram,
        "third_party_platform" => AccountKind::ThirdPartyPlatform,
        "wecom" => AccountKind::WeCom,
        _ => AccountKind::OfficialAccount,
    };
    let mode = node.text(table, "mode").map(|mode| match mode {
        "plain" => Mode::Plain,
        "compatible" => Mode::Compatible,
        _ => Mode::Encrypted,
    });
    let format = match node.text(table, "format") {
        Some("json") => Format::Json,
        _ => Format::Xml,
    };
    check_kind(node, kind, mode, format);

    let token = |name| {
        secret(
            node,
            name,
            env,
            |s| Token::parse(s).ok(),
            "3 to 32 letters and digits",
        )
    };
    let tokens = [token("token_env"), token("previous_token_env")];
    let key = |name| {
        secret(
            node,
            name,
            env,
            |s| EncodingAesKey::parse(s).ok(),
            "43 letters and digits",
        )
    };
    let keys = [
        key("encoding_aes_key_env"),
        key("previous_encoding_aes_key_env"),
    ];
    let app_secret = secret(
        node,
        "app_secret_env",
        env,
        |s| (!s.is_empty()).then(|| Secret::new(s.to_owned())),
        "the AppSecret",
    );
    let allowed = rules::Allowed {
        kind,
        calls: node.at("app_secret_env").is_some(),
        after_store,
        apps,
    };
    let rules = rules::read(&node.field("rules"), allowed);

    let (name, appid) = (text("name")?, text("appid")?);
    let original_id = match kind {
        AccountKind::ThirdPartyPlatform => Some(String::new()),
        AccountKind::WeCom => Some(appid.clone()),
        _ => text("original_id"),
    };
    Some(Account {
        source: format!("/accounts/{name}"),
        name,
        path: text("path")?,
        authorizers_path: text("authorizers_path").and_then(|path| {
            let (before, after) = path.split_once(APPID_PLACEHOLDER)?;
            Some((before.to_owned(), after.to_owned()))
        }),
        kind,
        original_id: original_id?,
        appid,
        mode: mode?,
        format,
        tokens: tokens.into_iter().flatten().collect(),
        keys: keys.into_iter().flatten().collect(),
        late_replies: match node.value.get("late_replies").and_then(Value::as_str) {
            Some("record") => LateReplies::Record,
            None if app_secret.is_none() => LateReplies::Record,
            _ => LateReplies::Send,
        },
        app_secret,
        rules,
    })
}

/// What must go together.
fn check_kind(node: &Node<'_>, kind: AccountKind, mode: Option<Mode>, format: Format) {
    let has = |name| node.at(name).is_some();
    let own_id = matches!(
        kind,
        AccountKind::OfficialAccount | AccountKind::MiniProgram
    );
    if own_id && !has("original_id") {
        node.field("original_id").wrong("is missing");
    }
    if !own_id && has("original_id") {
        node.field("original_id")
            .wrong("goes with Official Accounts and Mini Programs alone");
    }
    if kind != AccountKind::ThirdPartyPlatform && has("authorizers_path") {
        node.field("authorizers_path")
            .wrong("goes with third-party platforms alone");
    }
    if !own_id && mode.is_some_and(|mode| mode != Mode::Encrypted) {
        node.field("mode")
            .wrong("third-party platforms and WeCom always encrypt: expected \"encrypted\"");
    }
    if !own_id && format == Format::Json {
        node.field("format")
            .wrong("third-party platforms and WeCom use XML alone");
    }
    if !own_id && has("app_secret_env") {
        node.field("app_secret_env")
            .wrong("Weir calls the API for Official Accounts and Mini Programs alone");
    }
    let sends = node.value.get("late_replies").and_then(Value::as_str) == Some("send");
    if sends && !has("app_secret_env") {
        node.field("late_replies")
            .wrong("sending needs the account's \"app_secret_env\"");
    }
    if mode.is_some_and(|mode| mode != Mode::Plain) && !has("encoding_aes_key_env") {
        node.field("encoding_aes_key_env").wrong("is missing");
    }
    let appid = node.value.get("appid").and_then(Value::as_str);
    if kind != AccountKind::WeCom && appid.is_some_and(|appid| !is_appid(appid)) {
        node.field("appid")
            .wrong("expected wx and 16 hexadecimal digits");
    }
}

/// A secret by the name of its environment variable.
pub(crate) fn secret<T>(
    node: &Node<'_>,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Option<T> {
    let node = node.at(name)?;
    let variable = node.value.as_str()?;
    let Some(value) = env(variable).map(Zeroizing::new) else {
        // The text is the operator's own; cut, in case it is the secret itself.
        let shown: String = variable.chars().take(32).collect();
        node.wrong(format!(
            "the environment variable {shown} is not set; list it in vm_config.environment_variables.host_env_keys"
        ));
        return None;
    };
    let parsed = parse(&value);
    if parsed.is_none() {
        node.wrong(format!(
            "the environment variable's value is not {expected}"
        ));
    }
    parsed
}

/// Who an account is at WeChat, for the modules that call its API.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) appid: String,
    pub(crate) app_secret: Secret,
}

/// Reads it. What it shares with one of `others`, by name and appid, is its mistake.
pub(crate) fn identity<'o>(
    node: &Node<'_>,
    table: &'static [Field],
    env: &dyn Fn(&str) -> Option<String>,
    others: impl Iterator<Item = (&'o str, &'o str)>,
) -> Option<Identity> {
    let app_secret = secret(
        node,
        "app_secret_env",
        env,
        |text| (!text.is_empty()).then(|| Secret::new(text.to_owned())),
        "an AppSecret",
    );
    let (name, appid) = (node.text(table, "name")?, node.text(table, "appid")?);
    let identity = Identity {
        name: name.to_owned(),
        appid: appid.to_owned(),
        app_secret: app_secret?,
    };
    for (other_name, other_appid) in others {
        if other_name == name {
            node.wrong(format!("the name {name} is taken by another account"));
        }
        if other_appid == appid {
            node.wrong(format!("the appid {appid} is another account's"));
        }
    }
    Some(identity)
}

fn read_store(node: &Node<'_>) -> Option<Store> {
    let table = shapes::STORE.fields();
    Some(Store {
        peer: read_peer(node, table)?,
        path: node.text(table, "path")?.to_owned(),
        ack: match node.text(table, "ack") {
            Some("at_once") => Ack::AtOnce,
            _ => Ack::AfterStore,
        },
    })
}

pub(crate) fn read_peer(node: &Node<'_>, table: &'static [Field]) -> Option<Peer> {
    Some(Peer {
        cluster: node.text(table, "cluster")?.to_owned(),
        authority: node.text(table, "authority")?.to_owned(),
        timeout_ms: u32::try_from(node.number(table, "timeout_ms")).ok()?,
    })
}

/// The applications. Those that have problems do not matter: the configuration is refused as a whole.
fn read_apps(node: &Node<'_>) -> Vec<App> {
    let table = shapes::APP.fields();
    let mut apps: Vec<App> = Vec::new();
    for node in node.items() {
        let app = || {
            Some(App {
                name: node.text(table, "name")?.to_owned(),
                peer: read_peer(&node, table)?,
                path: node.text(table, "path")?.to_owned(),
                format: match node.text(table, "format") {
                    Some("wechat") => AppFormat::Wechat,
                    _ => AppFormat::CloudEvent,
                },
                repeat: node.value.get("repeat").and_then(Value::as_bool) == Some(true),
            })
        };
        let Some(app) = app() else { continue };
        if apps.iter().any(|known| known.name == app.name) {
            let name = &app.name;
            node.wrong(format!("the name {name} is taken by another application"));
        }
        apps.push(app);
    }
    apps
}

fn read_limits(node: &Node<'_>) -> Limits {
    let number = |name| node.number(shapes::LIMITS.fields(), name);
    let size = |name| usize::try_from(number(name)).unwrap_or(usize::MAX);
    Limits {
        max_body_bytes: size("max_body_bytes"),
        freshness_s: number("freshness_s"),
        reply_deadline_ms: number("reply_deadline_ms"),
        dedup_slots: size("dedup_slots"),
        dedup_retention_ms: 1_000 * number("dedup_retention_s"),
        outbox_max_events: size("outbox_max_events"),
        outbox_max_bytes: size("outbox_max_bytes"),
        batch_max_events: size("batch_max_events"),
        batch_max_bytes: size("batch_max_bytes"),
        batch_wait_ms: number("batch_wait_ms"),
        parked_max: size("parked_max"),
        profile_wait_ms: number("profile_wait_ms"),
        profiles_max_queued: size("profiles_max_queued"),
        tags_max_queued: size("tags_max_queued"),
        forwards_max: size("forwards_max"),
        replies_max_bytes: size("replies_max_bytes"),
    }
}
