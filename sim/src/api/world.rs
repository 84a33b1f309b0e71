//! Everything the fake API knows, behind one lock, without a network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::calls::{self, Answer, Call};
use super::cards::{Card, Cards};
use super::faults::{FaultRule, Faults, Then};
use super::ledger::{Calls, Ledger, Sent};
use super::login::{Logins, OAuth};
use super::media::{Content, MadeUp, Media, Medium};
use super::quotas::{Limit, Quotas};
use super::sends::{Recipients, Sends, Total};
use super::tickets::Tickets;
use super::tokens::{Kind, Tokens};
use super::users::{Act, Follow, Profile, Users};
use crate::clock::Clock;
use crate::wechat::Account;

/// No account of that name is served here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no account named {0:?}")]
pub struct NoSuchAccount(pub String);

/// The accounts of a fake `api.weixin.qq.com` and all that is known about them. Safe to share.
pub struct World {
    clock: Clock,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) accounts: Vec<AccountState>,
    pub(super) ledger: Ledger,
    faults: Faults,
}

pub(super) struct AccountState {
    pub(super) account: Account,
    pub(super) tokens: Tokens,
    pub(super) users: Users,
    pub(super) quotas: Quotas,
    pub(super) sends: Sends,
    pub(super) media: Media,
    pub(super) tickets: Tickets,
    pub(super) logins: Logins,
    pub(super) oauth: OAuth,
    /// The body of `menu/create`.
    pub(super) menu: Option<Value>,
    pub(super) tags: BTreeMap<i64, String>,
    pub(super) cards: Cards,
    /// Addresses that may fetch tokens; everybody when `None`.
    pub(super) ip_whitelist: Option<Vec<IpAddr>>,
    /// An openid never met is a plain follower, for load tests.
    pub(super) any_openid: bool,
}

impl World {
    /// A world with these accounts, without users.
    pub fn new(accounts: Vec<Account>, clock: Clock) -> Self {
        let accounts = accounts
            .into_iter()
            .map(|account| AccountState {
                account,
                tokens: Tokens::default(),
                users: Users::default(),
                quotas: Quotas::default(),
                sends: Sends::default(),
                media: Media::default(),
                tickets: Tickets::default(),
                logins: Logins::default(),
                oauth: OAuth::default(),
                menu: None,
                tags: BTreeMap::from([(2, "星标组".to_owned())]),
                cards: Cards::default(),
                ip_whitelist: None,
                any_openid: false,
            })
            .collect();
        Self {
            clock,
            state: Mutex::new(State {
                accounts,
                ledger: Ledger::default(),
                faults: Faults::default(),
            }),
        }
    }

    /// What time it is here; advance it to let tokens age.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Answers one call as WeChat would, and enters it into the ledger.
    pub fn answer(&self, call: &Call) -> Answer {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        let authorised = calls::is_authorised(&mut state, now_ms, call);
        let result = calls::answer(&mut state, now_ms, call);
        let errcode = result.as_ref().err().map(|error| error.errcode);
        let calls = state.enter(call.path(), errcode, false);
        calls.authorised += u64::from(authorised);
        result.unwrap_or_else(|error| Answer::Json(error.body(now_ms / 1000)))
    }

    /// The names of the accounts.
    pub fn names(&self) -> Vec<String> {
        self.lock()
            .accounts
            .iter()
            .map(|state| state.account.name.clone())
            .collect()
    }

    /// Sets what a user's profile says. The user need not follow.
    ///
    /// # Errors
    /// [`NoSuchAccount`], as for all that follow.
    pub fn set_profile(
        &self,
        account: &str,
        openid: &str,
        profile: Profile,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.users.set_profile(openid, profile))
    }

    /// A user follows.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn follow(&self, account: &str, openid: &str, follow: Follow) -> Result<(), NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.users.follow(now_ms, openid, follow)
        })
    }

    /// So many follow whom nothing else tells apart: `oF0000000`, `oF0000001` …, for load tests.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn follow_many(&self, account: &str, count: u32) -> Result<(), NoSuchAccount> {
        self.with(account, |now_ms, state| {
            for number in 0..count {
                let openid = format!("oF{number:07}");
                state.users.follow(now_ms, &openid, Follow::default());
            }
        })
    }

    /// A user leaves.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn unfollow(&self, account: &str, openid: &str) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.users.unfollow(openid))
    }

    /// Puts a user on the account's blacklist, or takes them off it.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn blacklist(&self, account: &str, openid: &str, is_on: bool) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| match is_on {
            true => state.users.blacklist(openid),
            false => state.users.unblacklist(openid),
        })
    }

    /// A user does something that lets the account write to them.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn act(&self, account: &str, openid: &str, act: Act) -> Result<(), NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.users.act(now_ms, openid, act)
        })
    }

    /// The user as `user/info` shows them; `None` for somebody never met.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn user(&self, account: &str, openid: &str) -> Result<Option<Value>, NoSuchAccount> {
        self.with(account, |_, state| state.users.info(openid))
    }

    /// Everybody this account ever met.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn users(&self, account: &str) -> Result<Vec<Value>, NoSuchAccount> {
        self.with(account, |_, state| state.users.all())
    }

    /// Lets every openid that was never met count as a plain follower.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn accept_any_openid(&self, account: &str, accept: bool) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.any_openid = accept)
    }

    /// Replaces the account's tags.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn set_tags(
        &self,
        account: &str,
        tags: BTreeMap<i64, String>,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.tags = tags)
    }

    /// A user has a member card; it is all that is known of this code.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn put_card(
        &self,
        account: &str,
        card_id: &str,
        code: &str,
        card: Card,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.cards.put(card_id, code, card))
    }

    /// A member card as it is now; `None`: there is no such code.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn card(
        &self,
        account: &str,
        card_id: &str,
        code: &str,
    ) -> Result<Option<Card>, NoSuchAccount> {
        self.with(account, |_, state| state.cards.get(card_id, code).cloned())
    }

    /// Ends the life of the account's tokens (of one kind, or of both): using one answers 42001.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn expire_tokens(&self, account: &str, kind: Option<Kind>) -> Result<(), NoSuchAccount> {
        self.with(account, |now_ms, state| state.tokens.expire(now_ms, kind))
    }

    /// The newest access token of the account that is good; empty if there is none.
    ///
    /// # Errors
    /// No such account.
    pub fn current_token(&self, account: &str) -> Result<String, NoSuchAccount> {
        self.with(account, |_, state| {
            state.tokens.newest().unwrap_or_default().to_owned()
        })
    }

    /// Revokes the account's tokens (of one kind, or of both), as a refresh elsewhere would: using one answers 40001.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn invalidate_tokens(
        &self,
        account: &str,
        kind: Option<Kind>,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.tokens.revoke(kind))
    }

    /// Revokes the account's tokens every so many milliseconds of this world's clock, until called with `None`.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn invalidate_tokens_every(
        &self,
        account: &str,
        every_ms: Option<i64>,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.tokens.revoke_every(now_ms, every_ms)
        })
    }

    /// How long tokens live that are issued from now on, in milliseconds.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn set_token_lifetime(&self, account: &str, lifetime_ms: i64) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.tokens.set_lifetime(lifetime_ms))
    }

    /// Another limit for a path; what was used so far is forgotten.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn set_quota(&self, account: &str, path: &str, limit: Limit) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.quotas.set(path, limit))
    }

    /// Addresses that may fetch tokens; everybody with `None`.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn set_ip_whitelist(
        &self,
        account: &str,
        allow: Option<Vec<IpAddr>>,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.ip_whitelist = allow)
    }

    /// So many messages of each template may be sent to a user, whatever it was before.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn grant_credits(
        &self,
        account: &str,
        openid: &str,
        credits: &BTreeMap<String, u64>,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| {
            for (template, credits) in credits {
                state.sends.grant(openid, template, *credits);
            }
        })
    }

    /// What is left to a user, by template.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn credits(
        &self,
        account: &str,
        openid: &str,
    ) -> Result<BTreeMap<String, u64>, NoSuchAccount> {
        self.with(account, |_, state| state.sends.credits(openid))
    }

    /// Lets subscribe messages be sent without a credit.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn accept_any_credit(&self, account: &str, accept: bool) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.sends.any_credit = accept)
    }

    /// The messages of each API, added up since the ledger was cleared.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn totals(&self, account: &str) -> Result<BTreeMap<String, Total>, NoSuchAccount> {
        self.with(account, |_, state| state.sends.totals())
    }

    /// Who got how many messages of one API since the ledger was cleared.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn recipients(&self, account: &str, api: &str) -> Result<Recipients, NoSuchAccount> {
        self.with(account, |_, state| state.sends.recipients(api))
    }

    /// Puts something there for `media/get`.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn put_media(&self, account: &str, id: &str, made_up: MadeUp) -> Result<(), NoSuchAccount> {
        let medium = Medium {
            content_type: made_up.content_type,
            filename: id.to_owned(),
            content: Content::Pattern(made_up.bytes),
        };
        self.with(account, |now_ms, state| {
            state.media.put(now_ms, id, medium);
        })
    }

    /// Adds a fault.
    pub fn inject(&self, rule: FaultRule) {
        self.lock().faults.add(rule);
    }

    /// The faults still in force.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.lock().faults.rules().to_vec()
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// What was called and sent so far.
    pub fn ledger(&self) -> Ledger {
        self.lock().ledger.clone()
    }

    /// Starts a new ledger.
    pub fn clear_ledger(&self) {
        let mut state = self.lock();
        state.ledger = Ledger::default();
        for account in &mut state.accounts {
            account.sends.clear_counts();
        }
    }

    /// What the next call of `path` suffers: a delay in milliseconds, and what then.
    pub(super) fn take_fault(&self, path: &str) -> Option<(u64, Then)> {
        self.lock().faults.take(path)
    }

    /// Enters a call into the ledger that a fault kept from being carried out.
    pub(super) fn enter_fault(&self, path: &str, errcode: Option<i64>) {
        self.lock().enter(path, errcode, errcode.is_none());
    }

    /// Enters headers into the ledger that WeChat should not have seen.
    pub(super) fn enter_strange_header(&self, name: &str) {
        let mut state = self.lock();
        *state
            .ledger
            .strange_headers
            .entry(name.to_owned())
            .or_default() += 1;
    }

    pub(super) fn with<T>(
        &self,
        account: &str,
        act: impl FnOnce(i64, &mut AccountState) -> T,
    ) -> Result<T, NoSuchAccount> {
        self.with_first(|state| state.account.name == account, act)
            .ok_or_else(|| NoSuchAccount(account.to_owned()))
    }

    pub(super) fn with_appid<T>(
        &self,
        appid: &str,
        act: impl FnOnce(i64, &mut AccountState) -> T,
    ) -> Option<T> {
        self.with_first(|state| state.account.appid == appid, act)
    }

    fn with_first<T>(
        &self,
        is_it: impl Fn(&AccountState) -> bool,
        act: impl FnOnce(i64, &mut AccountState) -> T,
    ) -> Option<T> {
        let now_ms = self.clock.now_ms();
        let mut state = self.lock();
        let found = state.accounts.iter_mut().find(|state| is_it(state))?;
        Some(act(now_ms, found))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of ours; the state is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, path: &str, errcode: Option<i64>, fault: bool) -> &mut Calls {
        let path = if calls::exists(path) { path } else { "other" };
        let calls = self.ledger.calls.entry(path.to_owned()).or_default();
        calls.count += 1;
        calls.faults += u64::from(fault);
        if let Some(errcode) = errcode {
            *calls.errcodes.entry(errcode).or_default() += 1;
        }
        calls
    }

    pub(super) fn record(&mut self, sent: Sent) {
        self.ledger.sent(sent);
    }
}
