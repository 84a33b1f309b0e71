//! Rules that need more than the push: what the store knows, and the API.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::Push;
use weir_sim::api::{Follow, Profile};

pub(crate) async fn a_first_push_a_name_and_a_tag<G: Gateway>() -> Result<()> {
    let plan = Plan::default().plugin(|plugin| {
        plugin["accounts"][0]["rules"] = json!([
            { "when": { "event": "subscribe" }, "reply": "none" },
            { "when": { "keyword": { "contains": "vip" } }, "tag": 134, "continue": true },
            { "when": { "first_push": true }, "reply": { "text": "Nice to meet you." } },
            { "reply": { "text": "Welcome back, {name}." } },
        ]);
    });
    let Some(world) = World::<G>::start("facts", plan).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let account = &world.account;
    world
        .api()
        .set_tags("demo", BTreeMap::from([(134, "VIP".to_owned())]))?;

    let stranger = somebody();
    let first = Push::text(account, &stranger, "hello").at(now() - 5);
    let exchange = sender.push(&first).await;
    assert_eq!(
        exchange.reply.text(),
        Some("Nice to meet you."),
        "{exchange:?}"
    );
    // A copy that comes late is answered alike, whichever worker it meets.
    for _ in 0..4 {
        let exchange = sender.push(&first).await;
        assert_eq!(
            exchange.reply.text(),
            Some("Nice to meet you."),
            "{exchange:?}"
        );
    }
    let exchange = sender.push(&Push::text(account, &stranger, "again")).await;
    assert_eq!(
        exchange.reply.text(),
        Some("Welcome back, ."),
        "{exchange:?}"
    );

    let follower = somebody();
    let profile = Profile {
        remark: "小明😀".to_owned(),
        ..Profile::default()
    };
    world.api().set_profile("demo", &follower, profile)?;
    world.api().follow("demo", &follower, Follow::default())?;
    sender
        .push(&Push::subscribe(account, &follower).at(now() - 5))
        .await;
    eventually("the profile", async || {
        let user = world.user(&follower).await?;
        Ok(user.filter(|user| user.user.profile.is_some()))
    })
    .await?;
    let exchange = sender
        .push(&Push::text(account, &follower, "I am a VIP"))
        .await;
    assert_eq!(
        exchange.reply.text(),
        Some("Welcome back, 小明😀."),
        "{exchange:?}"
    );
    eventually("the tag", async || {
        let user: Value = world.api().user("demo", &follower)?.context("a follower")?;
        Ok((user["tagid_list"] == json!([134])).then_some(()))
    })
    .await
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
