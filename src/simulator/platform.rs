//! The platform of a post's URL. Must never refuse an unknown host.
//!
//! Upstream has its own table, and so has the simulator. So a URL that scrapehook counts for the wrong platform is
//! refused here as well.

use url::Url;

const PLATFORMS: [(&str, &[&str]); 12] = [
    ("tiktok", &["tiktok.com"]),
    (YOUTUBE, &["youtube.com", "youtu.be", "youtube-nocookie.com"]),
    ("instagram", &["instagram.com", "instagr.am"]),
    ("x", &["x.com", "twitter.com"]),
    ("facebook", &["facebook.com", "fb.com", "fb.watch"]),
    ("vimeo", &["vimeo.com"]),
    ("twitch", &["twitch.tv"]),
    ("bilibili", &["bilibili.com", "b23.tv"]),
    ("reddit", &["reddit.com", "redd.it"]),
    ("dailymotion", &["dailymotion.com", "dai.ly"]),
    ("threads", &["threads.net", "threads.com"]),
    ("linkedin", &["linkedin.com"]),
];

/// The platform whose URLs cost points.
pub(super) const YOUTUBE: &str = "youtube";

/// The platform of a URL. An unknown host is its own platform. `None` if the URL has no host.
pub(super) fn platform(url: &str) -> Option<String> {
    let host = host(url)?;
    Some(known(&host).map(str::to_owned).unwrap_or(host))
}

/// The host of a URL, if it has one.
pub(super) fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Whether the host belongs to a platform of the table.
pub(super) fn is_known(host: &str) -> bool {
    known(host).is_some()
}

fn known(host: &str) -> Option<&'static str> {
    let is_one = |domains: &[&str]| domains.iter().any(|domain| is_within(host, domain));
    PLATFORMS.iter().find(|(_, domains)| is_one(domains)).map(|(name, _)| *name)
}

/// Whether a host belongs to a domain. A suffix alone is not enough, because `netflix.com` ends in `x.com`.
fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart_at_the_dot() {
        for (url, name) in [
            ("https://vm.tiktok.com/1", "tiktok"),
            ("https://www.TikTok.com/@u/video/1", "tiktok"),
            ("https://youtu.be/1", "youtube"),
            ("https://m.youtube.com/watch?v=1", "youtube"),
            ("https://twitter.com/u/status/1", "x"),
            ("https://netflix.com/1", "netflix.com"),
            ("https://nottiktok.com/1", "nottiktok.com"),
            ("https://tiktok.com.evil.example/1", "tiktok.com.evil.example"),
        ] {
            assert_eq!(platform(url).as_deref(), Some(name), "{url}");
        }
        assert_eq!(platform("tiktok.com/1"), None);
    }
}
