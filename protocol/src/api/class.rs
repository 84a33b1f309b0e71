//! What an `errcode` means for the caller.
//!
//! Source: official pages on return codes, of the API as a whole and of each call.

/// What to do about a refusal. Codes that are not known count as [`Transient`](Self::Transient) when negative and as
/// [`Other`](Self::Other) when not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The system is busy: again, two or three times, with growing pauses, if the call may be repeated.
    Transient,
    /// The access token is wrong or too old: fetch one if nobody has, and repeat the call once.
    Token,
    /// Appid, secret, or the list of allowed addresses: nothing helps until an operator acts.
    Credentials,
    /// The day's quota of this call is used up: not before midnight in Beijing.
    DailyQuota,
    /// Too many calls this minute: not before a minute has passed.
    MinuteQuota,
    /// The account may not make this call.
    Permission,
    /// The user cannot be reached, now or ever: never again for this message.
    Recipient,
    /// Outside the time in which a user may be written to, or too often: not before the user writes again.
    Window,
    /// Something in the request is wrong; a mistake of the program or its data.
    Content,
    /// A parameter is missing, or the method is wrong: a mistake of the program.
    Request,
    /// A login code is wrong or used: the client must log in again.
    Login,
    /// An uploaded file is gone or unfit: upload it again.
    Media,
    /// Not known, and not to be repeated.
    Other,
}

impl Class {
    /// The class of an `errcode` other than 0, of any call but those that fetch an access token.
    pub fn of(errcode: i64) -> Self {
        match errcode {
            -1 | 50002 | 61450 => Self::Transient,
            40001 | 40014 | 41001 | 42001 => Self::Token,
            40002 | 40013 | 40125 | 40164 | 40243 | 41002 | 41004 | 50004 | 50007 | 61004
            | 89503 | 89506 | 89507 => Self::Credentials,
            45009 => Self::DailyQuota,
            45011 => Self::MinuteQuota,
            48001 | 48004 | 48006 | 48008 | 50001 | 61007 => Self::Permission,
            40003 | 43004 | 43019 | 43101 | 46004 | 48002 | 50005 | 70000 => Self::Recipient,
            45015 | 45047 => Self::Window,
            40033
            | 40035
            | 40037
            | 40038
            | 40097
            | 40165
            | 41030
            | 44002..=44004
            | 45001..=45008
            | 47001
            | 47003
            | 9_001_001 => Self::Content,
            41003 | 41005..=41007 | 41009 | 43001..=43003 => Self::Request,
            40029 | 40030 | 40163 | 40226 | 41008 | 42002 | 42003 | 42007 => Self::Login,
            40004..=40012 | 46001 => Self::Media,
            ..0 => Self::Transient,
            _ => Self::Other,
        }
    }

    /// The class of an `errcode` of a call that fetches an access token: there 40001 means a wrong secret.
    pub fn of_token_call(errcode: i64) -> Self {
        match Self::of(errcode) {
            Self::Token => Self::Credentials,
            other => other,
        }
    }

    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Token => "token",
            Self::Credentials => "credentials",
            Self::DailyQuota => "daily_quota",
            Self::MinuteQuota => "minute_quota",
            Self::Permission => "permission",
            Self::Recipient => "recipient",
            Self::Window => "window",
            Self::Content => "content",
            Self::Request => "request",
            Self::Login => "login",
            Self::Media => "media",
            Self::Other => "other",
        }
    }
}
