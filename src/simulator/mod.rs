//! A fake of the scrape API that keeps state and misbehaves on demand, one switch a fault.
//!
//! It is worse than the real one on purpose: whoever copes with every fault here copes with the
//! upstream. It knows the wire and nothing else of this crate, and must never share code with what
//! it is there to test. All randomness comes from the seed, all time from tokio.

mod account;
mod answers;
mod delivery;
mod faults;
mod listed;
mod made;
mod order;
mod other_url;
mod plan;
mod platform;
mod records;
mod refusals;
mod routes;
mod server;
mod settings;
mod shared;
mod spoiled;
mod task;
mod transcript;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use account::Account;
pub use faults::Faults;
pub use records::{OtherTask, SentCallback, Submitted};
pub use settings::Settings;
use shared::Shared;
pub use transcript::Line;

/// A running fake of the upstream; dropping it ends it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop_on_drop: DropGuard,
}

impl Simulator {
    /// Starts a simulator; fails if its address can't be listened on.
    pub async fn bind(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let shared = Arc::new(Shared {
            account: Mutex::new(Account::new(settings, Instant::now())),
            changes: watch::Sender::new(()),
            client: delivery::client()?,
            tracker: tracker.clone(),
            stop: stop.clone(),
        });
        let router = routes::router(Arc::clone(&shared));
        tracker.spawn(server::serve(listener, router, Arc::clone(&shared)));
        Ok(Self { address, shared, _stop_on_drop: stop.drop_guard() })
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces all faults, for requests from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.change(|account| account.settings.faults = faults);
    }

    /// Tops up the credits; endless ones stay endless.
    pub fn add_credits(&self, more: u64) {
        self.shared.change(|account| {
            let credits = &mut account.settings.credits;
            *credits = credits.map(|credits| credits.saturating_add(more));
        });
    }

    /// Every request that reached a submit route, in order.
    pub fn submits(&self) -> Vec<Submitted> {
        self.shared.inspect(|account| account.submits.clone())
    }

    /// How many requests have reached a submit route.
    pub fn submitted(&self) -> usize {
        self.shared.inspect(|account| account.submits.len())
    }

    /// How many callbacks were sent.
    pub fn called_back(&self) -> usize {
        self.shared.inspect(|account| account.callbacks_sent.len())
    }

    /// Every task that no answer to a submit named, in order.
    pub fn other_tasks(&self) -> Vec<OtherTask> {
        self.shared.inspect(|account| account.other_tasks.clone())
    }

    /// How many times each URL was charged. Tasks of other programs are not counted.
    pub fn charged(&self) -> BTreeMap<String, u32> {
        self.shared.inspect(|account| account.charged.clone())
    }

    /// How many connections were accepted, also those that were cut before their request was read.
    pub fn connections(&self) -> u64 {
        self.shared.inspect(|account| account.connections)
    }

    /// How many requests reached the poll route.
    pub fn polls(&self) -> u64 {
        self.shared.inspect(|account| account.polls)
    }

    /// Every callback that was sent, in the order in which they were answered or given up.
    pub fn callbacks_sent(&self) -> Vec<SentCallback> {
        self.shared.inspect(|account| account.callbacks_sent.clone())
    }

    /// Waits until a condition holds, looking again at every change.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !condition(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops at once, and returns when everything that it started has ended.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
    }
}
