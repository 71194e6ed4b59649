//! The simulator as tests start it, and URLs to send to it.

use std::time::Duration;

use scrapehook::simulator::{Settings, Simulator};

/// A delay that no test lives to see the end of.
pub const NEVER: Duration = Duration::from_secs(86_400);
pub const UPSTREAM_KEY: &str = "upstream-key-that-must-not-show";

pub async fn simulator(settings: Settings) -> Simulator {
    Simulator::bind(Settings { api_key: UPSTREAM_KEY.to_owned(), seed: 7, ..settings }).await.unwrap()
}

/// `count` posts of three platforms, mixed.
pub fn mixed_urls(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 3 {
            0 => format!("https://www.tiktok.com/@user/video/73000000000{n:08}"),
            1 => format!("https://www.youtube.com/watch?v=video{n:06}"),
            _ => format!("https://www.instagram.com/p/Post{n:06}/"),
        })
        .collect()
}
