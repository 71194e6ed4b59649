//! A task with all its evidence, as the file has it, and the changes by facts and entries. Must never differ from the
//! file after a commit.

use std::collections::HashMap;

use crate::domain::evidence::{Entry, Evidence};
use crate::domain::outcome::{Failure, UrlState};
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::domain::url::CanonicalUrl;
use crate::domain::video::VideoState;
use crate::store::batch::changes::{ListedEntry, Round};

/// The most entries that are kept of a task, besides those that decide about one of its URLs.
const ENTRIES: usize = 1_000;

/// A stored URL of a task.
#[derive(Debug)]
pub(crate) struct LoadedUrl {
    pub(crate) position: i64,
    pub(crate) round: Round,
    /// The number of its post.
    pub(crate) post: i64,
    /// Whether the round has no other task.
    pub(crate) is_only: bool,
    pub(crate) state: UrlState,
    pub(crate) standing: i64,
    pub(crate) attributed: bool,
    pub(crate) code: Option<String>,
    pub(crate) certain: Option<bool>,
    /// The ids of its videos, sorted.
    pub(crate) videos: Vec<String>,
}

/// A task as the file has it.
#[derive(Debug)]
pub(crate) struct LoadedTask {
    pub(crate) number: i64,
    pub(crate) state: String,
    pub(crate) accepted_at: Option<i64>,
    pub(crate) downloaded_at: Option<i64>,
    pub(crate) settled_at: Option<i64>,
    /// See the columns of the same names.
    pub(crate) news: i64,
    pub(crate) news_at: i64,
    pub(crate) polled_news: i64,
    pub(crate) asked_news: i64,
    pub(crate) polled_at: Option<i64>,
    pub(crate) answered_at: Option<i64>,
    pub(crate) poll_wanted: i64,
    pub(crate) polls_in_vain: u32,
    pub(crate) poll_not_before: i64,
    pub(crate) quiet_since: Option<i64>,
    pub(crate) stalled_at: Option<i64>,
    pub(crate) next_poll_at: Option<i64>,
    pub(crate) error: Option<(String, String, bool)>,
    /// Whether an older version decided its end, and there was no news since.
    pub(crate) is_old: bool,
    pub(crate) upstream_id: Option<String>,
    pub(crate) other_id: Option<String>,
    /// Whether its `taskId` came neither from its own callbacks nor from the answer to its submit.
    pub(crate) is_guess: bool,
    /// Whether it was sent for a job. A task that is known from its callbacks alone was not.
    pub(crate) has_job: bool,
    /// Whether it serves more than one job.
    pub(crate) serves_several: bool,
    pub(crate) succeeded_at: Option<Timestamp>,
    pub(crate) evidence: Evidence,
    pub(crate) urls: Vec<LoadedUrl>,
    /// The entries that polls have listed, as rows of `entries`.
    pub(crate) listed: Vec<ListedEntry>,
    pub(crate) videos: HashMap<String, Known>,
    /// The batch that used it last.
    pub(crate) used: u64,
}

/// The state of a video according to the task's own facts, and its position in the evidence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    place: usize,
    kinds: u8,
}

/// The news in an entry of a poll's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryNews {
    /// The number of its row, if it needs one.
    pub(crate) row: Option<usize>,
    /// Whether no poll had listed it with this URL.
    pub(crate) is_listing: bool,
    /// Whether it has no id and its state is new.
    pub(crate) is_state: bool,
}

impl LoadedTask {
    /// Notes a new fact. Returns `false` if it was set before.
    pub(crate) fn note(
        &mut self,
        kind: FactKind,
        video: &str,
        at: Timestamp,
        failure: Option<&Failure>,
    ) -> bool {
        let evidence = &mut self.evidence;
        let flag = match kind {
            FactKind::Succeeded => {
                self.succeeded_at.get_or_insert(at);
                return !std::mem::replace(&mut evidence.succeeded, true);
            }
            FactKind::Canceled => return !std::mem::replace(&mut evidence.canceled, true),
            FactKind::ListComplete => return !std::mem::replace(&mut evidence.list_is_complete, true),
            FactKind::PollsRefused => return !std::mem::replace(&mut evidence.polls_are_refused, true),
            FactKind::Failed => {
                let is_new = evidence.failed.is_none();
                evidence.failed.get_or_insert_with(|| failure.cloned().unwrap_or_else(unexplained));
                return is_new;
            }
            FactKind::VideoSeen => 1,
            FactKind::VideoIndexed => 2,
            FactKind::VideoFailed => 4,
        };
        let known = self.video(video);
        let is_new = known.kinds & flag == 0;
        known.kinds |= flag;
        is_new
    }

    fn video(&mut self, video: &str) -> &mut Known {
        let entries = &mut self.evidence.entries;
        self.videos.entry(video.to_owned()).or_insert_with(|| {
            entries.push(entry(Some(video.to_owned())));
            Known { place: entries.len() - 1, kinds: 0 }
        })
    }

    /// Sets the state of a video, which is folded from the facts of every task.
    pub(crate) fn set_video(&mut self, video: &str, state: VideoState, failure: Option<&Failure>) {
        if let Some(known) = self.videos.get(video)
            && let Some(entry) = self.evidence.entries.get_mut(known.place)
        {
            entry.state = state;
            entry.failure = failure.cloned();
        }
    }

    /// Adds an entry that a poll has listed. An entry beyond the bound changes nothing.
    pub(crate) fn list(&mut self, listed: &ListedEntry) -> EntryNews {
        let is_same_url = |kept: &&ListedEntry| kept.video == listed.video && kept.url == listed.url;
        let kept: Vec<&ListedEntry> = self.listed.iter().filter(is_same_url).collect();
        let is_listing = kept.is_empty();
        let is_full = self.listed.len() >= ENTRIES && !self.decides(listed);
        if kept.iter().any(|kept| kept.state == listed.state) || is_full {
            return EntryNews::default();
        }
        let before = kept.iter().map(|kept| kept.state).max();
        let is_state = listed.video.is_none() && before.is_none_or(|before| before < listed.state);
        self.add_listed(listed.clone());
        EntryNews { row: Some(self.listed.len() - 1), is_listing, is_state }
    }

    /// Whether an entry decides about a URL of the task even if the list is full. It must be the first entry of this
    /// URL with so good a state.
    fn decides(&self, listed: &ListedEntry) -> bool {
        let Some(canonical) = &listed.canonical else { return false };
        let is_better =
            |kept: &ListedEntry| kept.canonical.as_ref() == Some(canonical) && kept.state >= listed.state;
        self.evidence.urls.iter().any(|url| url.text == *canonical) && !self.listed.iter().any(is_better)
    }

    /// Adds an entry from its row.
    pub(crate) fn add_listed(&mut self, listed: ListedEntry) {
        let place = match &listed.video {
            Some(video) => self.video(video).place,
            None => self.without_id(&listed),
        };
        let entry = &mut self.evidence.entries[place];
        entry.is_listed = true;
        if let Some(canonical) = &listed.canonical
            && entry.urls.iter().all(|url| url.text != *canonical)
        {
            entry.urls.push(CanonicalUrl::from_stored(canonical.clone()));
        }
        if listed.video.is_none() && listed.state >= entry.state {
            entry.state = listed.state;
            let words = "the memories.ai API could not index it";
            entry.failure = (listed.state == VideoState::Failed).then(|| Failure::new("video_failed", words));
        }
        self.listed.push(listed);
    }

    /// The position of the entry without an id that has this URL.
    fn without_id(&mut self, listed: &ListedEntry) -> usize {
        let entries = &mut self.evidence.entries;
        let has_url = |entry: &Entry| {
            entry.video_id.is_none() && entry.urls.first().map(|url| &url.text) == listed.canonical.as_ref()
        };
        match entries.iter().position(has_url) {
            Some(place) => place,
            None => {
                entries.push(entry(None));
                entries.len() - 1
            }
        }
    }
}

fn entry(video_id: Option<String>) -> Entry {
    Entry { video_id, state: VideoState::Indexing, failure: None, urls: Vec::new(), is_listed: false }
}

fn unexplained() -> Failure {
    Failure::new("task_failed", "the memories.ai API gave no reason")
}
