//! The settings of a simulator. Holds only values, and must never read the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::faults::Faults;
use super::transcript::Line;

/// The behaviour of a simulator, apart from the changes that a test makes while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The only key that it accepts.
    pub api_key: String,
    /// The source of all its randomness. The same seed and the same requests give the same answers.
    pub seed: u64,
    /// The credits of the account, one per URL, charged when a task is accepted. `None` if they are endless.
    pub credits: Option<u64>,
    /// The points of the account, which a YouTube URL costs in addition. `None` if they are endless.
    pub points: Option<u64>,
    /// The least time between two requests, submits and polls together. Zero means no limit.
    pub min_interval: Duration,
    /// The time from the submit to the download.
    pub download_delay: Duration,
    /// The longest time from the download to the end of a video's indexing.
    pub index_delay: Duration,
    /// The account's default callback URL, for tasks that were submitted without a URL and for those of other
    /// programs.
    pub default_callback_url: Option<String>,
    /// The faults.
    pub faults: Faults,
    /// The receiver of the transcript.
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
