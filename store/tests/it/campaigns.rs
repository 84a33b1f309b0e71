//! Campaigns, by stores that are processes of their own: they contend, and are killed.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use weir_store_api::CONTENT_TYPE_BATCH;
use weir_store_api::jobs::{Campaign, JobState, Recipient, Sync};
use weir_store_api::read::Page;

use crate::door::{APPID, Door};
use crate::process::Process;
use crate::syncs::{LEASE, start, with_both_databases};
use crate::world::{ACCOUNT, Database, T0, subscribe};

with_both_databases! {
    everybody_gets_the_message_once_however_often_it_is_asked_for,
    what_cannot_be_sent_is_refused_in_words_before_anything_is_sent,
    who_is_blacklisted_is_refused_without_asking,
    stores_that_are_killed_send_nobody_the_message_twice,
    one_that_was_ended_goes_on_and_who_was_refused_is_tried_again_when_that_is_wanted,
    who_is_erased_while_it_runs_is_sent_nothing_and_not_taken_in_again,
}

async fn call(store: &Process, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}/v1/accounts/{ACCOUNT}/campaigns{path}", store.url);
    let mut request = reqwest::Client::new().request(method, url);
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

async fn ask(store: &Process, body: &Value) -> Campaign {
    let (status, answer) = call(store, Method::POST, "", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    serde_json::from_value(answer).unwrap()
}

async fn when(store: &Process, is_so: impl Fn(&Campaign) -> bool) -> Campaign {
    let begun = Instant::now();
    loop {
        let (status, answer) = call(store, Method::GET, "/spring", &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let campaign: Campaign = serde_json::from_value(answer).unwrap();
        if is_so(&campaign) {
            return campaign;
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "{campaign:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn done(store: &Process) -> Campaign {
    when(store, |campaign| campaign.state == JobState::Done).await
}

async fn results(store: &Process) -> Vec<Recipient> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/spring/recipients?limit=150{cursor}");
        let (status, page) = call(store, Method::GET, &path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let page: Page<Recipient> = serde_json::from_value(page).unwrap();
        all.extend(page.items);
        let Some(next) = page.next_cursor else {
            return all;
        };
        cursor = format!("&cursor={next}");
    }
}

fn openid(number: usize) -> String {
    format!("oF{number:07}")
}

fn campaign(recipients: usize) -> Value {
    let recipients: Vec<_> = (0..recipients)
        .map(|number| json!({"openid": openid(number), "name": format!("n{number}")}))
        .collect();
    json!({
        "name": "spring", "rate": 1000, "by": "Li", "recipients": recipients,
        "message": {"kind": "template", "template_id": "T1", "data": {"thing1": "{name}"}},
    })
}

/// Everybody of the first so many got one, and nobody else any.
fn got_one_each(door: &Door, recipients: usize) {
    let got = door.world.recipients(ACCOUNT, "template").unwrap();
    assert_eq!(got.len(), recipients);
    for (openid, messages) in got {
        assert_eq!(messages, 1, "{openid}");
    }
}

async fn everybody_gets_the_message_once_however_often_it_is_asked_for(database: Database) {
    let door = Door::start(400).await;
    let store = start(&database, &door, &["--door-concurrency", "16"]).await;
    let asked = ask(&store, &campaign(250)).await;
    assert_eq!(
        (asked.by.as_deref(), asked.progress.recipients),
        (Some("Li"), 250)
    );
    let first = done(&store).await;
    assert_eq!((first.progress.sent, first.progress.refused), (250, 0));
    ask(&store, &campaign(250)).await;
    done(&store).await;
    got_one_each(&door, 250);
    // More of them, as JSON lines.
    let more = campaign(300);
    let mut head = more.clone();
    head.as_object_mut().unwrap().remove("recipients");
    let rows = more["recipients"].as_array().unwrap().iter();
    let lines: Vec<_> = std::iter::once(&head)
        .chain(rows)
        .map(Value::to_string)
        .collect();
    let url = format!("{}/v1/accounts/{ACCOUNT}/campaigns", store.url);
    let request = reqwest::Client::new().post(url);
    let request = request.header("content-type", "application/x-ndjson");
    let response = request.body(lines.join("\n")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    when(&store, |campaign| {
        campaign.state == JobState::Done && campaign.progress.sent == 300
    })
    .await;
    got_one_each(&door, 300);
    let results = results(&store).await;
    assert_eq!(
        (results.len(), results[0].openid.as_deref()),
        (300, Some("oF0000299"))
    );
    for result in results {
        assert_eq!(result.outcome.as_deref(), Some("sent"));
        assert!(result.msgid.is_some() && result.errcode == Some(0));
    }
}

async fn who_is_blacklisted_is_refused_without_asking(database: Database) {
    let door = Door::start(3).await;
    door.world.blacklist(ACCOUNT, &openid(1), true).unwrap();
    let store = start(&database, &door, &["--door-rate", "1000"]).await;
    let base = format!("{}/v1/accounts/{ACCOUNT}/syncs", store.url);
    let http = reqwest::Client::new();
    let asked = http.post(&base).json(&json!({"appid": APPID}));
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let begun = Instant::now();
    loop {
        let syncs: Page<Sync> = reqwest::get(&base).await.unwrap().json().await.unwrap();
        if syncs.items[0].state == JobState::Done {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(600));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ask(&store, &campaign(3)).await;
    let campaign = done(&store).await;
    assert_eq!((campaign.progress.sent, campaign.progress.refused), (2, 1));
    let refused = results(&store).await;
    let refused = refused
        .iter()
        .find(|one| one.openid == Some(openid(1)))
        .unwrap();
    assert_eq!(refused.errcode, Some(43019));
    assert_eq!(door.count("/cgi-bin/message/template/send"), 2);
}

async fn what_cannot_be_sent_is_refused_in_words_before_anything_is_sent(database: Database) {
    let door = Door::start(10).await;
    let store = start(&database, &door, &[]).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = campaign(3);
        change(&mut body);
        body
    };
    for (body, words) in [
        (with(&|body| body["name"] = json!("-x")), "name: 1 to 64"),
        (with(&|body| body["rate"] = json!(0)), "rate: a number"),
        (
            with(&|body| body["message"]["kind"] = json!("fax")),
            "message: unknown variant",
        ),
        (
            with(&|body| body["message"]["page"] = json!("p")),
            "message.page: ",
        ),
        (
            with(&|body| body["recipients"][1]["openid"] = json!("o A")),
            "recipients[1]: its openid",
        ),
        (
            with(&|body| body["recipients"][2] = json!({"openid": "oA"})),
            "recipients[2]: it has no \"name\"",
        ),
        (
            with(&|body| body["recipient"] = json!([])),
            "the body must be",
        ),
    ] {
        let (status, problem) = call(&store, Method::POST, "", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{words}: {detail}");
    }
    let (status, _) = call(&store, Method::GET, "/spring", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    ask(&store, &campaign(3)).await;
    let other = with(&|body| body["message"]["data"]["thing1"] = json!("hello"));
    let (status, problem) = call(&store, Method::POST, "", &other).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    done(&store).await;
    got_one_each(&door, 3);
}

async fn stores_that_are_killed_send_nobody_the_message_twice(database: Database) {
    let door = Door::start(2_000).await;
    let fast = &[&["--door-concurrency", "16"][..], &LEASE].concat();
    let mut stores = vec![
        start(&database, &door, fast).await,
        start(&database, &door, fast).await,
    ];
    ask(&stores[0], &campaign(1_500)).await;
    for part in [400, 900] {
        let come_so_far = || door.world.recipients(ACCOUNT, "template").unwrap().len() >= part;
        while !come_so_far() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for store in stores.drain(..) {
            store.kill().await;
        }
        stores.push(start(&database, &door, fast).await);
        stores.push(start(&database, &door, fast).await);
    }
    let campaign = done(&stores[1]).await;
    // WeChat recognises those that were sent again.
    assert_eq!(
        (campaign.progress.sent, campaign.progress.unknown),
        (1_500, 0)
    );
    got_one_each(&door, 1_500);
}

async fn one_that_was_ended_goes_on_and_who_was_refused_is_tried_again_when_that_is_wanted(
    database: Database,
) {
    let door = Door::start(100).await;
    let store = start(&database, &door, &[]).await;
    let mut slow = campaign(120);
    slow["rate"] = json!(5);
    ask(&store, &slow).await;
    when(&store, |campaign| campaign.progress.sent >= 5).await;
    let (status, _) = call(&store, Method::DELETE, "/spring", &Value::Null).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let stopped = when(&store, |campaign| campaign.state == JobState::Stopped).await;
    assert!(stopped.progress.sent < 100, "{stopped:?}");
    ask(&store, &campaign(120)).await;
    let ended = done(&store).await;
    // Twenty are strangers.
    assert_eq!((ended.progress.sent, ended.progress.refused), (100, 20));
    let strangers = results(&store).await;
    let refused = strangers
        .iter()
        .filter(|result| result.outcome.as_deref() == Some("refused"));
    assert!(
        refused
            .clone()
            .all(|result| result.errcode == Some(40003) && !result.retryable)
    );
    assert_eq!(refused.count(), 20);
    door.world.follow_many(ACCOUNT, 120).unwrap();
    let wanted = json!({"repeat_refused": true});
    let (status, _) = call(&store, Method::POST, "/spring/resume", &wanted).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    when(&store, |campaign| campaign.progress.sent == 120).await;
    got_one_each(&door, 120);
}

async fn who_is_erased_while_it_runs_is_sent_nothing_and_not_taken_in_again(database: Database) {
    let door = Door::start(80).await;
    let store = start(&database, &door, &[]).await;
    let http = reqwest::Client::new();
    // All of them are known, under the numbers 1 to 80.
    let follows: Vec<_> = (0..80)
        .map(|number| subscribe(&format!("s{number}"), &openid(number), T0, ""))
        .collect();
    let told = http.post(format!("{}/v1/events", store.url));
    let told = told.header("content-type", CONTENT_TYPE_BATCH);
    let told = told.body(serde_json::to_vec(&follows).unwrap());
    assert_eq!(told.send().await.unwrap().status(), StatusCode::OK);

    let mut slow = campaign(80);
    slow["rate"] = json!(5);
    ask(&store, &slow).await;
    when(&store, |campaign| campaign.progress.sent >= 3).await;
    // The first, who has got it, and the last, whose turn is far off.
    for number in [0, 79] {
        let url = format!("{}/v1/users/{ACCOUNT}/{}", store.url, openid(number));
        let user: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let url = format!("{}/v1/people/{}?by=Li&reason=asked", store.url, user["uid"]);
        assert_eq!(
            http.delete(url).send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    // Asked for again, with everybody: as fast as it can.
    ask(&store, &campaign(80)).await;
    let ended = when(&store, |campaign| {
        campaign.state == JobState::Done && campaign.progress.sent == 79
    })
    .await;
    assert_eq!((ended.progress.recipients, ended.progress.refused), (80, 1));
    got_one_each(&door, 79);
    assert!(
        !door
            .world
            .recipients(ACCOUNT, "template")
            .unwrap()
            .contains_key(&openid(79))
    );

    let wanted = json!({"repeat_refused": true, "repeat_unknown": true});
    let (status, _) = call(&store, Method::POST, "/spring/resume", &wanted).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    done(&store).await;
    got_one_each(&door, 79);
    let results = results(&store).await;
    let nameless = results.iter().filter(|result| result.openid.is_none());
    let outcomes: Vec<_> = nameless.map(|result| result.outcome.as_deref()).collect();
    assert_eq!(outcomes, [Some("refused"), Some("sent")]);
    // Who comes back is in a campaign of later.
    let mut later = campaign(80);
    later["name"] = json!("summer");
    ask(&store, &later).await;
    let begun = Instant::now();
    while door.world.recipients(ACCOUNT, "template").unwrap().len() < 80 {
        assert!(begun.elapsed() < Duration::from_secs(600));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
