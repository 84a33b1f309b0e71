//! The logins, as the adapter sees them; what their words are as hostcalls.

use std::rc::Rc;

use weir_adapter::{Effect, Filter};
use weir_config::Problem;
use weir_engine::metric::Shape;
use weir_engine::owners::Mailbox;
use weir_engine::{CallOutcome, Env, Response};
use weir_hostcalls as host;
use weir_login::config::Config;
use weir_login::metric::Metric;
use weir_login::{Answer, Call, IDENTITY_HEADERS, Identity, Login};

use crate::stream::Stream;

/// The logins.
pub(crate) struct LoginFilter(pub(crate) Login);

impl Filter for LoginFilter {
    type Config = Config;
    type Call = Call;
    type Metric = Metric;
    type Act = Answer;
    type Stream = Stream;

    const PASSES_UNKNOWN: bool = false;
    const QUEUE: &'static str = "weir/login/";

    fn parse(
        document: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<Problem>> {
        weir_config::parse_login(document, env)
    }

    fn greeting(config: &Config, _: u64) -> String {
        let (accounts, pages) = (config.accounts.len(), config.pages.len());
        format!("weir: logins, accounts={accounts} pages={pages}")
    }

    fn new(config: Rc<Config>, _: Option<Mailbox>, env: &mut Env<'_>) -> Self {
        Self(Login::new(config, env))
    }

    fn on_tick(&mut self, env: &mut Env<'_>) {
        self.0.on_tick(env);
    }

    fn on_woken(&mut self, env: &mut Env<'_>) {
        self.0.on_woken(env);
    }

    fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        self.0.on_call_done(call, outcome, env);
    }

    fn on_end(&mut self, _: &mut Env<'_>) {
        self.0.abandon();
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    fn poll(&mut self) -> Option<Effect<Self>> {
        use weir_login::Effect as Wanted;
        Some(match self.0.poll()? {
            Wanted::Respond { stream, answer } => Effect::At(stream, answer),
            Wanted::Call { call, request } => Effect::Call(call, request),
            Wanted::Wake => Effect::Wake,
            Wanted::Count(metric, by) => Effect::Count(metric, Shape::Counter(by)),
            Wanted::Log { level, line } => Effect::Log(level, line),
        })
    }

    fn act(answer: Answer) {
        respond(&answer);
    }

    fn metric_name(metric: Metric, config: &Config) -> String {
        metric.name(config)
    }
}

/// Answers the stream that is effective now.
pub(crate) fn respond(answer: &Answer) {
    let headers: Vec<(&str, &str)> = (answer.headers.iter())
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    host::respond_with(answer.status, &headers, &answer.body);
}

/// Says who asks, in place of whatever the request said. `false`: the host would not, and the request is answered.
pub(crate) fn introduce(identity: Option<&Identity>) -> bool {
    let done = match identity {
        None => true,
        Some(identity) => {
            let uid = identity.uid.map(|uid| uid.to_string());
            let values = [
                Some(identity.account.as_str()),
                identity.openid.as_deref(),
                identity.unionid.as_deref(),
                uid.as_deref(),
            ];
            (IDENTITY_HEADERS.iter().zip(values))
                .filter_map(|(name, value)| Some((name, value?)))
                .all(|(name, value)| host::set_request_header(name, value))
        }
    };
    if !done {
        host::respond(&Response::empty(503));
    }
    done
}
