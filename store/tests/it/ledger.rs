//! Random stories of claims and replies, told to the store and to a model that remembers everything and decides from
//! its memory alone.
//!
//! The store keeps an entry per push and changes it; the model keeps what was said and answered, in order. Time is the
//! test's own, and also goes back, as clocks of several stores do.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use weir_store::cursor::Position;
use weir_store::event;
use weir_store::repo::select::{self, ReplyFilter, Slice};
use weir_store::repo::{self, Batch, Repo, Settings, Stored};
use weir_store_api::WorkState::{Done, Elsewhere, Sent, Yours};
use weir_store_api::read::{Reply, ReplyState};
use weir_store_api::{Work, WorkState};

use crate::dice::Dice;
use crate::world::Database;

#[tokio::test]
async fn sqlite_tells_what_a_model_with_a_perfect_memory_tells() {
    check(&Database::sqlite().unwrap(), 400).await;
}

#[tokio::test]
async fn postgres_tells_what_a_model_with_a_perfect_memory_tells() {
    if let Some(database) = Database::postgres().await {
        check(&database, 120).await;
    }
}

/// Something said about a push.
#[derive(Debug, Clone)]
enum Said {
    Claim {
        claimant: &'static str,
        lease_ms: Option<i64>,
    },
    Given {
        reply: Value,
        create_time: u64,
        failed: Option<&'static str>,
    },
    Send(&'static str),
    Ended {
        is_sent: bool,
        errcode: Option<i64>,
    },
}

/// What was said about a push, when, and what it was told.
#[derive(Debug, Default)]
struct Memory(Vec<(i64, Said, Option<WorkState>)>);

impl Memory {
    fn given(&self) -> Option<(i64, &Value, u64, Option<&'static str>)> {
        self.0.iter().find_map(|(at_ms, said, _)| match said {
            Said::Given {
                reply,
                create_time,
                failed,
            } => Some((*at_ms, reply, *create_time, *failed)),
            _ => None,
        })
    }

    fn ended(&self) -> Option<(bool, Option<i64>)> {
        self.0.iter().find_map(|(_, said, _)| match said {
            Said::Ended { is_sent, errcode } => Some((*is_sent, *errcode)),
            _ => None,
        })
    }

    fn is_handed(&self) -> bool {
        self.0
            .iter()
            .any(|(_, said, told)| matches!(said, Said::Claim { .. }) && *told == Some(Done))
    }

    /// Whoever was told that the send is theirs.
    fn senders(&self) -> HashSet<&'static str> {
        let yours = self.0.iter().filter(|(.., told)| *told == Some(Yours));
        yours
            .filter_map(|(_, said, _)| match said {
                Said::Send(claimant) => Some(*claimant),
                _ => None,
            })
            .collect()
    }

    /// Those who held the work one after the other, with the claims that brought it to them.
    fn holders(&self) -> Vec<(i64, &'static str, Option<i64>)> {
        let mut holders: Vec<(i64, &'static str, Option<i64>)> = Vec::new();
        for (at_ms, said, told) in &self.0 {
            if let Said::Claim { claimant, lease_ms } = said
                && *told == Some(Yours)
                && holders
                    .last()
                    .is_none_or(|(_, holder, _)| holder != claimant)
            {
                holders.push((*at_ms, claimant, *lease_ms));
            }
        }
        holders
    }

    fn claimed_at_ms(&self) -> Option<i64> {
        self.0
            .iter()
            .find(|(_, said, _)| matches!(said, Said::Claim { .. }))
            .map(|(at_ms, ..)| *at_ms)
    }

    fn decide(&self, said: &Said, now_ms: i64) -> Option<WorkState> {
        let is_sending = !self.senders().is_empty() || self.ended().is_some();
        match said {
            Said::Given { .. } | Said::Ended { .. } => None,
            Said::Claim { claimant, lease_ms } => Some(if self.given().is_some() {
                if self.is_handed() || !is_sending {
                    Done
                } else {
                    Sent
                }
            } else if is_sending {
                Sent
            } else {
                match self.holders().last() {
                    None => Yours,
                    Some((_, holder, _)) if holder == claimant => Yours,
                    Some((at_ms, _, Some(lease)))
                        if lease_ms.is_some() && now_ms - at_ms >= *lease =>
                    {
                        Yours
                    }
                    Some(_) => Elsewhere,
                }
            }),
            Said::Send(claimant) => Some(if self.is_handed() {
                Done
            } else if self.ended().is_some() {
                Sent
            } else if self.senders().iter().all(|sender| sender == claimant) {
                Yours
            } else {
                Sent
            }),
        }
    }

    /// Hears something, and answers as the store should.
    fn hear(&mut self, said: Said, now_ms: i64) -> Option<Work> {
        let state = self.decide(&said, now_ms);
        let is_claim = matches!(said, Said::Claim { .. });
        self.0.push((now_ms, said, state));
        let age_ms = now_ms - self.claimed_at_ms().unwrap_or(now_ms);
        let given = self.given().filter(|_| is_claim && state == Some(Done));
        Some(Work {
            state: state?,
            age_ms: u64::try_from(age_ms).unwrap_or(0),
            reply: given
                .filter(|(_, reply, ..)| !reply.is_null())
                .map(|(_, reply, ..)| reply.to_string()),
            create_time: given.map(|(_, _, create_time, _)| create_time),
        })
    }

    /// What must hold whatever was said.
    fn check(&self, story: &str) {
        let senders = self.senders();
        assert!(senders.len() <= 1, "two send: {story}");
        assert!(
            senders.is_empty() || !self.is_handed(),
            "handed to an attempt, and sent: {story}"
        );
        for pair in self.holders().windows(2) {
            let [(_, _, first), (_, _, second)] = [pair[0], pair[1]];
            assert!(first.is_some() && second.is_some(), "two work: {story}");
        }
    }

    fn listed(&self, push: &str, account: &str) -> Reply {
        let given = self.given();
        let ended = self.ended();
        Reply {
            push: push.to_owned(),
            account: Some(account.to_owned()),
            openid: Some("oA".to_owned()),
            app: given.map(|_| "shop".to_owned()),
            state: match ended {
                Some((true, _)) => ReplyState::Sent,
                Some((false, _)) => ReplyState::Undeliverable,
                None if given.is_some() => ReplyState::Answered,
                None => ReplyState::Waiting,
            },
            failed: given.and_then(|(.., failed)| failed.map(str::to_owned)),
            reason: ended
                .filter(|(is_sent, _)| !is_sent)
                .map(|_| "refused".to_owned()),
            errcode: ended.and_then(|(_, errcode)| errcode),
            claimed_at: self.claimed_at_ms().map(rfc3339),
            done_at: given.map(|(at_ms, ..)| rfc3339(at_ms)),
        }
    }
}

fn rfc3339(ms: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let format = time::format_description::well_known::Rfc3339;
    time.unwrap().format(&format).unwrap()
}

/// Everything said in one case.
#[derive(Debug, Default)]
struct Model {
    /// Ids that are stored.
    seen: HashSet<String>,
    pushes: BTreeMap<String, Memory>,
}

impl Model {
    fn hear(&mut self, push: &str, said: Said, now_ms: i64) -> Option<Work> {
        let memory = self.pushes.entry(push.to_owned()).or_default();
        memory.hear(said, now_ms)
    }
}

/// An event, and what the model makes of it: whether it is new, and what it is told.
type Scene = (Value, (Stored, Option<Work>));

/// Makes up the next event.
fn scene(dice: &mut Dice, model: &mut Model, account: &str, now_ms: i64) -> Scene {
    let push = dice.one_of(&["p", "q", "r"]);
    let claimant = dice.one_of(&["a", "b", "c"]);
    let lease_ms = dice.one_of(&[None, Some(0), Some(40), Some(200)]);
    let number = dice.roll(3);
    let mut data = json!({"account": account, "appid": "wx1", "push": push, "app": "shop"});
    let (id, kind, tale) = match dice.roll(16) {
        0..11 => (push.to_owned(), "weir.message.text", None),
        11 | 12 => {
            let reply = dice.one_of(&[0, 1, 2]);
            let reply = [json!(null), json!({"text": "hi"}), json!({"news": []})][reply].clone();
            let failed = dice.one_of(&[None, Some("timeout")]);
            let create_time = 1_000 + dice.roll(100);
            data["reply"] = reply.clone();
            data["create_time"] = json!(create_time);
            data["failed"] = json!(failed);
            let given = Said::Given {
                reply,
                create_time,
                failed,
            };
            (
                format!("{push}-given{number}"),
                "weir.reply.given",
                Some(given),
            )
        }
        13 | 14 => (format!("{push}-late"), "weir.reply.late", None),
        _ => {
            let is_sent = dice.roll(2) == 0;
            let errcode = dice.maybe(45_015).filter(|_| !is_sent);
            data["errcode"] = json!(errcode);
            if !is_sent {
                data["reason"] = json!("refused");
            }
            let kind = ["weir.reply.undeliverable", "weir.reply.sent"][usize::from(is_sent)];
            let ended = Said::Ended { is_sent, errcode };
            (format!("{push}-end{number}"), kind, Some(ended))
        }
    };
    let is_readable = dice.roll(12) > 0;
    // Whoever is late mostly wants to send; whoever gave a reply rarely claims anything, and never in an event that
    // cannot be read: that work would be nobody's account's.
    let claims = dice.roll(8);
    let claims = if tale.is_some() {
        claims == 0 && is_readable
    } else {
        claims > 0
    };

    let is_new = model.seen.insert(id.clone());
    if let Some(tale) = tale.filter(|_| is_new && is_readable) {
        model.hear(push, tale, now_ms);
    }
    let told = match kind {
        _ if !claims => None,
        "weir.reply.late" => is_readable
            .then(|| model.hear(push, Said::Send(claimant), now_ms))
            .flatten(),
        _ => model.hear(&id, Said::Claim { claimant, lease_ms }, now_ms),
    };

    let mut event = json!({
        "specversion": "1.0", "id": id, "source": format!("/accounts/{account}"), "type": kind, "subject": "oA",
    });
    if kind == "weir.message.text" {
        data = json!({"account": account, "appid": "wx1", "received_at_ms": 1, "push": {"FromUserName": "oA"}});
    } else if !is_readable {
        data["push"] = json!(7);
    }
    event["data"] = data;
    if claims {
        event["weirclaim"] = json!(claimant);
        event["weirleasems"] = json!(lease_ms);
    }
    let stored = if is_new {
        Stored::Created
    } else {
        Stored::Duplicate
    };
    (event, (stored, told))
}

async fn check(database: &Database, cases: u64) {
    let settings = Settings {
        read_connections: 1,
        timeout: Duration::from_secs(60),
    };
    // Two stores, neither of which may rely on what it remembers.
    let stores: [Arc<dyn Repo>; 2] = [
        repo::open(&database.url(), settings).await.unwrap(),
        repo::open(&database.url(), settings).await.unwrap(),
    ];
    let mut heard = BTreeMap::new();
    for seed in 1..=cases {
        let mut dice = Dice::new(seed);
        let mut model = Model::default();
        let mut now_ms = 1_714_113_000_000;
        let account = format!("case{seed}");
        let mut story = format!("seed {seed}");
        for _ in 0..3 + dice.roll(6) {
            let mut expected = Vec::new();
            let mut events = Vec::new();
            for _ in 0..1 + dice.roll(6) {
                now_ms += i64::try_from(dice.roll(60)).unwrap() - 5;
                let (event, outcome) = scene(&mut dice, &mut model, &account, now_ms);
                story += &format!("\n{now_ms} {event} -> {outcome:?}");
                let raw: Box<RawValue> = serde_json::value::to_raw_value(&event).unwrap();
                events.push(event::read(&raw, 10_000, now_ms).unwrap());
                expected.push(outcome);
            }
            let store = &stores[usize::try_from(dice.roll(2)).unwrap()];
            let taken = store.commit(&Batch::from(events)).await.unwrap();
            let taken: Vec<_> = taken
                .into_iter()
                .map(|taken| (taken.stored, taken.work))
                .collect();
            assert_eq!(taken, expected, "{story}");
            story += "\n-- committed";
            for work in expected.into_iter().filter_map(|(_, work)| work) {
                *heard.entry(format!("{:?}", work.state)).or_insert(0) += 1;
            }
        }
        let filter = ReplyFilter {
            account: Some(account.clone()),
            state: None,
        };
        let slice = Slice {
            after: Position::START,
            limit: 200,
        };
        let mut listed = select::replies(&*stores[0], &filter, slice)
            .await
            .unwrap()
            .items;
        listed.sort_by(|a, b| a.push.cmp(&b.push));
        let pushes = model.pushes.iter();
        let expected: Vec<_> = pushes
            .map(|(push, memory)| memory.listed(push, &account))
            .collect();
        assert_eq!(listed, expected, "{story}");
        for memory in model.pushes.values() {
            memory.check(&story);
        }
    }
    // The stories are worth telling.
    for state in [Yours, Elsewhere, Done, Sent] {
        let times = heard.get(&format!("{state:?}")).copied().unwrap_or(0);
        assert!(times > cases, "{heard:?}");
    }
}
