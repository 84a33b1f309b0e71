//! The steps of a pass: a page of a list, what WeChat says of a hundred users, those who are not in the list, and who is
//! blacklisted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_store_api::{
    CloudEvent, TYPE_USER_BLACKLIST, TYPE_USER_SNAPSHOT, UserBlacklist, UserSnapshot,
};

use super::blacklist::Found;
use super::pass::{BATCH, List, Page, Pass};
use super::{NotKept, Progress, Store};
use crate::calls::{Calls, Ended, Failed};
use crate::clock::{now_ms, rfc3339};
use crate::errcodes::{self, INVALID_OPENID, Then};
use crate::pace::{Pace, Stop};

const LIST: &str = "/cgi-bin/user/get";
const PROFILES: &str = "/cgi-bin/user/info/batchget";
const BLACKLIST: &str = "/cgi-bin/tags/members/getblacklist";
const HELD: &str = "nobody panics while holding it";
/// Pages in a row that list nobody new, after which the list goes in circles.
const CIRCLES: u32 = 3;

/// What all steps share.
pub struct Syncing<P, S> {
    /// The account's name.
    pub account: String,
    /// Its appid.
    pub appid: String,
    /// Names the pass, and its events.
    pub run: String,
    /// WeChat.
    pub calls: Calls,
    /// Where it goes.
    pub store: S,
    /// How far it is, durable. Nothing is kept when users are named.
    pub progress: P,
    /// When WeChat may be asked.
    pub pace: Pace,
    /// So many batches are under way at a time.
    pub concurrency: u32,
    /// How far it is, for those who watch.
    pub counts: Counts,
}

/// How far it is.
#[derive(Debug, Default)]
pub struct Counts {
    /// How many follow, by WeChat's last word.
    pub followers: AtomicU64,
    /// Users who were stored, in the pass or by name.
    pub stored: AtomicU64,
    /// Pages of the list that this run read.
    pub pages: AtomicU64,
    /// People of the store who were compared with the list.
    pub compared: AtomicU64,
    /// Those of them who are not in the list, and follow all the same: they came after their page.
    pub came: AtomicU64,
    /// Those who do not.
    pub left: AtomicU64,
    /// Users whom WeChat does not know.
    pub unknown: Mutex<Vec<String>>,
    /// How many are on the blacklist, as far as it was read; `None`: nothing of it was.
    pub blacklisted: Mutex<Option<u64>>,
    /// Why the account's blacklist is not asked for.
    pub no_blacklist: Mutex<Option<String>>,
}

/// Why somebody is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// They are in the list, or named.
    Listed,
    /// The store has them as followers, and the list has not.
    Missing,
}

impl<P: Progress, S: Store> Syncing<P, S> {
    /// All of it, from where it is.
    ///
    /// # Errors
    /// It ended before: [`Pace::stopped`] says why.
    pub async fn pass(self: &Arc<Self>, pass: &mut Pass) -> Result<(), Ended> {
        self.counts
            .stored
            .store(pass.stored_users() as u64, Relaxed);
        self.counts.followers.store(pass.total, Relaxed);
        let mut circles = 0;
        loop {
            self.store_left(pass).await?;
            if pass.is_listed {
                break;
            }
            let page = self.page(pass).await?;
            let known = pass.followers();
            self.kept(self.progress.page(List::Followers, &page).await)?;
            pass.page(List::Followers, page);
            self.counts.pages.fetch_add(1, Relaxed);
            self.counts.followers.store(pass.total, Relaxed);
            circles = if pass.followers() > known {
                0
            } else {
                circles + 1
            };
            if circles >= CIRCLES && !pass.is_listed {
                return Err(self.useless("WeChat's list of followers goes in circles".to_owned()));
            }
        }
        let has_blacklist = self.list_blacklist(pass).await?;
        self.sweep(pass).await?;
        if has_blacklist {
            self.sweep_blacklist(pass).await?;
        }
        self.kept(self.progress.over(now_ms()).await)
    }

    /// Reads the rest of the blacklist; `false`: the account may not.
    async fn list_blacklist(&self, pass: &mut Pass) -> Result<bool, Ended> {
        let mut circles = 0;
        while !pass.blacklist.is_listed {
            let Some(page) = self.blacklist_page(pass).await? else {
                return Ok(false);
            };
            let known = pass.blacklist.len();
            self.kept(self.progress.page(List::Blacklist, &page).await)?;
            pass.page(List::Blacklist, page);
            self.counts.pages.fetch_add(1, Relaxed);
            circles = if pass.blacklist.len() > known {
                0
            } else {
                circles + 1
            };
            if circles >= CIRCLES && !pass.blacklist.is_listed {
                return Err(self.useless("WeChat's blacklist goes in circles".to_owned()));
            }
        }
        let listed = pass.blacklist.len() as u64;
        *self.counts.blacklisted.lock().expect(HELD) = Some(listed);
        Ok(true)
    }

    /// The next page of the blacklist; `None`: the account may not ask for it. The user whom the list goes on after may have
    /// been taken off it since.
    async fn blacklist_page(&self, pass: &Pass) -> Result<Option<Page>, Ended> {
        let mut next = pass.blacklist.next.as_str();
        let mut back = 0;
        loop {
            let asked_ms = now_ms();
            let body = json!({"begin_openid": next});
            let told = self.calls.post_if_allowed(&self.pace, BLACKLIST, &body);
            match told.await {
                Ok(body) => {
                    let page = read_page(&body).map(|page| Page { asked_ms, ..page });
                    return page
                        .map(Some)
                        .ok_or_else(|| self.useless(not_wechats(BLACKLIST)));
                }
                Err(Failed::Ended) => return Err(Ended),
                Err(Failed::Refused { errcode, why }) => {
                    if errcodes::meaning(errcode).then == Then::Bar {
                        *self.counts.no_blacklist.lock().expect(HELD) = Some(why);
                        return Ok(None);
                    }
                    if errcode != INVALID_OPENID || next.is_empty() {
                        return Err(self.refused(errcode, why));
                    }
                    back = back * 2 + 1;
                    next = pass.blacklist.back(back).unwrap_or_default();
                }
            }
        }
    }

    /// Stores who is blacklisted and was not known to be, and who is no more.
    async fn sweep_blacklist(&self, pass: &Pass) -> Result<(), Ended> {
        let mut known = HashSet::new();
        let mut cursor = None;
        loop {
            let list = List::Blacklist;
            let page = (self.store.known(&self.pace, list, cursor.as_deref())).await?;
            known.extend(page.openids);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        for news in pass.blacklist.news(&known).chunks(BATCH) {
            let events: Vec<_> = news
                .iter()
                .map(|found| self.blacklist_event(found))
                .collect();
            let events = serde_json::to_string(&events).expect("texts and numbers are JSON");
            self.store.put(&self.pace, events).await?;
        }
        Ok(())
    }

    /// The next page. The user whom the list goes on after may have left since: then it goes on after one before.
    async fn page(&self, pass: &Pass) -> Result<Page, Ended> {
        let mut next = pass.next.as_str();
        let mut back = 0;
        loop {
            let target = match next {
                "" => LIST.to_owned(),
                next => format!("{LIST}?next_openid={next}"),
            };
            match self.calls.get(&self.pace, &target).await {
                Ok(body) => {
                    let page = read_page(&body);
                    return page.ok_or_else(|| self.useless(not_wechats(LIST)));
                }
                Err(Failed::Ended) => return Err(Ended),
                Err(Failed::Refused { errcode, why }) => {
                    if errcode != INVALID_OPENID || next.is_empty() {
                        return Err(self.refused(errcode, why));
                    }
                    back = back * 2 + 1;
                    next = pass.back(back).unwrap_or_default();
                }
            }
        }
    }

    /// Asks about all who are listed and not stored.
    async fn store_left(self: &Arc<Self>, pass: &mut Pass) -> Result<(), Ended> {
        let mut batches = pass.left().into_iter();
        let mut asking: JoinSet<Result<usize, Ended>> = JoinSet::new();
        let mut result = Ok(());
        loop {
            while result.is_ok()
                && asking.len() < self.concurrency as usize
                && let Some((number, users)) = batches.next()
            {
                let this = self.clone();
                asking.spawn(async move {
                    this.ask(&users, Why::Listed).await?;
                    Ok(number)
                });
            }
            // When the run is over, what is on its way is let finish.
            let Some(asked) = asking.join_next().await else {
                return result;
            };
            match asked.map_err(|_| self.useless("a call failed".to_owned())) {
                Ok(Ok(number)) => {
                    self.kept(self.progress.stored(number))?;
                    // It was there a moment ago.
                    let _ = pass.stored(number);
                }
                Ok(Err(Ended)) | Err(Ended) => result = Err(Ended),
            }
        }
    }

    /// Asks about those whom the store has as followers and the list has not. What WeChat says of them is stored too, and
    /// ends the follow of those who left.
    async fn sweep(&self, pass: &Pass) -> Result<(), Ended> {
        let mut missing: Vec<Arc<str>> = Vec::new();
        let mut cursor = None;
        loop {
            let list = List::Followers;
            let page = (self.store.known(&self.pace, list, cursor.as_deref())).await?;
            self.counts
                .compared
                .fetch_add(page.openids.len() as u64, Relaxed);
            missing.extend(
                page.openids
                    .into_iter()
                    .filter(|openid| !pass.has_seen(openid))
                    .map(Arc::from),
            );
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        for batch in missing.chunks(BATCH) {
            self.ask(batch, Why::Missing).await?;
        }
        Ok(())
    }

    /// Those who are named, and nobody else.
    ///
    /// # Errors
    /// It ended before: [`Pace::stopped`] says why.
    pub async fn chosen(&self, openids: &[String]) -> Result<(), Ended> {
        let mut users: Vec<Arc<str>> = openids.iter().map(|user| user.as_str().into()).collect();
        users.sort_unstable();
        users.dedup();
        for batch in users.chunks(BATCH) {
            self.ask(batch, Why::Listed).await?;
        }
        Ok(())
    }

    /// Asks WeChat about up to a hundred users, and stores what it says.
    async fn ask(&self, users: &[Arc<str>], why: Why) -> Result<(), Ended> {
        // One whom WeChat does not know has it refuse all of them: then each half is asked about.
        let mut parts = vec![users];
        while let Some(part) = parts.pop() {
            let list: Vec<Value> = part
                .iter()
                .map(|openid| json!({"openid": **openid, "lang": "zh_CN"}))
                .collect();
            // Nothing that WeChat says is older than the question.
            let asked_ms = now_ms();
            let body = json!({"user_list": list});
            match self.calls.post(&self.pace, PROFILES, &body).await {
                Ok(mut body) => {
                    let Value::Array(told) = body["user_info_list"].take() else {
                        return Err(self.useless(not_wechats(PROFILES)));
                    };
                    self.learn(part, told, why, asked_ms).await?;
                }
                Err(Failed::Ended) => return Err(Ended),
                Err(Failed::Refused { errcode, why: said }) => match part {
                    _ if errcode != INVALID_OPENID => return Err(self.refused(errcode, said)),
                    [user] => {
                        self.learn(std::slice::from_ref(user), Vec::new(), why, asked_ms)
                            .await?
                    }
                    part => parts.extend(<[_; 2]>::from(part.split_at(part.len() / 2))),
                },
            }
        }
        Ok(())
    }

    /// Stores what WeChat says of these users.
    async fn learn(
        &self,
        users: &[Arc<str>],
        mut told: Vec<Value>,
        why: Why,
        asked_ms: i64,
    ) -> Result<(), Ended> {
        let mut open: HashSet<&str> = users.iter().map(|user| &**user).collect();
        told.retain(|user| {
            user["openid"]
                .as_str()
                .is_some_and(|openid| open.remove(openid))
        });
        if why == Why::Missing {
            // WeChat knows no such user (any more), so they are no followers.
            let strangers = open.drain();
            told.extend(strangers.map(|openid| json!({"subscribe": 0, "openid": openid})));
        }
        if !told.is_empty() {
            let events: Vec<_> = told
                .iter()
                .map(|user| self.snapshot(user, asked_ms))
                .collect();
            let events = serde_json::to_string(&events).expect("texts and numbers are JSON");
            self.store.put(&self.pace, events).await?;
        }
        let counts = &self.counts;
        let follow = told.iter().filter(|user| user["subscribe"] == 1).count();
        match why {
            Why::Missing => {
                counts.came.fetch_add(follow as u64, Relaxed);
                let left = told.len() - follow;
                counts.left.fetch_add(left as u64, Relaxed);
            }
            Why::Listed => {
                counts.stored.fetch_add(told.len() as u64, Relaxed);
                let unknown = open.into_iter().map(str::to_owned);
                let known = counts.unknown.lock();
                known.expect(HELD).extend(unknown);
            }
        }
        Ok(())
    }

    fn snapshot<'a>(
        &'a self,
        user: &'a Value,
        asked_ms: i64,
    ) -> CloudEvent<'a, UserSnapshot<'a, &'a Value>> {
        let openid = user["openid"].as_str().unwrap_or_default();
        let data = UserSnapshot {
            account: self.account.as_str().into(),
            appid: self.appid.as_str().into(),
            user,
        };
        let id = format!("{}-{openid}-{asked_ms}", self.run);
        self.event(TYPE_USER_SNAPSHOT, id, openid, asked_ms, data)
    }

    fn blacklist_event<'a>(&'a self, found: &'a Found) -> CloudEvent<'a, UserBlacklist<'a>> {
        let data = UserBlacklist {
            account: self.account.as_str().into(),
            appid: self.appid.as_str().into(),
            blacklisted: found.is_blacklisted,
            told_at_ms: found.asked_ms.unsigned_abs(),
        };
        let (openid, asked_ms) = (&*found.openid, found.asked_ms);
        let id = format!("{}-{openid}-{asked_ms}-blacklist", self.run);
        self.event(TYPE_USER_BLACKLIST, id, openid, asked_ms, data)
    }

    fn event<'a, D>(
        &'a self,
        kind: &'static str,
        id: String,
        openid: &'a str,
        at_ms: i64,
        data: D,
    ) -> CloudEvent<'a, D> {
        CloudEvent {
            specversion: "1.0".into(),
            id: id.into(),
            source: format!("/accounts/{}", self.account).into(),
            kind: kind.into(),
            time: Some(rfc3339(at_ms).into()),
            subject: Some(openid.into()),
            datacontenttype: Some("application/json".into()),
            weirask: None,
            weirclaim: None,
            weirleasems: None,
            data,
        }
    }

    fn kept(&self, kept: Result<(), NotKept>) -> Result<(), Ended> {
        kept.map_err(|NotKept(why)| {
            self.pace.stop(Stop::NotKept(why));
            Ended
        })
    }

    fn refused(&self, errcode: i64, why: String) -> Ended {
        let errcode = Some(errcode);
        self.pace.stop(Stop::Useless { errcode, why });
        Ended
    }

    fn useless(&self, why: String) -> Ended {
        self.pace.stop(Stop::Useless { errcode: None, why });
        Ended
    }
}

fn not_wechats(path: &str) -> String {
    format!("the answer to {path} is not WeChat's")
}

/// A page of either list as WeChat sends it: the last one names nobody, and has no data.
fn read_page(body: &Value) -> Option<Page> {
    let total = body["total"].as_u64()?;
    let openids = match &body["data"]["openid"] {
        Value::Null if body["count"] == 0 => Vec::new(),
        list => {
            let list = list.as_array()?.iter();
            list.map(|openid| openid.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()?
        }
    };
    // The last of the page, as it should be; or said so.
    let next = body["next_openid"].as_str().filter(|next| !next.is_empty());
    let next = next
        .or(openids.last().map(String::as_str))
        .unwrap_or_default();
    Some(Page {
        total,
        next: next.to_owned(),
        openids,
        asked_ms: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_after_its_last_user_and_the_last_one_is_empty() {
        let page = |text: &str| read_page(&serde_json::from_str(text).unwrap());
        let full =
            page(r#"{"total":3,"count":2,"data":{"openid":["oA","oB"]},"next_openid":"oB"}"#);
        let full = full.unwrap();
        assert_eq!((full.total, full.next.as_str()), (3, "oB"));
        assert_eq!(full.openids, ["oA", "oB"]);
        let short = page(r#"{"total":3,"count":1,"data":{"openid":["oC"]},"next_openid":""}"#);
        assert_eq!(short.unwrap().next, "oC");
        let empty = page(r#"{"total":3,"count":0,"next_openid":""}"#).unwrap();
        assert!(empty.openids.is_empty() && empty.next.is_empty());
        for other in [
            "{}",
            r#"{"total":3,"count":2}"#,
            r#"{"total":1,"data":{"openid":[1]}}"#,
        ] {
            assert_eq!(page(other), None, "{other}");
        }
    }
}
