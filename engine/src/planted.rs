//! Mistakes that can be planted, one at a time, to see that the simulation notices them (`cargo xtask simulate --planted`).
//!
//! Only with the cargo feature `planted`, which the module that ships never has: without it every question is answered
//! `false` while compiling.
#![cfg_attr(
    not(feature = "planted"),
    allow(dead_code, unreachable_pub, reason = "nobody can plant anything then")
)]

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $variant,)* }

        #[cfg(feature = "planted")]
        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

bugs! {
    /// A refused token is dropped, even if it is not the current one any more.
    InvalidateWithoutCompare = "invalidate-without-compare",
    /// Whoever needs a token fetches it.
    LeaseIgnored = "lease-ignored",
    /// A conflict in shared data is taken for a success.
    ConflictIgnored = "conflict-ignored",
    /// A users' call that failed is not made again.
    ApiNeverRepeated = "api-never-repeated",
}

#[cfg(feature = "planted")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake in all engines of this thread; `None` takes it out.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this mistake is to be made.
#[cfg(feature = "planted")]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// No mistakes.
#[cfg(not(feature = "planted"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
