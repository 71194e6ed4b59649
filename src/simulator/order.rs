//! The order of a submit, checked against the documented rules.
//!
//! Must never look at the account, because a bad order is bad for everybody.

use crate::upstream::wire::{MAX_URLS_PER_TASK, SubmitBody};

use super::answers::Refusal;
use super::platform::{host, platform};

const QUALITIES: [&str; 6] = ["360", "480", "720", "1080", "1440", "2160"];
const DEFAULT_FOLDER: &str = "default";
const DEFAULT_FOLDER_ID: i64 = -1;
/// The longest callback URL, from the documentation of a related endpoint.
const CALLBACK_URL_CAP: usize = 299;

/// The code for a broken rule: bad or missing parameters.
const BROKEN_RULE: &str = "0001";
/// The code for an unreadable request: bad or missing parameters.
const UNREADABLE: &str = "0003";

/// The library for the videos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// The library of the account.
    Private,
    /// The library that is open to everybody, forever.
    Public,
}

impl Library {
    /// The prefix of the ids of its videos.
    pub(super) const fn id_prefix(self) -> &'static str {
        match self {
            Self::Private => "VI",
            Self::Public => "PI-",
        }
    }

    const fn default_quality(self) -> &'static str {
        match self {
            Self::Private => "360",
            Self::Public => "720",
        }
    }
}

/// The place of a task's videos in the libraries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The public library, which has no folders.
    Public,
    /// A folder of the account, by name.
    Folder(String),
    /// A folder of the account, by number.
    FolderId(i64),
}

impl Place {
    fn of(library: Library, body: &SubmitBody) -> Self {
        match (library, body.folder_id) {
            (Library::Public, _) => Self::Public,
            (Library::Private, Some(id)) if id != DEFAULT_FOLDER_ID => Self::FolderId(id),
            (Library::Private, Some(_)) => Self::Folder(DEFAULT_FOLDER.to_owned()),
            (Library::Private, None) => {
                Self::Folder(body.unique_id.as_deref().unwrap_or(DEFAULT_FOLDER).to_owned())
            }
        }
    }

    /// Whether this is the folder with this name, or with this number in decimal.
    pub(super) fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Public => false,
            Self::Folder(folder) if folder == DEFAULT_FOLDER => {
                name == DEFAULT_FOLDER || name.parse() == Ok(DEFAULT_FOLDER_ID)
            }
            Self::Folder(folder) => folder == name,
            Self::FolderId(id) => name.parse() == Ok(*id),
        }
    }

    /// Whether a later call may name this folder. It must be the submitted one.
    pub(super) fn admits(&self, unique_id: &str) -> bool {
        match self {
            Self::Folder(name) => name == unique_id,
            Self::Public | Self::FolderId(_) => true,
        }
    }
}

/// A valid submit.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The library.
    pub(super) library: Library,
    /// The place in the library.
    pub(super) place: Place,
    /// The URLs of both lists.
    pub(super) urls: Vec<String>,
    /// The platform of all URLs.
    pub(super) platform: String,
    /// The requested quality, or the endpoint's default.
    pub(super) quality: String,
    /// The URL for callbacks.
    pub(super) callback_url: Option<String>,
}

/// Reads a submit's body. Refuses a body that is not JSON or has a field of the wrong type.
pub(super) fn read(body: &[u8]) -> Result<SubmitBody, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::application(UNREADABLE, format!("The body can't be read: {error}.")))
}

impl Order {
    /// Checks a submit against the rules. The hosts of one platform may be in one submit, unless each host is a
    /// platform.
    pub(super) fn check(
        library: Library,
        body: &SubmitBody,
        hosts_are_platforms: bool,
    ) -> Result<Self, Refusal> {
        let broken = |msg: String| Err(Refusal::application(BROKEN_RULE, msg));
        let urls: Vec<String> = body.video_urls.iter().chain(&body.tiktok_post_urls).cloned().collect();
        if urls.len() > MAX_URLS_PER_TASK {
            return broken(format!(
                "{} URLs are too many, at most {MAX_URLS_PER_TASK} are allowed.",
                urls.len()
            ));
        }
        let mut platforms = Vec::new();
        for url in &urls {
            match platform(url) {
                Some(platform) => platforms.push(platform),
                None => return broken(format!("{url:?} is not a video URL.")),
            }
        }
        let Some(platform) = platforms.first().cloned() else {
            return broken("video_urls must not be empty.".to_owned());
        };
        if hosts_are_platforms {
            platforms = urls.iter().filter_map(|url| host(url)).collect();
        }
        platforms.dedup();
        if let [first, second, ..] = platforms.as_slice() {
            return broken(format!("One platform per call, not {first} and {second}."));
        }
        let quality = body.quality.as_deref().unwrap_or_else(|| library.default_quality());
        if !QUALITIES.contains(&quality) {
            return broken(format!("quality {quality:?} is unknown."));
        }
        if body.callback_url.as_ref().is_some_and(|url| url.len() >= CALLBACK_URL_CAP) {
            return broken(format!("callback_url must stay under {CALLBACK_URL_CAP} characters."));
        }
        Ok(Self {
            library,
            place: Place::of(library, body),
            urls,
            platform,
            quality: quality.to_owned(),
            callback_url: body.callback_url.clone(),
        })
    }
}
