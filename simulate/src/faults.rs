//! What can go wrong. Each seed switches some of these on, and each can be switched off to see whether a failure needs it.

use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A kind of trouble.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
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

faults! {
    /// The store answers 5xx, asks for patience, or breaks connections before and after it has committed.
    StoreErrors = "store-errors",
    /// The store takes longer than it is given.
    StoreSlow = "store-slow",
    /// The store is away for a while, and what it was doing breaks off.
    StoreDown = "store-down",
    /// The store refuses batches of more than one event.
    StoreBatches = "store-batches",
    /// One push's event is refused for good.
    StoreRejects = "store-rejects",
    /// WeChat's API is busy, slow, or breaks off.
    Api = "api",
    /// Access tokens end early, because somebody else fetched one.
    Tokens = "tokens",
    /// The application takes up to 14 seconds, and more.
    AppSlow = "app-slow",
    /// The application answers errors or nonsense, or breaks off before and after it has acted.
    AppErrors = "app-errors",
    /// The host takes no calls.
    Host = "host",
    /// Wake-ups are late or lost.
    Wakes = "wakes",
    /// A worker stands still for a while.
    Stalls = "stalls",
    /// Conditional writes to shared data meet conflicts.
    Conflicts = "conflicts",
    /// Writes to shared data are refused.
    SharedFull = "shared-full",
    /// A worker's VM dies.
    Crashes = "crashes",
    /// A process dies, with its shared data.
    NodeCrashes = "node-crashes",
    /// The configuration is replaced under load.
    Reloads = "reloads",
    /// A node's wall clock steps by up to ten minutes.
    ClockSteps = "clock-steps",
    /// An attempt arrives more than once.
    Copies = "copies",
    /// Connections of WeChat's break before the request came, or before the answer went.
    LostConnections = "lost-connections",
    /// Nobody tells the gateway that WeChat has gone.
    LostEnds = "lost-ends",
    /// Requests are delayed so that an attempt may come after the next one.
    Reordering = "reordering",
    /// Bounds so small that they are met.
    Small = "small",
    /// Many pushes at once.
    Crowd = "crowd",
    /// The module is replaced under load: the old one ends with its last stream, whatever it still has to do.
    NewCode = "new-code",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|fault| fault.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults(u32);

impl Faults {
    /// Whether `fault` is in it.
    #[must_use]
    pub fn has(self, fault: Fault) -> bool {
        self.0 & bit(fault) != 0
    }

    /// The same with `fault`.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | bit(fault))
    }

    /// The same without those of `others`.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether it has one of these.
    #[must_use]
    pub fn has_any(self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.has(*fault))
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        let all = Fault::ALL.iter().copied();
        all.filter(move |fault| self.has(*fault))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        faults.into_iter().fold(Self::default(), Self::with)
    }
}

fn bit(fault: Fault) -> u32 {
    1 << fault as u32
}
