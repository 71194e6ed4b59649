//! Destinations: the places where upstream keeps videos. A post at one destination is at no other.
//!
//! Must never treat a name and a number as one destination. They may be one in upstream, but scrapehook cannot tell.

use std::fmt;

use sha2::{Digest, Sha256};

use super::job::{JobOptions, Library};

/// The name of the default folder, in requests and from users.
const DEFAULT_NAME: &str = "default";
/// The number of the default folder.
const DEFAULT_NUMBER: i64 = -1;
/// Keeps the hash apart from any other. It must never change: tokens in use and the table of destinations hold hashes.
const DOMAIN: &[u8] = b"scrapehook destination 1\0";

/// The stored destination of a task that was recovered from an old token: an unknown folder of the private library. Its
/// posts count for all folders, because doubt never spends money. No destination has this hash.
pub const ANY_PRIVATE: [u8; 8] = [0; 8];

/// A library and a folder in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// The library that everybody shares. It has no folders.
    Public,
    /// The private library's default folder: no folder, `default`, or -1.
    Default,
    /// The private folder with this name.
    Name(String),
    /// The private folder with this number.
    Number(i64),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("the public library"),
            Self::Default => f.write_str("the default folder"),
            Self::Name(name) => write!(f, "the folder {name:?}"),
            Self::Number(number) => write!(f, "the folder number {number}"),
        }
    }
}

/// The fields of a request that name the folder. At most one of them is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderFields<'a> {
    /// The name of the folder.
    pub unique_id: Option<&'a str>,
    /// The number of the folder.
    pub folder_id: Option<i64>,
}

impl Destination {
    /// The destination of a job with these options. A name counts before a number, if there are both.
    pub fn of(options: &JobOptions) -> Self {
        match (options.library, &options.unique_id, options.folder_id) {
            (Library::Public, ..) => Self::Public,
            (Library::Private, Some(name), _) if name != DEFAULT_NAME => Self::Name(name.clone()),
            (Library::Private, _, Some(number)) if number != DEFAULT_NUMBER => Self::Number(number),
            (Library::Private, ..) => Self::Default,
        }
    }

    /// Its library.
    pub const fn library(&self) -> Library {
        match self {
            Self::Public => Library::Public,
            Self::Default | Self::Name(_) | Self::Number(_) => Library::Private,
        }
    }

    /// The fields of its submits and polls. They name even the default folder, because upstream wants the same folder
    /// in follow-up calls.
    pub fn fields(&self) -> FolderFields<'_> {
        let (unique_id, folder_id) = match self {
            Self::Public => (None, None),
            Self::Default => (Some(DEFAULT_NAME), None),
            Self::Name(name) => (Some(name.as_str()), None),
            Self::Number(number) => (None, Some(*number)),
        };
        FolderFields { unique_id, folder_id }
    }

    /// Its eight bytes in tokens and in the store: the beginning of the SHA-256 of a tag and the name or the number.
    /// They never change. Two destinations of one account have the same ones with a chance of 2^-64.
    pub fn hash(&self) -> [u8; 8] {
        let hash = Sha256::new().chain_update(DOMAIN);
        let hash = match self {
            Self::Public => hash.chain_update([0]),
            Self::Default => hash.chain_update([1]),
            Self::Name(name) => hash.chain_update([2]).chain_update(name),
            Self::Number(number) => hash.chain_update([3]).chain_update(number.to_be_bytes()),
        };
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.finalize()[..8]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn destination(library: Library, name: Option<&str>, number: Option<i64>) -> Destination {
        Destination::of(&JobOptions {
            unique_id: name.map(str::to_owned),
            folder_id: number,
            library,
            ..JobOptions::default()
        })
    }

    fn name(text: &str) -> Destination {
        Destination::Name(text.to_owned())
    }

    #[test]
    fn no_folder_default_and_minus_one_are_the_default_folder() {
        let private = |name, number| destination(Library::Private, name, number);
        for (folder, number) in
            [(None, None), (Some("default"), None), (None, Some(-1)), (Some("default"), Some(-1))]
        {
            assert_eq!(private(folder, number), Destination::Default);
        }
        assert_eq!(private(Some("a"), None), name("a"));
        assert_eq!(private(Some("a"), Some(7)), name("a"));
        assert_eq!(private(Some("-1"), None), name("-1"));
        assert_eq!(private(None, Some(7)), Destination::Number(7));
        assert_eq!(private(Some("default"), Some(7)), Destination::Number(7));
        assert_eq!(destination(Library::Public, Some("a"), Some(7)), Destination::Public);
    }

    #[test]
    fn a_request_names_the_folder_as_its_user_did_and_the_default_folder_by_name() {
        for (destination, unique_id, folder_id, library) in [
            (Destination::Public, None, None, Library::Public),
            (Destination::Default, Some("default"), None, Library::Private),
            (name("a"), Some("a"), None, Library::Private),
            (Destination::Number(i64::MAX), None, Some(i64::MAX), Library::Private),
        ] {
            assert_eq!(destination.fields(), FolderFields { unique_id, folder_id });
            assert_eq!(destination.library(), library);
        }
    }

    #[test]
    fn a_hash_stands_for_one_destination() {
        let numbers = [0, 1, -1, 7, i64::MIN, i64::MAX].map(Destination::Number);
        let names = ["", "7", "default", "public", "\0", "\0\0\0\0\0\0\0\u{7}"].map(name);
        let all: Vec<_> =
            numbers.into_iter().chain(names).chain([Destination::Public, Destination::Default]).collect();
        let hashes: BTreeSet<_> = all.iter().map(Destination::hash).collect();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn hashes_are_stable() {
        for (destination, hash) in [
            (Destination::Public, 0x39f1_ddea_f69d_0ae0_u64),
            (Destination::Default, 0x0999_4fb2_5831_24d5),
            (name("a"), 0x0f7a_edf0_f73b_a5ae),
            (Destination::Number(7), 0x6c94_7a30_3094_e85d),
        ] {
            assert_eq!(u64::from_be_bytes(destination.hash()), hash, "{destination:?}");
        }
    }
}
