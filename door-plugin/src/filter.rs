//! The door, as the adapter sees it; what its words are as hostcalls.

use std::rc::Rc;

use proxy_wasm::types;
use weir_adapter::{Effect, Filter};
use weir_config::Problem;
use weir_door::config::Config;
use weir_door::metric::Metric;
use weir_door::{Call, Door, RESULT_HEADER, Step, Verdict};
use weir_engine::metric::Shape;
use weir_engine::owners::Mailbox;
use weir_engine::{CallOutcome, Env};
use weir_hostcalls::{self as host, Half};

use crate::stream::Stream;

/// What says of what kind a body is: `media/get` answers an error as JSON and a picture as a picture.
const DESCRIBING: [&str; 2] = ["content-type", "content-disposition"];

/// The values of [`DESCRIBING`], where they are there.
type Description = [Option<String>; 2];

/// The door, and what the call that has just been answered says of its body.
pub(crate) struct DoorFilter(pub(crate) Door, Option<Description>);

/// What it wants done at a stream, from the root.
pub(crate) enum Act {
    Release(Step),
    Pass,
    Replace {
        status: u16,
        body: Vec<u8>,
        description: Option<Description>,
        verdict: Option<Verdict>,
    },
}

impl Filter for DoorFilter {
    type Config = Config;
    type Call = Call;
    type Metric = Metric;
    type Act = Act;
    type Stream = Stream;

    const PASSES_UNKNOWN: bool = false;
    const QUEUE: &'static str = "weir/door/";

    fn parse(
        document: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<Problem>> {
        weir_config::parse_door(document, env)
    }

    fn greeting(config: &Config, _: u64) -> String {
        let (accounts, clients) = (config.accounts.len(), config.clients.len());
        format!("weir: the door is open, accounts={accounts} clients={clients}")
    }

    fn new(config: Rc<Config>, _: Option<Mailbox>, env: &mut Env<'_>) -> Self {
        Self(Door::new(config, env), None)
    }

    fn on_tick(&mut self, env: &mut Env<'_>) {
        self.0.on_tick(env);
    }

    fn on_woken(&mut self, env: &mut Env<'_>) {
        self.0.on_woken(env);
    }

    fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        // Only now can they be read; the answer that it replaces was of another kind.
        let replaces = matches!(
            (call, outcome),
            (Call::Replay(_), CallOutcome::Answer { status: 200, .. })
        );
        self.1 = replaces
            .then(|| DESCRIBING.map(|name| String::from_utf8(host::call_header(name)?).ok()));
        self.0.on_call_done(call, outcome, env);
    }

    fn on_end(&mut self, _: &mut Env<'_>) {
        self.0.abandon();
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    fn poll(&mut self) -> Option<Effect<Self>> {
        use weir_door::Effect as Wanted;
        Some(match self.0.poll()? {
            Wanted::Release { stream, step } => Effect::At(stream, Act::Release(step)),
            Wanted::Pass { stream } => Effect::At(stream, Act::Pass),
            Wanted::Replace {
                stream,
                status,
                body,
                verdict,
            } => Effect::At(
                stream,
                Act::Replace {
                    status,
                    body,
                    description: self.1.take(),
                    verdict,
                },
            ),
            Wanted::Call { call, request } => Effect::Call(call, request),
            Wanted::Wake => Effect::Wake,
            Wanted::Count(metric, by) => Effect::Count(metric, Shape::Counter(by)),
            Wanted::Log { level, line } => Effect::Log(level, line),
        })
    }

    fn act(act: Act) {
        match act {
            Act::Release(step) => {
                if do_step(&step) {
                    host::go_on(Half::Request);
                }
            }
            Act::Pass => host::go_on(Half::Response),
            Act::Replace {
                status,
                body,
                description,
                verdict,
            } => {
                replace(status, &body, description);
                say(verdict);
                host::go_on(Half::Response);
            }
        }
    }

    fn metric_name(metric: Metric, config: &Config) -> String {
        metric.name(config)
    }
}

/// Does a step of the stream that is effective now. `true`: it goes on to WeChat.
pub(crate) fn do_step(step: &Step) -> bool {
    match step {
        Step::Respond(response) => {
            host::respond(response);
            false
        }
        Step::Refuse { response, verdict } => {
            let said = verdict.header();
            let mut headers = vec![
                ("x-content-type-options", "nosniff"),
                (RESULT_HEADER, &*said),
            ];
            headers.extend(response.content_type.map(|kind| ("content-type", kind)));
            host::respond_with(response.status, &headers, &response.body);
            false
        }
        Step::Forward { path, hide } => {
            // What says who the caller is stays here, and an answer that is to be read comes as it is.
            let hidden = hide.iter().all(|name| host::remove_request_header(name))
                && host::set_request_header("accept-encoding", "identity")
                && host::set_request_header(":path", path);
            if !hidden {
                host::respond(&weir_engine::Response::empty(503));
            }
            hidden
        }
        Step::Hold => false,
    }
}

/// Says what became of a message.
pub(crate) fn say(verdict: Option<Verdict>) {
    if let Some(verdict) = verdict {
        // The answer says it, too.
        let _ = host::set_response_header(RESULT_HEADER, &verdict.header());
    }
}

/// Puts another answer in the place of the one that is held.
fn replace(status: u16, body: &[u8], description: Option<Description>) {
    let length = body.len().to_string();
    let done = host::replace_response_body(body)
        && host::set_response_header("content-length", &length)
        && host::set_response_header(":status", &status.to_string());
    if done {
        for (name, value) in DESCRIBING.iter().zip(description.into_iter().flatten()) {
            // The one that is replaced was JSON: without a word, so is this.
            if let Some(value) = value {
                let _ = host::set_response_header(name, &value);
            }
        }
    } else {
        // The old one passes: it says that the token was refused, which is true of the first try.
        host::log(
            types::LogLevel::Error,
            "weir: this host lets no answer be replaced",
        );
    }
}
