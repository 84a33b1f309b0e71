//! Lets in what WeChat sent, and nothing else.
//!
//! The order is: the query's shape, freshness, the account's mode, signature, decryption. Only then is
//! anything parsed. Which check failed is for the metrics; the sender of a bad request learns nothing.
//!
//! # Source
//! wechat-protocol 1.3, 1.4, 2.2, 2.6.

use std::borrow::Cow;

use weir_protocol::cipher;
use weir_protocol::envelope::Envelope;
use weir_protocol::error::VerificationError;
use weir_protocol::query::{CallbackQuery, Stamp};
use weir_protocol::signature;
use weir_protocol::verification;

use crate::config::{Account, AccountKind, Limits, Mode};
use crate::metric::Outcome;
use crate::time::Now;

/// What is needed to seal the reply to one attempt: the key and Token that worked, and the attempt's nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) token: usize,
    pub(crate) key: usize,
    pub(crate) nonce: String,
}

/// A push that is WeChat's.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    /// The plain body.
    pub(crate) body: Cow<'a, [u8]>,
    /// `None`: the reply goes out as it is.
    pub(crate) seal: Option<Seal>,
}

/// Checks a URL verification; what comes out is the answer.
pub(crate) fn verification(
    account: &Account,
    query: &str,
    limits: &Limits,
    now: Now,
) -> Result<String, Outcome> {
    let query = CallbackQuery::parse(query).map_err(|_| Outcome::Query)?;
    fresh(&query, limits, now)?;
    let tokens = &account.tokens;
    let answer = if account.kind == AccountKind::WeCom {
        verification::open_echostr(tokens, &account.keys, &account.appid, &query)
    } else {
        verification::echostr(tokens, &query).map(str::to_owned)
    };
    answer.map_err(|error| match error {
        VerificationError::Signature => Outcome::Signature,
        VerificationError::Crypt(_) => Outcome::Undecryptable,
        _ => Outcome::Query,
    })
}

/// Checks and decrypts a push.
pub(crate) fn push<'a>(
    account: &Account,
    query: &str,
    body: &'a [u8],
    limits: &Limits,
    now: Now,
) -> Result<Admitted<'a>, Outcome> {
    let query = CallbackQuery::parse(query).map_err(|_| Outcome::Query)?;
    let Stamp {
        timestamp, nonce, ..
    } = fresh(&query, limits, now)?;
    let encrypted = match query.encrypt_type.as_deref() {
        None | Some("raw") => false,
        Some("aes") => true,
        Some(_) => return Err(Outcome::Mode),
    };
    if encrypted == (account.mode == Mode::Plain) {
        return Err(Outcome::Mode);
    }
    if !encrypted {
        let given = query.signature.as_deref().ok_or(Outcome::Signature)?;
        if !account
            .tokens
            .iter()
            .any(|token| signature::verify(token, timestamp, nonce, given))
        {
            return Err(Outcome::Signature);
        }
        return Ok(Admitted {
            body: Cow::Borrowed(body),
            seal: None,
        });
    }

    let given = query.msg_signature.as_deref().ok_or(Outcome::Signature)?;
    let envelope = Envelope::parse(body).map_err(|_| Outcome::Malformed)?;
    let token = account
        .tokens
        .iter()
        .position(|token| {
            signature::verify_encrypted(token, timestamp, nonce, &envelope.encrypt, given)
        })
        .ok_or(Outcome::Signature)?;
    // During a rotation WeChat may still use the previous key; the reply is sealed with the one that worked.
    let (key, body) = account
        .keys
        .iter()
        .enumerate()
        .find_map(|(i, key)| {
            cipher::decrypt(key, &envelope.encrypt, &account.appid)
                .ok()
                .map(|body| (i, body))
        })
        .ok_or(Outcome::Undecryptable)?;
    let seal = Seal {
        token,
        key,
        nonce: nonce.to_owned(),
    };
    Ok(Admitted {
        body: Cow::Owned(body),
        seal: Some(seal),
    })
}

/// Timestamp and nonce, well-formed and of now.
fn fresh<'q>(
    query: &'q CallbackQuery<'_>,
    limits: &Limits,
    now: Now,
) -> Result<Stamp<'q>, Outcome> {
    let stamp = query.stamp().map_err(|_| Outcome::Query)?;
    if stamp.seconds.abs_diff(now.unix_s()) > limits.freshness_s {
        return Err(Outcome::Stale);
    }
    Ok(stamp)
}
