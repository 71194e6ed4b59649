//! Checks the rule of the canonical form with made-up URLs. Only spellings that may fold do fold.

use proptest::prelude::*;
use proptest::sample::select;

use super::known::platform_of;
use super::parts::Parts;
use super::{PostUrl, SCHEMES};

/// A URL in pieces, so that its meaning is known without reading it.
#[derive(Clone, Debug)]
struct Written {
    scheme: &'static str,
    host: &'static str,
    path: Vec<&'static str>,
    has_slash: bool,
    query: Vec<(&'static str, &'static str)>,
    fragment: &'static str,
}

const HOSTS: [&str; 21] = [
    "b23.tv",
    "www.youtube.com",
    "youtube.com",
    "m.youtube.com",
    "music.youtube.com",
    "youtu.be",
    "www.youtu.be",
    "www.tiktok.com",
    "m.tiktok.com",
    "vm.tiktok.com",
    "x.com",
    "mobile.twitter.com",
    "twitter.com",
    "www.instagram.com",
    "vimeo.com",
    "player.vimeo.com",
    "m.bilibili.com",
    "example.com",
    "www.example.com",
    "m.example.com",
    "example.org",
];

/// Hosts that may fold, the mobile ones of a platform. A separate table, which checks the other one.
const SAME: [(&str, &str); 6] = [
    ("youtube.com", "www.youtube.com"),
    ("m.youtube.com", "www.youtube.com"),
    ("www.youtu.be", "youtu.be"),
    ("m.tiktok.com", "www.tiktok.com"),
    ("mobile.twitter.com", "twitter.com"),
    ("m.bilibili.com", "www.bilibili.com"),
];

const SEGMENTS: [&str; 24] = [
    "..",
    "%2e",
    "watch",
    "shorts",
    "embed",
    "video",
    "@ann",
    "%40ann",
    "ann",
    "status",
    "i",
    "web",
    "p",
    "reel",
    "share",
    "AAAAAAAAAAA",
    "BBBBBBBBBBB",
    "1234567890",
    "1234567891",
    "BV1xx411c7mD",
    "a%2Fb",
    "",
    "abcdef12",
    "A%2f",
];

const NAMES: [&str; 10] = ["%70", "v", "list", "utm_source", "si", "share", "fbclid", "p", "h", "feature"];
const VALUES: [&str; 7] = ["AAAAAAAAAAA", "BBBBBBBBBBB", "1", "", "%FF", "%FE", "%41AAAAAAAAAA"];
const FRAGMENTS: [&str; 12] = [
    "",
    "#",
    "#top",
    "#t=30",
    "#%2Fwatch",
    "#@ann",
    "#76979871",
    "#!v=AAAAAAAAAAA",
    "#/watch",
    "#v=BBBBBBBBBBB",
    "#t=30&v=A",
    "#end",
];

fn written() -> impl Strategy<Value = Written> {
    let path = prop::collection::vec(select(SEGMENTS.to_vec()), 0..4);
    let query = prop::collection::vec((select(NAMES.to_vec()), select(VALUES.to_vec())), 0..3);
    let host = select(HOSTS.to_vec());
    (select(SCHEMES.to_vec()), host, path, any::<bool>(), query, select(FRAGMENTS.to_vec())).prop_map(
        |(scheme, host, path, has_slash, query, fragment)| Written {
            scheme,
            host,
            path,
            has_slash,
            query,
            fragment,
        },
    )
}

impl Written {
    fn text(&self) -> String {
        let mut text = format!("{}{}", self.scheme, self.host);
        self.path.iter().for_each(|segment| text.push_str(&format!("/{segment}")));
        text.push_str(if self.has_slash { "/" } else { "" });
        for (place, (name, value)) in self.query.iter().enumerate() {
            text.push_str(&format!("{}{name}={value}", if place == 0 { "?" } else { "&" }));
        }
        text + self.fragment
    }

    /// All of it except the parts that may differ between spellings of one post.
    fn essence(&self) -> String {
        let host = SAME.iter().find(|(host, _)| *host == self.host).map_or(self.host, |(_, same)| same);
        let mut path: String = self.path.iter().map(|segment| format!("/{segment}")).collect();
        path.push_str(if self.has_slash { "/" } else { "" });
        let path = path.strip_suffix('/').filter(|rest| !rest.ends_with('/')).unwrap_or(&path);
        let is_listed = |name: &str| {
            matches!(name, "utm_source" | "fbclid")
                || (!path.is_empty() && matches!(name, "si" | "share"))
                || (!path.is_empty() && name == "feature" && host.contains("youtu"))
        };
        let query: Vec<_> = self.query.iter().filter(|(name, _)| !is_listed(name)).collect();
        let fragment = match self.fragment {
            "#" | "#top" | "#end" | "#t=30" => "",
            fragment => fragment,
        };
        format!("{host} {path} {query:?} {fragment}")
    }
}

/// The shape that a URL has, and its id there.
fn shape_of(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let parts = Parts::split(scheme == "https", rest).ok()?;
    let platform = platform_of(&parts.host)?;
    let host = platform.first_host(&parts.host);
    let is_known = parts.port.is_none() && parts.fragment.is_none();
    let mut shapes = platform.shapes.iter().filter(|_| is_known);
    shapes.find_map(|shape| shape.canonical(host, &parts).ok()?)
}

fn change(one: &Written, other: Written, part: u8) -> Written {
    let mut changed = one.clone();
    match part {
        0 => changed.scheme = other.scheme,
        1 => changed.host = other.host,
        2 => changed.path = other.path,
        3 => changed.has_slash = other.has_slash,
        4 => changed.query = other.query,
        5 => changed.fragment = other.fragment,
        6 => changed.query.reverse(),
        _ => changed = other,
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn two_urls_are_one_post_only_by_what_may_differ_or_by_one_shape_with_one_id(
        one in written(),
        other in written(),
        part in 0_u8..8,
    ) {
        let other = change(&one, other, part);
        let (first, second) = (one.text(), other.text());
        if let Ok(first_url) = PostUrl::parse(&first)
            && let Ok(second_url) = PostUrl::parse(&second)
        {
            let is_one = first_url.canonical == second_url.canonical;
            let has_one_shape = shape_of(&first).is_some() && shape_of(&first) == shape_of(&second);
            let may_be_one = one.essence() == other.essence() || has_one_shape;
            prop_assert_eq!(is_one, may_be_one, "{} {}", first, second);
        }
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form(written in written()) {
        if let Ok(first) = PostUrl::parse(&written.text()) {
            // A dropped slash may have followed characters that look like punctuation of a text.
            let with_slash = || PostUrl::parse(&format!("{}/", first.canonical));
            let second = PostUrl::parse(&first.canonical).or_else(|_| with_slash());
            let second = second.expect("a canonical form is a URL");
            prop_assert_eq!(&second.canonical, &first.canonical);
            prop_assert_eq!(second.platform, first.platform);
        }
    }
}
