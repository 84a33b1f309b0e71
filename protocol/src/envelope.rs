//! The outer body in compatible and encrypted mode.
//!
//! In encrypted mode it holds the receiver and `Encrypt`; in compatible mode the whole push stands beside `Encrypt`,
//! not authenticated by anything. So only four fields are taken from it, and no tree is built. The profile of
//! [`crate::push`] holds all the same: what a push may not have, an envelope may not have either.
//!
//! Source: official page on message encryption.

use std::borrow::Cow;
use std::fmt;

use crate::aes_key::EncodingAesKey;
use crate::cipher::encrypt;
use crate::document::{Document, Sink};
use crate::error::ParseError;
use crate::fields::Value;
use crate::push::{Format, routing_field};
use crate::signature::{Token, sign_encrypted};
use crate::write::Writer;

/// An encrypted body, not yet decrypted. Nothing in it is authenticated but `encrypt`, by `msg_signature`.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The base64 text, exactly as it is signed.
    pub encrypt: Cow<'a, str>,
    /// The account's original id, `gh_…` (WeCom: the CorpID).
    pub to_user_name: Option<Cow<'a, str>>,
    /// A third-party platform's appid, in its own notices.
    pub app_id: Option<Cow<'a, str>>,
    /// WeCom: the application's id.
    pub agent_id: Option<Cow<'a, str>>,
    /// How the body is written, and so the reply.
    pub format: Format,
}

impl<'a> Envelope<'a> {
    /// Takes the outer fields from a body.
    ///
    /// # Errors
    /// When it is malformed, exceeds a bound, has a field twice that counts, or has no `Encrypt`.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let document = Document::open(body)?;
        let mut outer = Outer::default();
        match document.flat() {
            Some(fields) => outer.taken = TAKEN.map(|name| fields.leaf(name)),
            None => document.walk(&mut outer)?,
        }
        let [encrypt, to_user_name, app_id, agent_id] = outer.taken;
        Ok(Self {
            encrypt: encrypt.ok_or(ParseError::Missing("Encrypt"))?,
            to_user_name,
            app_id,
            agent_id,
            format: document.format,
        })
    }

    /// Encrypts and signs a reply, as the body to answer with. `success` and the empty body must not be sealed: see
    /// [`Reply::is_silent`](crate::reply::Reply::is_silent).
    ///
    /// `timestamp` is now; `nonce` may be that of the query; `random` must be fresh for every reply.
    #[allow(clippy::too_many_arguments)] // each is one thing of the format
    pub fn seal(
        format: Format,
        key: &EncodingAesKey,
        token: &Token,
        receive_id: &str,
        reply: &[u8],
        timestamp: u64,
        nonce: &str,
        random: &[u8; 16],
    ) -> Vec<u8> {
        let encrypt = encrypt(key, reply, receive_id, random);
        let signature = sign_encrypted(token, &timestamp.to_string(), nonce, &encrypt);
        let mut writer = Writer::new(format, encrypt.len() + nonce.len() + 224);
        writer.text("Encrypt", &encrypt);
        writer.text(
            "MsgSignature",
            str::from_utf8(&signature).unwrap_or_default(),
        );
        writer.number("TimeStamp", timestamp);
        writer.text("Nonce", nonce);
        writer.finish()
    }
}

/// The fields taken, in the order of [`Outer::taken`].
const TAKEN: [&str; 4] = ["Encrypt", "ToUserName", "AppId", "AgentID"];

/// Takes the outer fields as they come by.
#[derive(Default)]
struct Outer<'a> {
    depth: u32,
    taken: [Option<Cow<'a, str>>; 4],
    /// Routing fields seen that are not taken.
    seen: Vec<&'static str>,
}

impl<'a> Sink<'a> for Outer<'a> {
    fn enter(&mut self, name: Cow<'a, str>, _list: bool) -> Result<(), ParseError> {
        if self.depth == 0 {
            let taken = TAKEN.iter().find(|taken| **taken == name).copied();
            if let Some(name) = taken.or_else(|| routing_field(&name)) {
                return Err(ParseError::NotPlain(name));
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn leaf(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), ParseError> {
        if self.depth > 0 {
            return Ok(());
        }
        for (taken, slot) in TAKEN.iter().zip(&mut self.taken) {
            if *taken != name {
                continue;
            }
            if slot.is_some() {
                return Err(ParseError::Duplicate(taken));
            }
            *slot = match value {
                Value::Text(text) => Some(text),
                Value::Number(number) => Some(number.into_text()),
                _ => return Err(ParseError::NotPlain(taken)),
            };
            return Ok(());
        }
        if let Some(routing) = routing_field(&name) {
            if self.seen.contains(&routing) {
                return Err(ParseError::Duplicate(routing));
            }
            self.seen.push(routing);
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), ParseError> {
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("format", &self.format)
            .field("encrypt_len", &self.encrypt.len())
            .finish_non_exhaustive()
    }
}
