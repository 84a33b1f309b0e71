//! What a response must be.

use super::{AHEAD_MS, APP_MS, Checks, DEADLINE_MS, LAST, PROMPT_MS, Responded};
use crate::faults::Faults;
use crate::plan::PATIENCE_MS;
use crate::wechat::opened;
use crate::world::Scope;

impl Checks<'_> {
    pub(crate) fn on_response(&mut self, mut it: Responded<'_>) {
        let plan = self.plan;
        let (number, name) = (it.number, it.slot.name);
        let request = &it.requests[number];
        self.must(it.known, "once", || {
            format!("{name} responds to request {number}, which it does not hold")
        });
        self.must(
            it.scope == Scope::Root || it.scope == Scope::Stream(number),
            "manners",
            || format!("{name} responds to request {number} in the name of another stream"),
        );
        if it.response.status == 403 {
            // Refused unread: its clock is too far off.
            it.home.seen -= 1;
        }
        if it.response.status != 200 {
            return;
        }
        let deadline_ms = request.arrived_ms + DEADLINE_MS;
        self.must(it.now_ms <= deadline_ms, "in-time", || {
            let ms = it.now_ms - request.arrived_ms;
            format!("{name} answers request {number} after {ms} ms")
        });
        let push = &plan.pushes[request.push];
        let Some(reply) = opened(&it.response.body, plan.encrypted) else {
            return self.violated(
                "right-reply",
                format!("the reply to request {number} is unreadable"),
            );
        };
        let right = match (&push.expected, push.app) {
            (_, Some(_)) => self.is_right_of_app(request.push, &reply, &it),
            (None, _) => reply == "success",
            (Some(text), _) => reply.contains(text.as_str()) && reply.contains(&push.openid),
        };
        self.must(right, "right-reply", || {
            format!("request {number} gets the reply to something else, or none too early")
        });

        let is_due = |other: usize| {
            let other = &it.requests[other];
            let due_ms = other.arrived_ms + DEADLINE_MS - AHEAD_MS;
            other.push == request.push && due_ms <= it.now_ms && it.slot.ticked_ms < due_ms
        };
        let last = it.home.seen >= LAST
            && (is_due(number) || it.slot.held.iter().any(|other| is_due(*other)));
        let is_refused = plan.poison == Some(request.push);
        if !plan.at_once && !it.stored && !is_refused && !it.home.let_go {
            self.must(last, "acknowledged-is-stored", || {
                format!(
                    "{name} answers request {number} before push {} is stored",
                    request.push
                )
            });
        }
        // Later ones may have it from the first.
        if last && !it.stored && !it.home.let_go {
            it.home.kept_by.push(it.by);
        }
        // From then on nobody waits for the store any more, nor for what it may know of a user.
        it.home.let_go |= last;
        self.compare(&mut it, request.push, reply);
        it.home.answered = true;
        // It was known on this node before.
        it.home.at_once |= it.now_ms < request.complete_ms + 1_000;
        if plan.faults == Faults::default() {
            let ms = it.now_ms - request.complete_ms;
            let most_ms = match push.app {
                None if plan.at_once && !plan.forwards => 0,
                None if request.found_busy => 2 * PROMPT_MS,
                None => PROMPT_MS,
                Some(_) => 2 * PROMPT_MS + APP_MS,
            };
            self.must(ms <= most_ms, "prompt", || {
                format!("request {number} is answered after {ms} ms, though nothing went wrong")
            });
        }
    }

    /// Whether an application said this about a push, or may not be waited for any longer.
    fn is_right_of_app(&self, number: usize, reply: &str, it: &Responded<'_>) -> bool {
        let push = &self.plan.pushes[number];
        if reply != "success" {
            let said = format!("app{number} says ");
            let sorry = format!(
                "sorry {}{number} ",
                if push.app == Some(true) {
                    "again"
                } else {
                    "ask"
                }
            );
            return reply.contains(&push.openid)
                && (reply.contains(&said) || reply.contains(&sorry));
        }
        push.app_is_silent
            || it.home.seen >= LAST
            || it.is_sent
            || it.now_ms >= push.at_ms + 2 * PATIENCE_MS
    }

    /// Every copy of a push gets the same.
    fn compare(&mut self, it: &mut Responded<'_>, number: usize, reply: String) {
        let push = &self.plan.pushes[number];
        if push.app.is_some() {
            // `success` says that nothing more comes here; it contradicts no reply that went elsewhere.
            if reply == "success" {
                return;
            }
            let apart = self.plan.at_once || self.plan.poison == Some(number);
            let home = &mut it.home.reply;
            // Where it may be called again, one call may fail and the next bring a reply; and two nodes may call.
            let is_same = |given: &String| {
                let failed = |text: &str| text.contains("sorry ");
                let again = push.app == Some(true);
                *given == reply || it.moved || (again && failed(given) != failed(&reply))
            };
            let same = match (&self.given[number], &home) {
                (Some(given), _) if !apart => is_same(given),
                (_, Some(given)) => is_same(given) || (apart && it.unrecorded),
                _ => true,
            };
            self.must(same, "same-reply", || {
                format!("push {number} gets two replies of its application")
            });
            self.given[number].get_or_insert_with(|| reply.clone());
            home.get_or_insert(reply);
            return;
        }
        // The store may know more about a user than was known when the time was up.
        let may_differ = it.unrecorded || (push.asks && it.home.let_go);
        if let Some(first) = &it.home.reply {
            self.must(may_differ || *first == reply, "same-reply", || {
                format!("a request gets another reply than a copy of push {number} got")
            });
        } else {
            it.home.reply = Some(reply);
        }
    }
}
