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
    /// Users about whom a call failed are forgotten.
    ApiFailureForgotten = "api-failure-forgotten",
    /// Pushes are forgotten after a second.
    RetentionTooShort = "retention-too-short",
    /// A claim says from the beginning that the push is answered.
    AnsweredBeforeStored = "answered-before-stored",
    /// A claim that is given up is as if the push had never come.
    ReleaseForgetsAttempts = "release-forgets-attempts",
    /// The claims of the dead stay theirs.
    DeathIgnored = "death-ignored",
    /// Everybody else is taken for dead.
    LifeIgnored = "life-ignored",
    /// Who takes a push over is not told that its application may have been called.
    CallForgotten = "call-forgotten",
    /// A late reply goes out without taking it from the attempts first.
    SendWithoutSwap = "send-without-swap",
    /// An application is called before the store has given the work away.
    AppBeforeClaim = "app-before-claim",
    /// An application that failed is called again, whether it knows pushes again or not.
    AppCalledAgain = "app-called-again",
    /// A send whose outcome is not known is repeated.
    SendRepeated = "send-repeated",
    /// A late reply goes out even if the store says that an attempt got it.
    SentThoughGiven = "sent-though-given",
    /// What an application said is not recorded.
    ReplyNotRecorded = "reply-not-recorded",
    /// A reply that nobody waits for is forgotten.
    LateReplyForgotten = "late-reply-forgotten",
    /// A node calls the application though the work is another's.
    ElsewhereCallsToo = "elsewhere-calls-too",
    /// All nodes claim work under one name.
    ClaimantsAlike = "claimants-alike",
    /// A copy gets a reply of its own time.
    CopyHasItsOwnTime = "copy-has-its-own-time",
    /// An attempt is answered at its deadline, whichever it is.
    EveryAttemptIsLast = "every-attempt-is-last",
    /// Streams of attempts that WeChat has given up are answered.
    LateStreamsAnswered = "late-streams-answered",
    /// Streams that nobody closes are held for ever.
    GivenUpForgotten = "given-up-forgotten",
    /// A stream that is gone is not counted.
    GoneNotCounted = "gone-not-counted",
    /// The gauge of held streams does not come down to nothing.
    GaugeDrift = "gauge-drift",
    /// Nobody takes what was left behind.
    LeftBehindForgotten = "left-behind-forgotten",
    /// Profiles and tags among it are.
    WishesLeftForgotten = "wishes-left-forgotten",
    /// Who takes a late reply takes itself for the owner of its push.
    HeirIsOwner = "heir-is-owner",
    /// A reply that is being sent is left to others, who send it again.
    SendingHandedOver = "sending-handed-over",
    /// Abandoned events are not counted.
    AbandonNotCounted = "abandon-not-counted",
    /// What is turned away at the last attempt is not counted.
    OverflowNotCounted = "overflow-not-counted",
    /// The outbox takes what it has no room for.
    OutboxUnbounded = "outbox-unbounded",
    /// What was sent in vain is put back in the wrong order.
    PutBackReversed = "put-back-reversed",
    /// A call that breaks off takes its events with it.
    ResetDropsBatch = "reset-drops-batch",
    /// `Retry-After` is not obeyed.
    RetryAfterIgnored = "retry-after-ignored",
    /// Failures are not followed by pauses.
    NoBackoff = "no-backoff",
    /// A refused batch is given up whole.
    RefusedBatchDropped = "refused-batch-dropped",
    /// One wake-up is asked for, and never another.
    WakeNeverCleared = "wake-never-cleared",
    /// Who takes a push over does not deliver its event.
    TakeOverLosesEvent = "take-over-loses-event",
    /// Who answers the last attempt beside its owner does not keep the event.
    LastAttemptNotKept = "last-attempt-not-kept",
    /// Tags are given twice.
    FollowUpTwice = "follow-up-twice",
    /// What a stored push causes is forgotten.
    FollowUpForgotten = "follow-up-forgotten",
    /// A reply goes out before the store has the push.
    ReplyBeforeCommit = "reply-before-commit",
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
