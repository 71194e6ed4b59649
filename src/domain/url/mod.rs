//! Post URLs: their platforms, and the spellings of one post.
//!
//! The canonical form is for comparing only. Upstream receives each URL as the user gave it. Must never fold two posts
//! into one: two URLs have the same canonical form if both have the same known shape with the same id, or if they
//! differ in nothing but the scheme, a `www.` or mobile host that is known, a slash at the end, parameters that never
//! name a post, or a place or time within the page.

mod canonical;
mod characters;
mod invalid;
mod known;
mod parts;
mod platforms;
#[cfg(test)]
mod rule;
mod shape;
mod text;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::canonical::{CanonicalUrl, KnownId};
pub use self::characters::MAX_URL_CHARS;
use self::characters::{SCHEMES, starts_with_ignoring_case};
pub use self::invalid::InvalidUrl;
use self::known::platform_of;
use self::parts::Parts;
use self::platforms::KnownPlatform;
pub use self::text::seen;

/// The version of the canonical form. It must grow whenever any URL gets another canonical form. The next start then
/// computes stored forms again.
pub const CANONICAL_FORM: i64 = 3;

/// Platform of a post: the name of a known platform, such as `youtube`, or else the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Platform(String);

impl Platform {
    /// YouTube, which upstream charges differently.
    pub const YOUTUBE: &'static str = "youtube";

    /// The name that clients see.
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

/// A URL as it was given, with its platform and canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostUrl {
    /// The URL as the client gave it, without white space and meaningless invisible characters around it.
    pub given: String,
    /// The canonical form, which is the same for all spellings of one post.
    pub canonical: String,
    /// The platform of the post.
    pub platform: Platform,
}

impl PostUrl {
    /// Reads the only URL in a text.
    ///
    /// # Errors
    /// [`InvalidUrl`] if it is not the URL of one post.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let given = text::only_url(text)?;
        let (scheme, rest) = given.split_once("://").ok_or(InvalidUrl::NotAUrl)?;
        let parts = Parts::split(scheme.eq_ignore_ascii_case("https"), rest)?;
        let (platform, canonical) = canonicalize(&parts)?;
        Ok(Self { given: given.to_owned(), canonical, platform: Platform(platform) })
    }

    /// Reads a URL that nobody can correct, because an older version took it or upstream names it. If
    /// [`parse`](Self::parse) refuses it, an exact id in a known shape still names the post. None if this is uncertain.
    pub fn recognize(text: &str) -> Option<Self> {
        if let Ok(url) = Self::parse(text) {
            return Some(url);
        }
        let given = text::seen(text);
        let scheme = SCHEMES.iter().find(|scheme| starts_with_ignoring_case(given, scheme))?;
        if given.contains(char::is_whitespace) || text::holds_second_url(given) {
            return None;
        }
        let parts = Parts::split(*scheme == "https://", &given[scheme.len()..]).ok()?;
        let platform = platform_of(parts.dotless_host())?;
        let canonical = known_shape(platform, &parts).ok()??;
        Some(Self { given: given.to_owned(), canonical, platform: Platform(platform.name.to_owned()) })
    }
}

/// The canonical form of a URL that has one of the platform's shapes.
///
/// # Errors
/// [`InvalidUrl::AfterId`] if characters follow the id that no id holds.
fn known_shape(platform: &KnownPlatform, url: &Parts<'_>) -> Result<Option<String>, InvalidUrl> {
    // A port means another server, and a kept fragment may name another post, so the URL has no known shape.
    if url.port.is_some() || url.fragment.is_some() {
        return Ok(None);
    }
    let host = platform.first_host(url.dotless_host());
    let mut refused = None;
    for shape in platform.shapes {
        match shape.canonical(host, url) {
            Ok(Some(canonical)) => return Ok(Some(canonical)),
            Ok(None) => {}
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// The platform, and the form for comparing posts.
fn canonicalize(url: &Parts<'_>) -> Result<(String, String), InvalidUrl> {
    let host = url.dotless_host();
    let Some(platform) = platform_of(host) else {
        return Ok((host.to_owned(), url.keep_all(&url.host, |_| false)));
    };
    if let Some(canonical) = known_shape(platform, url)? {
        return Ok((platform.name.to_owned(), canonical));
    }
    // Only a text that is written like a host of the table is one.
    let is_plain = !url.host.ends_with('.') && url.port.is_none();
    let name = if is_plain { platform.first_host(host) } else { &url.host };
    Ok((platform.name.to_owned(), url.keep_all(name, |parameter| platform.ignores(parameter))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        PostUrl::parse(text).expect(text).canonical
    }

    #[test]
    fn a_url_is_handed_on_as_it_was_given() {
        let url = PostUrl::parse(" HTTP://YouTu.be/o9vgXOH4ET0?si=x#t=3\u{feff}\n").unwrap();
        assert_eq!(url.given, "HTTP://YouTu.be/o9vgXOH4ET0?si=x#t=3");
        assert_eq!(url.canonical, "https://www.youtube.com/watch?v=o9vgXOH4ET0");
        assert_eq!(url.platform.as_str(), "youtube");
        assert_eq!(url.platform.to_string(), "youtube");
        assert_eq!(Platform::from_stored("x".to_owned()).as_str(), "x");
    }

    #[test]
    fn an_unknown_host_is_its_own_platform() {
        for (text, platform, form) in [
            ("http://notyoutube.com/watch?v=abc", "notyoutube.com", "https://notyoutube.com/watch?v=abc"),
            (
                "https://YouTube.com.evil.example./a/",
                "youtube.com.evil.example",
                "https://youtube.com.evil.example./a",
            ),
            ("https://[::1]/a", "[::1]", "https://[::1]/a"),
            ("https://e.com:8443/?b=2&a=1#t", "e.com", "https://e.com:8443/?b=2&a=1"),
        ] {
            let url = PostUrl::parse(text).expect(text);
            assert_eq!((url.platform.as_str(), &*url.canonical), (platform, form));
        }
    }

    #[test]
    fn nothing_is_known_of_another_port_a_dot_at_the_end_or_a_fragment_that_may_name_a_post() {
        for (text, form) in [
            (
                "https://m.youtube.com:8443/watch?v=o9vgXOH4ET0",
                "https://m.youtube.com:8443/watch?v=o9vgXOH4ET0",
            ),
            ("https://m.youtube.com./playlist?list=1&pp=2", "https://m.youtube.com./playlist?list=1"),
            ("https://m.youtube.com/playlist?list=1&pp=2", "https://www.youtube.com/playlist?list=1"),
            (
                "https://m.youtube.com/watch?v=o9vgXOH4ET0#!v=a",
                "https://www.youtube.com/watch?v=o9vgXOH4ET0#!v=a",
            ),
            ("https://www.youtube.com./watch?v=o9vgXOH4ET0", "https://www.youtube.com/watch?v=o9vgXOH4ET0"),
            (
                "https://studio.youtube.com/watch?v=o9vgXOH4ET0",
                "https://studio.youtube.com/watch?v=o9vgXOH4ET0",
            ),
        ] {
            assert_eq!(canonical(text), form);
            assert_eq!(PostUrl::parse(text).unwrap().platform.as_str(), "youtube");
        }
    }

    #[test]
    fn an_id_with_text_behind_it_is_refused() {
        for text in ["https://youtu.be/o9vgXOH4ET0)?si=x", "https://youtu.be/o9vgXOH4ET0)x"] {
            assert_eq!(PostUrl::parse(text), Err(InvalidUrl::AfterId(')')), "{text}");
        }
        // Another spelling of the same platform takes the same characters.
        assert_eq!(canonical("https://m.tiktok.com/v/12.html"), "https://www.tiktok.com/video/12");
    }

    #[test]
    fn what_is_refused_today_is_recognized_by_an_exact_id_alone() {
        for (text, canonical) in [
            ("HTTPS://youtu.be/o9vgXOH4ET0?si=a,", "https://www.youtube.com/watch?v=o9vgXOH4ET0"),
            ("https://youtu.be/o9vgXOH4ET0?q={x}|y", "https://www.youtube.com/watch?v=o9vgXOH4ET0"),
            ("http://youtu.be/o9vgXOH4ET0", "https://www.youtube.com/watch?v=o9vgXOH4ET0"),
            ("http://youtu.be:80/o9vgXOH4ET0?a,", "https://www.youtube.com/watch?v=o9vgXOH4ET0"),
        ] {
            let url = PostUrl::recognize(text).expect(text);
            assert_eq!((&*url.given, &*url.canonical, url.platform.as_str()), (text, canonical, "youtube"));
        }
        for text in [
            "https:/youtu.be/o9vgXOH4ET0",
            "https://youtu.be/o9vgXOH4ET0 x",
            "https://youtu.be/o9vgXOH4ET0?a,https://youtu.be/b",
            "https://youtu.be/o9vgXOH4ET0,",
            "https://youtu.be:80/o9vgXOH4ET0?a,",
            "https://youtu.be/playlist?list=a,",
            "https://youtu.be/o9vgXOH4ET0?a#/b,",
            "https://example.com/a,",
            "https://0x7f.1/a",
            "nonsense",
            "é",
        ] {
            assert!(PostUrl::parse(text).is_err() && PostUrl::recognize(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_where() {
        for (text, words) in [
            ("", "the URL is empty"),
            (
                "https://e.com/a\u{200b}b",
                "the invisible character U+200B at character 16 is not allowed in a URL. Remove it, or copy the URL \
                 again",
            ),
            (
                "https://e.com/@caf\u{fffd}",
                "the incorrectly decoded character U+FFFD at character 19 is not allowed in a URL. Remove it, or copy \
                 the URL again",
            ),
            (
                "https://e.com/a\u{f8ff}",
                "the private-use character U+F8FF at character 16 is not allowed in a URL. Remove it, or copy the URL \
                 again",
            ),
            (
                "https://youtu.be/o9vgXOH4ET0%E2%80%8B",
                "U+200B follows the id, but no id contains it. Remove it and everything after it",
            ),
            ("https://e.com/a|b", "`|` at character 16 is not allowed in a URL. Write it as %7C"),
            ("https://e.com/a https://e.com/b", "more than one URL: another one begins at character 17"),
            ("youtu.be/a", "the scheme is missing. Write https:// in front of the URL"),
            ("\"https://e.com/a\"", "the URL is in quotation marks. Remove them"),
            (
                "https://e.com/a。",
                "the URL ends with `。`, which belongs to no post. Remove it, or write it as %E3%80%82",
            ),
            (
                "https://youtu.be/o9vgXOH4ET0%00",
                "%00 follows the id, but no id contains it. Remove it and everything after it",
            ),
            (
                "https://youtu.be/watch?v=o9vgXOH4ET0+a",
                "%20 follows the id, but no id contains it. Remove it and everything after it",
            ),
            (
                "https://youtu.be/o9vgXOH4ET0,x",
                "`,` follows the id, but no id contains it. Remove it and everything after it",
            ),
        ] {
            assert_eq!(PostUrl::parse(text).unwrap_err().to_string(), words);
        }
    }
}
