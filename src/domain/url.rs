//! Post URLs: what platform one belongs to, and when two spellings mean the same post.
//!
//! The canonical form is for comparing only; upstream receives each URL as the user gave it. Must never
//! fold two posts into one: where a shape is not known for certain, more of the spelling is kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;
use utoipa::ToSchema;

/// Longest URL that is taken, in characters.
pub const MAX_URL_CHARS: usize = 2_048;

/// Why a text is not a post URL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidUrl {
    /// It can't be parsed, or names no host.
    #[error("not a URL")]
    NotAUrl,
    /// A scheme other than `http` and `https`.
    #[error("the scheme is `{0}`: only http and https URLs can be scraped")]
    Scheme(String),
    /// Its host is a bare name, which upstream can't reach.
    #[error("the host `{0}` has no domain")]
    BareHost(String),
    /// It carries a user name or a password, which would be handed on and stored.
    #[error("user name or password in a URL")]
    Credentials,
    /// It is longer than [`MAX_URL_CHARS`].
    #[error("longer than {MAX_URL_CHARS} characters")]
    TooLong,
}

/// Where a post lives: `tiktok`, `youtube`, `instagram`, `x`, or the host itself where it is none of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Platform(String);

impl Platform {
    /// YouTube, which upstream charges differently.
    pub const YOUTUBE: &'static str = "youtube";

    /// The platform as clients see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The platform with this stored name.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL as it was given, with what is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostUrl {
    /// As the user gave it, without surrounding blanks.
    pub given: String,
    /// The same for every spelling of the same post.
    pub canonical: String,
    /// Where the post lives.
    pub platform: Platform,
}

impl PostUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let given = text.trim();
        if given.chars().count() > MAX_URL_CHARS {
            return Err(InvalidUrl::TooLong);
        }
        // The parser would silently drop these, and upstream would get another URL than we compare.
        if given.contains(|c: char| c.is_control()) {
            return Err(InvalidUrl::NotAUrl);
        }
        let mut url = Url::parse(given).map_err(|_| InvalidUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Credentials);
        }
        // A trailing dot names the same host; without it `0x7f.1..` is an address.
        let host = url.host_str().ok_or(InvalidUrl::NotAUrl)?;
        let dotless = host.trim_end_matches('.');
        if dotless.len() < host.len() {
            let dotless = dotless.to_owned();
            url.set_host(Some(&dotless)).map_err(|_| InvalidUrl::NotAUrl)?;
        }
        let host = url.host_str().ok_or(InvalidUrl::NotAUrl)?;
        // A bare name is a typing error, and could be taken for the name of a platform.
        if !host.contains(['.', ':']) {
            return Err(InvalidUrl::BareHost(host.to_owned()));
        }
        let (platform, canonical) = canonicalize(&url, host);
        Ok(Self { given: given.to_owned(), canonical, platform: Platform(platform) })
    }
}

fn canonicalize(url: &Url, host: &str) -> (String, String) {
    let segments: Vec<&str> = url
        .path_segments()
        .map(|segments| segments.filter(|segment| !segment.is_empty()).collect())
        .unwrap_or_default();
    // A port means another server: nothing is known of its posts.
    let mut known = if url.port().is_none() { host } else { "" };
    while let Some(rest) = known.strip_prefix("www.").or_else(|| known.strip_prefix("m.")) {
        known = rest;
    }
    let (platform, post) = if is_under(known, "tiktok.com") {
        ("tiktok", tiktok(known, &segments))
    } else if is_under(known, "youtube.com") || is_under(known, "youtu.be") {
        (Platform::YOUTUBE, youtube(url, known, &segments))
    } else if is_under(known, "instagram.com") {
        ("instagram", instagram(&segments))
    } else if is_under(known, "x.com") || is_under(known, "twitter.com") {
        ("x", x(&segments))
    } else {
        return (host.to_owned(), unknown_host(url));
    };
    let canonical = post.unwrap_or_else(|| unknown_shape(url, known, &segments));
    (platform.to_owned(), canonical)
}

/// Whether `host` is `domain` or lies below it; `notyoutube.com` does not lie below `youtube.com`.
fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn tiktok(host: &str, segments: &[&str]) -> Option<String> {
    match segments {
        // The number alone names the post: the user's name can change.
        [user, "video", id] if user.starts_with('@') && is_number(id) => {
            Some(format!("https://www.tiktok.com/video/{id}"))
        }
        ["video" | "v" | "embed", id] if is_number(id.trim_end_matches(".html")) => {
            Some(format!("https://www.tiktok.com/video/{}", id.trim_end_matches(".html")))
        }
        [code] if matches!(host, "vm.tiktok.com" | "vt.tiktok.com") => Some(format!("https://{host}/{code}")),
        ["t", code] => Some(format!("https://www.tiktok.com/t/{code}")),
        _ => None,
    }
}

fn youtube(url: &Url, host: &str, segments: &[&str]) -> Option<String> {
    let id = match segments {
        [id] if is_under(host, "youtu.be") => (*id).to_owned(),
        ["watch"] => only_id(url)?,
        ["shorts" | "embed" | "live" | "v", id] => (*id).to_owned(),
        _ => return None,
    };
    // These two are players, not posts: what they show stands in the query.
    let is_post = is_code(&id) && !matches!(id.as_str(), "videoseries" | "live_stream");
    is_post.then(|| format!("https://www.youtube.com/watch?v={id}"))
}

/// Of two ids nobody knows which one is shown.
fn only_id(url: &Url) -> Option<String> {
    let mut ids = url.query_pairs().filter(|(name, _)| name == "v");
    let (id, other) = (ids.next()?.1, ids.next());
    other.is_none().then(|| id.into_owned())
}

fn instagram(segments: &[&str]) -> Option<String> {
    // A post can be reached below its author's name as well.
    let (kind, id) = match segments {
        [kind, id] | [_, kind, id] => (*kind, *id),
        _ => return None,
    };
    (matches!(kind, "p" | "reel" | "reels" | "tv") && is_code(id))
        .then(|| format!("https://www.instagram.com/p/{id}/"))
}

fn x(segments: &[&str]) -> Option<String> {
    match segments {
        [_, "status" | "statuses", id, ..] if is_number(id) => Some(format!("https://x.com/i/status/{id}")),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A known platform, but no known shape of a post: everything that could matter is kept.
fn unknown_shape(url: &Url, host: &str, segments: &[&str]) -> String {
    let mut query: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !is_tracking(name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    query.sort();
    let mut canonical = format!("https://{host}/{}", segments.join("/"));
    if !query.is_empty() {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        canonical.push('?');
        canonical.push_str(&query);
    }
    canonical
}

/// Parameters that say how somebody came to a post, never which post it is.
fn is_tracking(name: &str) -> bool {
    name.starts_with("utm_")
        || matches!(
            name,
            "_r" | "_t"
                | "fbclid"
                | "feature"
                | "gclid"
                | "ig_rid"
                | "igsh"
                | "igshid"
                | "img_index"
                | "is_copy_url"
                | "is_from_webapp"
                | "lang"
                | "pp"
                | "ref_src"
                | "ref_url"
                | "refer"
                | "sender_device"
                | "sender_web_id"
                | "share_app_id"
                | "share_link_id"
                | "si"
                | "web_id"
        )
}

/// Nothing is known of this host, so only what no server ever sees is dropped: the fragment.
fn unknown_host(url: &Url) -> String {
    let mut plain = url.clone();
    plain.set_fragment(None);
    plain.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        PostUrl::parse(text).expect(text).canonical
    }

    #[track_caller]
    fn assert_same_post(platform: &str, spellings: &[&str]) {
        for spelling in spellings {
            let url = PostUrl::parse(spelling).expect(spelling);
            assert_eq!(url.platform.as_str(), platform, "{spelling}");
            assert_eq!(url.canonical, canonical(spellings[0]), "{spelling}");
        }
    }

    #[test]
    fn spellings_of_one_post_are_one() {
        assert_same_post(
            "tiktok",
            &[
                "https://www.tiktok.com/@user/video/7301234567890123456",
                "http://tiktok.com/@user/video/7301234567890123456/",
                "https://m.tiktok.com/@renamed/video/7301234567890123456?is_from_webapp=1&sender_device=pc#x",
                "https://WWW.TikTok.com:443/@user/video/7301234567890123456?_t=8abc&_r=1",
                "https://m.tiktok.com/v/7301234567890123456.html",
            ],
        );
        assert_same_post(
            "youtube",
            &[
                "https://www.youtube.com/watch?v=o9vgXOH4ET0",
                "https://youtu.be/o9vgXOH4ET0?si=abcdef",
                "https://m.youtube.com/watch?feature=shared&v=o9vgXOH4ET0&t=42s",
                "https://youtube.com/shorts/o9vgXOH4ET0",
                "https://music.youtube.com/watch?v=o9vgXOH4ET0&list=PL1&index=2",
                " https://www.youtube.com/embed/o9vgXOH4ET0 ",
            ],
        );
        assert_same_post(
            "instagram",
            &[
                "https://www.instagram.com/p/CxYz_12-3/",
                "https://instagram.com/p/CxYz_12-3?igsh=abc&utm_source=ig_web_copy_link",
                "https://www.instagram.com/reel/CxYz_12-3/",
                "https://www.instagram.com/someone/reel/CxYz_12-3/",
            ],
        );
        assert_same_post(
            "x",
            &[
                "https://x.com/user/status/1234567890",
                "https://twitter.com/user/status/1234567890?ref_src=twsrc",
                "https://mobile.twitter.com/user/status/1234567890/photo/1",
            ],
        );
        assert_same_post(
            "tiktok",
            &[
                "https://vm.tiktok.com/ZMabc/",
                "https://vm.tiktok.com/ZMabc?_r=1",
                "https://www.vm.tiktok.com./ZMabc?a=b",
            ],
        );
    }

    #[test]
    fn different_posts_stay_apart() {
        for (one, other) in [
            ("https://youtu.be/abc", "https://youtu.be/ABC"),
            ("https://vm.tiktok.com/ZMabc", "https://vt.tiktok.com/ZMabc"),
            ("https://www.youtube.com/playlist?list=1", "https://www.youtube.com/playlist?list=2"),
            ("https://example.com/v?id=1&utm_source=a", "https://example.com/v?id=1"),
            ("https://example.com/a/", "https://example.com/a"),
            ("http://example.com/a", "https://example.com/a"),
            ("https://www.youtube.com:8443/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
            ("https://www.instagram.com/a%2Fb/p", "https://www.instagram.com/a/b/p"),
            ("https://www.youtube.com/watch?v=z!&v=abc", "https://www.youtube.com/watch?v=abc"),
            ("https://www.youtube.com/watch?v=abc&v=def", "https://www.youtube.com/watch?v=abc"),
        ] {
            assert_ne!(canonical(one), canonical(other));
        }
    }

    #[test]
    fn an_unknown_host_is_its_own_platform() {
        for (text, platform) in [
            ("https://notyoutube.com/watch?v=abc", "notyoutube.com"),
            ("https://youtube.com.evil.example/watch?v=abc", "youtube.com.evil.example"),
            ("https://vimeo.com/1234#t=1", "vimeo.com"),
            ("https://xx.com/u/status/1", "xx.com"),
            ("https://[::1]/a", "[::1]"),
            ("https://0x7f.1../a", "127.0.0.1"),
        ] {
            assert_eq!(PostUrl::parse(text).expect(text).platform.as_str(), platform);
        }
        assert_eq!(canonical("https://VIMEO.com/1234?b=2&a=1#t"), "https://vimeo.com/1234?b=2&a=1");
    }

    #[test]
    fn what_is_no_post_url_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", InvalidUrl::NotAUrl),
            ("hello", InvalidUrl::NotAUrl),
            ("/watch?v=1", InvalidUrl::NotAUrl),
            ("https://", InvalidUrl::NotAUrl),
            ("https://../a", InvalidUrl::NotAUrl),
            ("https://a.1../a", InvalidUrl::NotAUrl),
            ("https://you\ntube.com/", InvalidUrl::NotAUrl),
            ("ftp://example.com/a", InvalidUrl::Scheme("ftp".into())),
            ("javascript:alert(1)", InvalidUrl::Scheme("javascript".into())),
            ("https://user:secret@youtube.com/watch?v=1", InvalidUrl::Credentials),
        ] {
            assert_eq!(PostUrl::parse(text), Err(reason), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_CHARS));
        assert_eq!(PostUrl::parse(&long), Err(InvalidUrl::TooLong));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(
            host in "(www\\.|m\\.|vm\\.|mobile\\.){0,2}(tiktok\\.com|youtube\\.com|youtu\\.be|instagram\\.com|x\\.com|example\\.org|0x7f\\.1)\\.{0,2}",
            path in "(/(watch|shorts|status|video|[pt]|[@a-zA-Z0-9_%.-]{0,8})){0,4}",
            query in "(\\?([a-z_]{1,6}|v)=[a-zA-Z0-9%+!]{0,6}(&([a-z]{1,3}|v)=[a-z]{0,3}){0,2})?",
        ) {
            let text = format!("https://{host}{path}{query}");
            if let Ok(first) = PostUrl::parse(&text) {
                let second = PostUrl::parse(&first.canonical).expect("canonical is a URL");
                prop_assert_eq!(&second.canonical, &first.canonical);
                prop_assert_eq!(second.platform, first.platform);
            }
        }
    }
}
