//! The tasks of a running service. Each runs until the stop. If one ends before, it must never leave the service
//! running.

use anyhow::bail;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::workers::{self, Worker};

/// The tasks, each with its name.
#[derive(Debug)]
pub(super) struct Tasks {
    named: JoinSet<&'static str>,
    stop: CancellationToken,
}

impl Tasks {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { named: JoinSet::new(), stop }
    }

    /// Runs a task that ends after the stop.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.named.spawn(async move {
            task.await;
            name
        });
    }

    /// Runs a worker until the stop.
    pub(super) fn spawn_worker(&mut self, name: &'static str, worker: impl Worker + 'static, store: &Store) {
        let (store, stop) = (store.clone(), self.stop.clone());
        self.spawn(name, workers::run(worker, store, stop));
    }

    /// Waits for the stop, or begins it when a task ends. Returns that task.
    ///
    /// # Errors
    /// The writer has ended, so nothing can be stored any more.
    pub(super) async fn until_stop(&mut self, writer: &mut JoinHandle<()>) -> anyhow::Result<Option<String>> {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(None),
            ended = self.named.join_next() => Ok(Some(format!("{ended:?}"))),
            ended = writer => Err(ended),
        };
        self.stop.cancel();
        match ended {
            Ok(ended) => Ok(ended),
            Err(ended) => bail!("the database writer ended unexpectedly: {ended:?}"),
        }
    }

    /// Waits until every task has ended.
    ///
    /// # Errors
    /// One of them panicked.
    pub(super) async fn end(&mut self) -> Result<(), JoinError> {
        while self.named.join_next().await.transpose()?.is_some() {}
        Ok(())
    }
}
