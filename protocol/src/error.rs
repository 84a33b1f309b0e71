//! Errors by blame, and WeChat's numbers for them.
//!
//! The sender is blamed by [`QueryError`], [`ParseError`], [`CryptError`], [`VerificationError`] and [`OpenDataError`],
//! the operator by [`ConfigError`]; what the WeChat API answers is in [`crate::api`]. No error holds or prints a byte of its input.
//!
//! A peer must not be able to tell these apart: CBC has no integrity of its own, so a distinguishable answer is an
//! oracle. Log the class, answer one and the same 4xx.
//!
//! Numbers: error codes of the official sample library (-40001 … -40011) and of the mini-program data decryption
//! (-41001 … -41004).

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Who sent the request, be it WeChat or a stranger.
    Sender,
    /// Who configured the account.
    Operator,
}

/// A secret of the configuration that cannot be right. The operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// WeChat's Token has 3 to 32 characters.
    #[error("the Token must have 3 to 32 characters, not {found}")]
    TokenLength {
        /// Characters found.
        found: usize,
    },
    /// WeChat's Token has ASCII letters and digits only.
    #[error("the Token must consist of ASCII letters and digits")]
    TokenAlphabet,
    /// An EncodingAESKey has 43 characters.
    #[error("the EncodingAESKey must have 43 characters, not {found}")]
    AesKeyLength {
        /// Bytes found.
        found: usize,
    },
    /// An EncodingAESKey is base64.
    #[error("the EncodingAESKey must be base64 without padding")]
    AesKeyAlphabet,
}

/// A query string that is not a callback's. The sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`MAX_QUERY_BYTES`](crate::limits::MAX_QUERY_BYTES).
    #[error("the query string is too long")]
    TooLong,
    /// A parameter longer than [`MAX_PARAMETER_BYTES`](crate::limits::MAX_PARAMETER_BYTES).
    #[error("the query parameter {0} is too long")]
    ParameterTooLong(&'static str),
    /// Given twice, so that two readers could see two different values.
    #[error("the query parameter {0} is given twice")]
    Duplicate(&'static str),
    /// A `%` without two hex digits, or bytes that are not UTF-8.
    #[error("the query parameter {0} is badly encoded")]
    BadEncoding(&'static str),
    /// Needed, and absent or empty.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// Not exactly 10 ASCII digits.
    #[error("timestamp is not 10 digits")]
    BadTimestamp,
    /// Longer than [`MAX_NONCE_BYTES`](crate::limits::MAX_NONCE_BYTES).
    #[error("nonce is too long")]
    BadNonce,
}

/// A body that is not a push or an envelope by the profile in [`crate::push`]. The sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing, or blanks only.
    #[error("the body is empty")]
    Empty,
    /// Longer than [`MAX_BODY_BYTES`](crate::limits::MAX_BODY_BYTES).
    #[error("the body is too large")]
    TooLarge,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Starts neither with `<` nor with `{`.
    #[error("the body is neither XML nor a JSON object")]
    UnknownFormat,
    /// A document type declaration, wherever.
    #[error("the body has a DOCTYPE")]
    Doctype,
    /// The XML declaration names an encoding other than UTF-8.
    #[error("the body declares an encoding other than UTF-8")]
    Encoding,
    /// Not well-formed.
    #[error("the body is malformed near byte {offset}")]
    Malformed {
        /// Where, in bytes from the start of the document (after a byte order mark).
        offset: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    #[error("the body is nested too deeply")]
    TooDeep,
    /// More values than [`MAX_VALUES`](crate::limits::MAX_VALUES) or names than
    /// [`MAX_NAMES`](crate::limits::MAX_NAMES).
    #[error("the body has too many fields")]
    TooMany,
    /// A routing field twice.
    #[error("{0} is given twice")]
    Duplicate(&'static str),
    /// A routing field that holds an object, a list or a boolean.
    #[error("{0} is not a plain value")]
    NotPlain(&'static str),
    /// A required field that is absent or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `CreateTime` is not an unsigned integer up to 2^53.
    #[error("CreateTime is not a time")]
    BadCreateTime,
}

/// An `Encrypt` that cannot be decrypted. The sender's (or an operator's with a wrong key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// Not padded standard base64.
    #[error("Encrypt is not base64")]
    Base64,
    /// Empty, or not a multiple of 16 bytes.
    #[error("the ciphertext's length is wrong")]
    CiphertextLength,
    /// The padding is not 1 to 32 equal bytes of that value.
    #[error("the padding is wrong")]
    Padding,
    /// Too short for its header, or the length field points beyond the end.
    #[error("the decrypted buffer is illegal")]
    Buffer,
    /// What follows the message is not the expected appid.
    #[error("the decrypted buffer is for another receiver")]
    ReceiveId,
}

/// A GET that verifies no URL. The sender's (or an operator's with a wrong Token or key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// See [`QueryError`].
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Absent or empty.
    #[error("echostr is missing")]
    NoEchostr,
    /// Longer than [`MAX_ECHOSTR_BYTES`](crate::limits::MAX_ECHOSTR_BYTES).
    #[error("echostr is too long")]
    TooLong,
    /// Absent, or of another Token or other parameters.
    #[error("the signature does not match")]
    Signature,
    /// See [`CryptError`]. WeCom only.
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// Not UTF-8. WeCom only.
    #[error("the decrypted echostr is not a text")]
    NotText,
}

/// Mini-program data that cannot be opened. The sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenDataError {
    /// Not base64 of 16 bytes.
    #[error("session_key is illegal")]
    SessionKey,
    /// Not base64 of 16 bytes.
    #[error("iv is illegal")]
    Iv,
    /// Not padded standard base64.
    #[error("encryptedData is not base64")]
    Base64,
    /// Empty, or not a multiple of 16 bytes.
    #[error("encryptedData's length is wrong")]
    CiphertextLength,
    /// Not PKCS#7: most likely another session_key.
    #[error("the padding of encryptedData is wrong")]
    Padding,
    /// Not a JSON object.
    #[error("the decrypted data is not a JSON object")]
    Json,
    /// No watermark, or one of another appid.
    #[error("the watermark is of another mini program")]
    Watermark,
}

impl ConfigError {
    /// WeChat's number for it.
    pub fn code(&self) -> i32 {
        match self {
            Self::TokenLength { .. } | Self::TokenAlphabet => -40003,
            Self::AesKeyLength { .. } | Self::AesKeyAlphabet => -40004,
        }
    }
}

impl QueryError {
    /// WeChat's number for it: always "signature mismatch", for there is nothing to check it against.
    pub fn code(&self) -> i32 {
        -40001
    }
}

impl ParseError {
    /// WeChat's number for it: always "parsing failed".
    pub fn code(&self) -> i32 {
        -40002
    }
}

impl CryptError {
    /// WeChat's number for it.
    pub fn code(&self) -> i32 {
        match self {
            Self::ReceiveId => -40005,
            Self::CiphertextLength | Self::Padding => -40007,
            Self::Buffer => -40008,
            Self::Base64 => -40010,
        }
    }
}

impl VerificationError {
    /// WeChat's number for it: "signature mismatch", unless decryption is the matter.
    pub fn code(&self) -> i32 {
        match self {
            Self::Query(e) => e.code(),
            Self::Crypt(e) => e.code(),
            Self::NoEchostr | Self::Signature => -40001,
            Self::TooLong | Self::NotText => -40008,
        }
    }
}

impl OpenDataError {
    /// WeChat's number for it.
    pub fn code(&self) -> i32 {
        match self {
            Self::SessionKey => -41001,
            Self::Iv => -41002,
            Self::CiphertextLength | Self::Padding | Self::Json | Self::Watermark => -41003,
            Self::Base64 => -41004,
        }
    }
}

/// Any error of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`QueryError`].
    #[error(transparent)]
    Query(#[from] QueryError),
    /// See [`ParseError`].
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// See [`CryptError`].
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// See [`VerificationError`].
    #[error(transparent)]
    Verification(#[from] VerificationError),
    /// See [`OpenDataError`].
    #[error(transparent)]
    OpenData(#[from] OpenDataError),
}

impl Error {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Config(_) => Blame::Operator,
            Self::Query(_)
            | Self::Parse(_)
            | Self::Crypt(_)
            | Self::Verification(_)
            | Self::OpenData(_) => Blame::Sender,
        }
    }

    /// WeChat's number for it.
    pub fn code(&self) -> i32 {
        match self {
            Self::Config(e) => e.code(),
            Self::Query(e) => e.code(),
            Self::Parse(e) => e.code(),
            Self::Crypt(e) => e.code(),
            Self::Verification(e) => e.code(),
            Self::OpenData(e) => e.code(),
        }
    }
}
