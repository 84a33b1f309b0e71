//! The engine, as the adapter sees it.

use std::rc::Rc;

use weir_adapter::{Effect, Filter};
use weir_config::Problem;
use weir_engine::config::Config;
use weir_engine::metric::Metric;
use weir_engine::owners::Mailbox;
use weir_engine::{Call, CallOutcome, Engine, Env, Input, Response};
use weir_hostcalls as host;

use crate::stream::Stream;

/// The engine.
pub(crate) struct PushFilter(pub(crate) Engine);

impl Filter for PushFilter {
    type Config = Config;
    type Call = Call;
    type Metric = Metric;
    type Act = Response;
    type Stream = Stream;

    const QUEUE: &'static str = "weir/wake/";
    // What is no push is none of our business.
    const PASSES_UNKNOWN: bool = true;

    fn parse(
        document: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<Problem>> {
        weir_config::parse(document, env)
    }

    fn greeting(config: &Config, took_ms: u64) -> String {
        let accounts = config.accounts().count();
        let rules = config.accounts().map(|(_, account)| account.rules.len());
        let rules: usize = rules.sum();
        format!("weir: configured accounts={accounts} rules={rules} ms={took_ms}")
    }

    fn new(config: Rc<Config>, mailbox: Option<Mailbox>, env: &mut Env<'_>) -> Self {
        Self(Engine::new(config, env).with_mailbox(mailbox))
    }

    fn on_tick(&mut self, env: &mut Env<'_>) {
        self.0.handle(Input::Tick, env);
    }

    fn on_woken(&mut self, env: &mut Env<'_>) {
        self.0.handle(Input::Woken, env);
    }

    fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let outcome = *outcome;
        self.0.handle(Input::CallDone { call, outcome }, env);
    }

    fn on_end(&mut self, env: &mut Env<'_>) {
        self.0.handle(Input::HandOver, env);
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    fn poll(&mut self) -> Option<Effect<Self>> {
        use weir_engine::Effect as Wanted;
        Some(match self.0.poll()? {
            Wanted::Respond { stream, response } => Effect::At(stream, response),
            Wanted::Call { call, request } => Effect::Call(call, request),
            Wanted::Wake => Effect::Wake,
            Wanted::WakeOther(mailbox) => Effect::WakeOther(mailbox),
            Wanted::Count(metric) => Effect::Count(metric.series(), metric.shape()),
            Wanted::Log { level, line } => Effect::Log(level, line),
        })
    }

    fn act(response: Response) {
        host::respond(&response);
    }

    fn metric_name(metric: Metric, config: &Config) -> String {
        metric.name(|id| {
            let account = config.account(id);
            account.map_or_else(String::new, |account| account.name.clone())
        })
    }
}
