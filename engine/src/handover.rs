//! What an engine leaves behind when the host will not wait for it, and who goes on with it.
//!
//! A host that has loaded another module ends the old VM with its last stream, whatever that VM still has to do. So the
//! engine writes it into shared data, and one of the other engines of the process takes it with its next tick: whoever
//! empties the value by compare-and-set, as far as it has room. A filter that is gone altogether has no others; then
//! everything is lost, and counted.
//!
//! | left behind | how it goes on |
//! |---|---|
//! | events, those of a call under way too | delivered: the store's key keeps one |
//! | profiles and tags wanted, also those that an event causes | asked for and given |
//! | late replies | the store is asked anew for the right to send, and knows the claimant |
//!
//! Lost, and counted, are pushes that wait for an application (the next attempt takes them over, as after a crash) and
//! late replies that are being sent, since nobody would know whether the user has them.
//!
//! # Shape
//! One value of records, oldest first: `length u32 | kind u8 | number u64 | fields`, a field being `length u32 | bytes`,
//! little-endian. Accounts are named, not numbered: the taker has a configuration of its own. Times are the process's.
//!
//! # Bounds
//! [`MAX_BYTES`]; what does not fit is lost.

use weir_protocol::reply::Reply;

use crate::capability::Capability;
use crate::claims::Fingerprint;
use crate::config::{Account, AccountId, Config};
use crate::effect::LogLevel;
use crate::engine::{Engine, Env};
use crate::event::EventId;
use crate::metric::{Loss, Metric};
use crate::outbox::{Event, Follower, Then};
use crate::owners::{self, OwnerId};
use crate::planted::{Bug, planted};
use crate::sends::{GIVE_UP_MS, Late, Stage};
use crate::shared::{self, SharedData, Write};
use crate::tags::{TagJob, Tagging};

/// The layout is part of it: another version of this code must not read it as its own.
pub const KEY: &str = "weir/left/1";
/// Most bytes that wait for a taker: some ten thousand events.
const MAX_BYTES: usize = 8 << 20;
/// Most fields of a record.
const FIELDS: usize = 7;

const EVENT: u8 = 0;
const PROFILE: u8 = 1;
const TAG: u8 = 2;
/// An attempt may still take it.
const LATE_WAITING: u8 = 3;
const LATE: u8 = 4;

/// One thing to do.
struct Record<'a> {
    /// Bytes, all in all.
    size: usize,
    kind: u8,
    number: u64,
    /// The account's name, then what the kind has.
    fields: [&'a [u8]; FIELDS],
}

impl Engine {
    /// Leaves to others what they can go on with; the rest is lost, and counted.
    pub(crate) fn hand_over(&mut self, env: &mut Env<'_>) {
        let config = self.config.clone();
        let mut left = Vec::new();
        while let Some(Event { json, then }) = self.outbox.give() {
            // Who takes it does not call the application: the work is to be free for whoever gets the next attempt.
            let unclaimed = then.answer.and_then(|print| self.unclaimed(print));
            put(&mut left, EVENT, 0, &[b"", &unclaimed.unwrap_or(json)]);
            let follow_up = then.follow_up.unwrap_or_default();
            if let Some(follower) = follow_up.follower {
                put_profile(&mut left, &config, &follower);
            }
            if let Some(tagging) = follow_up.tagging {
                for tag in tagging.tags {
                    put_tag(&mut left, &config, tagging.account, &tagging.openid, tag);
                }
            }
        }
        for profiles in &mut self.profiles {
            while let Some(follower) = profiles.give() {
                put_profile(&mut left, &config, &follower);
            }
        }
        for (account, tags) in (0..).map(AccountId).zip(&mut self.tags) {
            while let Some(TagJob { openid, tag }) = tags.give() {
                put_tag(&mut left, &config, account, &openid, tag);
            }
        }
        let mut lost = self.exchanges.abandon();
        let lates = std::mem::take(&mut self.lates);
        for late in lates.all() {
            let in_flight = late.stage == Stage::Sending && !planted(Bug::SendingHandedOver);
            if in_flight || !put_late(&mut left, &config, late, env.now.mono_ms) {
                lost += 1;
            }
        }
        self.calls.clear();

        let fits = shared::update(env.shared, KEY, |value| {
            let room = MAX_BYTES.saturating_sub(value.len());
            let end = end_of(&left, |record, end| end + record.size <= room);
            value.extend_from_slice(left.get(..end).unwrap_or_default());
            (end, if end > 0 { Write::Yes } else { Write::No })
        });
        let mut gone = left.split_off(fits.unwrap_or(0));
        // In this order: whoever is the last to sign off finds what all before have left.
        let alone = owners::sign_off(env.shared, self.me, env.now.mono_ms);
        // Where engines come with requests, there will be another one.
        if alone && self.config.host.has(Capability::Background) {
            gone.extend(take(env.shared, [usize::MAX; 3]));
        } else if !left.is_empty() {
            let bytes = left.len();
            self.log(LogLevel::Info, format!("weir: handed over, bytes: {bytes}"));
        }
        let mut rest = &gone[..];
        while let Some(record) = next(&mut rest) {
            lost += self.lose(&record);
        }
        self.count_abandoned(lost);
    }

    /// Takes what another engine left, as far as there is room.
    pub(crate) fn take_left(&mut self, env: &mut Env<'_>) {
        let limits = &self.config.limits;
        let lates = self.exchanges.forwards() + self.lates.len();
        let room = [
            limits.outbox_max_events.saturating_sub(self.outbox.len()),
            limits.outbox_max_bytes.saturating_sub(self.outbox.bytes()),
            limits.forwards_max.saturating_sub(lates),
        ];
        // What is left may be large: it is not even looked at in vain, tick for tick.
        if room.contains(&0) || planted(Bug::LeftBehindForgotten) {
            return;
        }
        let taken = take(env.shared, room);
        let mut lost = 0;
        let mut rest = &taken[..];
        while let Some(record) = next(&mut rest) {
            if matches!(record.kind, PROFILE | TAG) && planted(Bug::WishesLeftForgotten) {
                continue;
            }
            if self.go_on_with(&record, env).is_none() {
                lost += self.lose(&record);
            }
        }
        self.count_abandoned(lost);
    }

    /// `None`: this configuration knows nothing of it, or it is too late.
    fn go_on_with(&mut self, record: &Record<'_>, env: &Env<'_>) -> Option<()> {
        let [_, openid, because, appid, claimant, reply, owner] = record.fields;
        let mono_ms = env.now.mono_ms;
        if record.kind == EVENT {
            let (json, then) = (openid.to_vec(), Then::default());
            self.outbox.push(Event { json, then }, mono_ms);
            return Some(());
        }
        let config = self.config.clone();
        let (account, its) = named(&config, record)?;
        let openid = text(openid)?;
        if matches!(record.kind, LATE | LATE_WAITING) {
            let push = EventId::from(*because.first_chunk()?);
            let print = Fingerprint::from(&push);
            if self.lates.has(print) {
                // We have worked on the push, too, and the store lets one of us send.
                return Some(());
            }
            if mono_ms.saturating_sub(record.number) > GIVE_UP_MS {
                return None;
            }
            let mut late = Late::new(
                account,
                text(appid)?,
                push,
                openid,
                text(claimant)?,
                Reply::parse(reply).ok()?,
                if planted(Bug::HeirIsOwner) {
                    self.me
                } else {
                    OwnerId::from_bits(u32::from_le_bytes(*owner.first_chunk()?))?
                },
            );
            late.due_ms = record.number;
            if record.kind == LATE {
                late.stage = Stage::Free;
            }
            self.lates.insert(print, late);
            return Some(());
        }
        // Else nobody would ever ask for it.
        its.app_secret.as_ref().and(config.wechat_api.as_ref())?;
        if record.kind == PROFILE {
            let because = EventId::from(*because.first_chunk()?);
            let follower = Follower {
                account,
                openid,
                because,
            };
            self.want_profile(follower, env);
        } else {
            let tagging = Tagging {
                account,
                openid,
                tags: vec![u32::try_from(record.number).ok()?],
            };
            self.want_tags(tagging, env);
        }
        Some(())
    }

    /// Nobody does it. Returns how many events or replies that is; wishes have counters of their own.
    fn lose(&mut self, record: &Record<'_>) -> usize {
        let config = self.config.clone();
        let account = named(&config, record).map(|(account, _)| account);
        let count = 1;
        match (record.kind, account) {
            (PROFILE, Some(account)) => self.count(Metric::ProfilesGivenUp { account, count }),
            (TAG, Some(account)) => self.count(Metric::TagsGivenUp { account, count }),
            _ => return 1,
        }
        0
    }

    fn count_abandoned(&mut self, count: usize) {
        if count > 0 && !planted(Bug::AbandonNotCounted) {
            self.count(Metric::Lost {
                reason: Loss::Abandoned,
                count: count as u64,
            });
            self.log(
                LogLevel::Error,
                format!("weir: lost with what was replaced, events and replies: {count}"),
            );
        }
    }
}

/// The account that a record names.
fn named<'c>(config: &'c Config, record: &Record<'_>) -> Option<(AccountId, &'c Account)> {
    let [name, ..] = record.fields;
    config
        .accounts()
        .find(|(_, account)| account.name.as_bytes() == name)
}

fn name_of(config: &Config, id: AccountId) -> &[u8] {
    config
        .account(id)
        .map_or(b"", |account| account.name.as_bytes())
}

fn put_profile(left: &mut Vec<u8>, config: &Config, follower: &Follower) {
    let Follower {
        account,
        openid,
        because,
    } = follower;
    let fields = [
        name_of(config, *account),
        openid.as_bytes(),
        because.as_bytes(),
    ];
    put(left, PROFILE, 0, &fields);
}

fn put_tag(left: &mut Vec<u8>, config: &Config, account: AccountId, openid: &str, tag: u32) {
    let fields = [name_of(config, account), openid.as_bytes()];
    put(left, TAG, tag.into(), &fields);
}

/// `false`: it says nothing.
fn put_late(left: &mut Vec<u8>, config: &Config, late: &Late, mono_ms: u64) -> bool {
    let Some(reply) = late.reply.to_json() else {
        return false;
    };
    let kind = match late.stage {
        Stage::Waiting => LATE_WAITING,
        _ => LATE,
    };
    let fields = [
        name_of(config, late.account),
        late.openid.as_bytes(),
        late.push.as_bytes(),
        late.appid.as_bytes(),
        late.claimant.as_bytes(),
        &reply,
        &late.owner.to_bits().to_le_bytes(),
    ];
    put(left, kind, late.due_ms.max(mono_ms), &fields);
    true
}

fn put(left: &mut Vec<u8>, kind: u8, number: u64, fields: &[&[u8]]) {
    let size: usize = fields.iter().map(|field| 4 + field.len()).sum();
    put_length(left, 9 + size);
    left.push(kind);
    left.extend_from_slice(&number.to_le_bytes());
    for field in fields {
        put_length(left, field.len());
        left.extend_from_slice(field);
    }
}

fn put_length(left: &mut Vec<u8>, length: usize) {
    // What holds a push or a reply is far from 4 GiB.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    left.extend_from_slice(&length.to_le_bytes());
}

/// Takes what is left, oldest first: as many events, as many bytes, as many late replies.
fn take(shared: &dyn SharedData, [events, bytes, lates]: [usize; 3]) -> Vec<u8> {
    let taken = shared::update(shared, KEY, |value| {
        let mut room = (events, lates);
        let end = end_of(value, |record, end| {
            let left = match record.kind {
                EVENT => &mut room.0,
                LATE | LATE_WAITING => &mut room.1,
                _ => return true,
            };
            let fits = *left > 0 && end < bytes;
            *left = left.saturating_sub(1);
            fits
        });
        if end == 0 {
            return (Vec::new(), Write::No);
        }
        let rest = value.split_off(end);
        (std::mem::replace(value, rest), Write::Yes)
    });
    taken.unwrap_or_default()
}

/// The end of the records that `fits` takes, one after another; it is told where each begins.
fn end_of(left: &[u8], mut fits: impl FnMut(&Record<'_>, usize) -> bool) -> usize {
    let (mut end, mut rest) = (0, left);
    while let Some(record) = next(&mut rest) {
        if !fits(&record, end) {
            break;
        }
        end += record.size;
    }
    end
}

/// The first record of `left`, which is what follows then.
fn next<'l>(left: &mut &'l [u8]) -> Option<Record<'l>> {
    let (whole, rest) = field(left)?;
    let (kind, numbered) = whole.split_first()?;
    let (number, mut more) = numbered.split_first_chunk()?;
    let mut fields = [&[][..]; FIELDS];
    for place in &mut fields {
        let Some((field, rest)) = field(more) else {
            break;
        };
        (*place, more) = (field, rest);
    }
    let size = left.len() - rest.len();
    *left = rest;
    Some(Record {
        size,
        kind: *kind,
        number: u64::from_le_bytes(*number),
        fields,
    })
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
