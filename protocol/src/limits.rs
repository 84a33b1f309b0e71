//! Every bound of this crate, in one place.

use crate::error::ParseError;

/// Longest query string that is looked at, in bytes. WeChat's own are below 400.
pub const MAX_QUERY_BYTES: usize = 4096;
/// Longest value of one query parameter, in bytes after decoding.
pub const MAX_PARAMETER_BYTES: usize = 512;
/// Longest nonce, in bytes. WeChat's are about 10 digits.
pub const MAX_NONCE_BYTES: usize = 64;
/// Longest `echostr` that is echoed, in bytes; WeCom's after it was decrypted. They are 15 to 20 digits.
pub const MAX_ECHOSTR_BYTES: usize = 128;
/// Largest body that is parsed, in bytes; a gateway sets its own, lower, limit before it collects a body.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Deepest nesting of a push; the root counts as one.
pub const MAX_DEPTH: u32 = 32;
/// Most elements (XML) or values (JSON) in one push.
pub const MAX_VALUES: u32 = 8192;
/// Most distinct names in one object of a push.
pub const MAX_NAMES: usize = 256;
/// Longest name of a field, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Longest text of a text reply, in bytes; what is longer is cut. Source: older official page and SDKs.
pub const MAX_REPLY_TEXT_BYTES: usize = 2048;
/// Most articles of a news reply; WeChat drops the rest. Source: official page on passive replies.
pub const MAX_ARTICLES: usize = 8;

/// Counts what a parser opens, so that both formats are bounded alike.
#[derive(Default)]
pub(crate) struct Budget {
    depth: u32,
    values: u32,
}

impl Budget {
    /// One more value, of any kind.
    pub(crate) fn value(&mut self) -> Result<(), ParseError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            Err(ParseError::TooMany)
        } else {
            Ok(())
        }
    }

    /// One level down.
    pub(crate) fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(ParseError::TooDeep)
        } else {
            Ok(())
        }
    }

    /// One level up; callers leave only what they entered.
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// How many levels are open.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }
}
