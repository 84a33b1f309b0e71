//! Who asks, for which account, and whether they may. Whatever is in doubt is refused.
//!
//! A caller is known by what the operator configured for it: a key (as a bearer token, as the AppSecret of an SDK's login,
//! or in the stand-in that came of one), a URI in its certificate, or both. Everything a caller shows must point to the
//! same client and the same account.

use subtle::ConstantTimeEq;
use weir_engine::Response;
use weir_engine::config::AccountId;

use crate::answers;
use crate::config::{Client, Config};
use crate::stand_in::{self, Bad};
use crate::target::{Target, Wrong, begins};

/// The head of a request, as the door needs it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:path`, with the query.
    pub target: &'a str,
    /// `authorization`.
    pub authorization: Option<&'a str>,
    /// `x-weir-account`.
    pub account: Option<&'a str>,
    /// `content-type`.
    pub content_type: Option<&'a str>,
    /// `content-length`, if it is a number.
    pub content_length: Option<u64>,
    /// The URI of the caller's verified certificate. Only Envoy's word for it, never a header.
    pub certificate: Option<&'a str>,
    /// There is no body.
    pub ends: bool,
}

/// Where access tokens come from: answered here, never passed on.
const LOGINS: [&str; 2] = ["/cgi-bin/token", "/cgi-bin/stable_token"];
/// What deals in secrets, in tokens of others, or ends the day's quota: only where the operator allows the very path.
const BY_NAME_ONLY: &[&str] = &[
    "/cgi-bin/clear_quota",
    "/cgi-bin/openapi/",
    "/cgi-bin/component/",
    "/sns/oauth2/",
    "/sns/jscode2session",
    "/sns/component/",
    "/wxa/resetuserencryptkey",
    "/wxa/getuserencryptkey",
    "/wxa/checksession",
];
/// These take the account's AppSecret instead of an access token.
const WITH_SECRET: &[&str] = &["/sns/jscode2session", "/sns/oauth2/access_token"];
/// These take tokens of users, which callers have.
const WITH_USERS_TOKEN: &[&str] = &["/sns/userinfo", "/sns/auth", "/sns/oauth2/refresh_token"];

/// What is put into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    AccessToken,
    Secret,
    /// The caller's own token stays.
    Nothing,
}

/// What an admitted request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An SDK wants an access token; who it is, its body says.
    LoginByBody,
    /// The same, and it has said who it is.
    Login,
    /// Something of the API.
    Call(Put),
}

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) kind: Kind,
    /// A place in `config.clients`.
    pub(crate) client: usize,
    pub(crate) account: AccountId,
    pub(crate) path: String,
    /// Parameters, each behind an `&`.
    pub(crate) query: String,
}

/// Why a request may not go on. What it says helps an honest caller and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Spelling,
    Unknown,
    Stranger,
    Forged,
    Ended,
    BadSecret,
    WhichAccount,
    NotYourAccount,
    Contradiction,
    NotAllowed,
}

impl Refusal {
    pub(crate) fn response(self) -> Response {
        use answers::error;
        match self {
            Self::Spelling => error(400, answers::BAD_APPID, "the path or query is malformed"),
            Self::Unknown => error(404, answers::NO_PERMISSION, "this is no path of the API"),
            Self::Stranger => error(401, answers::BAD_TOKEN, "who is asking?"),
            // With 200, as WeChat: SDKs look at the code and log in again.
            Self::Forged => error(
                200,
                answers::BAD_TOKEN,
                "the access token is not of this door",
            ),
            Self::Ended => error(200, answers::TOKEN_ENDED, "the access token has ended"),
            Self::BadSecret => error(
                200,
                answers::BAD_SECRET,
                "the secret is no key of this door",
            ),
            Self::WhichAccount => error(400, answers::BAD_APPID, "for which account?"),
            Self::NotYourAccount => error(403, answers::BAD_APPID, "not an account of this caller"),
            Self::Contradiction => error(
                403,
                answers::NO_PERMISSION,
                "the request contradicts itself",
            ),
            Self::NotAllowed => error(403, answers::NO_PERMISSION, "this caller may not call this"),
        }
    }

    /// Its name in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Spelling => "spelling",
            Self::Unknown => "unknown_path",
            Self::Stranger => "stranger",
            Self::Forged => "forged",
            Self::Ended => "ended",
            Self::BadSecret => "bad_secret",
            Self::WhichAccount => "which_account",
            Self::NotYourAccount => "not_your_account",
            Self::Contradiction => "contradiction",
            Self::NotAllowed => "not_allowed",
        }
    }
}

/// Decides about a request by its head.
pub(crate) fn admit(config: &Config, head: &Head<'_>, unix_s: u64) -> Result<Admitted, Refusal> {
    let target = Target::parse(head.target).map_err(|wrong| match wrong {
        Wrong::Unknown => Refusal::Unknown,
        Wrong::Spelling | Wrong::Twice => Refusal::Spelling,
    })?;
    if !matches!(head.method, "GET" | "POST") {
        return Err(Refusal::Spelling);
    }
    if LOGINS.iter().any(|login| begins(target.path, login)) {
        return admit_login(config, head, &target);
    }
    let put = if is_one(target.path, WITH_SECRET) {
        Put::Secret
    } else if is_one(target.path, WITH_USERS_TOKEN) {
        Put::Nothing
    } else {
        Put::AccessToken
    };
    // Where the caller's own token stays, it says nothing about the caller.
    let shown = target
        .access_token
        .as_deref()
        .filter(|_| put != Put::Nothing);
    let shown = shown.filter(|shown| !shown.is_empty());
    let stand_in = match shown {
        None => None,
        Some(shown) => Some(stand_in_of(config, shown, unix_s)?),
    };
    let client = by_certificate_or_key(config, head, stand_in.map(|(client, _)| client))?;
    let named = [
        target.account.map(|name| by_name(config, name)),
        head.account.map(|name| by_name(config, name)),
        target
            .appid
            .as_deref()
            .filter(|_| put == Put::Secret)
            .map(|appid| by_appid(config, appid)),
        stand_in.map(|(_, account)| Some(account)),
    ];
    let account = one_account(config, client, &named)?;
    let of = config.clients.get(client).ok_or(Refusal::Stranger)?;
    if !may_call(of, target.path) {
        return Err(Refusal::NotAllowed);
    }
    let mut query = target.query;
    if put == Put::Nothing
        && let Some(token) = &target.access_token
    {
        let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
        query.push_str("&access_token=");
        query.push_str(&token);
    }
    Ok(Admitted {
        kind: Kind::Call(put),
        client,
        account,
        path: target.path.to_owned(),
        query,
    })
}

fn admit_login(config: &Config, head: &Head<'_>, target: &Target<'_>) -> Result<Admitted, Refusal> {
    // `/cgi-bin/token/anything` is no login, and goes nowhere either.
    if !is_one(target.path, &LOGINS) || target.path.len() > "/cgi-bin/stable_token".len() {
        return Err(Refusal::Unknown);
    }
    let admitted = |kind, client, account| Admitted {
        kind,
        client,
        account,
        path: target.path.to_owned(),
        query: String::new(),
    };
    match (&target.appid, head.ends) {
        (Some(appid), _) => {
            let secret = target.secret.as_deref();
            let (client, account) = login(config, head, appid, secret)?;
            Ok(admitted(Kind::Login, client, account))
        }
        (None, false) => Ok(admitted(Kind::LoginByBody, 0, AccountId(0))),
        (None, true) => Err(Refusal::WhichAccount),
    }
}

/// Who logs in, for which account.
pub(crate) fn login(
    config: &Config,
    head: &Head<'_>,
    appid: &str,
    secret: Option<&str>,
) -> Result<(usize, AccountId), Refusal> {
    let account = by_appid(config, appid).ok_or(Refusal::BadSecret)?;
    let by_secret = secret
        .filter(|secret| !secret.is_empty())
        .and_then(|secret| by_key(config, secret));
    let client = match by_certificate_or_key(config, head, by_secret) {
        Ok(client) => client,
        Err(Refusal::Stranger) => return Err(Refusal::BadSecret),
        Err(other) => return Err(other),
    };
    let named = [
        Some(Some(account)),
        head.account.map(|name| by_name(config, name)),
    ];
    one_account(config, client, &named).map(|account| (client, account))
}

/// The client that everything shown points to.
fn by_certificate_or_key(
    config: &Config,
    head: &Head<'_>,
    by_token: Option<usize>,
) -> Result<usize, Refusal> {
    let by_bearer = match head.authorization {
        None => None,
        Some(text) => {
            let key = text.strip_prefix("Bearer ").ok_or(Refusal::Stranger)?;
            Some(by_key(config, key).ok_or(Refusal::Stranger)?)
        }
    };
    let has_key = match (by_token, by_bearer) {
        (Some(a), Some(b)) if a != b => return Err(Refusal::Contradiction),
        (a, b) => a.or(b),
    };
    let shows = |client: &Client| match (&client.san, head.certificate) {
        (None, _) => true,
        (Some(san), Some(shown)) => san == shown,
        (Some(_), None) => false,
    };
    match has_key {
        Some(place) => {
            let client = config.clients.get(place).ok_or(Refusal::Stranger)?;
            shows(client).then_some(place).ok_or(Refusal::Stranger)
        }
        // By the certificate alone, where that is all there is to show.
        None => (config.clients.iter())
            .position(|client| client.key.is_none() && client.san.is_some() && shows(client))
            .ok_or(Refusal::Stranger),
    }
}

/// Every key is compared, each in constant time: how long it takes says nothing about them.
fn by_key(config: &Config, given: &str) -> Option<usize> {
    let mut found = None;
    for (place, client) in config.clients.iter().enumerate() {
        if let Some(key) = &client.key
            && bool::from(key.expose().as_bytes().ct_eq(given.as_bytes()))
        {
            found = Some(place);
        }
    }
    found
}

fn stand_in_of(config: &Config, shown: &str, unix_s: u64) -> Result<(usize, AccountId), Refusal> {
    let claims = stand_in::read(shown).ok_or(Refusal::Forged)?;
    let client = (config.clients.iter())
        .position(|client| client.name == claims.client)
        .ok_or(Refusal::Forged)?;
    let account = by_name(config, claims.account).ok_or(Refusal::Forged)?;
    let (Some(of), Some(with)) = (config.clients.get(client), config.account(account)) else {
        return Err(Refusal::Forged);
    };
    match claims.check(of, with, unix_s) {
        Ok(()) => Ok((client, account)),
        Err(Bad::Forged) => Err(Refusal::Forged),
        Err(Bad::Ended) => Err(Refusal::Ended),
    }
}

fn by_name(config: &Config, name: &str) -> Option<AccountId> {
    config.account_by(|account| account.name == name)
}

fn by_appid(config: &Config, appid: &str) -> Option<AccountId> {
    config.account_by(|account| account.appid == appid)
}

/// The one account that all who name one mean; if nobody does, the client's only one.
fn one_account(
    config: &Config,
    client: usize,
    named: &[Option<Option<AccountId>>],
) -> Result<AccountId, Refusal> {
    let client = config.clients.get(client).ok_or(Refusal::Stranger)?;
    let mut meant = None;
    for one in named.iter().flatten() {
        let one = one.ok_or(Refusal::NotYourAccount)?;
        if meant.replace(one).is_some_and(|before| before != one) {
            return Err(Refusal::Contradiction);
        }
    }
    let account = match (meant, client.accounts.as_slice()) {
        (Some(account), _) => account,
        (None, [only]) => *only,
        (None, _) => return Err(Refusal::WhichAccount),
    };
    if !client.accounts.contains(&account) {
        return Err(Refusal::NotYourAccount);
    }
    Ok(account)
}

fn is_one(path: &str, of: &[&str]) -> bool {
    of.iter().any(|one| path.eq_ignore_ascii_case(one))
}

fn may_call(client: &Client, path: &str) -> bool {
    if client.deny.iter().any(|denied| begins(path, denied)) {
        return false;
    }
    if BY_NAME_ONLY.iter().any(|one| begins(path, one)) {
        return client.allow.iter().any(|allowed| allowed == path);
    }
    client.allow.iter().any(|allowed| begins(path, allowed))
}
