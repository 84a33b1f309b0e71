//! What must have come of every push when all is over.

use weir_store_api::TYPE_USER_SNAPSHOT;

use super::{Checks, LAST, NOTICED_MS};
use crate::api::Api;
use crate::app::App;
use crate::faults::Fault;
use crate::node::{Meter, Node, Slot};
use crate::store::Store;
use crate::wechat::{Fate, Progress};

impl Checks<'_> {
    pub(crate) fn at_the_end(
        &mut self,
        pushes: &[Progress],
        engines: &[Slot],
        nodes: &[Node],
        store: &Store,
        api: &Api,
        app: &App,
    ) {
        self.must(app.strangers == 0, "app-once", || {
            "an application was asked about something that is no push".to_owned()
        });
        for (number, node) in nodes.iter().enumerate() {
            self.must(node.shared.left().bytes == 0, "every-wait-ends", || {
                format!("nobody has taken what was left at node {number}")
            });
        }
        for slot in engines {
            let name = slot.name;
            if let Some(engine) = &slot.engine {
                let idle = engine.is_idle() && slot.held.is_empty();
                self.must(idle, "every-wait-ends", || {
                    format!("{name} still holds something")
                });
                let Meter {
                    outbox_events,
                    outbox_bytes,
                    forwards,
                    ..
                } = slot.meter;
                let shown = (outbox_events, outbox_bytes, forwards);
                self.must(shown == (0, 0, 0), "bounds", || {
                    format!("{name} is empty and shows {shown:?}")
                });
                self.must(slot.meter.pushes == slot.ended, "once", || {
                    let Meter { pushes, .. } = slot.meter;
                    format!("{name} had {} requests and counts {pushes}", slot.ended)
                });
            }
        }
        let unrecorded: u64 = nodes.iter().map(Node::unrecorded).sum();
        for (number, progress) in pushes.iter().enumerate() {
            if !self.plan.pushes[number].skipped {
                self.push_at_the_end(number, progress, engines, store, api, unrecorded);
                self.app_at_the_end(number, progress, engines, store, api, app, unrecorded);
            }
        }
    }

    fn push_at_the_end(
        &mut self,
        number: usize,
        progress: &Progress,
        engines: &[Slot],
        store: &Store,
        api: &Api,
        unrecorded: u64,
    ) {
        let plan = self.plan;
        let push = &plan.pushes[number];
        let stored = store.has(&push.id);
        let rejected = plan.poison == Some(number);
        let homes = || progress.homes.values();
        let dead = |engine: &usize| engines[*engine].died();
        let answered = homes().any(|home| home.answered);
        self.tally.pushes += 1;
        self.tally.requests += homes().map(|home| home.seen).sum::<u64>();
        self.tally.heard += u64::from(progress.fate == Fate::Heard);
        self.tally.stored += u64::from(stored);

        if answered && !stored && !rejected {
            // Who said so at a deadline, or at once, had it, and took it along; or had no room for what its owner had.
            let gone = if plan.at_once || plan.faults.has(Fault::Small) {
                homes().any(|home| home.handled_by.iter().any(dead))
            } else {
                let mut kept_by = homes().flat_map(|home| &home.kept_by).peekable();
                kept_by.peek().is_some() && kept_by.all(dead)
            };
            // Who could not note that it gave a push up seems to have it still.
            let unnoted = plan.faults.has(Fault::Small) && unrecorded > 0;
            self.must(gone || unnoted, "acknowledged-is-stored", || {
                format!("push {number} was answered, and is lost")
            });
            self.tally.lost_with_worker += 1;
        }
        let counted: u64 = homes().map(|home| home.counted_lost).sum();
        let touched_by_death = homes().any(|home| home.handled_by.iter().any(dead));
        if !stored && !rejected && !touched_by_death && unrecorded == 0 {
            let last = homes().any(|home| home.seen >= LAST && home.turned_away);
            self.must(counted > 0 || !last, "losses-are-counted", || {
                format!("push {number} is lost, and not counted")
            });
        }
        // Copies look like attempts, and who stands still looks dead: then the last one seems to be there, or nobody to
        // have the push, when that is not so.
        let by_copies = plan
            .faults
            .has_any(&[Fault::Copies, Fault::Reordering, Fault::Stalls]);
        let in_vain = homes().any(|home| home.counted_lost > 0 && !home.taken_since);
        // What was left is somebody's, and who gets the next attempt does not know.
        let was_left = |engine: &usize| engines[*engine].was_left();
        let was_left = homes().any(|home| home.handled_by.iter().any(was_left));
        let excused = by_copies || unrecorded > 0 || touched_by_death || was_left;
        self.must(
            excused || !(stored && in_vain),
            "losses-are-counted",
            || format!("push {number} is counted as lost, and the store has it"),
        );

        let meters = || engines.iter().map(|slot| &slot.meter);
        let deaths = self.tally.deaths;
        let asked_again = u64::from(push.asks) * homes().map(|home| home.seen).sum::<u64>();
        let more = deaths
            + unrecorded
            + asked_again
            + self.tally.stalls
            // What was left comes beside what the next attempt brings, and both are in a call whose answer is lost.
            + self.tally.handovers * (1 + self.tally.api_answers_lost)
            + self.tally.api_answers_lost
            + (progress.homes.len() as u64).saturating_sub(1);
        if let Some(tag) = push.tag {
            let times = api.tagged.get(&(push.openid.clone(), tag)).copied();
            let times = times.unwrap_or(0);
            self.must(times <= 1 + more, "one-effect", || {
                format!("the tag of push {number} was given {times} times")
            });
            let given_up = meters().any(|meter| meter.tags_given_up > 0);
            let excused = push.asks || given_up || deaths + unrecorded > 0;
            self.must(!stored || excused || times > 0, "nothing-forgotten", || {
                format!("the tag of push {number} was never given")
            });
        }
        if push.follows {
            let times = api.shown.get(&push.openid).copied().unwrap_or(0);
            self.must(times <= 1 + more, "one-effect", || {
                format!("the profile of push {number} was asked for {times} times")
            });
            let rows = store
                .rows()
                .filter(|(_, row)| row.kind == TYPE_USER_SNAPSHOT && row.subject == push.openid);
            let rows = rows.count();
            self.must(rows <= 1, "one-effect", || {
                format!("push {number} left {rows} profiles")
            });
            let excused = deaths + unrecorded > 0
                || meters().any(|meter| meter.profiles_given_up > 0 || meter.overflow > 0);
            self.must(!stored || excused || rows > 0, "nothing-forgotten", || {
                format!("the profile of push {number} never came")
            });
        }
    }

    /// What an application had to do with a push.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn app_at_the_end(
        &mut self,
        number: usize,
        progress: &Progress,
        engines: &[Slot],
        store: &Store,
        api: &Api,
        app: &App,
        unrecorded: u64,
    ) {
        let plan = self.plan;
        let push = &plan.pushes[number];
        let Some(again) = push.app else { return };
        let alone = !plan.at_once && plan.poison != Some(number);
        let acted = app.acted[number];
        // Without the store nobody tells one node from the other, or one life of a node from the next.
        let most = if alone {
            1
        } else {
            progress.homes.len() as u64 + unrecorded
        };
        self.must(again || acted <= most, "app-once", || {
            format!("the application acted {acted} times on push {number}")
        });
        let said = format!("app{number} says ");
        let word = if again { "again" } else { "ask" };
        let sorry = format!("sorry {word}{number} {}", push.openid);
        let is_ours =
            |to: &str, text: &str| to == push.openid && (text.starts_with(&said) || text == sorry);
        let sent = api
            .sent
            .iter()
            .filter(|(to, text)| is_ours(to, text))
            .count() as u64;
        let answered = progress.homes.values().any(|home| home.reply.is_some());
        self.must(sent <= most, "reply-once", || {
            format!("the reply to push {number} was sent {sent} times")
        });
        let moved = store
            .ledger
            .entry(&push.id)
            .is_some_and(|entry| entry.moved);
        self.must(
            !(alone && !moved && answered && sent > 0),
            "reply-once",
            || format!("the reply to push {number} was given to an attempt, and sent"),
        );
        let meters = || engines.iter().map(|slot| &slot.meter);
        // Whoever gets an attempt when its owner is certainly dead takes the push over.
        let last = progress.homes.values().find_map(|home| home.last);
        let taken_over = plan.nodes.len() == 1
            && progress.homes.len() == 1
            && !progress.homes.values().any(|home| home.at_once)
            && last.is_some_and(|(engine, at_ms)| {
                let others = engines.iter().filter_map(|slot| slot.end);
                engines[engine].end.is_none()
                    && others
                        .max_by_key(|(_, at_ms)| *at_ms)
                        .is_none_or(|(_, end_ms)| end_ms + NOTICED_MS < at_ms)
            });
        let excused = (self.tally.deaths > 0 && !taken_over)
            || unrecorded > 0
            || !store.has(&push.id)
            || meters().any(|meter| meter.overflow > 0);
        let entry = store.ledger.entry(&push.id);
        let given = entry.is_some_and(|entry| entry.answer.is_some());
        self.must(excused || given, "nothing-forgotten", || {
            format!("no reply to push {number} was recorded")
        });
        let text = entry.and_then(|entry| entry.answer.as_ref()?.0.as_ref());
        let settled = entry.is_some_and(|entry| entry.delivery.is_some());
        let reached = text.is_none() || answered || settled;
        // The window is documented: the store takes a reply that it has handed out for given.
        let in_vain = progress.handed_in_vain && !reached;
        self.tally.handed_in_vain += u64::from(in_vain);
        self.must(excused || reached || in_vain, "nothing-forgotten", || {
            format!("the reply to push {number} reached nobody, and nobody knows")
        });
    }
}
