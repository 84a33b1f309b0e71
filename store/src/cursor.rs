//! Where a listing was left off, as an opaque text.
//!
//! A cursor names the last item seen by its sort key. Keys never change for items that stay, so pages neither
//! repeat nor skip what was there when the first one was read, whatever is stored meanwhile.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The sort key of an item, in a listing that runs from high to low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// What the listing sorts by, e.g. a time.
    pub major: i64,
    /// What is unique.
    pub minor: i64,
}

impl Position {
    /// Before the first item.
    pub const START: Self = Self {
        major: i64::MAX,
        minor: i64::MAX,
    };
}

/// Listings sort differently; a cursor of one means nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Users by their first storage.
    Users,
    /// Users by the beginning of their follow.
    Follows,
    /// Messages by their time.
    Messages,
    /// Replies by their first claim.
    Replies,
    /// Active messages by their storage.
    Deliveries,
    /// Credits by their first storage.
    Credits,
    /// Cards by their first storage.
    Cards,
    /// Events by their storage.
    Events,
    /// Jobs by when they were asked for.
    Jobs,
}

impl Order {
    fn letter(self) -> char {
        match self {
            Self::Users => 'u',
            Self::Follows => 'f',
            Self::Messages => 'm',
            Self::Replies => 'r',
            Self::Deliveries => 'd',
            Self::Credits => 'c',
            Self::Cards => 'k',
            Self::Events => 'e',
            Self::Jobs => 'j',
        }
    }

    /// The cursor to continue after `position`.
    #[must_use]
    pub fn cursor(self, position: Position) -> String {
        let Position { major, minor } = position;
        URL_SAFE_NO_PAD.encode(format!("{}:{major}:{minor}", self.letter()))
    }

    /// Reads a cursor; `None` if it is not one of this order.
    #[must_use]
    pub fn position(self, cursor: &str) -> Option<Position> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = text
            .strip_prefix(self.letter())?
            .strip_prefix(':')?
            .split(':');
        let mut number = || i64::from_str(parts.next()?).ok();
        let position = Position {
            major: number()?,
            minor: number()?,
        };
        parts.next().is_none().then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_position_in_its_own_order_only() {
        let position = Position {
            major: -5,
            minor: i64::MAX,
        };
        let cursor = Order::Messages.cursor(position);
        assert_eq!(Order::Messages.position(&cursor), Some(position));
        assert_eq!(Order::Users.position(&cursor), None);
    }

    #[test]
    fn nonsense_is_no_cursor() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for cursor in [
            "",
            "!",
            "AAAA",
            &encode("u:1"),
            &encode("u:1:2:3"),
            &encode("u:1:x"),
            &encode("u"),
        ] {
            assert_eq!(Order::Users.position(cursor), None, "{cursor}");
        }
    }
}
