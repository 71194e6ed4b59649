//! Post URLs: which platform one belongs to, and which spellings mean the same post.
//!
//! The canonical form is for comparing only. Upstream receives each URL as the user gave it. Must never fold two posts
//! into one: two URLs have the same canonical form if both have the same known shape with the same id, or if they
//! differ in nothing but the scheme, a `www.` or mobile host that is known, a slash at the end, parameters that never
//! name a post, or a place or time within the page.

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
use url::Url;
use utoipa::ToSchema;

pub use self::invalid::InvalidUrl;
use self::parts::Parts;
use self::platforms::KnownPlatform;

/// Longest URL that is taken, in characters.
pub const MAX_URL_CHARS: usize = 2_048;

/// The version of the canonical form. Another one has stored forms computed again at the next start, so it must grow
/// whenever any URL gets another canonical form.
pub const CANONICAL_FORM: i64 = 2;

/// How a URL that can be scraped begins.
const SCHEMES: [&str; 2] = ["http://", "https://"];

/// Where a post lives: the word of a platform that is known, such as `youtube`, else the host itself.
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
    /// As the user gave it, without surrounding white space and invisible characters.
    pub given: String,
    /// The same for every spelling of the same post.
    pub canonical: String,
    /// Where the post lives.
    pub platform: Platform,
}

impl PostUrl {
    /// Reads the one URL that a text holds.
    ///
    /// # Errors
    /// [`InvalidUrl`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let given = text::only_url(text)?;
        let (scheme, rest) = given.split_once("://").ok_or(InvalidUrl::NotAUrl)?;
        let parts = Parts::split(scheme.eq_ignore_ascii_case("https"), rest)?;
        let (platform, canonical) = canonicalize(&parts)?;
        Ok(Self { given: given.to_owned(), canonical, platform: Platform(platform) })
    }

    /// Reads a URL that nobody can be asked about: an older version took it, or upstream names it. One that
    /// [`parse`](Self::parse) refuses is the same post as nothing but itself.
    pub fn recognize(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| {
            let url = Url::parse(text.trim()).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
            let platform = KnownPlatform::of(host).map_or(host, |platform| platform.name);
            Self {
                given: text.to_owned(),
                canonical: text.to_owned(),
                platform: Platform(platform.to_owned()),
            }
        })
    }
}

/// The platform, and the form by which posts are compared.
fn canonicalize(url: &Parts<'_>) -> Result<(String, String), InvalidUrl> {
    let host = url.dotless_host();
    let Some(platform) = KnownPlatform::of(host) else {
        return Ok((host.to_owned(), url.keep_all(&url.host, |_| false)));
    };
    let name = platform.first_host(host);
    // A port means another server, and a fragment that is kept may name another post: nothing is known of it.
    if url.port.is_none() && url.fragment.is_none() {
        for shape in platform.shapes {
            if let Some(canonical) = shape.canonical(name, url)? {
                return Ok((platform.name.to_owned(), canonical));
            }
        }
    }
    // Only what is written like a host of the table is one.
    let name = if url.host.ends_with('.') || url.port.is_some() { &url.host } else { name };
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
    fn an_id_with_punctuation_behind_it_is_refused() {
        let refused = PostUrl::parse("https://youtu.be/o9vgXOH4ET0)?si=x");
        assert_eq!(refused, Err(InvalidUrl::Trailing(')')));
    }

    #[test]
    fn what_can_no_longer_be_parsed_is_the_same_as_itself_alone() {
        for (text, platform) in [
            ("https:/youtu.be/a", "youtube"),
            ("https:youtu.be/b", "youtube"),
            ("https://0x7f.1/a", "127.0.0.1"),
            ("nonsense", ""),
        ] {
            assert!(PostUrl::parse(text).is_err(), "{text}");
            let url = PostUrl::recognize(text);
            assert_eq!((&*url.given, &*url.canonical, url.platform.as_str()), (text, text, platform));
        }
        let text = "http://youtu.be/o9vgXOH4ET0";
        assert_eq!(PostUrl::recognize(text), PostUrl::parse(text).unwrap());
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_where() {
        for (text, words) in [
            ("", "the URL is empty"),
            ("https://e.com/a\u{200b}b", "the invisible character U+200B at character 16"),
            ("https://e.com/a|b", "`|` at character 16 is not allowed in a URL; write it as %7C"),
            ("https://e.com/a https://e.com/b", "more than one URL: another one begins at character 17"),
            ("youtu.be/a", "the scheme is missing: write https:// in front of it"),
            ("\"https://e.com/a\"", "the URL is in quotation marks: remove them"),
        ] {
            assert_eq!(PostUrl::parse(text).unwrap_err().to_string(), words);
        }
    }
}
