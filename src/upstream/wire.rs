//! Upstream's JSON in both directions: requests, and a tolerant parser of answers and callbacks.
//!
//! The shapes are the documented and captured ones, and variants of related endpoints. The parser never fails on an
//! extra field, on a number in place of a string, or on `"null"` as a string. Must never do IO, and never decide what
//! an answer means for a task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::created::CreatedAt;
use crate::domain::byte_order_mark;

/// Path of the submit call for the account's own library.
pub const SUBMIT_PRIVATE: &str = "/serve/api/v1/scraper_url";
/// Path of the submit call for the shared public library.
pub const SUBMIT_PUBLIC: &str = "/serve/api/v1/scraper_url_public";
/// Path of the poll call that lists a task's videos.
pub const POLL: &str = "/serve/api/v1/get_video_ids_by_task_id";

/// The most URLs of one submit, in `video_urls` and `tiktok_post_urls` together.
pub const MAX_URLS_PER_TASK: usize = 50;

/// The status of the callback that is sent once per task, when everything was downloaded.
pub const SUCCEEDED: &str = "SUCCEEDED";
/// The status of the callback that is sent once per indexed video.
pub const INDEXING_SUCCEEDED: &str = "INDEXING_SUCCEEDED";
/// The status of the callback for a failed task. Only older documentation names it.
pub const FAILED: &str = "FAILED";

/// Body of a submit.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct SubmitBody {
    /// The URLs of the posts, at most [`MAX_URLS_PER_TASK`], all of one platform.
    #[serde(default)]
    pub video_urls: Vec<String>,
    /// Upstream merges these into `video_urls`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiktok_post_urls: Vec<String>,
    /// The name of the folder in the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// The number of the folder in the account, the newer form of `unique_id`. It can exceed 2^53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_id: Option<i64>,
    /// The URL for callbacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// The video resolution, as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
}

/// The wrapper around every application answer: `{code, msg, data, …}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The code as four digits, whether it was a string or an integer.
    pub code: String,
    /// Upstream's own words, which may be empty.
    pub msg: String,
    /// The payload. [`Value::Null`] if there is none.
    pub data: Value,
}

impl Envelope {
    /// Reads an answer. `None` if it is not JSON or has no code.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut value = json(body)?;
        let object = value.as_object_mut()?;
        let code = normal_code(object.get("code")?)?;
        let msg = object.get("msg").and_then(words).unwrap_or_default();
        let data = object.remove("data").unwrap_or(Value::Null);
        Some(Self { code, msg, data })
    }

    /// The `taskId` of an accepted submit.
    pub fn task_id(&self) -> Option<String> {
        ["taskId", "task_id"].iter().find_map(|name| self.data.get(name).and_then(text))
    }
}

/// Whether a body is the gateway's own error, `{timestamp, path, status, error, requestId}`, which means that the
/// application behind it never saw the request.
pub fn is_infrastructure_error(body: &[u8]) -> bool {
    let Some(Value::Object(object)) = json(body) else {
        return false;
    };
    !object.contains_key("code")
        && ["timestamp", "path", "status", "error"].iter().all(|name| object.contains_key(*name))
}

/// The state of a video in a poll's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedStatus {
    /// `PARSE`: indexed.
    Indexed,
    /// `FAIL`, `FAILED`, `PARSE_ERROR`, `ERROR`.
    Failed,
    /// `UNPARSE`, no word at all, or an unknown word. Not terminal.
    Indexing,
}

/// One entry of a poll's list. It has an id, a URL or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The upstream's id, `VI…` or `PI-…`.
    pub id: Option<String>,
    /// The URL as listed. It is the submitted one, another spelling of it, or one that it leads to.
    pub url: Option<String>,
    /// The video's state.
    pub status: ListedStatus,
    /// The time at which upstream made the video (`create_time`).
    pub created_at: CreatedAt,
}

/// The list in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The readable entries, in the answer's order.
    pub entries: Vec<ListedEntry>,
    /// Whether every entry could be read. An unreadable one may be another video.
    pub is_whole: bool,
}

impl Listing {
    /// Reads the `data` of a poll's answer, in the captured or in the older shape. A missing list is empty. None if
    /// there is something else in its place, or if no entry of a list can be read.
    pub fn parse(data: &Value) -> Option<Self> {
        let videos = list(data, "videos")?;
        // Only the older shape has ids alone.
        let (listed, read): (_, fn(&Value) -> _) =
            if videos.is_empty() { (list(data, "video_ids")?, listed_id) } else { (videos, listed_video) };
        let entries: Vec<_> = listed.iter().filter_map(read).collect();
        let is_whole = entries.len() == listed.len();
        (is_whole || !entries.is_empty()).then_some(Self { entries, is_whole })
    }
}

/// The list of this name, which is empty if it is missing. None if it is not a list.
fn list<'v>(data: &'v Value, name: &str) -> Option<&'v [Value]> {
    let is_null = |value: &Value| value.is_null() || value == "null";
    let list = match data {
        Value::Object(fields) => fields.get(name).filter(|list| !is_null(list)),
        data => return is_null(data).then_some(&[]),
    };
    list.map_or(Some(&[]), |list| list.as_array().map(Vec::as_slice))
}

fn listed_id(id: &Value) -> Option<ListedEntry> {
    Some(ListedEntry {
        id: Some(text(id)?),
        url: None,
        status: ListedStatus::Indexing,
        created_at: CreatedAt::Unnamed,
    })
}

fn listed_video(video: &Value) -> Option<ListedEntry> {
    let field = |names: &[&str]| names.iter().find_map(|name| video.get(name).and_then(text));
    let id = field(&VIDEO_ID_NAMES);
    let url = ["video_url", "videoUrl"].iter().find_map(|name| listed_url(video.get(*name)?));
    if id.is_none() && url.is_none() {
        return None;
    }
    Some(ListedEntry {
        id,
        url,
        status: match field(&STATUS_NAMES).as_deref() {
            Some("PARSE") => ListedStatus::Indexed,
            Some("FAIL" | "FAILED" | "PARSE_ERROR" | "ERROR") => ListedStatus::Failed,
            _ => ListedStatus::Indexing,
        },
        created_at: ["create_time", "createTime"]
            .iter()
            .filter_map(|name| video.get(*name))
            .map(CreatedAt::of)
            .find(|time| *time != CreatedAt::Unnamed)
            .unwrap_or(CreatedAt::Unnamed),
    })
}

fn listed_url(value: &Value) -> Option<String> {
    let url = value.as_str()?.trim();
    (!url.is_empty() && url != "null" && url.len() <= LISTED_URL).then(|| url.to_owned())
}

const TASK_ID_NAMES: [&str; 2] = ["taskId", "task_id"];
const VIDEO_ID_NAMES: [&str; 4] = ["videoId", "video_id", "videoNo", "video_no"];
const STATUS_NAMES: [&str; 2] = ["status", "videoStatus"];

/// The readable fields of a callback's body. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Upstream's id of the task.
    pub task_id: Option<String>,
    /// Upstream's id of the video.
    pub video_id: Option<String>,
    /// The status, exactly as sent.
    pub status: Option<String>,
    /// Upstream's own words.
    pub message: Option<String>,
}

impl Notice {
    /// Reads a callback's body, which can contain anything. Unreadable fields are `None`.
    pub fn parse(body: &[u8]) -> Self {
        let Some(value) = json(body) else { return Self::default() };
        let field_as = |names: &[&str], read: fn(&Value) -> Option<String>| {
            [Some(&value), value.get("data")]
                .into_iter()
                .flatten()
                .find_map(|place| names.iter().find_map(|name| place.get(name).and_then(read)))
        };
        let field = |names: &[&str]| field_as(names, text);
        Self {
            task_id: field(&TASK_ID_NAMES),
            video_id: field(&VIDEO_ID_NAMES),
            status: field(&STATUS_NAMES),
            message: field_as(&["message", "msg"], words),
        }
    }
}

/// A callback's body as upstream documents it, for senders.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoticeBody {
    /// This is present only with [`INDEXING_SUCCEEDED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_id: Option<String>,
    /// The message for people.
    pub message: String,
    /// Upstream's id of the task.
    pub task_id: String,
    /// One of the statuses above.
    pub status: String,
}

/// The longest URL that is read from a list, in bytes. scrapehook sends at most 2,048 characters.
const LISTED_URL: usize = 8_192;

/// The longest text that is accepted as an id, a status or a code, in bytes. Ids seen so far have at most 69.
const TEXT: usize = 1_024;

/// Reads JSON, even if a text in it was cut inside a character, as happens with titles. Only that character is lost.
fn json(body: &[u8]) -> Option<Value> {
    let body = byte_order_mark::strip(body);
    serde_json::from_slice(body).or_else(|_| serde_json::from_str(&mended(body))).ok()
}

/// Returns the text with U+FFFD for everything that is half a character, whether escaped or not.
fn mended(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((before, escape)) = rest.find('\\').and_then(|place| rest.split_at_checked(place)) {
        mended.push_str(before);
        let is_pair = is_half(escape, b"89ab") && escape.get(6..).is_some_and(|low| is_half(low, b"cdef"));
        let length = if is_pair {
            12
        } else if is_half(escape, b"89abcdef") {
            mended.push_str("\\ufffd");
            rest = &escape[6..];
            continue;
        } else {
            // This is the backslash and the escaped character, which may be a backslash.
            1 + escape[1..].chars().next().map_or(0, char::len_utf8)
        };
        mended.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    mended.push_str(rest);
    mended
}

/// Whether a text begins with the escape of half a character, such as `\ud83d`, whose second digit is one of these.
fn is_half(text: &str, seconds: &[u8]) -> bool {
    match text.as_bytes() {
        [b'\\', b'u', b'd' | b'D', second, rest @ ..] => {
            seconds.contains(&second.to_ascii_lowercase())
                && rest.get(..2).is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

/// Reads a string, or a number as a string. `null`, `"null"`, blank text and text with control characters count as
/// nothing, because upstream can't have issued them.
fn text(value: &Value) -> Option<String> {
    let text = words(value)?;
    (text.len() <= TEXT && !text.contains(char::is_control)).then_some(text)
}

/// Like [`text`], for words of any length and several lines, which are cut if they are too long to be kept. SQLite's
/// JSON functions would cut them at a NUL.
fn words(value: &Value) -> Option<String> {
    let mut text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() || text == "null" || text.contains('\0') {
        return None;
    }
    if text.len() > 2 * TEXT {
        text = text.chars().take(TEXT).collect();
    }
    Some(text)
}

/// Reads a code. `429` and `"0429"` are the same code, because an integer loses its leading zeros.
fn normal_code(value: &Value) -> Option<String> {
    text(value).map(|code| format!("{code:0>4}"))
}

#[cfg(test)]
mod tests;
