//! What a submit asks for, checked against the documented rules.
//!
//! Must never look at the account: a bad order is bad for everybody.

use crate::upstream::wire::{MAX_URLS_PER_TASK, SubmitBody};

use super::answers::Refusal;
use super::platform::{host, platform};

const QUALITIES: [&str; 6] = ["360", "480", "720", "1080", "1440", "2160"];
const DEFAULT_FOLDER: &str = "default";
const DEFAULT_FOLDER_ID: i64 = -1;
/// The documented cap of a sibling endpoint: a callback URL stays under it.
const CALLBACK_URL_CAP: usize = 299;

/// Bad or missing parameters: a rule is broken.
const BROKEN_RULE: &str = "0001";
/// Bad or missing parameters: the request can't be read.
const UNREADABLE: &str = "0003";

/// Whose library the videos go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// The account's own.
    Private,
    /// Everybody's, for ever.
    Public,
}

impl Library {
    /// What its videos' ids begin with.
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

/// Where in the libraries a task's videos lie.
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

    /// Whether this is the folder with a name, or with a number in decimal.
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

    /// Whether a follow-up call may name this folder: it must be the submitted one.
    pub(super) fn admits(&self, unique_id: &str) -> bool {
        match self {
            Self::Folder(name) => name == unique_id,
            Self::Public | Self::FolderId(_) => true,
        }
    }
}

/// A submit that keeps the rules.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Whose library it is for.
    pub(super) library: Library,
    /// Where in it.
    pub(super) place: Place,
    /// All URLs, both lists merged.
    pub(super) urls: Vec<String>,
    /// The one platform of the URLs.
    pub(super) platform: String,
    /// The quality asked for, or the endpoint's default.
    pub(super) quality: String,
    /// Where callbacks go.
    pub(super) callback_url: Option<String>,
}

/// Reads a submit's body, refusing what is no JSON or has a field of the wrong type.
pub(super) fn read(body: &[u8]) -> Result<SubmitBody, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::application(UNREADABLE, format!("The body can't be read: {error}.")))
}

impl Order {
    /// Checks a submit against the rules. The hosts of one platform go together, unless each host is one.
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
