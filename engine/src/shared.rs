//! What the workers of one process share, with the semantics the host really has.
//!
//! The trait is deliberately as weak as Envoy's shared data: there is no delete, a conditional write to
//! an absent key always succeeds, and any call may fail. Code that is right on this is right everywhere.

use crate::planted::{Bug, planted};

/// The version of a value that was read; a conditional write succeeds only if it is still current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cas(pub u32);

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Somebody wrote since; read again and decide again.
    #[error("the value has changed since it was read")]
    Conflict,
    /// The host refused for a reason of its own.
    #[error("the host refused the write")]
    Refused,
}

/// A key-value table shared by all workers of the process.
pub trait SharedData {
    /// The value and its version; `None` when the key is absent or the host cannot say.
    /// A present but empty value is `Some((vec![], _))`.
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)>;

    /// Writes `value`; with `cas`, only over the version that was read.
    ///
    /// An absent key is written whatever `cas` says: two creators both succeed. Create keys while
    /// configuring, never on demand.
    ///
    /// # Errors
    /// [`SetError::Conflict`] when the version is no longer current.
    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError>;

    /// Whether `cas` protects the first write, too. An absent value is then an empty one of the version [`Cas::ABSENT`], and
    /// nothing need be created ahead.
    fn guards_creation(&self) -> bool {
        false
    }
}

impl Cas {
    /// Of a value that is not there, where the host [guards its creation](SharedData::guards_creation).
    pub const ABSENT: Self = Self(0);
}

/// How often a read-decide-write round is tried before it counts as not recorded.
const MAX_ROUNDS: usize = 16;

/// Reads `key`, lets `change` alter the value, and writes it back unless someone was faster.
///
/// `change` returns what to report and whether to write. `None`: the key is absent, or the
/// bounded number of rounds was used up; nothing was written then.
pub fn update<T>(
    shared: &dyn SharedData,
    key: &str,
    mut change: impl FnMut(&mut Vec<u8>) -> (T, Write),
) -> Option<T> {
    let mut report = None;
    // One copy of the rounds for all that is changed: a caller has only its change.
    rounds(shared, key, &mut |value| {
        let (last, write) = change(value);
        report = Some(last);
        write
    })?;
    report
}

fn rounds(
    shared: &dyn SharedData,
    key: &str,
    change: &mut dyn FnMut(&mut Vec<u8>) -> Write,
) -> Option<()> {
    for _ in 0..MAX_ROUNDS {
        let absent = || {
            shared
                .guards_creation()
                .then_some((Vec::new(), Cas::ABSENT))
        };
        let (mut value, cas) = shared.get(key).or_else(absent)?;
        match change(&mut value) {
            Write::No => return Some(()),
            Write::Yes => match shared.set(key, &value, Some(cas)) {
                Ok(()) => return Some(()),
                Err(SetError::Conflict) if planted(Bug::ConflictIgnored) => return Some(()),
                Err(SetError::Conflict) => {}
                Err(SetError::Refused) => return None,
            },
        }
    }
    None
}

/// Whether [`update`] writes the changed value back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Write it.
    Yes,
    /// Leave it as it was.
    No,
}

/// Creates `key` with `initial` unless it exists. Only safe where one caller runs before all others:
/// Envoy configures a canary VM on its main thread before any worker exists.
pub fn create(shared: &dyn SharedData, key: &str, initial: &[u8]) {
    if shared.get(key).is_none() {
        let absent = shared.guards_creation().then_some(Cas::ABSENT);
        // A refusal shows as an absent key later, and every reader copes with that.
        let _ = shared.set(key, initial, absent);
    }
}
