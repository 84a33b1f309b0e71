//! The calls: batches to the store, access tokens and profiles from WeChat.

use weir_protocol::api::{self, AnswerError, Class, StableTokenRequest, TokenAnswer};

use crate::config::{AccountId, Peer};
use crate::effect::{CallRequest, Effect, LogLevel};
use crate::engine::{Engine, Env};
use crate::event;
use crate::input::{Call, CallOutcome};
use crate::metric::{Loss, Metric};
use crate::outbox::{Event, Fate, Follower, Then};
use crate::profiles::Asked;
use crate::tokens::{self, Fetched};

impl Engine {
    /// Starts every call that is due. Only from the root.
    pub(crate) fn start_calls(&mut self, env: &mut Env<'_>) {
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
        let due: Vec<_> = (0..)
            .map(AccountId)
            .zip(&self.profiles)
            .filter(|(_, profiles)| profiles.is_due(&self.config.limits, env.now.mono_ms))
            .map(|(account, _)| account)
            .collect();
        for account in due {
            self.ask_profiles(account, env);
        }
    }

    fn ask_profiles(&mut self, id: AccountId, env: &mut Env<'_>) {
        let config = self.config.clone();
        let (Some(account), Some(peer)) = (config.account(id), &config.wechat_api) else {
            return;
        };
        let Some(secret) = &account.app_secret else {
            return;
        };
        let access = tokens::access(env.shared, &account.appid, self.me, env.now.mono_ms);
        if access.fetch {
            let request = StableTokenRequest {
                appid: &account.appid,
                secret: secret.expose(),
                force_refresh: false,
            };
            let body = request.encode();
            let path = api::STABLE_TOKEN_PATH.to_owned();
            self.call(Call::AccessToken(id), peer, path, "application/json", body);
        }
        let Some(token) = access.token else { return };
        let Some(profiles) = self.profiles.get_mut(id.0 as usize) else {
            return;
        };
        let path = api::path_with_token(api::USER_BATCH_PATH, &token);
        let body = api::write_user_batch(&profiles.take_batch(token));
        self.call(Call::Profiles(id), peer, path, "application/json", body);
    }

    fn call(
        &mut self,
        call: Call,
        peer: &Peer,
        path: String,
        content_type: &'static str,
        body: Vec<u8>,
    ) {
        self.calls.insert(call);
        let request = CallRequest {
            cluster: peer.cluster.clone(),
            authority: peer.authority.clone(),
            method: "POST",
            path,
            content_type,
            body,
            timeout_ms: peer.timeout_ms,
        };
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
        for (Then { answer, follower }, fate) in settled {
            if fate == Fate::Rejected {
                self.count(Metric::Lost {
                    reason: Loss::Rejected,
                    count: 1,
                });
            }
            // Also when rejected: asking WeChat to send again what the store will never take helps nobody.
            if let Some(print) = answer {
                self.answer_waiting(print, env);
            }
            if let Some(follower) = follower {
                self.want_profile(follower, env);
            }
        }
    }

    fn want_profile(&mut self, follower: Follower, env: &Env<'_>) {
        let account = follower.account;
        let queued: usize = self.profiles.iter().map(|profiles| profiles.len()).sum();
        if queued >= self.config.limits.profiles_max_queued {
            return self.count(Metric::ProfilesGivenUp { account, count: 1 });
        }
        if let Some(profiles) = self.profiles.get_mut(account.0 as usize) {
            profiles.push(follower, env.now.mono_ms);
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
        let mut error_class = None;
        let Some(profiles) = self.profiles.get_mut(id.0 as usize) else {
            return;
        };
        let asked = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => match api::parse_user_batch(body) {
                Ok(users) => {
                    for user in &users {
                        // Only whom we asked for; the event's id comes from the follow that made us ask.
                        if let Some(follower) = profiles.asked_for(&user.openid) {
                            let id = follower.because.derived("user.snapshot");
                            let json =
                                event::user_snapshot(account, id, &user.openid, user.raw, env.now);
                            snapshots.push(Event {
                                json,
                                then: Then::default(),
                            });
                        }
                    }
                    Asked::Answered
                }
                Err(AnswerError::Malformed) => Asked::Failed,
                Err(AnswerError::Refused(error)) => {
                    error_class = Some(error.class());
                    match error.class() {
                        Class::Token => {
                            tokens::invalidate(env.shared, &account.appid, profiles.token());
                            Asked::TokenRefused
                        }
                        Class::Recipient => Asked::OneIsWrong,
                        _ => Asked::Failed,
                    }
                }
            },
            _ => Asked::Failed,
        };
        let given_up = profiles.done(&asked, env.now.mono_ms, env.random_u32());
        if let Some(class) = error_class {
            self.count(Metric::ApiError {
                account: id,
                class: class.name(),
            });
        }
        if given_up > 0 {
            self.count(Metric::ProfilesGivenUp {
                account: id,
                count: given_up,
            });
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
