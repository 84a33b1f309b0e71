//! A flood of pushes that are wrong, each in its own way.
//!
//! Real pushes of every kind are bent: in the query, in the envelope, in the encrypted inside (signed again, so that it
//! is reached), in the framing of HTTP. What is left must not be acknowledged, must not bring a VM down, and must
//! not hinder the good push that comes after.
//!
//! Some bends leave a push right, a changed letter in a text for one. [`oracle`] finds those, by other parsers and
//! another cipher than the plugin's, and they are not sent. Everything is drawn from a seed.
//!
//! | module | does |
//! |---|---|
//! | `samples` | the pushes that are bent, for accounts of every mode and format |
//! | `draft` | requests, rightly signed, and how they go on the wire |
//! | `bend` | one wrong request after the other |
//! | `oracle` | says which might be right after all |
//! | `client` | sends them over several connections, many at a time where that is allowed, and looks at every answer |

mod bend;
mod client;
mod draft;
mod oracle;
mod samples;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::gateway::{Gateway, Vms};
use crate::world::{Plan, World};
use client::Tally;
use samples::Sample;

/// Connections at a time.
const CONNECTIONS: u64 = 8;
/// Times that every sample is sent as it is, before and after.
const ROUNDS: usize = 2;

/// What came of a flood.
#[derive(Debug)]
pub struct Report {
    tally: Tally,
    /// Good pushes, before and after; all were acknowledged.
    pub good: usize,
    /// VMs made while it lasted, and how often one was replaced after a crash.
    pub vms: u64,
    /// See [`vms`](Self::vms).
    pub reloads: u64,
    /// Lines of the gateway's log that speak of a crash.
    pub crashes: Vec<String>,
}

impl Report {
    /// Wrong requests that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.tally.sent
    }

    /// Fails where a promise was broken: something wrong was acknowledged or met with anything but a plain no, or a
    /// VM was lost.
    ///
    /// # Errors
    /// What it was.
    pub fn check(&self) -> Result<()> {
        let faults = &self.tally.faults;
        ensure!(
            faults.is_empty(),
            "{} faults:\n{}",
            faults.len(),
            faults.join("\n")
        );
        ensure!(
            self.vms == 0 && self.reloads == 0 && self.crashes.is_empty(),
            "{} VMs were made, {} reloaded; the log says: {:?}",
            self.vms,
            self.reloads,
            self.crashes
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            sent,
            left_out,
            statuses,
            unanswered,
            ways,
            faults,
        } = &self.tally;
        writeln!(
            f,
            "{sent} wrong pushes; {left_out} more were left out, as they might be right"
        )?;
        writeln!(
            f,
            "answers by status: {statuses:?}; {unanswered} broken off unanswered"
        )?;
        writeln!(f, "{} acknowledged or otherwise at fault", faults.len())?;
        writeln!(
            f,
            "{} good pushes acknowledged; {} VMs made, {} reloads, {} crashes in the log",
            self.good,
            self.vms,
            self.reloads,
            self.crashes.len()
        )?;
        writeln!(f, "by kind:")?;
        ways.iter()
            .try_for_each(|(way, count)| writeln!(f, "  {count:8} {way}"))
    }
}

/// Sends so many wrong pushes, drawn from `seed`; `None` where this gateway is left out of a run on purpose.
///
/// # Errors
/// A part could not be started, or a good push was not acknowledged.
pub async fn flood<G: Gateway>(name: &str, pushes: u64, seed: u64) -> Result<Option<Report>> {
    let plan = Plan::default().plugin(add_accounts).bootstrap(|bootstrap| {
        bootstrap.connection_manager()?["http_protocol_options"] =
            json!({ "enable_trailers": true });
        Ok(())
    });
    let Some(world) = World::<G>::start(name, plan).await? else {
        return Ok(None);
    };
    let samples = Arc::new(samples::read(&world.account)?);
    let address = world.gateway.address();
    let mut good = acknowledged(&world, &samples, seed)
        .await
        .context("before the flood")?;
    let before = world.gateway.vms()?;

    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let share = pushes / CONNECTIONS + u64::from(number < pushes % CONNECTIONS);
        let requests = bend::Requests::new(samples.clone(), seed.wrapping_add(number));
        connections.spawn(client::send(address, requests, share, G::AHEAD));
    }
    let mut tally = Tally::default();
    while let Some(result) = connections.join_next().await {
        tally.add(result??);
    }

    good += acknowledged(&world, &samples, !seed)
        .await
        .context("after the flood")?;
    let after = world.gateway.vms()?;
    let Vms {
        created,
        reloads,
        crashes,
    } = after;
    Ok(Some(Report {
        tally,
        good,
        vms: created - before.created,
        reloads: reloads - before.reloads,
        crashes,
    }))
}

/// Sends every sample as it is; each must be acknowledged. How many it were.
async fn acknowledged<G: Gateway>(
    world: &World<G>,
    samples: &Arc<Vec<Sample>>,
    seed: u64,
) -> Result<usize> {
    for round in 0..ROUNDS {
        let requests = bend::Requests::new(samples.clone(), seed.wrapping_add(round as u64));
        client::send_good(world.gateway.address(), requests, G::AHEAD as usize).await?;
    }
    Ok(ROUNDS * samples.len())
}

/// Accounts of every mode and format, with the demo account's secrets.
fn add_accounts(plugin: &mut Value) {
    let demo = plugin["accounts"][0].clone();
    let accounts = samples::VARIANTS.iter().map(|variant| {
        let mut account = demo.clone();
        account["name"] = variant.name.into();
        account["path"] = variant.path.into();
        account["mode"] = serde_json::to_value(variant.mode).unwrap_or_default();
        account["format"] = serde_json::to_value(variant.format).unwrap_or_default();
        account
    });
    if let Some(list) = plugin["accounts"].as_array_mut() {
        list.extend(accounts);
    }
}

/// Counts by name.
type Counts = BTreeMap<&'static str, u64>;
