//! How a simulator is set up. Holds values only, must never read the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::faults::Faults;
use super::transcript::Line;

/// How a simulator behaves, apart from what a test changes while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one key that it accepts.
    pub api_key: String,
    /// Where all its randomness comes from: the same seed and the same requests give the same answers.
    pub seed: u64,
    /// Credits of the account, one per URL, deducted when a task is accepted; `None` is endless.
    pub credits: Option<u64>,
    /// Points of the account, which a YouTube URL costs in addition; `None` is endless.
    pub points: Option<u64>,
    /// Least time between two requests, submits and polls together; zero is no limit.
    pub min_interval: Duration,
    /// Time from the submit to the download.
    pub download_delay: Duration,
    /// Longest time from the download to the end of a video's indexing.
    pub index_delay: Duration,
    /// The account's default callback URL. Tasks that were submitted without a URL call it, and those of other
    /// programs.
    pub default_callback_url: Option<String>,
    /// What goes wrong.
    pub faults: Faults,
    /// Who hears of every happening.
    pub narrate: Option<UnboundedSender<Line>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            api_key: "simulator".to_owned(),
            seed: 0,
            credits: None,
            points: None,
            min_interval: Duration::ZERO,
            download_delay: Duration::ZERO,
            index_delay: Duration::ZERO,
            default_callback_url: None,
            faults: Faults::default(),
            narrate: None,
        }
    }
}
