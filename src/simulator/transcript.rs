//! What a simulator tells of its doings, for people to read.
//!
//! Must never carry the path of a callback URL: the token in it is a secret.

use url::Url;

/// One happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A submit became a task.
    Accepted {
        /// The new task.
        task_id: String,
        /// How many URLs it has.
        urls: usize,
        /// Their platform.
        platform: String,
        /// The quality asked for, or the endpoint's default.
        quality: String,
        /// Where its callbacks go, without the path.
        callback_origin: Option<String>,
    },
    /// A request was answered with an error.
    Refused {
        /// What was asked: `submit`, `poll` or `list`.
        request: &'static str,
        /// The application's code, or the HTTP status where the infrastructure answered.
        code: &'static str,
        /// The error's words.
        msg: String,
    },
    /// A poll was answered.
    Polled {
        /// The task asked for.
        task_id: String,
        /// How many videos the answer lists.
        videos: usize,
    },
    /// A callback was sent.
    Callback {
        /// Its task.
        task_id: String,
        /// Its status.
        status: String,
        /// Its video, if it is about one.
        video_id: Option<String>,
        /// Where it went, without the path.
        origin: String,
        /// The HTTP status that came back, or why none did.
        answer: Result<u16, &'static str>,
    },
    /// A fault was applied.
    Fault {
        /// Its name, as on the command line.
        fault: &'static str,
        /// What it happened to: a kind of request, a task, a URL, a folder or a video.
        on: String,
    },
}

/// What may be shown of a callback URL.
pub(super) fn origin(callback_url: &str) -> String {
    Url::parse(callback_url)
        .map_or_else(|_| "an unreadable URL".to_owned(), |url| url.origin().ascii_serialization())
}
