//! The GET by which WeChat verifies a URL: whenever somebody submits the account's configuration page.
//!
//! | account | signed by | `echostr` | answer |
//! |---|---|---|---|
//! | Official Account, mini program, third-party platform | `signature` over Token, timestamp, nonce | any text, **not** signed | the same text |
//! | WeCom | `msg_signature` over these and `echostr` | a ciphertext | what it decrypts to |
//!
//! The mode of the account changes nothing of it. The answer is the text alone: no quotes, no mark, no line end; as
//! `text/plain`, since in the first case whoever holds one valid query string chooses it.
//!
//! Out of scope: whether the timestamp is fresh, which is the caller's to judge.
//!
//! Source: official pages on message push, and of WeCom on callbacks, whose sample recomputes.

use std::borrow::Cow;

use crate::aes_key::EncodingAesKey;
use crate::cipher::decrypt_any;
use crate::error::VerificationError;
use crate::limits::MAX_ECHOSTR_BYTES;
use crate::query::CallbackQuery;
use crate::signature::{self, Token};

/// What to answer, for everything but WeCom. `tokens`: the current one, and during a rotation the one before it.
///
/// # Errors
/// When a parameter is missing or misshapen, the signature fits no Token, or `echostr` has more than
/// [`MAX_ECHOSTR_BYTES`].
pub fn echostr<'t, 'q>(
    tokens: impl IntoIterator<Item = &'t Token>,
    query: &'q CallbackQuery<'_>,
) -> Result<&'q str, VerificationError> {
    let stamp = query.stamp()?;
    let given = given(query.signature.as_deref())?;
    let echostr = given_echostr(query)?;
    if !tokens
        .into_iter()
        .any(|token| signature::verify(token, stamp.timestamp, stamp.nonce, given))
    {
        return Err(VerificationError::Signature);
    }
    if echostr.len() > MAX_ECHOSTR_BYTES {
        return Err(VerificationError::TooLong);
    }
    Ok(echostr)
}

/// What to answer to WeCom. `receive_id` is the CorpID, or of a third-party application the SuiteID.
///
/// A `+` that came unescaped, and so was decoded as a blank, is taken for what it was: the signature tells.
///
/// # Errors
/// When a parameter is missing or misshapen, the signature fits no Token, no key fits, or what comes out is no text or
/// has more than [`MAX_ECHOSTR_BYTES`].
pub fn open_echostr<'t, 'k>(
    tokens: impl IntoIterator<Item = &'t Token>,
    keys: impl IntoIterator<Item = &'k EncodingAesKey>,
    receive_id: &str,
    query: &CallbackQuery<'_>,
) -> Result<String, VerificationError> {
    let stamp = query.stamp()?;
    let given = given(query.msg_signature.as_deref())?;
    let encrypt = match given_echostr(query)? {
        plain if !plain.contains(' ') => Cow::Borrowed(plain),
        blank => Cow::Owned(blank.replace(' ', "+")),
    };
    if !tokens.into_iter().any(|token| {
        signature::verify_encrypted(token, stamp.timestamp, stamp.nonce, &encrypt, given)
    }) {
        return Err(VerificationError::Signature);
    }
    let (opened, _) = decrypt_any(keys, &encrypt, receive_id)?;
    if opened.len() > MAX_ECHOSTR_BYTES {
        return Err(VerificationError::TooLong);
    }
    String::from_utf8(opened).map_err(|_| VerificationError::NotText)
}

fn given(signature: Option<&str>) -> Result<&str, VerificationError> {
    signature.ok_or(VerificationError::Signature)
}

fn given_echostr<'q>(query: &'q CallbackQuery<'_>) -> Result<&'q str, VerificationError> {
    query
        .echostr
        .as_deref()
        .filter(|echostr| !echostr.is_empty())
        .ok_or(VerificationError::NoEchostr)
}
