//! Jobs: what a client submits, and where it stands.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::forecast::JobQueue;
use super::id::{JobId, TaskId};
use super::queue::Priority;
use super::task::TaskState;
use super::time::Timestamp;
use super::url::Platform;
use super::words;

words! {
    /// Lines of the wanted picture: the values that upstream documents.
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
    /// Where the videos are put.
    Library {
        /// The account's own library.
        Private = "private",
        /// The library that everybody shares, for ever.
        Public = "public",
    }
}

impl Quality {
    /// The number that stands for it in the store: the vertical resolution.
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

    /// The quality that this number stands for.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|quality| quality.number() == number)
    }
}

impl Library {
    /// The quality that upstream documents as its default for this library.
    pub const fn default_quality(self) -> Quality {
        match self {
            Self::Private => Quality::P360,
            Self::Public => Quality::P720,
        }
    }
}

words! {
    /// Where a job stands, derived from where its URLs stand.
    JobState {
        /// A URL has no outcome yet.
        Running = "running",
        /// Every URL is indexed or known.
        Done = "done",
        /// Every URL has an outcome, some failed.
        Partial = "partial",
        /// No URL is indexed or known.
        Failed = "failed",
        /// Every URL was canceled.
        Canceled = "canceled",
    }
}

words! {
    /// Where one URL of a job or a task stands.
    UrlState {
        /// Its task is queued.
        Waiting = "waiting",
        /// Its task is submitting, unconfirmed or accepted.
        Sent = "sent",
        /// Its task was downloaded.
        Downloaded = "downloaded",
        /// A video of it is indexed, and all of its videos have ended.
        Indexed = "indexed",
        /// It ended without an indexed video.
        Failed = "failed",
        /// An earlier task indexed it: it was not sent again.
        Known = "known",
    }
}

impl UrlState {
    /// The number that stands for it in the store. Of several tasks of a round, the greatest number holds.
    pub const fn number(self) -> i64 {
        match self {
            Self::Failed => 0,
            Self::Waiting => 1,
            Self::Sent => 2,
            Self::Downloaded => 3,
            Self::Indexed => 4,
            Self::Known => 5,
        }
    }

    /// The state that this number stands for.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }
}

/// The settings that a job's tasks are submitted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// Folder name in the upstream's account.
    pub unique_id: Option<String>,
    /// Folder number in the upstream's account.
    pub folder_id: Option<i64>,
    /// Lines of the wanted picture.
    pub quality: Quality,
    /// Where the videos are put.
    pub library: Library,
    /// The client's own words to find the job by.
    pub labels: BTreeMap<String, String>,
    /// How urgent it is among the jobs of its API key.
    pub priority: Priority,
}

/// Those of a job that says nothing but its URLs.
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

/// How many of a job's URLs stand where; the states add up to `urls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// URLs after folding.
    pub urls: i64,
    /// See [`UrlState::Waiting`].
    pub waiting: i64,
    /// See [`UrlState::Sent`].
    pub sent: i64,
    /// See [`UrlState::Downloaded`].
    pub downloaded: i64,
    /// See [`UrlState::Indexed`].
    pub indexed: i64,
    /// See [`UrlState::Failed`].
    pub failed: i64,
    /// See [`UrlState::Known`].
    pub known: i64,
    /// How many of the failed were canceled; not shown.
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

    /// The state of a job whose URLs stand like this.
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

/// A job as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Job {
    /// Our id.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When its last URL got its outcome; null again where news reopened it.
    #[schema(required)]
    pub settled_at: Option<Timestamp>,
    /// The client's own words.
    pub labels: BTreeMap<String, String>,
    /// Folder name, as given.
    #[schema(required)]
    pub unique_id: Option<String>,
    /// Folder number, as given.
    #[schema(required)]
    pub folder_id: Option<i64>,
    /// Lines of the wanted picture.
    pub quality: Quality,
    /// Where the videos are put.
    pub library: Library,
    /// How urgent it is among the jobs of its API key.
    pub priority: Priority,
    /// Where its URLs stand.
    pub progress: Progress,
    /// When what waits of it is expected to be sent; null if nothing waits.
    #[schema(required)]
    pub queue: Option<JobQueue>,
    /// Its tasks; only where one job is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<JobTask>>,
}

/// A task in its job's own answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobTask {
    /// Our id.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// The platform of its URLs.
    pub platform: Platform,
    /// How many URLs it carries.
    pub urls: i64,
}

/// What would become of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobPlan {
    /// URLs after folding.
    pub urls: usize,
    /// The requests that the other URLs would need if they were sent alone.
    pub tasks: Vec<PlannedUrls>,
    /// URLs that are indexed already.
    pub known: usize,
    /// URLs that another job has queued or sent already: the job would share them.
    pub following: usize,
    /// How many of `following` were sent in a submit whose answer was lost. They may never come: only `force` and
    /// `retry` send them again.
    pub unconfirmed: usize,
    /// When what would wait of it is expected to be sent; null if nothing would.
    #[schema(required)]
    pub queue: Option<JobQueue>,
}

/// A request that would be needed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlannedUrls {
    /// The platform of its URLs.
    pub platform: Platform,
    /// How many there are.
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
