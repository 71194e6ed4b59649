//! Canonical URLs with their ids, which tell whether two of them can be one post.
//!
//! Must never take the code of a short link for an id. A post has one id, and any number of codes.

use sha2::{Digest, Sha256};

use super::known::WITH_SEVERAL_IDS;
use super::known::platform_of;
use super::parts::Parts;
use super::{PostUrl, SCHEMES};

/// The canonical form of a URL, and the id in it if it has a known shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalUrl {
    /// The canonical form.
    pub text: String,
    /// The id that it holds. None for a short link, and for a URL of no known shape.
    pub id: Option<KnownId>,
}

impl CanonicalUrl {
    /// The canonical form with this text, as the store keeps it.
    pub fn from_stored(text: String) -> Self {
        let id = KnownId::of(&text);
        Self { text, id }
    }

    /// The number by which the store finds it: the first 64 bits of its SHA-256. It must never change.
    pub fn hash(text: &str) -> i64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&Sha256::digest(text)[..8]);
        i64::from_be_bytes(bytes)
    }
}

impl From<PostUrl> for CanonicalUrl {
    fn from(url: PostUrl) -> Self {
        Self::from_stored(url.canonical)
    }
}

/// An id of a known shape, which names one post of its platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownId {
    platform: &'static str,
    /// The canonical form of the shape.
    shape: &'static str,
    id: String,
}

impl KnownId {
    fn of(canonical: &str) -> Option<Self> {
        let parts = Parts::split(true, canonical.strip_prefix(SCHEMES[1])?).ok()?;
        let platform = platform_of(parts.dotless_host())?;
        let host = platform.first_host(parts.dotless_host());
        platform.shapes.iter().filter(|shape| shape.id.names_post).find_map(|shape| {
            let reading = shape.read(host, &parts).ok()??;
            // Parts that are kept beyond the shape may name another post.
            let is_whole = reading.canonical == canonical;
            is_whole.then_some(Self { platform: platform.name, shape: shape.canonical, id: reading.id })
        })
    }

    /// Whether the two name different posts of one platform.
    ///
    /// Ids of two platforms prove nothing about each other. Nor do ids of two shapes, on platforms that give one post
    /// an id in each: an AV number and a BV number can be one video.
    pub fn is_another_than(&self, other: &Self) -> bool {
        if self.shape == other.shape {
            return self.id != other.id;
        }
        self.platform == other.platform && !WITH_SEVERAL_IDS.contains(&self.platform)
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::KNOWN;
    use super::*;

    fn url(text: &str) -> CanonicalUrl {
        PostUrl::parse(text).expect(text).into()
    }

    #[test]
    fn a_known_shape_holds_an_id_under_every_spelling() {
        for text in [
            "http://youtu.be/o9vgXOH4ET0?si=x",
            "https://m.youtube.com/watch?v=o9vgXOH4ET0#t=3",
            "https://vimeo.com/12/ab?h=ab",
            "https://b23.tv/BV1xx411c7mD?p=2",
            "https://clips.twitch.tv/AbcDef",
        ] {
            let url = url(text);
            let id = url.id.clone().expect(text);
            assert!(url.text.contains(&id.id), "{text}");
            assert_eq!(CanonicalUrl::from_stored(url.text.clone()), url, "{text}");
        }
        assert_eq!(url("https://youtu.be/o9vgXOH4ET0").id.unwrap().id, "o9vgXOH4ET0");
    }

    #[test]
    fn short_links_and_unknown_shapes_hold_none() {
        for text in [
            "https://vm.tiktok.com/ZMabcd12/",
            "https://vt.tiktok.com/ZSabcd12/",
            "https://www.tiktok.com/t/ZTabcd12/",
            "https://fb.watch/abcd12/",
            "https://b23.tv/abcd12",
            "https://example.com/watch?v=o9vgXOH4ET0",
            "https://www.youtube.com/playlist?list=1",
            "https://www.youtube.com:8443/watch?v=o9vgXOH4ET0",
            "https://www.youtube.com/watch?v=o9vgXOH4ET0#!v=a",
            "https://vimeo.com/12?h=a&h=b",
        ] {
            assert_eq!(url(text).id, None, "{text}");
        }
        for text in ["", "https://", "http://www.youtube.com/watch?v=o9vgXOH4ET0", "ftp://e.com/", "é"] {
            assert_eq!(CanonicalUrl::from_stored(text.to_owned()).id, None, "{text}");
        }
    }

    #[test]
    fn the_number_by_which_the_store_finds_a_url_never_changes() {
        for (text, hash) in
            [("https://vimeo.com/12", 8_824_946_228_622_966_498), ("", -2_039_914_840_885_289_964)]
        {
            assert_eq!(CanonicalUrl::hash(text), hash, "{text}");
        }
    }

    #[test]
    fn another_id_of_one_shape_is_another_post() {
        let is_another = |one: &str, two: &str| {
            let (one, two) = (url(one).id.unwrap(), url(two).id.unwrap());
            assert_eq!(one.is_another_than(&two), two.is_another_than(&one));
            one.is_another_than(&two)
        };
        assert!(is_another("https://youtu.be/o9vgXOH4ET0", "https://youtu.be/AAAAAAAAAAA"));
        assert!(!is_another("https://youtu.be/o9vgXOH4ET0", "https://m.youtube.com/shorts/o9vgXOH4ET0"));
        assert!(!is_another("https://vimeo.com/12", "https://vimeo.com/12?h=ab"), "a key is no other post");
        assert!(!is_another("https://youtu.be/o9vgXOH4ET0", "https://vimeo.com/12"), "two platforms");
        assert!(is_another("https://www.twitch.tv/videos/12", "https://clips.twitch.tv/AbcDef"));
        for (one, two) in [
            ("https://www.bilibili.com/video/av12", "https://www.bilibili.com/video/BV1xx411c7mD"),
            ("https://v.redd.it/abcdefgh", "https://redd.it/abcdef"),
        ] {
            assert!(!is_another(one, two), "{one} {two}");
        }
        assert!(is_another("https://www.bilibili.com/video/av12", "https://www.bilibili.com/video/av13"));
    }

    #[test]
    fn platforms_with_several_ids_are_in_the_table() {
        for name in WITH_SEVERAL_IDS {
            let platform = KNOWN.iter().find(|platform| platform.name == *name).unwrap();
            assert!(platform.shapes.iter().filter(|shape| shape.id.names_post).count() > 1, "{name}");
        }
    }
}
