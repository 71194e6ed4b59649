//! The transcript of a simulator, for people.
//!
//! Must never contain the path of a callback URL, because the token in it is a secret.

use url::Url;

/// One event of the transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A submit became a task.
    Accepted {
        /// The new task.
        task_id: String,
        /// The number of its URLs.
        urls: usize,
        /// Their platform.
        platform: String,
        /// The requested quality, or the endpoint's default.
        quality: String,
        /// The target of its callbacks, without the path.
        callback_origin: Option<String>,
    },
    /// A request was answered with an error.
    Refused {
        /// The kind of the request: `submit`, `poll` or `list`.
        request: &'static str,
        /// The application's code, or the HTTP status of the infrastructure.
        code: &'static str,
        /// The error's words.
        msg: String,
    },
    /// A poll was answered.
    Polled {
        /// The requested task.
        task_id: String,
        /// The number of videos in the answer.
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
        /// The target, without the path.
        origin: String,
        /// The HTTP status of the answer, or the reason why there was none.
        answer: Result<u16, &'static str>,
    },
    /// A fault was applied.
    Fault {
        /// Its name on the command line.
        fault: &'static str,
        /// Its subject: a kind of request, a task, a URL, a folder or a video.
        on: String,
    },
}

/// The part of a callback URL that may be shown.
pub(super) fn origin(callback_url: &str) -> String {
    Url::parse(callback_url)
        .map_or_else(|_| "an unreadable URL".to_owned(), |url| url.origin().ascii_serialization())
}
