//! The work of a change: what WeChat is asked, and what its answers mean.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use weir_errands::calls::{Calls, Ended, Failed};
use weir_errands::door::Door;
use weir_errands::errcodes::{self, Then};
use weir_errands::pace::{Pace, Stop};
use weir_errands::sync::is_openid;
use weir_store_api::tags::{Tag, TagPlace};

use super::{Done, Fate, Wanted};
use crate::jobs::ending::Ending;
use crate::jobs::rows::{Begun, Due, Lease};
use crate::jobs::runner::{MINUTE, Run};
use crate::jobs::{Errands, rows};
use crate::repo::{NOBODY, RepoError, tags};
use crate::server::AppState;
use crate::tags::{Batches, OF_ACCOUNT, is_about_one, is_own, listed};

const GET: &str = "/cgi-bin/tags/get";

/// A change at work.
pub(in crate::jobs) struct Work {
    state: AppState,
    account: String,
    id: i64,
    lease: Arc<Lease>,
    wanted: Wanted,
    calls: Calls,
    pace: Pace,
    done: Mutex<Done>,
    refused: Mutex<Option<(i64, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

fn refused(errcode: i64) -> Failed {
    let why = errcodes::meaning(errcode).reason.to_owned();
    Failed::Refused { errcode, why }
}

impl Work {
    /// # Errors
    /// The row is not what was written.
    pub(in crate::jobs) fn read(
        state: &AppState,
        errands: &Errands,
        lease: Arc<Lease>,
        door: Door,
        due: &Due,
        begun: &Begun,
    ) -> Result<Self, RepoError> {
        Ok(Self {
            state: state.clone(),
            account: due.account.clone(),
            id: due.id,
            lease,
            wanted: rows::read(&begun.request)?,
            calls: Calls::new(door, MINUTE),
            pace: Pace::new(errands.settings.rate),
            done: Mutex::new(rows::read(&begun.counts)?),
            refused: Mutex::default(),
        })
    }

    /// All of it, as far as it goes.
    pub(in crate::jobs) async fn steps(&self) {
        let made = match &self.wanted {
            Wanted::Create { name } => self.create(name).await,
            Wanted::Rename { id, name } => self.rename(*id, name).await,
            Wanted::Delete { id } => self.delete(*id).await,
            Wanted::Give { id, openids } => self.give(*id, openids).await,
            Wanted::Take { id, openids } => self.take(*id, openids).await,
        };
        match made {
            Ok(()) => {}
            Err(Failed::Refused { errcode, why }) => *lock(&self.refused) = Some((errcode, why)),
            // Why, the pace knows.
            Err(Failed::Ended) => {}
        }
        if let Some(openids) = self.wanted.openids() {
            let mut changed = lock(&self.done).members_of(openids, None).done;
            changed.retain(|openid| openid != NOBODY);
            // What WeChat has of them now is what the store is to have.
            if let Some(questions) = &self.state.questions {
                questions.tell_users(&self.account, &changed).await;
            }
        }
    }

    /// What WeChat refused did not work.
    pub(in crate::jobs) fn judge(&self, ending: Ending) -> Ending {
        match (&*lock(&self.refused), ending) {
            (Some((errcode, why)), Ending::Done) => Ending::Failed {
                errcode: Some(*errcode),
                why: why.clone(),
            },
            (_, ending) => ending,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.calls.post_if_allowed(&self.pace, path, body).await
    }

    /// The database's word, or the end of the run.
    fn kept<T>(&self, kept: Result<T, RepoError>) -> Result<T, Failed> {
        kept.map_err(|error| {
            self.pace.stop(Stop::Useless {
                errcode: None,
                why: error.to_string(),
            });
            Failed::Ended
        })
    }

    /// Notes that WeChat is about to be asked, durable.
    async fn ask(&self) -> Result<(), Failed> {
        lock(&self.done).asked = true;
        let counts = self.counts();
        let noted = self.lease.progress(&*self.state.repo, self.id, &counts);
        match self.kept(noted.await)? {
            Some(_) => Ok(()),
            None => {
                let why = "another store has taken it over".to_owned();
                self.pace.stop(Stop::NotKept(why));
                Err(Ended.into())
            }
        }
    }

    /// All tags as WeChat has them now; the store then has them so, too.
    async fn listed(&self) -> Result<Vec<Tag>, Failed> {
        read_all(&self.state, &self.account, &self.calls, &self.pace).await
    }

    async fn know(&self, tag: Tag) -> Result<(), Failed> {
        let repo = &*self.state.repo;
        let now_ms = self.kept(tags::now_ms(repo).await)?;
        let known = tags::know(repo, &self.account, std::slice::from_ref(&tag), now_ms);
        self.kept(known.await)?;
        lock(&self.done).tag = Some(tag);
        Ok(())
    }

    async fn create(&self, name: &str) -> Result<(), Failed> {
        let was_asked = lock(&self.done).asked;
        let known = match self.listed().await {
            Err(Failed::Refused { errcode, why }) if is_barred(errcode) => {
                return self.create_local(name, &why, was_asked).await;
            }
            known => known?,
        };
        if let Some(tag) = known.iter().find(|tag| tag.name == name) {
            // Made by a store that was killed, or by somebody else.
            return match was_asked {
                true => self.know(tag.clone()).await,
                false => Err(refused(errcodes::NAME_TAKEN)),
            };
        }
        if known.iter().filter(|tag| is_own(tag.id)).count() >= OF_ACCOUNT {
            return Err(refused(errcodes::TOO_MANY_TAGS));
        }
        self.ask().await?;
        let made = self
            .post("/cgi-bin/tags/create", &json!({"tag": {"name": name}}))
            .await;
        match made {
            Ok(answer) if answer["tag"]["id"].is_i64() => {
                let tag = Tag {
                    id: answer["tag"]["id"].as_i64().unwrap_or_default(),
                    name: name.to_owned(),
                    count: None,
                    place: TagPlace::Wechat,
                    why_local: None,
                };
                self.know(tag).await
            }
            // The answer that it is made was lost: a moment ago there was none.
            Ok(_)
            | Err(Failed::Refused {
                errcode: errcodes::NAME_TAKEN,
                ..
            }) => {
                let known = self.listed().await?;
                match known.into_iter().find(|tag| tag.name == name) {
                    Some(tag) => self.know(tag).await,
                    None => Err(refused(errcodes::NAME_TAKEN)),
                }
            }
            Err(Failed::Refused { errcode, why }) if is_barred(errcode) => {
                self.create_local(name, &why, true).await
            }
            Err(failed) => Err(failed),
        }
    }

    /// The account may not: the store keeps it.
    async fn create_local(&self, name: &str, why: &str, was_asked: bool) -> Result<(), Failed> {
        self.ask().await?;
        let repo = &*self.state.repo;
        let why = format!("WeChat does not let this account use tags: {why}");
        let made = tags::make_local(repo, &self.account, name, &why).await;
        let made = match self.kept(made)? {
            Some(made) => made,
            None => {
                let known = self.kept(tags::tags(repo, &self.account).await)?;
                let known = known.into_iter().find(|tag| tag.name == name);
                match known {
                    // Made by a store that was killed.
                    Some(tag) if was_asked => tag,
                    Some(_) => return Err(refused(errcodes::NAME_TAKEN)),
                    None => return Err(refused(errcodes::TOO_MANY_TAGS)),
                }
            }
        };
        lock(&self.done).tag = Some(made);
        Ok(())
    }

    async fn rename(&self, id: i64, name: &str) -> Result<(), Failed> {
        let body = json!({"tag": {"id": id, "name": name}});
        self.post("/cgi-bin/tags/update", &body).await?;
        self.know(Tag {
            id,
            name: name.to_owned(),
            count: None,
            place: TagPlace::Wechat,
            why_local: None,
        })
        .await
    }

    async fn delete(&self, id: i64) -> Result<(), Failed> {
        let was_asked = lock(&self.done).asked;
        self.ask().await?;
        let made = self.calls.made();
        let body = json!({"tag": {"id": id}});
        match self.post("/cgi-bin/tags/delete", &body).await {
            // Deleted by a store that was killed, or before an answer that was lost.
            Err(Failed::Refused { errcode, .. })
                if errcode == errcodes::NO_SUCH_TAG
                    && (was_asked || self.calls.made() > made + 1) => {}
            deleted => {
                deleted?;
            }
        }
        let forgotten = tags::forget(&*self.state.repo, &self.account, id).await;
        self.kept(forgotten).map(drop)
    }

    async fn give(&self, id: i64, openids: &[String]) -> Result<(), Failed> {
        let repo = &*self.state.repo;
        let known = tags::of_users(repo, &self.account, openids, id).await;
        let known = self.kept(known)?;
        for openid in self.left(openids) {
            if known.get(&openid).is_some_and(|user| !user.may_get(id)) {
                self.refuse(openid, errcodes::TOO_MANY_OF_USER, None);
            }
        }
        let path = "/cgi-bin/tags/members/batchtagging";
        self.members(path, id, &self.left(openids)).await
    }

    async fn take(&self, id: i64, openids: &[String]) -> Result<(), Failed> {
        let path = "/cgi-bin/tags/members/batchuntagging";
        self.members(path, id, &self.left(openids)).await
    }

    async fn members(&self, path: &str, id: i64, openids: &[String]) -> Result<(), Failed> {
        let (openids, others): (Vec<String>, Vec<String>) = openids
            .iter()
            .cloned()
            .partition(|openid| is_openid(openid));
        for other in others {
            self.refuse(other, errcodes::INVALID_OPENID, None);
        }
        let openids = openids.as_slice();
        let mut batches = Batches::new(openids);
        while let Some(call) = batches.next() {
            let body = json!({"openid_list": call, "tagid": id});
            match self.post(path, &body).await {
                Ok(_) => self.settle(&call, &Fate::Done),
                Err(Failed::Refused { errcode, why }) if is_about_one(errcode) => {
                    if let Some(openid) = batches.halve(call) {
                        self.refuse(openid, errcode, Some(why));
                    }
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(())
    }

    /// Those of whom nothing has become yet.
    fn left(&self, openids: &[String]) -> Vec<String> {
        lock(&self.done).members_of(openids, None).later
    }

    fn refuse(&self, openid: String, errcode: i64, why: Option<String>) {
        let reason = why.unwrap_or_else(|| errcodes::meaning(errcode).reason.to_owned());
        self.settle(&[openid], &Fate::Refused { errcode, reason });
    }

    fn settle(&self, these: &[String], fate: &Fate) {
        let openids = self.wanted.openids().unwrap_or_default();
        lock(&self.done).note(openids, these, fate);
    }
}

fn is_barred(errcode: i64) -> bool {
    errcodes::meaning(errcode).then == Then::Bar
}

/// All tags of an account as WeChat has them now; the store then has them so, too.
///
/// # Errors
/// The account may not ask for them, or the run is over.
pub(in crate::jobs) async fn read_all(
    state: &AppState,
    account: &str,
    calls: &Calls,
    pace: &Pace,
) -> Result<Vec<Tag>, Failed> {
    let failing = |error: RepoError| {
        let why = error.to_string();
        pace.stop(Stop::Useless { errcode: None, why });
        Failed::Ended
    };
    let asked_ms = tags::now_ms(&*state.repo).await.map_err(failing)?;
    let answer = calls.get_if_allowed(pace, GET).await?;
    let known: Vec<Tag> = listed(&answer).collect();
    let corrected = tags::correct(&*state.repo, account, &known, asked_ms);
    corrected.await.map_err(failing)?;
    Ok(known)
}

impl Run for Work {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    async fn note(&self) -> Result<(), RepoError> {
        Ok(())
    }

    fn counts(&self) -> String {
        serde_json::to_string(&*lock(&self.done)).expect("texts and numbers are JSON")
    }
}
