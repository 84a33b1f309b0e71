//! A store inside the test's own process.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::server::Store;

/// A store that serves on the loopback. Dropped, it ends in the background; see [`TestStore::stop`].
#[derive(Debug)]
pub struct TestStore {
    url: String,
    end: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl TestStore {
    /// Opens the database and serves it on `config.listen`.
    ///
    /// # Errors
    /// What [`Store::open`] says, or the address is taken.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        Self::serve(Store::open(config).await?, config).await
    }

    /// Serves a store that is open already.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn serve(store: Store, config: &Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(store.serve(listener, async {
            // Told to end, or dropped.
            let _ = ended.await;
        }));
        Ok(Self { url, end, task })
    }

    /// `http://127.0.0.1:…`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as a signal would, and waits for it.
    ///
    /// # Errors
    /// It had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        // If nobody listens it has ended.
        let _ = self.end.send(());
        self.task.await.context("the store panicked")?
    }
}
