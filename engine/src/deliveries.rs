//! The calls: batches to the store; access tokens, profiles and tags at WeChat.

use weir_protocol::api::{self, AnswerError, Class, StableTokenRequest, TokenAnswer};
use weir_store_api::Work;

use crate::api_queue::Asked;
use crate::claims::Fingerprint;
use crate::config::{Account, AccountId, Peer};
use crate::effect::{Effect, LogLevel};
use crate::engine::{Engine, Env};
use crate::event;
use crate::input::{Call, CallOutcome};
use crate::metric::{Loss, Metric};
use crate::outbox::{Event, Fate, Follower, Settled, Then, Verdict};
use crate::planted::{Bug, planted};
use crate::request::HttpRequest;
use crate::rules::Facts;
use crate::tags::{TagJob, Tagging};
use crate::tokens::{self, Fetched};

impl Engine {
    /// Starts every call that is due. Only from the root.
    pub(crate) fn start_calls(&mut self, env: &mut Env<'_>) {
        self.start_batch(env);
        for id in self.due(env.now.mono_ms) {
            let config = self.config.clone();
            let (Some(account), Some(peer)) = (config.account(id), &config.wechat_api) else {
                continue;
            };
            let Some(token) = self.access_token(id, account, peer, env) else {
                continue;
            };
            self.ask_profiles(id, peer, &token, env);
            self.give_tags(id, peer, token, env);
        }
        self.start_forwards(env);
        self.start_sends(env);
        // What they had to ask the store need not wait for the next turn.
        self.start_batch(env);
    }

    fn start_batch(&mut self, env: &Env<'_>) {
        if !self.calls.contains(&Call::Store) && self.store_is_due(env.now) {
            let store = self.config.store.clone();
            let body = self.outbox.take_batch(&self.config.limits, env.now.mono_ms);
            self.call(
                Call::Store,
                &store.peer,
                store.path,
                weir_store_api::CONTENT_TYPE_BATCH,
                body,
            );
        }
    }

    /// The accounts with calls that could go now.
    fn due(&self, mono_ms: u64) -> Vec<AccountId> {
        let limits = &self.config.limits;
        (0..)
            .map(AccountId)
            .zip(self.profiles.iter().zip(&self.tags))
            .filter(|(_, (profiles, tags))| {
                profiles.is_due(limits.profile_wait_ms, mono_ms)
                    || tags.is_due(limits.profile_wait_ms, mono_ms)
            })
            .map(|(account, _)| account)
            .collect()
    }

    /// The account's access token. Where it is to be fetched, the call is started.
    pub(crate) fn access_token(
        &mut self,
        id: AccountId,
        account: &Account,
        peer: &Peer,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let secret = account.app_secret.as_ref()?;
        let access = tokens::access(env.shared, &account.appid, self.me, env.now.mono_ms);
        // A worker that stood still may find its lease over before the answer.
        if access.fetch && !self.calls.contains(&Call::AccessToken(id)) {
            let request = StableTokenRequest {
                appid: &account.appid,
                secret: secret.expose(),
                force_refresh: false,
            };
            let body = request.encode();
            let path = api::STABLE_TOKEN_PATH.to_owned();
            self.call(Call::AccessToken(id), peer, path, "application/json", body);
        }
        access.token
    }

    fn ask_profiles(&mut self, id: AccountId, peer: &Peer, token: &str, env: &Env<'_>) {
        let wait_ms = self.config.limits.profile_wait_ms;
        let Some(profiles) = self.profiles.get_mut(id.0 as usize) else {
            return;
        };
        if !profiles.is_due(wait_ms, env.now.mono_ms) {
            return;
        }
        let batch = profiles.take_batch(token.to_owned(), |_, _| true);
        let openids: Vec<_> = batch.map(|follower| follower.openid.as_str()).collect();
        let path = api::path_with_token(api::USER_BATCH_PATH, token);
        let body = api::write_user_batch(&openids);
        self.call(Call::Profiles(id), peer, path, "application/json", body);
    }

    fn give_tags(&mut self, id: AccountId, peer: &Peer, token: String, env: &Env<'_>) {
        let wait_ms = self.config.limits.profile_wait_ms;
        let Some(tags) = self.tags.get_mut(id.0 as usize) else {
            return;
        };
        if !tags.is_due(wait_ms, env.now.mono_ms) {
            return;
        }
        let path = api::path_with_token(api::TAG_BATCH_PATH, &token);
        let mut tag = 0;
        let mut openids = Vec::new();
        for job in tags.take_batch(token, |first, next| first.tag == next.tag) {
            tag = job.tag;
            openids.push(job.openid.as_str());
        }
        let body = api::write_tag_batch(tag, &openids);
        self.call(Call::Tags(id), peer, path, "application/json", body);
    }

    pub(crate) fn call(
        &mut self,
        call: Call,
        peer: &Peer,
        path: String,
        content_type: &'static str,
        body: Vec<u8>,
    ) {
        self.calls.insert(call);
        let request = HttpRequest::post(peer, path, content_type, body);
        self.want(Effect::Call { call, request });
    }

    pub(crate) fn on_store_done(&mut self, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let random = env.random_u32();
        let failed_before = self.outbox.failures();
        let settled = self
            .outbox
            .done(outcome, &self.config.limits, env.now.mono_ms, random);
        match (failed_before, self.outbox.failures()) {
            (0, 1..) => self.log(
                LogLevel::Error,
                "weir: the store does not take events".to_owned(),
            ),
            (1.., 0) => self.log(
                LogLevel::Info,
                "weir: the store takes events again".to_owned(),
            ),
            _ => {}
        }
        for Settled { then, verdict } in settled {
            let Then { answer, follow_up } = then;
            let Verdict { fate, facts, work } = verdict;
            if let Fate::Rejected(reason) = fate {
                self.count(Metric::Lost { reason, count: 1 });
            }
            // Also when rejected: asking WeChat to send again what the store will never take helps nobody.
            if let Some(print) = answer {
                self.on_settled(print, facts.as_ref(), work.clone(), env);
            }
            if let Some(follow_up) = follow_up.filter(|_| !planted(Bug::FollowUpForgotten)) {
                if let Some(print) = follow_up.late {
                    self.on_late(print, work.as_ref(), env);
                }
                if let Some(follower) = follow_up.follower {
                    self.want_profile(follower, env);
                }
                if let Some(tagging) = follow_up.tagging {
                    self.want_tags(tagging, env);
                }
            }
        }
    }

    /// The store has the event of a push, as far as it will ever take it.
    fn on_settled(
        &mut self,
        print: Fingerprint,
        facts: Option<&Facts>,
        work: Option<Work>,
        env: &mut Env<'_>,
    ) {
        // Claimed work whose exchange is gone is another's.
        if self.exchanges.forward(print).is_some() || work.is_some() {
            return self.on_work(print, work, env);
        }
        if let Some(facts) = facts {
            self.decide_late(print, facts, env);
        }
        // Decided only now, so not claimed yet.
        if self.exchanges.forward_mut(print).is_none() {
            self.answer_waiting(print, env);
        }
    }

    pub(crate) fn want_profile(&mut self, follower: Follower, env: &Env<'_>) {
        let account = follower.account;
        let queued: usize = self.profiles.iter().map(|profiles| profiles.len()).sum();
        if queued >= self.config.limits.profiles_max_queued {
            return self.count(Metric::ProfilesGivenUp { account, count: 1 });
        }
        // What an ended VM left comes beside what the push's next attempt wants here.
        if let Some(profiles) = self.profiles.get_mut(account.0 as usize)
            && !profiles.has_lately(|other| other.openid == follower.openid)
        {
            profiles.push(follower, env.now.mono_ms);
        }
    }

    pub(crate) fn want_tags(&mut self, tagging: Tagging, env: &Env<'_>) {
        let Tagging {
            account,
            openid,
            tags,
        } = tagging;
        let queued: usize = self.tags.iter().map(|tags| tags.len()).sum();
        if queued + tags.len() > self.config.limits.tags_max_queued {
            let count = tags.len() as u64;
            return self.count(Metric::TagsGivenUp { account, count });
        }
        let Some(queue) = self.tags.get_mut(account.0 as usize) else {
            return;
        };
        for tag in tags {
            let openid = openid.clone();
            if planted(Bug::FollowUpTwice) {
                let openid = openid.clone();
                queue.push(TagJob { openid, tag }, env.now.mono_ms);
            }
            queue.push(TagJob { openid, tag }, env.now.mono_ms);
        }
    }

    pub(crate) fn on_tags(&mut self, id: AccountId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let config = self.config.clone();
        let (Some(account), Some(tags)) = (config.account(id), self.tags.get_mut(id.0 as usize))
        else {
            return;
        };
        let (asked, class) = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => asked(api::check(body).err(), || {
                tokens::invalidate(env.shared, &account.appid, tags.token());
            }),
            _ => (Asked::Failed, None),
        };
        let count = tags.done(&asked, env.now.mono_ms, env.random_u32());
        self.count_api_error(id, class);
        if count > 0 {
            self.count(Metric::TagsGivenUp { account: id, count });
        }
    }

    pub(crate) fn count_api_error(&mut self, account: AccountId, class: Option<Class>) {
        if let Some(class) = class {
            self.count(Metric::ApiError {
                account,
                class: class.name(),
            });
        }
    }

    pub(crate) fn on_access_token(
        &mut self,
        id: AccountId,
        outcome: &CallOutcome<'_>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            return;
        };
        let fetched = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => match TokenAnswer::parse(body) {
                Ok(answer) => Fetched::Token {
                    token: answer.access_token.into_owned(),
                    expires_in_s: answer.expires_in,
                },
                Err(AnswerError::Malformed) => Fetched::Failed,
                Err(AnswerError::Refused(error)) => {
                    let class = error.token_call_class();
                    self.count(Metric::ApiError {
                        account: id,
                        class: class.name(),
                    });
                    let name = &account.name;
                    self.log(
                        LogLevel::Error,
                        format!("weir: account={name} WeChat gives no access token: {error}"),
                    );
                    match class {
                        Class::Credentials | Class::Permission => Fetched::Refused,
                        _ => Fetched::Failed,
                    }
                }
            },
            _ => Fetched::Failed,
        };
        let random = env.random_u32();
        tokens::fetched(
            env.shared,
            &account.appid,
            self.me,
            &fetched,
            env.now.mono_ms,
            random,
        );
    }

    pub(crate) fn on_profiles(
        &mut self,
        id: AccountId,
        outcome: &CallOutcome<'_>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            return;
        };
        let mut snapshots = Vec::new();
        let Some(profiles) = self.profiles.get_mut(id.0 as usize) else {
            return;
        };
        let (asked, class) = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => match api::parse_user_batch(body) {
                Ok(users) => {
                    for user in &users {
                        // Only whom we asked for; the event's id comes from the follow that made us ask.
                        let follower = profiles.in_flight().find(|f| f.openid == user.openid);
                        if let Some(follower) = follower {
                            let id = follower.because.derived("user.snapshot");
                            let json =
                                event::user_snapshot(account, id, &user.openid, user.raw, env.now);
                            snapshots.push(Event {
                                json,
                                then: Then::default(),
                            });
                        }
                    }
                    (Asked::Answered, None)
                }
                Err(error) => asked(Some(error), || {
                    tokens::invalidate(env.shared, &account.appid, profiles.token());
                }),
            },
            _ => (Asked::Failed, None),
        };
        let count = profiles.done(&asked, env.now.mono_ms, env.random_u32());
        self.count_api_error(id, class);
        if count > 0 {
            self.count(Metric::ProfilesGivenUp { account: id, count });
        }
        for event in snapshots {
            if self.outbox.has_room(&config.limits) {
                self.outbox.push(event, env.now.mono_ms);
            } else {
                self.count(Metric::Lost {
                    reason: Loss::Overflow,
                    count: 1,
                });
            }
        }
    }
}

/// What an answer means for the jobs of its call. `refused` is told when WeChat does not take the token any more.
fn asked(error: Option<AnswerError>, refused: impl FnOnce()) -> (Asked, Option<Class>) {
    let error = match error {
        None => return (Asked::Answered, None),
        Some(AnswerError::Malformed) => return (Asked::Failed, None),
        Some(AnswerError::Refused(error)) => error,
    };
    let class = error.class();
    let asked = match class {
        Class::Token => {
            refused();
            Asked::TokenRefused
        }
        Class::Recipient => Asked::OneIsWrong,
        _ => Asked::Failed,
    };
    (asked, Some(class))
}
