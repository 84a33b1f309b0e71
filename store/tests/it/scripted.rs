//! A database that does as it is told, for what a real one does only on a bad day.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use weir_store::repo::{Batch, Cell, Part, Repo, RepoError, Row, Stored, Taken};

use crate::world::soon;

/// What it is told, and what it saw.
#[derive(Debug)]
pub(crate) struct Scripted {
    /// One permit lets one commit pass.
    pub(crate) gate: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_down: bool,
    /// Ids it can never hold.
    indigestible: HashSet<String>,
    /// The ids of each commit that was made.
    commits: Vec<Vec<String>>,
    /// Commits begun, made or not.
    begun: usize,
}

impl Scripted {
    /// Lets `commits` pass before it holds one.
    pub(crate) fn passing(commits: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(commits),
            state: Mutex::default(),
        })
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    pub(crate) fn refuse(&self, ids: &[&str]) {
        let ids = ids.iter().map(|id| (*id).to_owned());
        self.state.lock().unwrap().indigestible.extend(ids);
    }

    /// The ids of each commit, in order.
    pub(crate) fn commits(&self) -> Vec<Vec<String>> {
        self.state.lock().unwrap().commits.clone()
    }

    /// Waits until so many commits were begun.
    pub(crate) async fn begun(&self, count: usize) {
        soon(async {
            while self.state.lock().unwrap().begun < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[async_trait]
impl Repo for Scripted {
    async fn commit(&self, batch: &Batch) -> Result<Vec<Taken>, RepoError> {
        self.state.lock().unwrap().begun += 1;
        self.gate.acquire().await.unwrap().forget();
        let mut state = self.state.lock().unwrap();
        if state.is_down {
            return Err(RepoError::Unavailable("told so".to_owned()));
        }
        if batch
            .iter()
            .any(|event| state.indigestible.contains(&event.id))
        {
            return Err(RepoError::Refused("told so".to_owned()));
        }
        let ids = batch.iter().map(|event| event.id.clone());
        state.commits.push(ids.collect());
        Ok(vec![Stored::Created.into(); batch.len()])
    }

    async fn select(&self, _: &'static str, _: Vec<Vec<Cell>>) -> Result<Vec<Row>, RepoError> {
        self.check().await.map(|()| Vec::new())
    }

    async fn change(&self, _: &'static str, _: Vec<Vec<Cell>>) -> Result<Vec<Row>, RepoError> {
        self.check().await.map(|()| Vec::new())
    }

    async fn catch_up(&self, _: &Arc<Part>) -> Result<bool, RepoError> {
        self.check().await.map(|()| false)
    }

    async fn check(&self) -> Result<(), RepoError> {
        if self.state.lock().unwrap().is_down {
            return Err(RepoError::Unavailable("told so".to_owned()));
        }
        Ok(())
    }
}
