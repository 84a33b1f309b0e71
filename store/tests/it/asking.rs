//! Questions to WeChat about cards: by the queue, and on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use weir_store::config::{Config, Limits};
use weir_store::repo;
use weir_store::server::Store;
use weir_store::testing::TestStore;
use weir_store::wechat::{Delay, Refusal, Verdict, Wechat};
use weir_store_api::read::{CardAskingState, CardDetail, FormValue, Problem, StoredEvent};

use crate::cards::{CARD, about};
use crate::world::{Database, T0, World, soon, text};

/// What WeChat knows, and what was asked of it.
#[derive(Debug)]
struct Fake {
    answers: Mutex<HashMap<String, Verdict>>,
    asked: Mutex<Vec<(String, Value)>>,
    /// A call takes one, and gives it back; with none left calls wait.
    gate: Semaphore,
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::default(),
            asked: Mutex::default(),
            gate: Semaphore::new(1_000),
        })
    }

    /// From now on `code` is answered this.
    fn answer(&self, code: &str, verdict: Verdict) {
        self.answers
            .lock()
            .unwrap()
            .insert(code.to_owned(), verdict);
    }

    /// Returns once it was asked so often.
    async fn asked_times(&self, times: usize) {
        soon(async {
            while self.asked().len() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Wechat for Fake {
    async fn get(&self, _: &str, _: &str) -> Verdict {
        unreachable!("questions are POSTs")
    }

    async fn post(&self, account: &str, path: &str, body: &Value) -> Verdict {
        assert_eq!(account, "demo");
        self.asked
            .lock()
            .unwrap()
            .push((path.to_owned(), body.clone()));
        let _gate = self.gate.acquire().await.unwrap();
        let answers = self.answers.lock().unwrap();
        let code = body["code"].as_str().unwrap_or_default();
        answers.get(code).cloned().unwrap_or_else(|| refused(40056))
    }
}

fn refused(errcode: i64) -> Verdict {
    Verdict::Refused(Refusal {
        errcode,
        why: "there is no card of this code".to_owned(),
    })
}

fn later(wait: Option<Duration>, for_all: bool) -> Verdict {
    Verdict::Later(Delay {
        errcode: Some(-1),
        why: "WeChat was busy".to_owned(),
        wait,
        for_all,
        maybe_done: false,
    })
}

fn filled_in(openid: &str) -> Verdict {
    Verdict::Done(json!({
        "errcode": 0, "errmsg": "ok", "openid": openid, "bonus": 100, "balance": 0, "user_card_status": "NORMAL",
        "has_active": true,
        "user_info": {"common_field_list": [{"name": "USER_FORM_INFO_FLAG_MOBILE", "value": "15521328888"}]},
    }))
}

/// A store that asks this WeChat, on this database.
async fn asking(database: Database, fake: &Arc<Fake>, limits: Limits) -> World {
    let config = Config {
        limits,
        ..Config::local(database.url())
    };
    let repo = repo::open(&database.url(), limits.settings())
        .await
        .unwrap();
    let store = Store::new(repo, limits, None).with_wechat(Arc::clone(fake) as Arc<dyn Wechat>);
    World {
        store: TestStore::serve(store, &config).await.unwrap(),
        database,
        http: reqwest::Client::new(),
    }
}

/// The same world, with this WeChat to ask.
async fn reopened(world: World, fake: &Arc<Fake>) -> World {
    world.store.stop().await.unwrap();
    asking(world.database, fake, Limits::default()).await
}

on_both_databases! {
    what_was_filled_in_is_fetched_and_is_an_event,
    what_was_to_be_asked_when_a_store_ended_the_next_one_asks,
    a_question_that_wechat_refuses_is_kept_with_the_reason,
    what_is_in_the_way_of_one_is_tried_again_and_what_is_in_the_way_of_all_holds_all,
    a_push_while_it_is_being_asked_is_another_question,
    a_card_is_shown_as_it_is_now_when_that_is_wanted,
    whoever_wants_the_same_card_shares_one_question,
    a_card_is_activated,
}

fn submitted(id: &str, code: &str) -> Value {
    about("submit_membercard_user_info", id, "oA", T0, code, json!({}))
}

async fn card(world: &World, code: &str) -> CardDetail {
    world.get(&format!("/v1/cards/{CARD}/{code}")).await
}

/// The card, once that is so.
async fn card_when(world: &World, code: &str, is_so: impl Fn(&CardDetail) -> bool) -> CardDetail {
    soon(async {
        loop {
            let card = card(world, code).await;
            if is_so(&card) {
                return card;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn problem(response: reqwest::Response) -> Problem {
    let status = response.status();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status.as_u16());
    problem
}

fn is_told(card: &CardDetail) -> bool {
    card.card.member.is_some() && card.card.asking.is_none()
}

async fn what_was_filled_in_is_fetched_and_is_an_event(world: World) {
    let fake = Fake::new();
    fake.answer("1", filled_in("oA"));
    let world = reopened(world, &fake).await;
    world.create(&[submitted("a", "1")]).await;
    let card = card_when(&world, "1", is_told).await.card;
    let mobile = FormValue::One("15521328888".into());
    assert_eq!(
        card.member.unwrap().common_fields.get("mobile"),
        Some(&mobile)
    );
    assert_eq!(
        (card.bonus, card.openid.as_deref()),
        (Some(100), Some("oA"))
    );
    assert!(card.activated_at.is_some());
    let asked = fake.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].0, "/card/membercard/userinfo/get");
    assert_eq!(asked[0].1, json!({"card_id": CARD, "code": "1"}));
    let events: Vec<StoredEvent> = world.list("/v1/events", 10).await;
    let event = &events[0];
    assert_eq!(
        (event.kind.as_str(), event.source.as_str()),
        ("weir.card.snapshot", "/accounts/demo")
    );
    assert_eq!(event.subject.as_deref(), Some("oA"));
    let data: Value = serde_json::from_str(event.data.as_ref().unwrap().get()).unwrap();
    assert_eq!(data["appid"], "wx0123456789abcdef");
    assert_eq!(data["card"]["bonus"], 100);
    assert_eq!(data["card"].get("errcode"), None);
}

async fn what_was_to_be_asked_when_a_store_ended_the_next_one_asks(world: World) {
    // Without a door nothing is asked, and nothing forgotten.
    world
        .create(&[submitted("a", "1"), submitted("b", "2")])
        .await;
    let fake = Fake::new();
    fake.answer("1", filled_in("oA"));
    fake.answer("2", filled_in("oB"));
    let world = reopened(world, &fake).await;
    card_when(&world, "1", is_told).await;
    card_when(&world, "2", is_told).await;
    let world = reopened(world, &fake).await;
    world.create(&[text("c", "oA", T0, "hello")]).await;
    assert_eq!(fake.asked().len(), 2);
}

async fn a_question_that_wechat_refuses_is_kept_with_the_reason(world: World) {
    let fake = Fake::new();
    let world = reopened(world, &fake).await;
    world.create(&[submitted("a", "1")]).await;
    let is_refused = |card: &CardDetail| {
        (card.card.asking.as_ref()).is_some_and(|asking| asking.state == CardAskingState::Refused)
    };
    let asking = card_when(&world, "1", is_refused)
        .await
        .card
        .asking
        .unwrap();
    assert_eq!(asking.errcode, Some(40056));
    assert!(asking.reason.unwrap().contains("no card"));
    assert_eq!(fake.asked().len(), 1);
    // With the next push it is asked again.
    fake.answer("1", filled_in("oA"));
    world.create(&[submitted("b", "1")]).await;
    card_when(&world, "1", is_told).await;
}

async fn what_is_in_the_way_of_one_is_tried_again_and_what_is_in_the_way_of_all_holds_all(
    world: World,
) {
    let fake = Fake::new();
    let moment = Some(Duration::from_millis(1));
    fake.answer("1", later(moment, false));
    let world = reopened(world, &fake).await;
    world.create(&[submitted("a", "1")]).await;
    fake.asked_times(3).await;
    let open = card(&world, "1").await.card.asking.unwrap();
    assert_eq!(
        (open.state, open.errcode),
        (CardAskingState::Open, Some(-1))
    );
    fake.answer("1", filled_in("oA"));
    card_when(&world, "1", is_told).await;

    fake.answer("2", later(Some(Duration::from_secs(3_600)), true));
    fake.answer("3", filled_in("oA"));
    world.create(&[submitted("b", "2")]).await;
    let is_tried = |card: &CardDetail| {
        (card.card.asking.as_ref()).is_some_and(|asking| asking.errcode.is_some())
    };
    card_when(&world, "2", is_tried).await;
    let before = fake.asked().len();
    world.create(&[submitted("c", "3")]).await;
    // Whoever wants to know at once is not held.
    let new: CardDetail = world.get(&format!("/v1/cards/{CARD}/3?refresh=true")).await;
    assert!(new.card.member.is_some());
    assert_eq!(fake.asked().len(), before + 1);
}

async fn a_push_while_it_is_being_asked_is_another_question(world: World) {
    let fake = Fake::new();
    fake.answer("1", filled_in("oA"));
    let closed = fake.gate.acquire_many(1_000).await.unwrap();
    let world = reopened(world, &fake).await;
    world.create(&[submitted("a", "1")]).await;
    fake.asked_times(1).await;
    world.create(&[submitted("b", "1")]).await;
    drop(closed);
    card_when(&world, "1", is_told).await;
    assert_eq!(fake.asked().len(), 2);
}

async fn a_card_is_shown_as_it_is_now_when_that_is_wanted(world: World) {
    let fake = Fake::new();
    world.create(&[text("a", "oA", T0, "hello")]).await;
    let url = |code: &str, query: &str| format!("/v1/cards/{CARD}/{code}{query}");
    // Nobody knows it.
    let world = reopened(world, &fake).await;
    let response = world
        .http
        .get(world.url(&url("1", "?refresh=true")))
        .send()
        .await
        .unwrap();
    let unknown = problem(response).await;
    assert_eq!((unknown.status, unknown.errcode), (404, Some(40056)));
    assert_eq!(unknown.kind, "urn:weir:store:unknown-to-wechat");
    assert!(unknown.detail.unwrap().contains("no card of this code"));
    // WeChat knows it, and then the store does.
    fake.answer("1", filled_in("oA"));
    let request = world.http.get(world.url(&url("1", "")));
    let response = request
        .header("cache-control", "max-age=0, no-cache")
        .send()
        .await
        .unwrap();
    let new: CardDetail = response.json().await.unwrap();
    assert_eq!((new.card.bonus, new.warning), (Some(100), None));
    let asked = fake.asked().len();
    assert_eq!(card(&world, "1").await.card.bonus, Some(100));
    assert_eq!(fake.asked().len(), asked, "nobody wanted it new");
    // What cannot be asked now is shown as it is stored.
    fake.answer("1", later(None, false));
    let old: CardDetail = world.get(&url("1", "?refresh=true")).await;
    assert_eq!(old.card.bonus, Some(100));
    assert_eq!(old.warning.as_deref(), Some("WeChat was busy"));
    let response = world
        .http
        .get(world.url(&url("2", "?refresh=maybe")))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 400);
    // Without a door, too.
    world.store.stop().await.unwrap();
    let world = World::new(world.database).await;
    let old: CardDetail = world.get(&url("1", "?refresh=true")).await;
    assert!(old.warning.unwrap().contains("--door"));
    let response = world
        .http
        .get(world.url(&url("2", "?refresh=true")))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.kind, "urn:weir:store:no-door");
}

async fn whoever_wants_the_same_card_shares_one_question(world: World) {
    let fake = Fake::new();
    fake.answer("1", filled_in("oA"));
    world
        .create(&[about("user_get_card", "a", "oA", T0, "1", json!({}))])
        .await;
    world.store.stop().await.unwrap();
    let limits = Limits {
        refresh_timeout_ms: 50,
        ..Limits::default()
    };
    let world = asking(world.database, &fake, limits).await;
    let closed = fake.gate.acquire_many(1_000).await.unwrap();
    let path = format!("/v1/cards/{CARD}/1?refresh=true");
    // As many as want it, and some again: nobody waits longer than is bearable, and WeChat hears of it once.
    for _ in 0..2 {
        let wanted = (0..8).map(|_| world.get::<CardDetail>(&path));
        for card in futures_util::future::join_all(wanted).await {
            assert_eq!(card.warning.as_deref(), Some("no answer in time"));
        }
    }
    assert_eq!(fake.asked().len(), 1);
    // The answer that nobody waited for is stored all the same.
    drop(closed);
    card_when(&world, "1", is_told).await;
}

async fn a_card_is_activated(world: World) {
    let fake = Fake::new();
    fake.answer("1", filled_in("oA"));
    world
        .create(&[about("user_get_card", "a", "oA", T0, "1", json!({}))])
        .await;
    let url = |code: &str| format!("/v1/cards/{CARD}/{code}/activate");
    let body = json!({"membership_number": "316510891", "init_bonus": 7});
    let post = async |world: &World, code: &str, body: &Value| {
        let request = world.http.post(world.url(&url(code)));
        request.json(body).send().await.unwrap()
    };
    assert_eq!(
        post(&world, "1", &body).await.status(),
        StatusCode::CONFLICT
    );
    let world = reopened(world, &fake).await;
    let card: CardDetail = post(&world, "1", &body).await.json().await.unwrap();
    assert_eq!(card.card.member.unwrap().active, Some(true));
    let asked = fake.asked();
    assert_eq!(asked[0].0, "/card/membercard/activate");
    assert_eq!(
        asked[0].1,
        json!({"membership_number": "316510891", "init_bonus": 7, "card_id": CARD, "code": "1"})
    );
    for wrong in [
        json!({}),
        json!([]),
        json!({"membership_number": ""}),
        json!({"membership_number": "1", "code": "2"}),
        json!({"membership_number": "1", "init_bonus": -1}),
    ] {
        let response = post(&world, "1", &wrong).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    fake.answer("2", refused(43009));
    let problem = problem(post(&world, "2", &body).await).await;
    assert_eq!((problem.status, problem.errcode), (422, Some(43009)));
    let unknown = post(&world, "3", &body).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}
