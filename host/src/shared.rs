//! What the VMs of one process share: data by key, and queues, both under a `vm_id`.
//!
//! The semantics are those of Envoy's host, the sharp edges included:
//! - a `set` of a key that is absent succeeds whatever `cas` it carries, so two creators both win;
//! - a `cas` of 0 means "whatever is there";
//! - there is no delete: an emptied key stays;
//! - a queue is unbounded, and registering it again keeps its items and moves its wake-ups to the new registrant;
//! - everything of a `vm_id` goes when the last VM of that name goes.
//!
//! Out of scope: waking. [`Shared::enqueue`] says whom; the caller delivers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abi::Status;

/// Who is woken by an enqueue: the last registrant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registrant<T> {
    /// The thread, in whatever form the host posts to it.
    pub(crate) thread: T,
    /// The root context.
    pub(crate) context: u32,
}

#[derive(Debug)]
struct Queue<T> {
    registrant: Registrant<T>,
    items: VecDeque<Vec<u8>>,
}

/// A value and its cas.
type Entry = (Vec<u8>, u32);

#[derive(Debug)]
struct State<T> {
    data: HashMap<String, HashMap<Vec<u8>, Entry>>,
    last_cas: u32,
    tokens: HashMap<(String, Vec<u8>), u32>,
    queues: HashMap<u32, Queue<T>>,
    last_token: u32,
    users: HashMap<String, usize>,
}

/// The shared store of one host.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    state: Mutex<State<T>>,
}

impl<T: Clone> Shared<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                data: HashMap::new(),
                last_cas: 0,
                tokens: HashMap::new(),
                queues: HashMap::new(),
                last_token: 0,
                users: HashMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value and its cas.
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Result<Entry, Status> {
        let state = self.state();
        let entry = state.data.get(vm_id).and_then(|data| data.get(key));
        entry.cloned().ok_or(Status::NotFound)
    }

    pub(crate) fn set(
        &self,
        vm_id: &str,
        key: &[u8],
        value: &[u8],
        cas: u32,
    ) -> Result<(), Status> {
        let mut state = self.state();
        let held = state.data.get(vm_id).and_then(|data| data.get(key));
        if let Some((_, held_cas)) = held
            && cas != 0
            && cas != *held_cas
        {
            return Err(Status::CasMismatch);
        }
        state.last_cas = state.last_cas.wrapping_add(1).max(1);
        let entry = (value.to_vec(), state.last_cas);
        state
            .data
            .entry(vm_id.to_owned())
            .or_default()
            .insert(key.to_vec(), entry);
        Ok(())
    }

    /// The queue's token. An existing queue keeps its items; the wake-ups go to `registrant` from now on.
    pub(crate) fn register(&self, vm_id: &str, name: &[u8], registrant: Registrant<T>) -> u32 {
        let mut state = self.state();
        let key = (vm_id.to_owned(), name.to_vec());
        if let Some(&token) = state.tokens.get(&key) {
            if let Some(queue) = state.queues.get_mut(&token) {
                queue.registrant = registrant;
            }
            return token;
        }
        state.last_token += 1;
        let token = state.last_token;
        state.tokens.insert(key, token);
        let items = VecDeque::new();
        state.queues.insert(token, Queue { registrant, items });
        token
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Result<u32, Status> {
        let key = (vm_id.to_owned(), name.to_vec());
        self.state()
            .tokens
            .get(&key)
            .copied()
            .ok_or(Status::NotFound)
    }

    /// Adds an item and says who is to be woken, once, later.
    pub(crate) fn enqueue(&self, token: u32, item: &[u8]) -> Result<Registrant<T>, Status> {
        let mut state = self.state();
        let queue = state.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.push_back(item.to_vec());
        Ok(queue.registrant.clone())
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut state = self.state();
        let queue = state.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }
}

/// Keeps what is under a `vm_id` alive: as long as one of these lives, so does the data.
#[derive(Debug)]
pub(crate) struct Tenancy<T: Clone> {
    shared: Arc<Shared<T>>,
    vm_id: String,
}

impl<T: Clone> Tenancy<T> {
    pub(crate) fn new(shared: &Arc<Shared<T>>, vm_id: &str) -> Self {
        *shared.state().users.entry(vm_id.to_owned()).or_default() += 1;
        Self {
            shared: Arc::clone(shared),
            vm_id: vm_id.to_owned(),
        }
    }
}

impl<T: Clone> Drop for Tenancy<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let Some(users) = state.users.get_mut(&self.vm_id) else {
            return;
        };
        *users -= 1;
        if *users > 0 {
            return;
        }
        state.users.remove(&self.vm_id);
        state.data.remove(&self.vm_id);
        let mut dead = Vec::new();
        state.tokens.retain(|(vm_id, _), token| {
            let keep = *vm_id != self.vm_id;
            if !keep {
                dead.push(*token);
            }
            keep
        });
        for token in dead {
            state.queues.remove(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "vm";

    fn registrant(context: u32) -> Registrant<&'static str> {
        Registrant {
            thread: "a thread",
            context,
        }
    }

    #[test]
    fn setting_an_absent_key_succeeds_whatever_cas_it_carries() {
        let shared = Shared::<()>::new();
        assert_eq!(shared.set(VM, b"k", b"1", 77), Ok(()));
    }

    #[test]
    fn a_stale_cas_is_refused_and_a_cas_of_zero_overwrites() {
        let shared = Shared::<()>::new();
        shared.set(VM, b"k", b"1", 0).expect("absent");
        let (_, cas) = shared.get(VM, b"k").expect("present");
        shared.set(VM, b"k", b"2", cas).expect("the current cas");
        assert_eq!(shared.set(VM, b"k", b"3", cas), Err(Status::CasMismatch));
        assert_eq!(shared.set(VM, b"k", b"4", 0), Ok(()));
        assert_eq!(shared.get(VM, b"k").expect("present").0, b"4");
    }

    #[test]
    fn an_emptied_key_stays() {
        let shared = Shared::<()>::new();
        shared.set(VM, b"k", b"1", 0).expect("absent");
        shared.set(VM, b"k", b"", 0).expect("unconditional");
        assert_eq!(shared.get(VM, b"k").expect("still there").0, b"");
        assert_eq!(shared.get("another vm_id", b"k"), Err(Status::NotFound));
    }

    #[test]
    fn registering_again_keeps_the_items_and_moves_the_wake_up() {
        let shared = Shared::new();
        let token = shared.register(VM, b"q", registrant(1));
        assert_eq!(shared.enqueue(token, b"a"), Ok(registrant(1)));
        assert_eq!(shared.register(VM, b"q", registrant(2)), token);
        assert_eq!(shared.enqueue(token, b"b"), Ok(registrant(2)));
        assert_eq!(shared.dequeue(token), Ok(b"a".to_vec()));
        assert_eq!(shared.dequeue(token), Ok(b"b".to_vec()));
        assert_eq!(shared.dequeue(token), Err(Status::Empty));
        assert_eq!(shared.resolve(VM, b"q"), Ok(token));
        assert_eq!(shared.resolve("", b"q"), Err(Status::NotFound));
    }

    #[test]
    fn everything_of_a_vm_id_goes_with_its_last_user() {
        let shared = Arc::new(Shared::<&'static str>::new());
        let first = Tenancy::new(&shared, VM);
        let second = Tenancy::new(&shared, VM);
        shared.set(VM, b"k", b"1", 0).expect("absent");
        let token = shared.register(VM, b"q", registrant(1));
        drop(first);
        assert!(shared.get(VM, b"k").is_ok());
        drop(second);
        assert_eq!(shared.get(VM, b"k"), Err(Status::NotFound));
        assert_eq!(shared.enqueue(token, b"a"), Err(Status::NotFound));
    }
}
