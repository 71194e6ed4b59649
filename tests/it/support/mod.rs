//! What tests share: the real service on a free port, a real SQLite file in a folder of its own, and the simulator.

pub mod aftermath;
pub mod answers;
pub mod binary;
pub mod by_hand;
pub mod database;
pub mod file;
pub mod multiplied;
mod ports;
pub mod problem;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod raw;
pub mod receiver;
pub mod recompute;
pub mod rounds;
pub mod routes;
mod scene;
mod service;
mod setup;
pub mod shop;
pub mod stream;
mod upstream;

use std::time::Duration;

pub use ports::free_address;
use reqwest::Client;
pub use scene::Scene;
pub use service::Service;
pub use setup::Setup;
pub use upstream::{NEVER, UPSTREAM_KEY, mixed_urls, simulator};

/// Longest wait for a fact; far beyond what a slow machine needs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A client that goes to its target directly.
pub fn client() -> Client {
    scrapehook::tls::client().no_proxy().build().unwrap()
}
