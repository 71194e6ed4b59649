//! Jobs: their settings, states and progress.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::forecast::JobQueue;
use super::id::{JobId, TaskId};
use super::outcome::UrlState;
use super::queue::Priority;
use super::task::TaskState;
use super::time::Timestamp;
use super::url::Platform;
use super::words;

words! {
    /// Video resolution, in lines. Upstream documents these values.
    Quality {
        /// 360 lines.
        P360 = "360",
        /// 480 lines.
        P480 = "480",
        /// 720 lines.
        P720 = "720",
        /// 1080 lines.
        P1080 = "1080",
        /// 1440 lines.
        P1440 = "1440",
        /// 2160 lines.
        P2160 = "2160",
    }
}

words! {
    /// Library for the videos.
    Library {
        /// The account's library.
        Private = "private",
        /// The library that everybody shares. Videos stay there forever.
        Public = "public",
    }
}

impl Quality {
    /// Its number in the store, the vertical resolution.
    pub const fn number(self) -> i64 {
        match self {
            Self::P360 => 360,
            Self::P480 => 480,
            Self::P720 => 720,
            Self::P1080 => 1080,
            Self::P1440 => 1440,
            Self::P2160 => 2160,
        }
    }

    /// The quality with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|quality| quality.number() == number)
    }
}

impl Library {
    /// Upstream's documented default for this library.
    pub const fn default_quality(self) -> Quality {
        match self {
            Self::Private => Quality::P360,
            Self::Public => Quality::P720,
        }
    }
}

words! {
    /// The state of a job, derived from those of its URLs.
    JobState {
        /// A URL has not ended yet.
        Running = "running",
        /// Every URL is indexed or known.
        Done = "done",
        /// Every URL has ended, and some have failed.
        Partial = "partial",
        /// No URL is indexed or known.
        Failed = "failed",
        /// Every URL was canceled.
        Canceled = "canceled",
    }
}

/// The most bytes of the body that asks for a job.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// The settings of a job's tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// Folder name in upstream's account.
    pub unique_id: Option<String>,
    /// Folder number in upstream's account.
    pub folder_id: Option<i64>,
    /// Video resolution.
    pub quality: Quality,
    /// Library for the videos.
    pub library: Library,
    /// Labels to find the job by.
    pub labels: BTreeMap<String, String>,
    /// Urgency among the jobs of the same API key.
    pub priority: Priority,
}

/// The settings of a job that names only its URLs.
impl Default for JobOptions {
    fn default() -> Self {
        Self {
            unique_id: None,
            folder_id: None,
            quality: Library::Private.default_quality(),
            library: Library::Private,
            labels: BTreeMap::new(),
            priority: Priority::Normal,
        }
    }
}

/// Numbers of a job's URLs by state. The states add up to `urls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// All URLs. Spellings of one post count once.
    pub urls: i64,
    /// URLs in the queue, or in a task that is `queued`.
    pub waiting: i64,
    /// URLs in a task that is `submitting`, `unconfirmed` or `accepted`.
    pub sent: i64,
    /// URLs in a task that the memories.ai API has downloaded.
    pub downloaded: i64,
    /// URLs with an indexed video whose videos have all ended.
    pub indexed: i64,
    /// URLs that ended without an indexed video, or were canceled.
    pub failed: i64,
    /// URLs that were indexed already when the job came, and were not sent again.
    pub known: i64,
    /// Number of failed URLs that were canceled. Clients do not see it.
    #[serde(skip)]
    pub canceled: i64,
}

impl Progress {
    /// Counts `by` more URLs in this state.
    pub fn add(&mut self, state: UrlState, by: i64) {
        *match state {
            UrlState::Waiting => &mut self.waiting,
            UrlState::Sent => &mut self.sent,
            UrlState::Downloaded => &mut self.downloaded,
            UrlState::Indexed => &mut self.indexed,
            UrlState::Failed => &mut self.failed,
            UrlState::Known => &mut self.known,
        } += by;
    }

    /// The state of a job with these numbers.
    pub const fn job_state(&self) -> JobState {
        if self.waiting + self.sent + self.downloaded > 0 {
            JobState::Running
        } else if self.indexed + self.known == self.urls {
            JobState::Done
        } else if self.canceled == self.urls {
            JobState::Canceled
        } else if self.indexed + self.known == 0 {
            JobState::Failed
        } else {
            JobState::Partial
        }
    }
}

/// A job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Job {
    /// scrapehook's id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// Time when it was stored.
    pub created_at: Timestamp,
    /// Time when its last URL ended. Null while the job is `running`, and again if news reopens it.
    #[schema(required)]
    pub settled_at: Option<Timestamp>,
    /// Labels of the job.
    pub labels: BTreeMap<String, String>,
    /// Folder name, as given.
    #[schema(required)]
    pub unique_id: Option<String>,
    /// Folder number, as given.
    #[schema(required)]
    pub folder_id: Option<i64>,
    /// Video resolution.
    pub quality: Quality,
    /// Library for the videos.
    pub library: Library,
    /// Urgency among the jobs of the same API key.
    pub priority: Priority,
    /// URL that receives webhooks about the job, without its secrets.
    #[schema(required)]
    pub callback_url: Option<String>,
    /// Numbers of its URLs by state.
    pub progress: Progress,
    /// Place of its waiting URLs in the queue. Null if none waits.
    #[schema(required)]
    pub queue: Option<JobQueue>,
    /// Its tasks. Only in the answer for a single job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<JobTask>>,
}

/// A task in the answer for a single job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobTask {
    /// scrapehook's id.
    pub id: TaskId,
    /// Its state.
    pub state: TaskState,
    /// The platform of its URLs.
    pub platform: Platform,
    /// Number of its URLs.
    pub urls: i64,
}

/// Plan of a job, the result of a dry run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobPlan {
    /// All URLs. Spellings of one post count once.
    pub urls: usize,
    /// Requests for the rest of the URLs, if no URLs of other jobs were packed with them.
    pub tasks: Vec<PlannedUrls>,
    /// URLs that are indexed already.
    pub known: usize,
    /// URLs that another job has queued or sent already. The job would share them.
    pub following: usize,
    /// Those of `following` whose submit was not answered. They may never come. Only `force` and `retry` send them
    /// again.
    pub unconfirmed: usize,
    /// Place that its waiting URLs would have in the queue. Null if none would wait.
    #[schema(required)]
    pub queue: Option<JobQueue>,
}

/// A request that the job would need.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedUrls {
    /// The platform of its URLs.
    pub platform: Platform,
    /// Number of its URLs.
    pub urls: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_follows_its_urls() {
        let with = |states: &[(UrlState, i64)], canceled| {
            let mut progress = Progress { canceled, ..Progress::default() };
            for &(state, urls) in states {
                progress.add(state, urls);
                progress.urls += urls;
            }
            progress.job_state()
        };
        use UrlState::{Downloaded, Failed, Indexed, Known, Sent, Waiting};
        for open in [Waiting, Sent, Downloaded] {
            assert_eq!(with(&[(open, 1), (Indexed, 9)], 0), JobState::Running);
        }
        assert_eq!(with(&[(Indexed, 2), (Known, 1)], 0), JobState::Done);
        assert_eq!(with(&[(Known, 1)], 0), JobState::Done);
        assert_eq!(with(&[(Indexed, 2), (Failed, 1)], 0), JobState::Partial);
        assert_eq!(with(&[(Indexed, 1), (Known, 1), (Failed, 1)], 0), JobState::Partial);
        assert_eq!(with(&[(Failed, 3)], 2), JobState::Failed);
        assert_eq!(with(&[(Failed, 3)], 3), JobState::Canceled);
    }

    #[test]
    fn numbers_in_the_store_never_change() {
        let qualities = Quality::ALL.iter().map(|quality| quality.number());
        assert!(qualities.eq([360, 480, 720, 1080, 1440, 2160]));
        use UrlState::{Downloaded, Failed, Indexed, Known, Sent, Waiting};
        for (number, state) in (0..).zip([Failed, Waiting, Sent, Downloaded, Indexed, Known]) {
            assert_eq!((state.number(), UrlState::from_number(number)), (number, Some(state)));
        }
        for number in [-1, 6] {
            assert_eq!((UrlState::from_number(number), Quality::from_number(number)), (None, None));
        }
        for &quality in Quality::ALL {
            assert_eq!(Quality::from_number(quality.number()), Some(quality));
        }
    }

    #[test]
    fn each_library_has_the_default_quality_that_upstream_documents() {
        assert_eq!(Library::Private.default_quality(), Quality::P360);
        assert_eq!(Library::Public.default_quality(), Quality::P720);
    }
}
