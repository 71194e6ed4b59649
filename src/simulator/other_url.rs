//! Other URLs of a post, for lists that show them in place of the submitted one. Must never fail.

use super::platform::{host, is_known, platform};

/// Returns a URL in the shape of the post's platform, like the target of a short link.
pub(super) fn resolved(url: &str, number: u64) -> String {
    platform(url).map_or_else(|| unknown(url, number), |platform| post(&platform, number))
}

/// Returns a URL at the same host in a shape that no platform has.
pub(super) fn unknown(url: &str, number: u64) -> String {
    format!("https://{}/discover/{number:019}", host(url).unwrap_or_default())
}

/// Returns the same URL in another spelling: with another scheme, without its `www.` or without its last slash.
pub(super) fn respelled(url: &str, which: u32) -> String {
    let some = spelled(url, which);
    if some == url { spelled(url, u32::MAX) } else { some }
}

/// Returns the URL of a post of a platform. The number is its id, or the end of it.
pub(super) fn post(platform: &str, number: u64) -> String {
    let digits = format!("{number:019}");
    let last = |count: usize| &digits[digits.len() - count..];
    match platform {
        "tiktok" => format!("https://www.tiktok.com/@other/video/{digits}"),
        "youtube" => format!("https://www.youtube.com/watch?v={}", last(11)),
        "instagram" => format!("https://www.instagram.com/p/{}/", last(11)),
        "x" => format!("https://x.com/i/status/{digits}"),
        "facebook" => format!("https://www.facebook.com/watch/?v={digits}"),
        "vimeo" => format!("https://vimeo.com/{digits}"),
        "twitch" => format!("https://www.twitch.tv/videos/{digits}"),
        "bilibili" => format!("https://www.bilibili.com/video/BV{}", last(10)),
        "reddit" => format!("https://www.reddit.com/comments/{}", last(7)),
        "dailymotion" => format!("https://www.dailymotion.com/video/x{}", last(7)),
        "threads" => format!("https://www.threads.com/t/{}", last(11)),
        "linkedin" => format!("https://www.linkedin.com/feed/update/urn:li:activity:{digits}"),
        host => format!("https://{host}/posts/{digits}"),
    }
}

/// Changes the spelling of a URL. Each of the three lowest bits of `which` stands for one difference. There is always
/// one.
fn spelled(url: &str, which: u32) -> String {
    let Some((scheme, mut rest)) = url.split_once("://") else { return url.to_owned() };
    let scheme = match (which & 1, scheme) {
        (0, scheme) => scheme,
        (_, "http") => "https",
        _ => "http",
    };
    // At an unknown host, the name without `www.` may be another site.
    if which & 2 != 0 && host(url).is_some_and(|host| is_known(&host)) {
        rest = rest.strip_prefix("www.").unwrap_or(rest);
    }
    if which & 4 != 0 && !rest.contains(['?', '#']) {
        rest = rest.strip_suffix('/').unwrap_or(rest);
    }
    format!("{scheme}://{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_spelled_differently_in_each_of_three_ways() {
        let url = "https://www.instagram.com/p/abcdef/";
        for (which, expected) in [
            (1, "http://www.instagram.com/p/abcdef/"),
            (2, "https://instagram.com/p/abcdef/"),
            (4, "https://www.instagram.com/p/abcdef"),
            (7, "http://instagram.com/p/abcdef"),
            (0, "http://instagram.com/p/abcdef"),
        ] {
            assert_eq!(respelled(url, which), expected);
        }
        assert_eq!(respelled("http://a.example/1", 6), "https://a.example/1");
        assert_eq!(respelled("https://www.a.example/?q=/", 7), "http://www.a.example/?q=/");
    }
}
