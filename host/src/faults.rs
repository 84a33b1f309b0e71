//! Host calls that fail on request, and callbacks that no good host makes: for tests of a module.
//!
//! A call that fails does nothing and returns the status asked for. Without [`Options::faults`](crate::Options) none of
//! this exists, and costs nothing.
//!
//! Out of scope: calls that do something and then say that they failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{Extern, ExternType, Func, Linker, Module, Store, Val};

use crate::context::Context;
use crate::vm::VmState;

/// A function that the module imports and that is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name, without the name of the module it comes from.
    pub import: String,
    /// What it returns: a status of the ABI or a WASI errno.
    pub status: u32,
    /// On whose behalf it has to be called.
    pub scope: Scope,
    /// Which of its calls fail: 1 for each, 2 for every other one, beginning with the first.
    pub every: u64,
}

/// On whose behalf a host call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anybody's.
    Anywhere,
    /// A root context's that starts or is being configured.
    Start,
    /// A configured root context's.
    Root,
    /// A request's.
    Stream,
}

/// What a host may do that the ABI does not foresee, or only just.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// Each answer of a callout is delivered twice.
    AnswerTwice,
    /// Before each answer of a callout there is one with a number that nobody was given.
    AnswerToNobody,
    /// Answers have a body and no headers.
    NoHeaders,
    /// Answers have the status 0.
    StatusZero,
    /// Answers have fewer bytes of body than is said.
    ShortBody,
    /// Each tick is followed by the news that an empty queue is ready, and that a queue is that nobody has.
    IdleQueue,
    /// Before a root is configured every callback is made for it.
    TooEarly,
    /// A root is asked twice whether it is done, and when it is gone every callback is made for it.
    TooLate,
}

/// What a host does wrong at present. Clones act on the same host.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    imports: BTreeSet<String>,
    failing: Vec<(Fault, u64)>,
    oddities: BTreeSet<Oddity>,
    failed: BTreeMap<String, u64>,
    done: BTreeMap<Oddity, u64>,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, and instead of an earlier fault of the same import in the same scope.
    pub fn fail(&self, fault: Fault) {
        let mut state = self.state();
        let same = |(old, _): &(Fault, u64)| old.import == fault.import && old.scope == fault.scope;
        state.failing.retain(|old| !same(old));
        state.failing.push((fault, 0));
    }

    /// From now on, too.
    pub fn be(&self, oddity: Oddity) {
        self.state().oddities.insert(oddity);
    }

    /// From now on everything is as it should be.
    pub fn end(&self) {
        let mut state = self.state();
        state.failing.clear();
        state.oddities.clear();
    }

    /// How many calls of this import have failed so far.
    #[must_use]
    pub fn failed(&self, import: &str) -> u64 {
        self.state().failed.get(import).copied().unwrap_or(0)
    }

    /// How often the host has been odd in this way so far.
    #[must_use]
    pub fn done(&self, oddity: Oddity) -> u64 {
        self.state().done.get(&oddity).copied().unwrap_or(0)
    }

    /// The functions that the modules import, by the names that [`Fault::import`] takes.
    #[must_use]
    pub fn imports(&self) -> BTreeSet<String> {
        self.state().imports.clone()
    }

    /// Whether to be odd in this way now; counts it.
    pub(crate) fn is(&self, oddity: Oddity) -> bool {
        let mut state = self.state();
        let is = state.oddities.contains(&oddity);
        if is {
            *state.done.entry(oddity).or_default() += 1;
        }
        is
    }

    /// The status to return instead of doing what was asked.
    fn status(&self, import: &str, scope: Scope) -> Option<u32> {
        let mut state = self.state();
        let mut failing = state.failing.iter_mut();
        let (fault, met) = failing.find(|(fault, _)| {
            fault.import == import && [Scope::Anywhere, scope].contains(&fault.scope)
        })?;
        let fails = met.is_multiple_of(fault.every.max(1));
        *met += 1;
        let status = fault.status;
        if !fails {
            return None;
        }
        *state.failed.entry(import.to_owned()).or_default() += 1;
        Some(status)
    }

    /// Puts itself in front of every function that the module imports.
    pub(crate) fn wrap(
        &self,
        linker: &mut Linker<VmState>,
        store: &mut Store<VmState>,
        module: &Module,
    ) -> wasmtime::Result<()> {
        linker.allow_shadowing(true);
        for import in module.imports() {
            let (from, name) = (import.module().to_owned(), import.name().to_owned());
            let ExternType::Func(signature) = import.ty() else {
                continue;
            };
            let Ok(Extern::Func(real)) = linker.get(&mut *store, &from, &name) else {
                continue; // the instantiation will say so
            };
            self.state().imports.insert(name.clone());
            let faults = self.clone();
            let named = name.clone();
            let function = Func::new(&mut *store, signature, move |mut caller, given, results| {
                let Some(status) = faults.status(&named, scope_of(caller.data())) else {
                    return real.call(&mut caller, given, results);
                };
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(status.cast_signed());
                }
                Ok(())
            });
            linker.define(&mut *store, &from, &name, function)?;
        }
        Ok(())
    }
}

fn scope_of(state: &VmState) -> Scope {
    match state.contexts.get(&state.current) {
        Some(Context::Stream(_)) => Scope::Stream,
        Some(Context::Root(root)) if root.configured => Scope::Root,
        _ => Scope::Start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(scope: Scope, every: u64) -> Fault {
        Fault {
            import: "proxy_log".to_owned(),
            status: 12,
            scope,
            every,
        }
    }

    #[test]
    fn a_call_fails_where_and_as_often_as_asked_until_the_end() {
        let faults = Faults::default();
        assert_eq!(faults.status("proxy_log", Scope::Root), None);
        faults.fail(fault(Scope::Root, 2));
        let met: Vec<_> = (0..3)
            .map(|_| faults.status("proxy_log", Scope::Root))
            .collect();
        assert_eq!(met, [Some(12), None, Some(12)]);
        assert_eq!(faults.status("proxy_log", Scope::Stream), None);
        assert_eq!(faults.status("proxy_done", Scope::Root), None);
        assert_eq!(faults.failed("proxy_log"), 2);
        faults.end();
        assert_eq!(faults.status("proxy_log", Scope::Root), None);
        faults.fail(fault(Scope::Anywhere, 1));
        assert_eq!(faults.status("proxy_log", Scope::Stream), Some(12));
    }

    #[test]
    fn an_oddity_lasts_until_the_end_and_is_counted() {
        let faults = Faults::default();
        assert!(!faults.is(Oddity::TooLate));
        faults.be(Oddity::TooLate);
        assert!(faults.is(Oddity::TooLate) && !faults.is(Oddity::TooEarly));
        faults.end();
        assert!(!faults.is(Oddity::TooLate));
        assert_eq!(faults.done(Oddity::TooLate), 1);
    }
}
