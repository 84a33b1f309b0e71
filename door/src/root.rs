//! The door's decisions at the root's turn: calls, and what was waiting for them.

use weir_engine::config::AccountId;
use weir_engine::token_call::{self, Need};
use weir_engine::tokens::Fetched;
use weir_engine::{CallOutcome, Env, HttpRequest, LogLevel, StreamId};

use crate::admit::Kind;
use crate::answers;
use crate::cache::{self, Found};
use crate::credits::{self, Said};
use crate::door::Door;
use crate::effect::{Call, Effect, Step};
use crate::exchange::{Exchange, Stage};
use crate::metric::Metric;
use crate::quota;
use crate::sends::Sent;
use crate::verdict::Verdict;

impl Door {
    /// The root is called as [`Effect::Wake`] asked.
    pub fn on_woken(&mut self, env: &mut Env<'_>) {
        self.woken = false;
        self.turn(env);
    }

    /// The root's timer.
    pub fn on_tick(&mut self, env: &mut Env<'_>) {
        self.woken = false;
        self.known.clear();
        let unix_s = env.now.unix_s();
        for ((id, path), calls) in std::mem::take(&mut self.made) {
            if let Some(account) = self.config.account(id) {
                quota::add(env.shared, &account.appid, &path, calls, unix_s);
            }
        }
        self.turn(env);
        self.start_batch(env);
    }

    /// A call is over.
    pub fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        self.calls.remove(&call);
        match call {
            Call::AccessToken(account) => self.on_access_token(account, outcome, env),
            Call::Replay(stream) => self.on_replay(stream, outcome, env),
            Call::Credit(stream) => self.on_credit(stream, outcome, env),
            Call::Store => {
                let rejected = self.records.done(outcome, env);
                if rejected > 0 {
                    let reason = "rejected";
                    let lost = Metric::Lost { reason };
                    self.effects.push_back(Effect::Count(lost, rejected as u64));
                }
            }
        }
        self.turn(env);
    }

    /// The host will not wait any longer: what is left is lost, and counted. Nothing comes after it.
    pub fn abandon(&mut self) {
        let lost = self.records.abandon();
        if lost > 0 {
            let reason = "abandoned";
            let metric = Metric::Lost { reason };
            self.effects.push_back(Effect::Count(metric, lost as u64));
            let line = format!("weir: sends lost with what was replaced: {lost}");
            self.log(LogLevel::Error, line);
        }
        self.exchanges.clear();
        self.made.clear();
        self.waiting.clear();
        self.calls.clear();
    }

    fn turn(&mut self, env: &mut Env<'_>) {
        for account in self.wanted.clone() {
            self.want_token(account, env);
        }
        for stream in self.waiting.clone() {
            self.look_at(stream, env);
        }
        if self.records.is_a_batch() {
            self.start_batch(env);
        }
    }

    fn want_token(&mut self, id: AccountId, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            self.wanted.remove(&id);
            return;
        };
        let call = Call::AccessToken(id);
        if self.calls.contains(&call) {
            return;
        }
        let (appid, secret) = (&account.appid, &account.app_secret);
        match token_call::need(env, &config.wechat_api, appid, secret, self.me) {
            Need::Nothing => drop(self.wanted.remove(&id)),
            Need::Call(request) => self.start(call, request),
            Need::Patience => {}
        }
    }

    fn on_access_token(&mut self, id: AccountId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            return;
        };
        let (fetched, refusal) = token_call::settle(env, &account.appid, self.me, outcome);
        if let Some(error) = refusal {
            let name = &account.name;
            self.log(
                LogLevel::Error,
                format!("weir: account={name} WeChat gives no access token: {error}"),
            );
            let class = error.token_call_class().name();
            self.count(Metric::ApiError { account: id, class });
            if matches!(fetched, Fetched::Refused) {
                self.tell_why(id, error.errcode, &error.errmsg, env);
            }
        }
        let outcome = match fetched {
            Fetched::Token { .. } => "ok",
            Fetched::Failed => "failed",
            Fetched::Refused => "refused",
        };
        self.count(Metric::TokenCall {
            account: id,
            outcome,
        });
    }

    /// An operator has to act: whoever waits for the token learns what WeChat said.
    fn tell_why(&mut self, id: AccountId, errcode: i64, errmsg: &str, env: &mut Env<'_>) {
        let told: Vec<_> = (self.exchanges.iter())
            .filter(|(_, exchange)| exchange.admitted.account == id)
            .filter(|(_, exchange)| matches!(exchange.stage, Stage::NoToken { .. }))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in told {
            let text = format!("WeChat gives no access token: {errmsg}");
            self.end_without_token(stream, answers::error(200, errcode, &text), env);
        }
    }

    fn end_without_token(
        &mut self,
        stream: StreamId,
        response: weir_engine::Response,
        env: &mut Env<'_>,
    ) {
        self.waiting.remove(&stream);
        if let Some(exchange) = self.exchanges.remove(&stream) {
            let account = exchange.admitted.account;
            let outcome = "no_token";
            self.count(Metric::Call { account, outcome });
            self.let_others_ask(&exchange, env);
            let step = Step::refuse(&exchange.admitted.path, response);
            self.effects.push_back(Effect::Release { stream, step });
        }
    }

    /// Whether a waiting request can go on.
    fn look_at(&mut self, stream: StreamId, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.get(&stream) else {
            self.waiting.remove(&stream);
            return;
        };
        let id = exchange.admitted.account;
        let now_ms = env.now.mono_ms;
        let late = |since_ms: u64| now_ms.saturating_sub(since_ms) > config.limits.wait_ms;
        let Some(account) = config.account(id) else {
            return;
        };
        match exchange.stage {
            Stage::NoToken { since_ms } => {
                let is_login = exchange.admitted.kind == Kind::Login;
                if let Some((token, left_ms)) = self.token(id, env) {
                    self.waiting.remove(&stream);
                    let Some(mut exchange) = self.exchanges.remove(&stream) else {
                        return;
                    };
                    let (step, outcome) = if is_login {
                        let response = answers::token(&token, left_ms / 1_000);
                        (Step::Respond(response), "login")
                    } else {
                        exchange.token = token;
                        let step = exchange.forward(account.app_secret.expose());
                        self.exchanges.insert(stream, exchange);
                        (step, "forwarded")
                    };
                    self.count(Metric::Call {
                        account: id,
                        outcome,
                    });
                    self.effects.push_back(Effect::Release { stream, step });
                } else if late(since_ms) {
                    let text = "there is no access token";
                    let response = answers::error(503, answers::BUSY, text);
                    self.end_without_token(stream, response, env);
                }
            }
            Stage::Credit => self.ask_for_credit(stream),
            Stage::Kept { since_ms } => {
                let Some(thing) = exchange.thing else { return };
                let step = match cache::find(env.shared, &account.appid, thing, now_ms) {
                    Found::Answer(answer) => {
                        self.exchanges.remove(&stream);
                        let outcome = "kept";
                        self.count(Metric::Call {
                            account: id,
                            outcome,
                        });
                        Step::Respond(answers::document(answer))
                    }
                    Found::Wait if late(since_ms) => {
                        self.exchanges.remove(&stream);
                        Step::Respond(answers::error(503, answers::BUSY, "no answer yet"))
                    }
                    Found::Wait => return,
                    Found::Ask => {
                        let Some(exchange) = self.exchanges.remove(&stream) else {
                            return;
                        };
                        self.waiting.remove(&stream);
                        match self.forward(stream, exchange, env) {
                            // Without a token it waits for that now.
                            Step::Hold => return,
                            step => step,
                        }
                    }
                };
                self.waiting.remove(&stream);
                self.effects.push_back(Effect::Release { stream, step });
            }
            Stage::Refused { since_ms } => match self.token(id, env) {
                Some((token, _)) => self.replay(stream, Some(token)),
                None if late(since_ms) => {
                    self.over(stream, Sent::Answered(answers::BAD_TOKEN), &[], env);
                    self.effects.push_back(Effect::Pass { stream });
                }
                None => {}
            },
            Stage::Busy { again_ms } if now_ms >= again_ms => {
                let token = self.token(id, env).map(|(token, _)| token);
                self.replay(stream, token);
            }
            _ => {}
        }
    }

    /// The path of the question whether a message may be sent; `None`: nothing is asked before this one.
    pub(crate) fn credit_question(&self, exchange: &Exchange) -> Option<String> {
        let credits = self.config.credits.as_ref()?;
        self.config.store.as_ref()?;
        let account = self.config.account(exchange.admitted.account)?;
        credits::question(credits, &account.name, exchange.send.as_ref()?)
    }

    fn ask_for_credit(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
        let config = self.config.clone();
        let question = (self.exchanges.get(&stream)).and_then(|of| self.credit_question(of));
        let (Some(path), Some(credits), Some((peer, _))) =
            (question, &config.credits, &config.store)
        else {
            return;
        };
        let request = HttpRequest {
            timeout_ms: credits.timeout_ms,
            ..HttpRequest::get(peer, path)
        };
        self.start(Call::Credit(stream), request);
    }

    /// The store has spoken, or not: only a certain no keeps the message here.
    fn on_credit(&mut self, stream: StreamId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.remove(&stream) else {
            return;
        };
        let account = exchange.admitted.account;
        let said = match (&config.credits, config.account(account), &exchange.send) {
            (Some(credits), Some(account), Some(send)) => {
                credits::read(outcome, credits, &account.name, send)
            }
            _ => Said::Nothing,
        };
        let outcome = said.label();
        self.count(Metric::Credit { account, outcome });
        let step = if said == Said::NoneLeft {
            let outcome = "no_credit";
            self.count(Metric::Call { account, outcome });
            let text =
                "user refuse to accept the msg: nothing is left of what the user has allowed";
            Step::refuse(
                &exchange.admitted.path,
                answers::error(200, credits::NONE_LEFT, text),
            )
        } else {
            self.go(stream, exchange, env)
        };
        // Without a token it waits for that now.
        if step != Step::Hold {
            self.effects.push_back(Effect::Release { stream, step });
        }
    }

    /// Makes a call once more.
    fn replay(&mut self, stream: StreamId, token: Option<String>) {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return;
        };
        let Some(account) = config.account(exchange.admitted.account) else {
            return;
        };
        self.waiting.remove(&stream);
        exchange.stage = Stage::Replaying;
        if let Some(token) = token {
            exchange.token = token;
        }
        let path = exchange.target(account.app_secret.expose());
        let request = HttpRequest {
            method: exchange.method.clone().into(),
            content_type: exchange.content_type.clone().map(Into::into),
            body: exchange.body.clone().unwrap_or_default(),
            ..HttpRequest::get(&config.wechat_api, path)
        };
        let account = exchange.admitted.account;
        let outcome = "replayed";
        self.count(Metric::Call { account, outcome });
        self.start(Call::Replay(stream), request);
    }

    fn on_replay(&mut self, stream: StreamId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return;
        };
        let (gone, is_send) = (exchange.gone, exchange.send.is_some());
        let replace = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => {
                let (said, _) = exchange.read(body);
                if self.judge(stream, body, &said, env) {
                    return;
                }
                (200, body.to_vec(), Verdict::by(&said))
            }
            // It has not left the house.
            CallOutcome::Refused if !gone => {
                exchange.stage = Stage::Busy {
                    again_ms: env.now.mono_ms + 100,
                };
                exchange.busy_replays += 1;
                if exchange.busy_replays <= 20 {
                    self.waiting.insert(stream);
                    return;
                }
                self.over(stream, Sent::Answered(answers::BUSY), &[], env);
                let busy = answers::error(503, answers::BUSY, "WeChat cannot be reached");
                (503, busy.body.into_owned(), Verdict::UNKNOWN)
            }
            // It may have been done: whoever asks again on seeing a token error would do it twice.
            _ => {
                self.over(stream, Sent::Unknown, &[], env);
                let text = "WeChat did not answer; the call may have been done";
                let unknown = answers::error(502, answers::BUSY, text);
                (502, unknown.body.into_owned(), Verdict::UNKNOWN)
            }
        };
        if !gone {
            let (status, body, verdict) = replace;
            self.effects.push_back(Effect::Replace {
                stream,
                status,
                body,
                verdict: is_send.then_some(verdict),
            });
        }
    }

    fn start_batch(&mut self, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some((peer, path)) = &config.store else {
            return;
        };
        if self.calls.contains(&Call::Store) {
            return;
        }
        if let Some(request) = self.records.next_call(peer, path, env.now.mono_ms) {
            self.start(Call::Store, request);
        }
    }

    fn start(&mut self, call: Call, request: HttpRequest) {
        self.calls.insert(call);
        self.effects.push_back(Effect::Call { call, request });
    }
}
