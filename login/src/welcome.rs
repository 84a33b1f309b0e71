//! The end of a login: the store is told of it and says which person it is, and who logged in gets a session.
//!
//! A login waits for the store as long as the configuration says, and not at all while the store is known to be away. It works
//! without: then the session has no uid, and the event is among the [`Records`](weir_engine::records::Records). A copy of an event
//! that the store had taken all the same is nothing new to it.

use serde::Deserialize;
use serde_json::json;
use weir_engine::config::AccountId;
use weir_engine::{CallOutcome, Env, HttpRequest, StreamId};
use weir_store_api::{
    ASK_UID, CONTENT_TYPE_BATCH, EventStatus, SessionStarted, TYPE_SESSION_STARTED,
};

use crate::answers;
use crate::config::HandOut;
use crate::effect::{Answer, Call};
use crate::events::event;
use crate::login::{Ask, Exchange, Login, Stage, Told};
use crate::metric::Metric;
use crate::session::{BEARER_PREFIX, Who};
use crate::web::State;

/// What the store says of a login.
#[derive(Default, Deserialize)]
struct Said {
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    status: EventStatus,
    uid: Option<i64>,
}

impl Login {
    /// Tells the store who logged in, and asks which person that is. Who logs in waits a moment for it; not while the store is
    /// known to be away.
    pub(crate) fn tell(
        &mut self,
        stream: StreamId,
        mut exchange: Exchange,
        data: Option<SessionStarted<'static>>,
        who: Who,
        back: Option<State>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let (Some(account), Some(data), Some((peer, path)), Who::User { openid, .. }) =
            (config.account(exchange.account), data, &config.store, &who)
        else {
            return self.welcome(stream, &exchange, who, back, env);
        };
        let wait_ms = config.limits.uid_wait_ms.min(peer.timeout_ms);
        let asks = wait_ms > 0 && !self.records.is_held_up();
        let kind = TYPE_SESSION_STARTED;
        let ask = asks.then_some(ASK_UID);
        let event = event(kind, account, openid, data, env.now, ask, env.random);
        if !asks {
            self.keep(event);
            return self.welcome(stream, &exchange, who, back, env);
        }
        let batch = [b"[".as_slice(), &event, b"]"].concat();
        let request = HttpRequest {
            timeout_ms: wait_ms,
            ..HttpRequest::post(peer, path.clone(), CONTENT_TYPE_BATCH, batch)
        };
        exchange.stage = Stage::Told(Told { event, who, back });
        self.exchanges.insert(stream, exchange);
        self.start(Call::Told(stream), request);
    }

    /// The store has been told of a login, or it has not.
    pub(crate) fn on_told(
        &mut self,
        stream: StreamId,
        outcome: &CallOutcome<'_>,
        env: &mut Env<'_>,
    ) {
        let Some(mut exchange) = self.exchanges.remove(&stream) else {
            return;
        };
        let stage = std::mem::replace(&mut exchange.stage, Stage::Wants(Ask::nothing()));
        let Stage::Told(Told {
            event,
            mut who,
            back,
        }) = stage
        else {
            return;
        };
        match outcome {
            CallOutcome::Answer {
                status: 200..=299,
                body,
                ..
            } => {
                // A store that is not Weir's says nothing.
                let said = serde_json::from_slice::<Said>(body).unwrap_or_default();
                if let Some(one) = said.results.first() {
                    if one.status == EventStatus::Rejected {
                        let reason = "rejected";
                        self.count(Metric::Lost { reason });
                    }
                    if let Who::User { uid, .. } = &mut who {
                        *uid = one.uid.filter(|uid| *uid > 0);
                    }
                }
            }
            _ => self.keep(event),
        }
        self.welcome(stream, &exchange, who, back, env);
    }

    /// Somebody has logged in.
    fn welcome(
        &mut self,
        stream: StreamId,
        exchange: &Exchange,
        who: Who,
        back: Option<State>,
        env: &mut Env<'_>,
    ) {
        let account = exchange.account;
        let Some(state) = back else {
            let answer = self.hand_out(account, who, env);
            return self.end(stream, exchange, "ok", answer);
        };
        let cookie = self
            .seal(account, who, env)
            .and_then(|sealed| self.session_cookie(account, &sealed));
        let Some(cookie) = cookie else {
            return self.fail(stream, exchange);
        };
        let mut answer = answers::redirect(state.return_to);
        let name = State::cookie_name(&state.nonce);
        let (sessions, path) = (&self.config.sessions, &self.config.callback_path);
        let used = answers::cookie(sessions, &name, "", path, 0);
        answer.headers.push(("set-cookie", cookie));
        answer.headers.push(("set-cookie", used));
        self.end(stream, exchange, "ok", answer);
    }

    /// What a mini program gets for its login.
    fn hand_out(&self, account: AccountId, who: Who, env: &mut Env<'_>) -> Answer {
        let Some(sealed) = self.seal(account, who, env) else {
            return answers::busy();
        };
        let by = self.config.account(account).map(|account| account.hand_out);
        let lasts_s = self.config.sessions.lasts_s;
        if by == Some(HandOut::Cookie) {
            let mut answer = answers::json(200, &json!({ "errcode": 0, "expires_in": lasts_s }));
            let cookie = self.session_cookie(account, &sealed);
            answer
                .headers
                .extend(cookie.map(|cookie| ("set-cookie", cookie)));
            return answer;
        }
        let session = format!("{BEARER_PREFIX}{sealed}");
        answers::json(
            200,
            &json!({ "errcode": 0, "session": session, "expires_in": lasts_s }),
        )
    }
}
