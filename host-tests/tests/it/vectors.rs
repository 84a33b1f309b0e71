//! Every push and every reply of the shared test data, through the built module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_host_tests::{Gateway, Plan, World, somebody};
use weir_sim::{Account, Push, Sender, UserSees};
use weir_store_api::read::{Page, StoredEvent};
use weir_testbed::layout::Layout;

/// Whom the files are for: the accounts' names, kinds and ids.
const ACCOUNTS: [(&str, &str, &str); 4] = [
    ("mini", "mini_program", "gh_9f8e7d6c5b4a"),
    ("mini2", "mini_program", "gh_97417a04a28d"),
    ("component", "third_party_platform", "wx134c8103faa5a59e"),
    ("wecom", "wecom", "wx5823bf96d3bd56c7"),
];

fn vectors() -> PathBuf {
    Layout::of_this_checkout()
        .root()
        .join("protocol/tests/vectors")
}

fn read(file: &str) -> Result<Value> {
    let file = vectors().join(file);
    let text = fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}

fn items<'v>(value: &'v Value, name: &str) -> Result<&'v Vec<Value>> {
    value[name]
        .as_array()
        .with_context(|| format!("no list {name}"))
}

fn add_accounts(plugin: &mut Value) {
    let mut demo = plugin["accounts"][0].clone();
    demo["rules"] = json!([]);
    for (name, kind, id) in ACCOUNTS {
        let mut account = demo.clone();
        account["name"] = name.into();
        account["kind"] = kind.into();
        account["path"] = format!("/wechat/{name}").into();
        if kind == "mini_program" {
            account["original_id"] = id.into();
        } else {
            account["appid"] = id.into();
        }
        if kind != "mini_program"
            && let Some(fields) = account.as_object_mut()
        {
            fields.retain(|name, _| name != "original_id" && name != "app_secret_env");
        }
        if let Some(accounts) = plugin["accounts"].as_array_mut() {
            accounts.push(account);
        }
    }
}

/// The account as its own sender knows it.
fn known_as(demo: &Account, name: &str) -> Account {
    let mut account = demo.clone();
    for (known, kind, id) in ACCOUNTS {
        if known == name {
            account.name = name.to_owned();
            let slot = if kind == "mini_program" {
                &mut account.original_id
            } else {
                &mut account.appid
            };
            *slot = id.to_owned();
        }
    }
    account
}

pub(crate) async fn every_push_that_wechat_sends_is_taken_and_kept_typed<G: Gateway>() -> Result<()>
{
    let plan = Plan::default().plugin(add_accounts);
    let Some(world) = World::<G>::start("vectors", plan).await? else {
        return Ok(());
    };
    let index = read("callbacks/index.json")?;
    let typed = read("typed.json")?;
    let mut pushes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut sent: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for callback in items(&index, "callbacks")? {
        let file = callback["file"].as_str().context("a file's name")?;
        let name = match (callback["account"].as_str(), callback["to"].as_str()) {
            (Some("oa"), _) => "demo",
            (Some("mini"), Some("gh_97417a04a28d")) => "mini2",
            (Some(name), _) => name,
            (None, _) => anyhow::bail!("{file} is nobody's"),
        };
        let account = known_as(&world.account, name);
        let body = fs::read(vectors().join("callbacks").join(file))?;
        let sender = Sender::new(account.clone(), &world.url(&format!("/wechat/{name}")))?;
        let push = Push::text(&account, &somebody(), "").with_body(body);
        let attempt = sender.attempt(&sender.request(&push)).await;
        ensure!(attempt.status() == Some(200), "{file}: {attempt:?}");
        let key = callback["dedup"].to_string();
        pushes.entry(name.to_owned()).or_default().insert(key);
        sent.entry(name.to_owned())
            .or_default()
            .push(typed[file].clone());
    }
    for (name, keys) in pushes {
        let page: Page<StoredEvent> = world
            .read(&format!("/v1/events?account={name}&limit=200"))
            .await?
            .context("the store lists events")?;
        let kept: Vec<_> = (page.items.iter())
            .filter_map(|event| event.data.as_deref())
            .map(|data| serde_json::from_str::<Value>(data.get()))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .filter(|data| data["push"].is_object())
            .collect();
        ensure!(
            kept.len() >= keys.len(),
            "{name}: {} of {}",
            kept.len(),
            keys.len()
        );
        let expected = sent.get(&name).context("just filled")?;
        for data in kept {
            ensure!(expected.contains(&data["push"]), "{name}: {}", data["push"]);
        }
    }
    Ok(())
}

pub(crate) async fn every_reply_that_a_rule_may_give_arrives_as_it_should<G: Gateway>() -> Result<()>
{
    let replies = read("replies.json")?;
    let replies = items(&replies, "replies")?.clone();
    let rules: Vec<_> = replies.iter().map(rule).collect();
    let plan = Plan::default().plugin(|plugin| plugin["accounts"][0]["rules"] = rules.into());
    let Some(world) = World::<G>::start("replies", plan).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    for reply in &replies {
        let id = reply["id"].as_str().context("an id")?;
        let exchange = sender
            .push(&Push::click(&world.account, &somebody(), id))
            .await;
        let UserSees::Reply(seen) = &exchange.reply else {
            anyhow::bail!("{id}: {exchange:?}")
        };
        let expected = &reply["expect_fields"];
        ensure!(
            expected["MsgType"] == seen.msg_type.as_str(),
            "{id}: {seen:?}"
        );
        match expected["ArticleCount"].as_str() {
            Some(count) => ensure!(seen.articles_shown.to_string() == count, "{id}: {seen:?}"),
            None => {
                let got: Value = serde_json::from_str(&seen.fields.to_json())?;
                let parties = ["ToUserName", "FromUserName", "CreateTime"];
                for (name, value) in expected.as_object().context("fields")? {
                    ensure!(
                        parties.contains(&name.as_str()) || got[name] == *value,
                        "{id}: {name} is {}, not {value}",
                        got[name]
                    );
                }
            }
        }
    }
    Ok(())
}

/// The rule that answers a menu key with the reply of that name.
fn rule(reply: &Value) -> Value {
    let input = &reply["input"];
    let media = || input["media_id"].clone();
    let given = |names: &[(&str, &str)]| -> Value {
        let fields = names.iter().filter_map(|(ours, theirs)| {
            let value = input.get(*theirs)?;
            Some(((*ours).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    };
    let answer = match reply["type"].as_str().unwrap_or_default() {
        "text" => {
            let text = input["content"].as_str().unwrap_or_default();
            json!({ "text": text.replace('{', "{{").replace('}', "}}") })
        }
        "image" => json!({ "image": media() }),
        "voice" => json!({ "voice": media() }),
        "video" => json!({ "video": given(&[
            ("media_id", "media_id"), ("title", "title"), ("description", "description"),
        ]) }),
        "music" => json!({ "music": given(&[
            ("title", "title"), ("description", "description"), ("music_url", "music_url"),
            ("hq_music_url", "hq_music_url"), ("thumb_media_id", "thumb_media_id"),
        ]) }),
        "news" => {
            let articles = input["articles"].as_array().into_iter().flatten();
            let article = |a: &Value| {
                json!({
                    "title": a["title"], "description": a["description"],
                    "pic_url": a["image"], "url": a["url"],
                })
            };
            json!({ "news": articles.map(article).collect::<Vec<_>>() })
        }
        _ => json!({ "transfer_customer_service": given(&[("kf_account", "kf_account")]) }),
    };
    json!({ "when": { "event": "CLICK", "event_key": reply["id"] }, "reply": answer })
}
