//! A fake of the scrape API that keeps state and misbehaves on demand, with one switch per fault.
//!
//! It is worse than the real API on purpose, so a program that copes with every fault here copes with the real one.
//! It knows only the wire format of this crate, and must never share code with the parts that it tests. All
//! randomness is from the seed, and all time from tokio.

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

/// A running fake of upstream. Dropping it ends it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop_on_drop: DropGuard,
}

impl Simulator {
    /// Starts a simulator. Fails if its address can't be listened on.
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

    /// Replaces all faults for later requests.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.change(|account| account.settings.faults = faults);
    }

    /// Adds credits, unless they are endless.
    pub fn add_credits(&self, more: u64) {
        self.shared.change(|account| {
            let credits = &mut account.settings.credits;
            *credits = credits.map(|credits| credits.saturating_add(more));
        });
    }

    /// Returns all requests that reached a submit route, in order.
    pub fn submits(&self) -> Vec<Submitted> {
        self.shared.inspect(|account| account.submits.clone())
    }

    /// Returns the number of requests that reached a submit route.
    pub fn submitted(&self) -> usize {
        self.shared.inspect(|account| account.submits.len())
    }

    /// Returns the number of callbacks that were sent.
    pub fn called_back(&self) -> usize {
        self.shared.inspect(|account| account.callbacks_sent.len())
    }

    /// Returns all tasks that no answer to a submit named, in order.
    pub fn other_tasks(&self) -> Vec<OtherTask> {
        self.shared.inspect(|account| account.other_tasks.clone())
    }

    /// Returns the number of times that each URL was charged. Tasks of other programs are not counted.
    pub fn charged(&self) -> BTreeMap<String, u32> {
        self.shared.inspect(|account| account.charged.clone())
    }

    /// Returns the number of accepted connections, including those that were closed before their request was read.
    pub fn connections(&self) -> u64 {
        self.shared.inspect(|account| account.connections)
    }

    /// Returns the number of requests that reached the poll route.
    pub fn polls(&self) -> u64 {
        self.shared.inspect(|account| account.polls)
    }

    /// Returns all callbacks that were sent, in the order in which they were answered or given up.
    pub fn callbacks_sent(&self) -> Vec<SentCallback> {
        self.shared.inspect(|account| account.callbacks_sent.clone())
    }

    /// Waits until a condition holds. Checks it again at every change.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !condition(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops at once, and returns when everything that the simulator started has ended.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
    }
}
